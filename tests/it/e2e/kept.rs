//! Subscriptions that are kept in `config/subscriptions.yaml`.

use serde_json::Value;
use serde_json::json;
use wirebell::model::SubscriptionId;
use wirebell::model::SubscriptionName;

use crate::e2e::Desk;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::e2e::reload::push;
use crate::e2e::reload::reload_metric;
use crate::e2e::reload::replace;
use crate::e2e::reload::wait_for_part;
use crate::e2e::wait_for;
use crate::support::nats::Server;
use crate::support::running::Running;
use crate::support::scripted::Scripted;
use crate::support::scripted::sequence;

const FILE: &str = "subscriptions.yaml";
const OLD: &str = "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLW9sZCE=";
const NEW: &str = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldyE=";

fn id(name: &str) -> String {
    SubscriptionId::of_name(&SubscriptionName::new(name).unwrap()).to_string()
}

/// A definition with its secret in a file.
fn entry(name: &str, url: &str, more: &str) -> String {
    format!("  - {{name: {name}, url: '{url}', topics: ['*'], secret_file: {name}.secret{more}}}\n")
}

fn file(entries: &[String]) -> String {
    match entries.concat().as_str() {
        "" => "version: 1\nsubscriptions: []\n".to_owned(),
        list => format!("version: 1\nsubscriptions:\n{list}"),
    }
}

/// A desk that has the file before it starts.
fn desk(text: &str) -> Desk {
    let desk = Desk::new(RULES);
    for name in ["desk", "pager"] {
        replace(&desk, &format!("{name}.secret"), &format!("{OLD}\n"));
    }
    replace(&desk, FILE, text);
    desk
}

/// What the API shows of one, once there is one.
fn shown(api: &str, name: &str, says: impl Fn(&Value) -> bool) -> Value {
    let url = format!("{api}/v1/subscriptions/{}", id(name));
    wait_for("a subscription of the file", || {
        let (status, shown) = ask("GET", &url, "", b"")?;
        (status == 200 && says(&shown)).then_some(shown)
    })
}

fn wait_gone(api: &str, name: &str) {
    let url = format!("{api}/v1/subscriptions/{}", id(name));
    wait_for("its end", || (ask("GET", &url, "", b"")?.0 == 404).then_some(()));
}

fn call(api: &str, (method, name, rest): (&str, &str, &str), body: &Value) -> (u16, Value) {
    let url = format!("{api}/v1/subscriptions/{}{rest}", id(name));
    ask(method, &url, "application/json", body.to_string().as_bytes()).unwrap()
}

fn ping(api: &str, name: &str, receiver: &Scripted) -> crate::e2e::Hook {
    let before = receiver.taken().len();
    assert_eq!(call(api, ("POST", name, "/test"), &json!({})).0, 202);
    receiver.wait_for(before + 1).pop().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_are_made_changed_and_removed_as_their_file_says() {
    let receiver = Scripted::default();
    let url = receiver.start().await;
    let running = Running::alone(desk(&file(&[entry("desk", &url, "")]))).await;
    let (desk, api) = (&running.desk, &running.api);
    let first = shown(api, "desk", |_| true);
    let kept = (&first["managed_by"], &first["name"]);
    assert_eq!(kept, (&json!("config/subscriptions.yaml"), &json!("desk")));
    assert!(ping(api, "desk", &receiver).fits(OLD));
    assert_eq!(reload_metric(api, "subscriptions"), "1");

    // A second one comes, the first asks for less and shows a token.
    let more = ", min_severity: critical, auth: {bearer: {token_file: desk.secret}}";
    let two = [entry("desk", &url, more), entry("pager", &url, "")];
    replace(desk, FILE, &file(&two));
    let changed = shown(api, "desk", |one| one["min_severity"] == "critical");
    assert_eq!(
        (&changed["auth"], &changed["created_at"]),
        (&json!("bearer"), &first["created_at"])
    );
    let hook = ping(api, "desk", &receiver);
    assert_eq!(hook.headers["authorization"], format!("Bearer {OLD}"));
    shown(api, "pager", |_| true);

    // Another secret in its file alone: it turns, and the old one signs on for a day.
    replace(desk, "desk.secret", NEW);
    let turned = shown(api, "desk", |one| one["signing"]["keys"] == 2);
    let hook = ping(api, "desk", &receiver);
    assert!(hook.fits(OLD) && hook.fits(NEW));

    // What is wrong changes nothing.
    replace(desk, FILE, &file(&[entry("pager", &url, ", topcs: [x]")]));
    let part = "config.subscriptions";
    wait_for_part(api, part, "subscriptions.yaml:3:");
    wait_for_part(api, part, "did you mean topics?");
    assert_eq!(reload_metric(api, "subscriptions"), "0");
    assert_eq!(shown(api, "desk", |_| true)["updated_at"], turned["updated_at"]);
    std::fs::remove_file(desk.path().join("config").join(FILE)).unwrap();
    wait_for_part(api, part, "the file is gone");
    replace(desk, FILE, &file(&two[1..]));
    wait_gone(api, "desk");
    wait_for_part(api, part, "\"ready\"");
    shown(api, "pager", |_| true);
    let list = running.get("/v1/subscriptions");
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "those of the API stay: {list}");
    let log = running.workers[0].log();
    assert!(!log.contains("whsec_"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_leaves_definitions_to_the_file_and_owners_to_work() {
    let receiver = Scripted::default();
    let url = receiver.start().await;
    let running = Running::alone(desk(&file(&[entry("desk", &url, "")]))).await;
    let api = &running.api;
    shown(api, "desk", |_| true);
    for (method, rest, body) in [
        ("PATCH", "", json!({"description": "mine"})),
        ("DELETE", "", json!({})),
        ("POST", "/rotate", json!({})),
    ] {
        let (status, problem) = call(api, (method, "desk", rest), &body);
        assert_eq!(status, 409, "{method} {rest}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with("desk is kept in config/subscriptions.yaml"), "{detail}");
    }
    for (what, status) in [("/pause", 200), ("/resume", 200), ("/test", 202)] {
        assert_eq!(call(api, ("POST", "desk", what), &json!({})).0, status, "{what}");
    }
    receiver.wait_for(1);
    push(api, "A siren");
    receiver.wait_for(2);
    shown(api, "desk", |one| one["delivery"]["sequence"] == 1);
    let again = json!({"from_sequence": 1});
    assert_eq!(call(api, ("POST", "desk", "/replay"), &again).0, 202);
    receiver.wait_for(3);
    // A pause of its owner outlasts a change of the file.
    call(api, ("POST", "desk", "/pause"), &json!({}));
    replace(&running.desk, FILE, &file(&[entry("desk", &url, ", description: ours")]));
    assert_eq!(shown(api, "desk", |one| one["description"] == "ours")["paused"], true);
    let said = running.said(&["subscriptions", "show", &id("desk")]);
    assert!(said.contains("kept in      config/subscriptions.yaml, as desk"), "{said}");
}

/// How many subscriptions a worker says it has made.
fn made(log: &str) -> usize {
    log.matches("follow their file created=1").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_workers_apply_one_file_once_and_one_that_returns_begins_anew() {
    let Some(nats) = Server::start() else { return };
    let receiver = Scripted::default();
    let url = receiver.start().await;
    let whole = file(&[entry("desk", &url, "")]);
    let workers = ["api", "rules", "notifier", "api"];
    let mut running = Running::divided(desk(&whole), &workers, &nats).await;
    let api = running.api.clone();
    shown(&api, "desk", |_| true);
    let other = running.workers[3].api();
    crate::e2e::wait_ready(&other);
    wait_for_part(&other, "subscriptions", "\"ready\"");
    let count =
        |running: &Running| made(&running.workers[0].log()) + made(&running.workers[3].log());
    wait_for("one to say that it made it", || (count(&running) > 0).then_some(()));
    let before = shown(&api, "desk", |_| true);
    for worker in [0, 3] {
        running.workers[worker].signal("-HUP");
        wait_for("the file to be read again", || {
            running.workers[worker].log().contains("read from their file").then_some(())
        });
    }
    push(&api, "One siren");
    receiver.wait_for(1);
    shown(&api, "desk", |one| one["delivery"]["sequence"] == 1);
    assert_eq!(shown(&api, "desk", |_| true)["updated_at"], before["updated_at"]);
    assert_eq!(count(&running), 1, "and the other found it made");

    // It goes and comes again while nobody serves it: what was told between is not for it.
    assert_eq!(running.workers[2].stop(), Some(0));
    replace(&running.desk, FILE, &file(&[]));
    wait_gone(&api, "desk");
    let title = json!({"title": "A second siren", "body": "x", "source": "other"}).to_string();
    let articles = format!("{api}/v1/articles");
    ask("POST", &articles, "application/json", title.as_bytes()).unwrap();
    wait_for("the second alert", || {
        let (_, alerts) = ask("GET", &format!("{api}/v1/alerts"), "", b"")?;
        (alerts["data"].as_array()?.len() == 2).then_some(())
    });
    replace(&running.desk, FILE, &whole);
    shown(&api, "desk", |one| one["delivery"].is_null());
    running.workers[2] = running.desk.worker("notifier", &nats.url());
    let hook = ping(&api, "desk", &receiver);
    assert_eq!(sequence(&hook), 0, "a ping is the next thing it gets");
    let title = json!({"title": "A third siren", "body": "x", "source": "third"}).to_string();
    ask("POST", &articles, "application/json", title.as_bytes()).unwrap();
    let hook = receiver.wait_for(3).pop().unwrap();
    assert_eq!((sequence(&hook), hook.fits(OLD)), (1, true));
    assert_eq!(hook.json()["data"]["articles"][0]["title"], "A third siren");
}

#[test]
fn a_check_shows_every_mistake_of_the_file_and_no_secret() {
    let text = "version: 1\nsubscriptions:\n  - {name: desk, url: 'http://127.0.0.1:9000/x', topics: [sirn], secret: hidden}\n";
    let desk = desk(text);
    let done = desk.command(&["check", "--config", "config"]).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(78), "{said}");
    for part in ["subscriptions.yaml:3:", "did you mean \"siren\"?", "a secret begins with whsec_"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(!said.contains("hidden"), "{said}");
    let done = desk.command(&["--output", "json", "check", "--config", "config"]).output().unwrap();
    let lines = String::from_utf8(done.stdout).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    let problem: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&problem["line"], &problem["severity"]), (&json!(3), &json!("error")));

    let good = file(&[entry("desk", "http://127.0.0.1:9000/x", "")]);
    replace(&desk, FILE, &good);
    let done = desk.command(&["check", "--config", "config"]).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success() && said.contains("1 subscriptions are good"), "{said}");
}
