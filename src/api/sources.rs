//! Feeds: how they are, how far they were read, and how late they come.

use axum::extract::State;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::page;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::model::names;
use crate::source::poll::State as Feed;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Only feeds in this state.
    health: Option<Health>,
    /// The last id of the page before.
    cursor: Option<String>,
    limit: Option<usize>,
}

/// How a feed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Health {
    /// It was never read.
    New,
    Ok,
    /// Its last poll failed.
    Failing,
    /// It has no news for longer than it should be.
    Silent,
    /// Its server says that it is gone for good.
    Gone,
}

impl Health {
    pub(super) fn of(feed: &Feed) -> Self {
        match feed {
            Feed { gone: true, .. } => Self::Gone,
            Feed { failures: 1.., .. } => Self::Failing,
            Feed { first_poll_done: false, .. } => Self::New,
            Feed { silent_since: Some(_), .. } => Self::Silent,
            _ => Self::Ok,
        }
    }
}

/// `GET /v1/sources`: feeds that an ingest worker has polled, by id.
pub(super) async fn list<B: Bus>(
    State(app): State<App<B>>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Value>, Problem> {
    let limit = page::limit(query.limit);
    let mut feeds = feeds(&app).await?;
    feeds.retain(|(id, feed)| {
        query.cursor.as_ref().is_none_or(|cursor| id > cursor)
            && query.health.is_none_or(|health| health == Health::of(feed))
    });
    let more = feeds.len() > limit;
    feeds.truncate(limit);
    let next = feeds.last().filter(|_| more).map(|(id, _)| id.clone());
    let data: Vec<Value> = feeds.iter().map(|(id, feed)| shown(id, feed)).collect();
    Ok(axum::Json(json!({"data": data, "next_cursor": next})))
}

/// Feeds that an ingest worker has polled, by id.
pub(super) async fn feeds<B: Bus>(app: &App<B>) -> Result<Vec<(String, Feed)>, Problem> {
    let listed = app.bus.list(Bucket::Feeds, "").await?;
    let mut feeds: Vec<(String, Feed)> = listed
        .entries
        .into_iter()
        .filter(|entry| !entry.key.contains('/'))
        .filter_map(|entry| Some((names::decode(&entry.key)?, entry.value?)))
        .filter_map(|(id, value)| Some((id, serde_json::from_slice(&value).ok()?)))
        .collect();
    feeds.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(feeds)
}

fn shown(id: &str, feed: &Feed) -> Value {
    let lag = feed.cadence.lag_ms();
    let patience = feed.cadence.patience();
    json!({
        "id": id,
        "name": feed.name,
        "url": feed.url,
        "moved_to": feed.adopted(),
        "health": Health::of(feed),
        "last_ok": feed.last_ok,
        "last_error": feed.last_error,
        "failures": feed.failures,
        "interval_ms": feed.interval_ms,
        "next_poll": (!feed.gone).then_some(feed.next_poll),
        "last_news": feed.cadence.last(),
        "silent_since": feed.silent_since,
        "patience_ms": patience.map(|p| u64::try_from(p.as_millis()).unwrap_or(u64::MAX)),
        "lag_p50_ms": lag.map(|(p50, _)| p50),
        "lag_p95_ms": lag.map(|(_, p95)| p95),
    })
}
