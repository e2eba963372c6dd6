//! How far long work has come, for whoever looks on.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

/// Counts what is done, and what there is to do where that is known. Cheap to clone; every clone
/// counts the same.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    expected: AtomicU64,
}

impl Progress {
    /// There is so much more to do.
    pub fn expect(&self, count: usize) {
        self.0.expected.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// So much more is done.
    pub fn step(&self, count: usize) {
        self.0.done.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// So much is done in all.
    pub fn reach(&self, count: u64) {
        self.0.done.store(count, Ordering::Relaxed);
    }

    /// What is done, and of how much; none where that is not known.
    pub fn counts(&self) -> (u64, Option<u64>) {
        let expected = self.0.expected.load(Ordering::Relaxed);
        (self.0.done.load(Ordering::Relaxed), Some(expected).filter(|expected| *expected > 0))
    }
}
