//! Subscriptions: what is wanted. The notifier watches these records and serves them.

use std::time::Duration;

mod standing;
mod written;

use axum::extract::Path;
use axum::extract::State;
use axum::http::StatusCode;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::problem::Fault;
use crate::api::problem::Json;
use crate::api::problem::Problem;
use crate::api::subscriptions::standing::Standing;
use crate::api::subscriptions::written::Written;
use crate::api::subscriptions::written::changed_filter;
use crate::api::subscriptions::written::check;
use crate::api::subscriptions::written::ttl_of;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Put;
use crate::bus::PutOutcome;
use crate::bus::Stream;
use crate::delivery::Delivery;
use crate::delivery::signature;
use crate::model::Filter;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::Version;
use crate::model::subscription::FilterVersion;
use crate::model::subscription::Format;
use crate::model::subscription::InFlight;
use crate::model::subscription::MAX_FILTER_VERSIONS;
use crate::model::subscription::MAX_REQUESTS;
use crate::model::subscription::Rate;
use crate::model::subscription::Request;
use crate::model::subscription::RequestKind;
use crate::model::subscription::SigningKey;
use crate::model::subscription::Topics;

/// Tries of a change that other writers get in the way of.
const MAX_RACES: usize = 8;
/// Longest description and list in a filter.
const MAX_LIST: usize = 1_000;

/// A subscription as shown.
#[derive(Debug, Serialize)]
struct Shown {
    id: SubscriptionId,
    url: String,
    #[serde(flatten)]
    filter: Filter,
    format: Format,
    ttl: Option<String>,
    max_in_flight: InFlight,
    rate: Option<Rate>,
    paused: bool,
    description: Option<String>,
    created_at: Time,
    updated_at: Time,
    delivery: Option<Standing>,
}

/// `POST /v1/subscriptions`
pub(super) async fn create<B: Bus>(
    State(app): State<App<B>>,
    Json(written): Json<Written>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let mut faults = Vec::new();
    if written.url.is_none() {
        faults.push(Fault::new("/url", "the url that webhooks are sent to is missing"));
    }
    if written.topics.is_none() {
        faults.push(Fault::new("/topics", "say which topics: names, or [\"*\"] for all"));
    }
    let filter = Filter {
        topics: Topics::All,
        min_severity: None,
        keys: Vec::new(),
        langs: Vec::new(),
        natures: Vec::new(),
        expired: false,
    };
    let filter = changed_filter(&app, &written, filter, &mut faults);
    check(&app, &written, &mut faults);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let secret = signature::secret_from_random(random()?);
    let now = now(&app);
    let subscription = Subscription {
        v: Version,
        id: SubscriptionId::from_random(random()?),
        url: written.url.unwrap_or_default(),
        description: written.description.flatten(),
        format: written.format.unwrap_or_default(),
        keys: vec![SigningKey { secret: secret.clone(), until: None }],
        filters: vec![FilterVersion {
            number: 1,
            effective_after: app.bus.end(Stream::Events).await?,
            filter,
        }],
        ttl: ttl_of(written.ttl.as_ref().and_then(Option::as_deref))?,
        max_in_flight: written.max_in_flight.unwrap_or_default(),
        rate: written.rate.flatten(),
        paused: false,
        requests: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    write(&app, &subscription, None).await?;
    let mut body = json!(shown(&subscription, None));
    if let Some(body) = body.as_object_mut() {
        body.insert("secret".to_owned(), json!(secret.expose()));
    }
    Ok((StatusCode::CREATED, axum::Json(body)))
}

/// `GET /v1/subscriptions`
pub(super) async fn list<B: Bus>(State(app): State<App<B>>) -> Result<axum::Json<Value>, Problem> {
    let wanted = app.bus.list(Bucket::Subscriptions, "").await?;
    let done = app.bus.list(Bucket::Deliveries, "").await?;
    let mut data = Vec::new();
    for entry in wanted.entries {
        let Some(subscription) = entry.value.as_deref().map(read) else { continue };
        let record = done.entries.iter().find(|e| e.key == entry.key);
        let record = record.and_then(|e| serde_json::from_slice(e.value.as_ref()?).ok());
        data.push(shown(&subscription?, record));
    }
    data.sort_by_key(|s| s.created_at);
    Ok(axum::Json(json!({"data": data, "next_cursor": null})))
}

/// `GET /v1/subscriptions/{id}`
pub(super) async fn show<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path<String>,
) -> Result<axum::Json<Value>, Problem> {
    let (subscription, _) = find(&app, &id).await?;
    let record = app.bus.get(Bucket::Deliveries, &id).await?;
    let record = record.and_then(|e| serde_json::from_slice(e.value.as_ref()?).ok());
    Ok(axum::Json(json!(shown(&subscription, record))))
}

/// `PATCH /v1/subscriptions/{id}`
pub(super) async fn change<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path<String>,
    Json(written): Json<Written>,
) -> Result<axum::Json<Value>, Problem> {
    let mut faults = Vec::new();
    check(&app, &written, &mut faults);
    for _ in 0..MAX_RACES {
        let (mut subscription, revision) = find(&app, &id).await?;
        let old = subscription.filter().clone();
        let filter = changed_filter(&app, &written, old.clone(), &mut faults);
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        if filter != old {
            let number = subscription.filters.last().map_or(1, |v| v.number.saturating_add(1));
            let effective_after = app.bus.end(Stream::Events).await?;
            subscription.filters.push(FilterVersion { number, effective_after, filter });
            if subscription.filters.len() > MAX_FILTER_VERSIONS {
                subscription.filters.remove(0);
            }
        }
        if let Some(url) = &written.url {
            subscription.url.clone_from(url);
        }
        if let Some(format) = written.format {
            subscription.format = format;
        }
        if let Some(ttl) = &written.ttl {
            subscription.ttl = ttl_of(ttl.as_deref())?;
        }
        if let Some(max_in_flight) = written.max_in_flight {
            subscription.max_in_flight = max_in_flight;
        }
        if let Some(rate) = written.rate {
            subscription.rate = rate;
        }
        if let Some(description) = &written.description {
            subscription.description.clone_from(description);
        }
        subscription.updated_at = now(&app);
        if write(&app, &subscription, Some(revision)).await? {
            return Ok(axum::Json(json!(shown(&subscription, None))));
        }
    }
    Err(Problem::new(StatusCode::CONFLICT, "others change this subscription: try again"))
}

/// `DELETE /v1/subscriptions/{id}`
pub(super) async fn remove<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    for _ in 0..MAX_RACES {
        let (subscription, revision) = find(&app, &id).await?;
        let key = subscription.id.as_str();
        if app.bus.delete(Bucket::Subscriptions, key, revision).await? != PutOutcome::Conflict {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
    Err(Problem::new(StatusCode::CONFLICT, "others change this subscription: try again"))
}

/// `POST /v1/subscriptions/{id}/test`
pub(super) async fn test<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    for _ in 0..MAX_RACES {
        let (mut subscription, revision) = find(&app, &id).await?;
        let bytes: [u8; 16] = random()?;
        let ping =
            format!("ping_{}", data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase());
        let done = app.bus.get(Bucket::Deliveries, &id).await?;
        let done: Option<Delivery> =
            done.and_then(|e| serde_json::from_slice(e.value.as_ref()?).ok());
        let done = done.map_or(0, |record| record.requests_done);
        let last = subscription.requests.last().map_or(0, |r| r.number).max(done);
        subscription.requests.retain(|r| r.number > done);
        if subscription.requests.len() >= MAX_REQUESTS {
            let detail = "too many requests wait for this endpoint: try again when it answers";
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, detail));
        }
        let kind = RequestKind::Test { id: ping.clone() };
        subscription.requests.push(Request { number: last + 1, at: now(&app), kind });
        if write(&app, &subscription, Some(revision)).await? {
            let body = json!({"id": ping, "webhook_id": format!("{ping}-{id}")});
            return Ok((StatusCode::ACCEPTED, axum::Json(body)));
        }
    }
    Err(Problem::new(StatusCode::CONFLICT, "others change this subscription: try again"))
}

pub(super) async fn find<B: Bus>(app: &App<B>, id: &str) -> Result<(Subscription, u64), Problem> {
    let unknown = || Problem::not_found("subscription", id);
    SubscriptionId::new(id).map_err(|_| unknown())?;
    let entry = app.bus.get(Bucket::Subscriptions, id).await?.ok_or_else(unknown)?;
    let value = entry.value.ok_or_else(unknown)?;
    Ok((read(&value)?, entry.revision))
}

fn read(value: &[u8]) -> Result<Subscription, Problem> {
    serde_json::from_slice(value).map_err(|error| {
        let detail = format!("a stored subscription cannot be read: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })
}

async fn write<B: Bus>(
    app: &App<B>,
    subscription: &Subscription,
    expect: Option<u64>,
) -> Result<bool, Problem> {
    let value = serde_json::to_vec(subscription).expect("plain data has a JSON form");
    let key = subscription.id.as_str().to_owned();
    let put = Put { key, value: Bytes::from(value), expect };
    Ok(matches!(app.bus.put(Bucket::Subscriptions, put).await?, PutOutcome::Written(_)))
}

fn shown(subscription: &Subscription, record: Option<Delivery>) -> Shown {
    let seconds = |ttl: Duration| format!("{}s", ttl.as_secs());
    Shown {
        id: subscription.id.clone(),
        url: subscription.url.clone(),
        filter: subscription.filter().clone(),
        format: subscription.format,
        ttl: subscription.ttl.map(seconds),
        max_in_flight: subscription.max_in_flight,
        rate: subscription.rate,
        paused: subscription.paused,
        description: subscription.description.clone(),
        created_at: subscription.created_at,
        updated_at: subscription.updated_at,
        delivery: record.map(Standing::of),
    }
}

fn now<B: Bus>(app: &App<B>) -> Time {
    Time::from_millis(app.settings.clock.now_ms())
}

fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        let detail = format!("the system has no randomness: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })?;
    Ok(bytes)
}
