//! Times of CAP: RFC 3339 with a numeric offset, in practice anything.

use crate::feed::date;
use crate::model::Time;

/// A time as read, and what is odd about how it is written.
pub(super) fn read(name: &str, text: &str) -> (Option<Time>, Option<String>) {
    let at = date::read(text);
    let problem = match at {
        None => Some(format!("{name} {text:.60?} is no time and was left out")),
        Some(_) if is_written_well(text) => None,
        Some(_) if text.ends_with(['Z', 'z']) => Some(format!(
            "{name} {text:.60?} ends with Z; CAP writes -00:00, and it was read as that"
        )),
        Some(at) => {
            Some(format!("{name} {text:.60?} is not written as CAP writes times; read as {at}"))
        }
    };
    (at, problem)
}

/// `2026-01-18T22:05:02+02:00`
fn is_written_well(text: &str) -> bool {
    const SHAPE: &str = "dddd-dd-ddTdd:dd:dd+dd:dd";
    text.len() == SHAPE.len()
        && text.chars().zip(SHAPE.chars()).all(|(c, shape)| match shape {
            'd' => c.is_ascii_digit(),
            '+' => c == '+' || c == '-',
            other => c == other,
        })
}

/// The time as an article's id has it: the same moment is the same, however it is written.
pub(super) fn identity(sent: &str) -> String {
    date::read(sent).map_or_else(|| sent.to_owned(), |at| at.millis().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_odd_ones_are_said() {
        for (text, is_read, part) in [
            ("2026-01-18T22:05:02+02:00", true, None),
            ("2026-01-18T22:05:02-00:00", true, None),
            ("2026-01-18T22:05:02Z", true, Some("ends with Z")),
            ("2026-01-18T22:05:02.123Z", true, Some("ends with Z")),
            ("2026-01-18T22:05:02", true, Some("not written as CAP")),
            ("18 Jan 2026 22:05 GMT", true, Some("not written as CAP")),
            ("tonight", false, Some("is no time")),
            ("2026-13-18T22:05:02+02:00", false, Some("is no time")),
        ] {
            let (at, problem) = read("sent", text);
            assert_eq!(at.is_some(), is_read, "{text}");
            match part {
                None => assert_eq!(problem, None, "{text}"),
                Some(part) => assert!(problem.unwrap().contains(part), "{text}"),
            }
        }
        assert_eq!(identity("2026-01-18T22:05:02+02:00"), identity("2026-01-18T20:05:02Z"));
        assert_eq!(identity("tonight"), "tonight");
    }
}
