//! Requests that go one after the other.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::worker::notifier::send::Done;

/// How long a run goes on at most.
const RUN_TIME: Duration = Duration::from_millis(50);
/// Requests of a run that are done before somebody looks, most of the time.
const NOTED: usize = 16;

/// Requests that go one after the other, each once the one before was delivered. What came of them is
/// here while the run goes on.
#[derive(Default)]
pub(super) struct Run {
    stopped: AtomicBool,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    began: Option<Instant>,
    done: Vec<Done>,
}

impl Run {
    /// Nothing more of it is begun.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// What was done since this was last asked, and whether nothing but its last request can be
    /// under way.
    pub(super) fn take(&self) -> (Vec<Done>, bool) {
        let mut notes = self.notes();
        let last = notes.is_over();
        (std::mem::take(&mut notes.done), last)
    }

    /// Notes a request that ended.
    pub(super) fn note(&self, done: Done) {
        let mut notes = self.notes();
        if notes.done.capacity() == 0 {
            notes.done.reserve(NOTED);
        }
        notes.done.push(done);
    }

    /// Its first request begins.
    pub(super) fn begin(&self) {
        self.notes().began = Some(Instant::now());
    }

    /// Whether nothing more of it is to be begun.
    pub(super) fn is_over(&self) -> bool {
        self.stopped.load(Ordering::Acquire) || self.notes().is_over()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn is_over(&self) -> bool {
        self.began.is_some_and(|began| began.elapsed() >= RUN_TIME)
    }
}
