//! CAP messages in the life of alerts, beyond the table of stories.

use wirebell::config::load_rules;

const HEAD: &str = "version: 1
places: {dover: [Dover], calais: [Calais], deal: [Deal]}
rules:
  - {id: ferry-correction, retracts: ferry-stop, any: [reported in error]}
  - {id: ferry-resumes, ends: ferry-stop, any: [running again]}
  - id: ferry-stop
    any: [ferries suspended]
    unless: [drill]
    tests:
      should_not_match: [Model ferries]
      story:
";

/// The story passes, or the failure says which step does not.
fn told(steps: &str) {
    let text = format!("{HEAD}{steps}");
    if let Err(problems) = load_rules(&[("story.yaml".to_owned(), text)], false) {
        panic!("{}", problems[0]);
    }
}

#[test]
fn a_cancel_for_some_areas_ends_the_alerts_of_these() {
    told(
        "        - article: {title: Ferries suspended, source: port, cap: {id: m1, areas: [Dover, Calais]}}
          expect: [{type: opened, key: dover}, {type: opened, key: calais}]
        - after: 1m
          article: {title: Over, source: port, cap: {id: m2, msg_type: Cancel, references: [m1], areas: [Calais]}}
          expect: [{type: ended, key: calais}]
        - after: 1m
          article: {title: Over, source: port, cap: {id: m3, msg_type: Cancel, references: [m1]}}
          expect: [{type: ended, key: dover}]
",
    );
}

#[test]
fn an_update_leaves_old_areas_and_enters_new_ones() {
    told(
        "        - article: {title: Ferries suspended, source: port, cap: {id: m1, areas: [Dover, Calais]}}
          expect: [opened, opened]
        - after: 11m
          article: {title: Ferries suspended, source: port, cap: {id: m2, msg_type: Update, references: [m1], areas: [Dover, Deal]}}
          expect:
            - {type: updated, key: dover, independent_sources: 1}
            - {type: corrected, key: calais, independent_sources: 0}
            - {type: opened, key: deal}
        - after: 1m
          article: {title: Over, source: port, cap: {id: m3, msg_type: Update, references: [m2], response_type: AllClear, areas: [Deal]}}
          expect: [{type: ended, key: deal}]
",
    );
}

#[test]
fn an_extreme_message_raises_the_severity_at_once_and_nothing_lowers_it() {
    told(
        "        - article: {title: Ferries suspended at Dover, source: port, cap: {id: m1, severity: Severe}}
          expect: [{type: opened, severity: warning, confirmation: confirmed}]
        - after: 1m
          article: {title: Ferries suspended at Dover, source: port, cap: {id: m2, msg_type: Update, references: [m1], severity: Extreme}}
          expect: [{type: updated, severity: critical}]
        - after: 11m
          article: {title: Ferries suspended at Dover, source: port, cap: {id: m3, msg_type: Update, references: [m2], severity: Minor}}
          expect: [{type: updated, severity: critical}]
",
    );
}

#[test]
fn words_of_an_end_in_a_message_end_nothing() {
    told(
        "        - article: {title: Ferries suspended at Dover, source: a}
          expect: opened
        - after: 1m
          article: {title: Ferries running again at Dover, source: port, cap: {id: m1}}
          expect: nothing
        - after: 11m
          article: {title: Ferries suspended at Dover and not running again, source: port, cap: {id: m2}}
          expect: [{type: confirmed, possible_end: false}]
",
    );
}

#[test]
fn tests_and_exercises_never_touch_an_actual_alert() {
    told(
        "        - article: {title: Ferries suspended at Dover, source: a}
          expect: [{type: opened, nature: actual}]
        - after: 1m
          article: {title: Drill. Ferries suspended at Dover, source: port, cap: {id: m1, status: Test}}
          expect: [{type: opened, nature: test}]
        - after: 1m
          article: {title: Over, source: port, cap: {id: m2, status: Exercise, msg_type: Cancel, references: [m1]}}
          expect: nothing
        - after: 1m
          article: {title: Ferries running again at Dover, source: b}
          expect: [{type: ended, nature: actual}]
        - after: 1m
          article: {title: Over, source: port, cap: {id: m3, status: Test, msg_type: Cancel, references: [m1]}}
          expect: [{type: ended, nature: test}]
",
    );
}

#[test]
fn an_updated_message_is_in_force_as_long_as_the_update_says() {
    told(
        "        - article: {title: Ferries suspended at Dover, source: port, cap: {id: m1, expires_in: 9h}}
          expect: opened
        - after: 30m
          article: {title: Ferries suspended at Dover, source: port, cap: {id: m2, msg_type: Update, references: [m1], expires_in: 1h}}
          expect: updated
        - {after: 59m, tick: true, expect: nothing}
        - {after: 1m, tick: true, expect: expired}
",
    );
}
