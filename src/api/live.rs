//! Records of a log as they are written, as server-sent events.
//!
//! A client is served as fast as it takes them: they stay in the log until then. The stream ends with
//! the process, or where the log cannot be read; a client that asks again with the last id misses
//! nothing.

use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::response::sse::Event;
use axum::response::sse::KeepAlive;
use axum::response::sse::Sse;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::Value;

use crate::api::App;
use crate::api::problem::Fault;
use crate::api::problem::Problem;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Selection;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::bus::Until;

/// Most clients that listen at once.
pub(super) const MAX_LISTENERS: usize = 256;
/// How often a client that hears nothing hears that somebody is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a browser waits before it asks again.
const RETRY: Duration = Duration::from_secs(2);

/// Whether a client wants to listen.
pub(super) fn wanted(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepts.is_some_and(|value| value.contains("text/event-stream"))
}

/// The position in a log that a client knows: of the last event it heard, or what it asks for.
pub(super) async fn position<B: Bus>(
    app: &App<B>,
    stream: Stream,
    headers: &HeaderMap,
    after: Option<&str>,
) -> Result<Option<u64>, Problem> {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let wrong = |message: String| Problem::invalid(vec![Fault::new("?after", message)]);
    let read = |text: &str| {
        let message = "is no position: take the id of an event, or next_cursor of a page";
        u64::from_str(text).map_err(|_| wrong(message.to_owned()))
    };
    // What goes before the other is no excuse for the other.
    let (after, last) = (after.map(read).transpose()?, last.map(read).transpose()?);
    let Some(position) = last.or(after) else { return Ok(None) };
    let end = app.bus.end(stream).await?;
    if position > end {
        let message = format!(
            "is beyond the end of the log, {end}: the log was made anew, so begin without a position"
        );
        return Err(wrong(message));
    }
    Ok(Some(position))
}

/// Listens to a log from a position on, or from its end. `tell` gives the type and the data of
/// everything that is told of a record.
pub(super) async fn listen<B: Bus, T>(
    app: &App<B>,
    (stream, filter): (Stream, String),
    after: Option<u64>,
    tell: impl Fn(&Stored) -> T + Send + Sync + 'static,
) -> Result<Response, Problem>
where
    T: IntoIterator<Item = (&'static str, Value)>,
{
    let Ok(place) = app.listeners.clone().try_acquire_owned() else {
        let detail = "as many clients as are served at once listen already";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    let after = match after {
        Some(after) => after,
        None => app.bus.end(stream).await?,
    };
    let selection = Selection { from: From::After(after), until: Until::Forever, filter };
    let reader = app.bus.read(stream, selection).await?;
    let held = Arc::new((place, app.stop.clone(), tell));
    let begin = stream::iter([Ok::<Event, Infallible>(Event::default().retry(RETRY))]);
    let going = stream::unfold((reader, held), |(mut reader, held)| async move {
        let (_, stop, tell) = &*held;
        loop {
            let item = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                item = reader.next() => item?,
            };
            let events = told(item.ok()?, tell);
            if !events.is_empty() {
                return Some((stream::iter(events.into_iter().map(Ok)), (reader, held)));
            }
        }
    });
    let alive = KeepAlive::new().interval(HEARTBEAT);
    Ok(Sse::new(begin.chain(going.flatten())).keep_alive(alive).into_response())
}

fn told<T>(item: Item, tell: &impl Fn(&Stored) -> T) -> Vec<Event>
where
    T: IntoIterator<Item = (&'static str, Value)>,
{
    match item {
        Item::Record(stored) => {
            let told = tell(&stored).into_iter();
            let event =
                |(kind, data): (&str, Value)| Event::default().event(kind).data(data.to_string());
            let mut events: Vec<Event> = told.map(event).collect();
            // With the last of them the record is known; whoever heard less hears it again.
            let last = events.pop().map(|last| last.id(stored.seq.to_string()));
            events.extend(last);
            events
        }
        Item::Overtaken { .. } => {
            let what = "what came before is no longer kept";
            vec![Event::default().event("overtaken").data(what)]
        }
    }
}
