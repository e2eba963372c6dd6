//! One trace from the article to the webhook.

use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::RULES;
use crate::support::http;
use crate::support::nats::Server;
use crate::support::running::Running;

const INCOMING: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Pushes one article of a source with these headers.
fn push(api: &str, source: &str, headers: &[(&str, &str)]) {
    let address = api.strip_prefix("http://").unwrap();
    let article = json!({"title": "A siren", "body": "", "source": source, "id": source}).to_string();
    let mut all = vec![("host", address), ("content-type", "application/json")];
    all.extend(headers);
    let path = "/v1/articles?as_new=true";
    let (status, body) = http::send(address, "POST", path, &all, article.as_bytes()).unwrap();
    assert_eq!(status, 202, "{}", String::from_utf8_lossy(&body));
}

fn traceparents(running: &Running, count: usize) -> Vec<String> {
    let hooks = running.receiver.wait_for(count);
    let header = |hook: &crate::e2e::Hook| hook.headers["traceparent"].to_str().unwrap().to_owned();
    hooks.values().flatten().map(header).collect()
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
