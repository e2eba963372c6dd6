//! Runs the tests that rules carry: examples and stories.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use crate::config::stories::try_story;
use crate::model::RuleId;
use crate::rules;
use crate::rules::Problem;
use crate::rules::RuleSet;
use crate::rules::Source;
use crate::rules::TestFailure;
use crate::rules::spec::Example;
use crate::rules::spec::Story;
use crate::rules::spec::Tests;
use crate::telemetry::Progress;

/// So few tests are not worth a thread.
const FEW: usize = 16;

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
    test_rules_watched(files, &Progress::default())
}

/// The same, with the tests counted as they are run.
pub fn test_rules_watched(
    files: &[(String, String)],
    progress: &Progress,
) -> Result<Tested, Vec<Problem>> {
    let rules = rules::load(files)?;
    let sources: HashMap<&str, Source<'_>> =
        files.iter().map(|(name, text)| (name.as_str(), Source::new(name, text))).collect();
    let tests: Vec<Test<'_>> = rules.tests().flat_map(tests).collect();
    progress.expect(tests.len());
    let failures = side_by_side(&tests, |test| {
        let failure = test.run(&rules);
        progress.step(1);
        failure
    });
    let case = |(test, failure): (&Test<'_>, Option<TestFailure>)| TestCase {
        rule: test.rule.clone(),
        name: test.name(),
        failure: failure.map(|failure| problem(&failure, &sources)),
    };
    let cases = tests.iter().zip(failures).map(case).collect();
    Ok(Tested { rules, cases })
}

/// One test of a rule, to be run.
struct Test<'r> {
    rule: &'r RuleId,
    what: What<'r>,
}

enum What<'r> {
    ShouldMatch(usize, &'r Example),
    ShouldNotMatch(usize, &'r Example),
    Story(&'r Story),
}

impl Test<'_> {
    fn name(&self) -> String {
        match self.what {
            What::ShouldMatch(number, _) => format!("should_match[{number}]"),
            What::ShouldNotMatch(number, _) => format!("should_not_match[{number}]"),
            What::Story(_) => "story".to_owned(),
        }
    }

    fn run(&self, rules: &RuleSet) -> Option<TestFailure> {
        match self.what {
            What::ShouldMatch(_, example) => rules.try_example(self.rule, example, true),
            What::ShouldNotMatch(_, example) => rules.try_example(self.rule, example, false),
            What::Story(story) => try_story(rules, self.rule, story),
        }
    }
}

/// The tests of a rule in the order they are told of.
fn tests<'r>((rule, tests): (&'r RuleId, &'r Tests)) -> Vec<Test<'r>> {
    let matching = tests.should_match.iter().enumerate().map(|(n, e)| What::ShouldMatch(n, e));
    let others = tests.should_not_match.iter().enumerate();
    let others = others.map(|(n, e)| What::ShouldNotMatch(n, e));
    let all = matching.chain(others).chain(tests.story.as_ref().map(What::Story));
    all.map(|what| Test { rule, what }).collect()
}

/// Runs tests on as many threads as there are processors; the answers in the order of the tests.
fn side_by_side<'t, T: Send>(
    tests: &'t [Test<'_>],
    run: impl Fn(&'t Test<'_>) -> T + Sync,
) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share = tests.len().div_ceil(threads).max(FEW);
    std::thread::scope(|scope| {
        let run = &run;
        let mut shares = tests.chunks(share);
        let own = shares.next().unwrap_or_default();
        let others: Vec<_> = shares
            .map(|share| scope.spawn(move || share.iter().map(run).collect::<Vec<T>>()))
            .collect();
        let mut answers: Vec<T> = own.iter().map(run).collect();
        for other in others {
            // A test that panics is a fault of ours: it must not look like one that passed.
            answers.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        answers
    })
}

fn problem(failure: &TestFailure, sources: &HashMap<&str, Source<'_>>) -> Problem {
    let message = format!("a test of {} fails: it {}", failure.rule, failure.message);
    let remedy = "change the rule or the test: both must agree";
    let empty = Source::new(&failure.at.file, "");
    let source = sources.get(failure.at.file.as_str()).unwrap_or(&empty);
    let at = source.offset(failure.at.line, failure.at.column);
    source.error((at, at + 1), "test", message, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    #[test]
    fn many_tests_are_told_of_in_their_order_with_those_that_fail() {
        let wrong = [0, 15, 16, 17, 60, 99];
        let title = |n| if wrong.contains(&n) { "Model ferries" } else { "Ferries suspended" };
        let lines: String = (0..100).map(|n| format!("        - {}\n", title(n))).collect();
        let text = format!(
            "version: 1\nrules:\n  - id: ferry-stop\n    key: none\n    any: [ferries suspended]\n    \
             tests:\n      should_match:\n{lines}      should_not_match: [Ferries suspended]\n"
        );
        let tested = test_rules(&[("r.yaml".to_owned(), text)]).unwrap();
        let names: Vec<String> = tested.cases.iter().map(|case| case.name.clone()).collect();
        let wanted = (0..100).map(|n| format!("should_match[{n}]"));
        let wanted: Vec<String> = wanted.chain(["should_not_match[0]".to_owned()]).collect();
        assert_eq!(names, wanted);
        let failed = tested.cases.iter().enumerate().filter(|(_, case)| case.failure.is_some());
        let failed: Vec<usize> = failed.map(|(n, _)| n).collect();
        assert_eq!(failed, [0, 15, 16, 17, 60, 99, 100]);
    }

    /// The shipped rules have it all: queries that the engine leaves to the definitions, `unless`,
    /// and rules that supersede others.
    #[test]
    fn an_example_is_judged_as_articles_are() {
        let rules = rules::load(&crate::config::or_shipped(Vec::new())).unwrap();
        let examples: Vec<&Example> =
            rules.tests().flat_map(|(_, tests)| tests.examples().map(|(e, _)| e)).collect();
        for example in examples.into_iter().step_by(5) {
            let article = example.article.article("", Time::from_millis(0));
            let matches = rules.matches(&article);
            for rule in rules.rules() {
                let found = matches.iter().find(|m| m.rule == rule.id);
                let rings = found.is_some_and(|m| m.superseded_by.is_none());
                for wanted in [true, false] {
                    let failure = rules.try_example(&rule.id, example, wanted);
                    let place = format!("{} {wanted} {failure:?} {article:?}", rule.id);
                    assert_eq!(failure.is_none(), rings == wanted, "{place}");
                }
            }
        }
    }
}
