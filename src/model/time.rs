//! Instants as Wirebell stores and sends them: UTC, whole milliseconds.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Serialize;
use serde::Serializer;

/// A UTC instant in whole milliseconds; written as RFC 3339 with exactly three decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Time(i64);

/// A text that is no RFC 3339 instant between the years 0 and 9999.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no RFC 3339 time such as 2026-01-18T22:05:02.114Z")]
pub struct BadTime(String);

const FIRST_MS: i64 = -62_167_219_200_000;
const LAST_MS: i64 = 253_402_207_200_000;

impl Time {
    /// From milliseconds since 1970, held within the years 0 to 9999.
    pub fn from_millis(ms: i64) -> Self {
        Self(ms.clamp(FIRST_MS, LAST_MS))
    }

    /// From a date as HTTP writes it.
    pub fn from_http_date(text: &str) -> Option<Self> {
        let date = httpdate::parse_http_date(text).ok()?;
        let since = date.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Some(Self::from_millis(millis_of(since)))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, as a webhook's timestamp header carries them.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This instant plus `d`, held at the last instant that can be written.
    pub fn plus(self, d: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis_of(d)))
    }

    /// This instant minus `d`, held at the first instant that can be written.
    pub fn minus(self, d: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(millis_of(d)))
    }

    /// How long before this instant `earlier` was; zero if it was not.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn millis_of(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "date-time",
            "description": "RFC 3339 in UTC with milliseconds, such as 2026-01-18T22:05:02.114Z"
        })
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{at:.3}")
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Time {
    type Err = BadTime;

    fn from_str(s: &str) -> Result<Self, BadTime> {
        let at: jiff::Timestamp = s.parse().map_err(|_| BadTime(s.chars().take(60).collect()))?;
        Ok(Self::from_millis(at.as_millisecond()))
    }
}

impl TryFrom<String> for Time {
    type Error = BadTime;

    fn try_from(s: String) -> Result<Self, BadTime> {
        s.parse()
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_three_decimals_and_read_back() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_768_773_902_114, "2026-01-18T22:05:02.114Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Time::from_millis(ms).to_string(), text);
            assert_eq!(text.parse::<Time>().unwrap(), Time::from_millis(ms));
        }
    }

    #[test]
    fn an_offset_is_read_as_the_same_instant_in_utc() {
        let t: Time = "2026-01-18T23:05:02.1149+01:00".parse().unwrap();
        assert_eq!(t.to_string(), "2026-01-18T22:05:02.114Z");
    }

    #[test]
    fn what_is_no_time_is_refused_and_the_ends_of_time_can_be_written() {
        for text in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-01-18"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
        for t in [Time::from_millis(i64::MIN), Time::from_millis(i64::MAX)] {
            assert_eq!(t.to_string().parse::<Time>().unwrap(), t);
        }
        assert_eq!(Time::from_millis(0).plus(Duration::MAX), Time::from_millis(i64::MAX));
    }
}
