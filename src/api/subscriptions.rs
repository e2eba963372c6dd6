//! Subscriptions: what is wanted, and what their owners can look at and do. The notifier watches
//! these records and serves them.

mod attempts;
pub(super) mod create;
pub(super) mod draft;
mod events;
pub(super) mod list;
pub mod managed;
mod past;
pub(super) mod replay;
pub(super) mod requests;
pub(super) mod rotate;
mod shape;
pub(super) mod standing;
mod trial;
mod written;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::get;
use axum::routing::post;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::LONGER;
use crate::api::MAX_ADMIN_BYTES;
use crate::api::MAX_PUSH_BYTES;
use crate::api::around;
use crate::api::condition::Meant;
use crate::api::condition::Tag;
use crate::api::once;
use crate::api::problem::Fault;
use crate::api::problem::Json;
use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::api::subscriptions::standing::Standing;
use crate::api::subscriptions::written::Judge;
use crate::api::subscriptions::written::Written;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Put;
use crate::bus::PutOutcome;
use crate::bus::Stream;
use crate::delivery::Delivery;
use crate::model::Filter;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::SubscriptionName;
use crate::model::Time;
use crate::model::subscription::Auth;
use crate::model::subscription::FilterVersion;
use crate::model::subscription::Format;
use crate::model::subscription::InFlight;
use crate::model::subscription::MANAGED_BY;
use crate::model::subscription::MAX_FILTER_VERSIONS;
use crate::model::subscription::Rate;
use crate::model::subscription::RequestKind;

pub(super) use past::Pulled;

/// Tries of a change that other writers get in the way of.
const MAX_RACES: usize = 8;

/// A subscription as shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    pub(super) id: SubscriptionId,
    pub(super) url: String,
    #[serde(flatten)]
    pub(super) filter: Filter,
    pub(super) format: Format,
    pub(super) template: Option<String>,
    pub(super) template_content_type: Option<String>,
    pub(super) ttl: Option<String>,
    pub(super) max_in_flight: InFlight,
    pub(super) rate: Option<Rate>,
    /// By its owner; the notifier's own pause is in `delivery`.
    pub(super) paused: bool,
    pub(super) description: Option<String>,
    /// Names of the headers sent with each request; their values are never shown.
    pub(super) headers: Vec<String>,
    /// The kind of authentication.
    pub(super) auth: Option<&'static str>,
    pub(super) signing: Signing,
    /// The file that it is kept in, and its name there.
    pub(super) managed_by: Option<&'static str>,
    pub(super) name: Option<SubscriptionName>,
    pub(super) created_at: Time,
    pub(super) updated_at: Time,
    /// Asked for and not yet carried out.
    pub(super) requested: Vec<&'static str>,
    pub(super) delivery: Option<Standing>,
}

/// Which keys sign now, without any of them.
#[derive(Debug, Serialize)]
pub(super) struct Signing {
    pub(super) keys: usize,
    /// When the last old one ends; none where there is only the current one.
    pub(super) until: Option<Time>,
}

/// A subscription as an answer: the tag of its version, and what is shown.
pub(super) type Tagged = ([(HeaderName, HeaderValue); 1], axum::Json<Value>);

/// A subscription and what is on record of it, at their revisions.
struct Seen {
    subscription: Subscription,
    revision: u64,
    record: Option<Delivery>,
    /// Revision of the notifier's record; 0 where there is none.
    noted: u64,
}

impl Seen {
    /// The version that is shown: of the definition, of the notifier's record, and how many keys
    /// still sign.
    fn tag(&self, now: Time) -> Tag {
        let keys = self.subscription.keys.iter().filter(|key| key.signs(now)).count();
        Tag::of_numbers(&[self.revision, self.noted, u64::try_from(keys).unwrap_or(u64::MAX)])
    }

    fn told(self, now: Time) -> Tagged {
        let tag = self.tag(now).header();
        (tag, axum::Json(json!(shown(&self.subscription, self.record, now))))
    }
}

/// Everything below `/v1/subscriptions`.
pub(super) fn router<B: Bus>(shared: &App<B>) -> Router<App<B>> {
    let usual = shared.settings.request_timeout;
    let once = || middleware::from_fn_with_state(shared.clone(), once::once::<B>);
    let within = |limit| middleware::from_fn_with_state(limit, around::within);
    let many = Router::new()
        .route("/v1/subscriptions", post(create::create::<B>).get(list::list::<B>))
        .layer(once())
        .layer(DefaultBodyLimit::max(MAX_PUSH_BYTES))
        .layer(within(usual.saturating_mul(LONGER)));
    Router::new()
        .route("/v1/subscriptions/{id}", get(show::<B>).patch(change::<B>).delete(remove::<B>))
        .route("/v1/subscriptions/{id}/test", post(trial::test::<B>))
        .route("/v1/subscriptions/{id}/pause", post(requests::pause::<B>))
        .route("/v1/subscriptions/{id}/resume", post(requests::resume::<B>))
        .route("/v1/subscriptions/{id}/rotate", post(rotate::rotate::<B>))
        .route("/v1/subscriptions/{id}/replay", post(replay::replay::<B>))
        .route("/v1/subscriptions/{id}/events", get(events::pull::<B>))
        .route("/v1/subscriptions/{id}/attempts", get(attempts::list::<B>))
        .layer(once())
        .layer(DefaultBodyLimit::max(MAX_ADMIN_BYTES))
        .layer(within(usual))
        .merge(many)
}

/// `GET /v1/subscriptions/{id}`
async fn show<B: Bus>(State(app): State<App<B>>, Path(id): Path) -> Result<Tagged, Problem> {
    let (subscription, revision) = find(&app, &id).await?;
    let (record, noted) = noted(&app, &subscription).await?;
    Ok(Seen { subscription, revision, record, noted }.told(now(&app)))
}

/// `PATCH /v1/subscriptions/{id}`
async fn change<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
    meant: Meant,
    Json(written): Json<Written>,
) -> Result<Tagged, Problem> {
    let written = Arc::new(written);
    let judge = Arc::new(Judge::of(&app));
    let mut faults = Vec::new();
    let pace = judge.check(&written, &mut faults);
    if written.secret.is_some() {
        let message = "a secret is not changed but turned: POST it to /rotate";
        faults.push(Fault::new("/secret", message));
    }
    let log_end = app.bus.end(Stream::Events).await?;
    let now = now(&app);
    if written.shapes() {
        shape::check_ahead(&judge, &written, find(&app, &id).await?.0).await?;
    }
    let ((), seen) = alter_meant(&app, (&id, &meant), |subscription, _| {
        refuse_managed(subscription)?;
        let mut faults = faults.clone();
        let filter = judge.filter(&written, subscription.filter().clone(), &mut faults);
        let credentials = written.credentials(&subscription.credentials, &mut faults);
        let shape = judge.reshape(&written, subscription, &mut faults);
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        refilter(subscription, filter, log_end);
        subscription.credentials = credentials;
        if let Some(url) = &written.url {
            subscription.url.clone_from(url);
        }
        shape.put_into(subscription);
        subscription.ttl = pace.ttl.unwrap_or(subscription.ttl);
        subscription.max_in_flight = pace.max_in_flight.unwrap_or(subscription.max_in_flight);
        subscription.rate = pace.rate.unwrap_or(subscription.rate);
        if let Some(description) = &written.description {
            subscription.description.clone_from(description);
        }
        subscription.updated_at = now;
        Ok(())
    })
    .await?;
    Ok(seen.told(now))
}

/// Adds a version of the filter where it is another one.
fn refilter(subscription: &mut Subscription, filter: Filter, log_end: u64) {
    if filter == *subscription.filter() {
        return;
    }
    let number = subscription.filters.last().map_or(1, |v| v.number.saturating_add(1));
    subscription.filters.push(FilterVersion { number, effective_after: log_end, filter });
    if subscription.filters.len() > MAX_FILTER_VERSIONS {
        subscription.filters.remove(0);
    }
}

/// What is kept in a file is changed there: else the two would take turns.
fn refuse_managed(subscription: &Subscription) -> Result<(), Problem> {
    let Some(name) = &subscription.name else { return Ok(()) };
    let detail = format!("{name} is kept in {MANAGED_BY}: change it there, and it is taken up");
    Err(Problem::new(StatusCode::CONFLICT, detail))
}

/// `DELETE /v1/subscriptions/{id}`
async fn remove<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
    meant: Meant,
) -> Result<StatusCode, Problem> {
    for _ in 0..MAX_RACES {
        let (subscription, revision) = find(&app, &id).await?;
        meant.check(revision)?;
        refuse_managed(&subscription)?;
        let key = subscription.id.as_str();
        if app.bus.delete(Bucket::Subscriptions, key, revision).await? != PutOutcome::Conflict {
            return Ok(StatusCode::NO_CONTENT);
        }
    }
    Err(racing())
}

/// Changes a definition, again where others wrote it meanwhile. Nothing is written where nothing
/// changed. Answers what the change says, and what there is then.
async fn alter<B: Bus, T>(
    app: &App<B>,
    id: &str,
    change: impl Fn(&mut Subscription, Option<&Delivery>) -> Result<T, Problem>,
) -> Result<(T, Seen), Problem> {
    alter_meant(app, (id, &Meant::Any), change).await
}

/// The same of a definition as it was when somebody looked at it.
async fn alter_meant<B: Bus, T>(
    app: &App<B>,
    (id, meant): (&str, &Meant),
    change: impl Fn(&mut Subscription, Option<&Delivery>) -> Result<T, Problem>,
) -> Result<(T, Seen), Problem> {
    for _ in 0..MAX_RACES {
        let (mut subscription, revision) = find(app, id).await?;
        meant.check(revision)?;
        let (record, noted) = noted(app, &subscription).await?;
        let old = subscription.clone();
        let said = change(&mut subscription, record.as_ref())?;
        if subscription == old {
            return Ok((said, Seen { subscription, revision, record, noted }));
        }
        let now = now(app);
        subscription.keys.retain(|key| key.signs(now));
        let put = put(&subscription, Some(revision));
        if let PutOutcome::Written(revision) = app.bus.put(Bucket::Subscriptions, put).await? {
            return Ok((said, Seen { subscription, revision, record, noted }));
        }
    }
    Err(racing())
}

fn racing() -> Problem {
    Problem::new(StatusCode::CONFLICT, "others change this subscription: try again")
}

pub(super) async fn find<B: Bus>(app: &App<B>, id: &str) -> Result<(Subscription, u64), Problem> {
    let unknown = || Problem::not_found("subscription", id);
    SubscriptionId::new(id).map_err(|_| unknown())?;
    let entry = app.bus.get(Bucket::Subscriptions, id).await?.ok_or_else(unknown)?;
    let value = entry.value.ok_or_else(unknown)?;
    Ok((read(&value)?, entry.revision))
}

/// What the notifier has on record of a subscription; none before it has first looked.
pub(super) async fn record_of<B: Bus>(
    app: &App<B>,
    subscription: &Subscription,
) -> Result<Option<Delivery>, Problem> {
    noted(app, subscription).await.map(|(record, _)| record)
}

/// The same with its revision.
async fn noted<B: Bus>(
    app: &App<B>,
    subscription: &Subscription,
) -> Result<(Option<Delivery>, u64), Problem> {
    let entry = app.bus.get(Bucket::Deliveries, subscription.id.as_str()).await?;
    let revision = entry.as_ref().map_or(0, |entry| entry.revision);
    let record: Option<Delivery> =
        entry.and_then(|e| serde_json::from_slice(e.value.as_ref()?).ok());
    Ok((record.filter(|record| record.is_of(subscription)), revision))
}

fn read(value: &[u8]) -> Result<Subscription, Problem> {
    serde_json::from_slice(value).map_err(|error| {
        let detail = format!("a stored subscription cannot be read: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    })
}

fn put(subscription: &Subscription, expect: Option<u64>) -> Put {
    let value = serde_json::to_vec(subscription).expect("plain data has a JSON form");
    let key = subscription.id.as_str().to_owned();
    Put { key, value: Bytes::from(value), expect }
}

pub(super) fn shown(subscription: &Subscription, record: Option<Delivery>, now: Time) -> Shown {
    let seconds = |ttl: Duration| format!("{}s", ttl.as_secs());
    let done = record.as_ref().map_or(0, |record| record.requests_done);
    let waiting = subscription.requests.iter().filter(|request| request.number > done);
    let kind = |kind: &RequestKind| match kind {
        RequestKind::Test { .. } => "test",
        RequestKind::Resume => "resume",
        RequestKind::Replay { .. } => "replay",
    };
    let in_force = || subscription.keys.iter().filter(|key| key.signs(now));
    Shown {
        id: subscription.id.clone(),
        url: subscription.url.clone(),
        filter: subscription.filter().clone(),
        format: subscription.format,
        template: subscription.template.as_ref().map(|template| template.text.clone()),
        template_content_type: subscription.template.as_ref().map(|t| t.content_type.clone()),
        ttl: subscription.ttl.map(seconds),
        max_in_flight: subscription.max_in_flight,
        rate: subscription.rate,
        paused: subscription.paused,
        description: subscription.description.clone(),
        headers: subscription.credentials.headers.keys().cloned().collect(),
        auth: subscription.credentials.auth.as_ref().map(Auth::kind),
        signing: Signing {
            keys: in_force().count(),
            until: in_force().filter_map(|key| key.until).max(),
        },
        managed_by: subscription.name.as_ref().map(|_| MANAGED_BY),
        name: subscription.name.clone(),
        created_at: subscription.created_at,
        updated_at: subscription.updated_at,
        requested: waiting.map(|request| kind(&request.kind)).collect(),
        delivery: record.map(Standing::of),
    }
}

fn now<B: Bus>(app: &App<B>) -> Time {
    Time::from_millis(app.settings.clock.now_ms())
}
