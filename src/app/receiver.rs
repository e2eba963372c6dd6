//! A receiver of webhooks: verifies, drops repeats, notices gaps.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::routing::any;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::delivery::Key;
use crate::delivery::signature;
use crate::delivery::signature::Headers;
use crate::delivery::signature::Mismatch;

/// Most ids remembered to drop repeats.
const MAX_IDS: usize = 100_000;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its `webhook-id`.
    pub id: String,
    /// Whether it can be trusted, and if not why.
    pub verdict: Result<(), Mismatch>,
    /// The same id came before.
    pub repeat: bool,
    /// The sequence that was expected, where another one came.
    pub expected: Option<u64>,
    /// Its body; null where it is no JSON.
    pub body: Value,
}

#[derive(Default)]
struct Memory {
    ids: HashSet<String>,
    sequences: HashMap<String, u64>,
}

/// A receiver's key, which may come after it began to listen, and where requests go.
#[derive(Clone)]
pub struct Receiver {
    key: Arc<Mutex<Option<Key>>>,
    memory: Arc<Mutex<Memory>>,
    sender: mpsc::Sender<Received>,
}

impl Receiver {
    /// A receiver that hands requests over one by one.
    pub fn new(key: Option<Key>) -> (Self, mpsc::Receiver<Received>) {
        let (sender, requests) = mpsc::channel(1024);
        let memory = Arc::new(Mutex::new(Memory::default()));
        (Self { key: Arc::new(Mutex::new(key)), memory, sender }, requests)
    }

    /// Gives it the key of its subscription.
    pub fn set_key(&self, key: Key) {
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    /// Serves until `stop`.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        let router = Router::new().fallback(any(take)).with_state(self);
        axum::serve(listener, router)
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .await
    }

    fn judge(&self, headers: &HeaderMap, body: &[u8]) -> Received {
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
        let id = text("webhook-id").unwrap_or_default().to_owned();
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = Clock::System.now_ms().div_euclid(1000);
        let given = Headers {
            id: text("webhook-id"),
            timestamp: text("webhook-timestamp"),
            signature: text("webhook-signature"),
        };
        let verdict = match key {
            Some(key) => signature::verify(&key, given, body, now),
            None => Err(Mismatch::Signature),
        };
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        let (mut repeat, mut expected) = (false, None);
        if verdict.is_ok() {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            (repeat, expected) = memory.note(&id, &body);
        }
        Received { id, verdict, repeat, expected, body }
    }
}

impl Memory {
    fn note(&mut self, id: &str, body: &Value) -> (bool, Option<u64>) {
        if self.ids.len() >= MAX_IDS {
            self.ids.clear();
        }
        if !self.ids.insert(id.to_owned()) {
            return (true, None);
        }
        let event = &body["data"]["event"];
        let (Some(subscription), Some(sequence @ 1..)) =
            (event["subscription"].as_str(), event["sequence"].as_u64())
        else {
            return (false, None);
        };
        let last = self.sequences.insert(subscription.to_owned(), sequence);
        (false, last.map(|n| n + 1).filter(|wanted| *wanted != sequence))
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let received = receiver.judge(&headers, &body);
    let status =
        if received.verdict.is_ok() { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED };
    if receiver.sender.send(received).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    status
}
