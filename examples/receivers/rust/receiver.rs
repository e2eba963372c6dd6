//! Receives Wirebell's webhooks: verifies, drops repeats, keeps order, fills gaps.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program of its own")]
#![expect(clippy::disallowed_methods, reason = "it reads its environment")]

use anyhow::Result;
use http::StatusCode;
use serde_json::Value;
use serde_json::json;

/// Your part: what happens for each type of event.
fn act(id: &str, body: &Value) -> Result<()> {
    let (kind, data) = (&body["type"], &body["data"]);
    match kind.as_str().unwrap_or_default() {
        "alert.opened" => {} // ring somebody, unless data.event.late: over meanwhile, or old news
        "alert.updated" | "alert.confirmed" => {} // tell those who were rung more
        "alert.corrected" => {} // an article no longer says so; data.reason tells why
        "alert.ended" | "alert.retracted" | "alert.expired" => {} // stand down
        "test.ping" => {}
        _ => return Ok(()), // a type of later versions
    }
    let (sequence, title) = (&data["event"]["sequence"], &data["alert"]["title"]);
    println!("{}", json!({"type": kind, "id": id, "sequence": sequence, "title": title}));
    Ok(())
}

fn setting(name: &str, usual: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| usual.to_owned())
}

/// Asks Wirebell's log for the event that follows a sequence.
fn pull(subscription: &str, after: u64) -> Result<Value> {
    let api = setting("WIREBELL_API", "http://127.0.0.1:8080");
    let url = format!("{api}/v1/subscriptions/{subscription}/events?after={after}&limit=1");
    let token = format!("Bearer {}", setting("WIREBELL_TOKEN", ""));
    let asked = ureq::get(url).header("authorization", token).config();
    let answer = asked.timeout_global(Some(std::time::Duration::from_secs(20))).build().call()?;
    let page: Value = serde_json::from_reader(answer.into_body().into_reader())?;
    anyhow::ensure!(page["data"][0]["data"]["event"]["sequence"] == after + 1, "not in the log");
    Ok(page["data"][0].clone())
}

/// Acts on what is missing before a body, then on the body, unless it is known.
fn take(state: &mut Value, body: &Value) -> Result<()> {
    let event = &body["data"]["event"];
    let subscription = event["subscription"].as_str().unwrap_or_default();
    let id = format!("{}-{subscription}", event["id"].as_str().unwrap_or_default());
    let sequence = event["sequence"].as_u64().unwrap_or_default(); // 0: a test.ping
    // Nothing is missing before the first event of a subscription.
    let done = state["done"][subscription].as_u64().filter(|done| *done > 0).unwrap_or(sequence);
    for after in done..sequence.saturating_sub(1) {
        match pull(subscription, after).inspect_err(|e| eprintln!("nothing after {after}: {e:#}")) {
            Ok(missed) => take(state, &missed)?,
            Err(_) => break, // go on with what is there: a gap must not hold up an alarm
        }
    }
    let Some(seen) = state["seen"].as_array_mut() else { anyhow::bail!("the state has no list") };
    if seen.contains(&json!(id)) {
        return Ok(()); // a retry or a replay
    }
    act(&id, body)?;
    seen.push(json!(id));
    seen.drain(..seen.len().saturating_sub(10_000));
    state["done"][subscription] = json!(done.max(sequence));
    let file = setting("WIREBELL_STATE", "receiver-state.json");
    std::fs::write(format!("{file}.new"), state.to_string())?;
    Ok(std::fs::rename(format!("{file}.new"), file)?) // a crash in between acts twice, never not
}

fn main() -> Result<()> {
    let secrets = setting("WIREBELL_SECRET", ""); // two while the key turns
    anyhow::ensure!(!secrets.trim().is_empty(), "WIREBELL_SECRET is not set");
    let keys = secrets.split_whitespace().map(standardwebhooks::Webhook::new);
    let keys = std::sync::Arc::new(keys.collect::<Result<Vec<_>, _>>()?);
    let file = setting("WIREBELL_STATE", "receiver-state.json");
    let mut state = json!({"seen": []});
    if std::fs::exists(&file)? {
        state = serde_json::from_slice(&std::fs::read(&file)?)?;
    }
    let (queue, mut work) = tokio::sync::mpsc::channel(10_000);
    let hook = async move |headers: http::HeaderMap, bytes: axum::body::Bytes| {
        if !keys.iter().any(|key| key.verify(&bytes, &headers).is_ok()) {
            StatusCode::UNAUTHORIZED // the bytes as they came, before any parsing
        } else if queue.try_send(bytes).is_ok() {
            StatusCode::NO_CONTENT // answer first, work later
        } else {
            StatusCode::SERVICE_UNAVAILABLE // the queue is full: Wirebell tries again
        }
    };
    let address = format!("{}:{}", setting("HOST", "127.0.0.1"), setting("PORT", "9000"));
    let runtime = tokio::runtime::Runtime::new()?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind(address))?;
    eprintln!("listening on port {}", listener.local_addr()?.port());
    runtime.spawn(axum::serve(listener, axum::Router::new().fallback(hook)).into_future());
    while let Some(bytes) = work.blocking_recv() {
        take(&mut state, &serde_json::from_slice(&bytes)?)?; // where it fails, the process ends
    }
    Ok(())
}
