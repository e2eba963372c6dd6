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
        let last = notes.is_over(Instant::now());
        (std::mem::take(&mut notes.done), last)
    }

    /// Notes a request that ended now, and answers whether another one may be begun.
    pub(super) fn note(&self, done: Done, now: Instant) -> bool {
        let mut notes = self.notes();
        if notes.done.capacity() == 0 {
            notes.done.reserve(NOTED);
        }
        notes.done.push(done);
        !notes.is_over(now) && !self.stopped.load(Ordering::Acquire)
    }

    /// Its first request begins.
    pub(super) fn begin(&self, now: Instant) {
        self.notes().began = Some(now);
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    fn is_over(&self, now: Instant) -> bool {
        self.began.is_some_and(|began| now.saturating_duration_since(began) >= RUN_TIME)
    }
}
