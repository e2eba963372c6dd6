//! New subscriptions, one or many at once.

use axum::extract::Request;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::TryStreamExt;
use futures_util::stream;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::MAX_ADMIN_BYTES;
use crate::api::history::broken;
use crate::api::once::Call;
use crate::api::once::Once;
use crate::api::problem::Fault;
use crate::api::problem::Problem;
use crate::api::problem::body;
use crate::api::problem::content_type;
use crate::api::problem::read_json;
use crate::api::subscriptions::draft::Begin;
use crate::api::subscriptions::draft::Draft;
use crate::api::subscriptions::now;
use crate::api::subscriptions::put;
use crate::api::subscriptions::read;
use crate::api::subscriptions::record_of;
use crate::api::subscriptions::shown;
use crate::api::subscriptions::written::Judge;
use crate::api::subscriptions::written::Written;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::PutOutcome;
use crate::bus::Stream;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::subscription::Secret;
use crate::model::subscription::SigningKey;
use crate::telemetry::logs::chain;

/// Most definitions of one request.
const MAX_LINES: usize = 10_000;
/// Largest request with many definitions.
const MAX_LINES_BYTES: usize = 8 * 1024 * 1024;
/// Written together.
const GROUP: usize = 1_000;
/// Records looked up at once.
const LOOKUPS: usize = 32;
const TAKEN: &str = "its id was taken by another: send it again";
const NOT_THERE: &str = "it was not made when this key was first used, or was removed since: send \
                         it under another key";

/// What became of the lines of a request.
#[derive(Default)]
struct Told {
    created: Vec<Value>,
    rejected: Vec<Value>,
}

/// `POST /v1/subscriptions`: one definition as JSON, or one a line as NDJSON.
pub(super) async fn create<B: Bus>(
    State(app): State<App<B>>,
    Once(call): Once,
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
    let begin = Begin { now: now(&app), log_end, call };
    if many { create_many(&app, bytes, begin).await } else { create_one(&app, &bytes, begin).await }
}

async fn create_one<B: Bus>(app: &App<B>, bytes: &[u8], begin: Begin) -> Result<Response, Problem> {
    let (subscription, secret) = match answered(&begin) {
        Some(call) => {
            let id = SubscriptionId::from_random(call.id(0));
            let written: Written = read_json(bytes)?;
            made(app, &id, (call, written.secret.as_ref())).await?.ok_or_else(|| {
                let detail = format!(
                    "the subscription that was made under this key, {id}, was removed since"
                );
                Problem::new(StatusCode::GONE, detail)
            })?
        }
        None => make(app, bytes, begin.clone()).await?,
    };
    let record = match &begin.call {
        Some(call) if call.was_begun() => record_of(app, &subscription).await?,
        _ => None,
    };
    let mut body = json!(shown(&subscription, record, begin.now));
    body["secret"] = json!(secret);
    let location = format!("/v1/subscriptions/{}", subscription.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(body)).into_response())
}

/// Makes a subscription of a definition as JSON; answers its secret too.
pub(in crate::api) async fn make<B: Bus>(
    app: &App<B>,
    bytes: &[u8],
    begin: Begin,
) -> Result<(Subscription, Option<String>), Problem> {
    let (judge, written) = (Judge::of(app), read_json(bytes)?);
    let judging = tokio::task::spawn_blocking(move || judge.draft(written));
    let draft = judging.await.map_err(|_| broken("judging the definition failed"))?;
    let draft = draft.map_err(Problem::invalid)?;
    let (subscription, secret) = draft.begin(&begin, 0)?;
    let outcome = app.bus.put(Bucket::Subscriptions, put(&subscription, None)).await?;
    if outcome != PutOutcome::Conflict {
        return Ok((subscription, Some(secret)));
    }
    // It was begun before, and came so far.
    let found = match &begin.call {
        Some(call) => made(app, &subscription.id, (call, draft.written.secret.as_ref())).await?,
        None => None,
    };
    found.ok_or_else(|| Problem::new(StatusCode::CONFLICT, TAKEN))
}

/// The request that was answered before, where it was.
fn answered(begin: &Begin) -> Option<&Call> {
    begin.call.as_ref().filter(|call| call.was_answered())
}

/// What a request has made before, and the secret that it was told: the one that was given, else the
/// one that was made, as long as it signs. None where it is not there.
async fn made<B: Bus>(
    app: &App<B>,
    id: &SubscriptionId,
    (call, given): (&Call, Option<&Secret>),
) -> Result<Option<(Subscription, Option<String>)>, Problem> {
    let entry = app.bus.get(Bucket::Subscriptions, id.as_str()).await?;
    let Some(value) = entry.and_then(|entry| entry.value) else { return Ok(None) };
    let subscription = read(&value)?;
    let secret = secret_of(&subscription, call, given);
    Ok(Some((subscription, secret)))
}

/// The secret that a request was told; none where it no longer signs.
pub(super) fn secret_of(
    subscription: &Subscription,
    call: &Call,
    given: Option<&Secret>,
) -> Option<String> {
    let its = |key: &&SigningKey| key.call.as_deref() == Some(call.mark());
    let made = || subscription.keys.iter().find(its).map(|key| &key.secret);
    given.or_else(made).map(|secret| secret.expose().to_owned())
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
        if let Err(error) = write(app, group, &begin, &mut told).await {
            if told.created.is_empty() {
                return Err(error);
            }
            let message = format!("it may not have been written: {}", error.detail());
            let faults = [Fault::new("", message)];
            group.iter().for_each(|(index, _)| told.reject(*index, &faults));
        }
    }
    told.created.sort_by_key(|one| one["index"].as_u64());
    told.rejected.sort_by_key(|one| one["index"].as_u64());
    let nothing = told.created.is_empty() && !told.rejected.is_empty();
    let status = if nothing { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::CREATED };
    let told = json!({"created": told.created, "rejected": told.rejected});
    Ok((status, axum::Json(told)).into_response())
}

async fn write<B: Bus>(
    app: &App<B>,
    group: &[(usize, Draft)],
    begin: &Begin,
    told: &mut Told,
) -> Result<(), Problem> {
    let (mut puts, mut members) = (Vec::new(), Vec::new());
    for (index, draft) in group {
        match draft.begin(begin, *index) {
            Ok((subscription, secret)) => {
                members.push((*index, subscription.id.clone(), secret, draft));
                puts.push(put(&subscription, None));
            }
            Err(problem) => told.reject(*index, &[Fault::new("", problem.detail())]),
        }
    }
    // What was answered before changes nothing: it is looked up.
    let outcomes = match answered(begin) {
        Some(_) => puts.iter().map(|_| Ok(PutOutcome::Conflict)).collect(),
        None => app.bus.put_all(Bucket::Subscriptions, puts).await?,
    };
    let mut lookups = Vec::new();
    for ((index, id, secret, draft), outcome) in members.into_iter().zip(outcomes) {
        let message = match (outcome, &begin.call) {
            (Ok(PutOutcome::Written(_)), _) => {
                told.create(index, &id, Some(secret));
                continue;
            }
            (Ok(PutOutcome::Conflict), Some(call)) => {
                let given = draft.written.secret.clone();
                lookups.push(look_up(app.clone(), (index, id), (call.clone(), given)));
                continue;
            }
            (Ok(PutOutcome::Conflict), None) => TAKEN.to_owned(),
            (Err(error), _) => chain(&error),
        };
        told.reject(index, &[Fault::new("", message)]);
    }
    let found: Vec<_> = stream::iter(lookups).buffered(LOOKUPS).try_collect().await?;
    for (index, id, secret) in found {
        match secret {
            Some(secret) => told.create(index, &id, secret),
            None => told.reject(index, &[Fault::new("", NOT_THERE)]),
        }
    }
    Ok(())
}

type Found = (usize, SubscriptionId, Option<Option<String>>);

/// What a line has made before, and its secret.
async fn look_up<B: Bus>(
    app: App<B>,
    (index, id): (usize, SubscriptionId),
    (call, given): (Call, Option<Secret>),
) -> Result<Found, Problem> {
    let found = made(&app, &id, (&call, given.as_ref())).await?;
    Ok((index, id, found.map(|(_, secret)| secret)))
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
    fn create(&mut self, index: usize, id: &SubscriptionId, secret: Option<String>) {
        self.created.push(json!({"index": index, "id": id, "secret": secret}));
    }

    fn reject(&mut self, index: usize, faults: &[Fault]) {
        self.rejected.push(json!({"index": index, "errors": faults}));
    }
}
