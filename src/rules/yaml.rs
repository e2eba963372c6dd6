//! YAML as a tree that knows where everything stands. The one place that knows the YAML library.
//!
//! The tree is made from parser events, not through serde: serde stops at the first wrong type,
//! and a rule file is to be told all its problems at once.

use std::collections::HashMap;
use std::rc::Rc;

use serde_saphyr::granit_parser::Event;
use serde_saphyr::granit_parser::Parser;
pub(crate) use serde_saphyr::granit_parser::ScalarStyle;
use serde_saphyr::granit_parser::Span;

/// Deepest nesting of lists and maps.
pub(crate) const MAX_DEPTH: usize = 32;
/// Most aliases of a file.
pub(crate) const MAX_ALIASES: usize = 1_000;
/// Most nodes of a file, those behind aliases counted each time.
pub(crate) const MAX_NODES: usize = 4_000_000;

/// A node and the code points of the file that it spans.
#[derive(Clone, Debug)]
pub(crate) struct Yaml {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) content: Content,
}

/// What a node is. Scalars stay text: `no` and `3.10` are words like any other.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Text(String, ScalarStyle),
    List(Rc<Vec<Yaml>>),
    Map(Rc<Vec<(Yaml, Yaml)>>),
}

/// What is wrong with the YAML itself; `at` counts code points of the file.
#[derive(Debug)]
pub(crate) struct YamlError {
    pub(crate) at: usize,
    pub(crate) message: String,
    pub(crate) remedy: String,
}

impl Yaml {
    /// Whether it is left empty.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.content, Content::Text(text, ScalarStyle::Plain)
            if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// Its text, where it is one.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text, _) => Some(text),
            _ => None,
        }
    }

    /// A name for what it is.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            _ if self.is_null() => "nothing",
            Content::Text(..) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }
}

/// The tree of a file; an empty file is an empty map.
pub(crate) fn parse(text: &str) -> Result<Yaml, YamlError> {
    let mut builder = Builder::default();
    let mut last = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| syntax(text, e.marker().index(), &e.to_string()))?;
        last = span.end.index();
        builder.take(event, &span)?;
    }
    let empty = || Yaml { start: 0, end: last, content: Content::Map(Rc::default()) };
    Ok(builder.root.map_or_else(empty, |root| if root.is_null() { empty() } else { root }))
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Yaml>,
    anchors: HashMap<usize, (Yaml, usize)>,
    aliases: usize,
    nodes: usize,
}

struct Open {
    start: usize,
    anchor: usize,
    nodes_before: usize,
    key: Option<Yaml>,
    children: Children,
}

enum Children {
    List(Vec<Yaml>),
    Map(Vec<(Yaml, Yaml)>),
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
        let (start, end) = (span.start.index(), span.end.index());
        match event {
            Event::Scalar(value, style, anchor, _) => {
                let content = Content::Text(value.into_owned(), style);
                self.add(Yaml { start, end, content }, anchor, 1)
            }
            Event::Alias(anchor) => {
                self.aliases += 1;
                if self.aliases > MAX_ALIASES {
                    return Err(limit(start, format!("more than {MAX_ALIASES} aliases")));
                }
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(YamlError {
                        at: start,
                        message: "an alias stands inside of what it stands for".to_owned(),
                        remedy: "write the entries out".to_owned(),
                    });
                };
                self.add(Yaml { start, end, ..node }, 0, size)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(start, anchor, Children::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(start, anchor, Children::Map(Vec::new()))
            }
            Event::DocumentStart(..) if self.root.is_some() => Err(YamlError {
                at: start,
                message: "a second document in the file".to_owned(),
                remedy: "take the line --- out, or make it a file of its own".to_owned(),
            }),
            Event::SequenceEnd | Event::MappingEnd => self.close(end),
            _ => Ok(()),
        }
    }

    fn open(&mut self, start: usize, anchor: usize, children: Children) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(limit(start, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.open.push(Open { start, anchor, nodes_before: self.nodes, key: None, children });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let content = match open.children {
            Children::List(items) => Content::List(Rc::new(items)),
            Children::Map(entries) => Content::Map(Rc::new(entries)),
        };
        let size = self.nodes - open.nodes_before + 1;
        self.nodes = open.nodes_before;
        self.add(Yaml { start: open.start, end, content }, open.anchor, size)
    }

    fn add(&mut self, node: Yaml, anchor: usize, size: usize) -> Result<(), YamlError> {
        self.nodes += size;
        if self.nodes > MAX_NODES {
            return Err(limit(node.start, format!("more than {MAX_NODES} entries")));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { children: Children::List(items), .. }) => items.push(node),
            Some(Open { children: Children::Map(entries), key, .. }) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push((key, node)),
            },
        }
        Ok(())
    }
}

fn limit(at: usize, message: String) -> YamlError {
    YamlError {
        at,
        message,
        remedy: "divide it into smaller parts; a list under words: is used as $name".to_owned(),
    }
}

/// A syntax error in words a rule author can act on.
fn syntax(text: &str, at: usize, message: &str) -> YamlError {
    if let Some(at) = after_quoted_scalar(text, at) {
        return YamlError {
            at,
            message: "text after the closing quotation mark".to_owned(),
            remedy: "put the line in single quotes or drop the double quotes".to_owned(),
        };
    }
    let chars = || text.chars().skip(at);
    if let Some(at) = indenting_tab(text, at) {
        return YamlError {
            at,
            message: "a tab indents this line".to_owned(),
            remedy: "indent with spaces".to_owned(),
        };
    }
    let before: Vec<char> = text.chars().take(at).collect();
    let line: String = before.rsplit(|c| *c == '\n').next().unwrap_or_default().iter().collect();
    let (message, remedy) = match chars().next() {
        Some('*') => (
            "YAML reads what begins with * as an alias, and there is no such anchor".to_owned(),
            "put the text in single quotes",
        ),
        Some(c @ ('&' | '!' | '%' | '@' | '`')) => (
            format!("YAML gives {c} at the beginning of a text a meaning of its own"),
            "put the text in single quotes",
        ),
        Some(c @ ('[' | '{' | '"' | '\'')) => (
            format!("this {c} is not closed"),
            "add what closes it, at the end of the line or below",
        ),
        Some(':') if line.contains(": ") => (
            "a second colon with a space behind it, on one line".to_owned(),
            "put the text in single quotes",
        ),
        Some(':') => (
            "a key where none can stand".to_owned(),
            "close the bracket or quotation mark that is open above",
        ),
        Some(_) if line.trim().is_empty() => (
            "this line is not indented like those it belongs to".to_owned(),
            "begin it exactly below the keys or entries beside it",
        ),
        _ => {
            let message = message.split(" at ").next().unwrap_or(message);
            let remedy =
                "check indentation, brackets and quotation marks here and in the line before";
            (format!("this is no YAML: {message}"), remedy)
        }
    };
    YamlError { at, message, remedy: remedy.to_owned() }
}

/// A tab in the indentation of an error's line or the line after it.
fn indenting_tab(text: &str, at: usize) -> Option<usize> {
    let mut start = 0;
    for line in text.split('\n') {
        let end = start + line.chars().count();
        if end >= at {
            let indent = line.chars().take_while(|c| matches!(c, ' ' | '\t'));
            if let Some(tab) = indent.enumerate().find(|(_, c)| *c == '\t') {
                return Some(start + tab.0);
            }
            if start > at {
                return None;
            }
        }
        start = end + 1;
    }
    None
}

/// Where text goes on after a quoted scalar, on the line of an error or the line before it:
/// `when: "swing bridge" NEAR/3 closed` ends at the second quotation mark for YAML.
fn after_quoted_scalar(text: &str, at: usize) -> Option<usize> {
    let mut start = 0;
    let mut candidates = Vec::new();
    for line in text.split('\n') {
        let length = line.chars().count() + 1;
        if start > at {
            break;
        }
        candidates.push((start, line));
        start += length;
    }
    candidates.iter().rev().take(2).find_map(|(start, line)| Some(start + trap(line)?))
}

/// Column, from 0, of text after a quoted scalar that began the value.
fn trap(line: &str) -> Option<usize> {
    let chars: Vec<char> = line.chars().collect();
    let mut at = 0;
    while let Some(c) = chars.get(at) {
        let opens = matches!(c, '"' | '\'') && begins_value(chars.get(..at).unwrap_or_default());
        at += 1;
        if !opens {
            continue;
        }
        let close = (at..chars.len()).find(|i| chars.get(*i) == Some(c))?;
        let next = (close + 1..chars.len()).find(|i| chars.get(*i) != Some(&' '))?;
        match chars.get(next) {
            Some(',' | ']' | '}' | ':' | '#') => at = next,
            _ => return Some(next),
        }
    }
    None
}

fn begins_value(before: &[char]) -> bool {
    let rest = before.iter().rev().find(|c| **c != ' ');
    matches!(rest, None | Some(':' | '-' | '[' | ',' | '{'))
}
