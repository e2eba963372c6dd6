//! The states of some rules, and the two things that happen to them: time and articles.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::alerts::Context;
use crate::alerts::emit::Emission;
use crate::alerts::schedule::Schedule;
use crate::alerts::state::AlertState;
use crate::alerts::state::REMEMBERED;
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
    /// When the next timer of each state is due.
    due: Schedule,
    /// When each closed state may be forgotten.
    closed: Schedule,
    /// States that may have changed since the two were set. Empty between calls from outside.
    unscheduled: Vec<StateKey>,
}

impl Book {
    /// A book of stored states.
    pub fn new(states: impl IntoIterator<Item = AlertState>) -> Self {
        let states: BTreeMap<StateKey, AlertState> =
            states.into_iter().map(|s| (s.at.clone(), s)).collect();
        let unscheduled = states.keys().cloned().collect();
        let mut book = Self { states, unscheduled, ..Self::default() };
        book.schedule();
        book
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
        self.due.first()
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
            self.schedule();
        }
        self.forget(now);
        events
    }

    /// Takes an article. Timers due at or before its receipt act first; their events come first.
    pub fn apply(&mut self, context: &Context<'_>, input: &Input<'_>) -> Step {
        let now = input.article.received_at;
        let events = self.advance(context, now);
        let mut step = step::apply(self, context, input);
        self.schedule();
        step.events.splice(0..0, events);
        step
    }

    /// A state that is about to change. The events of its last step are gone from it when this
    /// is the first change since [`Book::take_changed`]: they have been published.
    pub(super) fn open_for_change(&mut self, at: &StateKey) -> Option<&mut AlertState> {
        let state = self.states.get_mut(at)?;
        self.unscheduled.push(at.clone());
        if self.changed.insert(at.clone()) {
            state.outbox.clear();
        }
        Some(state)
    }

    pub(super) fn insert(&mut self, state: AlertState) {
        self.changed.insert(state.at.clone());
        self.unscheduled.push(state.at.clone());
        self.forgotten.remove(&state.at);
        self.states.insert(state.at.clone(), state);
    }

    fn first_due(&self, context: &Context<'_>, now: Time) -> Option<(Time, StateKey, Timer)> {
        let at = self.due.first().filter(|at| *at <= now)?;
        // Of several in one place the first one: they come by key.
        let order = |key: &&StateKey| context.place(&key.rule).unwrap_or(usize::MAX);
        let key = self.due.at_first().min_by_key(order)?;
        let (_, timer) = self.states.get(key)?.alert.next_timer()?;
        Some((at, key.clone(), timer))
    }

    /// Sets the times of the states that may have changed.
    fn schedule(&mut self) {
        for key in std::mem::take(&mut self.unscheduled) {
            let state = self.states.get(&key);
            let timer = state.and_then(|s| s.alert.next_timer());
            self.due.set(&key, timer.map(|(at, _)| at));
            let closing = state.and_then(|s| s.alert.closing.as_ref());
            self.closed.set(&key, closing.map(|c| c.at.plus(REMEMBERED)));
        }
    }

    fn forget(&mut self, now: Time) {
        let gone = |key: &&StateKey| self.states.get(key).is_some_and(|s| s.is_forgotten(now));
        let gone: Vec<StateKey> = self.closed.until(now).filter(gone).cloned().collect();
        for key in gone {
            self.states.remove(&key);
            self.changed.remove(&key);
            self.forgotten.insert(key.clone());
            self.unscheduled.push(key);
        }
        self.schedule();
    }
}

/// The key of an alert that is kept per source: its owner, as a key can hold it.
pub fn key_of_owner(article: &Article) -> Key {
    Key::new(owner_of(article)).unwrap_or_else(|_| Key::unknown())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::ArticleId;
    use crate::model::Cap;
    use crate::model::Rule;
    use crate::model::RuleId;
    use crate::model::SourceId;
    use crate::model::cap::Block;
    use crate::model::cap::CapStatus;
    use crate::model::cap::MsgType;
    use crate::model::cap::Scope;
    use crate::model::matching::Target;
    use crate::model::rule::UpdateEvery;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// File order is not that of ids: of two timers that are due at once, the file decides.
    fn rules() -> Vec<Rule> {
        let rule = |id| Rule::with_defaults(RuleId::new(id).unwrap());
        let siren = Rule { close_after: 2 * HOUR, ..rule("siren") };
        let every = UpdateEvery::After(Duration::ZERO);
        let horn = Rule { close_after: HOUR, update_every: every, ..rule("horn") };
        let over = Rule { ends: vec![siren.id.clone(), horn.id.clone()], ..rule("over") };
        vec![siren, horn, over]
    }

    /// Matches of some rules under some keys.
    fn matches(rules: &[Rule], random: &mut fastrand::Rng) -> Vec<Match> {
        let said: Vec<&Rule> = rules.iter().filter(|_| random.u8(0..3) == 0).collect();
        let over = said.iter().find(|r| !r.opens_alerts()).map(|r| r.id.clone());
        let mut keys = vec![["a", "b", "-"][random.usize(0..3)]];
        keys.extend((keys[0] == "a" && random.bool()).then_some("b"));
        let keys: Vec<Key> = keys.into_iter().map(|key| Key::new(key).unwrap()).collect();
        let target = |rule: &RuleId| Target { rule: rule.clone(), keys: keys.clone() };
        said.iter()
            .map(|rule| Match {
                rule: rule.id.clone(),
                topic: rule.topic.clone(),
                superseded_by: over.clone().filter(|_| rule.opens_alerts()),
                evidence: Vec::new(),
                targets: if rule.opens_alerts() {
                    vec![target(&rule.id)]
                } else {
                    rule.ends.iter().map(target).collect()
                },
            })
            .collect()
    }

    /// A report, a revision of an earlier one, or a message about an earlier one.
    fn article(number: u32, now: Time, random: &mut fastrand::Rng) -> Article {
        let source = SourceId::new(["one", "two", "three"][random.usize(0..3)]).unwrap();
        let about = random.u32(0..=number);
        let id = |n: u32| ArticleId::of(&SourceId::push(), &n.to_string());
        let words = |from: u32| (from..from + 30).map(|n| format!("word{n} ")).collect();
        let text = (format!("Report {number}"), words(random.u32(0..4) * 12));
        let mut article = Article::first(id(number), source, text, now);
        match random.u8(0..6) {
            0 => {
                article.id = id(about);
                article.revision = number + 2;
                article.withdrawn = random.bool();
            }
            1 => {
                let expires = random.bool().then(|| now.plus(random.u32(0..5) * HOUR));
                article.cap = Some(Cap {
                    identifier: number.to_string(),
                    sender: "office".to_owned(),
                    status: [CapStatus::Actual, CapStatus::Test][random.usize(0..2)],
                    msg_type: [MsgType::Alert, MsgType::Update, MsgType::Cancel]
                        [random.usize(0..3)],
                    scope: Scope::Public,
                    references: vec![id(about)],
                    replaced: false,
                    blocks: vec![Block { expires, ..Block::default() }],
                });
            }
            _ => {}
        }
        article
    }

    /// What is kept of times and sources is what looking at every state says.
    fn check(book: &Book, context: &Context<'_>, seed: u64) {
        let timer =
            |s: &AlertState| s.alert.next_timer().map(|(at, timer)| (at, s.at.clone(), timer));
        let timers: Vec<_> = book.states().filter_map(timer).collect();
        assert_eq!(book.next_due(), timers.iter().map(|(at, ..)| *at).min(), "seed {seed}");
        let order = |(at, key, _): &(Time, StateKey, Timer)| {
            (*at, context.place(&key.rule).unwrap_or(usize::MAX), key.clone())
        };
        let first = timers.into_iter().min_by_key(order);
        assert_eq!(book.first_due(context, Time::from_millis(i64::MAX)), first, "seed {seed}");
        for hours in [0, 24, 47, 48, 49, 96, 1_000] {
            let now = Time::from_millis(1_800_000_000_000).plus(hours * HOUR);
            let mut kept = book.clone();
            kept.forget(now);
            let left: Vec<&AlertState> = book.states().filter(|s| !s.is_forgotten(now)).collect();
            assert_eq!(kept.states().collect::<Vec<_>>(), left, "seed {seed}");
        }
        for state in book.states().filter(|s| s.alert.is_open()) {
            let sources = state.alert.view.independent_sources;
            assert_eq!(sources, state.alert.independent(), "seed {seed}: {state:?}");
        }
    }

    #[test]
    fn times_and_sources_are_those_of_all_states() {
        let rules = rules();
        let by_id = [1, 2, 0];
        let context = Context { rules: &rules, by_id: &by_id, ruleset: "", places: &[] };
        let mut opened = 0;
        for seed in 0..100 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut book, mut now) = (Book::default(), Time::from_millis(1_800_000_000_000));
            for number in 0..40 {
                now = now.plus(Duration::from_secs(random.u64(0..4) * random.u64(0..30_000)));
                if random.u8(0..4) == 0 {
                    book.advance(&context, now);
                    check(&book, &context, seed);
                }
                let article = article(number, now, &mut random);
                let matches = matches(&rules, &mut random);
                let (article, matches, areas) = (&article, &matches, &[]);
                let position = u64::from(number) + 1;
                let step = book.apply(&context, &Input { article, matches, areas, position });
                opened += step.events.iter().filter(|e| e.number == 1).count();
                check(&book, &context, seed);
                let stored = Book::new(book.states().cloned());
                check(&stored, &context, seed);
                if random.bool() {
                    book.take_changed();
                    book.take_forgotten();
                }
            }
        }
        assert!(opened > 1_000, "{opened} alerts were opened");
    }
}
