//! Alerts: the list, and one with its whole history and who was told.

use std::str::FromStr;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::alerts::state::REMEMBERED;
use crate::api::App;
use crate::api::history;
use crate::api::history::Past;
use crate::api::history::Way;
use crate::api::once::Call;
use crate::api::once::Once;
use crate::api::page;
use crate::api::problem::Fault;
use crate::api::problem::Json;
use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::bus::Bus;
use crate::model::Directive;
use crate::model::DirectiveKind;
use crate::model::Event;
use crate::model::Mode;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::Topic;
use crate::model::event::AlertView;
use crate::model::event::Status;
use crate::source::direct;

/// Most subscriptions listed with an alert.
const MAX_TOLD: usize = 1_000;
/// Longest reason of an operator, in code points.
const MAX_REASON_CHARS: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    topic: Option<Topic>,
    status: Option<Status>,
    since: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    alert: AlertView,
    mode: Mode,
    events: u32,
}

/// `GET /v1/alerts`
pub(super) async fn list<B: Bus>(
    State(app): State<App<B>>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Value>, Problem> {
    let limit = page::limit(query.limit);
    let wrong = |name: &str, message: String| {
        Problem::invalid(vec![Fault::new(format!("?{name}"), message)])
    };
    let since = query.since.as_deref().map(Time::from_str).transpose();
    let since = since.map_err(|e| wrong("since", e.to_string()))?;
    let before = query.cursor.as_deref().map(u64::from_str).transpose();
    let before = before
        .map_err(|_| wrong("cursor", "take next_cursor of the page before".to_owned()))?
        .unwrap_or(u64::MAX);
    let wanted = |view: &AlertView| {
        query.topic.as_ref().is_none_or(|t| *t == view.topic)
            && query.status.is_none_or(|s| s == view.status)
            && since.is_none_or(|t| view.updated_at >= t)
    };
    let mut found: Vec<_> =
        app.index.before(before).into_iter().filter(|k| wanted(&k.view)).take(limit + 1).collect();
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|k| k.position.to_string());
    let data: Vec<Listed> = found
        .into_iter()
        .map(|k| Listed { alert: k.view, mode: k.mode, events: k.events })
        .collect();
    Ok(axum::Json(json!({"data": data, "next_cursor": next})))
}

#[derive(Serialize)]
struct Told {
    subscription: SubscriptionId,
    /// Types of the events that were sent or given up.
    settled: Vec<&'static str>,
    /// Types of the events that wait.
    waiting: Vec<&'static str>,
}

/// `GET /v1/alerts/{id}`
pub(super) async fn show<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
) -> Result<axum::Json<Value>, Problem> {
    let Past { view, events, .. } = history::past(&app, &id).await?;
    let (told, more_told) = history::told(&app, &events, MAX_TOLD).await?;
    let told = told.into_iter().map(|one| {
        let settled = |at: &&usize| {
            events.get(**at).is_some_and(|logged| one.way(logged.seq) == Way::Settled)
        };
        let (settled, waiting): (Vec<&usize>, Vec<&usize>) = one.admitted.iter().partition(settled);
        Told {
            settled: history::kinds(&events, settled.into_iter().copied()),
            waiting: history::kinds(&events, waiting.into_iter().copied()),
            subscription: one.subscription.id,
        }
    });
    let told: Vec<Told> = told.collect();
    let events_json: Vec<&Event> = events.iter().map(|l| &l.event).collect();
    Ok(axum::Json(json!({"alert": view, "events": events_json, "told": told,
        "more_told": more_told})))
}

/// Why an alert is ended or taken back, and by whom.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decided {
    pub(super) reason: String,
    pub(super) by: Option<String>,
}

/// `POST /v1/alerts/{id}/end`
pub(super) async fn end<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
    Once(call): Once,
    Json(decided): Json<Decided>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    decide(&app, &id, (DirectiveKind::End, call), decided).await
}

/// `POST /v1/alerts/{id}/retract`
pub(super) async fn retract<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
    Once(call): Once,
    Json(decided): Json<Decided>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    decide(&app, &id, (DirectiveKind::Retract, call), decided).await
}

pub(super) async fn decide<B: Bus>(
    app: &App<B>,
    id: &str,
    (kind, call): (DirectiveKind, Option<Call>),
    decided: Decided,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let reason = short("/reason", &decided.reason)?;
    let by = short("/by", decided.by.as_deref().unwrap_or("operator"))?;
    let Past { view, .. } = history::past(app, id).await?;
    let now = Time::from_millis(app.settings.clock.now_ms());
    // It may be this very request that closed the alert. Its decision is written once, whatever
    // happens, and closes no alert twice.
    let begun = call.is_some_and(|call| call.was_begun());
    if let Some(why) = refusal(kind, &view, now).filter(|_| !begun) {
        return Err(Problem::new(StatusCode::CONFLICT, why));
    }
    let directive = Directive { kind, alert: view.id, reason, by };
    let article = direct(&app.bus, directive, now).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(json!({"article": article}))))
}

/// Why an operator's decision would change nothing.
fn refusal(kind: DirectiveKind, view: &AlertView, now: Time) -> Option<String> {
    let closed = |at: Time| now.since(at) >= REMEMBERED;
    match (kind, view.status) {
        (_, Status::Retracted) => Some("the alert is taken back already".to_owned()),
        (DirectiveKind::End, Status::Ended | Status::Expired) => {
            Some("the alert is closed already; retract it if it was wrong".to_owned())
        }
        _ if view.ended_at.is_some_and(closed) => {
            Some("the alert closed more than 48 h ago and is no longer followed".to_owned())
        }
        _ => None,
    }
}

fn short(pointer: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    let wrong = |message: String| Problem::invalid(vec![Fault::new(pointer, message)]);
    if text.is_empty() {
        return Err(wrong("is empty; say it in a few words".to_owned()));
    }
    if text.chars().count() > MAX_REASON_CHARS || text.chars().any(|c| c.is_control() && c != '\n')
    {
        return Err(wrong(format!("write plain text of at most {MAX_REASON_CHARS} characters")));
    }
    Ok(text.to_owned())
}

/// `GET /v1/topics`
pub(super) async fn topics<B: Bus>(State(app): State<App<B>>) -> axum::Json<Value> {
    let rules = app.settings.rules.load();
    let data: Vec<Value> = rules
        .topics()
        .into_iter()
        .map(|topic| {
            let of = rules.rules().iter().filter(|r| r.topic == topic && r.opens_alerts());
            let rules: Vec<Value> =
                of.map(|r| json!({"id": r.id, "title": r.title, "severity": r.severity})).collect();
            json!({"topic": topic, "rules": rules})
        })
        .collect();
    axum::Json(json!({"data": data, "next_cursor": null}))
}
