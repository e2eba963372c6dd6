//! Runs the tests that rules carry: examples and stories.

use std::collections::HashMap;

use crate::config::stories::try_story;
use crate::model::RuleId;
use crate::rules;
use crate::rules::Problem;
use crate::rules::RuleSet;
use crate::rules::Source;
use crate::rules::TestFailure;

/// One test of a rule and how it went.
#[derive(Clone, Debug)]
pub struct TestCase {
    /// The rule that carries it.
    pub rule: RuleId,
    /// Such as `should_match[0]`, or `story`.
    pub name: String,
    /// What happened instead of what is wanted.
    pub failure: Option<Problem>,
}

/// A rule set with its tests as they went.
#[derive(Debug)]
pub struct Tested {
    /// The rule set.
    pub rules: RuleSet,
    /// Its tests, in the order of the files.
    pub cases: Vec<TestCase>,
}

impl Tested {
    /// Everything that failed.
    pub fn failures(&self) -> Vec<Problem> {
        self.cases.iter().filter_map(|case| case.failure.clone()).collect()
    }
}

/// Loads a rule set and runs its tests.
pub fn test_rules(files: &[(String, String)]) -> Result<Tested, Vec<Problem>> {
    let rules = rules::load(files)?;
    let sources: HashMap<&str, Source<'_>> =
        files.iter().map(|(name, text)| (name.as_str(), Source::new(name, text))).collect();
    let case = |rule: &RuleId, name: String, failure: Option<TestFailure>| TestCase {
        rule: rule.clone(),
        name,
        failure: failure.map(|failure| problem(&failure, &sources)),
    };
    let mut cases = Vec::new();
    for (rule, tests) in rules.tests() {
        let groups = [
            ("should_match", &tests.should_match, true),
            ("should_not_match", &tests.should_not_match, false),
        ];
        for (group, examples, wanted) in groups {
            for (number, example) in examples.iter().enumerate() {
                let failure = rules.try_example(rule, example, wanted);
                cases.push(case(rule, format!("{group}[{number}]"), failure));
            }
        }
        if let Some(story) = &tests.story {
            cases.push(case(rule, "story".to_owned(), try_story(&rules, rule, story)));
        }
    }
    Ok(Tested { rules, cases })
}

fn problem(failure: &TestFailure, sources: &HashMap<&str, Source<'_>>) -> Problem {
    let message = format!("a test of {} fails: it {}", failure.rule, failure.message);
    let remedy = "change the rule or the test: both must agree";
    let empty = Source::new(&failure.at.file, "");
    let source = sources.get(failure.at.file.as_str()).unwrap_or(&empty);
    let at = source.offset(failure.at.line, failure.at.column);
    source.error((at, at + 1), "test", message, remedy)
}
