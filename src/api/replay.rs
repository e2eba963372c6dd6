//! Past articles through a rule set: what would have happened. Matching and the life of alerts are
//! those of live work; only nothing is written, and the clock is that of the articles.

use std::sync::Arc;

use crate::alerts::Book;
use crate::alerts::Input;
use crate::model::Article;
use crate::model::Event;
use crate::model::Found;
use crate::rules::RuleSet;

/// A rule set on its way through the past.
#[derive(Debug)]
pub struct Replay {
    rules: Arc<RuleSet>,
    book: Book,
    position: u64,
}

impl Replay {
    /// Without alerts so far.
    pub fn new(rules: Arc<RuleSet>) -> Self {
        Self { rules, book: Book::default(), position: 0 }
    }

    /// The rule set.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Takes the next article in order of receipt; answers the events it and the timers before it
    /// would have made.
    pub fn take(&mut self, article: &Article, found: &Found) -> Vec<Event> {
        self.position = self.position.saturating_add(1);
        let rules = &self.rules;
        let context = rules.context();
        let (matches, areas, position) = (&found.matches, &found.areas, self.position);
        let step = self.book.apply(&context, &Input { article, matches, areas, position });
        // Nothing is written here, so what changed counts as published.
        self.book.take_changed();
        self.book.take_forgotten();
        step.events
    }
}
