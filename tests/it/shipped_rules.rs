//! The rules that come with Wirebell: their own tests, and the labelled articles.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;
use wirebell::model::Lang;
use wirebell::rules::RuleSet;

use crate::rule_files::article;
use crate::rule_files::loaded;

const SHIPPED: &str = include_str!("../../config/rules.yaml");
const TOPICS: &str = include_str!("../fixtures/topics.jsonl");

#[test]
fn the_shipped_rules_pass_their_own_tests() {
    let set = loaded(SHIPPED);
    let failures: Vec<String> = set.run_tests().iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    for (rule, tests) in set.tests() {
        assert!(tests.should_match.len() >= 5 && !tests.should_not_match.is_empty(), "{rule}");
    }
}

/// Topics of unsuperseded matches.
fn fired(set: &RuleSet, row: &Value) -> BTreeSet<String> {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let mut sample = article(text("title"), text("body"));
    sample.lang = Some(Lang::new(text("lang")).expect("a language"));
    let matches = set.matches(&sample).into_iter().filter(|m| m.superseded_by.is_none());
    matches.map(|m| m.topic.to_string()).collect()
}

#[test]
fn the_shipped_rules_find_the_labelled_topics_and_nothing_that_only_looks_like_them() {
    let set = loaded(SHIPPED);
    let labelled = ["air-raid-alert", "all-clear", "correction", "military-talks"];
    let mut found: BTreeMap<&str, u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in TOPICS.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let expected: BTreeSet<String> = serde_json::from_value(row["topics"].clone()).unwrap();
        let fired = fired(&set, &row);
        for topic in labelled {
            match (expected.contains(topic), fired.contains(topic)) {
                (true, true) => *found.entry(topic).or_default() += 1,
                (false, false) => {}
                (true, false) => wrong.push(format!("missed {topic}: {row}")),
                (false, true) => wrong.push(format!("wrong {topic}: {row}")),
            }
        }
        let hard = row["hard"].as_str();
        if hard.is_some() && !fired.is_empty() {
            wrong.push(format!("{fired:?} on {row}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{found:?}", wrong.join("\n"));
    let counts: Vec<u32> = labelled.iter().map(|topic| found[topic]).collect();
    assert_eq!(counts, LABELLED, "{labelled:?}");
}

/// Articles of each labelled topic, all of which are found.
const LABELLED: [u32; 4] = [12, 7, 6, 10];
