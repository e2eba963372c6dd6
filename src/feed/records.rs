//! Articles in JSON: an object, an array, or an object a line.

use std::fmt;

use serde_json::Map;
use serde_json::Value;

use crate::feed::Draft;
use crate::feed::clean;
use crate::feed::date;
use crate::feed::entry::web_link;
use crate::feed::withdrawn;
use crate::model::Lang;
use crate::model::SourceId;
use crate::model::Time;

/// What is wrong with a field of a pushed article, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which field, as a JSON pointer into the article; empty for the whole.
    pub pointer: String,
    /// What is wrong and how to mend it.
    pub message: String,
}

/// An article that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its line in the document, from 1, where that is known.
    pub line: Option<usize>,
    /// Everything that is wrong with it.
    pub errors: Vec<Fault>,
}

impl Fault {
    pub(super) fn new(pointer: &str, message: impl Into<String>) -> Self {
        Self { pointer: pointer.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.pointer.trim_start_matches('/');
        if name.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{name} {}", self.message)
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        let errors: Vec<String> = self.errors.iter().map(Fault::to_string).collect();
        f.write_str(&errors.join("; "))
    }
}

/// An answer for each article in the text.
pub(super) fn read(text: &str) -> Vec<Result<Draft, Rejected>> {
    let whole = text.trim_start();
    let before = text.len() - whole.len();
    let offset = newlines(text.get(..before).unwrap_or_default());
    if whole.is_empty() {
        return vec![Err(broken(1, "the document is empty; give an article as a JSON object"))];
    }
    if let Some(inside) = whole.strip_prefix('[') {
        return array(inside, offset + 1);
    }
    let first = whole.lines().next().unwrap_or_default().trim();
    let one_a_line = first.ends_with('}') && whole.trim_end().contains('\n');
    if one_a_line {
        return by_line(text);
    }
    vec![match serde_json::from_str::<Value>(whole) {
        Ok(value) => article(value, Some(offset + 1)),
        Err(e) => Err(broken(offset + e.line(), &syntax(&e))),
    }]
}

fn by_line(text: &str) -> Vec<Result<Draft, Rejected>> {
    let lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
    lines
        .map(|(n, line)| match serde_json::from_str::<Value>(line) {
            Ok(value) => article(value, Some(n + 1)),
            Err(e) => Err(broken(n + 1, &syntax(&e))),
        })
        .collect()
}

fn array(inside: &str, line: usize) -> Vec<Result<Draft, Rejected>> {
    let mut read = Vec::new();
    for (line, element) in (Elements { rest: inside, line, done: false }) {
        read.push(match element {
            Ok(value) => article(value, Some(line)),
            Err(message) => Err(broken(line, &message)),
        });
    }
    read
}

/// The elements of a JSON array, one at a time, so that a fault costs only what follows it.
pub(super) struct Elements<'a> {
    /// What follows `[` or the last element.
    pub(super) rest: &'a str,
    /// The line it is on.
    pub(super) line: usize,
    /// The array has ended.
    pub(super) done: bool,
}

impl Iterator for Elements<'_> {
    type Item = (usize, Result<Value, String>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        self.skip(|c| c.is_whitespace() || c == ',');
        if self.rest.starts_with(']') {
            self.done = true;
            return None;
        }
        if self.rest.is_empty() {
            self.done = true;
            return Some((
                self.line,
                Err("the array has no end; the document was cut off".to_owned()),
            ));
        }
        let at = self.line;
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                let end = values.byte_offset();
                let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
                self.line += newlines(taken);
                self.rest = rest;
                Some((at, Ok(value)))
            }
            Some(Err(e)) => {
                self.done = true;
                let message = format!("{} (what follows in the array is not read)", syntax(&e));
                Some((at + e.line().saturating_sub(1), Err(message)))
            }
            None => None,
        }
    }
}

impl Elements<'_> {
    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        let rest = self.rest.trim_start_matches(skipped);
        let (taken, _) = self.rest.split_at(self.rest.len() - rest.len());
        self.line += newlines(taken);
        self.rest = rest;
    }
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|b| *b == b'\n').count()
}

fn broken(line: usize, message: &str) -> Rejected {
    Rejected { line: Some(line), errors: vec![Fault::new("", message)] }
}

fn syntax(e: &serde_json::Error) -> String {
    format!("is not valid JSON at column {}: {e}; mend the syntax", e.column())
}

/// One article from its JSON.
fn article(value: Value, line: Option<usize>) -> Result<Draft, Rejected> {
    let Value::Object(fields) = value else {
        let message =
            format!("is {}; an article is a JSON object with title and body", name_of(&value));
        return Err(Rejected { line, errors: vec![Fault::new("", message)] });
    };
    let mut reader = Fields { fields, draft: Draft::default(), errors: Vec::new() };
    reader.texts();
    reader.names();
    reader.times();
    if reader.errors.is_empty() && reader.draft.is_empty() {
        reader
            .errors
            .push(Fault::new("/title", "and body are both empty; give at least one of them"));
    }
    if reader.errors.is_empty() {
        Ok(reader.draft)
    } else {
        Err(Rejected { line, errors: reader.errors })
    }
}

struct Fields {
    fields: Map<String, Value>,
    draft: Draft,
    errors: Vec<Fault>,
}

impl Fields {
    fn texts(&mut self) {
        for name in ["title", "body"] {
            match self.fields.get(name) {
                Some(Value::String(text)) if name == "title" => {
                    self.draft.title = clean::line(text)
                }
                Some(Value::String(text)) => self.draft.body = clean::paragraphs(text),
                None | Some(Value::Null) => {
                    self.fault(name, "is missing; give a text, an empty one if there is none");
                }
                Some(other) => {
                    let message = format!("is {}; give a text", name_of(other));
                    self.fault(name, message);
                }
            }
        }
    }

    fn names(&mut self) {
        self.draft.id = self.text("id").filter(|id| !id.is_empty());
        self.draft.author =
            self.text("author").map(|a| clean::squeezed(&a)).filter(|a| !a.is_empty());
        if let Some(source) = self.text("source") {
            match SourceId::new(source) {
                Ok(source) => self.draft.source = Some(source),
                Err(e) => self.fault("source", format!("cannot be taken: {e}")),
            }
        }
        if let Some(lang) = self.text("lang").filter(|l| !l.is_empty()) {
            match Lang::new(lang.replace('_', "-")) {
                Ok(lang) => self.draft.lang = Some(lang),
                Err(e) => self.draft.problem(format!("{e}; it was left out")),
            }
        }
        if let Some(url) = self.text("url").filter(|u| !u.is_empty()) {
            match web_link(&url, None) {
                Some(_) => self.draft.link = Some(url.trim().to_owned()),
                None => self.draft.problem(format!(
                    "url {url:.100?} is no http or https address; it was left out"
                )),
            }
        }
        match self.fields.get("withdrawn") {
            None | Some(Value::Null) => {
                let status = self.fields.get("pubstatus").and_then(Value::as_str);
                self.draft.withdrawn = status.is_some_and(withdrawn::by_status);
            }
            Some(Value::Bool(withdrawn)) => self.draft.withdrawn = *withdrawn,
            Some(other) => {
                let message = format!("is {}; give true or false", name_of(other));
                self.fault("withdrawn", message);
            }
        }
    }

    fn times(&mut self) {
        self.draft.published_at = self.time("published_at").or_else(|| self.time("published"));
        self.draft.updated_at = self.time("updated_at").or_else(|| self.time("updated"));
        self.draft.first_seen_at = self.time("first_seen_at");
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.fields.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(n) if name == "id" => Some(n.to_string()),
            other => {
                let message = format!("is {}; give a text or leave it out", name_of(other));
                self.fault(name, message);
                None
            }
        }
    }

    fn time(&mut self, name: &str) -> Option<Time> {
        let text = match self.fields.get(name)? {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            Value::Number(n) => n.to_string(),
            other => name_of(other).to_owned(),
        };
        let at = date::read(&text);
        if at.is_none() {
            self.draft.problem(format!(
                "{name} {text:.60?} cannot be read and was left out; write it as 2024-01-10T07:04:00Z"
            ));
        }
        at
    }

    fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.errors.push(Fault::new(&format!("/{name}"), message));
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_an_array_and_lines_are_read() {
        for text in [
            r#"{"title":"A","body":"b"}"#,
            "\n {\n\"title\":\"A\",\n\"body\":\"b\"}\n",
            r#"[{"title":"A","body":"b"}]"#,
            "{\"title\":\"A\",\"body\":\"b\",\"new\":{}}\n\n",
        ] {
            let read = read(text);
            assert_eq!(read.len(), 1, "{text}");
            assert_eq!(read[0].as_ref().unwrap().title, "A", "{text}");
        }
        assert!(read("[]").is_empty());
    }

    #[test]
    fn a_bad_article_names_its_line_and_field_and_leaves_its_neighbours_alone() {
        let lines = "{\"title\":\"A\",\"body\":\"b\"}\n{\"title\":1}\nnonsense\n{\"title\":\"C\",\"body\":\"\"}";
        let read_lines = read(lines);
        assert_eq!(read_lines.len(), 4);
        assert!(read_lines[0].is_ok() && read_lines[3].is_ok());
        let error = read_lines[1].as_ref().unwrap_err();
        assert_eq!(error.line, Some(2));
        assert_eq!(error.errors.len(), 2);
        assert_eq!(error.errors[0].pointer, "/title");
        assert!(
            error
                .to_string()
                .starts_with("line 2: title is a number; give a text; body is missing")
        );
        assert!(
            read_lines[2]
                .as_ref()
                .unwrap_err()
                .to_string()
                .starts_with("line 3: is not valid JSON")
        );
        let cut = read("[\n{\"title\":\"A\",\"body\":\"b\"},\n7,\n{\"title\":\"C\",\"bo");
        assert_eq!(cut.len(), 3);
        assert!(cut[0].is_ok());
        assert_eq!(cut[1].as_ref().unwrap_err().line, Some(3));
        assert_eq!(cut[2].as_ref().unwrap_err().line, Some(4));
    }

    #[test]
    fn unreadable_dates_languages_and_addresses_are_none_and_said() {
        let text = r#"{"title":"A","body":"b","published":"soon","lang":"??","url":"javascript:x",
            "source":null,"id":7,"updated_at":1704870245}"#;
        let draft = read(text).remove(0).unwrap();
        assert_eq!((draft.published_at, &draft.lang, &draft.link), (None, &None, &None));
        assert_eq!(draft.problems.len(), 3, "{:?}", draft.problems);
        assert_eq!(draft.id.as_deref(), Some("7"));
        assert_eq!(draft.updated_at.unwrap().to_string(), "2024-01-10T07:04:05.000Z");
        let text = r#"{"title":"A","body":"b","published":"2024-01-10T09:04:05+02:00"}"#;
        let draft = read(text).remove(0).unwrap();
        assert_eq!(draft.published_at.unwrap().to_string(), "2024-01-10T07:04:05.000Z");
    }

    #[test]
    fn a_body_keeps_its_places_and_has_one_empty_line_between_paragraphs() {
        let text = r#"{"title":" A\nB ","body":"one\r\ntwo\n\n\n three\u0000"}"#;
        let draft = read(text).remove(0).unwrap();
        assert_eq!((draft.title.as_str(), draft.body.as_str()), ("A B", "one\ntwo\n\n three"));
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let text = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(&text)[0].is_err());
    }
}
