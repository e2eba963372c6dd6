//! One article against the states: the table of the rules' life cycle.

use std::collections::BTreeSet;

use crate::alerts::book::Book;
use crate::alerts::book::Context;
use crate::alerts::book::Input;
use crate::alerts::book::Step;
use crate::alerts::concern::Closer;
use crate::alerts::concern::Concerned;
use crate::alerts::concern::concerned;
use crate::alerts::emit::Emission;
use crate::alerts::emit::Remark;
use crate::alerts::emit::raise;
use crate::alerts::state::Alert;
use crate::alerts::state::AlertState;
use crate::alerts::state::Closing;
use crate::alerts::state::Counted;
use crate::alerts::state::MAX_COUNTED;
use crate::alerts::state::StateKey;
use crate::alerts::state::owner_of;
use crate::alerts::state::shown;
use crate::model::Article;
use crate::model::DirectiveKind;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::Evidence;
use crate::model::Key;
use crate::model::Match;
use crate::model::Nature;
use crate::model::Rule;
use crate::model::RuleId;
use crate::model::Severity;
use crate::model::Time;
use crate::model::Version;
use crate::model::event::Confirmation;
use crate::model::event::Status;
use crate::model::rule::UpdateEvery;
use crate::model::verdict::Decision;
use crate::model::verdict::Effect;
use crate::model::verdict::Role;

/// The article, what it is to one rule, and where events of this step are gathered.
struct Work<'a> {
    context: &'a Context<'a>,
    input: &'a Input<'a>,
    rule: &'a Rule,
    events: Vec<Event>,
    decisions: Vec<Decision>,
    touched: BTreeSet<StateKey>,
}

/// What one rule's alerts hear from the article.
struct Said<'a> {
    role: Role,
    closer: Option<Closer>,
    keys: &'a [Key],
    evidence: &'a [Evidence],
}

pub(super) fn apply(book: &mut Book, context: &Context<'_>, input: &Input<'_>) -> Step {
    let mut step = Step::default();
    if input.article.directive.is_some() {
        operator(book, context, input, &mut step);
        return step;
    }
    for rule in context.rules.iter().filter(|r| r.opens_alerts()) {
        let mut work = Work {
            context,
            input,
            rule,
            events: Vec::new(),
            decisions: Vec::new(),
            touched: BTreeSet::new(),
        };
        for said in said_of(rule, context.rules, input.matches) {
            work.hear(book, &said);
        }
        work.correct(book);
        work.order_by_place();
        step.events.append(&mut work.events);
        step.decisions.append(&mut work.decisions);
    }
    step
}

/// What the article's matches say of one rule's alerts: its own match if there is one, else the
/// matches of rules that take back, then of those that end.
fn said_of<'a>(rule: &Rule, rules: &[Rule], matches: &'a [Match]) -> Vec<Said<'a>> {
    let keys = |m: &'a Match| {
        m.targets.iter().find(|t| t.rule == rule.id).map_or(&[][..], |t| t.keys.as_slice())
    };
    let closer = |id: &RuleId| {
        let by = rules.iter().find(|r| r.id == *id)?;
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

    fn article(&self) -> &'a Article {
        self.input.article
    }

    fn at(&self, key: &Key) -> StateKey {
        StateKey { rule: self.rule.id.clone(), key: key.clone(), nature: Nature::Actual }
    }

    fn emission(&self, state_now: Option<Time>) -> Emission<'a> {
        let now = self.article().received_at;
        Emission::at(state_now.map_or(now, |t| t.max(now)), self.context.ruleset)
    }

    fn is_late(&self) -> bool {
        let article = self.article();
        article.first_poll || article.dated() < article.received_at.minus(self.rule.max_age)
    }

    /// The state, ready to be changed by this article; none if it has applied it already or has
    /// had its event.
    fn state<'b>(&mut self, book: &'b mut Book, at: &StateKey) -> Option<&'b mut AlertState> {
        if self.touched.contains(at) || book.state(at)?.applied >= self.input.position {
            return None;
        }
        let state = book.open_for_change(at)?;
        state.applied = self.input.position;
        state.now = state.now.max(self.input.article.received_at);
        Some(state)
    }

    fn decided(&mut self, key: &Key, role: Role, effect: Effect) {
        let event = match effect {
            Effect::Event(_) => self.events.last().map(|e| e.id.clone()),
            _ => None,
        };
        let rule = self.rule.id.clone();
        self.decisions.push(Decision { rule, key: key.clone(), role, effect, event });
    }

    fn happened(&mut self, at: &StateKey, role: Role, event: Event) {
        let effect = Effect::Event(event.kind);
        self.touched.insert(at.clone());
        self.events.push(event);
        self.decided(&at.key, role, effect);
    }

    fn start(&mut self, book: &mut Book, key: &Key, said: &Said<'_>) {
        let at = self.at(key);
        if self.is_late() {
            return self.decided(key, said.role, Effect::Late);
        }
        let Some(known) = book.state(&at) else { return self.open(book, &at, said, false) };
        if known.applied >= self.input.position {
            return;
        }
        let alert = &known.alert;
        match &alert.closing {
            None => self.join(book, &at, said),
            Some(closing) => {
                let after =
                    if alert.view.status == Status::Expired { closing.at } else { closing.dated };
                if self.article().dated() > after {
                    self.open(book, &at, said, false);
                } else {
                    self.decided(key, said.role, Effect::Late);
                }
            }
        }
    }

    fn doubtful(&mut self, book: &mut Book, key: &Key, closer: Closer, said: &Said<'_>) {
        let revision = (&self.article().id, self.article().revision);
        let at = self.at(key);
        match concerned(book, &self.rule.id, key, closer, revision) {
            Concerned::One(one)
                if book.state(&one).is_some_and(|s| s.alert.doubtful && s.alert.is_open()) =>
            {
                if self.is_late() {
                    self.decided(key, said.role, Effect::Late);
                } else {
                    self.join(book, &one, said);
                }
            }
            Concerned::One(one) if self.reports_closed_again(book, &one, closer) => {
                self.doubtful_anew(book, &one, said);
            }
            Concerned::One(one) => self.close_one(book, &one, closer, said),
            Concerned::Several(all) => self.possible_end(book, &all, said),
            Concerned::Nobody => self.doubtful_anew(book, &at, said),
        }
    }

    /// Whether a doubtful start meets an alert that this closer cannot close once more.
    fn reports_closed_again(&self, book: &Book, at: &StateKey, closer: Closer) -> bool {
        let status = book.state(at).map(|s| s.alert.view.status);
        match closer {
            Closer::End => matches!(status, Some(Status::Ended | Status::Retracted)),
            Closer::Retract => status == Some(Status::Retracted),
        }
    }

    /// A doubtful start that closes nothing: it opens a doubtful alert, unless it is late or one
    /// more report of an end that is fresh.
    fn doubtful_anew(&mut self, book: &mut Book, at: &StateKey, said: &Said<'_>) {
        if self.is_late() {
            return self.decided(&at.key, said.role, Effect::Late);
        }
        let article = self.article();
        let fresh = book.state(at).is_some_and(|s| {
            let closing = s.alert.closing.as_ref();
            s.alert.is_open()
                || s.alert.view.status == Status::Expired
                || closing.is_some_and(|c| article.received_at.since(c.at) < self.rule.close_after)
        });
        if fresh {
            return self.decided(&at.key, said.role, Effect::Listed);
        }
        self.open(book, at, said, true);
    }

    fn open(&mut self, book: &mut Book, at: &StateKey, said: &Said<'_>, doubtful: bool) {
        let article = self.article();
        let emission = self.emission(book.state(at).map(|s| s.now));
        let mut alert = emission.new_alert(self.rule, at, article);
        alert.doubtful = doubtful;
        if doubtful {
            alert.view.severity = Severity::Info;
        }
        count(&mut alert, article, said.evidence);
        if self.confirms(&alert) {
            confirm(&mut alert, self.rule);
        }
        let mut state = match book.open_for_change(at) {
            Some(known) => {
                let mut state = known.clone();
                state.retire(article.received_at);
                state.alert = alert;
                state
            }
            None => AlertState {
                v: Version,
                at: at.clone(),
                applied: 0,
                now: article.received_at,
                outbox: Vec::new(),
                alert,
                predecessors: Vec::new(),
            },
        };
        state.applied = self.input.position;
        let remark = Remark { possible_end: doubtful, ..Remark::default() };
        let event = emission.event(&mut state, EventKind::Opened, remark);
        book.insert(state);
        self.happened(at, said.role, event);
    }

    /// An open alert and one more report.
    fn join(&mut self, book: &mut Book, at: &StateKey, said: &Said<'_>) {
        let (article, rule) = (self.article(), self.rule);
        let emission = self.emission(book.state(at).map(|s| s.now));
        let Some(state) = self.state(book, at) else { return };
        let alert = &mut state.alert;
        if let Some(known) = alert.counted_mut(&article.id) {
            known.revision = article.revision;
            known.title.clone_from(&article.title);
            known.evidence = said.evidence.to_vec();
            if !(alert.doubtful && said.role == Role::Start) {
                return self.decided(&at.key, said.role, Effect::Listed);
            }
        }
        count(alert, article, said.evidence);
        let confirms =
            alert.view.confirmation == Confirmation::Unconfirmed && confirms(alert, article, rule);
        let settles = alert.doubtful && said.role == Role::Start;
        if settles {
            alert.doubtful = false;
            raise(&mut alert.view, rule.severity);
        }
        let doubtful = alert.doubtful;
        let event = if confirms {
            confirm(alert, rule);
            emission.event(state, EventKind::Confirmed, Remark::default())
        } else if settles {
            emission.event(state, EventKind::Updated, Remark::default())
        } else {
            match cooldown(alert, article.received_at) {
                Cooldown::Over => {
                    let remark = Remark { possible_end: doubtful, ..Remark::default() };
                    emission.event(state, EventKind::Updated, remark)
                }
                Cooldown::Until(due) => {
                    alert.update_due = Some(alert.update_due.map_or(due, |known| known.min(due)));
                    return self.decided(&at.key, said.role, Effect::Joined);
                }
                Cooldown::Never => return self.decided(&at.key, said.role, Effect::Joined),
            }
        };
        self.happened(at, said.role, event);
    }

    fn confirms(&self, alert: &Alert) -> bool {
        confirms(alert, self.article(), self.rule)
    }

    fn close(&mut self, book: &mut Book, key: &Key, closer: Closer, said: &Said<'_>) {
        let revision = (&self.article().id, self.article().revision);
        if self.article().first_poll {
            return self.decided(key, said.role, Effect::Late);
        }
        match concerned(book, &self.rule.id, key, closer, revision) {
            Concerned::Nobody => self.decided(key, said.role, Effect::Nothing),
            Concerned::One(one) => self.close_one(book, &one, closer, said),
            Concerned::Several(all) => self.possible_end(book, &all, said),
        }
    }

    fn close_one(&mut self, book: &mut Book, at: &StateKey, closer: Closer, said: &Said<'_>) {
        let article = self.article();
        if article.first_poll {
            return self.decided(&at.key, said.role, Effect::Late);
        }
        let late = self.is_late();
        let emission = self.emission(book.state(at).map(|s| s.now));
        let Some(state) = self.state(book, at) else { return };
        let closable = match closer {
            Closer::End => matches!(state.alert.view.status, Status::Open | Status::Expired),
            Closer::Retract => state.alert.view.status != Status::Retracted,
        };
        if !closable || article.dated() < state.alert.opened_dated {
            return self.decided(&at.key, said.role, Effect::Listed);
        }
        state.alert.add_untold(shown(article, said.evidence.to_vec()));
        let closing = Closing {
            at: state.now,
            dated: article.dated(),
            by: Some((article.id.clone(), article.revision)),
        };
        let kind = if closer == Closer::Retract { EventKind::Retracted } else { EventKind::Ended };
        let remark = Remark { late, ..Remark::default() };
        let event = emission.close(state, kind, closing, remark);
        self.happened(at, said.role, event);
    }

    /// Words of an end that may mean any of several alerts: each is told, none is closed.
    fn possible_end(&mut self, book: &mut Book, all: &[StateKey], said: &Said<'_>) {
        let (article, late) = (self.article(), self.is_late());
        for at in all {
            let emission = self.emission(book.state(at).map(|s| s.now));
            let Some(state) = self.state(book, at) else { continue };
            if !state.alert.is_open() || article.dated() < state.alert.opened_dated {
                self.decided(&at.key, said.role, Effect::Listed);
                continue;
            }
            state.alert.add_untold(shown(article, said.evidence.to_vec()));
            let remark = Remark { possible_end: true, late, ..Remark::default() };
            let event = emission.event(state, EventKind::Updated, remark);
            self.happened(at, said.role, event);
        }
    }

    /// Open alerts that counted an earlier revision which this one no longer supports.
    fn correct(&mut self, book: &mut Book) {
        let article = self.article();
        if article.revision == 1 && !article.withdrawn {
            return;
        }
        let counting: Vec<StateKey> = book
            .states()
            .filter(|s| s.at.rule == self.rule.id && s.alert.is_open())
            .filter(|s| s.applied < self.input.position && !self.speaks_of(&s.at))
            .filter(|s| s.alert.counted.iter().any(|c| c.id == article.id))
            .map(|s| s.at.clone())
            .collect();
        for at in counting {
            self.correct_one(book, &at);
        }
    }

    fn speaks_of(&self, at: &StateKey) -> bool {
        self.touched.contains(at)
            || self.decisions.iter().any(|d| d.rule == at.rule && d.key == at.key)
    }

    fn correct_one(&mut self, book: &mut Book, at: &StateKey) {
        let article = self.article();
        let emission = self.emission(book.state(at).map(|s| s.now));
        let Some(state) = self.state(book, at) else { return };
        let Some(place) = state.alert.counted.iter().position(|c| c.id == article.id) else {
            return;
        };
        let old = state.alert.counted.remove(place);
        state.alert.view.independent_sources =
            state.alert.independent_since(Time::from_millis(i64::MIN));
        let mut before = shown(article, old.evidence);
        before.revision = old.revision;
        before.title = old.title;
        let last_withdrawn = article.withdrawn && state.alert.counted.is_empty();
        state.alert.add_untold(shown(article, Vec::new()));
        state.alert.untold.insert(state.alert.untold.len().saturating_sub(1), before);
        let reason = if article.withdrawn {
            "withdrawn by its publisher"
        } else {
            "a new revision no longer says so"
        };
        let remark = Remark { reason: Some(reason), ..Remark::default() };
        let event = if last_withdrawn {
            let closing = Closing {
                at: state.now,
                dated: article.dated(),
                by: Some((article.id.clone(), article.revision)),
            };
            emission.close(state, EventKind::Retracted, closing, remark)
        } else {
            emission.event(state, EventKind::Corrected, remark)
        };
        self.happened(at, Role::Corrected, event);
    }

    /// Events of one rule follow the order of places, which is the order of the match's keys.
    fn order_by_place(&mut self) {
        let keys: Vec<Key> = self
            .input
            .matches
            .iter()
            .flat_map(|m| m.targets.iter().filter(|t| t.rule == self.rule.id))
            .flat_map(|t| t.keys.iter().cloned())
            .collect();
        let place = |e: &Event| keys.iter().position(|k| *k == e.alert.key).unwrap_or(usize::MAX);
        self.events.sort_by_key(place);
    }
}

/// An operator's own ending or retraction.
fn operator(book: &mut Book, context: &Context<'_>, input: &Input<'_>, step: &mut Step) {
    let article = input.article;
    let Some(directive) = &article.directive else { return };
    let at = book.states().find(|s| s.alert.view.id == directive.alert).map(|s| s.at.clone());
    let Some(at) = at else { return };
    let Some(state) = book.state(&at).filter(|s| s.applied < input.position) else { return };
    let (allowed, role, kind) = match directive.kind {
        DirectiveKind::End => (state.alert.is_open(), Role::End, EventKind::Ended),
        DirectiveKind::Retract => {
            let status = state.alert.view.status;
            (status != Status::Retracted, Role::Retract, EventKind::Retracted)
        }
    };
    let Some(state) = book.open_for_change(&at) else { return };
    state.applied = input.position;
    state.now = state.now.max(article.received_at);
    let mut decision = Decision {
        rule: at.rule.clone(),
        key: at.key.clone(),
        role,
        effect: Effect::Listed,
        event: None,
    };
    if allowed {
        let now = state.now;
        let by = Some((article.id.clone(), article.revision));
        let closing = Closing { at: now, dated: article.dated(), by };
        let remark = Remark { reason: Some(&directive.reason), ..Remark::default() };
        let event = Emission::at(now, context.ruleset).close(state, kind, closing, remark);
        decision.effect = Effect::Event(kind);
        decision.event = Some(event.id.clone());
        step.events.push(event);
    }
    step.decisions.push(decision);
}

enum Cooldown {
    Over,
    Until(Time),
    Never,
}

fn cooldown(alert: &Alert, now: Time) -> Cooldown {
    match alert.update_every {
        UpdateEvery::Never => Cooldown::Never,
        UpdateEvery::After(wait) => {
            let due = alert.last_event_at.plus(wait);
            if due <= now { Cooldown::Over } else { Cooldown::Until(due) }
        }
    }
}

fn count(alert: &mut Alert, article: &Article, evidence: &[Evidence]) {
    alert.last_counted_at = alert.last_counted_at.max(article.received_at);
    alert.add_untold(shown(article, evidence.to_vec()));
    if alert.counted.iter().all(|c| c.id != article.id) {
        if alert.counted.len() < MAX_COUNTED {
            alert.counted.push(Counted {
                id: article.id.clone(),
                revision: article.revision,
                owner: owner_of(article),
                received: article.received_at,
                title: article.title.clone(),
                evidence: evidence.to_vec(),
            });
        } else {
            alert.uncounted = alert.uncounted.saturating_add(1);
        }
    }
    alert.view.independent_sources = alert.independent_since(Time::from_millis(i64::MIN));
}

fn confirms(alert: &Alert, article: &Article, rule: &Rule) -> bool {
    let agreed = rule.confirm.is_some_and(|c| {
        alert.independent_since(article.received_at.minus(c.within)) >= c.distinct_sources
    });
    article.official || agreed
}

fn confirm(alert: &mut Alert, rule: &Rule) {
    alert.view.confirmation = Confirmation::Confirmed;
    if let Some(severity) = rule.confirm.and_then(|c| c.severity) {
        raise(&mut alert.view, severity);
    }
}
