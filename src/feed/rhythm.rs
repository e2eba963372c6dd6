//! How often a feed says that it is worth asking, and when not.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Time;

/// Longest wait that a feed may ask for.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);
const HOUR_MS: i64 = 3_600_000;
const DAY_HOURS: i64 = 24;
const DAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// What a feed asks of those who poll it; hours and days are in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rhythm {
    /// `ttl`: it may be kept for so many minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    /// `sy:updatePeriod`, in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    period: Option<u32>,
    /// `sy:updateFrequency`: so often in that period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frequency: Option<u32>,
    /// `skipHours`, a bit each.
    #[serde(default, skip_serializing_if = "is_zero")]
    skip_hours: u32,
    /// `skipDays`, a bit each from Sunday on.
    #[serde(default, skip_serializing_if = "is_zero")]
    skip_days: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(bits: &u32) -> bool {
    *bits == 0
}

impl Rhythm {
    /// Takes an element of the feed itself; what cannot be understood says nothing.
    pub(super) fn take(&mut self, parent: &str, name: &str, text: &str) {
        let text = text.trim().to_ascii_lowercase();
        let number = || text.parse::<u32>().ok();
        match (parent, name) {
            (_, "ttl") => self.ttl = number().filter(|n| *n > 0),
            (_, "updateperiod") => {
                self.period = match text.as_str() {
                    "hourly" => Some(60),
                    "daily" => Some(60 * 24),
                    "weekly" => Some(60 * 24 * 7),
                    "monthly" => Some(60 * 24 * 30),
                    "yearly" => Some(60 * 24 * 365),
                    _ => None,
                }
            }
            (_, "updatefrequency") => self.frequency = number().filter(|n| *n > 0),
            // Some count the hours from 1 to 24.
            ("skiphours", "hour") => {
                self.skip_hours |= number().filter(|n| *n <= 24).map_or(0, |n| 1 << (n % 24));
            }
            ("skipdays", "day") => {
                let day = DAYS.iter().position(|day| *day == text);
                self.skip_days |= day.map_or(0, |day| 1 << day);
            }
            _ => {}
        }
    }

    /// The shortest time between two polls that it asks for, at most a day.
    pub fn least_wait(&self) -> Option<Duration> {
        let period = self.period.map(|minutes| minutes / self.frequency.unwrap_or(1).max(1));
        let minutes = [self.ttl, period].into_iter().flatten().max()?;
        Some(Duration::from_secs(u64::from(minutes) * 60).min(MAX_WAIT))
    }

    /// That time, or the beginning of the next hour that is not to be skipped. Who skips every
    /// hour or day is taken to mean none.
    pub fn after_skips(&self, at: Time) -> Time {
        let first = at.millis().div_euclid(HOUR_MS);
        if !self.skips(first) {
            return at;
        }
        let next = (first + 1..first + 8 * DAY_HOURS).find(|hour| !self.skips(*hour));
        next.map_or(at, |hour| Time::from_millis(hour * HOUR_MS))
    }

    /// Whether an hour, counted from 1970, is to be skipped.
    fn skips(&self, hour: i64) -> bool {
        // 1970 began on a Thursday.
        let day = (hour.div_euclid(DAY_HOURS) + 4).rem_euclid(7);
        let hour = hour.rem_euclid(DAY_HOURS);
        self.skip_hours & (1 << hour) != 0 || self.skip_days & (1 << day) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rhythm(elements: &[(&str, &str, &str)]) -> Rhythm {
        let mut rhythm = Rhythm::default();
        elements.iter().for_each(|(parent, name, text)| rhythm.take(parent, name, text));
        rhythm
    }

    #[test]
    fn the_longest_wait_that_is_asked_for_counts_up_to_a_day() {
        let minutes = |n: u64| Some(Duration::from_secs(n * 60));
        for (name, elements, want) in [
            ("nothing", &[][..], None),
            ("ttl", &[("channel", "ttl", " 30 ")][..], minutes(30)),
            ("no number", &[("channel", "ttl", "soon")], None),
            ("zero", &[("channel", "ttl", "0")], None),
            ("for ever", &[("channel", "ttl", "999999")], minutes(24 * 60)),
            (
                "four times a day, and a shorter ttl",
                &[
                    ("channel", "updateperiod", "Daily"),
                    ("channel", "updatefrequency", "4"),
                    ("channel", "ttl", "10"),
                ],
                minutes(360),
            ),
            ("odd period", &[("channel", "updateperiod", "often")], None),
        ] {
            assert_eq!(rhythm(elements).least_wait(), want, "{name}");
        }
    }

    #[test]
    fn hours_and_days_are_skipped_in_utc() {
        let night: Vec<(&str, &str, &str)> =
            ["0", "1", "24", "25", "x"].map(|hour| ("skiphours", "hour", hour)).to_vec();
        let weekend = ["Saturday", "sunday", "Someday"].map(|day| ("skipdays", "day", day));
        let all: Vec<_> = night.iter().copied().chain(weekend).collect();
        for (name, rhythm, at, want) in [
            ("not skipped", rhythm(&all), "2024-01-10T07:30:00Z", "2024-01-10T07:30:00Z"),
            ("an hour", rhythm(&night), "2024-01-10T00:30:00Z", "2024-01-10T02:00:00Z"),
            (
                "a weekend, then a night",
                rhythm(&all),
                "2024-01-13T07:00:00Z",
                "2024-01-15T02:00:00Z",
            ),
        ] {
            let at: Time = at.parse().unwrap();
            assert_eq!(
                rhythm.after_skips(at).to_string(),
                want.parse::<Time>().unwrap().to_string(),
                "{name}"
            );
        }
        let hours: Vec<String> = (0..24).map(|n| n.to_string()).collect();
        let every: Vec<_> = hours.iter().map(|hour| ("skiphours", "hour", hour.as_str())).collect();
        let at: Time = "2024-01-10T07:30:00Z".parse().unwrap();
        assert_eq!(rhythm(&every).after_skips(at), at, "who skips everything");
    }
}
