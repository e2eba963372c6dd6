//! The wall clock: the system's, or one that tests move by hand.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

/// Tells the time in milliseconds since 1970. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that stands still until it is set.
    Manual(Arc<Hands>),
}

/// The time of a manual clock, and who waits for it.
#[derive(Debug)]
pub struct Hands {
    now: watch::Sender<i64>,
    sleepers: Mutex<BTreeSet<(i64, u64)>>,
    serial: AtomicU64,
}

impl Clock {
    /// A manual clock at this time.
    pub fn manual(now_ms: i64) -> Self {
        Self::Manual(Arc::new(Hands {
            now: watch::Sender::new(now_ms),
            sleepers: Mutex::default(),
            serial: AtomicU64::new(0),
        }))
    }

    /// Milliseconds since 1970, now.
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => {
                let now = std::time::SystemTime::now();
                let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            }
            Self::Manual(hands) => *hands.now.borrow(),
        }
    }

    /// Sets a manual clock; the system's clock is left alone.
    pub fn set(&self, now_ms: i64) {
        if let Self::Manual(hands) = self {
            hands.now.send_replace(now_ms);
        }
    }

    /// Sleeps for so long on this clock: on a manual one until it is set to that time or beyond.
    /// Cancel safe.
    pub async fn sleep(&self, duration: Duration) {
        match self {
            Self::System => tokio::time::sleep(duration).await,
            Self::Manual(hands) => hands.sleep(duration).await,
        }
    }

    /// The earliest time for which somebody sleeps on a manual clock.
    pub fn next_wake(&self) -> Option<i64> {
        match self {
            Self::System => None,
            Self::Manual(hands) => hands.sleepers().first().map(|(at, _)| *at),
        }
    }
}

impl Hands {
    async fn sleep(&self, duration: Duration) {
        let mut now = self.now.subscribe();
        let length = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let at = now.borrow_and_update().saturating_add(length);
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        self.sleepers().insert((at, serial));
        let _sleeper = Sleeper { hands: self, entry: (at, serial) };
        // The sender lives as long as this clock.
        now.wait_for(|now| *now >= at).await.ok();
    }

    fn sleepers(&self) -> MutexGuard<'_, BTreeSet<(i64, u64)>> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who sleeps until dropped.
struct Sleeper<'a> {
    hands: &'a Hands,
    entry: (i64, u64),
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.hands.sleepers().remove(&self.entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_whoever_waits_for_its_time() {
        let clock = Clock::manual(1_000);
        let (short, long) = (Duration::from_millis(5), Duration::from_millis(50));
        let sleeping = async { tokio::join!(clock.sleep(short), clock.sleep(long)) };
        tokio::pin!(sleeping);
        assert!(futures_util::poll!(&mut sleeping).is_pending());
        assert_eq!(clock.next_wake(), Some(1_005));
        clock.set(1_005);
        assert!(futures_util::poll!(&mut sleeping).is_pending());
        assert_eq!(clock.next_wake(), Some(1_050));
        clock.set(2_000);
        assert!(futures_util::poll!(&mut sleeping).is_ready());
        assert_eq!(clock.next_wake(), None);
    }
}
