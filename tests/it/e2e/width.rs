//! What people read on a terminal: as wide as it is, and nothing of others that it would obey.

use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::e2e::flow::push_all;
use crate::e2e::wait_for;
use crate::support::pty;
use crate::support::running::Running;

/// Asks a terminal to change its colour, to clear itself, and to turn the direction of letters.
const OBEYED: &str = "\u{1b}[31m\u{9b}2J\u{202e}";

fn rules() -> String {
    RULES.replace("any: [siren]", "any: [siren, 警報]")
}

/// Articles in several scripts, and an endpoint with a long address and a hostile description.
async fn furnished() -> (Running, String) {
    let running = Running::alone(Desk::new(&rules())).await;
    let titles = [
        "A siren was heard all over the harbour, and nobody knows how long it will go on"
            .to_owned(),
        "警報 🚨 ".repeat(20),
        "siren צבע אדום באשקלון ".repeat(5),
        "siren e\u{301}\u{301} ที่".to_owned(),
    ];
    let article = |(n, title): (usize, &String)| {
        json!({"title": title, "id": n.to_string(), "source": format!("paper-{n}"), "body": title,
            "url": format!("https://paper-{n}.example/{}", "long/".repeat(30))})
    };
    let articles: Vec<_> = titles.iter().enumerate().map(article).collect();
    push_all(|| running.api.clone(), &articles, articles.len());
    running.receiver.wait_for(titles.len());
    let hostile = json!({"url": format!("http://127.0.0.1:9000/{}", "x".repeat(200)),
        "topics": ["*"], "description": format!("desk {OBEYED}")});
    let path = format!("{}/v1/subscriptions", running.api);
    let (status, made) =
        ask("POST", &path, "application/json", hostile.to_string().as_bytes()).unwrap();
    assert_eq!(status, 201, "{made}");
    let hostile = made["id"].as_str().unwrap().to_owned();
    (running, hostile)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_fits_the_terminal_and_a_pipe_gets_whole_values() {
    let (running, hostile) = furnished().await;
    let attempts = || running.get(&format!("/v1/subscriptions/{}/attempts", running.subscription));
    wait_for("the attempts", || (attempts()["data"].as_array()?.len() >= 4).then_some(()));
    let alert = running.get("/v1/alerts")["data"][0]["id"].as_str().unwrap().to_owned();
    let article = running.get("/v1/articles")["data"][0]["id"].as_str().unwrap().to_owned();
    let mine = running.subscription.clone();
    std::fs::write(running.desk.path().join("one.txt"), "警報 siren\n\nA siren.\n".repeat(3))
        .unwrap();
    let rules = "config/rules.yaml";
    let commands: Vec<(Vec<&str>, bool)> = vec![
        (vec!["alerts", "list"], true),
        (vec!["alerts", "show", &alert], true),
        (vec!["subscriptions", "list"], true),
        (vec!["subscriptions", "show", &hostile], true),
        (vec!["subscriptions", "attempts", &mine], true),
        (vec!["subscriptions", "events", &mine], true),
        (vec!["why", &alert], true),
        (vec!["why-not", "--article", &article, "--subscription", &mine], true),
        (vec!["backtest", "--rules", rules, "--since", "1d"], true),
        (vec!["match", "one.txt"], false),
        (vec!["backtest", "--rules", rules, "--articles", "one.txt"], false),
        (vec!["config", "show", "--origin"], false),
        (vec!["doctor", "--data", "elsewhere"], false),
        (vec!["rules", "lint"], false),
    ];
    for (args, api) in &commands {
        let command = || {
            let mut command = running.desk.command(args);
            if *api {
                command.args(["--api", &running.api]);
            }
            command
        };
        for width in [60, 80, 160] {
            let shown = pty::shown(command(), width, &[]);
            assert_fits(&shown, width, &format!("{args:?}"));
        }
        let narrow = pty::shown(command(), 160, &[("COLUMNS", "60")]);
        assert_fits(&narrow, 60, &format!("{args:?} with COLUMNS"));
        let piped = command().env("COLUMNS", "60").output().unwrap();
        let piped = String::from_utf8(piped.stdout).unwrap();
        assert!(!piped.contains('…'), "{args:?}: {piped}");
        assert_harmless(&piped, &format!("{args:?} into a pipe"));
        let json = command().args(["--output", "json"]).env("COLUMNS", "60").output().unwrap();
        for line in String::from_utf8(json.stdout).unwrap().lines() {
            serde_json::from_str::<Value>(line).unwrap();
        }
    }
    let urls = running.said(&["subscriptions", "list"]);
    assert!(urls.contains(&format!("/{}", "x".repeat(200))), "{urls}");
    assert_eq!(urls.lines().count(), 2, "{urls}");
    let described = running.said(&["subscriptions", "show", &hostile]);
    assert!(described.contains("[U+001B][31m[U+009B]2J[U+202E]"), "{described}");
}

#[test]
fn a_stream_fits_the_terminal_while_it_comes() {
    let desk = Desk::new(RULES);
    let process = desk.run();
    let api = process.api();
    crate::e2e::wait_ready(&api);
    let title = format!("A siren {}", "and more ".repeat(40));
    push_all(|| api.clone(), &[json!({"title": title, "id": "a", "body": "x"})], 1);
    let mut command = desk.command(&["tap", "articles", "--after", "0", "--api", &api]);
    command.env_remove("COLUMNS");
    let shown = pty::first_line(command, 80);
    assert!(shown.contains("A siren and more") && shown.ends_with('…'), "{shown}");
    assert_fits(&shown, 80, "tap articles");
}

#[test]
fn colours_are_shown_on_a_terminal_unless_they_are_not_wanted() {
    let desk = Desk::new("");
    std::fs::write(desk.path().join("one.txt"), "A siren is heard\n\nAt noon.\n").unwrap();
    let command = || desk.command(&["rules", "try", "siren", "one.txt"]);
    let shown = pty::shown(command(), 80, &[]);
    assert!(shown.contains("A \u{1b}[1;33msiren\u{1b}[0m is"), "{shown:?}");
    let shown = pty::shown(command(), 80, &[("NO_COLOR", "1")]);
    assert!(shown.contains("A «siren» is"), "{shown:?}");
}

#[test]
fn json_on_a_terminal_holds_nothing_that_it_would_obey_and_says_the_same() {
    let desk = Desk::new("");
    let obeyed = "odd \u{9b}2J \u{7f}";
    let command = || {
        let mut command = desk.command(&["--output", "json", "config", "show"]);
        command.env("WIREBELL_LOG", obeyed);
        command
    };
    let shown = pty::shown(command(), 80, &[]);
    assert_harmless(&shown, "json");
    let piped = String::from_utf8(command().output().unwrap().stdout).unwrap();
    assert!(piped.contains(obeyed), "a pipe gets the bytes: {piped}");
    let read = |text: &str| -> Vec<Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(read(&shown), read(&piped));
}

/// Escape sequences for colours are ours; there are none in lists.
fn assert_harmless(shown: &str, name: &str) {
    let obeyed = |c: &char| c.is_control() && !matches!(c, '\n' | '\t');
    let turns = |c: &char| ('\u{202a}'..='\u{202e}').contains(c);
    let found: Vec<char> = shown.chars().filter(|c| obeyed(c) || turns(c)).collect();
    assert!(found.is_empty(), "{name}: {found:?} in {shown:?}");
}

fn assert_fits(shown: &str, width: u16, name: &str) {
    assert!(!shown.trim().is_empty(), "{name}");
    assert_harmless(shown, name);
    for line in shown.lines() {
        // An address is not broken, so that it can be copied.
        let longest = line.split_whitespace().map(pty::places).max().unwrap_or(0);
        let indent = line.len() - line.trim_start().len();
        let whole = pty::places(line) <= longest + indent && line.contains("://");
        let places = pty::places(line);
        assert!(
            places <= usize::from(width) || whole,
            "{name} at {width}: {places}: {line}\n{shown}"
        );
    }
}

#[test]
fn columns_that_are_no_number_are_passed_over() {
    let desk = Desk::new("");
    let command = || desk.command(&["config", "show", "--origin"]);
    for columns in ["wide", "0", "", "-5", "99999999999999999999999"] {
        let shown = pty::shown(command(), 80, &[("COLUMNS", columns)]);
        assert_fits(&shown, 80, columns);
    }
}
