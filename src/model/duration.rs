//! Durations in records, as whole milliseconds.

use std::time::Duration;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serializer;

/// Longest duration that people write: 30 days.
pub const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// Reads a duration as people write it: `30s`, `10m`, `6h` or `2d`, at most 30 days.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: write 30s, 10m, 6h or 2d, at most 30d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let digits = text.strip_suffix(unit).filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
    let number: u64 = digits.and_then(|d| d.parse().ok()).ok_or_else(wrong)?;
    let duration = Duration::from_secs(number.checked_mul(seconds).ok_or_else(wrong)?);
    if duration > LONGEST { Err(wrong()) } else { Ok(duration) }
}

/// Writes a duration as whole milliseconds.
pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_u64(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

/// Reads a duration from whole milliseconds.
pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    u64::deserialize(d).map(Duration::from_millis)
}

/// The same for an optional duration.
pub mod optional {
    use std::time::Duration;

    use serde::Deserialize;
    use serde::Deserializer;
    use serde::Serializer;

    /// Writes whole milliseconds or null.
    pub fn serialize<S: Serializer>(d: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        match d {
            Some(d) => super::serialize(d, s),
            None => s.serialize_none(),
        }
    }

    /// Reads whole milliseconds or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(d)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit_and_a_limit() {
        for (text, wanted) in
            [("0s", Some(0)), ("30s", Some(30)), ("10m", Some(600)), ("30d", Some(2_592_000))]
        {
            assert_eq!(parse(text).ok().map(|d| d.as_secs()), wanted, "{text}");
        }
        for bad in ["", "s", "10", "-1s", "1.5h", "31d", "99999999999999999999d", "1h30m", "1é"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
