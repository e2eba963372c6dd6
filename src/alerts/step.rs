//! One article against the states: the table of the rules' life cycle.

use crate::alerts::Context;
use crate::alerts::book::Book;
use crate::alerts::book::Input;
use crate::alerts::book::Step;
use crate::alerts::concern::Closer;
use crate::alerts::copies::Wording;
use crate::alerts::emit::Emission;
use crate::alerts::operator::operator;
use crate::alerts::state::AlertState;
use crate::alerts::state::StateKey;
use crate::model::Article;
use crate::model::Cap;
use crate::model::Event;
use crate::model::Evidence;
use crate::model::Key;
use crate::model::Match;
use crate::model::Nature;
use crate::model::Rule;
use crate::model::RuleId;
use crate::model::Time;
use crate::model::verdict::Decision;
use crate::model::verdict::Effect;
use crate::model::verdict::Role;
use std::collections::BTreeSet;

/// The article, what it is to one rule, and where events of this step are gathered.
pub(super) struct Work<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) input: &'a Input<'a>,
    pub(super) wording: &'a Wording<'a>,
    pub(super) rule: &'a Rule,
    /// That of the alerts it moves.
    pub(super) nature: Nature,
    pub(super) events: Vec<Event>,
    pub(super) decisions: Vec<Decision>,
    pub(super) touched: BTreeSet<StateKey>,
}

/// What one rule's alerts hear from the article.
pub(super) struct Said<'a> {
    pub(super) role: Role,
    pub(super) closer: Option<Closer>,
    pub(super) keys: &'a [Key],
    pub(super) evidence: &'a [Evidence],
}

pub(super) fn apply(book: &mut Book, context: &Context<'_>, input: &Input<'_>) -> Step {
    let mut step = Step::default();
    if input.article.directive.is_some() {
        operator(book, context, input, &mut step);
        return step;
    }
    let Some(nature) = input.article.nature() else { return step };
    let meant = meant(book, context, input);
    let wording = Wording::of(input.article);
    for rule in meant.into_iter().filter_map(|at| context.rules.get(at)) {
        let mut work = Work {
            context,
            input,
            wording: &wording,
            rule,
            nature,
            events: Vec::new(),
            decisions: Vec::new(),
            touched: BTreeSet::new(),
        };
        match &input.article.cap {
            Some(cap) => work.hear_message(book, cap),
            None => {
                for said in said_of(rule, context, input.matches) {
                    work.hear(book, &said);
                }
            }
        }
        work.correct(book);
        work.order_by_place();
        work.name_alerts(book);
        step.events.append(&mut work.events);
        step.decisions.append(&mut work.decisions);
    }
    step
}

/// The rules whose alerts the article may move, in file order: those its matches speak of, and
/// those that count an earlier revision of it or a message it refers to.
fn meant(book: &Book, context: &Context<'_>, input: &Input<'_>) -> BTreeSet<usize> {
    let targets = input.matches.iter().flat_map(|m| &m.targets).map(|t| &t.rule);
    let mut meant: BTreeSet<usize> = targets.filter_map(|id| context.place(id)).collect();
    let article = input.article;
    let references = article.cap.as_ref().map_or(&[][..], |cap| &cap.references);
    if article.revision > 1 || article.withdrawn || !references.is_empty() {
        let counts = |s: &&AlertState| {
            s.alert.counts_any(std::slice::from_ref(&article.id)) || s.alert.counts_any(references)
        };
        let rules = book.states().filter(counts).map(|s| &s.at.rule);
        meant.extend(rules.filter_map(|id| context.place(id)));
    }
    meant
}

/// What the article's matches say of one rule's alerts: its own match if there is one, else the
/// matches of rules that take back, then of those that end.
fn said_of<'a>(rule: &Rule, context: &Context<'_>, matches: &'a [Match]) -> Vec<Said<'a>> {
    let keys = |m: &'a Match| {
        m.targets.iter().find(|t| t.rule == rule.id).map_or(&[][..], |t| t.keys.as_slice())
    };
    let closer = |id: &RuleId| {
        let by = context.rule(id)?;
        let retracts = by.retracts.contains(&rule.id);
        (retracts || by.ends.contains(&rule.id)).then_some(if retracts {
            Closer::Retract
        } else {
            Closer::End
        })
    };
    if let Some(own) = matches.iter().find(|m| m.rule == rule.id) {
        let closer = own.superseded_by.as_ref().and_then(closer);
        let role = if closer.is_some() { Role::Doubtful } else { Role::Start };
        return vec![Said { role, closer, keys: keys(own), evidence: &own.evidence }];
    }
    let mut said: Vec<Said<'a>> = matches
        .iter()
        .filter_map(|m| Some((m, closer(&m.rule)?)))
        .map(|(m, closer)| {
            let role = if closer == Closer::Retract { Role::Retract } else { Role::End };
            Said { role, closer: Some(closer), keys: keys(m), evidence: &m.evidence }
        })
        .collect();
    said.sort_by_key(|s| s.role != Role::Retract);
    said
}

impl<'a> Work<'a> {
    fn hear(&mut self, book: &mut Book, said: &Said<'_>) {
        for key in said.keys {
            if self.input.article.withdrawn {
                continue;
            }
            match (said.role, said.closer) {
                (Role::Start, _) | (_, None) => self.start(book, key, said),
                (Role::Doubtful, Some(closer)) => self.doubtful(book, key, closer, said),
                (_, Some(closer)) => {
                    self.close(book, key, closer, said);
                }
            }
        }
    }

    pub(super) fn article(&self) -> &'a Article {
        self.input.article
    }

    pub(super) fn at(&self, key: &Key) -> StateKey {
        StateKey { rule: self.rule.id.clone(), key: key.clone(), nature: self.nature }
    }

    pub(super) fn emission(&self, state_now: Option<Time>) -> Emission<'a> {
        let now = self.article().received_at;
        Emission::at(state_now.map_or(now, |t| t.max(now)), self.context.ruleset)
    }

    pub(super) fn is_late(&self) -> bool {
        let article = self.article();
        let over =
            |cap: &Cap| cap.replaced || cap.expires().is_some_and(|t| t <= article.received_at);
        article.first_poll
            || article.cap.as_ref().is_some_and(over)
            || article.dated() < article.received_at.minus(self.rule.max_age)
    }

    /// The state, ready to be changed by this article; none if it has applied it already or has
    /// had its event.
    pub(super) fn state<'b>(
        &mut self,
        book: &'b mut Book,
        at: &StateKey,
    ) -> Option<&'b mut AlertState> {
        if self.touched.contains(at) || book.state(at)?.applied >= self.input.position {
            return None;
        }
        let state = book.open_for_change(at)?;
        state.applied = self.input.position;
        state.now = state.now.max(self.input.article.received_at);
        Some(state)
    }

    pub(super) fn decided(&mut self, key: &Key, role: Role, effect: Effect) {
        let event = match effect {
            Effect::Event(_) => self.events.last().map(|e| e.id.clone()),
            _ => None,
        };
        let rule = self.rule.id.clone();
        let alert = None;
        self.decisions.push(Decision { rule, key: key.clone(), role, effect, event, alert });
    }

    pub(super) fn happened(&mut self, at: &StateKey, role: Role, event: Event) {
        let effect = Effect::Event(event.kind);
        self.touched.insert(at.clone());
        self.events.push(event);
        self.decided(&at.key, role, effect);
    }

    /// Says which alert each decision is about: who asks later has only the verdict.
    fn name_alerts(&mut self, book: &Book) {
        let mut decisions = std::mem::take(&mut self.decisions);
        for decision in decisions.iter_mut().filter(|d| d.effect != Effect::Nothing) {
            let state = book.state(&self.at(&decision.key));
            decision.alert = state.map(|s| s.alert.view.id.clone());
        }
        self.decisions = decisions;
    }

    /// Events of one rule follow the order of places in the gazetteer.
    fn order_by_place(&mut self) {
        let places = self.context.places;
        let place = |e: &Event| places.iter().position(|k| *k == e.alert.key).unwrap_or(usize::MAX);
        self.events.sort_by_key(place);
    }
}
