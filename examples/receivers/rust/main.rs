//! Receives Wirebell's webhooks: verifies, drops repeats, keeps order, fills gaps. Here are the door
//! and your part; `inbox.rs` has the memory.

mod inbox;

use std::io::Write;
use std::io::stderr;
use std::io::stdout;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::routing::any;
use serde_json::Value;
use serde_json::json;
use standardwebhooks::Webhook;
use tokio::sync::mpsc;

/// Your part: what happens for each type of event. Where it fails, the process ends.
fn act(body: &Value) -> anyhow::Result<()> {
    let (kind, data) = (&body["type"], &body["data"]);
    match kind.as_str().unwrap_or_default() {
        "alert.opened" => {} // ring somebody, unless data.event.late: over meanwhile, or old news
        "alert.updated" | "alert.confirmed" => {} // tell those who were rung more
        "alert.corrected" => {} // an article no longer says so; data.reason tells why
        "alert.ended" | "alert.retracted" | "alert.expired" => {} // stand down
        "test.ping" => {}
        _ => return Ok(()), // a type of later versions
    }
    let (id, sequence) = (inbox::webhook_id(body), inbox::sequence(body));
    let title = &data["alert"]["title"];
    let line = json!({"type": kind, "id": id, "sequence": sequence, "title": title});
    Ok(writeln!(stdout(), "{line}")?)
}

/// What each request is checked with, and where its body then waits.
#[derive(Clone)]
struct Door {
    keys: Arc<[Webhook]>,
    queue: mpsc::Sender<Value>,
}

/// Answers first; the work is done later.
async fn hook(State(door): State<Door>, headers: HeaderMap, bytes: Bytes) -> StatusCode {
    // The bytes as they came, before any parsing.
    let fits = door.keys.iter().any(|key| key.verify(&bytes, &headers).is_ok());
    match serde_json::from_slice(&bytes) {
        Ok(body) if fits => match door.queue.try_send(body) {
            Ok(()) => StatusCode::NO_CONTENT,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE, // full: Wirebell tries again
        },
        _ => StatusCode::UNAUTHORIZED,
    }
}

#[expect(clippy::disallowed_methods, reason = "a program of its own reads its environment")]
fn setting(name: &str, usual: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| usual.to_owned())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let secrets = setting("WIREBELL_SECRET", ""); // two while the key turns
    let keys: Result<Vec<_>, _> = secrets.split_whitespace().map(Webhook::new).collect();
    let keys: Arc<[_]> = keys.context("WIREBELL_SECRET is not a secret")?.into();
    anyhow::ensure!(!keys.is_empty(), "WIREBELL_SECRET is not set: the secret of the subscription");
    let mut inbox = inbox::Inbox::open(setting("WIREBELL_STATE", "receiver-state.json"))?;

    let (queue, mut work) = mpsc::channel(10_000);
    let router = Router::new().fallback(any(hook)).with_state(Door { keys, queue });
    let address = format!("{}:{}", setting("HOST", "127.0.0.1"), setting("PORT", "9000"));
    let listener = tokio::net::TcpListener::bind(address).await?;
    writeln!(stderr(), "listening on port {}", listener.local_addr()?.port())?;
    // The pull and the file block: a thread of its own, and the door stays open.
    let working = tokio::task::spawn_blocking(move || {
        while let Some(body) = work.blocking_recv() {
            inbox.take(&body)?;
        }
        anyhow::Ok(())
    });
    tokio::select! {
        served = axum::serve(listener, router).into_future() => Ok(served?),
        worked = working => worked?,
    }
}
