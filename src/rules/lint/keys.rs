//! Keys of a rule: those that are missing, and those that change nothing.

use crate::model::Time;
use crate::rules::lint::Warnings;
use crate::rules::lint::code;
use crate::rules::lint::sheet::Rule;
use crate::rules::set::Miss;
use crate::rules::set::RuleSet;
use crate::rules::spec::Tests;
use crate::rules::yaml::Content;

/// What says how alerts live: a rule that ends or takes back those of others has none.
const OF_ALERTS: [&str; 9] = [
    "topic",
    "severity",
    "key",
    "update_every",
    "close_after",
    "max_age",
    "confirm",
    "mode",
    "budget",
];

pub(super) fn check(rule: &Rule<'_, '_>, warnings: &mut Warnings) {
    let has_counterexample = rule.get("tests").is_some_and(|tests| match &tests.content {
        Content::Map(entries) => {
            entries.iter().any(|(key, _)| key.scalar() == Some("should_not_match"))
        }
        _ => false,
    });
    if !has_counterexample {
        let message = format!("the rule {} has no should_not_match", rule.name());
        let remedy = "add under tests: an article that has its words and is not meant";
        warnings.at((rule.source, rule.id), code::NO_COUNTEREXAMPLE, message, remedy);
    }
    without_effect(rule, warnings);
}

fn without_effect(rule: &Rule<'_, '_>, warnings: &mut Warnings) {
    if !rule.opens_alerts() {
        let beside = if rule.get("ends").is_some() { "ends" } else { "retracts" };
        for (key, _) in OF_ALERTS.iter().filter_map(|name| rule.entry(name)) {
            let name = key.scalar().unwrap_or_default();
            let message = format!("{name} has no effect beside {beside}: this rule has no alerts");
            let remedy = "leave it out, or write it in the rule whose alerts are meant";
            warnings.at((rule.source, key), code::NO_EFFECT, message, remedy);
        }
    }
    if let (Some((key, _)), None) = (rule.entry("unless_in"), rule.get("unless")) {
        let message = "unless_in has no effect without unless";
        let remedy = "add unless:, or write in: for the words that must be there";
        warnings.at((rule.source, key), code::NO_EFFECT, message, remedy);
    }
}

/// Examples of what should match that the rule's own `unless` forbids.
pub(super) fn check_unless(
    rule: &Rule<'_, '_>,
    (id, tests): (&crate::model::RuleId, &Tests),
    set: &RuleSet,
    warnings: &mut Warnings,
) {
    let unless = rule.texts("unless");
    for example in tests.should_match.iter().filter(|_| !unless.is_empty()) {
        let article = example.article.article("", Time::from_millis(0));
        let Some(Miss::Unless(term, places)) = set.miss(id, &article) else { continue };
        let number = term.trim_start_matches("unless[").trim_end_matches(']').parse::<usize>();
        let Some((node, text)) = number.ok().and_then(|n| unless.get(n).copied()) else { continue };
        let title = &example.article.title;
        let shown = if title.is_empty() { &example.article.body } else { title };
        let shown: String = shown.chars().take(60).collect();
        let found = places.first().map(|e| format!(" (by {:?})", e.text)).unwrap_or_default();
        let message = format!("{text} forbids {shown:?}, which should match{found}");
        let remedy = "make it narrower, or take the example out of should_match";
        warnings.at((rule.source, node), code::UNLESS_HITS, message, remedy);
    }
}
