//! The run over many articles that stories and `backtest` share: one book for the whole rule set,
//! a clock that moves only when it is told to, and revisions of the articles seen.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::alerts::Context;
use crate::alerts::book::Book;
use crate::alerts::book::Input;
use crate::alerts::book::Step;
use crate::alerts::state::StateKey;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::Directive;
use crate::model::DirectiveKind;
use crate::model::Event;
use crate::model::Found;
use crate::model::Key;
use crate::model::Nature;
use crate::model::RuleId;
use crate::model::Time;

/// When a story starts: 2026-01-01T00:00:00Z.
pub fn story_start() -> Time {
    Time::from_millis(1_767_225_600_000)
}

/// A run in progress.
#[derive(Debug)]
pub struct Run<'a, M> {
    context: Context<'a>,
    matcher: M,
    book: Book,
    seen: BTreeMap<ArticleId, Seen>,
    /// Messages whose place another CAP message of their nature took.
    replaced: BTreeSet<(Option<Nature>, ArticleId)>,
    now: Time,
    position: u64,
}

/// What is kept of the newest revision of an article.
#[derive(Debug)]
struct Seen {
    revision: u32,
    published_at: Option<Time>,
    first_seen_at: Time,
    /// Stands for the text, so that a long run does not hold every body.
    text: ArticleId,
}

impl<'a, M: Fn(&Article) -> Found> Run<'a, M> {
    /// A run without alerts that starts at `now`.
    pub fn new(context: Context<'a>, matcher: M, now: Time) -> Self {
        let (book, seen) = (Book::default(), BTreeMap::new());
        Self { context, matcher, book, seen, replaced: BTreeSet::new(), now, position: 0 }
    }

    /// The time it is in the run.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The states so far.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Moves the clock and lets due timers act.
    pub fn wait(&mut self, after: Duration) -> Vec<Event> {
        self.now = self.now.plus(after);
        let events = self.book.advance(&self.context, self.now);
        self.settle();
        events
    }

    /// Takes an article at its receipt, or now if that is later. Its revision follows from what
    /// was seen before; the same text again is known and does nothing.
    pub fn take(&mut self, mut article: Article) -> Step {
        self.now = self.now.max(article.received_at);
        article.received_at = self.now;
        let text = text_of(&article);
        if let Some(seen) = self.seen.get(&article.id) {
            if seen.text == text {
                let events = self.wait(Duration::ZERO);
                return Step { events, decisions: Vec::new() };
            }
            article.revision = seen.revision.saturating_add(1);
            article.published_at = seen.published_at;
            article.first_seen_at = seen.first_seen_at;
        } else {
            article.revision = 1;
            article.first_seen_at = self.now;
        }
        let seen = Seen {
            revision: article.revision,
            published_at: article.published_at,
            first_seen_at: article.first_seen_at,
            text,
        };
        self.seen.insert(article.id.clone(), seen);
        if let Some(cap) = &mut article.cap {
            let nature = cap.nature();
            cap.replaced |= self.replaced.contains(&(nature, article.id.clone()));
            self.replaced.extend(cap.replaces().iter().map(|id| (nature, id.clone())));
        }
        self.apply(&article)
    }

    /// Takes an operator's decision about the alert of this rule and key; none where there is no
    /// such alert.
    pub fn decide(&mut self, kind: DirectiveKind, rule: &RuleId, key: &Key) -> Step {
        let at = StateKey { rule: rule.clone(), key: key.clone(), nature: Nature::Actual };
        let Some(state) = self.book.state(&at) else { return Step::default() };
        let directive = Directive {
            kind,
            alert: state.alert.view.id.clone(),
            reason: "decided by an operator".to_owned(),
            by: "operator".to_owned(),
        };
        let article = Article::of_decision(directive, self.now);
        self.apply(&article)
    }

    fn apply(&mut self, article: &Article) -> Step {
        self.position = self.position.saturating_add(1);
        let found = (self.matcher)(article);
        let input = Input {
            article,
            matches: &found.matches,
            areas: &found.areas,
            position: self.position,
        };
        let step = self.book.apply(&self.context, &input);
        self.settle();
        step
    }

    /// Nothing is written here, so each step's events count as published at its end.
    fn settle(&mut self) {
        self.book.take_changed();
        self.book.take_forgotten();
    }
}

fn text_of(article: &Article) -> ArticleId {
    let text = format!("{}\0{}\0{}", article.title, article.body, article.withdrawn);
    ArticleId::of(&article.source, &text)
}
