//! How many requests a second an endpoint gets.

use serde::Deserialize;
use serde::Serialize;

use crate::model::Time;

/// A throttled endpoint without a rate of its own comes from this many a second.
const FREE: f64 = 300.0;
/// An endpoint is throttled to no less than this.
const LEAST: f64 = 0.1;
/// It gets so much more each minute.
const RECOVERY: f64 = 1.1;

/// The slower pace of an endpoint that asked for less.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Requests a second …
    pub per_second: f64,
    /// … at this time; a tenth more each minute after it.
    pub at: Time,
}

impl Pace {
    /// Half of what an endpoint got until now.
    pub fn halved(before: Option<Pace>, limit: Option<f64>, now: Time) -> Self {
        let full = limit.unwrap_or(FREE);
        let until_now = before.map_or(full, |pace| pace.rate(now)).min(full);
        Self { per_second: (until_now / 2.0).max(LEAST.min(full)), at: now }
    }

    /// Requests a second now.
    pub fn rate(&self, now: Time) -> f64 {
        let minutes = now.since(self.at).as_secs_f64() / 60.0;
        self.per_second * RECOVERY.powf(minutes)
    }

    /// Whether the endpoint has its full pace again.
    pub fn is_over(&self, limit: Option<f64>, now: Time) -> bool {
        self.rate(now) >= limit.unwrap_or(FREE)
    }
}

/// Requests one after the other, no faster than a rate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spacing {
    /// Milliseconds since 1970 before which nothing goes.
    not_before: f64,
}

impl Spacing {
    /// When the next request may go; none if now.
    pub fn wait(&self, now: Time) -> Option<Time> {
        // A millisecond is what timers can tell apart.
        (self.not_before >= as_f64(now) + 1.0).then(|| {
            #[expect(clippy::cast_possible_truncation, reason = "a float saturates")]
            Time::from_millis(self.not_before as i64)
        })
    }

    /// Notes that a request goes now.
    pub fn note(&mut self, now: Time, rate: Option<f64>) {
        let Some(rate) = rate else { return };
        self.not_before = self.not_before.max(as_f64(now)) + 1000.0 / rate.max(LEAST / 100.0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53")]
fn as_f64(time: Time) -> f64 {
    time.millis() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn a_throttled_endpoint_gets_half_and_a_tenth_more_each_minute() {
        let first = Pace::halved(None, None, at(0));
        assert!((first.per_second - 150.0).abs() < 1e-9);
        let second = Pace::halved(Some(first), None, at(0));
        assert!((second.per_second - 75.0).abs() < 1e-9);
        assert!((second.rate(at(60_000)) - 82.5).abs() < 1e-9);
        assert!(!second.is_over(None, at(14 * 60_000)));
        assert!(second.is_over(None, at(15 * 60_000)));
        let slow = (0..40).fold(None, |pace, _| Some(Pace::halved(pace, Some(2.0), at(0))));
        assert!(slow.is_some_and(|p| p.per_second >= LEAST));
    }

    #[test]
    fn requests_are_spaced_by_the_rate_also_above_one_a_millisecond() {
        for (rate, wanted) in [(10.0, 10), (250.0, 250), (4000.0, 4000)] {
            let (mut spacing, mut sent) = (Spacing::default(), 0);
            for ms in 1_000_000..1_001_000 {
                while spacing.wait(at(ms)).is_none() {
                    spacing.note(at(ms), Some(rate));
                    sent += 1;
                }
            }
            assert!((wanted..=wanted + 4).contains(&sent), "{rate}: {sent}");
        }
        let mut free = Spacing::default();
        free.note(at(5), None);
        assert_eq!(free.wait(at(5)), None);
    }
}
