//! The past explained: why an alert is, why an article rang nobody.

use std::process::Output;

use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::Receiver;
use crate::e2e::ask;
use crate::e2e::flow::leases_taken;
use crate::e2e::subscribe;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::nats::Server;

const RULES: &str = "version: 1
rules:
  - {id: siren, topic: sirens, any: [sirens, air raid], unless: [drill], key: none, update_every: 1h,
     confirm: {distinct_sources: 2, within: 1h, severity: critical}}
  - {id: clear, ends: siren, any: [all clear]}
  - {id: quiet, any: [whisper], key: none, mode: shadow}
  - {id: gale, any: [storm], all: [warning, coast], key: none}
";

const STORY: &str = "Sirens sound over the harbour of the old town tonight while people run to the \
                     shelters and the ferries wait at the quay for the end of it all";

/// Pushes an article; answers its id once every rule has read it.
fn push(api: &str, article: &Value) -> String {
    let body = article.to_string();
    let url = format!("{api}/v1/articles");
    let (status, said) = ask("POST", &url, "application/json", body.as_bytes()).unwrap();
    assert_eq!(status, 202, "{said}");
    let id = said["accepted"][0]["id"].as_str().unwrap().to_owned();
    wait_for("the rules to read it", || {
        let url = format!("{api}/v1/articles/{id}?explain=true");
        let (_, article) = ask("GET", &url, "", b"")?;
        (article["explained"] == true).then_some(())
    });
    id
}

/// Runs the command against the API; answers what it prints.
fn wirebell(desk: &Desk, api: &str, args: &[&str]) -> Output {
    desk.command(args).args(["--api", api]).output().unwrap()
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn get(url: &str) -> Value {
    let (status, answer) = ask("GET", url, "", b"").unwrap();
    assert_eq!(status, 200, "{answer}");
    answer
}

/// What an article was to the alert: effect, whether it counts, what it copies.
fn seen<'v>(why: &'v Value, id: &str) -> &'v Value {
    let articles = why["articles"].as_array().unwrap();
    articles.iter().find(|a| a["id"] == id).unwrap_or_else(|| panic!("no {id} in {why}"))
}

/// An alert that opens, is confirmed, gathers and ends; answers its id and the articles' ids.
fn live(api: &str) -> (String, Vec<String>) {
    let first = push(api, &json!({"title": "Sirens", "body": STORY, "source": "skylark"}));
    let late = push(
        api,
        &json!({"title": "Sirens last year", "body": "x", "source": "skylark",
                "published_at": "2020-01-01T00:00:00Z"}),
    );
    let copy = push(api, &json!({"title": "Sirens", "body": STORY, "source": "copycat"}));
    let other = push(api, &json!({"title": "An air raid is on", "body": "x", "source": "harbour"}));
    let more = push(api, &json!({"title": "More sirens", "body": "x", "source": "skylark"}));
    let end =
        push(api, &json!({"title": "All clear after sirens", "body": "x", "source": "harbour"}));
    let alert = wait_for("the end", || {
        let alerts = get(&format!("{api}/v1/alerts?status=ended"));
        alerts["data"][0]["id"].as_str().map(str::to_owned)
    });
    (alert, vec![first, late, copy, other, more, end])
}

fn check_why(why: &Value, ids: &[String], subscription: &str) {
    let kinds: Vec<&str> =
        why["events"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["alert.opened", "alert.confirmed", "alert.ended"], "{why}");
    assert_eq!(why["events"][1]["severity"], "critical");
    assert_eq!(why["events"][1]["confirmation"], "confirmed");
    for (id, effect, counted) in [
        (&ids[0], json!({"event": "alert.opened"}), true),
        (&ids[1], json!("late"), false),
        (&ids[2], json!("joined"), true),
        (&ids[3], json!({"event": "alert.confirmed"}), true),
        (&ids[4], json!("joined"), true),
        (&ids[5], json!({"event": "alert.ended"}), false),
    ] {
        let article = seen(why, id);
        assert_eq!((&article["effect"], &article["counted"]), (&effect, &json!(counted)), "{why}");
    }
    assert_eq!(seen(why, &ids[0])["matches"][0]["evidence"][0]["text"], "Sirens");
    assert_eq!(seen(why, &ids[2])["copy_of"], json!(ids[0]));
    assert_eq!(seen(why, &ids[4])["same_source_as"], json!(ids[0]));
    let ended = &seen(why, &ids[5])["matches"];
    assert_eq!((&ended[0]["rule"], &ended[0]["superseded_by"]), (&json!("siren"), &json!("clear")));
    assert_eq!(why["sources"].as_array().unwrap().len(), 2, "{why}");
    let delivery = &why["deliveries"][0];
    assert_eq!(delivery["subscription"], subscription);
    for event in delivery["events"].as_array().unwrap() {
        assert_eq!(event["state"], "settled", "{why}");
        assert_eq!(event["attempts"][0]["outcome"], "delivered", "{why}");
    }
}

/// Attempts are logged off the hot path: they come a moment after the webhook.
fn settled_why(api: &str, alert: &str) -> Value {
    wait_for("the attempts", || {
        let why = get(&format!("{api}/v1/alerts/{alert}/why"));
        let events = why["deliveries"][0]["events"].as_array()?;
        let told = |e: &Value| e["state"] == "settled" && e["attempts"][0].is_object();
        (events.len() == 3 && events.iter().all(told)).then_some(why.clone())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_tells_the_same_before_and_after_a_restart_with_other_rules() {
    let desk = Desk::new(RULES);
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let mut process = desk.run();
    let api = process.api();
    wait_ready(&api);
    let (subscription, _) = subscribe(&api, &url);
    let (alert, ids) = live(&api);
    receiver.wait_for(3);
    let before = settled_why(&api, &alert);
    check_why(&before, &ids, &subscription);
    assert_eq!(process.stop(), Some(0), "{}", process.log());

    let other = "version: 1\nrules:\n  - {id: bell, any: [bell]}\n";
    std::fs::write(desk.path().join("config/rules.yaml"), other).unwrap();
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    assert_eq!(settled_why(&api, &alert), before);
    let text = printed(&wirebell(&desk, &api, &["why", &alert]));
    for words in [
        "#2   alert.confirmed  critical confirmed, 2 independent",
        "joined     copycat: Sirens",
        "title \"Sirens\" by any[0]",
        "siren, superseded by clear",
        "1. copycat, skylark: 3 articles, 1 of them copied",
        "delivered 200",
    ] {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
    if std::env::var_os("WIREBELL_SHOW").is_some() {
        println!("{text}");
    }
    let unknown = wirebell(&desk, &api, &["why", "alr_none"]);
    assert_eq!(unknown.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_reads_the_same_from_nats() {
    let Some(nats) = Server::start() else { return };
    let desk = Desk::new(RULES);
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let workers: Vec<Process> =
        ["api", "rules", "notifier"].iter().map(|w| desk.worker(w, &nats.url())).collect();
    let api = workers[0].api();
    wait_ready(&api);
    leases_taken(&workers[1]);
    let (subscription, _) = subscribe(&api, &url);
    let (alert, ids) = live(&api);
    receiver.wait_for(3);
    check_why(&settled_why(&api, &alert), &ids, &subscription);
}
