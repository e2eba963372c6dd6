//! What an answer means and when to try again.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::model::Time;
use crate::model::attempt::Outcome;

/// Waits after consecutive failures; the last repeats.
const STEPS: [Duration; 11] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(3 * 3600),
    Duration::from_secs(6 * 3600),
    Duration::from_secs(12 * 3600),
    Duration::from_secs(24 * 3600),
];
/// Wait after an address was refused.
const REFUSED_STEP: Duration = Duration::from_secs(3600);
/// Longest wait that a `Retry-After` may ask for.
const RETRY_AFTER_CAP: Duration = Duration::from_secs(24 * 3600);
/// While an event younger than this waits …
pub const FRESH: Duration = Duration::from_secs(3600);
/// … the next try comes within this.
pub const FRESH_WITHIN: Duration = Duration::from_secs(15 * 60);
/// Real sends before an event may be given up.
pub const FAILED_AFTER_SENDS: u32 = 12;
/// Time since an event's first send before it may be given up.
pub const FAILED_AFTER: Duration = Duration::from_secs(46 * 3600);

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An answer with this status, and how long its `Retry-After` asks to wait.
    Status(u16, Option<Duration>),
    /// Nothing was written: DNS, connect, TLS, or reset before.
    NotSent,
    /// It was written and no answer came: it may have been received.
    Unknown,
    /// The address is not allowed.
    Refused,
    /// Its format gives nothing for this event: nothing was sent.
    Unrenderable,
}

impl Reply {
    /// What it means.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Status(200..=299, _) => Outcome::Delivered,
            Self::Status(410, _) => Outcome::Gone,
            Self::Status(415, _) | Self::Unrenderable => Outcome::Unacceptable,
            Self::Status(429 | 502..=504, _) => Outcome::Throttled,
            Self::Status(..) => Outcome::Rejected,
            Self::NotSent => Outcome::NotSent,
            Self::Unknown => Outcome::Unknown,
            Self::Refused => Outcome::Refused,
        }
    }

    /// What an operator should know beyond the outcome.
    pub fn remark(self) -> Option<&'static str> {
        match self {
            Self::Status(300..=399, _) => {
                Some("the receiver answers with a redirect, which is not followed: update the URL")
            }
            Self::Status(410, _) => Some("the receiver is gone: the subscription is paused"),
            Self::Status(415, _) => Some("the receiver refuses this content type"),
            Self::Refused => Some("address not allowed (setting `egress.allow`)"),
            Self::Unrenderable => {
                Some("the format gives nothing for this event: change it, then replay")
            }
            _ => None,
        }
    }
}

/// The wait before the next try after `failures` consecutive failures (at least 1).
///
/// `jitter` is between 0 and 1. `event_age` is the age of the youngest event that waits. A
/// `Retry-After` is a floor that jitter does not lower.
pub fn wait(failures: u32, reply: Reply, event_age: Duration, jitter: f64) -> Duration {
    let place = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut step = STEPS[place.min(STEPS.len() - 1)];
    if event_age < FRESH {
        step = step.min(FRESH_WITHIN);
    }
    if reply == Reply::Refused {
        step = REFUSED_STEP;
    }
    let jittered = step.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0));
    match reply {
        Reply::Status(_, Some(asked)) => jittered.max(asked.min(RETRY_AFTER_CAP)),
        _ => jittered,
    }
}

/// How long an answer with these headers asks to be left alone. `now` is asked for where it matters.
pub fn asked(headers: &HeaderMap, now: impl FnOnce() -> Time) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    retry_after(text, now())
}

/// A `Retry-After`: seconds, or a date read against `now`. Negative or past is zero; what cannot
/// be read is none.
fn retry_after(header: &str, now: Time) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<i64>() {
        return Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    }
    if header.bytes().all(|b| b.is_ascii_digit()) && !header.is_empty() {
        return Some(RETRY_AFTER_CAP);
    }
    // Some services write parts of a second, which the standard does not know.
    if header.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && let Ok(seconds) = header.parse::<f64>()
    {
        return Some(Duration::try_from_secs_f64(seconds.ceil()).unwrap_or(RETRY_AFTER_CAP));
    }
    Time::from_http_date(header).map(|date| date.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Duration = Duration::from_secs(7200);

    #[test]
    fn steps_grow_to_a_day_and_stay_there() {
        let waits: Vec<u64> =
            (1..=13).map(|n| wait(n, Reply::NotSent, OLD, 1.0).as_secs()).collect();
        let day = 86_400;
        let wanted = [1, 5, 15, 60, 300, 900, 3600, 10_800, 21_600, 43_200, day, day, day];
        assert_eq!(waits, wanted);
        assert_eq!(wait(2, Reply::Unknown, OLD, 0.0), Duration::from_millis(2500));
        assert_eq!(wait(u32::MAX, Reply::Unknown, OLD, 1.0).as_secs(), day);
    }

    #[test]
    fn a_fresh_event_is_tried_within_a_quarter_of_an_hour() {
        let fresh = Duration::from_secs(60);
        assert_eq!(wait(11, Reply::NotSent, fresh, 1.0), FRESH_WITHIN);
    }

    #[test]
    fn retry_after_is_a_floor_with_a_cap() {
        let asked = |s| Reply::Status(429, Some(Duration::from_secs(s)));
        assert_eq!(wait(1, asked(120), OLD, 0.0).as_secs(), 120);
        assert_eq!(wait(1, asked(10 * 86_400), OLD, 0.0).as_secs(), 86_400);
        assert_eq!(wait(7, asked(1), OLD, 1.0).as_secs(), 3600);
    }

    #[test]
    fn retry_after_reads_seconds_and_dates() {
        let now: Time = "2026-01-18T22:05:00Z".parse().unwrap();
        for (header, wanted) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("-5", Some(0)),
            ("99999999999999999999999", Some(86_400)),
            ("Sun, 18 Jan 2026 22:06:30 GMT", Some(90)),
            ("Sun, 18 Jan 2026 22:00:00 GMT", Some(0)),
            ("64.57", Some(65)),
            ("1e9", None),
            ("1.2.3", None),
            (".", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(header, now).map(|d| d.as_secs()), wanted, "{header}");
        }
    }

    #[test]
    fn each_answer_has_one_meaning() {
        for (status, wanted) in [
            (200, Outcome::Delivered),
            (204, Outcome::Delivered),
            (301, Outcome::Rejected),
            (400, Outcome::Rejected),
            (408, Outcome::Rejected),
            (410, Outcome::Gone),
            (415, Outcome::Unacceptable),
            (429, Outcome::Throttled),
            (500, Outcome::Rejected),
            (503, Outcome::Throttled),
        ] {
            assert_eq!(Reply::Status(status, None).outcome(), wanted, "{status}");
        }
        assert_eq!(Reply::Unrenderable.outcome(), Outcome::Unacceptable);
        assert!(Reply::Status(302, None).remark().is_some_and(|r| r.contains("update the URL")));
    }
}
