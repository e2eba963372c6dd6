//! A collector of traces that keeps what it is given.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;
use serde_json::json;

use crate::e2e::wait_for;

/// Cheap to clone; every clone is the same.
#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    spans: Vec<Value>,
    headers: Vec<HeaderMap>,
    resources: Vec<Value>,
    /// It takes requests and answers none.
    hangs: bool,
}

impl Collector {
    /// An address that nothing else in these tests is at; nobody answers there yet.
    pub(crate) fn place() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.77:0").unwrap().local_addr().unwrap()
    }

    pub(crate) async fn start() -> (Self, SocketAddr) {
        let (collector, place) = (Self::default(), Self::place());
        collector.serve(place).await;
        (collector, place)
    }

    /// One that never answers.
    pub(crate) async fn start_hanging() -> (Self, SocketAddr) {
        let (collector, place) = Self::start().await;
        collector.0.lock().unwrap().hangs = true;
        (collector, place)
    }

    pub(crate) async fn serve(&self, place: SocketAddr) {
        let listener = tokio::net::TcpListener::bind(place).await.unwrap();
        let router = Router::new().route("/v1/traces", post(take)).with_state(self.clone());
        let serving = async move { axum::serve(listener, router).await.unwrap() };
        tokio::runtime::Handle::current().spawn(serving);
    }

    pub(crate) fn requests(&self) -> Vec<HeaderMap> {
        self.0.lock().unwrap().headers.clone()
    }

    pub(crate) fn resources(&self) -> Vec<Value> {
        self.0.lock().unwrap().resources.clone()
    }

    /// Waits for the span with this id.
    pub(crate) fn span(&self, id: &str) -> Value {
        let of_id = |span: &&Value| span["spanId"] == id;
        wait_for("a span", || self.0.lock().unwrap().spans.iter().find(of_id).cloned())
    }

    /// Waits for a span of this name in a trace that fits.
    pub(crate) fn named(&self, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let is_it = |span: &&Value| span["name"] == name && fits(span);
        wait_for(name, || self.0.lock().unwrap().spans.iter().find(is_it).cloned())
    }
}

/// The value of an attribute, as a text.
pub(crate) fn attribute(of: &Value, key: &str) -> Option<String> {
    let found = of["attributes"].as_array()?.iter().find(|one| one["key"] == key)?;
    let value = found["value"].as_object()?.values().next()?;
    value.as_str().map(str::to_owned)
}

async fn take(
    State(collector): State<Collector>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, axum::Json<Value>) {
    let hangs = {
        let mut kept = collector.0.lock().unwrap();
        kept.headers.push(headers);
        let body: Value = serde_json::from_slice(&body).unwrap();
        for resource in body["resourceSpans"].as_array().unwrap() {
            kept.resources.push(resource["resource"].clone());
            for scope in resource["scopeSpans"].as_array().unwrap() {
                kept.spans.extend(scope["spans"].as_array().unwrap().iter().cloned());
            }
        }
        kept.hangs
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    (StatusCode::OK, axum::Json(json!({"partialSuccess": {}})))
}
