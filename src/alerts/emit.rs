//! Makes events: each takes what was not told yet and cancels the waiting update.

use crate::alerts::state::Alert;
use crate::alerts::state::AlertState;
use crate::alerts::state::Closing;
use crate::model::AlertId;
use crate::model::Article;
use crate::model::Event;
use crate::model::EventId;
use crate::model::EventKind;
use crate::model::Rule;
use crate::model::Severity;
use crate::model::Time;
use crate::model::Version;
use crate::model::event::AlertView;
use crate::model::event::Confirmation;
use crate::model::event::Status;

use crate::alerts::state::StateKey;

/// When events are made, and by which rule set.
#[derive(Clone, Copy)]
pub(super) struct Emission<'a> {
    now: Time,
    ruleset: &'a str,
}

/// What is said of one event besides the alert.
#[derive(Clone, Copy, Default)]
pub(super) struct Remark<'a> {
    pub(super) late: bool,
    pub(super) possible_end: bool,
    pub(super) reason: Option<&'a str>,
}

impl<'a> Emission<'a> {
    pub(super) fn at(now: Time, ruleset: &'a str) -> Self {
        Self { now, ruleset }
    }

    /// The waiting update.
    pub(super) fn update(self, state: &mut AlertState) -> Event {
        let possible_end = state.alert.update_possible_end || state.alert.doubtful;
        self.event(state, EventKind::Updated, Remark { possible_end, ..Remark::default() })
    }

    /// The clock's own closing.
    pub(super) fn expire(self, state: &mut AlertState) -> Event {
        let closing = Closing { at: self.now, dated: self.now, by: None };
        self.close(state, EventKind::Expired, closing, Remark::default())
    }

    /// Closes the alert as `kind` says.
    pub(super) fn close(
        self,
        state: &mut AlertState,
        kind: EventKind,
        closing: Closing,
        remark: Remark<'_>,
    ) -> Event {
        state.alert.view.status = kind.leaves();
        state.alert.view.ended_at = Some(closing.at);
        state.alert.closing = Some(closing);
        self.event(state, kind, remark)
    }

    /// Appends an event to the state's outbox.
    pub(super) fn event(
        self,
        state: &mut AlertState,
        kind: EventKind,
        remark: Remark<'_>,
    ) -> Event {
        state.now = state.now.max(self.now);
        let alert = &mut state.alert;
        alert.events = alert.events.saturating_add(1);
        alert.last_event_at = self.now;
        alert.view.updated_at = self.now;
        alert.update_due = None;
        alert.update_possible_end = false;
        let event = Event {
            v: Version,
            id: EventId::of(&alert.view.id, alert.events),
            number: alert.events,
            kind,
            timestamp: self.now,
            late: remark.late,
            possible_end: remark.possible_end,
            alert: alert.view.clone(),
            articles: std::mem::take(&mut alert.untold),
            more_articles: std::mem::take(&mut alert.untold_more),
            reason: remark.reason.map(str::to_owned),
            ruleset: self.ruleset.to_owned(),
            mode: alert.mode,
        };
        state.outbox.push(event.clone());
        event
    }

    /// A new alert of `rule`, opened by `article`, without events so far.
    pub(super) fn new_alert(self, rule: &Rule, at: &StateKey, article: &Article) -> Alert {
        let opened_by = (&article.id, article.revision);
        Alert {
            view: AlertView {
                id: AlertId::of(&at.rule, &at.key, at.nature, opened_by),
                rule: rule.id.clone(),
                topic: rule.topic.clone(),
                key: at.key.clone(),
                title: article.title.clone(),
                severity: rule.severity,
                status: Status::Open,
                nature: at.nature,
                confirmation: Confirmation::Unconfirmed,
                independent_sources: 0,
                opened_at: self.now,
                updated_at: self.now,
                ended_at: None,
            },
            mode: rule.mode,
            events: 0,
            last_event_at: self.now,
            doubtful: false,
            opened_dated: article.dated(),
            closing: None,
            counted: Vec::new(),
            uncounted: 0,
            texts: Vec::new(),
            last_counted_at: None,
            untold: Vec::new(),
            untold_more: 0,
            update_due: None,
            update_possible_end: false,
            update_every: rule.update_every,
            close_after: rule.close_after,
        }
    }
}

/// Raises an alert's severity; it never falls.
pub(super) fn raise(view: &mut AlertView, severity: Severity) {
    view.severity = view.severity.max(severity);
}
