//! Requests of a subscription: built, signed, sent, and what came of each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::delivery::Reply;
use crate::delivery::body;
use crate::delivery::endpoint::Work;
use crate::delivery::format;
use crate::delivery::format::Message;
use crate::delivery::format::Style;
use crate::delivery::format::Told;
use crate::delivery::format::Unrenderable;
use crate::delivery::schedule::asked;
use crate::delivery::signature;
use crate::delivery::signature::Signer;
use crate::egress;
use crate::egress::Client;
use crate::egress::Reached;
use crate::egress::Request;
use crate::egress::Session;
use crate::egress::Target;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::TraceContext;
use crate::model::attempt::Outcome;
use crate::model::subscription::Format;
use crate::model::subscription::RequestKind;
use crate::model::trace::TRACEPARENT;
use crate::spans::Tracer;
use crate::telemetry::logs::chain;
use crate::telemetry::metric;
use crate::worker::notifier::run::Run;
use crate::worker::notifier::trail;

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const TRACE: HeaderName = HeaderName::from_static(TRACEPARENT);

/// Headers of ours, those of the client among them.
const OURS: usize = 12;
/// Bytes of most requests.
const ROOM: usize = 2 << 10;
/// Most of an answer that is kept in the log of attempts.
const KEPT_ANSWER: usize = 4 << 10;

/// Everything that requests to one subscription need.
pub(super) struct Order {
    /// Number of the run among those under way.
    pub(super) number: u64,
    pub(super) subscription: SubscriptionId,
    /// None where the address is not allowed.
    pub(super) target: Option<Target>,
    /// Which of them sign is judged when it is sent.
    pub(super) keys: Vec<Signer>,
    /// What the receiver asks to be shown beside the signature.
    pub(super) headers: HeaderMap,
    /// None where the format is the native one.
    pub(super) style: Option<Box<Style>>,
    pub(super) public_url: String,
    pub(super) timeout: Duration,
    pub(super) tracer: Tracer,
}

/// What each request is given anew.
struct Given<'a> {
    now: Time,
    trace: TraceContext,
    /// Room for its headers.
    headers: HeaderMap,
    /// Room for its bytes.
    room: &'a mut BytesMut,
}

/// What sends the requests of a run.
struct Sender {
    session: Session,
    clock: Clock,
    /// Where a request is written, used again by the next one.
    room: BytesMut,
}

/// What one request tells.
pub(super) struct Telling {
    pub(super) work: Work,
    /// It opens an alert that has closed meanwhile.
    pub(super) late: bool,
    /// The alert has closed meanwhile.
    pub(super) over: bool,
}

/// A run that ended.
pub(super) struct Sent {
    pub(super) number: u64,
    /// What did not get its turn.
    pub(super) untried: VecDeque<Telling>,
}

/// A request that ended.
pub(super) struct Done {
    pub(super) work: Work,
    pub(super) reply: Reply,
    pub(super) at: Time,
    pub(super) took: Duration,
    /// The beginning of an answer that is no success.
    pub(super) answer: Option<String>,
}

impl Order {
    fn native(&self, telling: &Telling, room: &mut BytesMut) -> Bytes {
        match &telling.work {
            Work::Event(logged, _) | Work::Replay(logged, _) => {
                body::rendered(logged, &self.public_url).addressed_in(self.address(telling), room)
            }
            Work::Ping(request) => {
                body::ping(name(&telling.work).0, &self.subscription, request.at).into()
            }
        }
    }

    fn address(&self, telling: &Telling) -> body::Address<'_> {
        let sequence = sequence(&telling.work);
        body::Address { subscription: &self.subscription, sequence, late: telling.late }
    }

    /// What is sent in another format than the native one.
    fn styled(&self, telling: &Telling, style: &Style) -> Result<Message, Unrenderable> {
        let told = match &telling.work {
            Work::Event(logged, _) | Work::Replay(logged, _) => Told::Event(&logged.event),
            Work::Ping(request) => Told::Ping { id: name(&telling.work).0, at: request.at },
        };
        let (to, public_url) = (self.address(telling), &self.public_url);
        format::render(&format::Telling { told, to, over: telling.over, public_url }, style)
    }

    /// The request. Where its format gives nothing, what it says of that; none in it where the address
    /// is not allowed, or a header cannot be written, which checked data never causes.
    fn request(
        &self,
        telling: &Telling,
        given: Given<'_>,
    ) -> Result<Option<Request>, Unrenderable> {
        let Some(target) = self.target.clone() else { return Ok(None) };
        let Some(style) = &self.style else {
            let json = HeaderValue::from_static("application/json");
            let body = self.native(telling, given.room);
            return Ok(self.signed(telling, given, (target, json, body)));
        };
        let message = self.styled(telling, style)?;
        let Ok(content_type) = HeaderValue::from_str(&message.content_type) else {
            return Ok(None);
        };
        let mut request = self.signed(telling, given, (target, content_type, message.body.into()));
        for (name, value) in message.headers {
            let (Some(wanted), Ok(value)) = (&mut request, HeaderValue::try_from(value)) else {
                return Ok(None);
            };
            wanted.headers.insert(name, value);
        }
        Ok(request)
    }

    /// The request with its signature over the bytes that are sent.
    fn signed(
        &self,
        telling: &Telling,
        given: Given<'_>,
        (target, content_type, body): (Target, HeaderValue, Bytes),
    ) -> Option<Request> {
        let id = body::webhook_id(name(&telling.work).0, &self.subscription);
        let in_force = self.keys.iter().filter_map(|signer| signer.at(given.now));
        let signature = signature::sign(in_force, &id, given.now.seconds(), &body);
        let mut request = Request::post(target, body);
        (request.timeout, request.headers) = (self.timeout, given.headers);
        // First, so that none takes the place of ours.
        request.headers.reserve(self.headers.len() + OURS);
        request.headers.extend(self.headers.iter().map(|(name, v)| (name.clone(), v.clone())));
        request.headers.insert(CONTENT_TYPE, content_type);
        for (name, value) in [
            (WEBHOOK_ID, id),
            (WEBHOOK_TIMESTAMP, given.now.seconds().to_string()),
            (WEBHOOK_SIGNATURE, signature),
            (TRACE, given.trace.header()),
        ] {
            given.room.extend_from_slice(value.as_bytes());
            let value = HeaderValue::from_maybe_shared(given.room.split().freeze());
            request.headers.insert(name, value.ok()?);
        }
        Some(request)
    }

    /// Sends one, beginning now. Never fails: what went wrong is the reply.
    async fn send(&self, sender: &mut Sender, (telling, now): (Telling, Instant)) -> Done {
        let Sender { session, clock, room } = sender;
        let at = Time::from_millis(clock.now_ms());
        let span = trail::begin(self, &telling.work);
        let (trace, headers) = (trail::context(&span), session.headers());
        let given = Given { now: at, trace, headers, room };
        let mut failure = None;
        let (reply, answer) = match self.request(&telling, given) {
            Ok(Some(request)) => {
                let mut answer = session.send(request).await;
                failure = answer.as_ref().err().map(egress::Error::label);
                if let Err(egress::Error::Refused { refusal, .. }) = &answer {
                    let (id, reason) = (&self.subscription, refusal.reason());
                    tracing::warn!(subscription.id = %id, reason, "Address not allowed");
                }
                let read = read(&answer, clock, self.style.as_ref().map(|style| style.format));
                if let Ok(answer) = &mut answer {
                    session.take_back(std::mem::take(&mut answer.headers));
                }
                read
            }
            Ok(None) => (Reply::Refused, None),
            Err(unrenderable) => (Reply::Unrenderable, Some(chain(&unrenderable))),
        };
        trail::end(span, &reply, failure);
        Done { work: telling.work, reply, at, took: now.elapsed(), answer }
    }
}

/// The id that stays the same on every try, and the type on the wire.
pub(super) fn name(work: &Work) -> (&str, &'static str) {
    match work {
        Work::Event(logged, _) | Work::Replay(logged, _) => {
            (logged.event.id.as_str(), logged.event.kind.as_str())
        }
        Work::Ping(request) => match &request.kind {
            RequestKind::Test { id } => (id, "test.ping"),
            RequestKind::Resume | RequestKind::Replay { .. } => ("", "test.ping"),
        },
    }
}

/// Its place in the subscription; 0 of a `test.ping`.
pub(super) fn sequence(work: &Work) -> u64 {
    match work {
        Work::Event(_, sequence) | Work::Replay(_, sequence) => *sequence,
        Work::Ping(_) => 0,
    }
}

/// Sends what there is, until something is not delivered, the run is stopped or has gone on for long
/// enough. What was done is with the run.
pub(super) async fn send(
    client: Client,
    clock: Clock,
    (order, mut tellings, run): (Order, VecDeque<Telling>, Arc<Run>),
) -> Sent {
    let mut now = Instant::now();
    run.begin(now);
    let seconds = metrics::histogram!(metric::DELIVERY_SECONDS);
    let latency = metrics::histogram!(metric::EVENT_LATENCY_SECONDS);
    let room = BytesMut::with_capacity(ROOM);
    let mut sender = Sender { session: client.session(), clock, room };
    let mut delivered = 0;
    while let Some(telling) = tellings.pop_front() {
        let done = order.send(&mut sender, (telling, now)).await;
        now += done.took;
        seconds.record(done.took);
        if let Work::Event(logged, _) = &done.work {
            latency.record(done.at.since(logged.event.timestamp));
        }
        let outcome = done.reply.outcome();
        let goes_on = run.note(done, now);
        if outcome != Outcome::Delivered {
            metrics::counter!(metric::ATTEMPTS, "outcome" => outcome.as_str()).increment(1);
            break;
        }
        delivered += 1;
        if !goes_on {
            break;
        }
    }
    if delivered > 0 {
        let outcome = Outcome::Delivered.as_str();
        metrics::counter!(metric::ATTEMPTS, "outcome" => outcome).increment(delivered);
    }
    Sent { number: order.number, untried: tellings }
}

fn read(
    answer: &Result<egress::Response, egress::Error>,
    clock: &Clock,
    format: Option<Format>,
) -> (Reply, Option<String>) {
    match answer {
        Ok(response) => {
            let asked = asked(&response.headers, || Time::from_millis(clock.now_ms()));
            let kept = response.body.get(..KEPT_ANSWER.min(response.body.len()));
            let status = format::status(format, response.status.as_u16(), &response.body);
            let kept = kept.filter(|kept| !(200..300).contains(&status) && !kept.is_empty());
            let answer = kept.map(|kept| String::from_utf8_lossy(kept).into_owned());
            (Reply::Status(status, asked), answer)
        }
        Err(error) => {
            let reply = match (error, error.reached()) {
                (egress::Error::Refused { .. }, _) => Reply::Refused,
                (_, Reached::NotSent) => Reply::NotSent,
                (_, Reached::Unknown) => Reply::Unknown,
            };
            (reply, (reply != Reply::Refused).then(|| error.to_string()))
        }
    }
}
