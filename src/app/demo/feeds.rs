//! The sample feeds, served on HTTP with validators: RSS and JSON Feed.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::demo::sample::BASELINE;
use crate::app::demo::sample::NEWS;
use crate::app::demo::sample::Paper;
use crate::app::demo::sample::Sample;
use crate::model::Time;

/// What is in the feeds: each article and since when.
#[derive(Clone, Default)]
pub(super) struct Feeds(Arc<Mutex<Vec<(Time, &'static Sample)>>>);

impl Feeds {
    /// Feeds with the baseline only.
    pub(super) fn new(now: Time) -> Self {
        let feeds = Self::default();
        BASELINE.iter().for_each(|sample| feeds.reveal(sample, now));
        feeds
    }

    /// Puts an article into its feed.
    pub(super) fn reveal(&self, sample: &'static Sample, now: Time) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((now, sample));
    }

    /// Puts everything into the feeds.
    pub(super) fn reveal_all(&self, now: Time) {
        NEWS.iter().for_each(|sample| self.reveal(sample, now));
    }

    /// Serves until `stop`.
    pub(super) async fn serve(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        let router = Router::new()
            .route("/skylark.rss", get(rss))
            .route("/borough.json", get(json))
            .with_state(self);
        axum::serve(listener, router)
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .await
    }

    fn of(&self, paper: Paper) -> Vec<(Time, &'static Sample)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rev().filter(|(_, s)| s.paper == paper).copied().collect()
    }
}

async fn rss(State(feeds): State<Feeds>, headers: HeaderMap) -> Response {
    let items: Vec<String> = feeds
        .of(Paper::Skylark)
        .iter()
        .map(|(at, s)| {
            let at = std::time::UNIX_EPOCH
                + std::time::Duration::from_millis(u64::try_from(at.millis()).unwrap_or(0));
            format!(
                "<item><guid isPermaLink=\"false\">{guid}</guid><title>{title}</title>\
                 <description>{body}</description><pubDate>{date}</pubDate></item>",
                guid = escape(s.title),
                title = escape(s.title),
                body = escape(&s.body.replace("\n\n", "<br><br>")),
                date = httpdate::fmt_http_date(at),
            )
        })
        .collect();
    let text = format!(
        "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>Skylark Press</title>{}</channel></rss>",
        items.concat()
    );
    answer("application/rss+xml", text, items.len(), &headers)
}

async fn json(State(feeds): State<Feeds>, headers: HeaderMap) -> Response {
    let items: Vec<serde_json::Value> = feeds
        .of(Paper::Borough)
        .iter()
        .map(|(at, s)| {
            serde_json::json!({"id": s.title, "title": s.title, "content_text": s.body,
                "language": s.lang, "date_published": at.to_string()})
        })
        .collect();
    let count = items.len();
    let feed = serde_json::json!({"version": "https://jsonfeed.org/version/1.1",
        "title": "Borough Times", "items": items});
    answer("application/feed+json", feed.to_string(), count, &headers)
}

/// 304 where the reader has this version already.
fn answer(kind: &'static str, text: String, version: usize, headers: &HeaderMap) -> Response {
    let tag = format!("\"{version}\"");
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    if known == Some(tag.as_str()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::ETAG, tag)], text).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
