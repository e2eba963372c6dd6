//! New subscriptions, one or many at once.

use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::MAX_ADMIN_BYTES;
use crate::api::history::broken;
use crate::api::problem::Fault;
use crate::api::problem::Problem;
use crate::api::problem::body;
use crate::api::problem::content_type;
use crate::api::problem::read_json;
use crate::api::subscriptions::now;
use crate::api::subscriptions::put;
use crate::api::subscriptions::random;
use crate::api::subscriptions::shape::Shape;
use crate::api::subscriptions::shown;
use crate::api::subscriptions::written::Judge;
use crate::api::subscriptions::written::Pace;
use crate::api::subscriptions::written::Written;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::PutOutcome;
use crate::bus::Stream;
use crate::delivery::signature;
use crate::model::Filter;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::Version;
use crate::model::subscription::Credentials;
use crate::model::subscription::FilterVersion;
use crate::model::subscription::Secret;
use crate::model::subscription::SigningKey;
use crate::model::subscription::Topics;
use crate::telemetry::logs::chain;

/// Most definitions of one request.
const MAX_LINES: usize = 10_000;
/// Largest request with many definitions.
const MAX_LINES_BYTES: usize = 8 * 1024 * 1024;
/// Written together.
const GROUP: usize = 1_000;

/// A definition that can be taken.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) written: Written,
    filter: Filter,
    pace: Pace,
    credentials: Credentials,
    shape: Shape,
}

/// Where a subscription begins.
#[derive(Clone, Copy)]
pub(in crate::api) struct Begin {
    pub(in crate::api) now: Time,
    pub(in crate::api) log_end: u64,
}

/// What became of the lines of a request.
#[derive(Default)]
struct Told {
    created: Vec<Value>,
    rejected: Vec<Value>,
}

/// `POST /v1/subscriptions`: one definition as JSON, or one a line as NDJSON.
pub(super) async fn create<B: Bus>(
    State(app): State<App<B>>,
    request: Request,
) -> Result<Response, Problem> {
    let content = content_type(request.headers());
    let content = content.as_deref().unwrap_or("application/json");
    let many =
        matches!(content, "application/x-ndjson" | "application/jsonl" | "application/ndjson");
    if !many && content != "application/json" {
        let detail = format!("send application/json or application/x-ndjson, not {content}");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let most = if many { MAX_LINES_BYTES } else { MAX_ADMIN_BYTES };
    let bytes = body(request, &app).await?;
    if bytes.len() > most {
        let detail = format!("the body is too large: at most {} MiB", most >> 20);
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let log_end = app.bus.end(Stream::Events).await?;
    let begin = Begin { now: now(&app), log_end };
    if many { create_many(&app, bytes, begin).await } else { create_one(&app, &bytes, begin).await }
}

async fn create_one<B: Bus>(app: &App<B>, bytes: &[u8], begin: Begin) -> Result<Response, Problem> {
    let (subscription, secret) = make(app, bytes, begin).await?;
    let mut body = json!(shown(&subscription, None, begin.now));
    body["secret"] = json!(secret);
    let location = format!("/v1/subscriptions/{}", subscription.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(body)).into_response())
}

/// Makes a subscription of a definition as JSON; answers its secret too.
pub(in crate::api) async fn make<B: Bus>(
    app: &App<B>,
    bytes: &[u8],
    begin: Begin,
) -> Result<(Subscription, String), Problem> {
    let (judge, written) = (Judge::of(app), read_json(bytes)?);
    let judging = tokio::task::spawn_blocking(move || judge.draft(written));
    let draft = judging.await.map_err(|_| broken("judging the definition failed"))?;
    let draft = draft.map_err(Problem::invalid)?;
    let (subscription, secret) = draft.begin(begin)?;
    app.bus.put(Bucket::Subscriptions, put(&subscription, None)).await?;
    Ok((subscription, secret))
}

/// Each line stands for itself. Subscriptions that were written are told with their secrets even
/// where the bus fails in between: nobody could ask for them again.
async fn create_many<B: Bus>(
    app: &App<B>,
    bytes: Bytes,
    begin: Begin,
) -> Result<Response, Problem> {
    let judge = Judge::of(app);
    let reading = tokio::task::spawn_blocking(move || lines(&judge, &bytes));
    let lines = reading.await.map_err(|_| broken("reading the definitions failed"))??;
    let mut told = Told::default();
    let mut drafts = Vec::new();
    for (index, line) in lines.into_iter().enumerate() {
        match line {
            Ok(draft) => drafts.push((index, draft)),
            Err(faults) => told.reject(index, &faults),
        }
    }
    for group in drafts.chunks(GROUP) {
        if let Err(error) = write(app, group, begin, &mut told).await {
            if told.created.is_empty() {
                return Err(error.into());
            }
            let message = format!("it may not have been written: {}", chain(&error));
            let faults = [Fault::new("", message)];
            group.iter().for_each(|(index, _)| told.reject(*index, &faults));
        }
    }
    told.rejected.sort_by_key(|one| one["index"].as_u64());
    let nothing = told.created.is_empty() && !told.rejected.is_empty();
    let status = if nothing { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::CREATED };
    let told = json!({"created": told.created, "rejected": told.rejected});
    Ok((status, axum::Json(told)).into_response())
}

async fn write<B: Bus>(
    app: &App<B>,
    group: &[(usize, Draft)],
    begin: Begin,
    told: &mut Told,
) -> Result<(), crate::bus::Error> {
    let (mut puts, mut members) = (Vec::new(), Vec::new());
    for (index, draft) in group {
        match draft.begin(begin) {
            Ok((subscription, secret)) => {
                puts.push(put(&subscription, None));
                members.push((*index, subscription.id, secret));
            }
            Err(problem) => told.reject(*index, &[Fault::new("", problem.detail())]),
        }
    }
    let outcomes = app.bus.put_all(Bucket::Subscriptions, puts).await?;
    for ((index, id, secret), outcome) in members.into_iter().zip(outcomes) {
        let message = match outcome {
            Ok(PutOutcome::Written(_)) => {
                told.created.push(json!({"index": index, "id": id, "secret": secret}));
                continue;
            }
            Ok(PutOutcome::Conflict) => "its id was taken by another: send it again".to_owned(),
            Err(error) => chain(&error),
        };
        told.reject(index, &[Fault::new("", message)]);
    }
    Ok(())
}

fn lines(judge: &Judge, bytes: &[u8]) -> Result<Vec<Result<Draft, Vec<Fault>>>, Problem> {
    let blank = |line: &&[u8]| line.iter().all(u8::is_ascii_whitespace);
    let lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').filter(|line| !blank(line)).collect();
    if lines.len() > MAX_LINES {
        let detail = format!("at most {MAX_LINES} definitions a request: send them in parts");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let read = |line: &[u8]| {
        let written = serde_json::from_slice(line);
        let written = written.map_err(|error| vec![Fault::new("", error.to_string())])?;
        judge.draft(written)
    };
    Ok(lines.into_iter().map(read).collect())
}

impl Told {
    fn reject(&mut self, index: usize, faults: &[Fault]) {
        self.rejected.push(json!({"index": index, "errors": faults}));
    }
}

impl Judge {
    pub(super) fn draft(&self, written: Written) -> Result<Draft, Vec<Fault>> {
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
        let filter = self.filter(&written, filter, &mut faults);
        let pace = self.check(&written, &mut faults);
        let credentials = written.credentials(&Credentials::default(), &mut faults);
        if let Some(Err(message)) = written.secret.as_ref().map(usable) {
            faults.push(Fault::new("/secret", message));
        }
        let url = written.url.as_deref().unwrap_or_default();
        let shape = self.shape(&written, url, Shape::default(), &mut faults);
        if faults.is_empty() {
            Ok(Draft { written, filter, pace, credentials, shape })
        } else {
            Err(faults)
        }
    }
}

impl Draft {
    /// A new subscription with an id of its own, and a secret of its own if none is given; the
    /// secret is told this once.
    fn begin(&self, begin: Begin) -> Result<(Subscription, String), Problem> {
        let secret = match &self.written.secret {
            Some(secret) => secret.clone(),
            None => signature::secret_from_random(random()?),
        };
        let told = secret.expose().to_owned();
        let id = SubscriptionId::from_random(random()?);
        Ok((self.subscription(id, secret, begin), told))
    }

    /// The subscription as it would be if it were new.
    pub(super) fn subscription(
        &self,
        id: SubscriptionId,
        secret: Secret,
        begin: Begin,
    ) -> Subscription {
        let filter = self.filter.clone();
        Subscription {
            v: Version,
            id,
            url: self.written.url.clone().unwrap_or_default(),
            description: self.written.description.clone().flatten(),
            format: self.shape.format,
            routing_key: self.shape.routing_key.clone(),
            template: self.shape.template.clone(),
            keys: vec![SigningKey { secret, until: None }],
            credentials: self.credentials.clone(),
            filters: vec![FilterVersion { number: 1, effective_after: begin.log_end, filter }],
            ttl: self.pace.ttl.flatten(),
            max_in_flight: self.pace.max_in_flight.unwrap_or_default(),
            rate: self.pace.rate.flatten(),
            paused: false,
            requests: Vec::new(),
            name: None,
            created_at: begin.now,
            updated_at: begin.now,
        }
    }
}

/// Whether a secret of the owner's own can sign; its words do not repeat it.
pub(super) fn usable(secret: &Secret) -> Result<(), String> {
    signature::Key::parse(secret).map(drop).map_err(|bad| {
        format!("{bad}: write whsec_ and the base64 of 24 to 64 random bytes, such as those of `openssl rand -base64 32`")
    })
}
