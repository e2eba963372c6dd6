//! The span of a request to an endpoint.

use crate::delivery::Reply;
use crate::delivery::endpoint::Work;
use crate::model::TraceContext;
use crate::spans::Begun;
use crate::telemetry::traces::Kind;
use crate::worker::notifier::send::Order;
use crate::worker::notifier::send::name;

/// Begins it. Every try of an event is a child of what caused the event. A replay is a trace of its
/// own with a link to that, and so is a ping, which nothing caused.
pub(super) fn begin(order: &Order, work: &Work) -> Begun {
    let (cause, link) = match work {
        Work::Event(logged, _) => (logged.trace, None),
        Work::Replay(logged, _) => (None, logged.trace),
        Work::Ping(_) => (None, None),
    };
    let mut span = order.tracer.begin(Kind::Client, "event.deliver", cause);
    if let Some(link) = link {
        span.link(link);
    }
    span.note(|span| {
        let (event, kind) = name(work);
        span.text("event.id", event);
        span.text("event.type", kind);
        span.text("subscription.id", order.subscription.to_string());
        span.text("http.request.method", "POST");
        if let Some(target) = &order.target {
            let (scheme, host, port) = (target.url().scheme(), target.host(), target.port());
            span.text("url.scheme", scheme);
            span.text("server.address", host);
            span.number("server.port", i64::from(port));
            // The paths of webhooks are secrets.
            span.text("url.full", format!("{scheme}://{host}:{port}/REDACTED"));
        }
    });
    span
}

/// Ends it with what came of the request.
pub(super) fn end(mut span: Begun, reply: &Reply, failure: Option<&'static str>) {
    span.note(|span| {
        let outcome = reply.outcome().as_str();
        span.text("delivery.outcome", outcome);
        let failed = match reply {
            Reply::Status(status, _) => {
                span.number("http.response.status_code", i64::from(*status));
                (*status >= 400).then(|| status.to_string())
            }
            _ => Some(failure.unwrap_or(outcome).to_owned()),
        };
        if let Some(kind) = failed {
            span.error = Some(outcome.to_owned());
            span.text("error.type", kind);
        }
    });
    span.end();
}

/// Where a request belongs; what belongs nowhere has a trace of its own, which nobody records.
pub(super) fn context(span: &Begun) -> TraceContext {
    let own = || {
        let (trace, span) = (fastrand::u128(..), fastrand::u64(..));
        TraceContext::root(trace.to_be_bytes(), span.to_be_bytes(), false)
    };
    span.context().unwrap_or_else(own)
}
