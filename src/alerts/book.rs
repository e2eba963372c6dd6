//! The states of some rules, and the two things that happen to them: time and articles.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::alerts::Context;
use crate::alerts::emit::Emission;
use crate::alerts::state::AlertState;
use crate::alerts::state::StateKey;
use crate::alerts::state::Timer;
use crate::alerts::state::owner_of;
use crate::alerts::step;
use crate::model::Article;
use crate::model::Event;
use crate::model::Key;
use crate::model::Match;
use crate::model::Time;
use crate::model::verdict::Decision;

/// An article and what the rules found in it.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The article.
    pub article: &'a Article,
    /// Its matches; targets of rules that are not in the book are left out by the caller.
    pub matches: &'a [Match],
    /// The places that the areas of a CAP message name.
    pub areas: &'a [Key],
    /// Its position in the log.
    pub position: u64,
}

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Events in order.
    pub events: Vec<Event>,
    /// What came of each match.
    pub decisions: Vec<Decision>,
}

/// The states of some rules.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pub(super) states: BTreeMap<StateKey, AlertState>,
    changed: BTreeSet<StateKey>,
    forgotten: BTreeSet<StateKey>,
}

impl Book {
    /// A book of stored states.
    pub fn new(states: impl IntoIterator<Item = AlertState>) -> Self {
        let states = states.into_iter().map(|s| (s.at.clone(), s)).collect();
        Self { states, changed: BTreeSet::new(), forgotten: BTreeSet::new() }
    }

    /// The states, by rule, key and nature.
    pub fn states(&self) -> impl Iterator<Item = &AlertState> {
        self.states.values()
    }

    /// One state.
    pub fn state(&self, at: &StateKey) -> Option<&AlertState> {
        self.states.get(at)
    }

    /// States changed since the last call; they must be written before their events.
    pub fn take_changed(&mut self) -> Vec<StateKey> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }

    /// States that hold nothing any more since the last call; their records may go.
    pub fn take_forgotten(&mut self) -> Vec<StateKey> {
        std::mem::take(&mut self.forgotten).into_iter().collect()
    }

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Time> {
        self.states.values().filter_map(|s| s.alert.next_timer()).map(|(at, _)| at).min()
    }

    /// Lets every timer act that is due at or before `now`, in order of time, then of rules.
    pub fn advance(&mut self, context: &Context<'_>, now: Time) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some((at, key, timer)) = self.first_due(context, now) {
            let Some(state) = self.open_for_change(&key) else { break };
            let emission = Emission::at(at.max(state.now), context.ruleset);
            events.push(match timer {
                Timer::Update => emission.update(state),
                Timer::Expire => emission.expire(state),
            });
        }
        self.forget(now);
        events
    }

    /// Takes an article. Timers due at or before its receipt act first; their events come first.
    pub fn apply(&mut self, context: &Context<'_>, input: &Input<'_>) -> Step {
        let now = input.article.received_at;
        let events = self.advance(context, now);
        let mut step = step::apply(self, context, input);
        step.events.splice(0..0, events);
        step
    }

    /// A state that is about to change. The events of its last step are gone from it when this
    /// is the first change since [`Book::take_changed`]: they have been published.
    pub(super) fn open_for_change(&mut self, at: &StateKey) -> Option<&mut AlertState> {
        let state = self.states.get_mut(at)?;
        if self.changed.insert(at.clone()) {
            state.outbox.clear();
        }
        Some(state)
    }

    pub(super) fn insert(&mut self, state: AlertState) {
        self.changed.insert(state.at.clone());
        self.forgotten.remove(&state.at);
        self.states.insert(state.at.clone(), state);
    }

    fn first_due(&self, context: &Context<'_>, now: Time) -> Option<(Time, StateKey, Timer)> {
        let order = |key: &StateKey| context.place(&key.rule);
        self.states
            .values()
            .filter_map(|s| s.alert.next_timer().map(|(at, timer)| (at, &s.at, timer)))
            .filter(|(at, _, _)| *at <= now)
            .min_by_key(|(at, key, _)| (*at, order(key).unwrap_or(usize::MAX), *key))
            .map(|(at, key, timer)| (at, key.clone(), timer))
    }

    fn forget(&mut self, now: Time) {
        let gone: Vec<StateKey> =
            self.states.values().filter(|s| s.is_forgotten(now)).map(|s| s.at.clone()).collect();
        for key in gone {
            self.states.remove(&key);
            self.changed.remove(&key);
            self.forgotten.insert(key);
        }
    }
}

/// The key of an alert that is kept per source: its owner, as a key can hold it.
pub fn key_of_owner(article: &Article) -> Key {
    Key::new(owner_of(article)).unwrap_or_else(|_| Key::unknown())
}
