//! The past explained: why an alert is, why an article rang nobody.

use std::io::Read;
use std::io::Write;
use std::process::Output;

use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::Receiver;
use crate::e2e::ask;
use crate::e2e::flow::leases_taken;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::nats::Server;
use crate::support::running::Running;

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
    let mut running = Running::alone(Desk::new(RULES)).await;
    let Running { desk, receiver, api, subscription, .. } = &running;
    let (alert, ids) = live(api);
    receiver.wait_for(3);
    let before = settled_why(api, &alert);
    check_why(&before, &ids, subscription);

    let other = "version: 1\nrules:\n  - {id: bell, any: [bell]}\n";
    std::fs::write(desk.path().join("config/rules.yaml"), other).unwrap();
    running.stop();
    let desk = &running.desk;
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    assert_eq!(settled_why(&api, &alert), before);
    let text = printed(&wirebell(desk, &api, &["why", &alert]));
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
    let unknown = wirebell(desk, &api, &["why", "alr_none"]);
    assert_eq!(unknown.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_reads_the_same_from_nats() {
    let Some(nats) = Server::start() else { return };
    let kinds = ["api", "rules", "notifier"];
    let running = Running::divided(Desk::new(RULES), &kinds, &nats).await;
    let Running { receiver, api, subscription, .. } = &running;
    let (alert, ids) = live(api);
    receiver.wait_for(3);
    check_why(&settled_why(api, &alert), &ids, subscription);
}

/// Subscribes to what `wanted` says; answers the id.
fn subscribe_to(api: &str, url: &str, wanted: &Value) -> String {
    let mut body = wanted.clone();
    body["url"] = json!(url);
    let path = format!("{api}/v1/subscriptions");
    let body = body.to_string();
    let (status, made) = ask("POST", &path, "application/json", body.as_bytes()).unwrap();
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

/// The stage and the sentence, by the API and by the command, once both say the same and what is
/// written a moment later (a cursor, an attempt) is there.
fn why_not(desk: &Desk, api: &str, article: &str, subscription: &str) -> (String, String) {
    let args = ["why-not", "--article", article, "--subscription", subscription];
    wait_for("the same from the API and the command", || {
        let text = printed(&wirebell(desk, api, &args));
        let said = printed(&wirebell(desk, api, &[&args[..], &["--output", "json"]].concat()));
        let said: Value = serde_json::from_str(&said).unwrap();
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("article", article).append_pair("subscription", subscription);
        let path = format!("{api}/v1/why-not?{}", query.finish());
        if !std::path::Path::new(article).is_absolute() && get(&path) != said {
            return None;
        }
        let (stage, detail) = (said["stage"].as_str()?, said["detail"].as_str()?);
        if matches!(stage, "unread" | "settled") || !text.contains(detail) {
            return None;
        }
        if std::env::var_os("WIREBELL_SHOW").is_some() {
            println!("{text}\n");
        }
        Some((stage.to_owned(), detail.to_owned()))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_not_names_the_one_stage_that_stopped_an_article() {
    let desk = Desk::new(RULES);
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    let all = subscribe_to(&api, &url, &json!({"topics": ["*"]}));
    let gales = subscribe_to(&api, &url, &json!({"topics": ["gale"]}));
    let severe = subscribe_to(&api, &url, &json!({"topics": ["*"], "min_severity": "critical"}));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = subscribe_to(&api, &format!("http://{closed}/"), &json!({"topics": ["*"]}));

    let early_end = push(&api, &json!({"title": "All clear", "body": "Nothing was on"}));
    let link = "https://skylark.example/a?b=1";
    let of = |title: &str| json!({"title": title, "body": "x", "url": link, "source": "skylark"});
    let opened = push(&api, &of("Sirens"));
    let joined = push(&api, &json!({"title": "More sirens", "body": "x", "source": "skylark"}));
    let old = push(
        &api,
        &json!({"title": "Sirens then", "body": "x", "published_at": "2020-01-01T00:00:00Z"}),
    );
    let drill = push(&api, &json!({"title": "Sirens are a drill", "body": "x"}));
    let storm = push(&api, &json!({"title": "A storm warning for the hills", "body": "x"}));
    let shadow = push(&api, &json!({"title": "A whisper", "body": "x"}));
    let quiet = push(&api, &json!({"title": "Market day", "body": "x"}));
    receiver.wait_for(1);
    wait_for("an attempt that fails", || {
        let shown = get(&format!("{api}/v1/subscriptions/{dead}"));
        (shown["delivery"]["failures"].as_u64()? > 0).then_some(())
    });
    let after = subscribe_to(&api, &url, &json!({"topics": ["*"]}));
    let file = |name: &str, text: &str| {
        let path = desk.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let same = file("same.txt", "Market day\n\nx\n");
    let other = file("other.txt", "Never heard of\n\nx\n");
    let nobody = "art_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (article, subscription, stage, words) in [
        (nobody, &all, "unknown", "it is not here"),
        (other.as_str(), &all, "unknown", "it is not here"),
        (&same, &after, "known", "before the subscription began"),
        (&same, &all, "no_match", "none came near"),
        (&quiet, &all, "no_match", "none came near"),
        (&storm, &gales, "no_match", "gale came nearest: nothing of all[1] matches"),
        (&drill, &all, "unless", "its unless[0] forbids it, by \"drill\""),
        (&early_end, &all, "no_alert", "no alert of siren was there"),
        (&old, &all, "late", "dated longer before its receipt than the rule's max_age"),
        (&joined, &all, "joined", "told with the next update, at 20"),
        (&shadow, &all, "shadow", "delivered to nobody"),
        (link, &gales, "filter", "its topics"),
        (&opened, &severe, "filter", "its min_severity"),
        (&opened, &after, "before", "began after the event"),
        (&opened, &dead, "failing", "the next try is at 20"),
        (link, &all, "delivered", "it was delivered at 20"),
    ] {
        let (named, detail) = why_not(&desk, &api, article, subscription);
        assert!(named == stage && detail.contains(words), "{stage}: {named}: {detail}");
    }
    let no_subscription = ["why-not", "--article", nobody, "--subscription", "sub_none"];
    assert_eq!(wirebell(&desk, &api, &no_subscription).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_not_reads_the_same_from_nats() {
    let Some(nats) = Server::start() else { return };
    let desk = Desk::new(RULES);
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let workers: Vec<Process> =
        ["api", "rules", "notifier"].iter().map(|w| desk.worker(w, &nats.url())).collect();
    let api = workers[0].api();
    wait_ready(&api);
    leases_taken(&workers[1]);
    let all = subscribe_to(&api, &url, &json!({"topics": ["*"]}));
    let link = "https://skylark.example/a?b=1";
    push(&api, &json!({"title": "Sirens", "body": STORY, "url": link}));
    let storm = push(&api, &json!({"title": "A storm warning for the hills", "body": "x"}));
    receiver.wait_for(1);
    for (article, stage) in [(link, "delivered"), (&storm, "no_match")] {
        assert_eq!(why_not(&desk, &api, article, &all).0, stage);
    }
}

/// The rules with `siren` hearing one word more and nothing of air raids, and a rule more.
const OTHER_RULES: &str = "version: 1
rules:
  - {id: siren, topic: sirens, any: [sirens, alarm], unless: [drill], key: none, update_every: 1h}
  - {id: market, any: [market], key: none}
";

/// Articles of two days: rules before and after open other alerts of them.
const DAYS: [(&str, &str); 5] = [
    ("2026-03-01T08:00:00Z", "An air raid is on"),
    ("2026-03-01T09:00:00Z", "Sirens sound"),
    ("2026-03-02T08:00:00Z", "An air raid again"),
    ("2026-03-03T08:00:00Z", "An alarm is raised"),
    ("2026-03-04T08:00:00Z", "Sirens once more"),
];

/// Writes the two rule files; answers their paths.
fn two_rule_files(desk: &Desk) -> [String; 2] {
    [("old.yaml", RULES), ("new.yaml", OTHER_RULES)].map(|(name, text)| {
        let path = desk.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    })
}

#[test]
fn rules_diff_tells_what_is_gained_lost_and_moved_over_files() {
    let desk = Desk::new("");
    let [old, new] = two_rule_files(&desk);
    let lines: Vec<String> = DAYS
        .iter()
        .map(|(at, title)| json!({"title": title, "body": "x", "published_at": at}).to_string())
        .collect();
    let articles = desk.path().join("days.jsonl");
    std::fs::write(&articles, lines.join("\n")).unwrap();
    let args = ["rules", "diff", &old, &new, "--articles", articles.to_str().unwrap()];
    let output = desk.command(&args).output().unwrap();
    let text = printed(&output);
    if std::env::var_os("WIREBELL_SHOW").is_some() {
        println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(
        text,
        "siren: 3 alerts before, 3 after
  + 2026-03-03T08:00:00.000Z  (-)  push: An alarm is raised by \"alarm\"
  - 2026-03-02T08:00:00.000Z  (-)  push: An air raid again by \"air raid\"
  ~ 2026-03-01T09:00:00.000Z  (-)  push: Sirens sound by \"Sirens\"
    was 2026-03-01T08:00:00.000Z  (-)  push: An air raid is on by \"air raid\"
"
    );
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(told.trim(), "1 alert gained, 1 lost, 1 moved over 5 articles");
    let json = desk.command(&args).args(["--output", "json"]).output().unwrap();
    let rule: Value = serde_json::from_str(printed(&json).trim()).unwrap();
    assert_eq!(
        (&rule["rule"], &rule["old"], &rule["new"]),
        (&json!("siren"), &json!(3), &json!(3))
    );
    assert_eq!(rule["gained"][0]["article"]["title"], "An alarm is raised");
    let usage = desk.command(&["rules", "diff", &old, &new]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}

/// Pushes news into the archive; then asks what both rule sets make of it.
fn check_archive(desk: &Desk, api: &str) {
    let [old, new] = two_rule_files(desk);
    for (_, title) in DAYS {
        push(api, &json!({"title": title, "body": "x", "source": "skylark"}));
    }
    push(api, &json!({"title": "All clear", "body": "x", "source": "skylark"}));
    let run = |rules: &str| {
        let args = ["backtest", "--rules", rules, "--since", "1d", "--output", "json"];
        let said = printed(&wirebell(desk, api, &args));
        let events = said.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
        events.map(|e| e["type"].as_str().unwrap().to_owned()).collect::<Vec<String>>()
    };
    assert_eq!(run(&old), ["alert.opened", "alert.ended"], "as it was");
    assert_eq!(run(&new), ["alert.opened"]);
    let output = wirebell(desk, api, &["rules", "diff", &old, &new, "--since", "1d"]);
    let text = printed(&output);
    assert!(text.starts_with("siren: 1 alert before, 1 after\n  ~ "), "{text}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("0 lost, 1 moved over 6 archived articles of 20"), "{told}");
    let body = json!({"rules": [{"name": "r.yaml", "text": "version: 1\nrules: [{id: a}]"}],
        "since": "1d"});
    let url = format!("{api}/v1/rules/backtest");
    let bytes = body.to_string();
    let (status, said) = ask("POST", &url, "application/json", bytes.as_bytes()).unwrap();
    assert_eq!(status, 422, "{said}");
    let message = said["errors"][0]["message"].as_str().unwrap();
    assert!(message.starts_with("r.yaml:2:"), "{message}");
    let body = json!({"rules": [], "since": "a week"}).to_string();
    let (status, _) = ask("POST", &url, "application/json", body.as_bytes()).unwrap();
    assert_eq!(status, 422);
}

#[test]
fn backtest_and_diff_read_the_archive_of_the_embedded_store() {
    let desk = Desk::new(RULES);
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    check_archive(&desk, &api);
}

#[test]
fn backtest_and_diff_read_the_archive_on_nats() {
    let Some(nats) = Server::start() else { return };
    let desk = Desk::new(RULES);
    let workers: Vec<Process> =
        ["api", "rules"].iter().map(|which| desk.worker(which, &nats.url())).collect();
    let api = workers[0].api();
    wait_ready(&api);
    leases_taken(&workers[1]);
    check_archive(&desk, &api);
}

/// More than sockets hold between a server and a client that does not read.
fn fill_archive(api: &str) {
    let title = "siren ".repeat(300);
    let lines: Vec<String> = (0..3_000)
        .map(|n| {
            let source = format!("paper-{n}");
            json!({"id": "a", "title": title, "body": "x", "source": source}).to_string()
        })
        .collect();
    for part in lines.chunks(1_000) {
        let url = format!("{api}/v1/articles");
        let body = part.join("\n");
        let (status, said) = ask("POST", &url, "application/x-ndjson", body.as_bytes()).unwrap();
        assert_eq!(status, 202, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_backtest_runs_at_a_time_and_ends_when_its_client_goes_away() {
    let _alone = crate::e2e::HEAVY.lock().await;
    let desk = Desk::new(crate::e2e::RULES);
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    fill_archive(&api);
    let request =
        |rules: &str| json!({"rules": [{"name": "r", "text": rules}], "since": "1d"}).to_string();
    let (wide, none) = (request(crate::e2e::RULES), request("version: 1\nrules: []\n"));
    let host = api.trim_start_matches("http://");
    let head = format!(
        "POST /v1/rules/backtest HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{wide}",
        wide.len()
    );
    let mut silent = std::net::TcpStream::connect(host).unwrap();
    // A small buffer, which is also a fixed one.
    rustix::net::sockopt::set_socket_recv_buffer_size(&silent, 4_096).unwrap();
    silent.write_all(head.as_bytes()).unwrap();
    // Its answer has begun, so the turn is its own; it reads no more than that.
    let mut begun = [0; 12];
    silent.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    let url = format!("{api}/v1/rules/backtest");
    let status_of = || {
        let answer = crate::support::http::ask("POST", &url, "application/json", none.as_bytes());
        answer.map(|(status, _)| status)
    };
    assert_eq!(status_of(), Some(429));
    drop(silent);
    wait_for("the turn of the client that left", || status_of().filter(|status| *status == 200));
}
