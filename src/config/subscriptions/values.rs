//! Values of a definition as JSON, the way the API takes them.

use serde_json::Number;
use serde_json::Value;

use crate::api::managed;
use crate::config::files::SubscriptionFiles;
use crate::config::subscriptions::FILE;
use crate::config::subscriptions::SECRET;
use crate::rules;
use crate::rules::yaml::Content;
use crate::rules::yaml::ScalarStyle;
use crate::rules::yaml::Yaml;

/// Reads values, and those that stand in files.
pub(super) struct Values<'a> {
    files: &'a SubscriptionFiles,
}

/// What a plain word such as `5` or `true` is.
#[derive(Clone, Copy)]
enum Words {
    /// A number or truth value, where it reads like one.
    Typed,
    /// A text.
    Texts,
}

impl<'a> Values<'a> {
    pub(super) fn new(files: &'a SubscriptionFiles) -> Self {
        Self { files }
    }

    /// The value of a field, its key as written, in a shape that the field takes; none where it
    /// has another one, which is told.
    pub(super) fn field(
        &self,
        reader: &mut rules::Reader<'_, '_>,
        (field, key): (&str, &str),
        node: &Yaml,
    ) -> Option<Value> {
        if field != key {
            return self.read_file(reader, node).map(Value::String);
        }
        let is_read = self.files_of(reader, node);
        if !is_read {
            return None;
        }
        let typed = self.value(node, Words::Typed);
        let texts = self.value(node, Words::Texts);
        let mut shapes = vec![typed, texts.clone()];
        if texts.is_string() {
            shapes.push(Value::Array(vec![texts]));
        }
        let mut said = None;
        for shape in shapes {
            match managed::fits(field, &shape) {
                Ok(()) => return Some(shape),
                Err(why) => said = said.or(Some(why)),
            }
        }
        let (message, remedy) = misshapen(field, said.unwrap_or_default());
        reader.error(node, "wrong-type", message, remedy);
        None
    }

    /// Reads the files that a value names inside; whether all could be read.
    fn files_of(&self, reader: &mut rules::Reader<'_, '_>, node: &Yaml) -> bool {
        let Content::Map(entries) = &node.content else { return true };
        let mut all = true;
        let mut seen: Vec<&str> = Vec::new();
        for (key, value) in entries.iter() {
            let Some(name) = key.scalar() else { continue };
            let plain = name.strip_suffix(FILE).unwrap_or(name);
            if seen.contains(&plain) {
                let message = format!("{plain} stands here a second time");
                reader.error(key, "duplicate", message, "keep one of them");
                all = false;
            }
            seen.push(plain);
            all &= if name.ends_with(FILE) {
                self.read_file(reader, value).is_some()
            } else {
                self.files_of(reader, value)
            };
        }
        all
    }

    fn read_file(&self, reader: &mut rules::Reader<'_, '_>, node: &Yaml) -> Option<String> {
        let name = reader.text(node, "the name of a file")?;
        match self.files.named.get(name) {
            Some(Ok(text)) => Some(text.expose().to_owned()),
            Some(Err(why)) => {
                let remedy = "name one that can be read, from this folder on";
                reader.error(node, "bad-value", format!("cannot read {name}, {why}"), remedy);
                None
            }
            None => {
                reader.error(node, "bad-value", format!("{name} was not read"), "save this file");
                None
            }
        }
    }

    fn value(&self, node: &Yaml, words: Words) -> Value {
        match &node.content {
            Content::Text(text, style) => scalar(text, *style, words),
            Content::List(items) => items.iter().map(|item| self.value(item, words)).collect(),
            Content::Map(entries) => {
                let read = |(key, value): &(Yaml, Yaml)| {
                    let key = key.scalar()?;
                    let Some(plain) = key.strip_suffix(FILE) else {
                        return Some((key.to_owned(), self.value(value, words)));
                    };
                    let text = self.files.named.get(value.scalar()?)?.as_ref().ok()?;
                    Some((plain.to_owned(), Value::String(text.expose().to_owned())))
                };
                Value::Object(entries.iter().filter_map(read).collect())
            }
        }
    }
}

/// A scalar as YAML 1.2 means it. Null is null in both ways.
fn scalar(text: &str, style: ScalarStyle, words: Words) -> Value {
    let word = || Value::String(text.to_owned());
    if style != ScalarStyle::Plain {
        return word();
    }
    match (text, words) {
        ("" | "~" | "null", _) => Value::Null,
        (_, Words::Texts) => word(),
        ("true", Words::Typed) => Value::Bool(true),
        ("false", Words::Typed) => Value::Bool(false),
        (_, Words::Typed) => text.parse::<Number>().map_or_else(|_| word(), Value::Number),
    }
}

fn misshapen(field: &str, why: String) -> (String, &'static str) {
    match field {
        "headers" => ("headers are a map of names to texts".to_owned(), "write x-name: value"),
        "auth" => (
            "auth is basic with username and password, or bearer with token".to_owned(),
            "write {bearer: {token_file: …}} or {basic: {username: …, password_file: …}}",
        ),
        _ if SECRET.contains(&field) => (format!("{field} is no text"), "write it in quotes"),
        _ => (format!("{field} cannot be this, {why}"), "write it as the API takes it"),
    }
}
