//! Who changed what, and when: written down with every change that is made by hand.

use axum::extract::MatchedPath;
use axum::extract::Request;
use axum::extract::State;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use crate::api::App;
use crate::api::backward::Look;
use crate::api::guard::Who;
use crate::api::once;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::bus::Bus;
use crate::bus::Expect;
use crate::bus::Record;
use crate::bus::Stream;
use crate::model::Time;
use crate::model::Version;
use crate::model::audit::Change;
use crate::model::names;
use crate::telemetry::logs::chain;
use crate::telemetry::metric;

/// Longest target written down.
const MAX_TARGET: usize = 500;
/// Writing calls that change nothing but what they bring: articles have an archive of their own, and
/// the others only look.
const NOT_CHANGES: [&str; 7] = [
    "/v1/articles",
    "/v1/rules/try",
    "/v1/rules/backtest",
    "/v1/why-not",
    "/playground",
    "/playground/answer",
    "/backtest",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    /// Only what came before this position.
    cursor: Option<String>,
    limit: Option<usize>,
}

/// Writes down what was changed, before the answer goes out. A change stands though it could not be
/// written down: that is told in the log and counted.
pub(super) async fn note<B: Bus>(
    State(app): State<App<B>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(mut change) = change(&request) else { return next.run(request).await };
    let response = next.run(request).await;
    // A page that has done what its form asked for leads on. An answer that was given before tells
    // of no change.
    let status = response.status();
    let again = response.headers().contains_key(once::REPLAYED);
    if again || (!status.is_success() && status != StatusCode::SEE_OTHER) {
        return response;
    }
    change.at = Time::from_millis(app.settings.clock.now_ms());
    change.status = status.as_u16();
    let made = response.headers().get(header::LOCATION).and_then(|made| made.to_str().ok());
    if let Some(made) = made.filter(|_| status == StatusCode::CREATED) {
        change.target = made.to_owned();
    }
    let (who, action, target) = (&change.who, &change.action, &change.target);
    tracing::info!(who, action, target, "Changed by hand");
    let payload = serde_json::to_vec(&change).expect("plain data has a JSON form");
    let record = Record::new(names::audit(&change.who), payload);
    if let Err(error) = app.bus.publish(Stream::Audit, record, Expect::Any).await {
        metrics::counter!(metric::AUDIT_LOST).increment(1);
        tracing::error!(error = chain(&error), "A change could not be written down");
    }
    response
}

/// What a request would change; none where it only looks or brings articles.
fn change(request: &Request) -> Option<Change> {
    let method = request.method();
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    let path = request.extensions().get::<MatchedPath>()?.as_str();
    let who = request.extensions().get::<Who>()?;
    let target = request.uri().path().chars().take(MAX_TARGET).collect();
    (!NOT_CHANGES.contains(&path)).then(|| Change {
        v: Version,
        at: Time::from_millis(0),
        who: who.name.clone(),
        action: format!("{method} {path}"),
        target,
        status: 0,
    })
}

/// `GET /v1/audit`: the newest first.
pub(super) async fn list<B: Bus>(
    State(app): State<App<B>>,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<Value>, Problem> {
    let filter = format!("{}>", Stream::Audit.prefix());
    let look = Look::new(Stream::Audit, filter, query.cursor.as_deref(), query.limit)?;
    let page = look.page(&app, |stored| serde_json::from_slice::<Change>(&stored.payload).ok());
    Ok(page.await?.json())
}
