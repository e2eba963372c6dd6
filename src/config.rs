//! Configuration: YAML, variables and flags to checked [`Settings`]; every problem at once.
//!
//! The loader takes texts and maps and touches no globals; `files` is the one place that opens
//! files.

mod files;
mod rule_tests;
mod settings;
mod sources;
mod stories;
mod subscriptions;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::managed::Definitions;
use crate::api::managed::Examiner;
use crate::egress::Policy;
use crate::rules;
use crate::rules::Problem;
use crate::rules::RuleSet;
use crate::source::Sources;

pub use files::Files;
pub use files::Origin;
pub use files::Stamp;
pub use files::SubscriptionFiles;
pub use files::Unreadable;
pub use files::Watched;
pub use files::folder_rules;
pub use files::force_file;
pub use files::forced_rules;
pub use files::read_dir;
pub use files::read_rules;
pub use files::read_sources;
pub use files::read_subscriptions;
pub use files::rules_stamp;
pub use files::sources_stamp;
pub use rule_tests::TestCase;
pub use rule_tests::Tested;
pub use rule_tests::test_rules;
pub use rule_tests::test_rules_watched;
pub use settings::BadTokens;
pub use settings::Nats;
pub use settings::Settings;
pub use settings::Shown;
pub use settings::TokenFile;
pub use settings::Traces;
pub use settings::show;

/// The defaults, commented: the file that is shipped.
pub const DEFAULTS: &str = include_str!("../config/wirebell.yaml");
/// The rule of the canary, in force where one flies.
const CANARY_RULE: &str = "version: 1
rules:
  - id: canary
    title: Test of the whole path
    severity: info
    key: none
    sources: [canary]
    any: [wirebell canary]
    update_every: never
    tests:
      should_match: [{title: Wirebell canary, source: canary}]
      should_not_match: [Wirebell canary]
";
/// The rules that are shipped; used where the folder has none.
pub const DEFAULT_RULES: &str = include_str!("../config/rules.yaml");

/// Settings from elsewhere than files, by their path such as `nats.url`.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// From flags.
    pub flags: BTreeMap<String, String>,
    /// From the environment, by the variable's name.
    pub env: BTreeMap<String, String>,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Service settings.
    pub settings: Settings,
    /// Feeds and watched folders.
    pub sources: Sources,
    /// The rules, their tests passed.
    pub rules: Arc<RuleSet>,
    /// The subscriptions that are kept in the folder; none without a file.
    pub subscriptions: Definitions,
    /// Where rules, sources and subscriptions were read, so that they can be read again; none without a folder.
    pub origin: Option<Origin>,
}

/// Checks everything: settings, sources, rules and the rules' own tests, subscriptions.
pub fn load(files: &Files, overrides: &Overrides) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let settings = settings::load(files.settings.as_ref(), overrides, &mut problems);
    let sources = sources::load(files.sources.as_ref(), &mut problems);
    let origin = files.origin.clone();
    let canary = settings.as_ref().is_some_and(|settings| settings.canary.is_some());
    let rules = load_rules(&files.rules, canary).map_err(|found| problems.extend(found)).ok();
    let policy = settings.as_ref().map(Settings::policy);
    let examiner = Examiner::new(policy, rules.as_ref().map(topics));
    let subscriptions = subscriptions::load(files.subscriptions.as_ref(), &examiner, &mut problems);
    match (settings, rules) {
        (Some(settings), Some(rules)) if problems.is_empty() => {
            Ok(Config { settings, sources, rules: Arc::new(rules), subscriptions, origin })
        }
        _ => Err(problems),
    }
}

/// Checks the feeds and folders of a file; none without one.
pub fn load_sources(file: Option<&(String, String)>) -> Result<Sources, Vec<Problem>> {
    let mut problems = Vec::new();
    let sources = sources::load(file, &mut problems);
    if problems.is_empty() { Ok(sources) } else { Err(problems) }
}

/// Checks the subscriptions of a file against addresses and rules that are in force.
pub fn load_subscriptions(
    files: Option<&SubscriptionFiles>,
    policy: Policy,
    rules: &RuleSet,
) -> Result<Definitions, Vec<Problem>> {
    let mut problems = Vec::new();
    let examiner = Examiner::new(Some(policy), Some(topics(rules)));
    let subscriptions = subscriptions::load(files, &examiner, &mut problems);
    if problems.is_empty() { Ok(subscriptions) } else { Err(problems) }
}

fn topics(rules: &RuleSet) -> Vec<String> {
    rules.topics().into_iter().map(String::from).collect()
}

/// Loads a rule set and runs its tests; the shipped rules where there are no files. These are part
/// of this program, and their tests are among its own: a start does not wait for them again. Where
/// a canary flies, its rule is one of them.
pub fn load_rules(files: &[(String, String)], canary: bool) -> Result<RuleSet, Vec<Problem>> {
    let mut files = or_shipped(files.to_vec());
    let shipped = matches!(files.as_slice(), [(_, text)] if text == DEFAULT_RULES);
    if canary {
        files.push(("the canary's rule".to_owned(), CANARY_RULE.to_owned()));
    }
    if shipped {
        return rules::load(&files);
    }
    let tested = test_rules(&files)?;
    let failures = tested.failures();
    if failures.is_empty() { Ok(tested.rules) } else { Err(failures) }
}

/// The files of a rule set; the shipped rules where there are none.
pub fn or_shipped(files: Vec<(String, String)>) -> Vec<(String, String)> {
    if files.is_empty() {
        return vec![("config/rules.yaml".to_owned(), DEFAULT_RULES.to_owned())];
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_pass_their_tests_and_a_changed_copy_is_tested_at_each_load() {
        let tested = test_rules(&or_shipped(Vec::new())).unwrap();
        assert!(tested.cases.len() > 300 && tested.failures().is_empty());
        let failing = "\n  - {id: odd, any: [crane], should_match: [ship]}\n";
        let changed = vec![("rules.yaml".to_owned(), format!("{DEFAULT_RULES}{failing}"))];
        let problems = load_rules(&changed, false).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        load_rules(&[], false).unwrap();
    }
}
