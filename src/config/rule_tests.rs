//! Runs the tests that rules carry: examples and stories.

use std::collections::HashMap;

use crate::config::stories::run_stories;
use crate::model::RuleId;
use crate::rules;
use crate::rules::Problem;
use crate::rules::RuleSet;
use crate::rules::Source;
use crate::rules::TestFailure;
use crate::rules::spec::Position;

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
    let failures = rules.run_tests().into_iter().chain(run_stories(&rules));
    let mut failed: HashMap<(RuleId, Position), Problem> = HashMap::new();
    let mut stories: HashMap<RuleId, Problem> = HashMap::new();
    let examples: HashMap<(&RuleId, &Position), ()> = rules
        .tests()
        .flat_map(|(rule, tests)| {
            let examples = tests.should_match.iter().chain(&tests.should_not_match);
            examples.map(move |example| ((rule, &example.at), ()))
        })
        .collect();
    for failure in failures {
        let problem = problem(&failure, &sources);
        if examples.contains_key(&(&failure.rule, &failure.at)) {
            failed.insert((failure.rule, failure.at), problem);
        } else {
            stories.insert(failure.rule, problem);
        }
    }
    let mut cases = Vec::new();
    for (rule, tests) in rules.tests() {
        let groups =
            [("should_match", &tests.should_match), ("should_not_match", &tests.should_not_match)];
        for (group, examples) in groups {
            for (number, example) in examples.iter().enumerate() {
                let failure = failed.remove(&(rule.clone(), example.at.clone()));
                let name = format!("{group}[{number}]");
                cases.push(TestCase { rule: rule.clone(), name, failure });
            }
        }
        if tests.story.is_some() {
            let failure = stories.remove(rule);
            cases.push(TestCase { rule: rule.clone(), name: "story".to_owned(), failure });
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
