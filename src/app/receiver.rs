//! A receiver of webhooks: verifies, drops repeats, notices gaps, and answers badly where it is told
//! to.

mod order;

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
use crate::delivery::diagnosis;
use crate::delivery::diagnosis::Finding;
use order::Memory;
pub use order::Place;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its `webhook-id`.
    pub id: String,
    /// Which key it fits, or why it cannot be trusted.
    pub verdict: Result<usize, Finding>,
    /// Where it stands among those that came before; as the first, where it cannot be trusted or
    /// was not taken.
    pub place: Place,
    /// The status it was answered with.
    pub answered: u16,
    /// Its body; null where it is no JSON.
    pub body: Value,
}

/// How requests that verify are answered.
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    /// With this status.
    pub status: StatusCode,
    /// Only so many of them; then they are taken. None for all.
    pub first: Option<u32>,
}

impl Default for Answers {
    fn default() -> Self {
        Self { status: StatusCode::NO_CONTENT, first: None }
    }
}

/// A receiver's keys, which may come after it began to listen, and where requests go.
#[derive(Clone)]
pub struct Receiver {
    keys: Arc<Mutex<Vec<Key>>>,
    memory: Arc<Mutex<Memory>>,
    answers: Arc<Mutex<Answers>>,
    sender: mpsc::Sender<Received>,
}

impl Receiver {
    /// A receiver that hands requests over one by one.
    pub fn new(keys: Vec<Key>, answers: Answers) -> (Self, mpsc::Receiver<Received>) {
        let (sender, requests) = mpsc::channel(1024);
        let memory = Arc::new(Mutex::new(Memory::default()));
        let answers = Arc::new(Mutex::new(answers));
        (Self { keys: Arc::new(Mutex::new(keys)), memory, answers, sender }, requests)
    }

    /// Gives it the key of its subscription.
    pub fn set_key(&self, key: Key) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = vec![key];
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
        let id = headers.get("webhook-id").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = Clock::System.now_ms().div_euclid(1000);
        let verdict = diagnosis::judge(&keys, headers, body, now);
        let status = match verdict {
            Ok(_) => self.status(),
            Err(_) => StatusCode::UNAUTHORIZED,
        };
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        let mut place = Place::default();
        // What is answered badly was not taken: it comes again, and is no repeat then.
        if verdict.is_ok() && status.is_success() {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            place = memory.note(id, &body);
        }
        Received { id: id.to_owned(), verdict, place, answered: status.as_u16(), body }
    }

    fn status(&self) -> StatusCode {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut answers.first {
            Some(0) => StatusCode::NO_CONTENT,
            Some(left) => {
                *left -= 1;
                answers.status
            }
            None => answers.status,
        }
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let received = receiver.judge(&headers, &body);
    let status = StatusCode::from_u16(received.answered).unwrap_or(StatusCode::NO_CONTENT);
    if receiver.sender.send(received).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    status
}
