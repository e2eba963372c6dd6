//! Runs the stories that rules carry, each on the whole rule set.

use crate::alerts::Run;
use crate::alerts::run::story_start;
use crate::model::Article;
use crate::model::DirectiveKind;
use crate::model::Event;
use crate::model::Found;
use crate::model::RuleId;
use crate::rules::RuleSet;
use crate::rules::TestFailure;
use crate::rules::spec::Act;
use crate::rules::spec::Expected;
use crate::rules::spec::Step;
use crate::rules::spec::Story;

/// Runs the story of a rule. It ends at its first failing step: the later ones build on it.
pub(crate) fn try_story(rules: &RuleSet, rule: &RuleId, story: &Story) -> Option<TestFailure> {
    let context = rules.context();
    let mut run = Run::new(context, |article: &Article| rules.found(article), story_start());
    for (number, step) in story.steps.iter().enumerate() {
        let found = events(&mut run, number, step);
        let fits = step.expect.len() == found.len()
            && step.expect.iter().zip(&found).all(|(wanted, event)| wanted.fits(event));
        if !fits {
            let number = number.saturating_add(1);
            let wanted = listed(step.expect.iter().map(expected));
            let found = listed(found.iter().map(happened));
            let message = format!("has a story whose step {number} expects {wanted}, not {found}");
            return Some(TestFailure { rule: rule.clone(), at: step.at.clone(), message });
        }
    }
    None
}

fn events<M: Fn(&Article) -> Found>(
    run: &mut Run<'_, M>,
    number: usize,
    step: &Step,
) -> Vec<Event> {
    let mut events = run.wait(step.after);
    let now = run.now();
    events.extend(match &step.act {
        Act::Article(told) => run.take(told.article(&format!("step {number}"), now)).events,
        Act::End(rule, key) => run.decide(DirectiveKind::End, rule, key).events,
        Act::Retract(rule, key) => run.decide(DirectiveKind::Retract, rule, key).events,
        Act::Tick => Vec::new(),
    });
    events
}

fn listed(events: impl Iterator<Item = String>) -> String {
    let events: Vec<String> = events.collect();
    if events.is_empty() { "nothing".to_owned() } else { events.join(", ") }
}

fn expected(wanted: &Expected) -> String {
    let mut text = wanted.kind.as_str().to_owned();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!(" {name}={value}"));
        }
    };
    add("rule", wanted.rule.as_ref().map(ToString::to_string));
    add("key", wanted.key.as_ref().map(ToString::to_string));
    add("severity", wanted.severity.map(|s| word(&s)));
    add("status", wanted.status.map(|s| word(&s)));
    add("nature", wanted.nature.map(|n| word(&n)));
    add("confirmation", wanted.confirmation.map(|c| word(&c)));
    add("possible_end", wanted.possible_end.map(|flag| flag.to_string()));
    add("late", wanted.late.map(|flag| flag.to_string()));
    add("independent_sources", wanted.independent_sources.map(|n| n.to_string()));
    text
}

/// An event with everything that an expectation can name.
fn happened(event: &Event) -> String {
    let alert = &event.alert;
    expected(&Expected {
        kind: event.kind,
        rule: Some(alert.rule.clone()),
        key: Some(alert.key.clone()),
        severity: Some(alert.severity),
        status: Some(alert.status),
        nature: Some(alert.nature),
        confirmation: Some(alert.confirmation),
        possible_end: Some(event.possible_end),
        late: Some(event.late),
        independent_sources: Some(alert.independent_sources),
    })
}

/// The word that a rule file has for it.
fn word<T: std::fmt::Debug>(value: &T) -> String {
    format!("{value:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::load;

    fn failures(expect: &str) -> Vec<String> {
        let text = format!(
            "version: 1\nrules:\n  - id: ferry-stop\n    key: none\n    any: [ferries suspended]\n    \
             tests:\n      should_match: [Ferries suspended]\n      \
             should_not_match: [Model ferries]\n      story:\n        \
             - {{article: Ferries suspended, expect: opened}}\n        \
             - {{after: 7h, tick: true, expect: {expect}}}\n"
        );
        let rules = load(&[("rules.yaml".to_owned(), text)]).unwrap();
        let stories = rules.tests().filter_map(|(rule, tests)| Some((rule, tests.story.as_ref()?)));
        let failures = stories.filter_map(|(rule, story)| try_story(&rules, rule, story));
        failures.map(|failure| failure.to_string()).collect()
    }

    #[test]
    fn a_story_that_is_told_as_written_passes() {
        assert_eq!(failures("expired"), Vec::<String>::new());
        assert_eq!(failures("[{type: alert.expired, key: '-'}]"), Vec::<String>::new());
    }

    #[test]
    fn a_failing_story_names_its_step_and_what_happened() {
        let found = failures("nothing");
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert!(one.starts_with("rules.yaml:11:"), "{one}");
        assert!(one.contains("step 2 expects nothing, not alert.expired rule=ferry-stop"), "{one}");
    }
}
