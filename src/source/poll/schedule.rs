//! When a feed is asked again. Pure: now and jitter are arguments.

use std::time::Duration;

use crate::model::Time;

/// Longest wait after failures.
pub const MAX_BACKOFF: Duration = Duration::from_secs(6 * 3600);
/// Longest wait after refusals: nothing will change soon.
pub const MAX_DENIED: Duration = Duration::from_secs(24 * 3600);
/// Longest wait that a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);
/// First pause of a host that says "too many" without saying how long.
const HOST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// The next poll after one that worked: the interval, give or take a tenth. `jitter` is 0 to 1.
pub fn after_success(now: Time, interval: Duration, jitter: f64) -> Time {
    now.plus(interval.mul_f64(0.9 + 0.2 * jitter.clamp(0.0, 1.0)))
}

/// How long to wait after so many failures in a row: 1, 2, 4 … times the interval, at most
/// `longest` or the interval itself. It never stops.
pub fn backoff(interval: Duration, failures: u32, longest: Duration) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    interval.saturating_mul(doubled).min(longest.max(interval))
}

/// The next poll after one that failed: after the wait and up to a tenth more.
pub fn after_failure(now: Time, wait: Duration, jitter: f64) -> Time {
    now.plus(wait.mul_f64(1.0 + 0.1 * jitter.clamp(0.0, 1.0)))
}

/// How long a server asks to be left alone: seconds or an HTTP date, at most a day; what has
/// passed is no time at all.
pub fn retry_after(text: &str, now: Time) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<i64>() {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    Time::from_http_date(text).map(|at| at.since(now).min(MAX_RETRY_AFTER))
}

/// How long a host is left alone that says "too many" for the so-manieth time in a row without
/// saying how long.
pub fn host_pause(times: u32) -> Duration {
    let doubled = 1_u32.checked_shl(times.saturating_sub(1)).unwrap_or(u32::MAX);
    HOST_PAUSE.saturating_mul(doubled).min(MAX_RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn failures_double_the_wait_up_to_six_hours() {
        let now = Time::from_millis(0);
        let wait = |failures, jitter| {
            let wait = backoff(MINUTE * 15, failures, MAX_BACKOFF);
            after_failure(now, wait, jitter).since(now)
        };
        assert_eq!(wait(1, 0.0), MINUTE * 15);
        assert_eq!(wait(2, 0.0), MINUTE * 30);
        assert_eq!(wait(3, 0.0), MINUTE * 60);
        for failures in [6, 40, u32::MAX] {
            assert_eq!(wait(failures, 0.0), MINUTE * 360);
        }
        assert_eq!(wait(1, 1.0), MINUTE * 33 / 2);
        let daily = Duration::from_secs(86_400);
        assert_eq!(backoff(daily, 3, MAX_BACKOFF), daily);
        assert_eq!(backoff(MINUTE * 15, 40, MAX_DENIED), daily);
        assert_eq!(after_success(now, MINUTE * 10, 0.5).since(now), MINUTE * 10);
        assert_eq!(after_success(now, MINUTE * 10, 0.0).since(now), MINUTE * 9);
    }

    #[test]
    fn a_server_is_obeyed_for_a_day_at_most() {
        let now: Time = "2024-01-10T07:00:00Z".parse().unwrap();
        for (text, want) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("-5", Some(0)),
            ("999999999", Some(86_400)),
            ("Wed, 10 Jan 2024 07:01:00 GMT", Some(60)),
            ("Wed, 10 Jan 2024 06:00:00 GMT", Some(0)),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text, now), want.map(Duration::from_secs), "{text}");
        }
        assert_eq!(host_pause(1), MINUTE * 15);
        assert_eq!(host_pause(2), MINUTE * 30);
        assert_eq!(host_pause(99), MINUTE * 1_440);
    }
}
