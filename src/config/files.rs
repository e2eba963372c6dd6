//! The files of a configuration folder, and whether they have changed.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use crate::config::subscriptions;
use crate::model::subscription::Secret;

/// What a configuration folder may hold beside rules.
const OTHERS: [&str; 3] = ["wirebell.yaml", "sources.yaml", "subscriptions.yaml"];
/// Longest file with one secret.
const MAX_SECRET: u64 = 16 << 10;

/// Files of a configuration folder, by name and text.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// `wirebell.yaml`
    pub settings: Option<(String, String)>,
    /// `sources.yaml`
    pub sources: Option<(String, String)>,
    /// `rules.yaml`, or `rules/*.yaml` in the order of their names.
    pub rules: Vec<(String, String)>,
    /// `subscriptions.yaml`
    pub subscriptions: Option<SubscriptionFiles>,
    /// The folder and what its files looked like before they were read.
    pub origin: Option<Origin>,
}

/// `subscriptions.yaml` and the files with secrets that it names.
#[derive(Clone, Debug)]
pub struct SubscriptionFiles {
    /// The file's name.
    pub name: String,
    /// Its text.
    pub text: String,
    /// What the other files hold, without white space at its ends, or why they cannot be read; by
    /// their names as written.
    pub named: BTreeMap<String, Result<Secret, String>>,
}

/// Files that are looked at, and how they looked.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// The file, and those that it names.
    pub paths: Vec<PathBuf>,
    /// How they looked before they were read.
    pub stamp: Stamp,
}

/// A configuration folder at the time it was read.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The folder.
    pub folder: PathBuf,
    /// The rule files.
    pub rules: Stamp,
    /// The file of sources.
    pub sources: Stamp,
    /// The file of subscriptions, and those that it names.
    pub subscriptions: Watched,
}

/// What files look like from outside: a change of their content or of their number changes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp(Vec<Look>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    path: PathBuf,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
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
    if named && !dir.is_dir() {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Unreadable { path: dir.to_owned(), source });
    }
    // The stamps first: what changes while it is read is read again.
    let (rules, sources) = (rules_stamp(dir)?, sources_stamp(dir)?);
    let (subscriptions, watched) = read_subscriptions(dir)?;
    let origin = Origin { folder: dir.to_owned(), rules, sources, subscriptions: watched };
    Ok(Files {
        settings: read(&dir.join("wirebell.yaml"))?,
        sources: read_sources(dir)?,
        rules: folder_rules(dir)?,
        subscriptions,
        origin: Some(origin),
    })
}

/// Reads the rule files of a configuration folder.
pub fn folder_rules(dir: &Path) -> Result<Vec<(String, String)>, Unreadable> {
    read_all(rule_paths(dir)?)
}

/// Reads rule files: one file, a configuration folder, or a folder of nothing but rule files. A
/// configuration folder without any has the shipped ones.
pub fn read_rules(path: &Path) -> Result<Vec<(String, String)>, Unreadable> {
    if path.is_dir() {
        let rules = folder_rules(path)?;
        if !rules.is_empty() {
            return Ok(rules);
        }
        if OTHERS.iter().any(|name| path.join(name).exists()) {
            return Ok(super::or_shipped(rules));
        }
        return read_all(yaml_paths(path)?);
    }
    let source = std::io::Error::from(std::io::ErrorKind::NotFound);
    let absent = Unreadable { path: path.to_owned(), source };
    read(path)?.map(|file| vec![file]).ok_or(absent)
}

/// Reads the file of sources of a folder.
pub fn read_sources(dir: &Path) -> Result<Option<(String, String)>, Unreadable> {
    read(&dir.join("sources.yaml"))
}

/// Reads the file of subscriptions of a folder and the files that it names. How each looked is
/// noted before it is read.
pub fn read_subscriptions(dir: &Path) -> Result<(Option<SubscriptionFiles>, Watched), Unreadable> {
    let path = dir.join("subscriptions.yaml");
    let mut paths = vec![path.clone()];
    let mut looks = stamp(paths.clone())?;
    let Some((name, text)) = read(&path)? else {
        return Ok((None, Watched { paths, stamp: looks }));
    };
    let names = subscriptions::named(&text);
    paths.extend(names.iter().map(|name| dir.join(name)));
    looks.0.extend(stamp(paths.iter().skip(1).cloned().collect())?.0);
    let named = names.into_iter().map(|name| {
        let secret = read_secret(&dir.join(&name)).map_err(|error| error.to_string());
        (name, secret)
    });
    let files = SubscriptionFiles { name, text, named: named.collect() };
    Ok((Some(files), Watched { paths, stamp: looks }))
}

fn read_secret(path: &Path) -> std::io::Result<Secret> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_SECRET + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SECRET {
        return Err(std::io::Error::other(format!("it has more than {MAX_SECRET} bytes")));
    }
    Ok(Secret::new(text.trim().to_owned()))
}

impl Watched {
    /// How they look now.
    pub fn now(&self) -> Result<Stamp, Unreadable> {
        stamp(self.paths.clone())
    }
}

/// What the rule files of a folder look like now.
pub fn rules_stamp(dir: &Path) -> Result<Stamp, Unreadable> {
    let mut paths = rule_paths(dir)?;
    let rules = stamp(paths.clone())?;
    if rules.is_empty() {
        return Ok(rules);
    }
    // What forces them belongs to them: when it comes, they are looked at again.
    paths.push(force_file(dir));
    stamp(paths)
}

/// What the file of sources looks like now.
pub fn sources_stamp(dir: &Path) -> Result<Stamp, Unreadable> {
    stamp(vec![dir.join("sources.yaml")])
}

/// The file that names the one rule set that is taken although its forecast is beyond the budget.
pub fn force_file(dir: &Path) -> PathBuf {
    dir.join("rules.force")
}

/// The digest in that file; none without it.
pub fn forced_rules(dir: &Path) -> Result<Option<String>, Unreadable> {
    let text = read(&force_file(dir))?.map(|(_, text)| text);
    Ok(text.map(|text| text.trim().to_owned()))
}

/// `rules.yaml`, and the files of `rules/` in the order of their names.
fn rule_paths(dir: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let mut paths = vec![dir.join("rules.yaml")];
    paths.extend(yaml_paths(&dir.join("rules"))?);
    Ok(paths)
}

/// The YAML files of a folder in the order of their names; none where there is no such folder.
fn yaml_paths(folder: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let mut paths = Vec::new();
    if folder.is_dir() {
        let unreadable = |source| Unreadable { path: folder.to_owned(), source };
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            paths.push(entry.map_err(unreadable)?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
        paths.sort();
    }
    Ok(paths)
}

fn read_all(paths: Vec<PathBuf>) -> Result<Vec<(String, String)>, Unreadable> {
    let mut files = Vec::new();
    for path in paths {
        files.extend(read(&path)?);
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Option<(String, String)>, Unreadable> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.display().to_string(), text))),
        Err(error) if is_absent(&error) => Ok(None),
        Err(source) => Err(Unreadable { path: path.to_owned(), source }),
    }
}

pub(super) fn stamp(paths: Vec<PathBuf>) -> Result<Stamp, Unreadable> {
    let mut looks = Vec::new();
    for path in paths {
        match std::fs::metadata(&path) {
            Ok(file) => looks.push(Look {
                path,
                inode: file.ino(),
                size: file.size(),
                modified: (file.mtime(), file.mtime_nsec()),
                changed: (file.ctime(), file.ctime_nsec()),
            }),
            Err(error) if is_absent(&error) => {}
            Err(source) => return Err(Unreadable { path, source }),
        }
    }
    Ok(Stamp(looks))
}

/// Also where the folder itself is not there.
fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}
