//! Whether a template manages every event, asked before it is taken.

use std::collections::BTreeSet;

use minijinja::Error;
use minijinja::ErrorKind;
use minijinja::OutputSpan;
use minijinja::value::Serde;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::delivery::body::Address;
use crate::delivery::format::Telling;
use crate::delivery::format::Told;
use crate::delivery::format::examples;
use crate::delivery::format::template;
use crate::delivery::format::template::MAX_OUTPUT;
use crate::delivery::format::template::Refusal;
use crate::delivery::format::template::bounds;
use crate::delivery::format::template::scope;
use crate::model::Nature;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::event::MAX_ARTICLES;
use crate::model::subscription::Template;

/// Longest content type.
const MAX_TYPE: usize = 120;
/// How far a name may be from one that is meant.
const NEAR: usize = 3;

/// Renders a template for invented events of every kind and says what is wrong with the first that
/// fails.
pub fn check(template: &Template) -> Result<(), Refusal> {
    bounds::judge(&template.text)?;
    judge_type(&template.content_type)?;
    let subscription = SubscriptionId::from_random([0; 16]);
    let to = Address { subscription: &subscription, sequence: 1, late: false };
    let telling =
        |told| Telling { told, to, over: false, public_url: "http://wirebell.example:8080" };
    let mut events = examples::all();
    // The one with the most first: a template that does too much is found at once.
    events.rotate_right(1);
    if let Some(first) = events.first() {
        let told = telling(Told::Event(first));
        unknown(template, &scope::of(&told, MAX_ARTICLES))?;
        one(template, &told, MAX_ARTICLES)?;
        // As where all articles would be too much.
        one(template, &told, 1)?;
    }
    for event in events.iter().skip(1) {
        one(template, &telling(Told::Event(event)), MAX_ARTICLES)?;
    }
    let ping = Told::Ping { id: "evt_example", at: Time::from_millis(0) };
    one(template, &telling(ping), MAX_ARTICLES)
}

fn anywhere(message: String) -> Refusal {
    Refusal { line: None, column: None, message }
}

/// Whether this can be the content type of what a template gives.
pub fn judge_type(content_type: &str) -> Result<(), Refusal> {
    let essence = template::essence(content_type);
    let is_token = |part: &str| {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$&^_.+-".contains(c);
        !part.is_empty() && part.chars().all(token)
    };
    let is_type = essence.split_once('/').is_some_and(|(a, b)| is_token(a) && is_token(b));
    let is_plain = content_type.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    if is_type && is_plain && content_type.len() <= MAX_TYPE {
        return Ok(());
    }
    let message = format!("{content_type:?} is no content type: write one such as text/plain");
    Err(anywhere(message))
}

fn one(template: &Template, telling: &Telling<'_>, articles: usize) -> Result<(), Refusal> {
    let mut env = template::environment(&template.content_type);
    env.set_debug(true);
    let names = scope::of(telling, articles);
    let text = template.text.as_str();
    let with_place = |error: Error| {
        let refusal = template::refusal(&error, Some(text));
        if error.kind() == ErrorKind::UndefinedError {
            let range = error.range().and_then(|range| text.get(range)).unwrap_or_default();
            Refusal { message: hint(range, &names), ..refusal }
        } else {
            refusal
        }
    };
    let compiled = env.template_from_named_str("template", text).map_err(with_place)?;
    let scope = minijinja::Value::from(Serde(&names));
    let (output, spans) = compiled.render_with_spans(scope).map_err(with_place)?;
    if output.len() > MAX_OUTPUT {
        let what = format!("for {}, {}", telling.kind(), template::too_long());
        return Err(at(text, &spans, (MAX_OUTPUT, what)));
    }
    if template::is_json(&template.content_type) {
        judge_json(template, telling.kind(), (&output, &spans))?;
    }
    let nature = match telling.told {
        Told::Event(event) => event.alert.nature,
        Told::Ping { .. } => Nature::Test,
    };
    judge_mark(&output, nature)
}

fn judge_json(
    template: &Template,
    kind: &str,
    (output, spans): (&str, &[OutputSpan]),
) -> Result<(), Refusal> {
    let Err(error) = serde_json::from_str::<IgnoredAny>(output) else { return Ok(()) };
    let line = error.line().saturating_sub(1);
    let before: usize = output.split_inclusive('\n').take(line).map(str::len).sum();
    let offset = before.saturating_add(error.column().saturating_sub(1));
    let near: String = output
        .char_indices()
        .skip_while(|(at, _)| at.saturating_add(12) < offset)
        .map(|(_, c)| c)
        .take(30)
        .collect();
    let what = format!(
        "for {kind} it gives no JSON ({error}), near {near:?}: a value is written as JSON by \
         itself, so write {{{{ … }}}} without quotes around it, or set template_content_type"
    );
    Err(at(&template.text, spans, (offset, what)))
}

/// The refusal at the place of the template that gave this byte.
fn at(text: &str, spans: &[OutputSpan], (offset, message): (usize, String)) -> Refusal {
    let of = |span: &&OutputSpan| span.output_range().contains(&offset);
    let Some(span) = spans.iter().find(of).or(spans.last()) else { return anywhere(message) };
    let (line, column) = template::position(text, span.source_range().start);
    Refusal { line: Some(line), column: Some(column), message }
}

/// What is not real must say so.
fn judge_mark(output: &str, nature: Nature) -> Result<(), Refusal> {
    if nature == Nature::Actual || output.to_lowercase().contains(nature.as_str()) {
        return Ok(());
    }
    Err(anywhere(format!(
        "for an alert whose nature is {0} it does not say {0:?}, and would be taken for the real \
         thing: begin with {{{{ headline }}}}, or say {{{{ alert.nature }}}}",
        nature.as_str()
    )))
}

/// Names that no event has, also where no example comes by.
fn unknown(template: &Template, names: &Value) -> Result<(), Refusal> {
    let env = template::environment(&template.content_type);
    let Ok(compiled) = env.template_from_named_str("template", &template.text) else {
        return Ok(());
    };
    let globals: BTreeSet<&str> = env.globals().map(|(name, _)| name).collect();
    let used: BTreeSet<String> = compiled.undeclared_variables(true).into_iter().collect();
    let used = used.iter().filter(|path| !globals.contains(path.as_str()));
    for path in used {
        let mut here = names;
        for part in path.split('.') {
            let Some(fields) = here.as_object() else { break };
            let Some(field) = fields.get(part) else {
                let place = template.text.find(path.as_str());
                let place = place.map(|at| template::position(&template.text, at));
                return Err(Refusal {
                    line: place.map(|(line, _)| line),
                    column: place.map(|(_, column)| column),
                    message: hint(path, names),
                });
            };
            here = field;
        }
    }
    Ok(())
}

/// That a name is unknown, and which is meant.
fn hint(path: &str, names: &Value) -> String {
    let path = path.trim();
    let last = path.rsplit('.').next().unwrap_or(path);
    let parent = path.rsplit('.').nth(1);
    let mut known = BTreeSet::new();
    fields(names, None, parent, &mut known);
    if known.is_empty() {
        fields(names, None, None, &mut known);
    }
    let nearest = known.iter().min_by_key(|name| strsim::damerau_levenshtein(name, last));
    let list = known.iter().cloned().collect::<Vec<_>>().join(", ");
    match nearest.filter(|name| strsim::damerau_levenshtein(name, last) <= NEAR) {
        Some(name) => format!("{path} is no field: did you mean {name}? Known: {list}"),
        None => format!("{path} is no field: known are {list}"),
    }
}

/// The names of the fields that a thing called `parent` has, or those at the top.
fn fields(value: &Value, name: Option<&str>, parent: Option<&str>, known: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if name == parent {
                known.extend(object.keys().cloned());
            }
            for (name, value) in object {
                fields(value, Some(name), parent, known);
            }
        }
        Value::Array(list) => {
            // Elements of `articles` are called `article` or `a`, most often.
            if let Some(one) = list.first() {
                let singular = name.and_then(|name| name.strip_suffix('s'));
                let called = parent.filter(|parent| {
                    name.is_some_and(|name| name.starts_with(parent)) || singular == Some(parent)
                });
                fields(one, called.or(singular), parent, known);
            }
        }
        _ => {}
    }
}
