//! One trace from the article to the webhook.

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use serde_json::Value;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Embedded;
use wirebell::bus::EmbeddedSettings;
use wirebell::bus::Limits;
use wirebell::bus::Put;

use crate::e2e::Desk;
use crate::e2e::Hook;
use crate::e2e::Process;
use crate::e2e::RULES;
use crate::e2e::Receiver;
use crate::e2e::ask;
use crate::e2e::subscribe;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::collector::Collector;
use crate::support::collector::attribute;
use crate::support::http;
use crate::support::nats::Server;
use crate::support::running::Running;

const INCOMING: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Pushes one article of a source with these headers.
fn push(api: &str, source: &str, headers: &[(&str, &str)]) {
    let address = api.strip_prefix("http://").unwrap();
    let article =
        json!({"title": "A siren", "body": "", "source": source, "id": source}).to_string();
    let mut all = vec![("host", address), ("content-type", "application/json")];
    all.extend(headers);
    let path = "/v1/articles?as_new=true";
    let (status, body) = http::send(address, "POST", path, &all, article.as_bytes()).unwrap();
    assert_eq!(status, 202, "{}", String::from_utf8_lossy(&body));
}

fn traceparent(hook: &Hook) -> String {
    hook.headers["traceparent"].to_str().unwrap().to_owned()
}

/// One part of a header: version, trace, span, flags.
fn part(header: &str, number: usize) -> &str {
    header.split('-').nth(number).unwrap()
}

fn traceparents(running: &Running, count: usize) -> Vec<String> {
    let hooks = running.receiver.wait_for(count);
    hooks.values().flatten().map(traceparent).collect()
}

/// Without an exporter Wirebell hands on what it was given, and takes part in nothing else.
fn hands_on(running: &Running) {
    push(&running.api, "odesa", &[("traceparent", INCOMING)]);
    assert_eq!(traceparents(running, 1), [INCOMING]);
    let (other, bad) = (INCOMING.replace('4', "5"), INCOMING.to_uppercase());
    push(&running.api, "lviv", &[]);
    push(&running.api, "kharkiv", &[("traceparent", &bad)]);
    push(&running.api, "kyiv", &[("traceparent", INCOMING), ("traceparent", &other)]);
    let all = traceparents(running, 4);
    let own: Vec<&String> = all.iter().filter(|one| *one != INCOMING).collect();
    assert_eq!(own.len(), 3, "{all:?}");
    assert!(own.iter().all(|one| one.len() == 55 && one.ends_with("-00")), "{all:?}");
    assert!(!own.contains(&&other) && own[0] != own[1] && own[1] != own[2], "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_that_an_article_is_pushed_with_reaches_the_webhook() {
    hands_on(&Running::alone(Desk::new(RULES)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_that_an_article_is_pushed_with_reaches_the_webhook_over_nats() {
    let Some(nats) = Server::start() else { return };
    let kinds = ["api", "rules", "notifier"];
    hands_on(&Running::divided(Desk::new(RULES), &kinds, &nats).await);
}

/// Only the receiver's address is open to webhooks.
fn desk(collector: SocketAddr, more: &str) -> Desk {
    let settings = format!(
        "egress: {{allow: [127.0.0.1, 127.0.0.66]}}\nlease: 3s\n\
         traces: {{endpoint: 'http://{collector}'}}\n{more}"
    );
    Desk::with_settings(RULES, &settings)
}

/// The spans behind a webhook, from its sending back to the first, each the child of the next.
fn spans(collector: &Collector, hook: &Hook) -> Vec<Value> {
    let given = traceparent(hook);
    assert_eq!(part(&given, 3), "01", "{given}");
    let mut found = vec![collector.span(part(&given, 2))];
    while found.len() < 3 {
        let parent = found.last().unwrap()["parentSpanId"].as_str().expect("a parent").to_owned();
        found.push(collector.span(&parent));
    }
    assert!(found.iter().all(|span| span["traceId"] == part(&given, 1)), "{given} {found:?}");
    found
}

fn first(receiver: &Receiver, count: usize) -> Hook {
    receiver.wait_for(count).into_values().next().unwrap().remove(0)
}

fn names(spans: &[Value]) -> Vec<&str> {
    spans.iter().map(|span| span["name"].as_str().unwrap()).collect()
}

/// A feed with as many entries as are set; answers its address.
async fn feed(entries: Arc<Mutex<usize>>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.66:0").await.unwrap();
    let url = format!("http://{}/feed", listener.local_addr().unwrap());
    let answer = move || {
        let item = |n: usize| json!({"id": n.to_string(), "title": format!("Siren {n}"), "content_text": "Heard."});
        let items: Vec<Value> = (0..*entries.lock().unwrap()).map(item).collect();
        let version = "https://jsonfeed.org/version/1.1";
        let text = json!({"version": version, "title": "paper", "items": items}).to_string();
        async move { ([("content-type", "application/feed+json")], text) }
    };
    let router = Router::new().fallback(any(answer));
    let serving = async move { axum::serve(listener, router).await.unwrap() };
    tokio::runtime::Handle::current().spawn(serving);
    url
}

/// Has every feed be polled at the next start.
async fn make_due(desk: &Desk) {
    let settings = EmbeddedSettings { folder: desk.path().join("data"), limits: Limits::default() };
    let bus = Embedded::open(settings).await.unwrap();
    for entry in bus.list(Bucket::Feeds, "").await.unwrap().entries {
        let mut state: Value = serde_json::from_slice(&entry.value.unwrap()).unwrap();
        state["next_poll"] = json!("2024-01-10T07:00:00.000Z");
        let value = Bytes::from(serde_json::to_vec(&state).unwrap());
        let put = Put { key: entry.key, value, expect: Some(entry.revision) };
        bus.put(Bucket::Feeds, put).await.unwrap();
    }
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_is_seen_at_the_fetch_the_match_and_the_receiver() {
    let (collector, place) = Collector::start().await;
    let desk = desk(place, "");
    let entries = Arc::new(Mutex::new(0));
    let url = feed(entries.clone()).await;
    let sources = format!("version: 1\nsources:\n  - {{id: paper, feed: '{url}'}}\n");
    std::fs::write(desk.path().join("config/sources.yaml"), sources).unwrap();
    // The first poll of a feed rings nobody.
    let mut process = desk.run();
    let receiver = Receiver::default();
    subscribe(&process.api(), &receiver.start().await);
    let of_paper = |span: &Value| attribute(span, "source.id").as_deref() == Some("paper");
    let poll = collector.named("source.poll", of_paper);
    assert_eq!(attribute(&poll, "poll.result").as_deref(), Some("fresh"));
    assert_eq!(process.stop(), Some(0), "{}", process.log());
    make_due(&desk).await;
    *entries.lock().unwrap() = 2;
    let process = desk.run();
    let hooks = receiver.wait_for(2);
    let mut polls = Vec::new();
    for hook in hooks.values().flatten() {
        let found = spans(&collector, hook);
        assert_eq!(names(&found), ["event.deliver", "article.match", "source.poll"]);
        assert!(found[2].get("parentSpanId").is_none(), "{found:?}");
        assert!(of_paper(&found[1]) && of_paper(&found[2]), "{found:?}");
        assert_eq!(attribute(&found[1], "messaging.system").as_deref(), Some("wirebell"));
        assert_eq!(attribute(&found[0], "http.response.status_code").as_deref(), Some("200"));
        assert_eq!(attribute(&found[0], "server.address").as_deref(), Some("127.0.0.1"));
        assert!(!found[0].to_string().contains("/hook"), "{found:?}");
        polls.push(found[2]["spanId"].clone());
    }
    assert_eq!(polls[0], polls[1], "one poll has found both");
    drop(process);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_goes_from_a_push_through_nats_to_the_receiver() {
    let Some(nats) = Server::start() else { return };
    let (collector, place) = Collector::start().await;
    let mut running = Running::divided(desk(place, ""), &["api", "rules", "notifier"], &nats).await;
    running.receiver.refuse(1);
    push(&running.api, "odesa", &[("traceparent", INCOMING)]);
    let hook = first(&running.receiver, 1);
    let found = spans(&collector, &hook);
    assert_eq!(names(&found), ["event.deliver", "article.match", "POST /v1/articles"]);
    assert_eq!(found[2]["traceId"], part(INCOMING, 1));
    assert_eq!(found[2]["parentSpanId"], part(INCOMING, 2));
    let kinds: Vec<u64> = found.iter().map(|span| span["kind"].as_u64().unwrap()).collect();
    assert_eq!(kinds, [3, 5, 2]);
    assert_eq!(attribute(&found[1], "messaging.system").as_deref(), Some("nats"));
    assert_eq!(attribute(&found[1], "messaging.destination.name").as_deref(), Some("articles"));
    assert_eq!(attribute(&found[2], "http.route").as_deref(), Some("/v1/articles"));
    // The try before it is a span of its own of the same trace.
    let failed = collector
        .named("event.deliver", |span| attribute(span, "error.type").as_deref() == Some("503"));
    assert_eq!(
        (&failed["traceId"], &failed["parentSpanId"]),
        (&found[0]["traceId"], &found[0]["parentSpanId"])
    );
    assert_eq!(failed["status"]["code"], 2);
    assert_ne!(failed["spanId"], found[0]["spanId"]);
    let workers: Vec<Option<String>> =
        collector.resources().iter().map(|of| attribute(of, "wirebell.worker")).collect();
    for worker in ["api", "rules", "notifier"] {
        assert!(workers.contains(&Some(worker.to_owned())), "{workers:?}");
    }
    // A sender that records nothing of its trace has decided that for all.
    let silent = INCOMING.replace("4bf9", "5bf9").replace("-01", "-00");
    push(&running.api, "lviv", &[("traceparent", &silent)]);
    let all = traceparents(&running, 2);
    let quiet = all.iter().find(|one| part(one, 1) == part(&silent, 1)).unwrap();
    assert!(quiet.ends_with("-00") && **quiet != silent, "{all:?}");
    running.stop();
    let resources = collector.resources();
    assert!(
        resources.iter().all(|of| attribute(of, "service.name").as_deref() == Some("wirebell"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_is_a_trace_of_its_own_with_a_link_to_the_first() {
    let (collector, place) = Collector::start().await;
    let running = Running::alone(desk(place, "")).await;
    push(&running.api, "odesa", &[]);
    let told = spans(&collector, &first(&running.receiver, 1));
    let replay = format!("{}/v1/subscriptions/{}/replay", running.api, running.subscription);
    let wanted = br#"{"from_sequence": 1}"#;
    let (status, said) = ask("POST", &replay, "application/json", wanted).unwrap();
    assert_eq!(status, 202, "{said}");
    let again = wait_for("the replay", || running.receiver.hooks().get(1).cloned());
    let own = collector.span(part(&traceparent(&again), 2));
    assert_ne!(own["traceId"], told[0]["traceId"]);
    assert!(own.get("parentSpanId").is_none(), "{own}");
    let link = json!([{"traceId": told[1]["traceId"], "spanId": told[1]["spanId"]}]);
    assert_eq!(own["links"], link);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_comes_later_is_given_what_waits() {
    let place = Collector::place();
    let desk = Desk::new(RULES);
    // The standard variables, as for any other program.
    let mut command = desk.command(&["run", "--listen", "127.0.0.1:0"]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{place}/"));
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hush");
    command.env("OTEL_SERVICE_NAME", "bell");
    let mut process = Process::start(command);
    let (api, receiver) = (process.api(), Receiver::default());
    wait_ready(&api);
    subscribe(&api, &receiver.start().await);
    push(&api, "odesa", &[("traceparent", INCOMING)]);
    let hook = first(&receiver, 1);
    let logged = |words: &str| process.log().contains(words).then_some(());
    wait_for("the failure in the log", || logged("Traces are not taken"));
    let (status, told) = http::ask("GET", &format!("{api}/readyz?verbose"), "", b"").unwrap();
    let told = String::from_utf8(told).unwrap();
    assert!(status == 200 && told.contains("traces"), "{status} {told}");
    let collector = Collector::default();
    collector.serve(place).await;
    assert_eq!(names(&spans(&collector, &hook))[2], "POST /v1/articles");
    wait_for("the end of it in the log", || logged("Traces are taken again"));
    wait_for("the count of spans that were taken", || {
        let (_, metrics) = http::ask("GET", &format!("{api}/metrics"), "", b"")?;
        String::from_utf8(metrics).unwrap().contains("wirebell_traces_sent_total ").then_some(())
    });
    assert!(collector.requests().iter().all(|headers| headers["authorization"] == "Bearer hush"));
    let service = attribute(&collector.resources()[0], "service.name");
    assert_eq!(service.as_deref(), Some("bell"));
    assert_eq!(process.log().matches("Traces are not taken").count(), 1, "{}", process.log());
    assert!(!process.log().contains("hush"));
    assert_eq!(process.stop(), Some(0), "{}", process.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_does_not_hold_the_stop() {
    let (collector, place) = Collector::start_hanging().await;
    let mut running = Running::alone(desk(place, "grace: 9s\n")).await;
    push(&running.api, "odesa", &[]);
    first(&running.receiver, 1);
    wait_for("a request to the collector", || (!collector.requests().is_empty()).then_some(()));
    // Whoever still ran at the end of the grace period would be named, and the code another one.
    running.stop();
}

#[test]
fn an_endpoint_that_cannot_be_called_is_refused_with_a_remedy() {
    let desk = Desk::with_settings(RULES, "traces: {endpoint: 'grpc://127.0.0.1:4317'}\n");
    let mut process = desk.run();
    assert_eq!(process.exit_code(), Some(78));
    let log = process.log();
    for part in ["wirebell.yaml:1", "traces.endpoint", "http://127.0.0.1:4318"] {
        assert!(log.contains(part), "{part} in {log}");
    }
}
