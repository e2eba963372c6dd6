//! The rules that come with Wirebell: their own tests, and the labelled articles.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;
use wirebell::model::Lang;
use wirebell::rules::RuleSet;

use crate::rule_files::article;
use crate::rule_files::loaded;

const SHIPPED: &str = include_str!("../../config/rules.yaml");
const TOPICS: &str = include_str!("../fixtures/topics.jsonl");
/// The rules may be improved by these articles.
const UNSEEN: &str = include_str!("../fixtures/unseen.jsonl");
/// The rules are only measured by these: whoever changes a rule does not read them.
const HELD_OUT: &str = include_str!("../fixtures/held_out.jsonl");
const LABELS: [&str; 4] = ["air-raid-alert", "all-clear", "correction", "military-talks"];

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
    let mut found: BTreeMap<&str, u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    for line in TOPICS.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let expected: BTreeSet<String> = serde_json::from_value(row["topics"].clone()).unwrap();
        let fired = fired(&set, &row);
        for topic in LABELS {
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
    let counts: Vec<u32> = LABELS.iter().map(|topic| found[topic]).collect();
    assert_eq!(counts, LABELLED, "{LABELS:?}");
}

/// Articles of each labelled topic, all of which are found.
const LABELLED: [u32; 4] = [12, 7, 6, 10];

/// How often a topic was rightly found, wrongly found, and missed.
#[derive(Default, Clone, Copy)]
struct Score {
    right: u32,
    wrong: u32,
    missed: u32,
}

impl Score {
    fn add(&mut self, expected: bool, found: bool) {
        match (expected, found) {
            (true, true) => self.right += 1,
            (false, true) => self.wrong += 1,
            (true, false) => self.missed += 1,
            (false, false) => {}
        }
    }

    /// At least 95 % of what it finds is the topic, and it finds at least 95 % of the topic.
    fn passes(self) -> bool {
        let share = |of: u32| self.right * 100 >= 95 * (self.right + of);
        self.right > 0 && share(self.wrong) && share(self.missed)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Score { right, wrong, missed } = *self;
        let share = |of: u32| f64::from(right) / f64::from((right + of).max(1));
        let (precision, recall) = (share(wrong), share(missed));
        write!(f, "{right:3} {wrong:3} {missed:3}  {precision:.3} {recall:.3}")
    }
}

/// Scores of the labelled topics, in all languages ("all") and in each.
fn scores(set: &RuleSet, articles: &str) -> BTreeMap<(&'static str, String), Score> {
    let mut scores: BTreeMap<_, Score> = BTreeMap::new();
    for line in articles.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let expected: BTreeSet<String> = serde_json::from_value(row["topics"].clone()).unwrap();
        let fired = fired(set, &row);
        for topic in LABELS {
            for lang in ["all", row["lang"].as_str().unwrap()] {
                let score = scores.entry((topic, lang.to_owned())).or_default();
                score.add(expected.contains(topic), fired.contains(topic));
            }
        }
    }
    scores
}

fn assert_passes(articles: &str) {
    let scores = scores(&loaded(SHIPPED), articles);
    let mut table = String::from("topic          language  right wrong missed precision recall\n");
    for ((topic, lang), score) in &scores {
        table += &format!("{topic:15} {lang:6} {score}\n");
    }
    for topic in LABELS {
        let all = scores[&(topic, "all".to_owned())];
        assert!(all.passes(), "{topic}: {all}\n{table}");
    }
}

#[test]
fn the_shipped_rules_find_the_topics_in_articles_they_are_improved_by() {
    assert_passes(UNSEEN);
}

#[test]
fn the_shipped_rules_find_the_topics_in_articles_they_were_not_written_by() {
    assert_passes(HELD_OUT);
}

#[test]
fn the_five_lines_of_the_rules_page_work_in_each_of_their_six_languages() {
    let page = include_str!("../../docs/rules.md");
    let block = page.split("```").find(|block| block.contains("id: air-alert")).unwrap();
    let rules = block.split_once('\n').unwrap().1;
    assert_eq!(rules.lines().count(), 5);
    let set = loaded(rules);
    let rows = [
        ("Air raid sirens wail in Haifa as rockets approach", true),
        ("Kyiv under air alert for a third time tonight", true),
        ("Schools hold drill: air raid sirens at noon", false),
        ("Харків: оголошено повітряну тривогу, усі в укриття", true),
        ("У Львові навчальна повітряна тривога", false),
        ("אזעקות הופעלו בחיפה ובקריות", true),
        ("צבע אדום בשדרות", true),
        ("תרגיל ארצי: אזעקות יישמעו מחר בבוקר", false),
        ("花蓮響起防空警報 民眾避難", true),
        ("基辅多地拉响防空警报", true),
        ("全市明日试鸣防空警报", false),
        ("北海道にJアラート、避難を呼びかけ", true),
        ("キーウに空襲警報", true),
        ("Jアラートの訓練を12日に実施", false),
        ("백령도에 공습경보 발령, 주민 대피", true),
        ("민방위 훈련 공습경보 사이렌 울린다", false),
    ];
    for (headline, rings) in rows {
        assert_eq!(!set.matches(&article(headline, "")).is_empty(), rings, "{headline}");
    }
}
