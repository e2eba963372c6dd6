//! What is tried for all subscriptions: the newest first, and live.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use crate::api::App;
use crate::api::backward::Look;
use crate::api::live;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::bus::Bus;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::model::Attempt;
use crate::model::attempt::Outcome;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttemptsQuery {
    outcome: Option<Outcome>,
    /// For those who listen: the last position that is known.
    after: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/attempts`: a list, or with `Accept: text/event-stream` live.
pub(super) async fn list<B: Bus>(
    State(app): State<App<B>>,
    headers: HeaderMap,
    Query(query): Query<AttemptsQuery>,
) -> Result<Response, Problem> {
    let outcome = query.outcome;
    let pick = move |stored: &Stored| of(stored, outcome);
    let filter = format!("{}>", Stream::Attempts.prefix());
    let after = live::position(&app, Stream::Attempts, &headers, query.after.as_deref()).await?;
    if live::wanted(&headers) {
        let one = |attempt: Attempt| ("attempt", json!(attempt));
        let tell = move |stored: &Stored| pick(stored).into_iter().map(one);
        return live::listen(&app, (Stream::Attempts, filter), after, tell).await;
    }
    let look = Look::new(Stream::Attempts, filter, query.cursor.as_deref(), query.limit)?;
    Ok(look.page(&app, pick).await?.json().into_response())
}

/// The attempts of a record, in their order: those with this outcome, where one is asked for.
pub(super) fn of(stored: &Stored, outcome: Option<Outcome>) -> Vec<Attempt> {
    let mut attempts = Attempt::of_record(&stored.payload);
    attempts.retain(|attempt| outcome.is_none_or(|outcome| outcome == attempt.outcome));
    attempts
}
