//! Feeds: how they are, how late they come, and when they are asked again.

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use serde::Deserialize;

use crate::api::App;
use crate::api::pages::Frame;
use crate::api::pages::html;
use crate::api::pages::words::Length;
use crate::api::pages::words::Moment;
use crate::api::pages::words::Words;
use crate::api::pages::words::choice;
use crate::api::pages::words::web;
use crate::api::pages::words::word;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::api::sources;
use crate::api::sources::Health;
use crate::bus::Bus;
use crate::source::poll::State as Feed;

/// Feeds of a page.
const PAGE: usize = 200;
/// Every state, the worst first.
const STATES: [Health; 5] =
    [Health::Gone, Health::Failing, Health::Silent, Health::New, Health::Ok];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ListQuery {
    health: String,
    cursor: String,
}

#[derive(Template)]
#[template(path = "sources.html", config = "src/api/pages/askama.toml")]
struct Page {
    frame: Frame,
    /// Each state, in words, how many feeds are in it, and whether it is chosen.
    counts: Vec<(String, String, usize, bool)>,
    rows: Vec<Row>,
    next: Option<String>,
}

struct Row {
    id: Words,
    name: Option<Words>,
    link: Option<String>,
    health: String,
    good: bool,
    error: Option<Words>,
    failures: u32,
    last_ok: Option<Moment>,
    last_news: Option<Moment>,
    silent_since: Option<Moment>,
    interval: Length,
    next_poll: Option<Moment>,
    lag: Option<(Length, Length)>,
    moved_to: Option<Words>,
}

/// `GET /sources`
pub(super) async fn list<B: Bus>(
    State(app): State<App<B>>,
    frame: Frame,
    Query(query): Query<ListQuery>,
) -> Result<Html<String>, Problem> {
    let chosen = choice::<Health>("?health", &query.health)?;
    let mut feeds = sources::feeds(&app).await?;
    let count = |state: &Health| {
        let word = word(state);
        let feeds = feeds.iter().filter(|(_, feed)| Health::of(feed) == *state).count();
        (word.clone(), word, feeds, chosen == Some(*state))
    };
    let counts = STATES.iter().map(count).collect();
    feeds.retain(|(id, feed)| {
        *id > query.cursor && chosen.is_none_or(|chosen| chosen == Health::of(feed))
    });
    let more = feeds.len() > PAGE;
    feeds.truncate(PAGE);
    let next = feeds.last().filter(|_| more).map(|(id, _)| {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        pairs.append_pair("health", &query.health).append_pair("cursor", id);
        format!("/sources?{}", pairs.finish())
    });
    let rows = feeds.iter().map(|(id, feed)| Row::of(id, feed, &frame)).collect();
    html(&Page { counts, rows, next, frame })
}

impl Row {
    fn of(id: &str, feed: &Feed, frame: &Frame) -> Self {
        let at = |time| Moment::new(time, frame.now);
        let health = Health::of(feed);
        Self {
            id: Words::plain(id),
            name: feed.name.as_deref().map(Words::plain),
            link: web(Some(&feed.url)),
            health: word(&health),
            good: matches!(health, Health::Ok | Health::New),
            error: feed.last_error.as_deref().map(Words::plain),
            failures: feed.failures,
            last_ok: feed.last_ok.map(at),
            last_news: feed.cadence.last().map(at),
            silent_since: feed.silent_since.map(at),
            interval: Length(feed.interval_ms),
            next_poll: (!feed.gone).then(|| at(feed.next_poll)),
            lag: feed.cadence.lag_ms().map(|(p50, p95)| (Length(p50), Length(p95))),
            moved_to: feed.adopted().map(Words::plain),
        }
    }
}
