//! What passes, as lists and as it is written; rules tried through the API.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Lines;
use std::io::Write;
use std::net::TcpStream;
use std::process::Child;
use std::process::ChildStdout;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::e2e::flow::push_all;
use crate::support::nats::Server;
use crate::support::running::Running;

fn article(n: usize) -> Value {
    json!({"title": format!("Siren {n}"), "body": "Heard at noon.", "id": n.to_string(),
        "source": format!("paper-{n}")})
}

/// A client that listens.
pub(crate) struct Ear(Lines<BufReader<TcpStream>>);

/// What it heard: id, type and data.
pub(crate) type Heard = (String, String, Value);

impl Ear {
    pub(crate) fn open(running: &Running, path: &str, last: Option<u64>) -> Self {
        let address = running.api.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let last = last.map(|last| format!("last-event-id: {last}\r\n")).unwrap_or_default();
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n{last}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines();
        // Whoever has heard when to come again hears all that follows.
        lines.find(|line| line.as_ref().unwrap().starts_with("retry: ")).unwrap().unwrap();
        Self(lines)
    }

    /// The next that is told; none where the stream ends.
    pub(crate) fn next(&mut self) -> Option<Heard> {
        let mut heard = Heard::default();
        for line in self.0.by_ref() {
            let Ok(line) = line else { return None };
            match line.split_once(": ") {
                Some(("id", id)) => heard.0 = id.to_owned(),
                Some(("event", kind)) => heard.1 = kind.to_owned(),
                Some(("data", data)) => heard.2 = serde_json::from_str(data).unwrap(),
                _ if line.is_empty() && !heard.1.is_empty() => return Some(heard),
                _ => {}
            }
        }
        None
    }
}

async fn is_heard_at_once_and_nothing_is_missed(mut running: Running) {
    let mut ear = Ear::open(&running, "/v1/events", None);
    let api = running.api.clone();
    push_all(|| api.clone(), &[article(1)], 1);
    let (first, kind, body) = ear.next().unwrap();
    assert_eq!((kind.as_str(), &body["type"]), ("alert.opened", &json!("alert.opened")));
    assert_eq!(body["position"].to_string(), first);
    let alert = body["data"]["alert"]["id"].as_str().unwrap();
    assert!(body["data"]["links"]["alert"].as_str().unwrap().ends_with(alert), "{body}");
    // Who was away hears what was missed.
    drop(ear);
    push_all(|| api.clone(), &[article(2), article(3)], 1);
    let mut again = Ear::open(&running, "/v1/events", Some(first.parse().unwrap()));
    let missed: Vec<Value> = (0..2).map(|_| again.next().unwrap().2).collect();
    let all = running.get("/v1/events");
    assert_eq!(all["data"].as_array().unwrap().get(1..).unwrap(), missed);
    let page = running.get("/v1/events?limit=2");
    assert_eq!(page["next_cursor"], missed[0]["position"].to_string());
    let rest = running.get(&format!("/v1/events?after={}", missed[0]["position"]));
    assert_eq!((&rest["data"], &rest["next_cursor"]), (&json!([missed[1]]), &json!(null)));
    assert_eq!(running.get("/v1/events?topic=other")["data"], json!([]));
    let (status, problem) = ask("GET", &format!("{api}/v1/events?after=x"), "", b"").unwrap();
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("?after")));
    // A listener does not hold up the end of the process.
    running.stop();
    assert!(again.next().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_heard_at_once_and_nothing_is_missed_on_the_embedded_store() {
    is_heard_at_once_and_nothing_is_missed(Running::alone(Desk::new(RULES)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_heard_at_once_and_nothing_is_missed_on_nats() {
    let Some(server) = Server::start() else { return };
    let running = Running::divided(Desk::new(RULES), &["api", "rules"], &server).await;
    is_heard_at_once_and_nothing_is_missed(running).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn articles_are_listed_the_newest_first_and_by_source() {
    let running = Running::alone(Desk::new(RULES)).await;
    let api = running.api.clone();
    let articles: Vec<Value> = (1..=5).map(article).collect();
    push_all(|| api.clone(), &articles, 1);
    let titles = |page: &Value| -> Vec<String> {
        let all = page["data"].as_array().unwrap().iter();
        all.map(|one| one["title"].as_str().unwrap().to_owned()).collect()
    };
    let first = running.get("/v1/articles?limit=3");
    assert_eq!(titles(&first), ["Siren 5", "Siren 4", "Siren 3"]);
    assert_eq!(first["data"][0]["excerpt"], "Heard at noon.");
    assert!(first["data"][0].get("body").is_none());
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = running.get(&format!("/v1/articles?limit=3&cursor={cursor}"));
    assert_eq!(
        (titles(&rest), &rest["next_cursor"]),
        (vec!["Siren 2".into(), "Siren 1".into()], &json!(null))
    );
    assert_eq!(titles(&running.get("/v1/articles?source=paper-4")), ["Siren 4"]);
}

/// A command that watches, and its lines.
struct Tap(Child, Lines<BufReader<ChildStdout>>);

impl Tap {
    fn start(running: &Running, args: &[&str]) -> Self {
        let mut command = running.desk.command(&["tap"]);
        command.args(args).args(["--after", "0", "--api", &running.api]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self(child, lines)
    }

    fn next(&mut self) -> String {
        self.1.next().unwrap().unwrap()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_shows_articles_events_and_attempts_as_they_pass() {
    let running = Running::alone(Desk::new(RULES)).await;
    let api = running.api.clone();
    push_all(|| api.clone(), &[article(1)], 1);
    running.receiver.wait_for(1);
    let line = Tap::start(&running, &["articles"]).next();
    assert!(line.ends_with("paper-1  Siren 1"), "{line}");
    let line = Tap::start(&running, &["events"]).next();
    assert!(line.contains("alert.opened") && line.contains("siren (paper-1)"), "{line}");
    let line = Tap::start(&running, &["attempts", "--output", "json"]).next();
    let attempt: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&attempt["outcome"], &attempt["status"]), (&json!("delivered"), &json!(200)));
    let nobody = running.desk.command(&["tap", "events", "--api", "http://127.0.0.1:1"]).output();
    assert_eq!(nobody.unwrap().status.code(), Some(75));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_tried_on_a_text_with_what_nearly_matched() {
    let rules = "version: 1\nrules:\n  - {id: siren, any: [siren], unless: [film]}\n  - {id: flood, all: [[flood], [river]]}\n";
    let running = Running::alone(Desk::new(rules)).await;
    let listed = running.get("/v1/rules");
    let ids: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|r| &r["id"]).collect();
    assert_eq!(ids, ["siren", "flood"]);
    let attempt = |body: Value| {
        let url = format!("{}/v1/rules/try", running.api);
        ask("POST", &url, "application/json", body.to_string().as_bytes()).unwrap()
    };
    let text = json!({"title": "A siren, and a flood"});
    let (status, said) = attempt(json!({"article": text}));
    assert_eq!((status, &said["ruleset"]), (200, &listed["ruleset"]), "{said}");
    assert_eq!(said["matches"][0]["rule"], "siren");
    assert_eq!(said["matches"][0]["evidence"][0]["text"], "siren");
    assert_eq!(said["near_misses"][0]["rule"], "flood");
    assert!(said["near_misses"][0]["reason"].as_str().unwrap().contains("all[1]"), "{said}");
    let draft = "version: 1\nrules: [{id: draft, any: [flood]}]";
    let (_, said) = attempt(json!({"rules": draft, "article": text}));
    assert_eq!(said["matches"][0]["rule"], "draft");
    let (_, said) = attempt(json!({"query": "siren NEAR/5 flood", "article": text}));
    assert_eq!(said["evidence"][0]["text"], "siren, and a flood", "{said}");
    for (body, pointer) in [
        (json!({"rules": "version: 1\nrules: [{id: a, anny: [b]}]", "article": text}), "/rules"),
        (json!({"query": "(siren", "article": text}), "/query"),
        (json!({"query": "a", "rules": draft, "article": text}), "/query"),
        (json!({"article": {"title": ""}}), "/article/title"),
    ] {
        let (status, problem) = attempt(body.clone());
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (422, &json!(pointer)),
            "{body} {problem}"
        );
    }
}
