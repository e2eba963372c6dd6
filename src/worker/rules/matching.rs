//! Matching a batch off the runtime.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use crate::bus::Stored;
use crate::bus::Stream;
use crate::model::Article;
use crate::model::Found;
use crate::rules::RuleSet;
use crate::spans::Begun;
use crate::spans::Tracer;
use crate::telemetry::metric;

/// An article that was read and what matched, or why nobody can say.
pub(super) struct Read {
    pub(super) stored: Stored,
    pub(super) article: Result<(Article, Found), &'static str>,
    /// From here until what it caused is written.
    pub(super) span: Begun,
    /// How many events it caused.
    pub(super) events: i64,
}

/// Decodes and matches off the runtime. An article that the matcher cannot bear costs no other.
pub(super) async fn match_all(
    batch: Vec<Stored>,
    rules: Arc<RuleSet>,
    tracer: Tracer,
) -> Vec<Read> {
    let work = move || {
        let find = |article: &Article| rules.found(article);
        batch.into_iter().map(|stored| match_one(stored, &tracer, find)).collect()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(read) => read,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn match_one(stored: Stored, tracer: &Tracer, find: impl Fn(&Article) -> Found) -> Read {
    let span = tracer.receive("article.match", Stream::Articles.name(), stored.trace);
    let decoded = serde_json::from_slice::<Article>(&stored.payload).map_err(|_| "undecodable");
    let article = decoded.and_then(|article| {
        let began = std::time::Instant::now();
        // Nothing of the matcher outlives the call, so nothing half done is seen again.
        let found = catch_unwind(AssertUnwindSafe(|| find(&article)));
        let found = found.map_err(|_| "matching_panicked")?;
        metrics::histogram!(metric::MATCH_SECONDS).record(began.elapsed());
        for one in &found.matches {
            metrics::counter!(metric::MATCHES, "rule" => one.rule.to_string()).increment(1);
        }
        Ok((article, found))
    });
    Read { stored, article, span, events: 0 }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::feed::Draft;
    use crate::model::Time;
    use crate::source::Origin;
    use crate::source::decide::Decision;
    use crate::source::decide::History;
    use crate::source::decide::decide;

    fn stored(payload: Vec<u8>) -> Stored {
        let subject = "wb.article.push.x".to_owned();
        let (time, payload) = (Time::from_millis(0), Bytes::from(payload));
        Stored { seq: 1, subject, time, payload, trace: None }
    }

    #[test]
    fn an_article_that_the_matcher_cannot_bear_is_told_apart_and_costs_no_other() {
        let draft = Draft { title: "Sirens".to_owned(), ..Draft::default() };
        let decided =
            decide(draft, &History::default(), &Origin::push(false), Time::from_millis(0));
        let Decision::Write(article, _) = decided else { panic!() };
        let payload = serde_json::to_vec(&article).unwrap();
        let tracer = Tracer::default();
        let bad = match_one(stored(payload.clone()), &tracer, |_| panic!("a bug of the matcher"));
        assert_eq!(bad.article.unwrap_err(), "matching_panicked");
        let good = match_one(stored(payload), &tracer, |_| Found::default());
        assert_eq!(good.article.unwrap().0, *article);
        let broken = match_one(stored(b"{".to_vec()), &tracer, |_| Found::default());
        assert_eq!(broken.article.unwrap_err(), "undecodable");
    }
}
