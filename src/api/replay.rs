//! Past articles through a rule set: what would have happened. Matching and the life of alerts are
//! those of live work; only nothing is written, and the clock is that of the articles.

use std::sync::Arc;

use crate::alerts::Book;
use crate::alerts::Input;
use crate::model::Article;
use crate::model::Event;
use crate::model::Found;
use crate::rules::RuleSet;

/// Articles matched at a time: enough to keep every core busy, few enough to hold.
pub const BATCH: usize = 512;

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

/// Does the same work on each item, on every core, and keeps the order. Blocking.
pub fn on_every_core<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let work = &work;
        let shares: Vec<_> = items
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>()))
            .collect();
        let done = shares.into_iter().map(|share| share.join());
        done.flat_map(|share| share.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_on_every_core_keeps_the_order() {
        let items: Vec<u32> = (0..1_000).collect();
        assert_eq!(on_every_core(&items, |n| n * 2), (0..2_000).step_by(2).collect::<Vec<_>>());
        assert_eq!(on_every_core(&items[..0], |n| n * 2), Vec::<u32>::new());
    }
}
