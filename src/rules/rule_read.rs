//! Reads one rule.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::Lang;
use crate::model::Mode;
use crate::model::Rule;
use crate::model::RuleId;
use crate::model::Topic;
use crate::model::rule::Confirm;
use crate::model::rule::KeyBy;
use crate::model::rule::UpdateEvery;
use crate::rules::evidence::Item;
use crate::rules::parser::parse;
use crate::rules::query::Node;
use crate::rules::query::QueryError;
use crate::rules::query::Scope;
use crate::rules::query::check_near;
use crate::rules::read::Fields;
use crate::rules::read::Reader;
use crate::rules::spec::Tests;
use crate::rules::spec_read;
use crate::rules::spec_read::SEVERITIES;
use crate::rules::words::Words;
use crate::rules::yaml::Content;
use crate::rules::yaml::Yaml;
use crate::text::fold;

pub(crate) const KEYS: &[&str] = &[
    "id",
    "title",
    "topic",
    "any",
    "all",
    "when",
    "unless",
    "in",
    "unless_in",
    "lang",
    "sources",
    "not_sources",
    "severity",
    "key",
    "update_every",
    "close_after",
    "max_age",
    "confirm",
    "ends",
    "retracts",
    "mode",
    "budget",
    "tests",
];
pub(crate) const CONFIRM: &[&str] = &["distinct_sources", "within", "severity"];
const SCOPES: &[(&str, Scope)] =
    &[("title", Scope::Title), ("lead", Scope::Lead), ("anywhere", Scope::Anywhere)];

/// A rule as it matches.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    /// Groups of items; one of each must match.
    pub(crate) groups: Vec<Vec<Item>>,
    /// None of these may match.
    pub(crate) unless: Vec<Item>,
    pub(crate) scope: Scope,
    pub(crate) unless_scope: Scope,
    /// Filters; an empty one lets everything through. Sources are folded.
    pub(crate) langs: Vec<Lang>,
    pub(crate) sources: Vec<String>,
    pub(crate) not_sources: Vec<String>,
    pub(crate) budget: Option<u32>,
    pub(crate) tests: Option<Box<Tests>>,
}

impl Matcher {
    /// Whether it lets only some articles through.
    pub(crate) fn has_filter(&self) -> bool {
        !(self.langs.is_empty() && self.sources.is_empty() && self.not_sources.is_empty())
    }

    /// A rule of one query without lists, named by number.
    pub(crate) fn of_query(number: usize, query: &str) -> Result<(Rule, Self), QueryError> {
        let node = parse(query, &HashMap::new())?;
        check_near(&node, &|_| false)?;
        let id = RuleId::new(format!("r{number}")).expect("a letter and digits are an id");
        let matcher = Self {
            groups: vec![vec![item("when".to_owned(), node)]],
            unless: Vec::new(),
            scope: Scope::default(),
            unless_scope: Scope::default(),
            langs: Vec::new(),
            sources: Vec::new(),
            not_sources: Vec::new(),
            budget: None,
            tests: None,
        };
        Ok((Rule::with_defaults(id), matcher))
    }
}

/// A rule and what the other rules must be known for.
pub(crate) struct Draft<'y> {
    pub(crate) rule: Rule,
    pub(crate) matcher: Matcher,
    /// The node of the id.
    pub(crate) id: &'y Yaml,
    /// Rules it ends and takes back, with the node of each.
    pub(crate) ends: Vec<(RuleId, &'y Yaml)>,
    pub(crate) retracts: Vec<(RuleId, &'y Yaml)>,
}

/// Reads a rule; none where it has no usable id. Every problem is noted.
pub(crate) fn rule<'y>(
    node: &'y Yaml,
    words: &mut Words,
    reader: &mut Reader<'_, '_>,
) -> Option<Draft<'y>> {
    let fields = reader.fields(node, "a rule", KEYS);
    let Some(id_node) = fields.get("id") else {
        if matches!(node.content, Content::Map(_)) {
            reader.error(node, "missing", "the rule has no id", "add id: some-name");
            body(RuleId::new("unnamed").ok()?, &fields, words, reader);
        }
        return None;
    };
    let id = reader.parsed(id_node, "rule id", RuleId::new);
    // What else is wrong with a rule is told whether or not its id is good.
    let known = id.is_some();
    let id = id.or_else(|| RuleId::new("unnamed").ok())?;
    let has_words = ["any", "all", "when"].iter().any(|name| fields.get(name).is_some());
    if !has_words && fields.is_plain {
        let message = format!(
            "the rule {} has none of any, all and when",
            if known { id.as_str() } else { "of this id" }
        );
        reader.error(id_node, "missing", message, "add any: and the words that announce the topic");
    }
    let Body { rule, matcher, ends, retracts } = body(id, &fields, words, reader);
    known.then_some(Draft { rule, matcher, id: id_node, ends, retracts })
}

type Names<'y> = Vec<(RuleId, &'y Yaml)>;

struct Body<'y> {
    rule: Rule,
    matcher: Matcher,
    ends: Names<'y>,
    retracts: Names<'y>,
}

/// Everything but the id.
fn body<'y>(
    id: RuleId,
    fields: &Fields<'y>,
    words: &mut Words,
    reader: &mut Reader<'_, '_>,
) -> Body<'y> {
    let groups = groups(fields, words, reader);
    let scope = |name: &str, reader: &mut Reader<'_, '_>| {
        fields.get(name).and_then(|n| reader.choice(n, name, SCOPES)).unwrap_or_default()
    };
    let matcher = Matcher {
        groups,
        unless: items(fields, "unless", words, reader),
        scope: scope("in", reader),
        unless_scope: scope("unless_in", reader),
        langs: langs(fields, reader),
        sources: sources(fields, "sources", reader),
        not_sources: sources(fields, "not_sources", reader),
        budget: fields.get("budget").and_then(|n| reader.number(n, "budget", (1, u32::MAX))),
        tests: fields.get("tests").map(|n| Box::new(spec_read::tests(n, reader))),
    };
    let life = life(id, fields, reader);
    Body {
        rule: life,
        matcher,
        ends: named(fields, "ends", reader),
        retracts: named(fields, "retracts", reader),
    }
}

fn groups(fields: &Fields<'_>, words: &mut Words, reader: &mut Reader<'_, '_>) -> Vec<Vec<Item>> {
    let mut groups = Vec::new();
    if let Some(node) = fields.get("when") {
        let query = reader.text(node, "when").and_then(|text| words.query(node, text, reader));
        groups.push(query.map(|query| item("when".to_owned(), query)).into_iter().collect());
    }
    if fields.get("any").is_some() {
        groups.push(items(fields, "any", words, reader));
    }
    let all = filled(fields, "all", reader);
    for (number, node) in all.iter().enumerate() {
        let term = format!("all[{number}]");
        groups.push(match &node.content {
            Content::List(entries) => {
                if entries.is_empty() {
                    let message = format!("{term} is empty");
                    reader.error(node, "missing", message, "give it an entry or leave it out");
                }
                let entries = entries.iter().enumerate();
                let items = entries.filter_map(|(inner, entry)| {
                    let query = query(entry, &term, words, reader)?;
                    Some(item(format!("{term}[{inner}]"), query))
                });
                items.collect()
            }
            _ => query(node, &term, words, reader).map(|q| item(term, q)).into_iter().collect(),
        });
    }
    groups
}

fn item(term: String, query: Node) -> Item {
    Item { term, query }
}

fn query(node: &Yaml, what: &str, words: &mut Words, reader: &mut Reader<'_, '_>) -> Option<Node> {
    let text = reader.text(node, what)?;
    words.query(node, text, reader)
}

fn items(
    fields: &Fields<'_>,
    name: &str,
    words: &mut Words,
    reader: &mut Reader<'_, '_>,
) -> Vec<Item> {
    let entries = filled(fields, name, reader);
    let numbered = entries.iter().enumerate();
    let items = numbered.filter_map(|(number, entry)| {
        let query = query(entry, name, words, reader)?;
        Some(item(format!("{name}[{number}]"), query))
    });
    items.collect()
}

/// The entries of a key that is there; it must have some.
fn filled<'y>(fields: &Fields<'y>, name: &str, reader: &mut Reader<'_, '_>) -> &'y [Yaml] {
    let (Some(key), Some(node)) = (fields.key(name), fields.get(name)) else { return &[] };
    if matches!(&node.content, Content::List(list) if list.is_empty()) {
        let message = format!("{name} is empty");
        reader.error(key, "missing", message, "give it an entry or leave it out");
    }
    reader.list(node, name)
}

fn langs(fields: &Fields<'_>, reader: &mut Reader<'_, '_>) -> Vec<Lang> {
    let items = filled(fields, "lang", reader);
    items.iter().filter_map(|n| reader.parsed(n, "language tag", Lang::new)).collect()
}

fn sources(fields: &Fields<'_>, name: &str, reader: &mut Reader<'_, '_>) -> Vec<String> {
    let items = filled(fields, name, reader);
    items.iter().filter_map(|node| reader.text(node, name).map(fold)).collect()
}

fn named<'y>(
    fields: &Fields<'y>,
    name: &str,
    reader: &mut Reader<'_, '_>,
) -> Vec<(RuleId, &'y Yaml)> {
    let items = filled(fields, name, reader);
    let ids = items.iter().filter_map(|n| Some((reader.parsed(n, "rule id", RuleId::new)?, n)));
    ids.collect()
}

/// The life-cycle half.
fn life(id: RuleId, fields: &Fields<'_>, reader: &mut Reader<'_, '_>) -> Rule {
    let mut rule = Rule::with_defaults(id);
    if let Some(title) = fields.get("title").and_then(|n| reader.text(n, "title")) {
        rule.title = title.to_owned();
    }
    if let Some(topic) = fields.get("topic").and_then(|n| reader.parsed(n, "topic", Topic::new)) {
        rule.topic = topic;
    }
    if let Some(n) = fields.get("severity") {
        rule.severity = reader.choice(n, "severity", SEVERITIES).unwrap_or_default();
    }
    let keys = [("place", KeyBy::Place), ("source", KeyBy::Source), ("none", KeyBy::None)];
    if let Some(n) = fields.get("key") {
        rule.key = reader.choice(n, "key", &keys).unwrap_or_default();
    }
    let modes = [("live", Mode::Live), ("shadow", Mode::Shadow)];
    if let Some(n) = fields.get("mode") {
        rule.mode = reader.choice(n, "mode", &modes).unwrap_or_default();
    }
    if let Some(n) = fields.get("update_every") {
        rule.update_every = update_every(n, reader);
    }
    let mut duration = |name: &str, slot: &mut Duration| {
        let given = fields.get(name).and_then(|n| reader.duration(n, name));
        *slot = given.unwrap_or(*slot);
    };
    duration("close_after", &mut rule.close_after);
    duration("max_age", &mut rule.max_age);
    rule.confirm = fields.get("confirm").and_then(|n| confirm(n, reader));
    rule
}

fn update_every(node: &Yaml, reader: &mut Reader<'_, '_>) -> UpdateEvery {
    match &node.content {
        Content::Text(text, _) if text == "never" => UpdateEvery::Never,
        _ => {
            reader.duration(node, "update_every").map_or_else(Default::default, UpdateEvery::After)
        }
    }
}

fn confirm(node: &Yaml, reader: &mut Reader<'_, '_>) -> Option<Confirm> {
    let fields = reader.fields(node, "confirm", CONFIRM);
    let (Some(sources), Some(within)) = (fields.get("distinct_sources"), fields.get("within"))
    else {
        if fields.is_plain {
            let remedy = "write confirm: {distinct_sources: 3, within: 30m}";
            reader.error(node, "missing", "confirm needs distinct_sources and within", remedy);
        }
        return None;
    };
    let distinct_sources = reader.number(sources, "distinct_sources", (2, 1_000));
    let within = reader.duration(within, "within");
    let severity = fields.get("severity").map(|n| reader.choice(n, "severity", SEVERITIES));
    Some(Confirm {
        distinct_sources: distinct_sources?,
        within: within?,
        severity: severity.flatten(),
    })
}
