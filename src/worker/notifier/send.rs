//! One request: built, signed, sent, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::delivery::Key;
use crate::delivery::Logged;
use crate::delivery::Reply;
use crate::delivery::body;
use crate::delivery::schedule::retry_after;
use crate::delivery::signature;
use crate::egress::Client;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::subscription::Request;
use crate::model::subscription::RequestKind;
use crate::telemetry::metric;

/// What is sent.
#[derive(Clone, Debug)]
pub(super) enum Cargo {
    Event { logged: Arc<Logged>, sequence: u64, late: bool },
    Ping(Request),
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
            Self::Ping(Request { kind: RequestKind::Test { id }, .. }) => id.clone(),
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

    fn request(&self, now: Time) -> Result<http::Request<Bytes>, http::Error> {
        let body = self.body();
        let id = body::webhook_id(&self.cargo.id(), &self.subscription);
        let signature = signature::sign(&self.keys, &id, now.seconds(), &body);
        http::Request::post(&self.url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now.seconds().to_string())
            .header("webhook-signature", signature)
            .header("traceparent", traceparent())
            .body(Bytes::from(body))
    }
}

/// Sends it. Never fails: what went wrong is the reply.
pub(super) async fn send(client: Client, clock: Clock, order: Order) -> Sent {
    let at = Time::from_millis(clock.now_ms());
    let began = Instant::now();
    let reply = match order.request(at) {
        Ok(request) => reply(&client, request, order.timeout, at).await,
        Err(_) => Reply::Refused,
    };
    let took = began.elapsed();
    let outcome = reply.outcome().as_str();
    metrics::counter!(metric::ATTEMPTS, "outcome" => outcome).increment(1);
    metrics::histogram!(metric::DELIVERY_SECONDS).record(took);
    if let Cargo::Event { logged, .. } = &order.cargo {
        metrics::histogram!(metric::EVENT_LATENCY_SECONDS)
            .record(at.since(logged.event.timestamp));
    }
    Sent { subscription: order.subscription, cargo: order.cargo, reply, at, took }
}

/// A trace id of its own per request, sampled flag off.
fn traceparent() -> String {
    format!("00-{:032x}-{:016x}-00", fastrand::u128(1..), fastrand::u64(1..))
}
