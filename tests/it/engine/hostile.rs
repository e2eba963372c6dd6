//! Articles that are made to be hard.

use wirebell::rules::RuleSet;
use wirebell::rules::Scratch;
use wirebell::rules::load;

use super::agree;
use crate::rule_files::article;
use crate::rule_files::loaded;

const RULES: &str = "version: 1
places: {dover: [Dover, boat]}
words: {boats: [boat, boat*, 港口, aa-aa]}
rules:
  - {id: word, any: [boat]}
  - {id: phrase, any: [boat boat boat]}
  - {id: stars, any: [boat* boat* boat* anchor]}
  - {id: near, any: [boat NEAR/3 anchor]}
  - {id: list, any: [$boats NEAR/9 anchor], unless: [$boats BEFORE/2 whale]}
  - {id: han, any: [港港港, 港口]}
  - {id: long, any: [xxxx*, xxxxxxxxxxxx]}
  - {id: chain, any: [aa aa aa aa bb, aa-aa-aa bb]}
";

fn check(title: &str, body: &str) -> usize {
    agree(&loaded(RULES), &article(title, body), &mut Scratch::default())
        .unwrap_or_else(|e| panic!("{:.2000}", e))
}

#[test]
fn one_word_thirty_thousand_times_is_decided_alike() {
    assert_eq!(check("", &"boat ".repeat(30_000)), 2);
    assert_eq!(check("anchor", &format!("{} anchor", "boat ".repeat(30_000))), 5);
}

#[test]
fn a_line_of_a_megabyte_is_decided_alike() {
    assert_eq!(check("", &"x".repeat(1_000_000)), 1);
    assert_eq!(check("", &format!("boat{}", "é".repeat(999_990))), 0);
    assert_eq!(check("", &format!("{}boat", "x ".repeat(400_000))), 1);
}

#[test]
fn more_than_65_536_positions_are_decided_alike() {
    assert_eq!(check("", &format!("{}港口", "港".repeat(70_000))), 1);
    assert_eq!(check("", &format!("{} boat anchor", "word ".repeat(70_000))), 3);
    assert_eq!(check("", &"港".repeat(1_000_001)), 1);
}

#[test]
fn long_chains_are_decided_alike() {
    assert_eq!(check("", &format!("{}bb", "aa-".repeat(3_000))), 1);
    assert_eq!(check("", &format!("{} bb", "aa-aa ".repeat(3_000))), 1);
}

#[test]
fn an_empty_article_and_an_empty_set_match_nothing() {
    assert_eq!(check("", ""), 0);
    let nothing: RuleSet = load(&[]).unwrap();
    assert!(nothing.evaluate(&article("boat", "boat")).matches.is_empty());
    assert_eq!(nothing.without_anchor().count(), 0);
}

#[test]
fn what_is_given_up_is_decided_and_reported_alike() {
    let set = loaded(
        "version: 1
words: {boats: [boat NEAR/100 boat]}
rules:
  - {id: dense, any: [boat NEAR/100 boat, anchor]}
  - {id: kept, any: [boat], unless: [boat NEAR/100 boat]}
  - {id: list, any: [$boats]}
  - {id: not, any: [anchor NOT (boat NEAR/100 boat)]}
",
    );
    let dense = article("", &format!("{} anchor", "boat ".repeat(30_000)));
    let plain = set.evaluate_plainly(&dense);
    assert_eq!(set.evaluate(&dense), plain);
    let names: Vec<&str> = plain.matches.iter().map(|m| m.rule.as_str()).collect();
    assert_eq!(names, ["dense", "kept"]);
    let terms: Vec<&str> = plain.given_up.iter().map(|g| g.term.as_str()).collect();
    assert_eq!(terms, ["any[0]", "unless[0]", "any[0]", "any[0]"]);
}

#[test]
fn a_query_whose_other_words_are_missing_is_not_tried() {
    let set = loaded("version: 1\nrules: [{id: a, when: (boat NEAR/100 boat) AND zebra}]\n");
    let dense = article("", &"boat ".repeat(30_000));
    assert!(set.evaluate(&dense).given_up.is_empty());
    assert_eq!(set.evaluate_plainly(&dense).given_up.len(), 1);
    assert!(set.evaluate_plainly(&dense).matches.is_empty());
}

#[test]
fn buffers_serve_one_rule_set_after_another() {
    let small = loaded("version: 1\nrules: [{id: a, any: [boat]}]\n");
    let large = loaded(RULES);
    let mut scratch = Scratch::default();
    for body in ["boat anchor", "", "anchor", "boat boat boat", "港口 boats anchor"] {
        for set in [&large, &small, &large] {
            agree(set, &article("Dover", body), &mut scratch).unwrap_or_else(|e| panic!("{e}"));
        }
    }
}
