//! What came before: repeats, and which numbers of a sequence are missing. Everything has a limit.

use std::collections::HashMap;
use std::collections::HashSet;

use serde_json::Value;

/// Most ids remembered to drop repeats.
const MAX_IDS: usize = 100_000;
/// Most subscriptions whose sequence is followed.
const MAX_SUBSCRIPTIONS: usize = 1_000;
/// Most ranges remembered as missing, the newest.
const MAX_RANGES: usize = 1_000;

/// First and last number of a range.
type Range = (u64, u64);

/// Where a request stands among those that came before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The same id came before.
    pub repeat: bool,
    /// The sequence that was expected, where another one came.
    pub expected: Option<u64>,
    /// It is one that was missing.
    pub fills: bool,
    /// What its subscription is missing now, from the first number that came.
    pub missing: Vec<(u64, u64)>,
}

#[derive(Default)]
pub(super) struct Memory {
    ids: HashSet<String>,
    courses: HashMap<String, Course>,
}

/// How far the sequence of a subscription has come.
struct Course {
    next: u64,
    missing: Vec<Range>,
}

impl Memory {
    pub(super) fn note(&mut self, id: &str, body: &Value) -> Place {
        if self.ids.len() >= MAX_IDS {
            self.ids.clear();
        }
        let repeat = !self.ids.insert(id.to_owned());
        let event = &body["data"]["event"];
        let (Some(subscription), Some(sequence @ 1..)) =
            (event["subscription"].as_str(), event["sequence"].as_u64())
        else {
            return Place { repeat, ..Place::default() };
        };
        if self.courses.len() >= MAX_SUBSCRIPTIONS && !self.courses.contains_key(subscription) {
            self.courses.clear();
        }
        let begins = Course { next: sequence, missing: Vec::new() };
        let course = self.courses.entry(subscription.to_owned()).or_insert(begins);
        let mut place = Place { repeat, ..Place::default() };
        if !repeat {
            (place.expected, place.fills) = course.note(sequence);
        }
        place.missing.clone_from(&course.missing);
        place
    }
}

impl Course {
    /// The number expected, where it is another one, and whether this one was missing.
    fn note(&mut self, sequence: u64) -> (Option<u64>, bool) {
        let expected = Some(self.next).filter(|next| *next != sequence);
        if sequence >= self.next {
            if sequence > self.next {
                self.missing.push((self.next, sequence - 1));
            }
            if self.missing.len() > MAX_RANGES {
                self.missing.remove(0);
            }
            self.next = sequence.saturating_add(1);
            return (expected, false);
        }
        let found = self.missing.iter().position(|(a, b)| (*a..=*b).contains(&sequence));
        let Some(at) = found else { return (expected, false) };
        let (first, last) = self.missing[at];
        let rest = [(first, sequence - 1), (sequence + 1, last)];
        self.missing.splice(at..=at, rest.into_iter().filter(|(a, b)| a <= b));
        (expected, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of these sequences, one after the other.
    fn said(sequences: &[u64]) -> Vec<Place> {
        let mut memory = Memory::default();
        let told = |sequence: &u64| {
            let event = serde_json::json!({"subscription": "sub_a", "sequence": sequence});
            memory.note(&format!("evt_{sequence}"), &serde_json::json!({"data": {"event": event}}))
        };
        sequences.iter().map(told).collect()
    }

    #[test]
    fn a_gap_is_told_until_it_is_filled() {
        let said = said(&[4, 8, 6, 6, 5, 7, 9]);
        let missing: Vec<&[Range]> = said.iter().map(|place| place.missing.as_slice()).collect();
        assert_eq!(
            missing,
            [&[][..], &[(5, 7)], &[(5, 5), (7, 7)], &[(5, 5), (7, 7)], &[(7, 7)], &[], &[]]
        );
        let expected: Vec<Option<u64>> = said.iter().map(|place| place.expected).collect();
        assert_eq!(expected, [None, Some(5), Some(9), None, Some(9), Some(9), None]);
        let fills: Vec<bool> = said.iter().map(|place| place.fills).collect();
        assert_eq!(fills, [false, false, true, false, true, true, false]);
        assert!(said[3].repeat);
    }

    #[test]
    fn pings_and_what_came_before_the_first_are_no_gaps() {
        for sequences in [&[0, 4, 0, 5][..], &[4, 2, 5], &[u64::MAX, 1]] {
            let said = said(sequences);
            assert!(said.iter().all(|place| place.missing.is_empty()), "{said:?}");
        }
    }

    #[test]
    fn ranges_are_kept_within_their_limit() {
        let every_second: Vec<u64> = (1..2_500).map(|n| n * 2).collect();
        let said = said(&every_second);
        assert_eq!(said.last().unwrap().missing.len(), MAX_RANGES);
    }
}
