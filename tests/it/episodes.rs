//! Invented days in the order of their time through `backtest` with the shipped rules: each episode
//! opens once, ends and is taken back where its label says so, and nothing else opens.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

const ARTICLES: &str = include_str!("../fixtures/episodes.jsonl");

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn backtest() -> Vec<Value> {
    let root = env!("CARGO_MANIFEST_DIR");
    let done = Command::new(env!("CARGO_BIN_EXE_wirebell"))
        .args(["backtest", "--rules", "config/rules.yaml", "--output", "json", "--articles"])
        .arg("tests/fixtures/episodes.jsonl")
        .current_dir(root)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    lines(&String::from_utf8(done.stdout).unwrap())
}

#[test]
fn each_episode_opens_once_and_closes_as_it_is_labelled() {
    let articles = lines(ARTICLES);
    let at = |article: &Value| text(article, "published").to_owned();
    assert!(articles.is_sorted_by_key(at), "the articles are in the order of their time");
    let labels: BTreeMap<&str, &Value> =
        articles.iter().map(|article| (text(article, "title"), article)).collect();
    assert_eq!(labels.len(), articles.len(), "titles are different");

    // What is wanted and what is found of an episode: its topic and each opening and closing.
    let mut wanted: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for article in articles.iter().filter(|article| article["episode"].is_string()) {
        let event = match text(article, "phase") {
            "start" => "alert.opened",
            "end" => "alert.ended",
            "retract" => "alert.retracted",
            _ => continue,
        };
        let of = wanted.entry(text(article, "episode")).or_default();
        of.push((text(article, "topic"), event));
    }
    let events = backtest();
    let mut found: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    let mut alerts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for event in &events {
        // The clock's own closing has no article that caused it.
        let Some(cause) = event["data"]["articles"].as_array().unwrap().last() else { continue };
        let label = labels[text(cause, "title")];
        let alert = &event["data"]["alert"];
        let episode = text(label, "episode");
        alerts.entry(episode).or_default().insert(text(alert, "id"));
        if matches!(text(event, "type"), "alert.opened" | "alert.ended" | "alert.retracted") {
            let one = (text(alert, "topic"), text(event, "type"));
            found.entry(episode).or_default().push(one);
        }
    }
    assert_eq!(found, wanted);
    let parted: Vec<_> = alerts.iter().filter(|(_, ids)| ids.len() != 1).collect();
    assert!(parted.is_empty(), "an episode is one alert: {parted:?}");
}
