//! The queries of a rule set with the places they stand at.

use std::collections::HashMap;

use crate::rules::lexer::Lexeme;
use crate::rules::lexer::lex;
use crate::rules::load::Part;
use crate::rules::parser::parse;
use crate::rules::query::Node;
use crate::rules::read::Fields;
use crate::rules::source::Source;
use crate::rules::yaml::Content;
use crate::rules::yaml::Yaml;

/// Numbers of the lists by name.
pub(super) type Ids = HashMap<String, usize>;

/// A query where it stands.
pub(super) struct Query<'y> {
    pub(super) node: &'y Yaml,
    pub(super) text: &'y str,
    pub(super) tree: Node,
    pub(super) pieces: Vec<Lexeme>,
}

/// Queries under one name: a list or a place.
pub(super) struct Named<'s, 'y> {
    pub(super) source: &'s Source<'s>,
    pub(super) name: &'y str,
    pub(super) key: &'y Yaml,
    pub(super) queries: Vec<Query<'y>>,
}

/// A rule as written.
pub(super) struct Rule<'s, 'y> {
    pub(super) source: &'s Source<'s>,
    pub(super) id: &'y Yaml,
    entries: &'y [(Yaml, Yaml)],
}

/// The queries of one key of a rule, of which one must match.
pub(super) struct Group<'y> {
    pub(super) name: String,
    pub(super) queries: Vec<Query<'y>>,
}

/// A rule set as written. The queries of rules are read one rule at a time.
pub(super) struct Sheet<'s, 'y> {
    pub(super) ids: Ids,
    pub(super) lists: Vec<Named<'s, 'y>>,
    pub(super) places: Vec<Named<'s, 'y>>,
    pub(super) rules: Vec<Rule<'s, 'y>>,
}

impl<'s, 'y> Sheet<'s, 'y> {
    pub(super) fn read(parts: &[Part<'s, 'y>]) -> Self {
        let names = parts.iter().flat_map(|part| part.words.iter().flat_map(Fields::iter));
        let ids: Ids = names.enumerate().map(|(id, (name, ..))| (name.to_owned(), id)).collect();
        let named = |which: for<'p> fn(&'p Part<'s, 'y>) -> Option<&'p Fields<'y>>| {
            let mut all = Vec::new();
            for part in parts {
                for (name, key, value) in which(part).into_iter().flat_map(Fields::iter) {
                    let queries = queries(value, &ids);
                    all.push(Named { source: part.source, name, key, queries });
                }
            }
            all
        };
        let (lists, places) = (named(|p| p.words.as_ref()), named(|p| p.places.as_ref()));
        let rules = parts.iter().flat_map(|part| {
            part.rules.iter().filter_map(|node| {
                let Content::Map(entries) = &node.content else { return None };
                let mut rule = Rule { source: part.source, id: node, entries };
                rule.id = rule.get("id")?;
                Some(rule)
            })
        });
        Self { lists, places, rules: rules.collect(), ids }
    }
}

impl<'y> Rule<'_, 'y> {
    /// The value of a key.
    pub(super) fn get(&self, name: &str) -> Option<&'y Yaml> {
        self.entry(name).map(|(_, value)| value)
    }

    /// The nodes of a key and its value.
    pub(super) fn entry(&self, name: &str) -> Option<(&'y Yaml, &'y Yaml)> {
        let entry = self.entries.iter().find(|(key, _)| key.scalar() == Some(name));
        entry.map(|(key, value)| (key, value))
    }

    /// The texts of a key that takes one or a list.
    pub(super) fn texts(&self, name: &str) -> Vec<(&'y Yaml, &'y str)> {
        self.get(name).map(texts).unwrap_or_default()
    }

    pub(super) fn name(&self) -> &'y str {
        self.id.scalar().unwrap_or_default()
    }

    /// Whether it has alerts of its own.
    pub(super) fn opens_alerts(&self) -> bool {
        self.texts("ends").is_empty() && self.texts("retracts").is_empty()
    }

    /// What must match, group by group, and then what must not.
    pub(super) fn groups(&self, ids: &Ids) -> Vec<Group<'y>> {
        let mut groups = Vec::new();
        for name in ["when", "any"] {
            let queries = self.get(name).map(|node| queries(node, ids));
            groups.extend(queries.map(|queries| Group { name: name.to_owned(), queries }));
        }
        let all = self.get("all").map(items).unwrap_or_default();
        for (number, node) in all.iter().enumerate() {
            groups.push(Group { name: format!("all[{number}]"), queries: queries(node, ids) });
        }
        let unless = self.get("unless").map(|node| queries(node, ids));
        groups.extend(unless.map(|queries| Group { name: "unless".to_owned(), queries }));
        groups
    }
}

impl Group<'_> {
    pub(super) fn forbids(&self) -> bool {
        self.name == "unless"
    }
}

fn items(node: &Yaml) -> &[Yaml] {
    match &node.content {
        Content::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}

fn texts(node: &Yaml) -> Vec<(&Yaml, &str)> {
    items(node).iter().filter_map(|item| Some((item, item.scalar()?))).collect()
}

fn queries<'y>(node: &'y Yaml, ids: &Ids) -> Vec<Query<'y>> {
    let read = |(node, text): (&'y Yaml, &'y str)| {
        // Whoever lints has loaded: a query that is none was an error.
        let (tree, pieces) = (parse(text, ids).ok()?, lex(text).ok()?);
        Some(Query { node, text, tree, pieces })
    };
    texts(node).into_iter().filter_map(read).collect()
}
