//! The log of events: as a list, and live.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::live;
use crate::api::page;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Reader;
use crate::bus::Selection;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::bus::Until;
use crate::delivery::body::unaddressed;
use crate::model::Event;
use crate::model::Mode;
use crate::model::Topic;

/// Records looked at for a page of the list.
const MAX_LOOKED_AT: usize = 16_384;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Position of the last event that is known; exclusive.
    after: Option<String>,
    topic: Option<Topic>,
    /// Also alerts in shadow mode, which nobody is told of.
    #[serde(default)]
    shadow: bool,
    limit: Option<usize>,
}

/// What is told of the log.
struct Telling {
    public_url: String,
    shadow: bool,
}

/// `GET /v1/events`: a list, or with `Accept: text/event-stream` live.
pub(super) async fn list<B: Bus>(
    State(app): State<App<B>>,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> Result<Response, Problem> {
    let after = live::position(&app, Stream::Events, &headers, query.after.as_deref()).await?;
    let filter = format!("wb.event.{}.*.*", query.topic.as_ref().map_or("*", Topic::as_str));
    let telling = Telling { public_url: app.settings.public_url.clone(), shadow: query.shadow };
    if live::wanted(&headers) {
        let tell = move |stored: &Stored| telling.body(stored);
        return live::listen(&app, (Stream::Events, filter), after, tell).await;
    }
    let from = after.map_or(From::Start, From::After);
    let selection = Selection { from, until: Until::End, filter };
    let reader = app.bus.read(Stream::Events, selection).await?;
    Ok(telling.page(reader, page::limit(query.limit)).await?.into_response())
}

impl Telling {
    /// An event as nobody in particular would be told it; none of what is not shown.
    fn body(&self, stored: &Stored) -> Option<(&'static str, Value)> {
        let event = serde_json::from_slice::<Event>(&stored.payload).ok()?;
        if event.mode == Mode::Shadow && !self.shadow {
            return None;
        }
        let mut body = unaddressed(&event);
        body.data.links.alert = Some(format!("{}/alerts/{}", self.public_url, event.alert.id));
        let mut value = json!(body);
        let fields = value.as_object_mut()?;
        fields.insert("position".to_owned(), json!(stored.seq));
        if event.mode == Mode::Shadow {
            fields.insert("mode".to_owned(), json!(event.mode));
        }
        Some((event.kind.as_str(), value))
    }

    async fn page(&self, mut reader: Reader, limit: usize) -> Result<axum::Json<Value>, Problem> {
        let (mut data, mut last, mut looked_at) = (Vec::new(), None, 0);
        let mut more = false;
        while let Some(item) = reader.next().await {
            let Item::Record(stored) = item? else { continue };
            if data.len() >= limit || looked_at >= MAX_LOOKED_AT {
                more = true;
                break;
            }
            looked_at += 1;
            last = Some(stored.seq.to_string());
            data.extend(self.body(&stored).map(|(_, body)| body));
        }
        Ok(axum::Json(json!({"data": data, "next_cursor": last.filter(|_| more)})))
    }
}
