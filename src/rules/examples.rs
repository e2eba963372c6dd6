//! Runs `should_match` and `should_not_match`.

use crate::model::RuleId;
use crate::model::Time;
use crate::rules::run::Standing;
use crate::rules::set::Miss;
use crate::rules::set::RuleSet;
use crate::rules::spec::Example;
use crate::rules::spec::Position;
use crate::rules::spec::StoryArticle;
use crate::rules::spec::Tests;

/// A test of a rule file that fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}:{}: the rule {rule} {message}", at.file, at.line, at.column)]
pub struct TestFailure {
    /// The rule whose test it is.
    pub rule: RuleId,
    /// Where the test stands.
    pub at: Position,
    /// What happened instead.
    pub message: String,
}

impl RuleSet {
    /// Runs the examples of every rule on the whole set; stories are not run here.
    pub fn run_tests(&self) -> Vec<TestFailure> {
        let run = |(rule, tests): (&RuleId, &Tests)| -> Vec<TestFailure> {
            let examples = tests.examples();
            examples
                .filter_map(|(example, wanted)| self.try_example(rule, example, wanted))
                .collect()
        };
        self.tests().flat_map(run).collect()
    }

    /// Runs one example of a rule, which is to match or is not.
    pub fn try_example(
        &self,
        rule: &RuleId,
        example: &Example,
        wanted: bool,
    ) -> Option<TestFailure> {
        let message = self.failing(rule, example, wanted)?;
        Some(TestFailure { rule: rule.clone(), at: example.at.clone(), message })
    }

    fn failing(&self, rule: &RuleId, example: &Example, wanted: bool) -> Option<String> {
        let article = example.article.article("", Time::from_millis(0));
        let text = || quoted(&example.article);
        match (self.standing(rule, &article), wanted) {
            (Standing::Matches, true) | (Standing::Misses | Standing::Superseded(_), false) => None,
            (Standing::Superseded(by), true) => {
                Some(format!("should match {}, but {by} supersedes it there", text()))
            }
            (Standing::Misses, true) => {
                let why = match self.miss(rule, &article) {
                    Some(Miss::Filter(filter)) => format!("the filter {filter} keeps it out"),
                    Some(Miss::Item(term)) => format!("{term} does not match"),
                    Some(Miss::Unless(term, places)) => {
                        let words = places.first().map_or("", |e| e.text.as_str());
                        format!("{term} forbids {words:?}")
                    }
                    None => "it does not".to_owned(),
                };
                Some(format!("should match {}, but {why}", text()))
            }
            (Standing::Matches, false) => {
                let found = self.matches(&article).into_iter().find(|m| m.rule == *rule);
                let first = found.as_ref().and_then(|found| found.evidence.first());
                let why = first.map_or(String::new(), |e| format!(" by {:?} ({})", e.text, e.term));
                Some(format!("should not match {}, but does{why}", text()))
            }
        }
    }
}

fn quoted(article: &StoryArticle) -> String {
    let text = if article.title.is_empty() { &article.body } else { &article.title };
    let short: String = text.chars().take(60).collect();
    format!("{short:?}")
}
