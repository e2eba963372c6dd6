//! Why an alert is: every article that concerned it, every event, and who was told when.
//!
//! It is read from the log of events and the verdicts, which say what was decided when it was
//! decided. No rule set is asked: the rules may have changed since.

mod articles;

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::history;
use crate::api::history::Past;
use crate::api::history::Told;
use crate::api::history::Way;
use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::bus::Bus;
use crate::delivery::Logged;
use crate::model::ArticleId;
use crate::model::Attempt;
use crate::model::Event;
use crate::model::EventId;
use crate::model::Mode;
use crate::model::Severity;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::event::AlertView;
use crate::model::event::Confirmation;
use crate::model::event::Status;
use articles::Gathered;

pub(super) use articles::Shown;
pub(super) use articles::Source;

/// Most subscriptions whose attempts are listed.
const MAX_TOLD: usize = 200;

/// An event as a step of the alert.
#[derive(Serialize)]
struct Transition<'a> {
    id: &'a EventId,
    number: u32,
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Time,
    status: Status,
    severity: Severity,
    confirmation: Confirmation,
    independent_sources: u32,
    late: bool,
    possible_end: bool,
    reason: Option<&'a str>,
    ruleset: &'a str,
    /// The articles it told of, the one that caused it last.
    articles: Vec<&'a ArticleId>,
    more_articles: u32,
}

/// What a subscription was told.
#[derive(Serialize)]
pub(super) struct Delivered {
    pub(super) subscription: SubscriptionId,
    pub(super) events: Vec<DeliveredEvent>,
}

#[derive(Serialize)]
pub(super) struct DeliveredEvent {
    pub(super) id: EventId,
    pub(super) number: u32,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) state: Way,
    pub(super) attempts: Vec<Attempt>,
}

/// Everything that is known of an alert's past.
pub(super) struct Report {
    pub(super) view: AlertView,
    pub(super) mode: Mode,
    pub(super) events: Vec<Logged>,
    pub(super) gathered: Gathered,
    pub(super) deliveries: Vec<Delivered>,
    pub(super) more_deliveries: bool,
}

/// `GET /v1/alerts/{id}/why`
pub(super) async fn why<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
) -> Result<axum::Json<Value>, Problem> {
    let report = report(&app, &id).await?;
    let transitions = report.events.iter().map(|l| transition(&l.event));
    let transitions: Vec<Transition<'_>> = transitions.collect();
    let gathered = &report.gathered;
    Ok(axum::Json(json!({
        "alert": report.view,
        "mode": report.mode,
        "events": transitions,
        "articles": gathered.articles,
        "more_articles": gathered.more,
        "complete": gathered.complete,
        "sources": gathered.sources,
        "deliveries": report.deliveries,
        "more_deliveries": report.more_deliveries,
    })))
}

/// Gathers the past of the alert that a request names.
pub(super) async fn report<B: Bus>(app: &App<B>, id: &str) -> Result<Report, Problem> {
    let Past { view, mode, events } = history::past(app, id).await?;
    let gathered = articles::gather(app, &events).await?;
    let (told, more_deliveries) = history::told(app, &events, MAX_TOLD).await?;
    let mut deliveries = Vec::new();
    for one in &told {
        deliveries.push(delivered(app, &events, one).await?);
    }
    Ok(Report { view, mode, events, gathered, deliveries, more_deliveries })
}

fn transition(event: &Event) -> Transition<'_> {
    let alert = &event.alert;
    Transition {
        id: &event.id,
        number: event.number,
        kind: event.kind.as_str(),
        timestamp: event.timestamp,
        status: alert.status,
        severity: alert.severity,
        confirmation: alert.confirmation,
        independent_sources: alert.independent_sources,
        late: event.late,
        possible_end: event.possible_end,
        reason: event.reason.as_deref(),
        ruleset: &event.ruleset,
        articles: event.articles.iter().map(|a| &a.id).collect(),
        more_articles: event.more_articles,
    }
}

async fn delivered<B: Bus>(
    app: &App<B>,
    events: &[Logged],
    told: &Told,
) -> Result<Delivered, Problem> {
    let admitted: Vec<&Logged> = told.admitted.iter().filter_map(|at| events.get(*at)).collect();
    let mut attempts = history::attempts(app, &told.subscription.id, &admitted).await?;
    let events = admitted.into_iter().map(|logged| DeliveredEvent {
        id: logged.event.id.clone(),
        number: logged.event.number,
        kind: logged.event.kind.as_str(),
        state: told.way(logged.seq),
        attempts: attempts.remove(logged.event.id.as_str()).unwrap_or_default(),
    });
    Ok(Delivered { events: events.collect(), subscription: told.subscription.id.clone() })
}
