//! JSON Feed 1.0 and 1.1, lenient about types and version.

use serde_json::Value;
use url::Url;

use crate::feed::Context;
use crate::feed::Document;
use crate::feed::Draft;
use crate::feed::Error;
use crate::feed::MAX_ENTRIES;
use crate::feed::clean;
use crate::feed::date;
use crate::feed::entry;
use crate::feed::html;
use crate::feed::records::Elements;
use crate::feed::withdrawn;

/// Reads a feed in JSON. One that was cut off keeps its whole items.
pub(super) fn read(text: &str, context: &Context<'_>) -> Result<Document, Error> {
    let mut document = Document { kind: "json", ..Document::default() };
    let mut parsed = first_value(text);
    let mended: String;
    let mut text = text;
    if matches!(parsed, Some(Err(_))) && text.contains(char::is_control) {
        mended = text.chars().filter_map(mend).collect();
        text = &mended;
        parsed = first_value(text);
    }
    let (items, language) = match parsed {
        Some(Ok(feed)) => {
            document.title = string(&feed, "title").map(|t| clean::squeezed(&t));
            let Some(items) = feed.get("items").and_then(Value::as_array) else {
                return Err(Error::NotAFeed("the JSON has no list of items".to_owned()));
            };
            (items.clone(), string(&feed, "language"))
        }
        Some(Err(e)) => {
            let items =
                salvage(text).ok_or_else(|| Error::NotAFeed(format!("broken JSON: {e}")))?;
            document.problems.push(format!("the JSON breaks: {e}"));
            document.salvaged = items.len();
            (items, None)
        }
        None => return Err(Error::NotAFeed("the document is empty".to_owned())),
    };
    if items.len() > MAX_ENTRIES {
        document.problems.push(format!("only the first {MAX_ENTRIES} entries were read"));
    }
    for item in items.iter().take(MAX_ENTRIES) {
        match draft(item, context.url) {
            Some(mut draft) => {
                draft.lang = draft.lang.or_else(|| language.as_deref().and_then(entry::lang));
                document.entries.push(draft);
            }
            None => document.problems.push("an item is no object".to_owned()),
        }
    }
    Ok(document)
}

fn first_value(text: &str) -> Option<serde_json::Result<Value>> {
    serde_json::Deserializer::from_str(text).into_iter().next()
}

/// Control characters are no JSON inside of texts, and no more than white space outside.
fn mend(c: char) -> Option<char> {
    match c {
        '\n' | '\r' | '\t' => Some(' '),
        c => Some(c).filter(|c| !c.is_control()),
    }
}

/// The whole items before the break.
fn salvage(text: &str) -> Option<Vec<Value>> {
    let (_, after) = text.split_once("\"items\"")?;
    let rest = after.trim_start().strip_prefix(':')?.trim_start().strip_prefix('[')?;
    let elements = Elements { rest, line: 1, done: false };
    Some(elements.filter_map(|(_, item)| item.ok()).collect())
}

fn draft(item: &Value, base: Option<&Url>) -> Option<Draft> {
    let mut draft =
        Draft { id: string(item, "id").filter(|id| !id.is_empty()), ..Draft::default() };
    draft.title = string(item, "title").map(|t| clean::squeezed(&t)).unwrap_or_default();
    let rich = string(item, "content_html").map(|h| html::to_text(&h));
    let plain = || string(item, "content_text").or_else(|| string(item, "summary"));
    let body = rich.filter(|b| !b.is_empty()).or_else(|| plain().map(|t| clean::joined(&t)));
    draft.body = body.unwrap_or_default();
    let links = ["url", "external_url"].into_iter().filter_map(|name| string(item, name));
    draft.link = links
        .chain(draft.id.clone().filter(|id| id.contains("://")))
        .find_map(|text| entry::web_link(&text, base));
    draft.published_at = time(item, "date_published", &mut draft);
    draft.updated_at = time(item, "date_modified", &mut draft);
    let authors = item.get("authors").and_then(Value::as_array).and_then(|a| a.first());
    let author = authors.or_else(|| item.get("author"));
    draft.author = author.and_then(|a| string(a, "name")).map(|a| clean::squeezed(&a));
    draft.lang = string(item, "language").as_deref().and_then(entry::lang);
    let status = ["pubstatus", "pubStatus"].into_iter().find_map(|name| string(item, name));
    draft.withdrawn = status.is_some_and(|status| withdrawn::by_status(&status))
        || item.get("withdrawn").and_then(Value::as_bool) == Some(true);
    draft.heed_title();
    item.is_object().then_some(draft)
}

fn time(item: &Value, name: &str, draft: &mut Draft) -> Option<crate::model::Time> {
    let text = string(item, name).filter(|t| !t.trim().is_empty())?;
    let at = date::read(&text);
    if at.is_none() {
        draft.problem(format!("{name} {text:.60?} cannot be read and was left out"));
    }
    at
}

fn string(value: &Value, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(n) => Some(n.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    fn context() -> Context<'static> {
        Context { url: None, charset: None, now: Time::from_millis(1_800_000_000_000) }
    }

    #[test]
    fn a_json_feed_is_read_whatever_its_types() {
        let text = r#"{"version":1,"title":"Skylark","language":"en","items":[
            {"id":7,"url":"https://example.net/7","title":"Sirens","content_html":"<p>One</p><p>Two</p>",
             "date_published":"2024-01-10T07:04:05Z","authors":[{"name":"A. Writer"}]},
            {"content_text":"Only text","date_published":"someday","language":"uk"}, 5]}"#;
        let read = read(text, &context()).unwrap();
        assert_eq!(read.title.as_deref(), Some("Skylark"));
        assert_eq!(read.entries.len(), 2);
        assert_eq!(read.problems.len(), 1);
        assert_eq!(read.entries[0].body, "One\n\nTwo");
        assert_eq!(read.entries[0].id.as_deref(), Some("7"));
        assert_eq!(read.entries[0].lang.as_ref().unwrap().as_str(), "en");
        assert_eq!(read.entries[1].published_at, None);
        assert_eq!(read.entries[1].problems.len(), 1);
    }

    #[test]
    fn a_cut_off_json_feed_keeps_its_whole_items() {
        let text = r#"{"items":[{"id":"a","title":"A"},{"id":"b","title":"B"},{"id":"c","ti"#;
        let read = read(text, &context()).unwrap();
        assert_eq!((read.entries.len(), read.salvaged), (2, 2));
        assert!(super::read("{\"a\":1}", &context()).is_err());
    }
}
