//! Reads the tests of a rule file.

use std::time::Duration;

use crate::model::EventKind;
use crate::model::Key;
use crate::model::Lang;
use crate::model::Nature;
use crate::model::RuleId;
use crate::model::Severity;
use crate::model::SourceId;
use crate::model::event::Confirmation;
use crate::model::event::Status;
use crate::rules::cap_read;
use crate::rules::nearest::nearest;
use crate::rules::read::Fields;
use crate::rules::read::Reader;
use crate::rules::spec::Act;
use crate::rules::spec::Example;
use crate::rules::spec::Expected;
use crate::rules::spec::Position;
use crate::rules::spec::Step;
use crate::rules::spec::Story;
use crate::rules::spec::StoryArticle;
use crate::rules::spec::Tests;
use crate::rules::yaml::Content;
use crate::rules::yaml::Yaml;

pub(crate) const ARTICLE: &[&str] = &[
    "title",
    "body",
    "lang",
    "source",
    "owner",
    "official",
    "url",
    "id",
    "age",
    "dated",
    "first_poll",
    "withdrawn",
    "cap",
];
pub(crate) const TESTS: &[&str] = &["should_match", "should_not_match", "story"];
pub(crate) const STEP: &[&str] = &["after", "article", "end", "retract", "tick", "expect"];
pub(crate) const EXPECTED: &[&str] = &[
    "type",
    "rule",
    "key",
    "severity",
    "status",
    "nature",
    "confirmation",
    "possible_end",
    "late",
    "independent_sources",
];

pub(crate) const SEVERITIES: &[(&str, Severity)] =
    &[("info", Severity::Info), ("warning", Severity::Warning), ("critical", Severity::Critical)];

/// The `tests` of a rule.
pub(crate) fn tests(node: &Yaml, reader: &mut Reader<'_, '_>) -> Tests {
    let fields = reader.fields(node, "tests", TESTS);
    let mut examples = |name: &str| {
        let items = fields.get(name).map_or(&[][..], |node| reader.list(node, name));
        items.iter().filter_map(|item| example(item, reader)).collect()
    };
    let should_match = examples("should_match");
    let should_not_match = examples("should_not_match");
    let story = fields.get("story").map(|node| story(node, reader));
    Tests { should_match, should_not_match, story }
}

fn example(node: &Yaml, reader: &mut Reader<'_, '_>) -> Option<Example> {
    Some(Example { at: position(node, reader), article: article(node, reader)? })
}

/// The steps of a story.
pub(crate) fn story(node: &Yaml, reader: &mut Reader<'_, '_>) -> Story {
    let at = position(node, reader);
    let steps = reader.list(node, "story").iter().filter_map(|s| step(s, reader)).collect();
    Story { at, steps }
}

fn position(node: &Yaml, reader: &Reader<'_, '_>) -> Position {
    let (line, column) = reader.source.position(node.start);
    Position { file: reader.source.name.to_owned(), line, column }
}

fn step(node: &Yaml, reader: &mut Reader<'_, '_>) -> Option<Step> {
    let fields = reader.fields(node, "a step", STEP);
    let after = match fields.get("after") {
        Some(node) => reader.duration(node, "after")?,
        None => Duration::ZERO,
    };
    let act = act(node, &fields, reader)?;
    let Some(expect) = fields.get("expect") else {
        let remedy = "write expect: opened, or expect: nothing";
        if fields.is_plain {
            reader.error(node, "missing", "the step expects nothing in particular", remedy);
        }
        return None;
    };
    let expect = expected(expect, reader);
    Some(Step { at: position(node, reader), after, act, expect })
}

fn act(node: &Yaml, fields: &Fields<'_>, reader: &mut Reader<'_, '_>) -> Option<Act> {
    let given = ["article", "end", "retract", "tick"];
    let present: Vec<&str> = given.into_iter().filter(|name| fields.get(name).is_some()).collect();
    if present.len() != 1 {
        if !fields.is_plain {
            return None;
        }
        let remedy = "write one of article, end, retract and tick: true";
        reader.error(node, "bad-value", "a step does one thing", remedy);
        return None;
    }
    let name = present.first().copied().unwrap_or_default();
    let value = fields.get(name)?;
    match name {
        "article" => Some(Act::Article(Box::new(article(value, reader)?))),
        "tick" => reader.flag(value, "tick").map(|_| Act::Tick),
        _ => {
            let text = reader.text(value, name)?;
            let parts = text
                .split_once('/')
                .and_then(|(rule, key)| Some((RuleId::new(rule).ok()?, Key::new(key).ok()?)));
            let Some((rule, key)) = parts else {
                let remedy = "write rule/key, such as ferry-stop/dover or ferry-stop/-";
                reader.error(value, "bad-value", format!("{text} names no alert"), remedy);
                return None;
            };
            Some(if name == "end" { Act::End(rule, key) } else { Act::Retract(rule, key) })
        }
    }
}

fn article(node: &Yaml, reader: &mut Reader<'_, '_>) -> Option<StoryArticle> {
    if let Content::Text(title, _) = &node.content {
        return Some(StoryArticle { title: title.clone(), ..StoryArticle::default() });
    }
    if let Content::Map(entries) = &node.content
        && let [(key, _)] = entries.as_slice()
        && key.scalar().is_some_and(|key| nearest(key, ARTICLE.iter().copied()).is_none())
    {
        let message = "a title with a colon and a space is a map in YAML";
        reader.error(node, "wrong-type", message, "put the title in single quotes");
        return None;
    }
    let fields = reader.fields(node, "an article", ARTICLE);
    let mut text = |name: &str| {
        let text = fields.get(name).and_then(|node| reader.text(node, name));
        text.map(str::to_owned)
    };
    let (title, body) = (text("title"), text("body"));
    let (owner, url, id) = (text("owner"), text("url"), text("id"));
    if title.is_none() && body.is_none() && fields.is_plain && fields.get("title").is_none() {
        reader.error(node, "missing", "the article has no text", "give it a title or a body");
    }
    let flag = |name: &str, reader: &mut Reader<'_, '_>| {
        fields.get(name).and_then(|node| reader.flag(node, name)).unwrap_or(false)
    };
    let undated = fields.get("dated").and_then(|n| reader.choice(n, "dated", &[("unknown", true)]));
    Some(StoryArticle {
        title: title.unwrap_or_default(),
        body: body.unwrap_or_default(),
        lang: fields.get("lang").and_then(|n| reader.parsed(n, "language tag", Lang::new)),
        source: fields.get("source").and_then(|n| reader.parsed(n, "source", SourceId::new)),
        owner,
        official: flag("official", reader),
        url,
        id,
        age: fields.get("age").and_then(|n| reader.duration(n, "age")).unwrap_or_default(),
        undated: undated.unwrap_or(false),
        first_poll: flag("first_poll", reader),
        withdrawn: flag("withdrawn", reader),
        cap: fields.get("cap").map(|node| cap_read::cap(node, reader)),
    })
}

fn expected(node: &Yaml, reader: &mut Reader<'_, '_>) -> Vec<Expected> {
    if let Content::Text(text, _) = &node.content
        && text == "nothing"
    {
        return Vec::new();
    }
    reader.list(node, "expect").iter().filter_map(|item| one_expected(item, reader)).collect()
}

fn one_expected(node: &Yaml, reader: &mut Reader<'_, '_>) -> Option<Expected> {
    if let Content::Text(..) = &node.content {
        let kind = kind(node, reader)?;
        return Some(Expected {
            kind,
            rule: None,
            key: None,
            severity: None,
            status: None,
            nature: None,
            confirmation: None,
            possible_end: None,
            late: None,
            independent_sources: None,
        });
    }
    let fields = reader.fields(node, "an expected event", EXPECTED);
    let Some(kind_node) = fields.get("type") else {
        if fields.is_plain {
            reader.error(node, "missing", "the expected event has no type", "write type: opened");
        }
        return None;
    };
    let kind = kind(kind_node, reader)?;
    let statuses = [
        ("open", Status::Open),
        ("ended", Status::Ended),
        ("retracted", Status::Retracted),
        ("expired", Status::Expired),
    ];
    let natures =
        [("actual", Nature::Actual), ("exercise", Nature::Exercise), ("test", Nature::Test)];
    let confirmations =
        [("unconfirmed", Confirmation::Unconfirmed), ("confirmed", Confirmation::Confirmed)];
    let get = |name: &str| fields.get(name);
    Some(Expected {
        kind,
        rule: get("rule").and_then(|n| reader.parsed(n, "rule id", RuleId::new)),
        key: get("key").and_then(|n| reader.parsed(n, "key", Key::new)),
        severity: get("severity").and_then(|n| reader.choice(n, "severity", SEVERITIES)),
        status: get("status").and_then(|n| reader.choice(n, "status", &statuses)),
        nature: get("nature").and_then(|n| reader.choice(n, "nature", &natures)),
        confirmation: get("confirmation")
            .and_then(|n| reader.choice(n, "confirmation", &confirmations)),
        possible_end: get("possible_end").and_then(|n| reader.flag(n, "possible_end")),
        late: get("late").and_then(|n| reader.flag(n, "late")),
        independent_sources: get("independent_sources")
            .and_then(|n| reader.number(n, "independent_sources", (0, u32::MAX))),
    })
}

/// An event type, with or without `alert.`.
fn kind(node: &Yaml, reader: &mut Reader<'_, '_>) -> Option<EventKind> {
    let short = |kind: EventKind| kind.as_str().trim_start_matches("alert.");
    let choices: Vec<(&str, EventKind)> = EventKind::ALL
        .into_iter()
        .map(|kind| (short(kind), kind))
        .chain(EventKind::ALL.into_iter().map(|kind| (kind.as_str(), kind)))
        .collect();
    reader.choice(node, "event type", &choices)
}
