//! CAP messages: their own fields decide, and not the words of rules that end or take back.

use crate::alerts::book::Book;
use crate::alerts::concern::Closer;
use crate::alerts::emit::Remark;
use crate::alerts::state::AlertState;
use crate::alerts::state::StateKey;
use crate::alerts::state::shown;
use crate::alerts::step::Said;
use crate::alerts::step::Work;
use crate::model::Cap;
use crate::model::EventKind;
use crate::model::Evidence;
use crate::model::Key;
use crate::model::Match;
use crate::model::cap::Says;
use crate::model::event::Status;
use crate::model::rule::KeyBy;
use crate::model::verdict::Effect;
use crate::model::verdict::Role;

impl<'a> Work<'a> {
    pub(super) fn hear_message(&mut self, book: &mut Book, cap: &Cap) {
        match cap.says() {
            None => {}
            Some(Says::Alert) => self.report(book, &[]),
            Some(Says::Update) => {
                let counting = self.counting(book, cap, |status| status == Status::Open);
                self.replace(book, cap, &counting);
            }
            Some(Says::Over) => self.close_all(book, cap, Closer::End, &[]),
            Some(Says::Cancel) => {
                let said = self.said_to_retract();
                let closer = if said.is_some() { Closer::Retract } else { Closer::End };
                self.close_all(book, cap, closer, said.map_or(&[], |m| &m.evidence));
            }
        }
    }

    /// The rule's own match starts an alert or joins it under each key but those `done`.
    fn report(&mut self, book: &mut Book, done: &[StateKey]) {
        let Some(own) = self.own_match() else { return };
        let keys = own.targets.iter().filter(|t| t.rule == self.rule.id).flat_map(|t| &t.keys);
        let said = Said { role: Role::Start, closer: None, keys: &[], evidence: &own.evidence };
        for key in keys {
            if !done.contains(&self.at(key)) {
                self.start(book, key, &said);
            }
        }
    }

    /// Where the messages that it refers to count, it counts instead; where its areas are others,
    /// they no longer count; elsewhere it is a report.
    fn replace(&mut self, book: &mut Book, cap: &Cap, counting: &[StateKey]) {
        let evidence = self.own_match().map_or(&[][..], |m| &m.evidence);
        for at in counting {
            let known = book.state(at).is_some_and(|s| s.applied < self.input.position);
            if !known {
                continue;
            }
            if self.is_late() {
                self.decided(&at.key, Role::Start, Effect::Late);
            } else if self.covers(&at.key) {
                let said = Said { role: Role::Start, closer: None, keys: &[], evidence };
                self.join(book, at, &said);
            } else {
                self.leave(book, cap, at);
            }
        }
        // An alert without a place was about all of it; it also was when the message came before.
        let (id, revision) = (&self.article().id, self.article().revision);
        let unplaced = counting.iter().find(|at| at.key.is_unknown());
        if let Some(state) = unplaced.and_then(|at| book.states.get_mut(at))
            && state.applied == self.input.position
        {
            state.hear(id, revision);
        }
        let heard = book.state(&self.at(&Key::unknown())).is_some_and(|s| s.knows(id, revision));
        if unplaced.is_none() && !heard {
            self.report(book, counting);
        }
    }

    /// An alert whose place an update no longer names.
    fn leave(&mut self, book: &mut Book, cap: &Cap, at: &StateKey) {
        let article = self.article();
        let emission = self.emission(book.state(at).map(|s| s.now));
        let Some(state) = self.state(book, at) else { return };
        state.alert.drop_replaced(&cap.references);
        state.alert.view.independent_sources = state.alert.independent();
        state.alert.add_untold(shown(article, &[]));
        let remark =
            Remark { reason: Some("an update no longer names its area"), ..Remark::default() };
        let event = emission.event(state, EventKind::Corrected, remark);
        self.happened(at, Role::Corrected, event);
    }

    fn close_all(&mut self, book: &mut Book, cap: &Cap, closer: Closer, evidence: &[Evidence]) {
        let role = if closer == Closer::Retract { Role::Retract } else { Role::End };
        let said = Said { role, closer: Some(closer), keys: &[], evidence };
        let closable = |status| match closer {
            Closer::End => matches!(status, Status::Open | Status::Expired),
            Closer::Retract => status != Status::Retracted,
        };
        for at in self.counting(book, cap, closable) {
            if self.covers(&at.key) {
                self.close_one(book, &at, closer, &said);
            }
        }
    }

    /// This rule's alerts that count a message this one refers to.
    fn counting(&self, book: &Book, cap: &Cap, wanted: impl Fn(Status) -> bool) -> Vec<StateKey> {
        let counts = |s: &&AlertState| {
            s.at.rule == self.rule.id
                && s.at.nature == self.nature
                && wanted(s.alert.view.status)
                && s.alert.counts_any(&cap.references)
        };
        book.states().filter(counts).map(|s| s.at.clone()).collect()
    }

    /// Whether the message is also about an alert of this key: where its areas name places, these
    /// alone are meant.
    fn covers(&self, key: &Key) -> bool {
        self.rule.key != KeyBy::Place
            || key.is_unknown()
            || self.input.areas.is_empty()
            || self.input.areas.contains(key)
    }

    fn own_match(&self) -> Option<&'a Match> {
        self.input.matches.iter().find(|m| m.rule == self.rule.id)
    }

    /// The match of a rule that takes this rule's alerts back.
    fn said_to_retract(&self) -> Option<&'a Match> {
        let takes_back = |m: &&Match| {
            let by = self.context.rule(&m.rule);
            by.is_some_and(|r| r.retracts.contains(&self.rule.id))
        };
        self.input.matches.iter().find(takes_back)
    }
}
