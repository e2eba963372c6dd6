//! A receiver that notes what comes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::routing::any;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Came {
    pub(super) id: String,
    pub(super) path: String,
    pub(super) sequence: u64,
    pub(super) event: String,
    pub(super) body: Bytes,
}

/// Notes requests and how many were open at once; answers 204.
#[derive(Clone, Default)]
pub(super) struct Hook(Arc<Inner>);

#[derive(Default)]
struct Inner {
    came: Mutex<Vec<Came>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl Hook {
    /// Serves at an address until dropped with its tasks.
    pub(super) async fn serve(&self, at: SocketAddr, tasks: &mut JoinSet<()>) -> SocketAddr {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(any(take)).with_state(self.clone());
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    pub(super) fn came(&self) -> Vec<Came> {
        self.0.came.lock().unwrap().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.0.came.lock().unwrap().len()
    }

    pub(super) fn most_open(&self) -> usize {
        self.0.most_open.load(Ordering::Acquire)
    }

    /// Requests by path, each path's in order.
    pub(super) fn by_path(&self) -> BTreeMap<String, Vec<Came>> {
        let mut paths: BTreeMap<String, Vec<Came>> = BTreeMap::new();
        for came in self.came() {
            paths.entry(came.path.clone()).or_default().push(came);
        }
        paths
    }
}

async fn take(
    State(hook): State<Hook>,
    uri: http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let open = hook.0.open.fetch_add(1, Ordering::AcqRel) + 1;
    hook.0.most_open.fetch_max(open, Ordering::AcqRel);
    // Lets another request in, if there is one.
    tokio::task::yield_now().await;
    let read: Value = serde_json::from_slice(&body).unwrap();
    let event = read["data"]["event"]["id"].as_str().unwrap().to_owned();
    let id = headers.get("webhook-id").unwrap().to_str().unwrap().to_owned();
    let sequence = read["data"]["event"]["sequence"].as_u64().unwrap();
    let path = uri.path().to_owned();
    hook.0.came.lock().unwrap().push(Came { id, path, sequence, event, body });
    hook.0.open.fetch_sub(1, Ordering::AcqRel);
    StatusCode::NO_CONTENT
}
