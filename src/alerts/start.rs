//! Starts, doubtful starts: what opens an alert, joins it, or confirms it.

use crate::alerts::book::Book;
use crate::alerts::concern::Closer;
use crate::alerts::concern::Concerned;
use crate::alerts::concern::concerned;
use crate::alerts::copies::Wording;
use crate::alerts::emit::Remark;
use crate::alerts::emit::raise;
use crate::alerts::state::Alert;
use crate::alerts::state::AlertState;
use crate::alerts::state::StateKey;
use crate::alerts::state::shown;
use crate::alerts::step::Said;
use crate::alerts::step::Work;
use crate::model::Article;
use crate::model::Cap;
use crate::model::EventKind;
use crate::model::Evidence;
use crate::model::Key;
use crate::model::Rule;
use crate::model::Severity;
use crate::model::Time;
use crate::model::Version;
use crate::model::cap::Says;
use crate::model::event::Confirmation;
use crate::model::event::Status;
use crate::model::rule::UpdateEvery;
use crate::model::verdict::Effect;
use crate::model::verdict::Role;

impl Work<'_> {
    pub(super) fn start(&mut self, book: &mut Book, key: &Key, said: &Said<'_>) {
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
                // Dated by their receipt within one moment, the log says which came first.
                let (dated, received) = (self.article().dated(), self.article().received_at);
                let is_after = dated > after || (dated == after && dated == received);
                if is_after && !alert.is_repeated_by(self.wording) {
                    self.open(book, &at, said, false);
                } else {
                    self.decided(key, said.role, Effect::Late);
                }
            }
        }
    }

    pub(super) fn doubtful(&mut self, book: &mut Book, key: &Key, closer: Closer, said: &Said<'_>) {
        let revision = (&self.article().id, self.article().revision);
        let at = self.at(key);
        if self.article().first_poll {
            return self.decided(key, said.role, Effect::Late);
        }
        let concerned = concerned(book, &self.rule.id, key, closer, revision);
        match &concerned {
            Concerned::One(one)
                if book.state(one).is_some_and(|s| s.alert.doubtful && s.alert.is_open()) =>
            {
                if self.is_late() {
                    self.decided(key, said.role, Effect::Late);
                } else {
                    self.join(book, one, said);
                }
            }
            Concerned::One(one) if self.reports_closed_again(book, one, closer) => {
                self.doubtful_anew(book, one, said);
            }
            Concerned::One(one) => self.close_one(book, one, closer, said),
            Concerned::Several(all) => self.possible_end(book, all, said),
            Concerned::Nobody => return self.doubtful_anew(book, &at, said),
        }
        let meant = match &concerned {
            Concerned::One(one) => std::slice::from_ref(one),
            Concerned::Several(all) => all.as_slice(),
            Concerned::Nobody => &[],
        };
        for one in meant {
            if let Some(state) = book.states.get_mut(one)
                && state.applied == self.input.position
            {
                state.hear(revision.0, revision.1);
            }
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
        if book.state(at).is_some_and(|s| s.applied >= self.input.position) {
            return;
        }
        let article = self.article();
        let emission = self.emission(book.state(at).map(|s| s.now));
        let mut alert = emission.new_alert(self.rule, at, article);
        alert.doubtful = doubtful;
        if doubtful {
            alert.view.severity = Severity::Info;
        }
        count(&mut alert, self.wording, said.evidence, false);
        raise_as_told(&mut alert, article);
        if confirms(&alert, article, self.rule) {
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
                heard: Vec::new(),
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
    pub(super) fn join(&mut self, book: &mut Book, at: &StateKey, said: &Said<'_>) {
        let (article, rule) = (self.article(), self.rule);
        let emission = self.emission(book.state(at).map(|s| s.now));
        let wording = self.wording;
        let Some(state) = self.state(book, at) else { return };
        let alert = &mut state.alert;
        if let Some(Says::Update) = article.cap.as_ref().and_then(Cap::says) {
            alert.drop_replaced(article.cap.as_ref().map_or(&[], |c| &c.references));
            alert.view.independent_sources = alert.independent();
        }
        let known = alert.renew(wording, said.evidence);
        if known && !(alert.doubtful && said.role == Role::Start) {
            alert.view.independent_sources = alert.independent();
            return self.decided(&at.key, said.role, Effect::Listed);
        }
        count(alert, wording, said.evidence, known);
        let raised = raise_as_told(alert, article);
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
        } else if settles || raised {
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

/// Counts an article; one that is `known` is counted already.
fn count(alert: &mut Alert, wording: &Wording<'_>, evidence: &[Evidence], known: bool) {
    let article = wording.article;
    if article.cap.as_ref().and_then(Cap::expires).is_none() {
        alert.last_counted_at = alert.last_counted_at.max(Some(article.received_at));
    }
    alert.add_untold(shown(article, evidence));
    if known {
        alert.view.independent_sources = alert.independent();
    } else if alert.add_counted(wording, evidence) {
        let before = alert.view.independent_sources;
        alert.view.independent_sources = alert.independent_with_last(before);
    }
}

/// Raises the severity as far as a CAP message says; whether that is news.
fn raise_as_told(alert: &mut Alert, article: &Article) -> bool {
    let Some(severity) = article.cap.as_ref().and_then(Cap::severity) else { return false };
    let before = alert.view.severity;
    raise(&mut alert.view, severity);
    alert.view.severity > before
}

fn confirms(alert: &Alert, article: &Article, rule: &Rule) -> bool {
    let agreed = rule.confirm.is_some_and(|c| {
        alert.independent_since(article.received_at.minus(c.within)) >= c.distinct_sources
    });
    article.official || article.cap.is_some() || agreed
}

fn confirm(alert: &mut Alert, rule: &Rule) {
    alert.view.confirmation = Confirmation::Confirmed;
    if let Some(severity) = rule.confirm.and_then(|c| c.severity) {
        raise(&mut alert.view, severity);
    }
}
