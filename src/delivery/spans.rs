//! A set of sequence numbers as few ranges.

use serde::Deserialize;
use serde::Serialize;

/// Numbers as inclusive ranges, ascending, apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// How many numbers.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(from, to)| to.saturating_sub(*from).saturating_add(1)).sum()
    }

    /// Whether a number is among them.
    pub fn contains(&self, n: u64) -> bool {
        let after = self.0.partition_point(|(from, _)| *from <= n);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, to)| n <= *to)
    }

    /// Adds a number.
    pub fn insert(&mut self, n: u64) {
        if self.contains(n) {
            return;
        }
        let at = self.0.partition_point(|(from, _)| *from < n);
        let joins_next = self.0.get(at).is_some_and(|(from, _)| n.checked_add(1) == Some(*from));
        let before = at.checked_sub(1).and_then(|at| self.0.get_mut(at));
        match before.filter(|(_, to)| to.checked_add(1) == Some(n)) {
            Some(_) if joins_next => {
                let (_, to) = self.0.remove(at);
                if let Some(before) = at.checked_sub(1).and_then(|at| self.0.get_mut(at)) {
                    before.1 = to;
                }
            }
            Some(before) => before.1 = n,
            None if joins_next => {
                if let Some(next) = self.0.get_mut(at) {
                    next.0 = n;
                }
            }
            None => self.0.insert(at, (n, n)),
        }
    }

    /// Takes a number out.
    pub fn remove(&mut self, n: u64) {
        let Some(at) = self.0.iter().position(|(from, to)| (*from..=*to).contains(&n)) else {
            return;
        };
        let (from, to) = self.0.remove(at);
        if n < to {
            self.0.insert(at, (n + 1, to));
        }
        if from < n {
            self.0.insert(at, (from, n - 1));
        }
    }

    /// Takes out everything up to a number.
    pub fn remove_up_to(&mut self, n: u64) {
        self.0.retain_mut(|(from, to)| {
            *from = (*from).max(n.saturating_add(1));
            from <= to
        });
    }

    /// Keeps at most so many ranges, the newest.
    pub fn keep_newest(&mut self, ranges: usize) {
        let surplus = self.0.len().saturating_sub(ranges);
        self.0.drain(..surplus);
    }

    /// Those of them between two numbers, both included.
    #[must_use]
    pub fn between(&self, first: u64, last: u64) -> Self {
        let cut = self.0.iter().map(|(from, to)| ((*from).max(first), (*to).min(last)));
        Self(cut.filter(|(from, to)| from <= to).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn spans_hold_what_a_set_holds(steps in prop::collection::vec((0u8..4, 0u64..40), 1..80)) {
            let (mut spans, mut set) = (Spans::default(), BTreeSet::new());
            for (what, n) in steps {
                match what {
                    0 | 1 => { spans.insert(n); set.insert(n); }
                    2 => { spans.remove(n); set.remove(&n); }
                    _ => { spans.remove_up_to(n / 2); set.retain(|m| *m > n / 2); }
                }
                let held: Vec<u64> =
                    spans.ranges().iter().flat_map(|(from, to)| *from..=*to).collect();
                prop_assert_eq!(&held, &set.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(spans.count(), u64::try_from(set.len()).unwrap());
                prop_assert!((0..45).all(|n| spans.contains(n) == set.contains(&n)));
                let apart = spans.ranges().windows(2).all(|w| w[0].1 + 1 < w[1].0);
                prop_assert!(apart, "{:?}", spans);
                let (first, last) = (n / 2, n);
                let between = set.range(first..=last).count();
                prop_assert_eq!(spans.between(first, last).count(), u64::try_from(between).unwrap());
            }
        }
    }
}
