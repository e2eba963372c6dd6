//! What was tried for a subscription, the newest first.

use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

use crate::api::App;
use crate::api::attempts;
use crate::api::backward::Look;
use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::api::subscriptions::find;
use crate::bus::Bus;
use crate::bus::Stream;
use crate::model::SubscriptionId;
use crate::model::attempt::Outcome;
use crate::model::names;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttemptsQuery {
    limit: Option<usize>,
    cursor: Option<String>,
    outcome: Option<Outcome>,
}

/// `GET /v1/subscriptions/{id}/attempts`
pub(super) async fn list<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
    Query(query): Query<AttemptsQuery>,
) -> Result<axum::Json<Value>, Problem> {
    let id: SubscriptionId = find(&app, &id).await?.0.id;
    let cursor = query.cursor.as_deref();
    let look = Look::new(Stream::Attempts, names::attempt(&id), cursor, query.limit)?;
    let page = look.page(&app, |stored| attempts::of(stored, query.outcome)).await?;
    Ok(page.json())
}
