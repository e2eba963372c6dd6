//! One request: built, signed, sent, and what came of it.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::delivery::Reply;
use crate::delivery::body;
use crate::delivery::endpoint::Work;
use crate::delivery::format;
use crate::delivery::format::Message;
use crate::delivery::format::Style;
use crate::delivery::format::Telling;
use crate::delivery::format::Told;
use crate::delivery::format::Unrenderable;
use crate::delivery::schedule::retry_after;
use crate::delivery::signature;
use crate::delivery::signature::Signer;
use crate::egress;
use crate::egress::Client;
use crate::egress::Reached;
use crate::egress::Request;
use crate::egress::Target;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::TraceContext;
use crate::model::subscription::Format;
use crate::model::subscription::RequestKind;
use crate::model::trace::TRACEPARENT;
use crate::spans::Tracer;
use crate::telemetry::logs::chain;
use crate::telemetry::metric;
use crate::worker::notifier::trail;

/// Most of an answer that is kept in the log of attempts.
const KEPT_ANSWER: usize = 4 << 10;

/// Everything a request needs.
pub(super) struct Order {
    /// Number of the request among those under way.
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
    pub(super) work: Work,
    /// It opens an alert that has closed meanwhile.
    pub(super) late: bool,
    /// The alert has closed meanwhile.
    pub(super) over: bool,
    pub(super) public_url: String,
    pub(super) timeout: Duration,
    pub(super) tracer: Tracer,
}

/// A request that ended.
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) work: Work,
    pub(super) reply: Reply,
    pub(super) at: Time,
    pub(super) took: Duration,
    /// The beginning of an answer that is no success.
    pub(super) answer: Option<String>,
}

impl Order {
    fn native(&self) -> Vec<u8> {
        match &self.work {
            Work::Event(logged, sequence) | Work::Replay(logged, sequence) => {
                body::native(logged, self.address(*sequence), &self.public_url)
            }
            Work::Ping(request) => {
                let (id, _) = name(&self.work);
                body::ping(&id, &self.subscription, request.at)
            }
        }
    }

    fn address(&self, sequence: u64) -> body::Address<'_> {
        body::Address { subscription: &self.subscription, sequence, late: self.late }
    }

    /// What is sent in another format than the native one.
    fn styled(&self, style: &Style) -> Result<Message, Unrenderable> {
        let (id, _) = name(&self.work);
        let told = match &self.work {
            Work::Event(logged, _) | Work::Replay(logged, _) => Told::Event(&logged.event),
            Work::Ping(request) => Told::Ping { id: &id, at: request.at },
        };
        let to = self.address(sequence(&self.work));
        let telling = Telling { told, to, over: self.over, public_url: &self.public_url };
        format::render(&telling, style)
    }

    /// The request. Where its format gives nothing, what it says of that; none in it where a
    /// header cannot be written, which checked data never causes.
    fn request(
        &self,
        target: Target,
        now: Time,
        trace: TraceContext,
    ) -> Result<Option<Request>, Unrenderable> {
        let Some(style) = &self.style else {
            let json = HeaderValue::from_static("application/json");
            return Ok(self.signed(target, (now, trace), (json, self.native())));
        };
        let message = self.styled(style)?;
        let Ok(content_type) = HeaderValue::from_str(&message.content_type) else {
            return Ok(None);
        };
        let mut request = self.signed(target, (now, trace), (content_type, message.body));
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
        target: Target,
        (now, trace): (Time, TraceContext),
        (content_type, body): (HeaderValue, Vec<u8>),
    ) -> Option<Request> {
        let id = body::webhook_id(&name(&self.work).0, &self.subscription);
        let in_force = self.keys.iter().filter_map(|signer| signer.at(now));
        let signature = signature::sign(in_force, &id, now.seconds(), &body);
        let mut request = Request::post(target, Bytes::from(body));
        request.timeout = self.timeout;
        // First, so that none takes the place of ours.
        request.headers.clone_from(&self.headers);
        request.headers.insert("content-type", content_type);
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", now.seconds().to_string()),
            ("webhook-signature", signature),
            (TRACEPARENT, trace.to_string()),
        ] {
            request.headers.insert(name, value.try_into().ok()?);
        }
        Some(request)
    }
}

/// The id that stays the same on every try, and the type on the wire.
pub(super) fn name(work: &Work) -> (String, &'static str) {
    match work {
        Work::Event(logged, _) | Work::Replay(logged, _) => {
            (logged.event.id.to_string(), logged.event.kind.as_str())
        }
        Work::Ping(request) => match &request.kind {
            RequestKind::Test { id } => (id.clone(), "test.ping"),
            RequestKind::Resume | RequestKind::Replay { .. } => (String::new(), "test.ping"),
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

/// Sends it. Never fails: what went wrong is the reply.
pub(super) async fn send(client: Client, clock: Clock, mut order: Order) -> Sent {
    let at = Time::from_millis(clock.now_ms());
    let began = Instant::now();
    let span = trail::begin(&order.tracer, &order.work, &order.subscription, order.target.as_ref());
    let trace = trail::context(&span);
    let request = order.target.take().map(|target| order.request(target, at, trace)).transpose();
    let mut failure = None;
    let (reply, answer) = match request.map(Option::flatten) {
        Ok(Some(request)) => {
            let answer = client.send(request).await;
            failure = answer.as_ref().err().map(egress::Error::label);
            if let Err(egress::Error::Refused { refusal, .. }) = &answer {
                let reason = refusal.reason();
                tracing::warn!(subscription.id = %order.subscription, reason, "Address not allowed");
            }
            read(answer, &clock, order.style.as_ref().map(|style| style.format))
        }
        Ok(None) => (Reply::Refused, None),
        Err(unrenderable) => (Reply::Unrenderable, Some(chain(&unrenderable))),
    };
    let took = began.elapsed();
    trail::end(span, &reply, failure);
    let outcome = reply.outcome().as_str();
    metrics::counter!(metric::ATTEMPTS, "outcome" => outcome).increment(1);
    metrics::histogram!(metric::DELIVERY_SECONDS).record(took);
    if let Work::Event(logged, _) = &order.work {
        metrics::histogram!(metric::EVENT_LATENCY_SECONDS).record(at.since(logged.event.timestamp));
    }
    Sent { number: order.number, work: order.work, reply, at, took, answer }
}

fn read(
    answer: Result<egress::Response, egress::Error>,
    clock: &Clock,
    format: Option<Format>,
) -> (Reply, Option<String>) {
    match answer {
        Ok(response) => {
            let now = Time::from_millis(clock.now_ms());
            let header = response.headers.get("retry-after").and_then(|v| v.to_str().ok());
            let asked = header.and_then(|header| retry_after(header, now));
            let kept = response.body.get(..KEPT_ANSWER.min(response.body.len()));
            let status = format::status(format, response.status.as_u16(), &response.body);
            let kept = kept.filter(|kept| !(200..300).contains(&status) && !kept.is_empty());
            let answer = kept.map(|kept| String::from_utf8_lossy(kept).into_owned());
            (Reply::Status(status, asked), answer)
        }
        Err(error) => {
            let reply = match (&error, error.reached()) {
                (egress::Error::Refused { .. }, _) => Reply::Refused,
                (_, Reached::NotSent) => Reply::NotSent,
                (_, Reached::Unknown) => Reply::Unknown,
            };
            (reply, (reply != Reply::Refused).then(|| error.to_string()))
        }
    }
}
