//! How often each token may ask.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

/// Seconds of the rate that may be used at once.
const BURST_SECONDS: f64 = 4.0;

/// What a token has left.
#[derive(Debug)]
pub(super) struct Limit {
    rate: f64,
    left: Mutex<(f64, Instant)>,
}

impl Limit {
    /// So many requests a second on average, and four seconds' worth at once.
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        let rate = f64::from(rate);
        Self { rate, left: Mutex::new((rate * BURST_SECONDS, now)) }
    }

    /// Takes one request, or says how long to wait for the next.
    pub(super) fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let grown = now.saturating_duration_since(left.1).as_secs_f64() * self.rate;
        let have = (left.0 + grown).min(self.rate * BURST_SECONDS);
        if have < 1.0 {
            *left = (have, now);
            return Err(Duration::from_secs_f64((1.0 - have) / self.rate));
        }
        *left = (have - 1.0, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_the_rate_holds() {
        let begin = Instant::now();
        let limit = Limit::new(10, begin);
        assert!((0..40).all(|_| limit.take(begin).is_ok()));
        let wait = limit.take(begin).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        let later = begin + Duration::from_millis(250);
        assert!(limit.take(later).is_ok() && limit.take(later).is_ok());
        assert!(limit.take(later).is_err());
        let idle = later + Duration::from_secs(3600);
        assert_eq!((0..100).filter(|_| limit.take(idle).is_ok()).count(), 40);
    }
}
