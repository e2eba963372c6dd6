//! Warnings: what each looks like, and what passes without one.

use std::path::PathBuf;

use wirebell::rules::Problem;
use wirebell::rules::lint;

use crate::support::snapshot;

fn linted(text: &str) -> Vec<Problem> {
    lint(&[("rules.yaml".to_owned(), text.to_owned())]).unwrap_or_else(|problems| {
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{text}\n{}", shown.join("\n\n"))
    })
}

/// Codes of the warnings on a file with these lines under `rules:`.
fn codes(text: &str) -> Vec<&'static str> {
    linted(text).iter().map(|problem| problem.code).collect()
}

#[test]
fn every_warning_is_rendered_as_its_file_says() {
    let mut seen = std::collections::BTreeSet::new();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lint");
    snapshot::compare(&folder, |files| {
        let warnings = lint(files).unwrap_or_else(|e| panic!("{} is an error", e[0]));
        seen.extend(warnings.iter().map(|problem| problem.code));
        warnings
    });
    let wanted: std::collections::BTreeSet<&str> =
        wirebell::rules::WARNINGS.iter().map(|(code, _)| *code).collect();
    assert_eq!(seen, wanted, "every kind of warning has a fixture");
}

/// Rules in which nothing but the lack of a counterexample is found.
const GOOD: &[(&str, &str)] = &[
    ("short words beside others", "when: (US OR UK) NEAR/3 troops AND ferry"),
    ("short words with = or digits", "any: [=UN, 5G mast, 77]"),
    ("short words of scripts that say more in two letters", "any: [港, 비행, 早]"),
    (
        "small operators in quotes, or at an end",
        "any: ['\"search and rescue\"', and ferry, ferry not]",
    ),
    ("one alphabet a word", "any: [БпЛА Bayraktar, Ту-154, café]"),
    ("entries of their own", "any: [sea wall, seawall, ferr*, fer, wall of sea, =Wall]"),
    ("both Han forms, or characters that have one", "any: [港口關閉, 港口关闭, 台北, 北海道]"),
    ("Japanese words", "any: [空襲警報, 国民保護情報, Jアラート]"),
    ("one form where the language has one", "{any: 港口關閉, lang: zh-TW}"),
    ("a language written in the words' script", "{any: [ferry, паром*], lang: [uk, en]}"),
    ("words that every script has", "{any: ['911'], lang: uk}"),
    (
        "an unless that the example passes",
        "{any: ferry, unless: toy, tests: {should_match: [ferry]}}",
    ),
    ("scope of unless", "{any: ferry, unless: toy, unless_in: lead}"),
];

#[test]
fn what_is_meant_as_written_is_left_alone() {
    for (name, lines) in GOOD {
        let rule = if lines.starts_with('{') {
            format!("  - {{id: a, key: none, {}\n", lines.trim_start_matches('{'))
        } else {
            format!("  - id: a\n    key: none\n    {lines}\n")
        };
        let found = codes(&format!("version: 1\nrules:\n{rule}"));
        assert_eq!(found, ["no-counterexample"], "{name}: {lines}");
    }
}

#[test]
fn a_longer_entry_counts_where_its_list_stands_near_something() {
    let file = |rule: &str| {
        format!(
            "version: 1\nwords: {{boat: [ferr*, car ferry]}}\nrules:\n  - {{id: a, key: none, any: ['{rule}']}}\n"
        )
    };
    assert_eq!(codes(&file("$boat NEAR/3 stopped")), ["no-counterexample"]);
    assert_eq!(codes(&file("$boat AND stopped")), ["covered", "no-counterexample"]);
}

#[test]
fn a_list_that_only_an_unused_list_uses_is_unused_too() {
    let text = "version: 1\nwords: {a: [x-ray], b: [$a]}\n";
    assert_eq!(codes(text), ["unused-list", "unused-list"]);
    let text = format!("{text}places: {{dover: [$b]}}\nrules: [{{id: r, any: ferry}}]\n");
    assert_eq!(codes(&text), ["no-counterexample"]);
}

#[test]
fn a_hundred_warnings_of_a_kind_are_enough() {
    let rules: String = (0..150).map(|n| format!("  - {{id: r{n}, any: ferry}}\n")).collect();
    let found = linted(&format!("version: 1\nrules:\n{rules}"));
    assert_eq!(found.len(), 100);
    assert!(found[99].message.ends_with("(and 50 more of this kind)"), "{}", found[99]);
}

#[test]
fn long_lists_are_compared_without_comparing_all_with_all() {
    // Ten thousand entries that share words: comparing each with each would be 50 million times.
    let entries: String = (0..10_000).map(|n| format!("the ferry x{n}, ")).collect();
    let text = format!("version: 1\nrules: [{{id: a, key: none, any: [{entries}]}}]\n");
    assert_eq!(codes(&text), ["no-counterexample"]);
}

#[test]
fn the_shipped_rules_are_clean() {
    let shipped = include_str!("../../config/rules.yaml");
    let shown: Vec<String> = linted(shipped).iter().map(ToString::to_string).collect();
    assert!(shown.is_empty(), "{} warnings\n{}", shown.len(), shown.join("\n\n"));
}
