//! The events of a subscription that wait in memory.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

use crate::delivery::Logged;
use crate::delivery::ledger::Outstanding;
use crate::model::AlertId;

/// Admitted events that are not settled, in order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    events: VecDeque<Pending>,
    /// Of each of them, what tells most other alerts from its own at a glance.
    glances: VecDeque<u32>,
    /// Nothing of what waits under a later sequence is begun.
    begun: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) logged: Arc<Logged>,
    pub(super) out: Outstanding,
    pub(super) under_way: bool,
}

impl Waiting {
    /// Adds one after all others.
    pub(super) fn push(&mut self, logged: &Arc<Logged>, out: Outstanding) {
        if out.is_begun() {
            self.begun = out.sequence;
        }
        self.glances.push_back(glance(&logged.event.alert.id));
        self.events.push_back(Pending { logged: logged.clone(), out, under_way: false });
    }

    /// Takes out what waits at a place.
    pub(super) fn take_out(&mut self, at: usize) -> Option<Pending> {
        self.glances.remove(at);
        self.events.remove(at)
    }

    /// Lets go of all but the first ones.
    pub(super) fn truncate(&mut self, kept: usize) {
        self.events.truncate(kept);
        self.glances.truncate(kept);
    }

    /// The place of what waits under a sequence.
    pub(super) fn find(&self, sequence: u64) -> Option<usize> {
        // Most of the time it is the first.
        match self.events.front() {
            Some(first) if first.out.sequence == sequence => Some(0),
            _ => self.events.binary_search_by_key(&sequence, |p| p.out.sequence).ok(),
        }
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Pending> {
        self.events.get_mut(at)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pending> {
        self.events.iter_mut()
    }

    /// What waits at a place may have been begun.
    pub(super) fn begin(&mut self, at: usize) -> Option<&mut Pending> {
        let pending = self.events.get_mut(at)?;
        self.begun = self.begun.max(pending.out.sequence);
        Some(pending)
    }

    /// What there is to remember of those that were begun.
    pub(super) fn begun(&self) -> Vec<Outstanding> {
        let may_be = self.events.iter().take_while(|p| p.out.sequence <= self.begun);
        may_be.filter(|p| p.out.is_begun()).map(|p| p.out.clone()).collect()
    }

    /// What waits of an alert comes to somebody who may know of it.
    pub(super) fn tell(&mut self, alert: &AlertId) {
        let glance = glance(alert);
        let (first, last) = self.glances.as_slices();
        let alike = |glances: &[u32]| glances.iter().filter(|other| **other == glance).count();
        // The one that tells is among them.
        if alike(first) + alike(last) <= 1 {
            return;
        }
        for at in 0..self.events.len() {
            let is_of = |p: &Pending| p.logged.event.alert.id == *alert;
            if self.glances.get(at) == Some(&glance)
                && self.events.get(at).is_some_and(is_of)
                && let Some(other) = self.begin(at)
            {
                other.out.told = true;
            }
        }
    }
}

impl Deref for Waiting {
    type Target = VecDeque<Pending>;

    fn deref(&self) -> &VecDeque<Pending> {
        &self.events
    }
}

/// The last characters of an alert's id.
fn glance(alert: &AlertId) -> u32 {
    let id = alert.as_str().as_bytes();
    id.last_chunk().map_or(0, |last| u32::from_be_bytes(*last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::admission::Earlier;
    use crate::delivery::admission::tests::event;
    use crate::model::ArticleId;
    use crate::model::EventKind;
    use crate::model::Key;
    use crate::model::Nature;
    use crate::model::Severity;
    use crate::model::SourceId;

    /// Events in this order, each of the alert of this number.
    fn waiting(alerts: &[u64]) -> Waiting {
        let mut waiting = Waiting::default();
        for (sequence, alert) in (10..).zip(alerts) {
            let mut event = event(EventKind::Opened, 1, "siren", Severity::Critical);
            let article = ArticleId::of(&SourceId::push(), &alert.to_string());
            let rule = event.alert.rule.clone();
            event.alert.id = AlertId::of(&rule, &Key::unknown(), Nature::Actual, (&article, 1));
            let logged = Arc::new(Logged::new(sequence, event, Earlier::default()));
            waiting.push(&logged, Outstanding::new(&logged, sequence));
        }
        waiting
    }

    fn begun(waiting: &Waiting) -> Vec<u64> {
        waiting.begun().iter().map(|out| out.sequence).collect()
    }

    #[test]
    fn what_is_told_of_an_alert_is_told_to_all_that_waits_of_it() {
        let mut waiting = waiting(&[1, 2, 1, 3, 1]);
        assert!(begun(&waiting).is_empty());
        let alert = waiting[0].logged.event.alert.id.clone();
        waiting.tell(&alert);
        assert_eq!(begun(&waiting), [10, 12, 14]);
        waiting.take_out(2);
        assert_eq!(
            (waiting.find(10), waiting.find(12), waiting.find(13)),
            (Some(0), None, Some(2))
        );
        waiting.truncate(2);
        assert_eq!(begun(&waiting), [10]);
        let alone = waiting[1].logged.event.alert.id.clone();
        waiting.tell(&alone);
        assert_eq!(begun(&waiting), [10], "the one that tells says so itself");
        waiting.begin(1).unwrap().out.failures = 1;
        assert_eq!(begun(&waiting), [10, 11]);
    }
}
