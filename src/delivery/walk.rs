//! Finding sequences again: admission with counting, from a place where the count is on record.

use crate::delivery::Delivery;
use crate::delivery::Logged;
use crate::delivery::admission::Versions;
use crate::delivery::admission::admits;
use crate::delivery::ledger::Mark;
use crate::model::subscription::FilterVersion;

/// A cursor over the log that counts what belongs to one subscription.
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    versions: Versions<'a>,
    at: Mark,
}

impl<'a> Walk<'a> {
    /// Counts from a place on.
    pub fn new(versions: Versions<'a>, from: Mark) -> Self {
        Self { versions, at: from }
    }

    /// Looks at the next event of the log; answers its sequence where it belongs to the
    /// subscription.
    pub fn step(&mut self, logged: &Logged) -> Option<u64> {
        if logged.seq <= self.at.position {
            return None;
        }
        self.at.position = logged.seq;
        if !admits(self.versions, logged) {
            return None;
        }
        self.at.sequence += 1;
        Some(self.at.sequence)
    }

    /// How far it has come.
    pub fn at(&self) -> Mark {
        self.at
    }
}

/// Every place to count from, oldest first: none lies behind the oldest filter version kept.
pub fn places(record: &Delivery) -> impl DoubleEndedIterator<Item = Mark> {
    let oldest = record.effective.first();
    let after = oldest.map_or(u64::MAX, |e| e.after);
    let begin = oldest.filter(|e| e.number == 1).map(|e| Mark { sequence: 0, position: e.after });
    let cursor = Mark { sequence: record.sequence, position: record.cursor };
    let known = begin.into_iter().chain(record.marks.iter().copied()).chain([cursor]);
    known.filter(move |mark| mark.position >= after)
}

/// The newest place at or before a position.
pub fn place_at(record: &Delivery, position: u64) -> Option<Mark> {
    places(record).rfind(|mark| mark.position <= position)
}

/// The first sequence that can be found again where the log begins at `first`; one beyond the
/// settled ones where none of them can.
pub fn first_sequence(record: &Delivery, first: u64) -> u64 {
    let kept = places(record).find(|mark| mark.position.saturating_add(1) >= first);
    kept.map_or(record.sequence, |mark| mark.sequence).saturating_add(1)
}

/// Up to which position of the log it is decided what belongs to a subscription.
///
/// `end` was the log's end before the definition was read: a filter version written since takes
/// effect later. One that was written and whose place of effect is not on record yet decides
/// nothing at or before the end when it was written.
pub fn decided_up_to(record: &Delivery, filters: &[FilterVersion], end: u64) -> u64 {
    let newest = record.effective.last().map_or(0, |e| e.number);
    let open = filters.iter().filter(|v| v.number > newest).map(|v| v.effective_after);
    open.min().map_or(end, |after| after.min(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::admission::Effective;
    use crate::delivery::admission::tests::event;
    use crate::delivery::admission::tests::filter;
    use crate::model::EventKind;
    use crate::model::Severity;
    use crate::model::Subscription;
    use crate::model::SubscriptionId;

    fn record(numbers: &[(u32, u64)], marks: &[(u64, u64)], cursor: (u64, u64)) -> Delivery {
        let wanted: Subscription = serde_json::from_value(serde_json::json!({
            "v": 1, "id": SubscriptionId::from_random([3; 16]), "url": "https://desk.example/in",
            "keys": [], "filters": [], "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        }))
        .unwrap();
        let mut record = Delivery::new(&wanted);
        let effective = numbers.iter().copied().map(|(number, after)| Effective { number, after });
        record.effective = effective.collect();
        let mark = |(sequence, position): (u64, u64)| Mark { sequence, position };
        record.marks = marks.iter().copied().map(mark).collect();
        (record.sequence, record.cursor) = cursor;
        record
    }

    #[test]
    fn a_walk_counts_what_admission_admits() {
        let filters = [FilterVersion {
            number: 1,
            effective_after: 0,
            filter: filter(r#"{"topics":["siren"]}"#),
        }];
        let effective = [Effective { number: 1, after: 4 }];
        let versions = Versions { filters: &filters, effective: &effective };
        let mut walk = Walk::new(versions, Mark { sequence: 2, position: 6 });
        let counted: Vec<Option<u64>> = [(5, "siren"), (7, "siren"), (8, "quake"), (9, "siren")]
            .into_iter()
            .map(|(seq, topic)| {
                let event = event(EventKind::Opened, 1, topic, Severity::Warning);
                walk.step(&Logged::new(seq, event, crate::delivery::Earlier::default()))
            })
            .collect();
        assert_eq!(counted, [None, Some(3), None, Some(4)]);
        assert_eq!(walk.at(), Mark { sequence: 4, position: 9 });
    }

    #[test]
    fn places_begin_where_the_oldest_version_took_effect() {
        let marks = [(256, 300), (512, 700)];
        let whole = record(&[(1, 10), (2, 400)], &marks, (600, 900));
        let sequences = |record: &Delivery| places(record).map(|m| m.sequence).collect::<Vec<_>>();
        assert_eq!(sequences(&whole), [0, 256, 512, 600]);
        assert_eq!(place_at(&whole, 699).map(|m| m.sequence), Some(256));
        assert_eq!(place_at(&whole, 9), None);
        let cut = record(&[(2, 400)], &marks, (600, 900));
        assert_eq!(sequences(&cut), [512, 600]);
        for (record, first, wanted) in [
            (&whole, 1, 1),
            (&whole, 11, 1),
            (&whole, 12, 257),
            (&whole, 701, 513),
            (&whole, 702, 601),
            (&whole, 5_000, 601),
            (&cut, 1, 513),
        ] {
            assert_eq!(first_sequence(record, first), wanted, "{first}");
        }
        for sequence in 1..=601 {
            let before = places(&whole).rfind(|m| m.sequence < sequence);
            assert_eq!(before, whole.mark_before(sequence), "{sequence}");
        }
    }

    #[test]
    fn a_version_whose_place_is_unknown_decides_nothing_before_it_was_written() {
        let version = |number, effective_after| FilterVersion {
            number,
            effective_after,
            filter: filter(r#"{"topics":["*"]}"#),
        };
        let record = record(&[(1, 10)], &[], (0, 10));
        for (filters, end, wanted) in [
            (vec![version(1, 10)], 50, 50),
            (vec![version(1, 10), version(2, 30), version(3, 40)], 50, 30),
            (vec![version(1, 10), version(2, 60)], 50, 50),
        ] {
            assert_eq!(decided_up_to(&record, &filters, end), wanted, "{filters:?}");
        }
    }
}
