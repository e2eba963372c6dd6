//! The wall clock: the system's, or one that tests move by hand.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

/// Tells the time in milliseconds since 1970. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that stands still until it is set.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A manual clock at this time.
    pub fn manual(now_ms: i64) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now_ms)))
    }

    /// Milliseconds since 1970, now.
    pub fn now_ms(&self) -> i64 {
        match self {
            Self::System => {
                let now = std::time::SystemTime::now();
                let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            }
            Self::Manual(ms) => ms.load(Ordering::Acquire),
        }
    }

    /// Sets a manual clock; the system's clock is left alone.
    pub fn set(&self, now_ms: i64) {
        if let Self::Manual(ms) = self {
            ms.store(now_ms, Ordering::Release);
        }
    }
}
