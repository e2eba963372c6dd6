//! Matching a batch off the runtime.

use std::sync::Arc;

use crate::bus::Stored;
use crate::model::Article;
use crate::model::Found;
use crate::rules::RuleSet;
use crate::telemetry::metric;

/// An article that was read and what matched; none where it cannot be understood.
pub(super) struct Read {
    pub(super) stored: Stored,
    pub(super) article: Option<(Article, Found)>,
}

/// Decodes and matches off the runtime. A panic in there ends the worker: the lease counts it.
pub(super) async fn match_all(batch: Vec<Stored>, rules: Arc<RuleSet>) -> Vec<Read> {
    let work = move || batch.into_iter().map(|stored| match_one(stored, &rules)).collect();
    match tokio::task::spawn_blocking(work).await {
        Ok(read) => read,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn match_one(stored: Stored, rules: &RuleSet) -> Read {
    let article = serde_json::from_slice::<Article>(&stored.payload).ok();
    let article = article.map(|article| {
        let began = std::time::Instant::now();
        let found = rules.found(&article);
        metrics::histogram!(metric::MATCH_SECONDS).record(began.elapsed());
        for one in &found.matches {
            metrics::counter!(metric::MATCHES, "rule" => one.rule.to_string()).increment(1);
        }
        (article, found)
    });
    Read { stored, article }
}
