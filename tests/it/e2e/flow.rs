//! From an article to a webhook.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::Hook;
use crate::e2e::Process;
use crate::e2e::RULES;
use crate::e2e::Receiver;
use crate::e2e::ask;
use crate::support::nats::Server;
use crate::support::running::Running;

const ARTICLE: &str = "date 2024-01-10 Military talks resume as island goes on alert

Marland and Osterby resumed military talks on Wednesday, nine months after they broke off.

An island-wide air raid alert was issued in the afternoon. It was lifted \u{1F6A2} an hour later \
in every \u{6e2f}\u{53e3}.
";

/// What does not depend on the subscription and on the moment.
fn essence(hook: &Hook) -> Value {
    let mut body = hook.json();
    let mut timeless = |pointer: &str| *body.pointer_mut(pointer).unwrap() = Value::Null;
    for pointer in [
        "/timestamp",
        "/data/event/subscription",
        "/data/event/sequence",
        "/data/alert/opened_at",
        "/data/alert/updated_at",
        "/data/links",
    ] {
        timeless(pointer);
    }
    for article in body["data"]["articles"].as_array_mut().unwrap() {
        article["first_seen_at"] = Value::Null;
    }
    body
}

fn slice(text: &str, from: &Value, to: &Value) -> String {
    let (from, to) = (from.as_u64().unwrap() as usize, to.as_u64().unwrap() as usize);
    text.chars().skip(from).take(to - from).collect()
}

/// Pushes the article with the command, and checks what comes.
fn ring(running: &Running) -> Vec<Value> {
    let Running { desk, receiver, api, secret, .. } = running;
    let file = desk.path().join("article.txt");
    std::fs::write(&file, ARTICLE).unwrap();
    let pushed = desk
        .command(&["push", "--as-new", "--api", api, "--output", "json"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    let said: Value = serde_json::from_slice(&pushed.stdout).unwrap();
    assert_eq!(said["status"], "new");
    assert_eq!(said["decisions"].as_array().unwrap().len(), 2, "{said}");
    let hooks = receiver.wait_for(2);
    let id = said["id"].as_str().unwrap();
    let (_, article) = ask("GET", &format!("{api}/v1/articles/{id}"), "", b"").unwrap();
    let mut all = Vec::new();
    for hook in hooks.values().flatten() {
        hook.verify(secret);
        let body = hook.json();
        assert_eq!(body["type"], "alert.opened");
        let evidence = body["data"]["articles"][0]["evidence"].as_array().unwrap().clone();
        assert!(!evidence.is_empty());
        for one in evidence {
            let text = article[one["field"].as_str().unwrap()].as_str().unwrap();
            assert_eq!(slice(text, &one["start"], &one["end"]), one["text"].as_str().unwrap());
        }
        all.push(essence(hook));
    }
    all.sort_by_key(|body| body["data"]["alert"]["topic"].as_str().unwrap().to_owned());
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_article_rings_the_same_through_one_process_and_through_four_workers() {
    let mut one = Running::alone(Desk::new("")).await;
    let alone = ring(&one);
    let topics: Vec<&str> =
        alone.iter().map(|b| b["data"]["alert"]["topic"].as_str().unwrap()).collect();
    assert_eq!(topics, ["air-raid-alert", "military-talks"]);
    one.stop();

    let Some(nats) = Server::start() else { return };
    let kinds = ["api", "ingest", "rules", "notifier"];
    let mut four = Running::divided(Desk::new(""), &kinds, &nats).await;
    let divided = ring(&four);
    assert_eq!(alone, divided);
    four.stop();
}

/// A first-ever cursor starts at the end of the log: what is pushed before rings nobody.
pub(crate) fn leases_taken(rules: &Process) {
    crate::e2e::wait_for("the rules worker's leases", || {
        rules.log().contains("Rules shards taken").then_some(())
    });
}

/// 2,000 articles, 300 of them ringing: three of each of a hundred sources.
pub(crate) fn load(count: usize, ringing: usize) -> Vec<Value> {
    let every = count / ringing;
    (0..count)
        .map(|n| {
            let rings = n % every == 0 && n / every < ringing;
            let word = if rings { "siren" } else { "market" };
            json!({
                "id": format!("a{n}"),
                "title": format!("The {word} of day {n}"),
                "body": "Nothing else was heard in the town that day. ".repeat(10),
                "source": format!("paper-{}", (n / every) % (ringing / 3)),
            })
        })
        .collect()
}

/// Pushes in order, in small parts; a part that was not answered is pushed again.
pub(crate) fn push_all(api: impl Fn() -> String, articles: &[Value], part: usize) {
    for group in articles.chunks(part) {
        let lines: Vec<String> = group.iter().map(Value::to_string).collect();
        let body = lines.join("\n");
        crate::e2e::wait_for("an accepted push", || {
            let url = format!("{}/v1/articles?as_new=true", api());
            let answer = ask("POST", &url, "application/x-ndjson", body.as_bytes());
            answer.filter(|(status, _)| *status == 202)
        });
    }
}

/// Alert events by id, as `(event id, number, type)`.
pub(crate) fn events(receiver: &Receiver, count: usize) -> BTreeSet<(String, u64, String)> {
    let hooks = receiver.wait_for(count);
    hooks
        .values()
        .map(|repeats| {
            let first = &repeats[0];
            for repeat in repeats {
                let differs = repeat.json()["data"]["event"]["late"].as_bool() != Some(false);
                assert!(differs || repeat.body == first.body, "a repeat has other bytes");
            }
            let body = first.json();
            let event = &body["data"]["event"];
            let text = |v: &Value| v.as_str().unwrap().to_owned();
            (text(&event["id"]), event["number"].as_u64().unwrap(), text(&body["type"]))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_of_each_kind_decide_what_one_process_decides() {
    let _alone = crate::e2e::HEAVY.lock().await;
    let articles = load(2_000, 300);
    let one = Running::alone(Desk::new(RULES)).await;
    push_all(|| one.api.clone(), &articles, 50);
    let alone = events(&one.receiver, 300);
    drop(one);

    let Some(nats) = Server::start() else { return };
    let kinds = ["api", "rules", "rules", "notifier", "notifier"];
    let many = Running::divided(Desk::new(RULES), &kinds, &nats).await;
    push_all(|| many.api.clone(), &articles, 50);
    let divided = events(&many.receiver, 300);
    assert_eq!(alone, divided);
    let sequences: Vec<u64> = many
        .receiver
        .hooks()
        .iter()
        .map(|h| h.json()["data"]["event"]["sequence"].as_u64().unwrap())
        .collect();
    assert_eq!(sequences, (1..=300).collect::<Vec<u64>>(), "in order, without gaps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_gets_the_same_webhook_again_and_the_ping_works() {
    let running = Running::alone(Desk::new(RULES)).await;
    let Running { receiver, api, subscription: id, secret, .. } = &running;
    let (status, _) =
        ask("POST", &format!("{api}/v1/subscriptions/{id}/test"), "application/json", b"{}")
            .unwrap();
    assert_eq!(status, 202);
    let ping = receiver.wait_for(1);
    let ping = &ping.values().next().unwrap()[0];
    ping.verify(secret);
    assert_eq!(ping.json()["type"], "test.ping");
    receiver.refuse(1);
    push_all(|| api.clone(), &load(3, 3), 3);
    let hooks = receiver.wait_for(4);
    hooks.values().flatten().for_each(|hook| hook.verify(secret));
    let (_, shown) = ask("GET", &format!("{api}/v1/subscriptions/{id}"), "", b"").unwrap();
    assert_eq!(shown["topics"], json!(["*"]));
    assert!(shown.get("secret").is_none() && !shown.to_string().contains("whsec_"));
}

#[test]
fn the_demonstration_ends_after_its_last_expected_webhook() {
    let nowhere = tempfile::tempdir().unwrap();
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_wirebell"))
        .args(["demo", "--once"])
        .current_dir(nowhere.path())
        .output()
        .unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    for part in [
        "http://127.0.0.1:",
        "verified test.ping",
        "verified alert.opened",
        "verified alert.retracted",
        "verified alert.ended",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_ends_and_takes_back_with_a_reason_that_is_told() {
    let running = Running::alone(Desk::new(RULES)).await;
    let Running { desk, receiver, api, .. } = &running;
    let body = json!({"title": "A siren", "body": "x"}).to_string();
    let articles = format!("{api}/v1/articles");
    ask("POST", &articles, "application/json", body.as_bytes()).unwrap();
    let opened = receiver.wait_for(1).into_values().next().unwrap().remove(0).json();
    let alert = opened["data"]["alert"]["id"].as_str().unwrap();
    let decide = |what: &str, reason: &str| {
        let args = ["alerts", what, alert, "--reason", reason, "--by", "night desk", "--api", api];
        let done = desk.command(&args).output().unwrap();
        (done.status.code(), String::from_utf8(done.stderr).unwrap())
    };
    assert_eq!(decide("end", "a siren of a factory").0, Some(0));
    receiver.wait_for(2);
    let (code, said) = decide("end", "once more");
    assert_eq!(code, Some(1));
    assert!(said.contains("closed already; retract it"), "{said}");
    assert_eq!(decide("retract", "it was a horn").0, Some(0));
    let mut told: Vec<Value> =
        receiver.wait_for(3).into_values().flatten().map(|hook| hook.json()).collect();
    told.sort_by_key(|b| b["data"]["event"]["sequence"].as_u64());
    let said: Vec<(&str, &Value)> =
        told.iter().map(|b| (b["type"].as_str().unwrap(), &b["data"]["reason"])).collect();
    assert_eq!(
        said,
        [
            ("alert.opened", &Value::Null),
            ("alert.ended", &json!("a siren of a factory")),
            ("alert.retracted", &json!("it was a horn")),
        ]
    );
    let empty = json!({"reason": " "}).to_string();
    let path = format!("{api}/v1/alerts/{alert}/retract");
    let (status, problem) = ask("POST", &path, "application/json", empty.as_bytes()).unwrap();
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/reason")));
}
