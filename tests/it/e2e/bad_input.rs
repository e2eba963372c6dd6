//! Bad input is answered with its place and its remedy.

use serde_json::Value;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::Receiver;
use crate::e2e::ask;
use crate::e2e::subscribe;
use crate::e2e::wait_ready;
use crate::support::http::send;
use crate::support::nats::Server;

fn check(desk: &Desk) -> (Option<i32>, String) {
    let done = desk.command(&["check"]).output().unwrap();
    (done.status.code(), String::from_utf8(done.stderr).unwrap())
}

fn write(desk: &Desk, name: &str, text: &str) {
    std::fs::write(desk.path().join("config").join(name), text).unwrap();
}

#[test]
fn an_unknown_key_and_a_broken_query_name_place_and_remedy() {
    let desk = Desk::new("");
    assert_eq!(check(&desk).0, Some(0), "{}", check(&desk).1);
    write(&desk, "wirebell.yaml", "egres:\n  allow: []\n");
    write(
        &desk,
        "rules.yaml",
        "version: 1\nrules:\n  - id: a\n    any: [ferry AND quay OR pier]\n",
    );
    write(&desk, "sources.yaml", "sources:\n  - id: a\n    fead: x\n");
    let (code, said) = check(&desk);
    assert_eq!(code, Some(78));
    for part in [
        "config/wirebell.yaml:1:1",
        "egress",
        "config/rules.yaml:4:26",
        "OR beside AND needs parentheses",
        "config/sources.yaml:3:5",
        "did you mean feed",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let mut run = Process::start(desk.command(&["run"]));
    assert_eq!(run.exit_code(), Some(78));
}

fn problem(answer: (u16, Value), status: u16, part: &str) {
    let (got, body) = answer;
    assert_eq!(got, status, "{body}");
    assert_eq!(body["status"], status, "{body}");
    assert!(body.to_string().contains(part), "{part} in {body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_refuses_with_problems_and_takes_what_is_good() {
    let desk = Desk::new("");
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    let json = "application/json";
    let post = |path: &str, kind: &str, body: &str| {
        ask("POST", &format!("{api}{path}"), kind, body.as_bytes()).unwrap()
    };
    problem(post("/v1/articles", "application/xml", "<a/>"), 415, "text/plain");
    let large = "x".repeat(20 << 20);
    problem(post("/v1/articles", "text/plain", &large), 413, "16 MiB");
    let (status, answer) =
        post("/v1/articles", json, r#"[{"title":"A quiet day","body":"b"},{"title":7},{}]"#);
    assert_eq!(status, 202, "{answer}");
    assert_eq!(answer["accepted"].as_array().unwrap().len(), 1, "{answer}");
    let rejected = answer["rejected"].as_array().unwrap();
    let places: Vec<u64> = rejected.iter().map(|r| r["index"].as_u64().unwrap()).collect();
    assert_eq!(places, [1, 2], "{answer}");
    let subscriptions = "/v1/subscriptions";
    problem(post(subscriptions, json, "{"), 400, "line 1");
    problem(post(subscriptions, json, r#"{"url":"https://desk.example.net/in"}"#), 422, "/topics");
    for url in ["http://10.1.2.3/in", "ftp://desk.example.net/", "not a url", "http://0x0a000102/"]
    {
        let body = format!(r#"{{"url":"{url}","topics":["*"]}}"#);
        problem(post(subscriptions, json, &body), 422, "/url");
    }
    let unknown = r#"{"url":"https://desk.example.net/in","topics":["air-raid-alrt"]}"#;
    problem(post(subscriptions, json, unknown), 422, "did you mean");
    let key = r#"{"url":"https://desk.example.net/in","topics":["*"],"topic":"x"}"#;
    problem(post(subscriptions, json, key), 422, "topic");
    problem(ask("GET", &format!("{api}/v1/alerts/alr_x"), "", b"").unwrap(), 404, "alr_x");
    problem(ask("GET", &format!("{api}/nowhere"), "", b"").unwrap(), 404, "/nowhere");
    problem(ask("PUT", &format!("{api}/v1/alerts"), "", b"").unwrap(), 405, "PUT");
    problem(ask("GET", &format!("{api}/v1/alerts?limit=x"), "", b"").unwrap(), 400, "limit");
    let address = api.strip_prefix("http://").unwrap();
    let rebound = send(address, "GET", "/v1/alerts", &[("host", "rebound.example")], b"").unwrap();
    assert_eq!(rebound.0, 421);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_can_be_changed_and_removed() {
    let desk = Desk::new("");
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    let (id, _) = subscribe(&api, &url);
    let one = format!("{api}/v1/subscriptions/{id}");
    let patch = br#"{"topics":["military-talks"],"ttl":"2h","min_severity":"warning"}"#;
    let (status, shown) = ask("PATCH", &one, "application/json", patch).unwrap();
    assert_eq!(status, 200, "{shown}");
    assert_eq!(shown["topics"], serde_json::json!(["military-talks"]));
    assert_eq!(shown["ttl"], "7200s");
    let (_, shown) = ask("PATCH", &one, "application/json", br#"{"min_severity":null}"#).unwrap();
    assert!(shown.get("min_severity").is_none(), "{shown}");
    let (_, all) = ask("GET", &format!("{api}/v1/subscriptions"), "", b"").unwrap();
    assert_eq!(all["data"].as_array().unwrap().len(), 1);
    assert_eq!(ask("DELETE", &one, "", b"").unwrap().0, 204);
    problem(ask("GET", &one, "", b"").unwrap(), 404, &id);
}

#[test]
fn a_second_process_on_one_folder_and_a_taken_port_are_said() {
    let desk = Desk::new("");
    let first = desk.run();
    let api = first.api();
    let mut second = Process::start(desk.command(&["run", "--listen", "127.0.0.1:0"]));
    assert_eq!(second.exit_code(), Some(1));
    assert!(second.log().contains("data"), "{}", second.log());
    let address = api.strip_prefix("http://").unwrap();
    let other = Desk::new("");
    let mut taken = Process::start(other.command(&["run", "--listen", address]));
    assert_eq!(taken.exit_code(), Some(1));
    assert!(taken.log().contains(address) && taken.log().contains("--listen"), "{}", taken.log());
    let mut open = Process::start(other.command(&["run", "--listen", "0.0.0.0:0"]));
    assert_eq!(open.exit_code(), Some(78));
    assert!(open.log().contains("--open"), "{}", open.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_at_start_and_later_is_waited_for() {
    let Some(mut nats) = Server::prepare("") else { return };
    let desk = Desk::new(crate::e2e::RULES);
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let kinds = ["api", "rules", "notifier"];
    let workers: Vec<Process> = kinds.iter().map(|which| desk.worker(which, &nats.url())).collect();
    let api = workers[0].api();
    let refused = ask("POST", &format!("{api}/v1/articles"), "text/plain", b"Nobody takes this");
    assert_eq!(refused.map(|(status, _)| status), Some(503));
    nats.run();
    wait_ready(&api);
    crate::e2e::flow::leases_taken(&workers[1]);
    subscribe(&api, &url);
    nats.kill();
    nats.run();
    crate::e2e::flow::push_all(|| api.clone(), &crate::e2e::flow::load(3, 3), 3);
    assert_eq!(receiver.wait_for(3).len(), 3);
}
