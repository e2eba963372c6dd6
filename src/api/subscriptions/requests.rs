//! What an owner asks the notifier to do: pause, resume, a test.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::once::Call;
use crate::api::once::Once;
use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::api::random;
use crate::api::subscriptions::Tagged;
use crate::api::subscriptions::alter;
use crate::api::subscriptions::now;
use crate::bus::Bus;
use crate::delivery::Delivery;
use crate::model::Subscription;
use crate::model::Time;
use crate::model::id::base32;
use crate::model::subscription::MAX_REQUESTS;
use crate::model::subscription::Request;
use crate::model::subscription::RequestKind;

/// `POST /v1/subscriptions/{id}/pause`: nothing is sent, everything is kept.
pub(in crate::api) async fn pause<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
) -> Result<Tagged, Problem> {
    let now = now(&app);
    let ((), seen) = alter(&app, &id, |subscription, _| {
        if !subscription.paused {
            subscription.paused = true;
            subscription.updated_at = now;
        }
        Ok(())
    })
    .await?;
    Ok(seen.told(now))
}

/// `POST /v1/subscriptions/{id}/resume`: ends a pause, whoever made it, and a wait between tries.
pub(in crate::api) async fn resume<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
) -> Result<Tagged, Problem> {
    let now = now(&app);
    let ((), seen) = alter(&app, &id, |subscription, record| {
        if std::mem::take(&mut subscription.paused) {
            subscription.updated_at = now;
        }
        let waits = waiting(subscription, record).any(|r| r.kind == RequestKind::Resume);
        let asked = Asked { at: now, call: None, kind: RequestKind::Resume };
        if waits { Ok(()) } else { ask(subscription, record, asked) }
    })
    .await?;
    Ok(seen.told(now))
}

/// `POST /v1/subscriptions/{id}/test`: a `test.ping` goes the real way.
pub(in crate::api) async fn test<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
    Once(call): Once,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let ping = match &call {
        Some(call) => ping_of(call.id(0)),
        None => ping()?,
    };
    let kind = RequestKind::Test { id: ping.clone() };
    let asked = Asked { at: now(&app), call: call.as_ref(), kind };
    alter(&app, &id, |subscription, record| ask(subscription, record, asked.clone())).await?;
    let body = json!({"id": ping, "webhook_id": format!("{ping}-{id}")});
    Ok((StatusCode::ACCEPTED, axum::Json(body)))
}

/// A new id of a `test.ping`.
pub(super) fn ping() -> Result<String, Problem> {
    random().map(ping_of)
}

fn ping_of(bytes: [u8; 16]) -> String {
    format!("ping_{}", base32(&bytes))
}

/// Requests that are not carried out yet.
pub(super) fn waiting<'a>(
    subscription: &'a Subscription,
    record: Option<&Delivery>,
) -> impl Iterator<Item = &'a Request> {
    let done = record.map_or(0, |record| record.requests_done);
    subscription.requests.iter().filter(move |request| request.number > done)
}

/// What is asked of the notifier, and by which request.
#[derive(Clone)]
pub(super) struct Asked<'c> {
    pub(super) at: Time,
    pub(super) call: Option<&'c Call>,
    pub(super) kind: RequestKind,
}

/// Whether a request has asked before, and what it asked for is still remembered.
pub(super) fn has_asked(subscription: &Subscription, call: Option<&Call>) -> bool {
    let mark = call.filter(|call| call.was_begun()).map(Call::mark);
    mark.is_some() && subscription.requests.iter().any(|asked| asked.call.as_deref() == mark)
}

/// Adds a numbered request; those that were carried out go.
pub(super) fn ask(
    subscription: &mut Subscription,
    record: Option<&Delivery>,
    Asked { at, call, kind }: Asked<'_>,
) -> Result<(), Problem> {
    if has_asked(subscription, call) {
        return Ok(());
    }
    let call = call.map(|call| call.mark().to_owned());
    let done = record.map_or(0, |record| record.requests_done);
    let last = subscription.requests.last().map_or(0, |r| r.number).max(done);
    subscription.requests.retain(|r| r.number > done);
    if subscription.requests.len() >= MAX_REQUESTS {
        let detail = "too many requests wait for this endpoint: try again when it answers";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail));
    }
    subscription.requests.push(Request { number: last + 1, at, call, kind });
    Ok(())
}
