//! `Idempotency-Key`: what is asked for under a key is done once, and answered alike when it is asked
//! for again.
//!
//! A record in the log `calls` says what a key was used for. It is written before the request is
//! carried out, with a seed that whatever is made takes its ids from: where a process dies between
//! the making and the answer, the repeat finds what was made by its id and makes nothing twice. The
//! answer is written last. One that shows a secret is not: the repeat makes it anew from the
//! subscription, which is where the secret lies anyway.

mod kept;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use axum::body::Body;
use axum::body::HttpBody;
use axum::body::to_bytes;
use axum::extract::FromRequestParts;
use axum::extract::MatchedPath;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use sha2::Digest;
use sha2::Sha256;

use crate::api::App;
use crate::api::LONGER;
use crate::api::guard::Who;
use crate::api::history::broken;
use crate::api::once::kept::Kept;
use crate::api::once::kept::Standing;
use crate::api::once::kept::Way;
use crate::api::problem::Problem;
use crate::api::problem::body;
use crate::api::random;
use crate::bus::Bus;
use crate::bus::Expect;
use crate::bus::Outcome;
use crate::bus::Record;
use crate::bus::Stream;
use crate::model::Time;
use crate::model::Version;
use crate::model::id::base32;
use crate::model::names;
use crate::telemetry::logs::chain;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Longest key.
const MAX_KEY: usize = 255;
/// How long a key is remembered.
const KEPT: Duration = Duration::from_secs(86_400);
/// Largest answer that is written down: those that are have a few fields.
const MAX_ANSWER: u64 = 64 * 1024;
/// Beyond the time that a request may take, before another process takes over what one has begun.
const MARGIN: Duration = Duration::from_secs(2);

/// Calls that take a key, and what is kept of their answers.
const KEYED: [(&str, Kind); 7] = [
    ("/v1/articles", Kind::ByContent),
    ("/v1/subscriptions", Kind::Remade),
    ("/v1/subscriptions/{id}/rotate", Kind::Remade),
    ("/v1/subscriptions/{id}/test", Kind::Answer),
    ("/v1/subscriptions/{id}/replay", Kind::Answer),
    ("/v1/alerts/{id}/end", Kind::Answer),
    ("/v1/alerts/{id}/retract", Kind::Answer),
];

/// What is kept of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing: the content decides, and to send it again changes nothing.
    ByContent,
    /// All of it, where something was begun.
    Answer,
    /// That it was given: it shows a secret, and is made anew.
    Remade,
}

/// A request under a key, for those who carry it out.
#[derive(Clone, Debug)]
pub(super) struct Call {
    seed: String,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    First,
    /// It was begun before, and nobody knows how far it came.
    Again,
    /// It was answered before.
    Answered,
}

/// The key of a request, if it has one.
#[derive(Debug)]
pub(super) struct Once(pub(super) Option<Call>);

impl<S: Send + Sync> FromRequestParts<S> for Once {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<Call>().cloned()))
    }
}

impl Call {
    /// The bytes of the id of what is made, one for each thing that a request makes.
    pub(super) fn id(&self, index: usize) -> [u8; 16] {
        let mut digest = Sha256::new();
        digest.update(&self.seed);
        digest.update(index.to_be_bytes());
        let digest = digest.finalize();
        std::array::from_fn(|n| digest.get(n).copied().unwrap_or_default())
    }

    /// What was made under this key is marked with it where it has no id of its own.
    pub(super) fn mark(&self) -> &str {
        &self.seed
    }

    /// Whether it was begun before: it may have been carried out.
    pub(super) fn was_begun(&self) -> bool {
        self.stage != Stage::First
    }

    /// Whether it was answered before: nothing may be changed.
    pub(super) fn was_answered(&self) -> bool {
        self.stage == Stage::Answered
    }
}

/// What this process carries out under keys.
pub(super) struct Running {
    /// Tells processes apart.
    process: String,
    /// No other process writes to this bus.
    sole: bool,
    calls: Mutex<HashMap<String, String>>,
}

/// A request that is carried out; over when it is dropped.
struct Turn<'r> {
    running: &'r Running,
    subject: String,
}

impl Running {
    pub(super) fn new(sole: bool) -> Self {
        let process = format!("{:032x}", fastrand::u128(..));
        Self { process, sole, calls: Mutex::default() }
    }

    /// The right to carry out what a subject names; the request that has it, where another has.
    fn begin(&self, subject: &str, request: &str) -> Result<Turn<'_>, String> {
        let mut calls = self.lock();
        if let Some(other) = calls.get(subject) {
            return Err(other.clone());
        }
        calls.insert(subject.to_owned(), request.to_owned());
        Ok(Turn { running: self, subject: subject.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.running.lock().remove(&self.subject);
    }
}

/// Whether a call takes a key.
#[cfg(test)]
pub(super) fn takes_key(method: &Method, path: &str) -> bool {
    *method == Method::POST && KEYED.iter().any(|(keyed, _)| *keyed == path)
}

/// Carries out a request under its key, or answers as before.
pub(super) async fn once<B: Bus>(
    State(app): State<App<B>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let kind = path.and_then(|path| KEYED.iter().find(|(keyed, _)| *keyed == path));
    let Some((path, kind)) = kind.filter(|_| request.method() == Method::POST) else {
        return Ok(next.run(request).await);
    };
    let Some(key) = key(request.headers())? else { return Ok(next.run(request).await) };
    if *kind == Kind::ByContent {
        return Ok(next.run(request).await);
    }
    let who = request.extensions().get::<Who>().map_or("", |who| &who.name);
    let subject = names::call(who, &digest(&[key.as_bytes()]));
    let (request, whole) = held(&app, request).await?;
    let turn = app.running.begin(&subject, &whole);
    let _turn = turn.map_err(|other| if other == whole { busy() } else { another() })?;
    let long = if *path == "/v1/subscriptions" { LONGER } else { 1 };
    let lease = app.settings.request_timeout.saturating_mul(long).saturating_add(MARGIN);
    carry_out(&app, (subject, whole), (*kind, lease), (request, next)).await
}

async fn carry_out<B: Bus>(
    app: &App<B>,
    (subject, whole): (String, String),
    (kind, lease): (Kind, Duration),
    (mut request, next): (Request, Next),
) -> Result<Response, Problem> {
    let now = Time::from_millis(app.settings.clock.now_ms());
    let found = app.bus.last(Stream::Calls, &subject).await?;
    let expect = found.as_ref().map_or(Expect::Absent, |last| Expect::After(last.seq));
    let kept = found.filter(|last| now.since(last.time) < KEPT);
    let kept = kept.map(|last| serde_json::from_slice::<Kept>(&last.payload)).transpose();
    let kept = kept.map_err(|error| broken(&format!("what a key was used for: {error}")))?;
    let asks = (app.running.process.as_str(), app.running.sole);
    let (seed, stage) = match kept.map_or(Way::First, |kept| kept.way(&whole, now, asks)) {
        Way::Tell(status, body) => return told(status, body),
        Way::Busy => return Err(busy()),
        Way::Other => return Err(another()),
        Way::First => (base32(&random::<16>()?), Stage::First),
        Way::Again(seed) => (seed, Stage::Again),
        Way::Remake(seed) => (seed, Stage::Answered),
    };
    request.extensions_mut().insert(Call { seed: seed.clone(), stage });
    if stage == Stage::Answered {
        let mut response = next.run(request).await;
        if response.status().is_success() {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        return Ok(response);
    }
    let state = Standing::Running { process: app.running.process.clone(), until: now.plus(lease) };
    let claim = Kept { v: Version, request: whole, seed, state };
    let Outcome::Published(at) = write(app, &subject, &claim, expect).await? else {
        return Err(busy());
    };
    let response = next.run(request).await;
    Ok(answered(app, (&subject, claim, at), kind, response).await)
}

/// Writes down how a request was answered. Where it failed, or that cannot be written, it stays
/// begun, and a repeat goes on under its seed.
async fn answered<B: Bus>(
    app: &App<B>,
    (subject, claim, at): (&str, Kept, u64),
    kind: Kind,
    response: Response,
) -> Response {
    let status = response.status();
    let small = response.body().size_hint().exact().is_some_and(|size| size <= MAX_ANSWER);
    let (parts, body) = response.into_parts();
    let (state, body) = match kind {
        Kind::Remade if status.is_success() => {
            (Standing::Answered { status: status.as_u16(), body: None }, body)
        }
        Kind::Answer if status == StatusCode::ACCEPTED && small => {
            let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            (Standing::Answered { status: status.as_u16(), body: Some(text) }, Body::from(bytes))
        }
        // What only looked has done nothing either.
        Kind::Answer if status == StatusCode::OK => (Standing::Refused, body),
        _ if status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT => {
            (Standing::Refused, body)
        }
        _ => return Response::from_parts(parts, body),
    };
    let over = Kept { state, ..claim };
    if let Err(error) = write(app, subject, &over, Expect::After(at)).await {
        tracing::warn!(error = chain(&error), "An answer could not be kept for its key");
    }
    Response::from_parts(parts, body)
}

async fn write<B: Bus>(
    app: &App<B>,
    subject: &str,
    kept: &Kept,
    expect: Expect,
) -> Result<Outcome, crate::bus::Error> {
    let payload = serde_json::to_vec(kept).expect("plain data has a JSON form");
    let record = Record::new(subject, payload);
    app.bus.publish(Stream::Calls, record, expect).await
}

/// The key that a request names; none where it names none.
fn key(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Problem> {
    let mut given = headers.get_all(KEY).iter();
    let Some(key) = given.next() else { return Ok(None) };
    let visible = key.as_bytes().iter().all(u8::is_ascii_graphic);
    if given.next().is_none() && visible && (1..=MAX_KEY).contains(&key.len()) {
        return Ok(Some(key));
    }
    let detail = format!(
        "Idempotency-Key is no key: send one of 1 to {MAX_KEY} visible ASCII characters, such as a \
         UUID"
    );
    Err(Problem::new(StatusCode::BAD_REQUEST, detail))
}

/// The request with its body at hand, and its digest.
async fn held<B: Bus>(app: &App<B>, request: Request) -> Result<(Request, String), Problem> {
    let (parts, whole) = request.into_parts();
    let whole = body(Request::from_parts(parts.clone(), whole), app).await?;
    let place = parts.uri.path_and_query().map_or("", |place| place.as_str());
    let kind = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let digest = digest(&[parts.method.as_str().as_bytes(), place.as_bytes(), kind, &whole]);
    Ok((Request::from_parts(parts, Body::from(whole)), digest))
}

fn digest(fields: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for field in fields {
        digest.update(field.len().to_be_bytes());
        digest.update(field);
    }
    data_encoding::HEXLOWER.encode(&digest.finalize())
}

fn told(status: u16, body: String) -> Result<Response, Problem> {
    let status =
        StatusCode::from_u16(status).map_err(|_| broken("the status that was answered"))?;
    let json = HeaderValue::from_static("application/json");
    let headers = [(header::CONTENT_TYPE, json), (REPLAYED, HeaderValue::from_static("true"))];
    Ok((status, headers, body).into_response())
}

fn busy() -> Problem {
    let detail = "a request with this Idempotency-Key is being carried out: ask again when it is";
    Problem::new(StatusCode::CONFLICT, detail)
}

fn another() -> Problem {
    let detail = "this Idempotency-Key was used for another request: send that one again as it \
                  was, or take a new key";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii_and_one() {
        let (long, longer) = ("k".repeat(MAX_KEY), "k".repeat(MAX_KEY + 1));
        for (values, good) in [
            (vec!["a"], true),
            (vec!["\"6f1c-7\""], true),
            (vec![long.as_str()], true),
            (vec![longer.as_str()], false),
            (vec![""], false),
            (vec!["a b"], false),
            (vec!["\u{e9}"], false),
            (vec!["a", "a"], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in &values {
                headers.append(KEY, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            assert_eq!(key(&headers).is_ok(), good, "{values:?}");
        }
        assert_eq!(key(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn a_turn_is_over_when_it_is_dropped() {
        let running = Running::new(true);
        let turn = running.begin("a", "r").unwrap();
        assert_eq!(running.begin("a", "x").err().as_deref(), Some("r"));
        assert!(running.begin("b", "r").is_ok());
        drop(turn);
        assert!(running.begin("a", "x").is_ok());
    }

    #[test]
    fn each_thing_that_a_request_makes_has_an_id_of_its_own_and_the_same_again() {
        let call = |seed: &str| Call { seed: seed.to_owned(), stage: Stage::First };
        assert_eq!(call("a").id(0), call("a").id(0));
        assert_ne!(call("a").id(0), call("a").id(1));
        assert_ne!(call("a").id(0), call("b").id(0));
    }
}
