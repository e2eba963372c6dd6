//! What a page says of its article in JSON-LD.

use dom_query::Document;
use serde_json::Value;

use crate::feed::clean;

/// Deepest place that is looked at.
const MAX_DEPTH: usize = 8;
/// Longest script that is read, in bytes.
const MAX_SCRIPT: usize = 1 << 20;

/// An article's description.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) headline: Option<String>,
    pub(super) published: Option<String>,
    pub(super) modified: Option<String>,
    pub(super) author: Option<String>,
    pub(super) publisher: Option<String>,
    pub(super) lang: Option<String>,
    pub(super) body: Option<String>,
}

impl Data {
    /// The first description of an article in the page, in a list or graph too.
    pub(super) fn of(document: &Document) -> Self {
        for script in document.select("script[type='application/ld+json']").nodes() {
            let text = script.text();
            if text.len() > MAX_SCRIPT {
                continue;
            }
            // Line breaks within strings are common, and no JSON.
            let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let Ok(value) = serde_json::from_str::<Value>(text.trim().trim_end_matches(';')) else {
                continue;
            };
            if let Some(article) = article(&value, 0) {
                return Self::read(article);
            }
        }
        Self::default()
    }

    fn read(article: &Value) -> Self {
        let text = |name: &str| article.get(name).and_then(named);
        Self {
            headline: text("headline"),
            published: text("datePublished"),
            modified: text("dateModified"),
            author: text("author"),
            publisher: text("publisher"),
            lang: text("inLanguage"),
            body: article.get("articleBody").and_then(Value::as_str).map(str::to_owned),
        }
    }
}

/// The outermost object that is an article.
fn article(value: &Value, depth: usize) -> Option<&Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    match value {
        Value::Array(list) => list.iter().find_map(|one| article(one, depth + 1)),
        Value::Object(fields) => {
            if is_article(value) {
                return Some(value);
            }
            fields.values().find_map(|field| match field {
                Value::Array(_) | Value::Object(_) => article(field, depth + 1),
                _ => None,
            })
        }
        _ => None,
    }
}

fn is_article(value: &Value) -> bool {
    let is_one = |kind: &Value| {
        kind.as_str().is_some_and(|kind| {
            kind.ends_with("Article") || kind.ends_with("Posting") || kind.ends_with("Report")
        })
    };
    match value.get("@type") {
        Some(Value::Array(kinds)) => kinds.iter().any(is_one),
        Some(kind) => is_one(kind),
        None => false,
    }
}

/// A text, or the name of a thing, or the names of several.
fn named(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => clean::squeezed(text),
        Value::Object(fields) => clean::squeezed(fields.get("name")?.as_str()?),
        Value::Array(list) => list.iter().take(10).filter_map(named).collect::<Vec<_>>().join(", "),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}
