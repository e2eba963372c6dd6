//! What surrounds every request: its id, its time, and the answer where a handler panics.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::Frame;
use hyper::body::SizeHint;
use tracing::Instrument;

use crate::api::condition;
use crate::api::problem;
use crate::api::problem::Problem;
use crate::api::zip;
use crate::telemetry::metric;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id of a request that is taken over from whoever asks.
const MAX_ID: usize = 64;

/// Adds to a router what every answer has: errors as problems, an id, a count, and few bytes.
pub(super) fn dressed(router: Router) -> Router {
    router
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(middleware::from_fn(condition::unchanged))
        .layer(middleware::from_fn(zip::zipped))
}

/// Puts the id of a request into its answer and on each of its log lines, answers where a handler
/// panics, and counts the answer. Goes around everything else.
pub(super) fn surrounded(router: Router) -> Router {
    router
        .layer(middleware::from_fn(caught))
        .layer(middleware::from_fn(problem::count))
        .layer(middleware::from_fn(identified))
}

async fn identified(request: Request, next: Next) -> Response {
    let id = taken(request.headers()).unwrap_or_else(made);
    // Whatever the filter of the log lets through shows the id: a span that is left out shows none.
    let span = tracing::error_span!("request", request.id = id.to_str().unwrap_or_default());
    let mut response = next.run(request).instrument(span).await;
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The id that whoever asks gave the request: 1 to 64 letters, digits, dots, dashes, underscores.
fn taken(headers: &HeaderMap) -> Option<HeaderValue> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
    let given = headers.get(REQUEST_ID)?;
    let fits = (1..=MAX_ID).contains(&given.len()) && given.as_bytes().iter().all(plain);
    fits.then(|| given.clone())
}

/// An id tells requests apart and is no secret.
fn made() -> HeaderValue {
    HeaderValue::from_str(&format!("{:032x}", fastrand::u128(..))).expect("hex is plain")
}

/// The process goes on: what the handler held is dropped, and nothing is shared half changed, since
/// locks are taken for plain steps alone. The log line is written where the panic is, by the hook.
async fn caught(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            metrics::counter!(metric::API_PANICS).increment(1);
            let detail = "Wirebell failed at this request: its log says more, by x-request-id";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
        }
    }
}

/// Ends a request that takes too long: 408 while its body is awaited, 503 once it is there. What an
/// answer streams after its head is not counted.
pub(super) async fn within(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let awaited = Arc::new(AtomicBool::new(false));
    let watched = |body| Body::new(Watched { body, awaited: awaited.clone() });
    let answering = next.run(request.map(watched));
    if let Ok(response) = tokio::time::timeout(limit, answering).await {
        return response;
    }
    let seconds = limit.as_secs_f64();
    if !awaited.load(Ordering::Relaxed) {
        tracing::warn!(limit_s = seconds, "Request ended, it took too long");
        let detail = format!(
            "the answer was not there after {seconds} s, and it is not known whether the request \
             was carried out: try again, under the same Idempotency-Key where the call takes one"
        );
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    }
    let detail = format!("the body was not there after {seconds} s: send it faster, or in parts");
    let mut response = Problem::new(StatusCode::REQUEST_TIMEOUT, detail).into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A body that says whether somebody waits for more of it.
struct Watched {
    body: Body,
    awaited: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.awaited.store(frame.is_pending(), Ordering::Relaxed);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use axum::http::Method;
    use axum::routing::get;
    use axum::routing::post;
    use serde_json::Value;
    use tower_service::Service;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    /// Handlers that misbehave, as the API surrounds its own.
    fn router() -> Router {
        let silent = || async { std::future::pending::<()>().await };
        let read = |body: Bytes| async move { body.len().to_string() };
        let slow = |body: Bytes| async move {
            std::future::pending::<()>().await;
            body.len().to_string()
        };
        let routes = Router::new()
            .route("/panics", get(|| async { panic!("a bug") as () }))
            .route("/silent", get(silent))
            .route("/read", post(read))
            .route("/slow", post(slow))
            .layer(middleware::from_fn_with_state(SHORT, within));
        surrounded(dressed(routes))
    }

    async fn ask(request: Request) -> (StatusCode, HeaderMap, Value) {
        let response = router().call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    fn request(method: Method, path: &str, body: Body) -> Request {
        http::Request::builder().method(method).uri(path).body(body).unwrap()
    }

    fn is_problem(headers: &HeaderMap) -> bool {
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json")
    }

    #[tokio::test]
    async fn a_panic_is_answered_with_a_problem_and_the_next_request_is_served() {
        for _ in 0..2 {
            let (status, headers, body) = ask(request(Method::GET, "/panics", Body::empty())).await;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            assert!(is_problem(&headers) && body["status"] == 500, "{headers:?} {body}");
            assert_eq!(headers[REQUEST_ID].len(), 32);
        }
        let (status, ..) = ask(request(Method::POST, "/read", Body::from("abc"))).await;
        assert_eq!(status, StatusCode::OK);
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended_and_a_body_that_stops_is_told_apart() {
        let stops =
            || Body::from_stream(futures_util::stream::pending::<Result<Bytes, axum::Error>>());
        for (method, path, body, wanted) in [
            (Method::GET, "/silent", Body::empty(), StatusCode::SERVICE_UNAVAILABLE),
            (Method::POST, "/slow", Body::from("abc"), StatusCode::SERVICE_UNAVAILABLE),
            (Method::POST, "/slow", stops(), StatusCode::REQUEST_TIMEOUT),
            (Method::POST, "/read", stops(), StatusCode::REQUEST_TIMEOUT),
        ] {
            let (status, headers, body) = ask(request(method, path, body)).await;
            assert_eq!(status, wanted, "{path}: {body}");
            assert!(is_problem(&headers), "{path}: {headers:?}");
            assert_eq!(headers.contains_key(header::RETRY_AFTER), wanted == 503, "{path}");
        }
    }

    #[tokio::test]
    async fn an_answer_has_the_id_of_its_request_where_that_is_sane() {
        let sane = "Desk-7_a.b".to_owned();
        for (given, kept) in [
            (sane, true),
            ("x".repeat(64), true),
            ("x".repeat(65), false),
            (String::new(), false),
            ("a b".to_owned(), false),
            ("a\u{e9}".to_owned(), false),
        ] {
            let mut asked = request(Method::GET, "/nowhere", Body::empty());
            let value = HeaderValue::from_bytes(given.as_bytes()).unwrap();
            asked.headers_mut().insert(REQUEST_ID, value.clone());
            let (status, headers, _) = ask(asked).await;
            assert_eq!(status, StatusCode::NOT_FOUND);
            assert_eq!(headers[REQUEST_ID] == value, kept, "{given:?} {headers:?}");
            assert!(headers[REQUEST_ID].len() >= 10, "{given:?} {headers:?}");
        }
    }

    #[tokio::test]
    async fn what_is_not_served_is_told_with_a_problem_and_what_is_with_its_methods() {
        let (status, headers, _) = ask(request(Method::PUT, "/read", Body::empty())).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert!(is_problem(&headers), "{headers:?}");
        assert_eq!(headers[header::ALLOW], "POST");
    }
}
