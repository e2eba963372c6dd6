//! The events of an alert before another one: a list that grows at its head and is shared.

use std::sync::Arc;

use crate::delivery::admission::Facts;

/// An alert's earlier events. Cheap to clone: every event of an alert shares what came before.
#[derive(Clone, Debug, Default)]
pub struct Earlier(Option<Arc<Node>>);

#[derive(Debug)]
struct Node {
    facts: Facts,
    before: Earlier,
}

impl Earlier {
    /// This list with one event more.
    #[must_use]
    pub fn with(&self, facts: Facts) -> Self {
        Self(Some(Arc::new(Node { facts, before: self.clone() })))
    }

    /// The events, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Facts> {
        std::iter::successors(self.0.as_deref(), |node| node.before.0.as_deref())
            .map(|node| &node.facts)
    }
}

impl FromIterator<Facts> for Earlier {
    /// From the oldest to the newest.
    fn from_iter<I: IntoIterator<Item = Facts>>(facts: I) -> Self {
        facts.into_iter().fold(Self::default(), |list, facts| list.with(facts))
    }
}

impl Drop for Node {
    /// Node by node: an alert of many events must not end in as many nested calls.
    fn drop(&mut self) {
        let mut next = self.before.0.take();
        while let Some(mut node) = next.and_then(Arc::into_inner) {
            next = node.before.0.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::admission::tests::event;
    use crate::model::EventKind;
    use crate::model::Severity;

    #[test]
    fn a_list_shares_its_tail_and_a_long_one_is_dropped_without_depth() {
        let event = event(EventKind::Updated, 2, "siren", Severity::Warning);
        let facts = |seq| Facts::of(seq, &event);
        let two: Earlier = [facts(1), facts(2)].into_iter().collect();
        let three = two.with(facts(3));
        let seqs = |list: &Earlier| list.iter().map(|f| f.seq).collect::<Vec<_>>();
        assert_eq!((seqs(&two), seqs(&three)), (vec![2, 1], vec![3, 2, 1]));
        let long: Earlier = (0..200_000).map(facts).collect();
        drop(long);
    }
}
