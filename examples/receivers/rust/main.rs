//! Receives Wirebell's webhooks: verifies, drops repeats, keeps order, fills gaps.

use std::collections::HashMap;
use std::io::Write;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::routing::any;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;

/// Your part: what happens for each type of event.
fn act(kind: &str, data: &Value) -> anyhow::Result<()> {
    match kind {
        "alert.opened" => {} // ring somebody, unless event.late: over meanwhile, or old news
        "alert.updated" | "alert.confirmed" => {} // tell those who were rung more
        "alert.corrected" => {} // an article no longer says so; data.reason tells why
        "alert.ended" | "alert.retracted" | "alert.expired" => {} // stand down
        "test.ping" => {}
        _ => return Ok(()), // a type of later versions
    }
    let (id, sequence) = (webhook_id(data), &data["event"]["sequence"]);
    let said =
        json!({"type": kind, "id": id, "sequence": sequence, "title": data["alert"]["title"]});
    Ok(writeln!(std::io::stdout().lock(), "{said}")?)
}

fn webhook_id(data: &Value) -> String {
    let text = |name: &str| data["event"][name].as_str().unwrap_or_default().to_owned();
    format!("{}-{}", text("id"), text("subscription"))
}

#[expect(clippy::disallowed_methods, reason = "a program of its own reads its environment")]
fn setting(name: &str, usual: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| usual.to_owned())
}

/// Takes what verifies: first the answer, then the work.
async fn hook(
    State(work): State<mpsc::Sender<Value>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let secrets = setting("WIREBELL_SECRET", ""); // two while the key turns
    let mut keys =
        secrets.split_whitespace().filter_map(|one| standardwebhooks::Webhook::new(one).ok());
    // The bytes as they came, before any parsing.
    let fits = keys.any(|key| key.verify(&body, &headers).is_ok());
    match serde_json::from_slice(&body) {
        Ok(body) if fits => match work.try_send(body) {
            Ok(()) => StatusCode::NO_CONTENT,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE, // Wirebell tries again
        },
        _ => StatusCode::UNAUTHORIZED,
    }
}

struct Worker {
    file: String,
    seen: Vec<String>,
    done: HashMap<String, u64>,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Worker {
    async fn take(&mut self, body: &Value) -> anyhow::Result<()> {
        let event = &body["data"]["event"];
        let subscription = event["subscription"].as_str().unwrap_or_default();
        let sequence = event["sequence"].as_u64().unwrap_or_default();
        if let Some(done) = self.done.get(subscription).copied() // none: the first that comes begins
            && let Err(error) = self.pull(subscription, done, sequence).await
        {
            // Go on with what is there: a gap must not hold up an alarm.
            writeln!(std::io::stderr(), "something before {sequence} is missing: {error:#}")?;
        }
        self.once(body)
    }

    /// Takes what lies between two sequences from Wirebell's log.
    async fn pull(
        &mut self,
        subscription: &str,
        mut after: u64,
        before: u64,
    ) -> anyhow::Result<()> {
        let (api, token) =
            (setting("WIREBELL_API", "http://127.0.0.1:8080"), setting("WIREBELL_TOKEN", ""));
        while after + 1 < before {
            let url =
                format!("{api}/v1/subscriptions/{subscription}/events?after={after}&limit=500");
            let request =
                http::Request::get(&url).header("authorization", format!("Bearer {token}"));
            let answer = self.client.request(request.body(Empty::new())?).await?;
            anyhow::ensure!(answer.status().is_success(), "{url} answers {}", answer.status());
            let page: Value =
                serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?;
            let bodies = page["data"].as_array().map(Vec::as_slice).unwrap_or_default();
            let Some(last) = bodies.last() else { return Ok(()) };
            after = last["data"]["event"]["sequence"].as_u64().unwrap_or(before);
            for body in
                bodies.iter().filter(|one| one["data"]["event"]["sequence"].as_u64() < Some(before))
            {
                self.once(body)?;
            }
        }
        Ok(())
    }

    fn once(&mut self, body: &Value) -> anyhow::Result<()> {
        let (id, event) = (webhook_id(&body["data"]), &body["data"]["event"]);
        if self.seen.contains(&id) {
            return Ok(()); // a retry or a replay
        }
        act(body["type"].as_str().unwrap_or_default(), &body["data"])?;
        self.seen.push(id);
        self.seen.drain(..self.seen.len().saturating_sub(10_000));
        if let (Some(subscription), Some(sequence @ 1..)) =
            // a test.ping, which is 0, does not count
            (event["subscription"].as_str(), event["sequence"].as_u64())
        {
            let done = self.done.entry(subscription.to_owned()).or_default();
            *done = sequence.max(*done);
        }
        let new = format!("{}.new", self.file);
        std::fs::write(&new, json!({"seen": self.seen, "done": self.done}).to_string())?;
        Ok(std::fs::rename(&new, &self.file)?) // after the act: a crash in between acts twice, never not
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let file = setting("WIREBELL_STATE", "receiver-state.json");
    let text =
        std::fs::read_to_string(&file).unwrap_or_else(|_| r#"{"seen": [], "done": {}}"#.to_owned());
    let state: Value = serde_json::from_str(&text)?;
    let (seen, done) = (
        serde_json::from_value(state["seen"].clone())?,
        serde_json::from_value(state["done"].clone())?,
    );
    let provider = rustls::crypto::ring::default_provider();
    let connector =
        HttpsConnectorBuilder::new().with_provider_and_webpki_roots(provider)?.https_or_http();
    let client = Client::builder(TokioExecutor::new()).build(connector.enable_http1().build());
    let mut worker = Worker { file, seen, done, client };
    let address = format!("{}:{}", setting("HOST", "127.0.0.1"), setting("PORT", "9000"));
    let listener = tokio::net::TcpListener::bind(address).await?;
    writeln!(std::io::stderr(), "listening on port {}", listener.local_addr()?.port())?;
    let (sender, mut work) = mpsc::channel(10_000);
    let router = Router::new().fallback(any(hook)).with_state(sender);
    let serving = axum::serve(listener, router);
    tokio::select! {
        served = serving.into_future() => Ok(served?),
        failed = async { loop { match work.recv().await {
            Some(body) => if let Err(error) = worker.take(&body).await { break Err(error) },
            None => break Ok(()),
        }}} => failed,
    }
}
