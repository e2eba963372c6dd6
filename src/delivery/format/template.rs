//! The owner's own text over the event.
//!
//! Bounded by the engine's fuel, which pays for every step and every byte that is made, and by the
//! size of what is given; it reads nothing but the event. Unknown fields are faults. What shall be
//! JSON is escaped as JSON by itself, so that no article can break out of its place.

mod bounds;
mod check;
mod scope;

use minijinja::AutoEscape;
use minijinja::Environment;
use minijinja::Error;
use minijinja::ErrorKind;
use minijinja::State;
use minijinja::UndefinedBehavior;
use minijinja::Value;
use minijinja::value::Kwargs;
use minijinja::value::Rest;
use minijinja::value::Serde;
use minijinja::value::ValueKind;
use minijinja::value::ValueOrKwargs;
use minijinja::value::from_args;
use serde::de::IgnoredAny;

use crate::delivery::format::Message;
use crate::delivery::format::Telling;
use crate::delivery::format::words;
use crate::model::subscription::Template;

pub use check::check;
pub use check::judge_type;

/// Longest template, in bytes.
pub const MAX_TEXT: usize = 16 * 1024;
/// Most that a template gives, in bytes.
pub const MAX_OUTPUT: usize = 64 * 1024;
/// What it gives if nothing else is said.
pub const CONTENT_TYPE: &str = "application/json";
/// Work of one rendering: a step costs one, and so do 64 bytes that are made. A step can walk through
/// all of a text, so the time is as the square of this: the worst takes some tens of milliseconds.
/// What fills [`MAX_OUTPUT`] from many articles takes three quarters of it.
const FUEL: u64 = 16_000;
/// Longest text that `map` takes beside the filter's name, in bytes.
const MAX_GIVEN: usize = 200;
/// Deepest nesting.
const DEPTH: usize = 60;
/// Filters that do no more than their fuel pays for, and leave escaped what is. Of the engine's own
/// some take a width or a count of any size, and one turns escaping off.
const FILTERS: [&str; 37] = [
    "abs",
    "attr",
    "bool",
    "capitalize",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "markdown",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "select",
    "selectattr",
    "slack",
    "sort",
    "string",
    "tojson",
    "trim",
    "truncate",
    "upper",
];
/// Filters of the engine that are not among them.
const REMOVED: [&str; 14] = [
    "batch", "chain", "format", "groupby", "indent", "pprint", "round", "safe", "slice", "split",
    "sum", "title", "unique", "zip",
];

/// What is wrong with a template, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", place(*.line, *.column))]
pub struct Refusal {
    /// Line of the template, from 1.
    pub line: Option<usize>,
    /// Character in that line, from 1.
    pub column: Option<usize>,
    /// What, and the remedy.
    pub message: String,
}

fn place(line: Option<usize>, column: Option<usize>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!("line {line}, column {column}: "),
        (Some(line), None) => format!("line {line}: "),
        _ => String::new(),
    }
}

/// The bytes of an event. Where they would be too many, articles are left out and counted, the
/// oldest first: an alert with too much news is told all the same.
pub(super) fn render(telling: &Telling<'_>, template: &Template) -> Result<Message, Refusal> {
    bounds::judge(&template.text)?;
    let env = environment(&template.content_type);
    let compiled = env.template_from_named_str("template", &template.text);
    let compiled = compiled.map_err(|error| refusal(&error, None))?;
    let mut last = None;
    for articles in scope::ARTICLES {
        let scope = Value::from(Serde(scope::of(telling, articles)));
        let output = compiled.render(scope).map_err(|error| refusal(&error, None));
        match output.and_then(|output| sized(output, &template.content_type)) {
            Ok(body) => return Ok(Message::of(template.content_type.clone(), body)),
            Err(refusal) => last = Some(refusal),
        }
    }
    let none = || Refusal { line: None, column: None, message: "nothing was rendered".to_owned() };
    Err(last.unwrap_or_else(none))
}

fn sized(output: String, content_type: &str) -> Result<Vec<u8>, Refusal> {
    let message = if output.len() > MAX_OUTPUT {
        too_long()
    } else if is_json(content_type) && serde_json::from_str::<IgnoredAny>(&output).is_err() {
        "what it gives is no JSON".to_owned()
    } else {
        return Ok(output.into_bytes());
    };
    Err(Refusal { line: None, column: None, message })
}

fn too_long() -> String {
    format!("it gives more than {} KiB: say less of each article", MAX_OUTPUT >> 10)
}

/// Whether JSON is promised.
fn is_json(content_type: &str) -> bool {
    let essence = essence(content_type);
    essence == "application/json" || essence.ends_with("+json")
}

fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn environment(content_type: &str) -> Environment<'static> {
    let mut env = Environment::new();
    let escape = match essence(content_type).as_str() {
        _ if is_json(content_type) => AutoEscape::Json,
        "text/html" | "application/xhtml+xml" => AutoEscape::Html,
        essence if essence.ends_with("/xml") || essence.ends_with("+xml") => AutoEscape::Html,
        _ => AutoEscape::None,
    };
    env.set_auto_escape_callback(move |_| escape.clone());
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(DEPTH);
    env.remove_global("debug");
    // Lists in lists without end could be made with these.
    env.remove_global("namespace");
    env.remove_global("dict");
    REMOVED.into_iter().for_each(|name| env.remove_filter(name));
    env.add_filter("map", map);
    env.add_filter("tojson", to_json);
    env.add_filter("truncate", truncate);
    env.add_filter("slack", |text: Value| each(text, words::slack));
    env.add_filter("markdown", |text: Value| each(text, words::markdown));
    env
}

/// The engine's filter, with nothing but short texts and numbers beside the filter's name. What stands
/// there can become each element: with a list there, a list could hold another one twice, and that
/// one too, which takes for ever to walk through; with a long text, a short list is a huge text.
fn map(
    state: &mut State<'_, '_>,
    value: Value,
    args: Rest<ValueOrKwargs>,
) -> Result<Vec<Value>, Error> {
    let given: Vec<Value> = args.iter().map(|one| one.clone().into_value()).collect();
    let (plain, named): (&[Value], Kwargs) = from_args(&given)?;
    let named = named.args().map(|name| named.peek::<Value>(name));
    for one in plain.iter().cloned().map(Ok).chain(named) {
        let one = one?;
        let is_list = matches!(one.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable);
        if is_list || one.as_str().is_some_and(|text| text.len() > MAX_GIVEN) {
            let what = "map takes short texts and numbers beside the filter's name, and no lists";
            return Err(Error::new(ErrorKind::InvalidOperation, what));
        }
    }
    minijinja::filters::map(state, value, args)
}

/// A value as JSON, in one line. A list of few words may be a large one written out.
fn to_json(value: Value) -> Result<Value, Error> {
    let failed = |_| Error::new(ErrorKind::BadSerialization, "this is no JSON of 64 KiB");
    let mut json = Capped(Vec::new());
    serde_json::to_writer(&mut json, &value).map_err(failed)?;
    let json = String::from_utf8(json.0).expect("JSON is written as UTF-8");
    Ok(Value::from_safe_string(json))
}

/// Takes no more than what may be sent.
struct Capped(Vec<u8>);

impl std::io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > MAX_OUTPUT {
            return Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// At most so many characters, 255 if nothing is said.
fn truncate(text: Value, most: Option<usize>) -> Result<Value, Error> {
    if text.is_none() {
        return Ok(text);
    }
    let most = most.unwrap_or(255);
    let text = written(&text)?;
    Ok(Value::from(words::fit(text, most, words::plain, |text| text.chars().count())))
}

fn each(text: Value, escape: words::Escape) -> Result<Value, Error> {
    if text.is_none() { Ok(text) } else { Ok(Value::from(escape(written(&text)?))) }
}

fn written(text: &Value) -> Result<&str, Error> {
    text.as_str().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "this is no text"))
}

/// The engine's words with a place and a remedy. The remedy for names needs the text.
fn refusal(error: &Error, text: Option<&str>) -> Refusal {
    let place = error.range().zip(text).map(|(range, text)| position(text, range.start));
    let said = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let message = match error.kind() {
        ErrorKind::OutOfFuel => {
            "it does more work than a template may: fewer loops, or less in them".to_owned()
        }
        ErrorKind::SyntaxError => format!("this is no template: {said}"),
        ErrorKind::UnknownFilter => {
            format!("{said}: there are {}", FILTERS.join(", "))
        }
        _ => said,
    };
    let line = place.map(|(line, _)| line).or(error.line());
    Refusal { line, column: place.map(|(_, column)| column), message }
}

/// Line and column of a byte.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_are_those_that_are_listed() {
        let env = environment(CONTENT_TYPE);
        for name in FILTERS {
            let known = env.render_str(&format!("{{{{ '{name}' is filter }}}}"), ());
            assert_eq!(known.unwrap(), "true", "{name}");
        }
        for name in REMOVED {
            let known = env.render_str(&format!("{{{{ '{name}' is filter }}}}"), ());
            assert_eq!(known.unwrap(), "false", "{name}");
        }
    }
}
