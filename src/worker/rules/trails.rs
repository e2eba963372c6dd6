//! Which traces the articles of alerts belong to, so that an event that tells of several says so.

use std::collections::HashMap;
use std::collections::VecDeque;

use crate::bus::Error;
use crate::model::ArticleId;
use crate::model::Event;
use crate::model::TraceContext;
use crate::spans::Begun;
use crate::spans::Tracer;
use crate::telemetry::logs::chain;
use crate::telemetry::traces::Kind;
use crate::worker::rules::matching::Read;
use crate::worker::rules::write::Told;

/// Articles remembered; what tells of older ones has no link to them.
const MAX_ARTICLES: usize = 10_000;

/// The traces of the articles that matched lately. A process that takes a shard over knows none.
#[derive(Default)]
pub(super) struct Trails {
    known: HashMap<ArticleId, TraceContext>,
    order: VecDeque<ArticleId>,
}

impl Trails {
    /// Notes where articles belong, and links each to the others that its events tell of.
    pub(super) fn of_articles(&mut self, read: &mut [Read], told: &[Told]) {
        for one in read.iter() {
            let Some(context) = one.span.context() else { continue };
            if let Ok((article, found)) = &one.article
                && !found.matches.is_empty()
            {
                self.remember(&article.id, context);
            }
        }
        for told in told {
            let caused = |one: &&mut Read| told.trace.is_some() && one.span.context() == told.trace;
            let Some(one) = read.iter_mut().find(caused) else { continue };
            one.events += 1;
            self.of(&told.event).for_each(|context| one.span.link(context));
        }
    }

    /// What timers told of has the last article told of as its cause, and links to the others.
    pub(super) fn of_timers(&self, tracer: &Tracer, told: &mut [Told]) -> Vec<Begun> {
        let begin = |told: &mut Told| {
            let parent = self.of(&told.event).last();
            let mut span = tracer.begin(Kind::Internal, "alert.timer", parent);
            span.note(|span| {
                span.text("event.id", told.event.id.to_string());
                span.text("event.type", told.event.kind.as_str());
                span.text("rule.id", told.event.alert.rule.to_string());
            });
            self.of(&told.event).for_each(|context| span.link(context));
            told.trace = span.context();
            span
        };
        told.iter_mut().map(begin).collect()
    }

    /// The traces of an event's articles, in their order.
    fn of<'a>(&'a self, event: &'a Event) -> impl Iterator<Item = TraceContext> + 'a {
        event.articles.iter().filter_map(|article| self.known.get(&article.id).copied())
    }

    fn remember(&mut self, article: &ArticleId, context: TraceContext) {
        if self.known.insert(article.clone(), context).is_none() {
            self.order.push_back(article.clone());
        }
        if self.order.len() > MAX_ARTICLES
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// Ends spans of work that is done, or has failed.
pub(super) fn end(begun: impl IntoIterator<Item = Begun>, done: &Result<(), Error>) {
    for mut span in begun {
        if let Err(error) = done {
            span.note(|span| span.error = Some(chain(error)));
        }
        span.end();
    }
}

/// Ends the spans of articles.
pub(super) fn end_read(read: Vec<Read>, done: &Result<(), Error>) {
    let ended = read.into_iter().map(|Read { article, mut span, events, .. }| {
        span.note(|span| match &article {
            Ok((article, found)) => {
                span.text("article.id", article.id.to_string());
                span.text("source.id", article.source.to_string());
                span.number("article.revision", i64::from(article.revision));
                span.number("matches", i64::try_from(found.matches.len()).unwrap_or(i64::MAX));
                span.number("events", events);
            }
            Err(reason) => {
                span.text("error.type", *reason);
                span.error = Some("the article is buried".to_owned());
            }
        });
        span
    });
    end(ended, done);
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::bus::Stored;
    use crate::delivery::example;
    use crate::model::EventKind;
    use crate::model::Time;
    use crate::telemetry::traces::queue;

    /// An event that tells of two articles, and where these belong.
    fn two() -> (Trails, Told, [TraceContext; 2]) {
        let (first, last) = (example::event(EventKind::Opened), example::event(EventKind::Updated));
        let traces = [7, 8].map(|n| TraceContext::root([n; 16], [n; 8], true));
        let mut trails = Trails::default();
        trails.remember(&first.articles[0].id, traces[0]);
        trails.remember(&last.articles[0].id, traces[1]);
        let articles = [first.articles, last.articles.clone()].concat();
        (trails, Told { event: Event { articles, ..last }, trace: None }, traces)
    }

    #[tokio::test]
    async fn what_a_timer_tells_of_is_caused_by_the_last_article_and_links_to_the_others() {
        let (sink, mut spans) = queue();
        let tracer = Tracer::new(sink, 1.0, "wirebell", CancellationToken::new());
        let (trails, told, [first, last]) = two();
        let mut told = [told];
        end(trails.of_timers(&tracer, &mut told), &Ok(()));
        let span = spans.recv().await.unwrap();
        let context = told[0].trace.unwrap();
        assert_eq!((context.trace(), context.span().bytes()), (last.trace(), span.id));
        assert_eq!(span.parent, Some(last.span().bytes()));
        assert_eq!(span.links, [(first.trace().bytes(), first.span().bytes())]);
        let silent = trails.of_timers(&Tracer::default(), &mut told);
        assert_eq!((silent.len(), told[0].trace), (1, Some(last)), "handed on as it came");
    }

    #[tokio::test]
    async fn an_article_links_to_the_others_that_its_event_tells_of() {
        let (sink, mut spans) = queue();
        let tracer = Tracer::new(sink, 1.0, "wirebell", CancellationToken::new());
        let (mut trails, mut told, [first, last]) = two();
        let subject = "wb.article.push.x".to_owned();
        let (time, trace) = (Time::from_millis(0), Some(last));
        let stored = Stored { seq: 1, subject, time, payload: bytes::Bytes::new(), trace };
        let span = tracer.receive("article.match", "articles", trace);
        told.trace = span.context();
        let mut read = vec![Read { stored, article: Err("undecodable"), span, events: 0 }];
        trails.of_articles(&mut read, &[told]);
        assert_eq!(read[0].events, 1);
        end_read(read, &Ok(()));
        let span = spans.recv().await.unwrap();
        assert_eq!(span.parent, Some(last.span().bytes()));
        assert_eq!(span.links, [(first.trace().bytes(), first.span().bytes())]);
        assert!(span.error.is_some());
    }

    #[test]
    fn the_oldest_articles_are_forgotten() {
        let mut trails = Trails::default();
        let id = |n: usize| ArticleId::of(&crate::model::SourceId::push(), &n.to_string());
        for n in 0..MAX_ARTICLES + 3 {
            trails.remember(&id(n), TraceContext::root([1; 16], [2; 8], true));
        }
        trails.remember(&id(MAX_ARTICLES), TraceContext::root([3; 16], [2; 8], true));
        assert_eq!((trails.known.len(), trails.order.len()), (MAX_ARTICLES, MAX_ARTICLES));
        assert!(!trails.known.contains_key(&id(2)) && trails.known.contains_key(&id(3)));
    }
}
