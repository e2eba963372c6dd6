//! Ends and retractions: closing one alert, or telling several that they may be over.

use crate::alerts::book::Book;
use crate::alerts::concern::Closer;
use crate::alerts::concern::Concerned;
use crate::alerts::concern::concerned;
use crate::alerts::emit::Remark;
use crate::alerts::state::Closing;
use crate::alerts::state::StateKey;
use crate::alerts::state::shown;
use crate::alerts::step::Said;
use crate::alerts::step::Work;
use crate::model::EventKind;
use crate::model::Key;
use crate::model::event::Status;
use crate::model::verdict::Effect;

impl Work<'_> {
    pub(super) fn close(&mut self, book: &mut Book, key: &Key, closer: Closer, said: &Said<'_>) {
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

    pub(super) fn close_one(
        &mut self,
        book: &mut Book,
        at: &StateKey,
        closer: Closer,
        said: &Said<'_>,
    ) {
        let article = self.article();
        if article.first_poll {
            return self.decided(&at.key, said.role, Effect::Late);
        }
        let late = self.is_late();
        let emission = self.emission(book.state(at).map(|s| s.now));
        let Some(state) = self.state(book, at) else { return };
        state.hear(&article.id, article.revision);
        let closable = match closer {
            Closer::End => matches!(state.alert.view.status, Status::Open | Status::Expired),
            Closer::Retract => state.alert.view.status != Status::Retracted,
        };
        if !closable || article.dated() < state.alert.opened_dated {
            return self.decided(&at.key, said.role, Effect::Listed);
        }
        state.alert.add_untold(shown(article, said.evidence));
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
    pub(super) fn possible_end(&mut self, book: &mut Book, all: &[StateKey], said: &Said<'_>) {
        let (article, late) = (self.article(), self.is_late());
        for at in all {
            let emission = self.emission(book.state(at).map(|s| s.now));
            let Some(state) = self.state(book, at) else { continue };
            state.hear(&article.id, article.revision);
            if !state.alert.is_open() || article.dated() < state.alert.opened_dated {
                self.decided(&at.key, said.role, Effect::Listed);
                continue;
            }
            state.alert.add_untold(shown(article, said.evidence));
            let remark = Remark { possible_end: true, late, ..Remark::default() };
            let event = emission.event(state, EventKind::Updated, remark);
            self.happened(at, said.role, event);
        }
    }
}
