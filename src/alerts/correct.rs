//! A revision that an alert counted and that no longer reports it.

use crate::alerts::book::Book;
use crate::alerts::emit::Remark;
use crate::alerts::state::Closing;
use crate::alerts::state::StateKey;
use crate::alerts::state::shown;
use crate::alerts::step::Work;
use crate::model::EventKind;
use crate::model::verdict::Role;

impl Work<'_> {
    /// Open alerts that counted an earlier revision which this one no longer supports.
    pub(super) fn correct(&mut self, book: &mut Book) {
        let article = self.article();
        if article.revision == 1 && !article.withdrawn {
            return;
        }
        let counting: Vec<StateKey> = book
            .states()
            .filter(|s| {
                s.at.rule == self.rule.id && s.at.nature == self.nature && s.alert.is_open()
            })
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
        state.alert.view.independent_sources = state.alert.independent();
        let mut before = shown(article, &old.evidence);
        before.revision = old.revision;
        before.title = old.title;
        let last_withdrawn = article.withdrawn && state.alert.counted.is_empty();
        state.alert.add_untold(shown(article, &[]));
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
}
