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
use crate::model::subscription::RequestKind;
use crate::telemetry::metric;

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
    pub(super) work: Work,
    /// The alert has closed meanwhile.
    pub(super) late: bool,
    pub(super) public_url: String,
    pub(super) timeout: Duration,
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
    fn body(&self) -> Vec<u8> {
        match &self.work {
            Work::Event(logged, sequence) | Work::Replay(logged, sequence) => {
                let (subscription, sequence) = (&self.subscription, *sequence);
                let to = body::Address { subscription, sequence, late: self.late };
                body::native(logged, to, &self.public_url)
            }
            Work::Ping(request) => {
                let (id, _) = name(&self.work);
                body::ping(&id, &self.subscription, request.at)
            }
        }
    }

    /// The request; none where a header cannot be written, which checked data never causes.
    fn request(&self, target: Target, now: Time) -> Option<Request> {
        let body = self.body();
        let id = body::webhook_id(&name(&self.work).0, &self.subscription);
        let in_force = self.keys.iter().filter_map(|signer| signer.at(now));
        let signature = signature::sign(in_force, &id, now.seconds(), &body);
        let mut request = Request::post(target, Bytes::from(body));
        request.timeout = self.timeout;
        // First, so that none takes the place of ours.
        request.headers.clone_from(&self.headers);
        request.headers.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", now.seconds().to_string()),
            ("webhook-signature", signature),
            ("traceparent", traceparent()),
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
    let request = order.target.take().and_then(|target| order.request(target, at));
    let (reply, answer) = match request {
        Some(request) => {
            let answer = client.send(request).await;
            if let Err(egress::Error::Refused { refusal, .. }) = &answer {
                let reason = refusal.reason();
                tracing::warn!(subscription.id = %order.subscription, reason, "Address not allowed");
            }
            read(answer, &clock)
        }
        None => (Reply::Refused, None),
    };
    let took = began.elapsed();
    let outcome = reply.outcome().as_str();
    metrics::counter!(metric::ATTEMPTS, "outcome" => outcome).increment(1);
    metrics::histogram!(metric::DELIVERY_SECONDS).record(took);
    if let Work::Event(logged, _) = &order.work {
        metrics::histogram!(metric::EVENT_LATENCY_SECONDS).record(at.since(logged.event.timestamp));
    }
    Sent { number: order.number, work: order.work, reply, at, took, answer }
}

fn read(answer: Result<egress::Response, egress::Error>, clock: &Clock) -> (Reply, Option<String>) {
    match answer {
        Ok(response) => {
            let now = Time::from_millis(clock.now_ms());
            let header = response.headers.get("retry-after").and_then(|v| v.to_str().ok());
            let asked = header.and_then(|header| retry_after(header, now));
            let kept = response.body.get(..KEPT_ANSWER.min(response.body.len()));
            let kept = kept.filter(|kept| !response.status.is_success() && !kept.is_empty());
            let answer = kept.map(|kept| String::from_utf8_lossy(kept).into_owned());
            (Reply::Status(response.status.as_u16(), asked), answer)
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

/// A trace id of its own per request, sampled flag off.
fn traceparent() -> String {
    format!("00-{:032x}-{:016x}-00", fastrand::u128(1..), fastrand::u64(1..))
}
