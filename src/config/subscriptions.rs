//! `subscriptions.yaml`: subscriptions for those who keep them in a repository.
//!
//! A definition is read into what the API reads, field by field, and judged by what judges there:
//! a field that the API takes is a field here. What is a secret stays out of every message.

mod shown;
mod values;

use std::collections::BTreeSet;

use crate::api::managed;
use crate::api::managed::Definition;
use crate::api::managed::Definitions;
use crate::api::managed::Examiner;
use crate::config::files::SubscriptionFiles;
use crate::model::SubscriptionName;
use crate::rules;
use crate::rules::Problem;
use crate::rules::yaml;
use crate::rules::yaml::Content;
use crate::rules::yaml::Yaml;
use shown::Hidden;
use values::Values;

/// Ends the key whose value stands in a file.
const FILE: &str = "_file";
/// Ends the refusal of an address that a setting can open.
const SETTING: &str = " (setting `egress.allow`)";
/// Most subscriptions of a file.
const MAX_SUBSCRIPTIONS: usize = 10_000;
/// What nobody is shown.
const SECRET: [&str; 3] = ["secret", "headers", "auth"];

/// What the file says; none without one. An empty list removes what the file had; a file that was
/// cut short must not, so it says its version and that it has a list.
pub(super) fn load(
    files: Option<&SubscriptionFiles>,
    examiner: &Examiner,
    problems: &mut Vec<Problem>,
) -> Definitions {
    let files = files?;
    let source = rules::Source::new(&files.name, &files.text);
    let tree = match yaml::parse(&files.text) {
        Ok(tree) => tree,
        Err(e) => {
            let problem = source.error((e.at, e.at + 1), "yaml", e.message, e.remedy);
            problems.push(shown::without_value(problem));
            return None;
        }
    };
    let mut found = Vec::new();
    let mut file = File {
        reader: rules::Reader::new(&source, &mut found),
        values: Values::new(files),
        hidden: Hidden::default(),
        examiner,
        names: BTreeSet::new(),
    };
    let definitions = file.read(&tree);
    let hidden = file.hidden;
    problems.extend(found.into_iter().map(|problem| hidden.out_of(problem, &source)));
    Some(definitions.into())
}

/// The files that a text names for values of its own. What is no YAML names none.
pub(super) fn named(text: &str) -> BTreeSet<String> {
    fn walk(node: &Yaml, names: &mut BTreeSet<String>) {
        match &node.content {
            Content::Text(..) => {}
            Content::List(items) => items.iter().for_each(|item| walk(item, names)),
            Content::Map(entries) => {
                for (key, value) in entries.iter() {
                    let is_named = key.scalar().is_some_and(|key| key.ends_with(FILE));
                    match value.scalar().filter(|_| is_named && !value.is_null()) {
                        Some(name) => drop(names.insert(name.to_owned())),
                        None => walk(value, names),
                    }
                }
            }
        }
    }
    let mut names = BTreeSet::new();
    if let Ok(tree) = yaml::parse(text) {
        walk(&tree, &mut names);
    }
    names
}

/// A file being read.
struct File<'a, 's, 'p> {
    reader: rules::Reader<'s, 'p>,
    values: Values<'a>,
    hidden: Hidden,
    examiner: &'a Examiner,
    names: BTreeSet<SubscriptionName>,
}

impl File<'_, '_, '_> {
    fn read(&mut self, tree: &Yaml) -> Vec<Definition> {
        let top = self.reader.fields(tree, "subscriptions.yaml", &["version", "subscriptions"]);
        let begin = Yaml { end: tree.start + 1, ..tree.clone() };
        match top.get("version") {
            Some(node) => drop(self.reader.choice(node, "version", &[("1", ())])),
            None if top.is_plain => {
                let message = "the file does not say its version";
                self.reader.error(&begin, "missing", message, "begin it with version: 1");
            }
            None => {}
        }
        let list = match top.get("subscriptions") {
            Some(list) => match &list.content {
                Content::List(items) => items.clone(),
                _ => {
                    let message = format!("subscriptions is {}, not a list", list.kind());
                    self.reader.error(list, "wrong-type", message, "write [] where there is none");
                    return Vec::new();
                }
            },
            None if top.is_plain => {
                let message = "the file has no subscriptions";
                let remedy = "write subscriptions: [] where there is none";
                self.reader.error(&begin, "missing", message, remedy);
                return Vec::new();
            }
            None => return Vec::new(),
        };
        if let Some(node) = list.get(MAX_SUBSCRIPTIONS) {
            let message = format!("more than {MAX_SUBSCRIPTIONS} subscriptions");
            self.reader.error(node, "limit", message, "make the others with the API");
        }
        list.iter().take(MAX_SUBSCRIPTIONS).filter_map(|node| self.one(node)).collect()
    }

    fn one(&mut self, node: &Yaml) -> Option<Definition> {
        let known = known(node);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let fields = self.reader.fields(node, "a subscription", &known);
        let name = match fields.get("name") {
            Some(name) => self.name(name),
            None => {
                let remedy = "add name: and a short one; the id follows from it";
                self.reader.error(node, "missing", "a subscription has no name", remedy);
                None
            }
        };
        let mut object = serde_json::Map::new();
        // What was told already is not told again as missing.
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for (key, key_node, value) in fields.iter().filter(|(key, ..)| *key != "name") {
            let is_field = managed::fields().contains(&key);
            let field = if is_field { key } else { key.trim_end_matches(FILE) };
            if SECRET.contains(&field) {
                self.hidden.add(value, key.ends_with(FILE));
            }
            if object.contains_key(field) || told.contains(field) {
                let message = format!("{field} stands here a second time");
                self.reader.error(key_node, "duplicate", message, "keep one of them");
                continue;
            }
            match self.values.field(&mut self.reader, (field, key), value) {
                Some(read) => drop(object.insert(field.to_owned(), read)),
                None => drop(told.insert(field)),
            }
        }
        let whole = told.is_empty() && fields.is_plain;
        // Any name will do to find what else is wrong.
        let named = name.clone().or_else(|| SubscriptionName::new("x").ok())?;
        match self.examiner.definition(named, object) {
            Ok(definition) => return name.filter(|_| whole).map(|_| definition),
            Err(faults) => {
                for (pointer, message) in faults {
                    let field = pointer.split('/').nth(1).unwrap_or_default();
                    let is_told =
                        told.contains(field) || (!fields.is_plain && !has(&fields, field));
                    if !is_told {
                        self.fault(node, &pointer, &message);
                    }
                }
            }
        }
        None
    }

    fn name(&mut self, node: &Yaml) -> Option<SubscriptionName> {
        let name = self.reader.parsed(node, "name", SubscriptionName::new)?;
        if !self.names.insert(name.clone()) {
            let message = format!("the name {name} is taken");
            self.reader.error(node, "duplicate", message, "choose another one");
            return None;
        }
        Some(name)
    }

    /// A fault as the API tells it, at its place in the file.
    fn fault(&mut self, node: &Yaml, pointer: &str, message: &str) {
        let (message, remedy) = match message.strip_suffix(SETTING) {
            Some(message) => (message, "open it with egress.allow, or write another address"),
            None => message.split_once(": ").unwrap_or((message, "change it")),
        };
        let place = place(node, pointer);
        let code = if std::ptr::eq(place, node) { "missing" } else { "bad-value" };
        self.reader.error(place, code, message, remedy);
    }
}

fn has(fields: &rules::Fields<'_>, field: &str) -> bool {
    fields.get(field).is_some() || fields.get(&format!("{field}{FILE}")).is_some()
}

/// The keys that are known in a definition: the fields of the API, and those of them that are read
/// from files here.
fn known(node: &Yaml) -> Vec<String> {
    let fields = managed::fields();
    let mut known: Vec<String> = vec!["name".to_owned()];
    known.extend(fields.iter().map(|field| (*field).to_owned()));
    known.push(format!("secret{FILE}"));
    if let Content::Map(entries) = &node.content {
        let keys = entries.iter().filter_map(|(key, _)| key.scalar());
        let of_file = |key: &&str| key.strip_suffix(FILE).is_some_and(|f| fields.contains(&f));
        let more: Vec<String> = keys.filter(of_file).map(str::to_owned).collect();
        known.extend(more);
    }
    known
}

/// Where a JSON pointer leads; as far as it leads.
fn place<'y>(node: &'y Yaml, pointer: &str) -> &'y Yaml {
    let mut at = node;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let next = match &at.content {
            Content::Map(entries) => entries.iter().find_map(|(key, value)| {
                let key = key.scalar()?;
                let key = key.strip_suffix(FILE).filter(|key| *key == part).unwrap_or(key);
                (key == part || key.eq_ignore_ascii_case(&part)).then_some(value)
            }),
            Content::List(items) => part.parse::<usize>().ok().and_then(|n| items.get(n)),
            Content::Text(..) => None,
        };
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}

#[cfg(test)]
mod tests;
