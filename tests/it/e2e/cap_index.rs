//! An index of CAP files from its first reading to the end of an alert, through the real program:
//! opened, updated, ended, each once; what leaves the index changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use serde_json::Value;
use serde_json::json;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Embedded;
use wirebell::bus::EmbeddedSettings;
use wirebell::bus::Limits;
use wirebell::bus::Put;
use wirebell::clock::Clock;
use wirebell::model::ArticleId;
use wirebell::model::Time;
use wirebell::source::poll;

use crate::e2e::Desk;
use crate::e2e::ask;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::running::Running;

const RULES: &str = "version: 1
places: {dover: [Dover], calais: [Calais]}
rules:
  - {id: storm, any: [storm warning], update_every: 6h}
";

/// A message of the port office, sent now.
struct Sent {
    number: u32,
    at: Time,
    text: String,
}

impl Sent {
    fn new(number: u32, kind: &str, replaces: &[&Sent], info: &str) -> Self {
        let at = Time::from_millis(Clock::System.now_ms());
        let references: Vec<String> = replaces
            .iter()
            .map(|m| format!("port@office.example,m{},{}", m.number, m.at))
            .collect();
        let references = references.join(" ");
        let text = format!(
            "<?xml version='1.0'?><alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'>\
             <identifier>m{number}</identifier><sender>port@office.example</sender><sent>{at}</sent>\
             <status>Actual</status><msgType>{kind}</msgType><scope>Public</scope>\
             <references>{references}</references>{info}</alert>"
        );
        Self { number, at, text }
    }

    fn id(&self) -> ArticleId {
        let (identifier, sent) = (format!("m{}", self.number), self.at.millis().to_string());
        ArticleId::of_message("port@office.example", &identifier, &sent)
    }
}

fn info(severity: &str, headline: &str) -> String {
    format!(
        "<info><language>en</language><category>Met</category><event>Storm</event>\
         <urgency>Expected</urgency><severity>{severity}</severity><certainty>Likely</certainty>\
         <headline>{headline}</headline><area><areaDesc>Harbour of Dover</areaDesc></area></info>"
    )
}

/// The office's server: what is listed, every file, and how often each was asked for.
#[derive(Clone, Default)]
struct Office(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    listed: Vec<u32>,
    files: BTreeMap<String, String>,
    asked: BTreeMap<String, usize>,
}

impl Office {
    async fn start(&self, desk: &Desk) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/index", listener.local_addr().unwrap());
        let router = Router::new().fallback(any(answer)).with_state(self.clone());
        let serving = async move { axum::serve(listener, router).await.unwrap() };
        tokio::runtime::Handle::current().spawn(serving);
        let sources = format!("sources:\n  - {{id: office, feed: '{url}', interval: 60s}}\n");
        std::fs::write(desk.path().join("config/sources.yaml"), sources).unwrap();
    }

    /// The newest first, as offices do.
    fn list(&self, sent: &Sent) {
        let mut shelf = self.0.lock().unwrap();
        shelf.listed.insert(0, sent.number);
        shelf.files.insert(format!("/{}.cap", sent.number), sent.text.clone());
    }

    fn clear(&self) {
        self.0.lock().unwrap().listed.clear();
    }

    fn asked(&self, path: &str) -> usize {
        self.0.lock().unwrap().asked.get(path).copied().unwrap_or_default()
    }
}

async fn answer(State(office): State<Office>, uri: Uri) -> Response {
    let mut shelf = office.0.lock().unwrap();
    *shelf.asked.entry(uri.path().to_owned()).or_default() += 1;
    if uri.path() == "/index" {
        let entries: String = shelf
            .listed
            .iter()
            .map(|n| {
                format!(
                    "<entry><id>e{n}</id><title>A storm warning for Dover</title>\
                     <link type='application/cap+xml' href='{n}.cap'/></entry>"
                )
            })
            .collect();
        return format!("<feed xmlns='http://www.w3.org/2005/Atom'>{entries}</feed>")
            .into_response();
    }
    match shelf.files.get(uri.path()) {
        Some(text) => text.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Makes the index due; nobody may be running.
async fn make_due(desk: &Desk) {
    let settings = EmbeddedSettings { folder: desk.path().join("data"), limits: Limits::default() };
    let bus = Embedded::open(settings).await.unwrap();
    let entry = bus.get(Bucket::Feeds, "office").await.unwrap().unwrap();
    let mut state: poll::State = serde_json::from_slice(&entry.value.unwrap()).unwrap();
    state.next_poll = Time::from_millis(0);
    let value = Bytes::from(serde_json::to_vec(&state).unwrap());
    let put = Put { key: entry.key, value, expect: Some(entry.revision) };
    bus.put(Bucket::Feeds, put).await.unwrap();
    bus.close().await;
}

/// Stops, lets the index become due, and starts again.
async fn poll_again(running: &mut Running) {
    running.stop();
    make_due(&running.desk).await;
    let process = running.desk.run();
    running.api = process.api();
    running.workers = vec![process];
    wait_ready(&running.api);
}

/// What came of a message, once every rule has read it.
fn effects(running: &Running, sent: &Sent) -> Value {
    let url = format!("{}/v1/articles/{}?explain=true", running.api, sent.id());
    let article = wait_for("the rules to read it", || {
        let (_, article) = ask("GET", &url, "", b"")?;
        (article["explained"] == true).then_some(article)
    });
    let decisions = article["decisions"].as_array().unwrap();
    decisions.iter().map(|decision| decision["effect"].clone()).collect()
}

fn event(kind: &str) -> Value {
    json!([{"event": kind}])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_an_index_open_update_and_end_an_alert_each_once() {
    let mut running = Running::alone(Desk::new(RULES)).await;
    let office = Office::default();
    let warning = info("Moderate", "A storm warning for Dover");
    let old = Sent::new(1, "Alert", &[], &warning);
    office.list(&old);
    office.start(&running.desk).await;
    // The first reading of an index rings nobody.
    assert_eq!(effects(&running, &old), json!(["late"]));

    let first = Sent::new(2, "Alert", &[], &warning);
    office.list(&first);
    poll_again(&mut running).await;
    assert_eq!(effects(&running, &first), event("alert.opened"));

    let extreme = info("Extreme", "A storm warning for Dover, worse than thought");
    let update = Sent::new(3, "Update", &[&first], &extreme);
    office.list(&update);
    poll_again(&mut running).await;
    assert_eq!(effects(&running, &update), event("alert.updated"));

    // All of them leave the index: that ends nothing.
    office.clear();
    let polls = office.asked("/index");
    poll_again(&mut running).await;
    wait_for("a poll", || (office.asked("/index") > polls).then_some(()));
    let open = running.get("/v1/alerts?status=open");
    assert_eq!(open["data"].as_array().unwrap().len(), 1, "{open}");

    // They come back with a cancel that says nothing in words, and no file is fetched again.
    let cancel = Sent::new(4, "Cancel", &[&first, &update], "");
    for sent in [&old, &first, &update, &cancel] {
        office.list(sent);
    }
    poll_again(&mut running).await;
    assert_eq!(effects(&running, &cancel), event("alert.ended"));
    for sent in [&old, &first, &update, &cancel] {
        assert_eq!(office.asked(&format!("/{}.cap", sent.number)), 1, "{}", sent.number);
    }

    let hooks = running.receiver.wait_for(3);
    let mut told: Vec<Value> = hooks.into_values().map(|hooks| hooks[0].json()).collect();
    told.sort_by_key(|body| body["data"]["event"]["sequence"].as_u64());
    let told: Vec<Value> = told
        .iter()
        .map(|body| {
            let alert = &body["data"]["alert"];
            assert_eq!(
                (&alert["key"], &alert["confirmation"]),
                (&json!("dover"), &json!("confirmed"))
            );
            json!([body["type"], alert["severity"], alert["status"]])
        })
        .collect();
    assert_eq!(
        told,
        [
            json!(["alert.opened", "warning", "open"]),
            json!(["alert.updated", "critical", "open"]),
            json!(["alert.ended", "critical", "ended"]),
        ]
    );
    assert_eq!(running.receiver.hooks().len(), 3);
}
