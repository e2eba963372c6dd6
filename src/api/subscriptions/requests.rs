//! What an owner asks the notifier to do: pause, resume, a test.

use axum::extract::Path;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::problem::Problem;
use crate::api::subscriptions::alter;
use crate::api::subscriptions::now;
use crate::api::subscriptions::random;
use crate::api::subscriptions::shown;
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
    Path(id): Path<String>,
) -> Result<axum::Json<Value>, Problem> {
    let now = now(&app);
    let ((), subscription, record) = alter(&app, &id, |subscription, _| {
        if !subscription.paused {
            subscription.paused = true;
            subscription.updated_at = now;
        }
        Ok(())
    })
    .await?;
    Ok(axum::Json(json!(shown(&subscription, record, now))))
}

/// `POST /v1/subscriptions/{id}/resume`: ends a pause, whoever made it, and a wait between tries.
pub(in crate::api) async fn resume<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path<String>,
) -> Result<axum::Json<Value>, Problem> {
    let now = now(&app);
    let ((), subscription, record) = alter(&app, &id, |subscription, record| {
        if std::mem::take(&mut subscription.paused) {
            subscription.updated_at = now;
        }
        let waits = waiting(subscription, record).any(|r| r.kind == RequestKind::Resume);
        if waits { Ok(()) } else { ask(subscription, record, (now, RequestKind::Resume)) }
    })
    .await?;
    Ok(axum::Json(json!(shown(&subscription, record, now))))
}

/// `POST /v1/subscriptions/{id}/test`: a `test.ping` goes the real way.
pub(in crate::api) async fn test<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let ping = ping()?;
    let now = now(&app);
    alter(&app, &id, |subscription, record| {
        ask(subscription, record, (now, RequestKind::Test { id: ping.clone() }))
    })
    .await?;
    let body = json!({"id": ping, "webhook_id": format!("{ping}-{id}")});
    Ok((StatusCode::ACCEPTED, axum::Json(body)))
}

/// A new id of a `test.ping`.
pub(super) fn ping() -> Result<String, Problem> {
    let bytes: [u8; 16] = random()?;
    Ok(format!("ping_{}", base32(&bytes)))
}

/// Requests that are not carried out yet.
pub(super) fn waiting<'a>(
    subscription: &'a Subscription,
    record: Option<&Delivery>,
) -> impl Iterator<Item = &'a Request> {
    let done = record.map_or(0, |record| record.requests_done);
    subscription.requests.iter().filter(move |request| request.number > done)
}

/// Adds a numbered request; those that were carried out go.
pub(super) fn ask(
    subscription: &mut Subscription,
    record: Option<&Delivery>,
    (at, kind): (Time, RequestKind),
) -> Result<(), Problem> {
    let done = record.map_or(0, |record| record.requests_done);
    let last = subscription.requests.last().map_or(0, |r| r.number).max(done);
    subscription.requests.retain(|r| r.number > done);
    if subscription.requests.len() >= MAX_REQUESTS {
        let detail = "too many requests wait for this endpoint: try again when it answers";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail));
    }
    subscription.requests.push(Request { number: last + 1, at, kind });
    Ok(())
}
