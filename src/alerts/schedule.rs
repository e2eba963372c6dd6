//! Which states have a time, in order of that time, so that nobody has to look at all of them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::alerts::state::StateKey;
use crate::model::Time;

/// At most one time for each state.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    order: BTreeSet<(Time, StateKey)>,
    times: BTreeMap<StateKey, Time>,
}

impl Schedule {
    /// The earliest time.
    pub(super) fn first(&self) -> Option<Time> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The states with the earliest time, by rule, key and nature.
    pub(super) fn at_first(&self) -> impl Iterator<Item = &StateKey> {
        let first = self.first();
        self.order.iter().take_while(move |(at, _)| Some(*at) == first).map(|(_, key)| key)
    }

    /// The states with a time at or before `now`, in order of time.
    pub(super) fn until(&self, now: Time) -> impl Iterator<Item = &StateKey> {
        self.order.iter().take_while(move |(at, _)| *at <= now).map(|(_, key)| key)
    }

    /// Sets or takes away the time of a state.
    pub(super) fn set(&mut self, key: &StateKey, at: Option<Time>) {
        if self.times.get(key).copied() == at {
            return;
        }
        if let Some(before) = self.times.remove(key) {
            self.order.remove(&(before, key.clone()));
        }
        if let Some(at) = at {
            self.times.insert(key.clone(), at);
            self.order.insert((at, key.clone()));
        }
    }
}
