//! Subscriptions: the list, and the form that makes one.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::attempts;
use crate::api::backward::Look;
use crate::api::history::broken;
use crate::api::pages::Frame;
use crate::api::pages::html;
use crate::api::pages::words::Length;
use crate::api::pages::words::Moment;
use crate::api::pages::words::Words;
use crate::api::problem::Fault;
use crate::api::problem::Form;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::api::subscriptions::Shown;
use crate::api::subscriptions::create;
use crate::api::subscriptions::draft;
use crate::api::subscriptions::list;
use crate::bus::Bus;
use crate::bus::Stream;
use crate::model::Attempt;
use crate::model::attempt::Outcome;

/// Subscriptions of a page.
const PAGE: usize = 50;
/// Newest attempts, of all subscriptions, that success is counted over.
const LOOKED_AT: usize = 1_000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ListQuery {
    cursor: Option<String>,
}

/// A definition as the form has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Given {
    url: String,
    topics: String,
    min_severity: String,
    keys: String,
    langs: String,
    description: String,
    expired: Option<String>,
}

/// How the newest attempts went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Success {
    tried: usize,
    good: usize,
    took_ms: Vec<u64>,
}

struct Row {
    id: String,
    about: Words,
    topics: String,
    state: Standing,
    success: Option<String>,
    p95: Option<Length>,
    trying: usize,
    given_up: u64,
    managed: bool,
}

/// Where a subscription stands, in words.
pub(super) struct Standing {
    pub(super) word: &'static str,
    pub(super) good: bool,
    pub(super) since: Option<Moment>,
    pub(super) why: Option<Words>,
}

#[derive(Template)]
#[template(path = "subscriptions.html", config = "src/api/pages/askama.toml")]
struct Page {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
    given: Given,
    faults: Vec<Fault>,
    topics: Vec<String>,
}

#[derive(Template)]
#[template(path = "secret.html", config = "src/api/pages/askama.toml")]
pub(super) struct Secret {
    pub(super) frame: Frame,
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) turned: bool,
}

/// `GET /subscriptions`
pub(super) async fn list<B: Bus>(
    State(app): State<App<B>>,
    frame: Frame,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let cursor = query.cursor.as_deref();
    let page = page(&app, frame, cursor, Given::default()).await?;
    Ok(html(&page)?.into_response())
}

/// `POST /subscriptions`: the secret is on the page that answers, and never again.
pub(super) async fn make<B: Bus>(
    State(app): State<App<B>>,
    frame: Frame,
    Form(given): Form<Given>,
) -> Result<Response, Problem> {
    let log_end = app.bus.end(Stream::Events).await?;
    let begin = draft::Begin { now: frame.now, log_end, call: None };
    let definition = given.definition().to_string();
    match create::make(&app, definition.as_bytes(), begin).await {
        Ok((subscription, secret)) => {
            let id = subscription.id.to_string();
            let place = [(header::LOCATION, format!("/subscriptions/{id}"))];
            let secret = secret.ok_or_else(|| broken("the secret that was made is not known"))?;
            let page = html(&Secret { frame, id, secret, turned: false })?;
            Ok((StatusCode::CREATED, place, page).into_response())
        }
        Err(problem) if !problem.faults().is_empty() => {
            let faults = problem.faults().to_vec();
            let page = Page { faults, ..page(&app, frame, None, given).await? };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response())
        }
        Err(problem) => Err(problem),
    }
}

async fn page<B: Bus>(
    app: &App<B>,
    frame: Frame,
    cursor: Option<&str>,
    given: Given,
) -> Result<Page, Problem> {
    let (shown, next) = list::some(app, Some(PAGE), cursor).await?;
    let filter = format!("{}>", Stream::Attempts.prefix());
    let look = Look::new(Stream::Attempts, filter, None, Some(LOOKED_AT))?;
    let mut successes: BTreeMap<String, Success> = BTreeMap::new();
    for attempt in look.page(app, |stored| attempts::of(stored, None)).await?.found {
        successes.entry(attempt.subscription.to_string()).or_default().count(&attempt);
    }
    let rows = shown.iter().map(|one| {
        let success = successes.get(one.id.as_str()).cloned().unwrap_or_default();
        Row::of(one, &success, &frame)
    });
    let topics = app.settings.rules.load().topics().into_iter().map(String::from).collect();
    Ok(Page { rows: rows.collect(), next, given, faults: Vec::new(), topics, frame })
}

impl Given {
    /// As the API takes it.
    fn definition(&self) -> Value {
        let list = |text: &str| -> Vec<String> {
            let parts = text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("url", json!(self.url.trim()));
        put("topics", json!(list(&self.topics)));
        if !self.min_severity.is_empty() {
            put("min_severity", json!(self.min_severity));
        }
        put("keys", json!(list(&self.keys)));
        put("langs", json!(list(&self.langs)));
        put("expired", json!(self.expired.is_some()));
        if !self.description.trim().is_empty() {
            put("description", json!(self.description.trim()));
        }
        Value::Object(fields)
    }
}

impl Success {
    pub(super) fn count(&mut self, attempt: &Attempt) {
        // What was never sent says nothing of the endpoint.
        if matches!(attempt.outcome, Outcome::Withheld | Outcome::Outdated) {
            return;
        }
        self.tried += 1;
        self.good += usize::from(attempt.outcome == Outcome::Delivered);
        self.took_ms.push(attempt.duration_ms);
    }

    /// Such as `98 % of 200`; none where nothing was tried.
    pub(super) fn rate(&self) -> Option<String> {
        let percent = (self.good * 100).checked_div(self.tried)?;
        Some(format!("{percent} % of {}", self.tried))
    }

    /// How long 19 of 20 took at most.
    pub(super) fn p95(&self) -> Option<Length> {
        let mut sorted = self.took_ms.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().saturating_mul(95) / 100).copied().map(Length)
    }
}

impl Row {
    fn of(shown: &Shown, success: &Success, frame: &Frame) -> Self {
        let about = shown.description.as_deref().unwrap_or(&shown.url);
        let delivery = shown.delivery.as_ref();
        Self {
            id: shown.id.to_string(),
            about: Words::plain(about),
            topics: Vec::<String>::from(shown.filter.topics.clone()).join(", "),
            state: Standing::of(shown, frame),
            success: success.rate(),
            p95: success.p95(),
            trying: delivery.map_or(0, |delivery| delivery.outstanding.len()),
            given_up: delivery.map_or(0, |delivery| delivery.given_up),
            managed: shown.managed_by.is_some(),
        }
    }
}

impl Standing {
    pub(super) fn of(shown: &Shown, frame: &Frame) -> Self {
        let at = |time| Moment::new(time, frame.now);
        let plain = |word, good| Self { word, good, since: None, why: None };
        if shown.paused {
            return Self {
                since: Some(at(shown.updated_at)),
                ..plain("paused by its owner", false)
            };
        }
        let Some(delivery) = &shown.delivery else { return plain("new", true) };
        if let Some(why) = &delivery.why {
            let (since, why) = (delivery.since.map(at), Some(Words::plain(why)));
            return Self { since, why, ..plain("paused by Wirebell", false) };
        }
        match (delivery.failing_since, delivery.breaker) {
            (Some(since), _) => Self { since: Some(at(since)), ..plain("failing", false) },
            (None, "closed") => plain("active", true),
            (None, _) => plain("recovering", true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_a_definition_as_the_api_takes_it() {
        let given = Given {
            url: " https://desk.example/bell ".to_owned(),
            topics: "air-raid-alert, \nlaunch,".to_owned(),
            min_severity: "warning".to_owned(),
            expired: Some("on".to_owned()),
            ..Given::default()
        };
        let wanted = json!({"url": "https://desk.example/bell",
            "topics": ["air-raid-alert", "launch"], "min_severity": "warning", "keys": [],
            "langs": [], "expired": true});
        assert_eq!(given.definition(), wanted);
    }

    #[test]
    fn success_is_counted_over_what_was_sent() {
        let attempt = |outcome: &str, ms: u64| -> Attempt {
            serde_json::from_value(
                json!({"v": 1, "subscription": format!("sub_{}", "a".repeat(26)),
                "event": "evt", "type": "alert.opened", "sequence": 1,
                "at": "2026-01-18T22:05:02.114Z", "outcome": outcome, "status": null,
                "duration_ms": ms, "remark": null}),
            )
            .unwrap()
        };
        let mut success = Success::default();
        assert_eq!((success.rate(), success.p95()), (None, None));
        for (outcome, ms) in
            [("delivered", 10), ("rejected", 30), ("withheld", 0), ("delivered", 20)]
        {
            success.count(&attempt(outcome, ms));
        }
        assert_eq!(success.rate().as_deref(), Some("66 % of 3"));
        assert_eq!(success.p95(), Some(Length(30)));
    }
}
