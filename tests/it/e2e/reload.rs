//! Configuration that changes under a running process.

use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::RULES;
use crate::e2e::Receiver;
use crate::e2e::ask;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::running::Running;

/// Replaces a file as editors do: written beside, then renamed over it.
pub(crate) fn replace(desk: &Desk, name: &str, text: &str) {
    let path = desk.path().join("config").join(name);
    let beside = path.with_extension("swp");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

/// What the board says of a part, once it contains `words`.
pub(super) fn wait_for_part(api: &str, name: &str, words: &str) -> Value {
    wait_for(words, || {
        let (status, board) = ask("GET", &format!("{api}/readyz?verbose"), "", b"")?;
        assert_eq!(status, 200, "{board}");
        let part = board["parts"].as_array()?.iter().find(|p| p["part"] == name)?.clone();
        part.to_string().contains(words).then_some(part)
    })
}

pub(super) fn reload_metric(api: &str, file: &str) -> String {
    let (_, text) = crate::support::http::ask("GET", &format!("{api}/metrics"), "", b"").unwrap();
    let text = String::from_utf8(text).unwrap();
    let name = format!("wirebell_config_last_reload_successful{{file=\"{file}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().to_owned()
}

pub(super) fn push(api: &str, title: &str) {
    let body = json!({"title": title, "body": "x"}).to_string();
    let url = format!("{api}/v1/articles");
    let (status, said) = ask("POST", &url, "application/json", body.as_bytes()).unwrap();
    assert_eq!(status, 202, "{said}");
}

/// The rule and the rule set of each event, in the order of their arrival.
fn rung(receiver: &Receiver, count: usize) -> Vec<(String, String)> {
    receiver.wait_for(count);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut bodies: Vec<Value> = receiver.hooks().iter().map(|hook| hook.json()).collect();
    bodies.sort_by_key(|b| b["data"]["event"]["sequence"].as_u64());
    bodies
        .iter()
        .map(|b| (text(&b["data"]["alert"]["rule"]), text(&b["data"]["ruleset"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_follow_their_files_and_a_bad_file_changes_nothing() {
    let mut running = Running::alone(Desk::new(RULES)).await;
    let Running { desk, receiver, api, .. } = &running;
    push(api, "One siren");
    let first = rung(receiver, 1)[0].1.clone();
    assert_eq!(reload_metric(api, "rules"), "1");

    replace(desk, "rules.yaml", "version: 1\nrules:\n  - {id: siren, anny: [bell]}\n");
    wait_for_part(api, "config.rules", "rules.yaml:3:17: a rule has no key anny: did you mean any");
    assert_eq!(reload_metric(api, "rules"), "0");
    let failing =
        "version: 1\nrules:\n  - {id: siren, any: [bell], tests: {should_match: [siren]}}\n";
    replace(desk, "rules.yaml", failing);
    wait_for_part(api, "config.rules", "should match");
    push(api, "Two sirens and a siren");
    assert_eq!(rung(receiver, 2)[1], ("siren".to_owned(), first.clone()));

    replace(desk, "rules.yaml", "version: 1\nrules:\n  - {id: bell, any: [bell]}\n");
    wait_for_part(api, "config.rules", "\"ready\"");
    assert_eq!(reload_metric(api, "rules"), "1");
    push(api, "No rule knows a siren now");
    push(api, "A bell");
    let third = rung(receiver, 3)[2].clone();
    assert_eq!(third.0, "bell");
    assert_ne!(third.1, first);

    std::fs::remove_file(desk.path().join("config/rules.yaml")).unwrap();
    wait_for_part(api, "config.rules", "the files are gone");
    let folder = desk.path().join("config/rules");
    std::fs::create_dir(&folder).unwrap();
    replace(desk, "rules/one.yaml", "version: 1\nrules:\n  - {id: horn, any: [horn]}\n");
    wait_for_part(api, "config.rules", "\"ready\"");
    push(api, "Another bell and a horn");
    assert_eq!(rung(receiver, 4)[3].0, "horn");
    assert_eq!(receiver.hooks().len(), 4);
    running.stop();
    let log = running.workers[0].log();
    assert!(log.contains("Configuration not reloaded"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_follow_their_file_and_what_was_read_is_not_read_twice() {
    let running = Running::alone(Desk::new(RULES)).await;
    let Running { desk, receiver, api, workers, .. } = &running;
    let source = |id: &str| {
        let path = desk.path().join(id);
        std::fs::create_dir_all(&path).unwrap();
        format!("  - {{id: {id}, folder: {}}}\n", path.display())
    };
    let drop_in = |id: &str, name: &str| {
        let path = desk.path().join(id).join(name);
        let beside = desk.path().join("beside");
        std::fs::write(&beside, format!("A siren of {id}, {name}\n\nBody.\n")).unwrap();
        std::fs::rename(beside, path).unwrap();
    };
    let (left, right) = (source("left"), source("right"));
    replace(desk, "sources.yaml", &format!("sources:\n{left}"));
    drop_in("left", "one.txt");
    receiver.wait_for(1);
    replace(desk, "sources.yaml", "sources:\n  - {id: left, foldr: x}\n");
    wait_for_part(api, "config.sources", "did you mean folder");
    assert_eq!(reload_metric(api, "sources"), "0");
    drop_in("left", "two.txt");
    receiver.wait_for(2);
    replace(desk, "sources.yaml", &format!("sources:\n{left}{right}"));
    wait_for_part(api, "config.sources", "\"ready\"");
    drop_in("right", "three.txt");
    receiver.wait_for(3);
    assert_eq!(receiver.hooks().len(), 3);
    asked_by_a_signal(&workers[0]);
}

fn asked_by_a_signal(process: &Process) {
    process.signal("-HUP");
    wait_for("the reload", || {
        let log = process.log();
        let (_, after) = log.split_once("as SIGHUP asks")?;
        after.contains("Sources reloaded").then_some(())
    });
}

#[test]
fn a_reload_beyond_its_budget_is_refused_with_the_forecast_unless_forced() {
    let desk = Desk::new(RULES);
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    for n in 0..3 {
        let body = json!({"title": format!("Bell {n}"), "body": "x", "source": format!("p{n}")});
        let url = format!("{api}/v1/articles");
        ask("POST", &url, "application/json", body.to_string().as_bytes()).unwrap();
    }
    let rules = |budget: u32| {
        format!(
            "version: 1\nrules:\n  - {{id: bell, any: [bell], key: source, budget: {budget}}}\n"
        )
    };
    let topics = || {
        let (_, said) = ask("GET", &format!("{api}/v1/topics"), "", b"").unwrap();
        said["data"][0]["topic"].as_str().unwrap().to_owned()
    };
    replace(&desk, "rules.yaml", &rules(2));
    let refused = wait_for_part(&api, "config.rules", "beyond the budget");
    let text = refused.to_string();
    assert!(text.contains("bell 3.0 alerts a day of a budget of 2 (over 3 archived"), "{text}");
    assert_eq!((topics().as_str(), reload_metric(&api, "rules").as_str()), ("siren", "0"));

    replace(&desk, "rules.force", "sha256:another\n");
    replace(&desk, "rules.yaml", &rules(1));
    let refused = wait_for_part(&api, "config.rules", "of a budget of 1 ").to_string();
    let digest = refused.split("write ").nth(1).unwrap().split(' ').next().unwrap();
    replace(&desk, "rules.force", &format!("{digest}\n"));
    wait_for_part(&api, "config.rules", "\"ready\"");
    assert_eq!(topics(), "bell");

    replace(&desk, "rules.yaml", RULES);
    wait_for("the rules of before", || (topics() == "siren").then_some(()));
    replace(&desk, "rules.yaml", &rules(3));
    wait_for("rules within their budget", || (topics() == "bell").then_some(()));
    assert!(process.log().contains("Rules forecast"), "{}", process.log());
}
