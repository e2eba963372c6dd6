//! Versions of what is shown, and changes that are meant for one of them.

use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::RULES;
use crate::e2e::subscribe;
use crate::e2e::wait_for;
use crate::support::http::exchange;
use crate::support::nats::Server;
use crate::support::running::Running;

const JSON: (&str, &str) = ("content-type", "application/json");

struct Answer {
    status: u16,
    tag: String,
    body: Value,
    length: usize,
}

fn send(
    running: &Running,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let address = running.api.strip_prefix("http://").unwrap();
    let headers = [&[("host", address), JSON], headers].concat();
    let (status, head, body) =
        exchange(address, method, path, &headers, body.as_bytes()).expect("an answer");
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap_or_default();
    let length = body.len();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Answer { status, tag: tag.to_owned(), body, length }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_meets_only_the_version_that_it_is_meant_for() {
    two_clients(&Running::alone(Desk::new(RULES)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_on_nats_meets_only_the_version_that_it_is_meant_for() {
    let Some(nats) = Server::start() else { return };
    two_clients(&Running::divided(Desk::new(RULES), &["api", "notifier"], &nats).await);
}

/// Two who look at the same version: one of them changes it, the other one is told.
fn two_clients(running: &Running) {
    let path = format!("/v1/subscriptions/{}", running.subscription);
    let looked = send(running, "GET", &path, &[], "");
    assert!(looked.tag.starts_with('"') && looked.tag.ends_with('"'), "{}", looked.tag);
    let meant = [("if-match", looked.tag.as_str())];
    let first = send(running, "PATCH", &path, &meant, r#"{"description": "the first"}"#);
    assert_eq!(first.status, 200, "{}", first.body);
    assert_ne!(first.tag, looked.tag);
    let second = send(running, "PATCH", &path, &meant, r#"{"description": "the second"}"#);
    assert_eq!(second.status, 412, "{}", second.body);
    assert_eq!(send(running, "DELETE", &path, &meant, "").status, 412);
    assert_eq!(send(running, "GET", &path, &[], "").body["description"], "the first");
    for (tag, status) in
        [("*", 200), (first.tag.as_str(), 412), ("\"other\"", 412), ("garbage", 412)]
    {
        let body = json!({"description": tag}).to_string();
        let told = send(running, "PATCH", &path, &[("if-match", tag)], &body);
        assert_eq!(told.status, status, "{tag}: {}", told.body);
    }
    assert_eq!(send(running, "PATCH", &path, &[], "{}").status, 200);
    let now = send(running, "GET", &path, &[], "");
    let gone = send(running, "DELETE", &path, &[("if-match", now.tag.as_str())], "");
    assert_eq!(gone.status, 204, "{}", gone.body);
    assert_eq!(send(running, "GET", &path, &[], "").status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_notifier_does_changes_what_is_shown_and_refuses_nobody() {
    let running = Running::alone(Desk::new(RULES)).await;
    let (id, _) = subscribe(&running.api, "http://127.0.0.9:9000/");
    let path = format!("/v1/subscriptions/{id}");
    let test = send(&running, "POST", &format!("{path}/test"), &[], "");
    assert_eq!(test.status, 202, "{}", test.body);
    let asked = send(&running, "GET", &path, &[], "");
    // The notifier carries it out and writes that into its own record.
    let done = wait_for("the test to be carried out", || {
        let shown = send(&running, "GET", &path, &[], "");
        (shown.body["requested"] == json!([])).then_some(shown)
    });
    if asked.body["requested"] != json!([]) {
        assert_ne!(asked.tag, done.tag);
        let known = [("if-none-match", asked.tag.as_str())];
        assert_eq!(send(&running, "GET", &path, &known, "").status, 200);
    }
    let meant = [("if-match", asked.tag.as_str())];
    let changed = send(&running, "PATCH", &path, &meant, r#"{"description": "x"}"#);
    assert_eq!(changed.status, 200, "{}", changed.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_newest_version_is_told_so_without_a_body() {
    let running = Running::alone(Desk::new(RULES)).await;
    let article = r#"{"title": "A quiet day", "body": "x"}"#;
    let pushed = send(&running, "POST", "/v1/articles", &[], article);
    let article = format!("/v1/articles/{}", pushed.body["accepted"][0]["id"].as_str().unwrap());
    let subscription = format!("/v1/subscriptions/{}", running.subscription);
    // Nothing happens to it once the notifier has begun its record.
    wait_for("the notifier's record", || {
        let shown = send(&running, "GET", &subscription, &[], "").body;
        (!shown["delivery"].is_null()).then_some(())
    });
    for path in ["/openapi.json", "/docs", "/assets/docs.css", "/v1/rules", &article, &subscription]
    {
        let shown = send(&running, "GET", path, &[], "");
        assert_eq!(shown.status, 200, "{path}");
        let weak = format!("\"x\", W/{}", shown.tag);
        for (known, status) in [(shown.tag.as_str(), 304), (&weak, 304), ("\"x\"", 200), ("*", 304)]
        {
            let told = send(&running, "GET", path, &[("if-none-match", known)], "");
            assert_eq!((told.status, told.length == 0), (status, status == 304), "{path} {known}");
            assert_eq!(told.tag, shown.tag, "{path} {known}");
        }
    }
    let zips = ("accept-encoding", "gzip");
    let zipped = send(&running, "GET", "/openapi.json", &[zips], "");
    assert!(zipped.tag.ends_with("-gz\""), "{}", zipped.tag);
    let known = [zips, ("if-none-match", zipped.tag.as_str())];
    assert_eq!(send(&running, "GET", "/openapi.json", &known, "").status, 304);
}
