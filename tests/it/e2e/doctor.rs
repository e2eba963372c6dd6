//! What the doctor finds.

use axum::Router;
use axum::http::StatusCode;
use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::e2e::flow::push_all;
use crate::e2e::wait_for;
use crate::support::running::Running;

fn findings(desk: &Desk) -> Vec<Value> {
    let done = desk.command(&["doctor", "--output", "json"]).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn one<'f>(all: &'f [Value], what: &str) -> &'f Value {
    all.iter().find(|one| one["what"] == what).unwrap_or_else(|| panic!("no {what} in {all:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feeds_and_endpoints_in_trouble_are_named_with_what_to_do() {
    let desk = Desk::new(RULES);
    let sources = "sources:\n  - {id: lost, feed: 'http://lost.invalid/rss'}\n  \
                   - {id: inner, feed: 'http://10.1.2.3/rss'}\n";
    std::fs::write(desk.path().join("config/sources.yaml"), sources).unwrap();
    let mut running = Running::alone(desk).await;
    let gone = Router::new().fallback(|| async { StatusCode::GONE });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("http://{}/", listener.local_addr().unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, gone).await.unwrap() });
    let url = format!("{}/v1/subscriptions", running.api);
    let wanted = json!({"url": hook, "topics": ["*"]}).to_string();
    let (_, made) = ask("POST", &url, "application/json", wanted.as_bytes()).unwrap();
    let id = made["id"].as_str().unwrap().to_owned();
    let api = running.api.clone();
    push_all(|| api.clone(), &[json!({"title": "Siren", "body": ""})], 1);
    wait_for("a pause", || {
        let all = running.get(&format!("/v1/subscriptions/{id}"));
        (all["delivery"]["state"] == "paused").then_some(())
    });
    running.stop();
    let all = findings(&running.desk);
    assert_eq!(one(&all, "rules")["level"], "good");
    assert_eq!(one(&all, "disk")["what"], "disk");
    let endpoints = one(&all, "endpoints");
    assert_eq!(endpoints["level"], "warning", "{endpoints}");
    assert!(endpoints["detail"].as_str().unwrap().contains(&id), "{endpoints}");
    assert!(endpoints["remedy"].as_str().unwrap().contains("resume"), "{endpoints}");
    let dns = one(&all, "dns");
    assert!(dns["detail"].as_str().unwrap().contains("lost.invalid"), "{dns}");
    let egress = one(&all, "egress");
    assert!(egress["detail"].as_str().unwrap().contains("10.1.2.3"), "{egress}");
    assert!(egress["remedy"].as_str().unwrap().contains("egress.allow"), "{egress}");
    assert_eq!(one(&all, "feeds")["what"], "feeds");
}
