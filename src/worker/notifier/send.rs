//! One request: built, signed, sent, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::delivery::Key;
use crate::delivery::Logged;
use crate::delivery::Reply;
use crate::delivery::body;
use crate::delivery::schedule::retry_after;
use crate::delivery::signature;
use crate::egress;
use crate::egress::Client;
use crate::egress::Reached;
use crate::egress::Request;
use crate::egress::Target;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::subscription::Request as Asked;
use crate::model::subscription::RequestKind;
use crate::telemetry::metric;

/// What is sent.
#[derive(Clone, Debug)]
pub(super) enum Cargo {
    Event { logged: Arc<Logged>, sequence: u64, late: bool },
    Ping(Asked),
}

/// Everything a request needs.
pub(super) struct Order {
    pub(super) subscription: SubscriptionId,
    pub(super) url: String,
    pub(super) keys: Vec<Key>,
    pub(super) cargo: Cargo,
    pub(super) public_url: String,
    pub(super) timeout: Duration,
}

/// A request that ended.
pub(super) struct Sent {
    pub(super) subscription: SubscriptionId,
    pub(super) cargo: Cargo,
    pub(super) reply: Reply,
    pub(super) at: Time,
    pub(super) took: Duration,
}

impl Cargo {
    /// The id that stays the same on every try.
    pub(super) fn id(&self) -> String {
        match self {
            Self::Event { logged, .. } => logged.event.id.to_string(),
            Self::Ping(Asked { kind: RequestKind::Test { id }, .. }) => id.clone(),
        }
    }

    /// The type on the wire.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Event { logged, .. } => logged.event.kind.as_str(),
            Self::Ping(_) => "test.ping",
        }
    }

    /// Its place in the subscription.
    pub(super) fn sequence(&self) -> u64 {
        match self {
            Self::Event { sequence, .. } => *sequence,
            Self::Ping(_) => 0,
        }
    }
}

impl Order {
    fn body(&self) -> Vec<u8> {
        match &self.cargo {
            Cargo::Event { logged, sequence, late } => body::native(
                &logged.event,
                body::Address {
                    subscription: &self.subscription,
                    sequence: *sequence,
                    late: *late,
                    public_url: &self.public_url,
                },
            ),
            Cargo::Ping(request) => {
                let RequestKind::Test { id } = &request.kind;
                body::ping(id, &self.subscription, request.at)
            }
        }
    }

    /// The request; none where a header cannot be written, which checked data never causes.
    fn request(&self, target: Target, now: Time) -> Option<Request> {
        let body = self.body();
        let id = body::webhook_id(&self.cargo.id(), &self.subscription);
        let signature = signature::sign(&self.keys, &id, now.seconds(), &body);
        let mut request = Request::post(target, Bytes::from(body));
        request.timeout = self.timeout;
        request.headers.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", now.seconds().to_string()),
            ("webhook-signature", signature),
            ("traceparent", traceparent()),
        ] {
            request.headers.insert(name, value.parse().ok()?);
        }
        Some(request)
    }
}

/// Sends it. Never fails: what went wrong is the reply.
pub(super) async fn send(client: Client, clock: Clock, order: Order) -> Sent {
    let at = Time::from_millis(clock.now_ms());
    let began = Instant::now();
    let reply = match client.judge(&order.url).ok().and_then(|t| order.request(t, at)) {
        Some(request) => reply(client.send(request).await, &clock),
        None => Reply::Refused,
    };
    let took = began.elapsed();
    let outcome = reply.outcome().as_str();
    metrics::counter!(metric::ATTEMPTS, "outcome" => outcome).increment(1);
    metrics::histogram!(metric::DELIVERY_SECONDS).record(took);
    if let Cargo::Event { logged, .. } = &order.cargo {
        metrics::histogram!(metric::EVENT_LATENCY_SECONDS).record(at.since(logged.event.timestamp));
    }
    Sent { subscription: order.subscription, cargo: order.cargo, reply, at, took }
}

fn reply(answer: Result<egress::Response, egress::Error>, clock: &Clock) -> Reply {
    match answer {
        Ok(response) => {
            let now = Time::from_millis(clock.now_ms());
            let header = response.headers.get("retry-after").and_then(|v| v.to_str().ok());
            let asked = header.and_then(|header| retry_after(header, now));
            Reply::Status(response.status.as_u16(), asked)
        }
        Err(egress::Error::Refused { .. }) => Reply::Refused,
        Err(error) => match error.reached() {
            Reached::NotSent => Reply::NotSent,
            Reached::Unknown => Reply::Unknown,
        },
    }
}

/// A trace id of its own per request, sampled flag off.
fn traceparent() -> String {
    format!("00-{:032x}-{:016x}-00", fastrand::u128(1..), fastrand::u64(1..))
}
