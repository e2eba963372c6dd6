//! Configuration: YAML, variables and flags to checked [`Settings`]; every problem at once.
//!
//! The loader takes texts and maps and touches no globals; [`read_dir`] is the one place that
//! opens files.

mod rule_tests;
mod settings;
mod sources;
mod stories;

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::rules::Problem;
use crate::rules::RuleSet;

pub use rule_tests::TestCase;
pub use rule_tests::Tested;
pub use rule_tests::test_rules;
pub use settings::Nats;
pub use settings::Settings;
pub use sources::Sources;

/// The defaults, commented: the file that is shipped.
pub const DEFAULTS: &str = include_str!("../config/wirebell.yaml");
/// The rules that are shipped; used where the folder has none.
pub const DEFAULT_RULES: &str = include_str!("../config/rules.yaml");

/// Files of a configuration folder, by name and text.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// `wirebell.yaml`
    pub settings: Option<(String, String)>,
    /// `sources.yaml`
    pub sources: Option<(String, String)>,
    /// `rules.yaml`, or `rules/*.yaml` in the order of their names.
    pub rules: Vec<(String, String)>,
}

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
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}")]
pub struct Unreadable {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// Reads a configuration folder. Files that are not there are left out; a folder that is not
/// there is an error where it was named.
pub fn read_dir(dir: &Path, named: bool) -> Result<Files, Unreadable> {
    if !dir.is_dir() {
        if named {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(Unreadable { path: dir.to_owned(), source });
        }
        return Ok(Files::default());
    }
    let mut rules: Vec<(String, String)> = read(&dir.join("rules.yaml"))?.into_iter().collect();
    rules.extend(read_folder(&dir.join("rules"))?);
    Ok(Files {
        settings: read(&dir.join("wirebell.yaml"))?,
        sources: read(&dir.join("sources.yaml"))?,
        rules,
    })
}

/// Reads rule files: one file, a configuration folder, or a folder of nothing but rule files.
pub fn read_rules(path: &Path) -> Result<Vec<(String, String)>, Unreadable> {
    if path.is_dir() {
        let rules = read_dir(path, true)?.rules;
        return if rules.is_empty() { read_folder(path) } else { Ok(rules) };
    }
    match read(path)? {
        Some(file) => Ok(vec![file]),
        None => {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            Err(Unreadable { path: path.to_owned(), source })
        }
    }
}

/// The YAML files of a folder in the order of their names; none where there is no such folder.
fn read_folder(folder: &Path) -> Result<Vec<(String, String)>, Unreadable> {
    let mut files = Vec::new();
    if folder.is_dir() {
        let unreadable = |source| Unreadable { path: folder.to_owned(), source };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            paths.push(entry.map_err(unreadable)?.path());
        }
        paths.sort();
        for path in paths.iter().filter(|p| p.extension().is_some_and(|e| e == "yaml")) {
            files.extend(read(path)?);
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Option<(String, String)>, Unreadable> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.display().to_string(), text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Unreadable { path: path.to_owned(), source }),
    }
}

/// Checks everything: settings, sources, rules and the rules' own tests.
pub fn load(files: &Files, overrides: &Overrides) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let settings = settings::load(files.settings.as_ref(), overrides, &mut problems);
    let sources = sources::load(files.sources.as_ref(), &mut problems);
    let rules = load_rules(&files.rules).map_err(|found| problems.extend(found)).ok();
    match (settings, rules) {
        (Some(settings), Some(rules)) if problems.is_empty() => {
            Ok(Config { settings, sources, rules: Arc::new(rules) })
        }
        _ => Err(problems),
    }
}

/// Loads a rule set and runs its tests; the shipped rules where there are no files.
pub fn load_rules(files: &[(String, String)]) -> Result<RuleSet, Vec<Problem>> {
    let tested = test_rules(&or_shipped(files.to_vec()))?;
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
