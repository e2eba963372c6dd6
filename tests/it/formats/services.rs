//! A whole life through the program, told to a stand-in for each service: it checks a request by
//! the service's documents and answers as the service does, at first that it has too many.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::any;
use serde_json::Value;
use serde_json::json;
use wirebell::delivery::format::Message;
use wirebell::model::subscription::Format;

use crate::e2e::Desk;
use crate::e2e::Hook;
use crate::e2e::ask;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::formats::taken::rules;

const RULES: &str = "version: 1
rules:
  - {id: flood, any: [flood siren], key: none, severity: critical, update_every: 0s,
     confirm: {distinct_sources: 2, within: 1h}}
  - {id: flood-over, ends: flood, any: [all clear], key: none}
  - {id: quake, any: [quake felt], key: none}
";
const HEADERS: [&str; 8] = [
    "ce-specversion",
    "ce-id",
    "ce-source",
    "ce-type",
    "ce-subject",
    "ce-time",
    "ce-severity",
    "ce-nature",
];
/// Where each format is served, and where its requests come in.
const PLACES: [(Format, &str, &str); 9] = [
    (Format::Wirebell, "/native", "/native"),
    (Format::Slack, "/services/T0/B0/x", "/services/T0/B0/x"),
    (Format::Discord, "/api/webhooks/1/x", "/api/webhooks/1/x"),
    (Format::Teams, "/workflows/x", "/workflows/x"),
    (Format::Pagerduty, "/v2/enqueue", "/v2/enqueue"),
    (Format::Ntfy, "/ntfy/desk", "/ntfy/"),
    (Format::Cloudevents, "/events", "/events"),
    (Format::CloudeventsBinary, "/binary", "/binary"),
    (Format::Template, "/own", "/own"),
];

/// All services.
#[derive(Clone, Default)]
struct Services(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// By path, what was taken, in order.
    taken: BTreeMap<String, Vec<Hook>>,
    /// Requests that were told to come again.
    postponed: BTreeMap<String, String>,
    wrong: Vec<String>,
    incidents: BTreeSet<String>,
    triggered: usize,
}

impl Services {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(any(take)).with_state(self.clone());
        let serving = async move { axum::serve(listener, router).await.unwrap() };
        tokio::runtime::Handle::current().spawn(serving);
        url
    }

    fn taken(&self, path: &str) -> Vec<Hook> {
        self.0.lock().unwrap().taken.get(path).cloned().unwrap_or_default()
    }

    fn wait_for(&self, count: usize) {
        for (format, _, path) in PLACES {
            wait_for(&format!("{count} requests of {}", format.as_str()), || {
                let seen = self.0.lock().unwrap();
                assert!(seen.wrong.is_empty(), "{:?}", seen.wrong);
                let taken = seen.taken.get(path).map_or(0, Vec::len);
                (taken >= count).then_some(())
            });
        }
    }
}

async fn take(
    State(services): State<Services>,
    uri: http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut seen = services.0.lock().unwrap();
    let path = uri.path().to_owned();
    let Some((format, ..)) = PLACES.into_iter().find(|(_, _, place)| *place == path) else {
        seen.wrong.push(format!("nobody is at {path}"));
        return StatusCode::NOT_FOUND.into_response();
    };
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let message = Message {
        content_type: headers["content-type"].to_str().unwrap().to_owned().into(),
        headers: HEADERS
            .into_iter()
            .filter_map(|name| Some((name, headers.get(name)?.to_str().unwrap().to_owned())))
            .collect(),
        body: body.to_vec(),
    };
    let wrong = rules(format, &message);
    if !wrong.is_empty() {
        seen.wrong.push(format!("{path}: {wrong:?}"));
        return StatusCode::BAD_REQUEST.into_response();
    }
    if let Entry::Vacant(first) = seen.postponed.entry(path.clone()) {
        first.insert(id);
        return postponed(format);
    }
    if format == Format::Pagerduty {
        let body: Value = serde_json::from_slice(&body).unwrap();
        let key = body["dedup_key"].as_str().unwrap().to_owned();
        if body["event_action"] == "resolve" {
            seen.incidents.remove(&key);
        } else {
            seen.triggered += 1;
            seen.incidents.insert(key);
        }
    }
    seen.taken.entry(path).or_default().push(Hook { headers, body: body.to_vec() });
    accepted(format)
}

/// Too many requests, as each service says it.
fn postponed(format: Format) -> Response {
    match format {
        Format::Discord => {
            let body = json!({"message": "slow", "retry_after": 0.65, "global": false});
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0.65")], body.to_string())
                .into_response()
        }
        Format::Teams => {
            let text = "Webhook message delivery failed with error: Microsoft Teams endpoint \
                returned HTTP error 429 with ContextId tcid=0";
            (StatusCode::OK, text).into_response()
        }
        Format::Slack => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response(),
        _ => StatusCode::TOO_MANY_REQUESTS.into_response(),
    }
}

fn accepted(format: Format) -> Response {
    match format {
        Format::Slack => (StatusCode::OK, "ok").into_response(),
        Format::Discord | Format::Wirebell => StatusCode::NO_CONTENT.into_response(),
        Format::Ntfy => (StatusCode::OK, r#"{"event":"message"}"#).into_response(),
        Format::Pagerduty => (StatusCode::ACCEPTED, r#"{"status":"success"}"#).into_response(),
        _ => StatusCode::ACCEPTED.into_response(),
    }
}

fn post(url: &str, body: &Value) -> (u16, Value) {
    ask("POST", url, "application/json", body.to_string().as_bytes()).unwrap()
}

fn subscribe(api: &str, services: &str) -> BTreeMap<&'static str, (String, String)> {
    let mut made = BTreeMap::new();
    for (format, place, path) in PLACES {
        let url = format!("{services}{place}");
        let mut wanted = json!({"url": url, "topics": ["*"], "format": format.as_str()});
        if format == Format::Pagerduty {
            wanted["routing_key"] = json!("R0UT1NGK3YR0UT1NGK3YR0UT1NGK3Y00");
        }
        if format == Format::Template {
            wanted["template"] = json!("{\"text\": {{ headline }}, \"what\": {{ lead }}}");
        }
        let (status, told) = post(&format!("{api}/v1/subscriptions"), &wanted);
        assert_eq!(status, 201, "{told}");
        assert_eq!(told["format"], format.as_str());
        assert!(!told.to_string().contains("R0UT1NGK3YR0UT1NGK3YR0UT1NGK3Y00"), "{told}");
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        made.insert(path, (text("id"), text("secret")));
    }
    made
}

fn push(api: &str, (id, source): (&str, &str), (title, body): (&str, &str)) {
    let article = json!({"id": id, "source": source, "title": title, "body": body});
    let (status, said) = post(&format!("{api}/v1/articles"), &article);
    assert_eq!(status, 202, "{said}");
}

/// Opened, updated, confirmed, corrected, ended; and another opened and retracted.
fn live(api: &str, services: &Services) {
    let told = "It began at nine, and people on the quay were led to the school on the hill.";
    push(api, ("a", "skylark"), ("A flood siren sounds in Port Mallow", told));
    services.wait_for(1);
    let more = "The tide gauge showed two metres at noon, a record for the month of January.";
    push(api, ("b", "skylark"), ("Second flood siren heard at the river mouth", more));
    services.wait_for(2);
    let other = "Our reporter counted eleven boats adrift while the bridge was closed to cars.";
    push(api, ("c", "harbour-post"), ("Harbour crews answer the flood siren", other));
    services.wait_for(3);
    push(api, ("b", "skylark"), ("Concert at the river mouth", "The band began at noon."));
    services.wait_for(4);
    push(api, ("d", "skylark"), ("All clear in Port Mallow", "The water fell by the evening."));
    services.wait_for(5);
    push(api, ("e", "skylark"), ("Quake felt in <!channel> @everyone", "Windows shook."));
    services.wait_for(6);
    let (_, alerts) = ask("GET", &format!("{api}/v1/alerts?topic=quake"), "", b"").unwrap();
    let id = alerts["data"][0]["id"].as_str().unwrap();
    let (status, said) =
        post(&format!("{api}/v1/alerts/{id}/retract"), &json!({"reason": "It was a lorry."}));
    assert_eq!(status, 202, "{said}");
    services.wait_for(7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_service_takes_a_whole_life() {
    let desk = Desk::new(RULES);
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    let services = Services::default();
    let base = services.start().await;
    let made = subscribe(&api, &base);
    live(&api, &services);
    for (id, _) in made.values() {
        post(&format!("{api}/v1/subscriptions/{id}/test"), &json!({}));
    }
    services.wait_for(8);
    let kinds: Vec<Value> =
        services.taken("/native").iter().map(|hook| hook.json()["type"].clone()).collect();
    let wanted = ["opened", "updated", "confirmed", "corrected", "ended", "opened", "retracted"];
    let wanted: Vec<Value> = wanted.iter().map(|kind| json!(format!("alert.{kind}"))).collect();
    assert_eq!(kinds[..7], wanted);
    assert_eq!(kinds[7], "test.ping");
    for (path, (_, secret)) in &made {
        let taken = services.taken(path);
        taken.iter().for_each(|hook| hook.verify(secret));
        let seen = services.0.lock().unwrap();
        assert_eq!(seen.postponed[*path], taken[0].id(), "{path} was tried again");
    }
    let seen = services.0.lock().unwrap();
    assert!(seen.incidents.is_empty(), "nobody is paged for ever: {:?}", seen.incidents);
    assert_eq!(seen.triggered, 5, "opened, updated, confirmed, corrected, and opened");
    assert_eq!(seen.wrong, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_format_is_changed_checked_and_never_shows_its_key() {
    let desk = Desk::new(RULES);
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    let all = format!("{api}/v1/subscriptions");
    let url = "http://127.0.0.1:18999/in";
    let wanted = json!({"url": url, "topics": ["*"], "format": "pagerduty"});
    let (status, said) = post(&all, &wanted);
    assert_eq!((status, &said["errors"][0]["pointer"]), (422, &json!("/routing_key")), "{said}");
    let (_, made) = post(&all, &json!({"url": url, "topics": ["*"]}));
    let one = format!("{all}/{}", made["id"].as_str().unwrap());
    let patch = |body: Value| {
        let body = body.to_string();
        ask("PATCH", &one, "application/json", body.as_bytes()).unwrap()
    };
    let (status, said) = patch(json!({"format": "template", "template": "{{ alert.titel }}"}));
    assert_eq!((status, &said["errors"][0]["pointer"]), (422, &json!("/template")), "{said}");
    assert!(said["errors"][0]["message"].as_str().unwrap().contains("title"), "{said}");
    let (status, said) = patch(json!({"format": "template", "template": "{{ headline }}"}));
    assert_eq!((status, &said["template"]), (200, &json!("{{ headline }}")), "{said}");
    assert_eq!(said["template_content_type"], "application/json");
    let (status, said) =
        patch(json!({"format": "pagerduty", "routing_key": "R0UT1NGK3YR0UT1NGK3YR0UT1NGK3Y00"}));
    assert_eq!((status, &said["template"]), (200, &json!(null)), "{said}");
    let (_, shown) = ask("GET", &one, "", b"").unwrap();
    assert_eq!(shown["format"], "pagerduty");
    assert!(!shown.to_string().contains("R0UT1NGK3YR0UT1NGK3YR0UT1NGK3Y00"), "{shown}");
    let lines = format!(
        "{}\n{}\n",
        json!({"url": url, "topics": ["*"], "format": "slack"}),
        json!({"url": url, "topics": ["*"], "format": "slak"})
    );
    let (status, said) = ask("POST", &all, "application/x-ndjson", lines.as_bytes()).unwrap();
    assert_eq!(status, 201, "{said}");
    assert_eq!(said["rejected"][0]["errors"][0]["pointer"], "/format", "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_takes_a_template_from_a_file() {
    let desk = Desk::new(RULES);
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    let file = desk.path().join("template.txt");
    let run = |text: &str| {
        std::fs::write(&file, text).unwrap();
        desk.command(&["subscribe", "http://127.0.0.1:18999/in", "--topic", "*", "--api", &api])
            .args(["--format", "template", "--template-content-type", "text/plain"])
            .arg("--template-file")
            .arg(&file)
            .args(["--output", "json"])
            .output()
            .unwrap()
    };
    let refused = run("{{ headlin }}");
    assert_eq!(refused.status.code(), Some(1));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("did you mean headline?"), "{words}");
    let taken = run("{{ headline }}");
    let made: Value = serde_json::from_slice(&taken.stdout).unwrap();
    assert_eq!(made["template"], "{{ headline }}", "{made}");
    assert_eq!(made["template_content_type"], "text/plain");
}
