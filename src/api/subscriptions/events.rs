//! Pull: the log by sequence, for those who would rather ask than be called.

use std::ops::ControlFlow;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::App;
use crate::api::history::broken;
use crate::api::page;
use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::api::subscriptions::past::Course;
use crate::api::subscriptions::past::Lost;
use crate::api::subscriptions::past::View;
use crate::api::subscriptions::past::Walked;
use crate::bus::Bus;
use crate::delivery::Logged;
use crate::delivery::body;
use crate::delivery::ledger::Mark;

/// Bytes of bodies after which a page ends.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most events of the log looked at for a page.
const MAX_LOOKED_AT: usize = 200_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PullQuery {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

/// Bodies exactly as they are sent, and where to go on: none where there is nothing more yet.
#[derive(Serialize)]
pub(super) struct Page {
    data: Vec<Box<RawValue>>,
    next_cursor: Option<u64>,
}

struct Gathered {
    bodies: Vec<Vec<u8>>,
    bytes: usize,
    /// The last event in it.
    last: Mark,
    more: bool,
}

/// `GET /v1/subscriptions/{id}/events?after=N`: what belongs to it after a sequence, sent or not.
pub(super) async fn pull<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
    Query(query): Query<PullQuery>,
) -> Result<axum::Json<Page>, Problem> {
    let limit = page::limit(query.limit);
    let after = query.after;
    let view = View::of(&app, &id).await?;
    let subscription = &view.subscription.id;
    let wanted = after.saturating_add(1);
    let from = app.pulled.better(&view, wanted);
    let from = from.ok_or_else(|| gone(after, view.first_sequence(Lost { first: 0 })))?;
    let last = Mark { sequence: after, position: from.position };
    let mut page = Gathered { bodies: Vec::new(), bytes: 0, last, more: false };
    let public_url = &app.settings.public_url;
    let take = |logged: &Logged, sequence: u64| {
        if sequence <= after {
            return ControlFlow::Continue(());
        }
        if page.bodies.len() >= limit || page.bytes >= MAX_BYTES {
            page.more = true;
            return ControlFlow::Break(());
        }
        let to = body::Address { subscription, sequence, late: false };
        let bytes = body::rendered(logged, public_url).addressed(to);
        page.bytes += bytes.len();
        page.bodies.push(bytes);
        page.last = Mark { sequence, position: logged.seq };
        ControlFlow::Continue(())
    };
    let course = Course { from, to: view.decided, most: MAX_LOOKED_AT };
    match view.walk(&app, course, take).await? {
        Walked::Lost(lost) => return Err(gone(after, view.first_sequence(lost))),
        Walked::Tired(at) => {
            page.more = true;
            app.pulled.note(subscription, at);
        }
        Walked::There(at) => app.pulled.note(subscription, at),
        Walked::Stopped => app.pulled.note(subscription, page.last),
    }
    let raw = |bytes| String::from_utf8(bytes).ok().and_then(|s| RawValue::from_string(s).ok());
    let data: Option<Vec<_>> = page.bodies.into_iter().map(raw).collect();
    let data = data.ok_or_else(|| broken("an event cannot be written as JSON"))?;
    Ok(axum::Json(Page { data, next_cursor: page.more.then_some(page.last.sequence) }))
}

fn gone(after: u64, first: u64) -> Problem {
    let wanted = after.saturating_add(1);
    let detail = format!(
        "sequence {wanted} is no longer kept or cannot be found again: the first that can is \
         {first}, after={}",
        first.saturating_sub(1)
    );
    Problem::new(StatusCode::GONE, detail)
}
