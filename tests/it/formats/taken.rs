//! What the services take, by their documents, as rules of our own; each answers what is wrong.

use serde_json::Value;
use wirebell::delivery::format::Message;
use wirebell::model::subscription::Format;

use crate::formats::made::json_of;
use crate::formats::made::texts_of;

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The rules of a format's service.
pub(super) fn rules(format: Format, message: &Message) -> Vec<String> {
    let body = json_of(message);
    match format {
        Format::Slack => slack(&body),
        Format::Discord => discord(&body),
        Format::Teams => teams(&body, &message.body),
        Format::Pagerduty => pagerduty(&body, message.body.len()),
        Format::Ntfy => ntfy(&body),
        Format::Cloudevents => cloudevent(&body, &message.content_type),
        Format::CloudeventsBinary => cloudevent_headers(message),
        Format::Template => {
            if message.body.len() <= 64 * 1024 {
                Vec::new()
            } else {
                vec!["64 KiB".into()]
            }
        }
        Format::Wirebell => {
            if message.body.len() <= 256 * 1024 {
                Vec::new()
            } else {
                vec!["256 KiB".into()]
            }
        }
    }
}

/// Collects what does not hold.
struct Wrong(Vec<String>);

impl Wrong {
    fn unless(&mut self, holds: bool, rule: &str) {
        if !holds {
            self.0.push(rule.to_owned());
        }
    }
}

pub(super) fn slack(body: &Value) -> Vec<String> {
    let mut wrong = Wrong(Vec::new());
    wrong.unless(body["text"].as_str().is_some_and(|t| !t.is_empty()), "a fallback text");
    let blocks = body["blocks"].as_array().cloned().unwrap_or_default();
    wrong.unless((1..=50).contains(&blocks.len()), "1 to 50 blocks");
    for block in &blocks {
        let text = block["text"]["text"].as_str().unwrap_or_default();
        match block["type"].as_str() {
            Some("header") => {
                wrong.unless(block["text"]["type"] == "plain_text", "a header is plain text");
                wrong.unless((1..=150).contains(&units(text)), "a header has 1 to 150 characters");
            }
            Some("section") => {
                let fields = block["fields"].as_array().cloned().unwrap_or_default();
                let has = block["text"].is_object() || !fields.is_empty();
                wrong.unless(has, "text or fields");
                wrong.unless(units(text) <= 3_000, "a section has at most 3000 characters");
                wrong.unless(fields.len() <= 10, "at most 10 fields");
                let long =
                    |field: &Value| units(field["text"].as_str().unwrap_or_default()) > 2_000;
                wrong.unless(!fields.iter().any(long), "a field has at most 2000 characters");
            }
            Some("context") => {
                let elements = block["elements"].as_array().map_or(0, Vec::len);
                wrong.unless((1..=10).contains(&elements), "1 to 10 elements");
            }
            other => wrong.unless(false, &format!("{other:?} is no block")),
        }
    }
    for text in texts_of(body) {
        let tags = text.split('<').skip(1).all(|tag| tag.starts_with("http"));
        wrong.unless(tags, "no tags but links");
        let escaped = ["&amp;", "&lt;", "&gt;"];
        let signs = text.split_inclusive('&').filter(|part| part.ends_with('&')).count();
        let entities = escaped.iter().map(|entity| text.matches(entity).count()).sum::<usize>();
        wrong.unless(signs == entities, "every & escaped");
    }
    wrong.0
}

pub(super) fn discord(body: &Value) -> Vec<String> {
    let mut wrong = Wrong(Vec::new());
    wrong.unless(body["allowed_mentions"]["parse"] == serde_json::json!([]), "no mentions");
    let content = body["content"].as_str().unwrap_or_default();
    wrong.unless(units(content) <= 2_000, "content has at most 2000 characters");
    let embeds = body["embeds"].as_array().cloned().unwrap_or_default();
    wrong
        .unless(embeds.len() <= 10 && !(content.is_empty() && embeds.is_empty()), "1 to 10 embeds");
    let mut all = 0;
    for embed in &embeds {
        let of = |name: &str| units(embed[name].as_str().unwrap_or_default());
        wrong.unless(of("title") <= 256, "a title has at most 256 characters");
        wrong.unless(of("description") <= 4_096, "a description has at most 4096 characters");
        let footer = units(embed["footer"]["text"].as_str().unwrap_or_default());
        wrong.unless(footer <= 2_048, "a footer has at most 2048 characters");
        all += of("title") + of("description") + footer;
        let fields = embed["fields"].as_array().cloned().unwrap_or_default();
        wrong.unless(fields.len() <= 25, "at most 25 fields");
        for field in &fields {
            let of = |name: &str| units(field[name].as_str().unwrap_or_default());
            wrong.unless((1..=256).contains(&of("name")), "a name has 1 to 256 characters");
            wrong.unless((1..=1_024).contains(&of("value")), "a value has 1 to 1024 characters");
            all += of("name") + of("value");
        }
        let colour = embed["color"].as_u64().unwrap_or(u64::MAX);
        wrong.unless(colour <= 0x00FF_FFFF, "a colour has 24 bits");
    }
    wrong.unless(all <= 6_000, "an embed has at most 6000 characters");
    wrong.0
}

pub(super) fn teams(body: &Value, bytes: &[u8]) -> Vec<String> {
    let mut wrong = Wrong(Vec::new());
    let twice = 2 * units(&String::from_utf8_lossy(bytes));
    wrong.unless(bytes.len().max(twice) <= 28 * 1024, "at most 28 KB");
    wrong.unless(body["type"] == "message", "a message");
    let attachment = &body["attachments"][0];
    let kind = "application/vnd.microsoft.card.adaptive";
    wrong.unless(attachment["contentType"] == kind, "an adaptive card");
    let card = &attachment["content"];
    wrong.unless(card["type"] == "AdaptiveCard", "the type of a card");
    wrong.unless(["1.4", "1.5"].iter().any(|v| card["version"] == *v), "a version Teams knows");
    let items = card["body"].as_array().cloned().unwrap_or_default();
    wrong.unless(!items.is_empty(), "a body");
    for item in &items {
        match item["type"].as_str() {
            Some("RichTextBlock") => {
                let runs = item["inlines"].as_array().cloned().unwrap_or_default();
                let good = |run: &Value| run["type"] == "TextRun" && run["text"].is_string();
                wrong.unless(!runs.is_empty() && runs.iter().all(good), "runs of text");
            }
            Some("FactSet") => {
                let facts = item["facts"].as_array().cloned().unwrap_or_default();
                let good = |fact: &Value| fact["title"].is_string() && fact["value"].is_string();
                wrong.unless(!facts.is_empty() && facts.iter().all(good), "facts");
            }
            other => wrong.unless(false, &format!("{other:?} is no element")),
        }
    }
    for action in card["actions"].as_array().into_iter().flatten() {
        let opens = action["type"] == "Action.OpenUrl"
            && action["url"].as_str().is_some_and(|url| url.starts_with("http"));
        wrong.unless(opens, "an action opens an address");
    }
    let braces = texts_of(body).iter().any(|text| text.contains("{{"));
    wrong.unless(!braces, "no functions of cards");
    wrong.0
}

pub(super) fn pagerduty(body: &Value, bytes: usize) -> Vec<String> {
    let mut wrong = Wrong(Vec::new());
    wrong.unless(bytes <= 512 * 1024, "at most 512 KB");
    wrong.unless(body["routing_key"].as_str().is_some_and(|k| k.len() == 32), "a routing key");
    let key = body["dedup_key"].as_str().unwrap_or_default();
    wrong.unless((1..=255).contains(&key.len()), "a dedup key of at most 255");
    let action = body["event_action"].as_str().unwrap_or_default();
    wrong.unless(["trigger", "acknowledge", "resolve"].contains(&action), "an action");
    let payload = &body["payload"];
    if action == "trigger" || payload.is_object() {
        let summary = units(payload["summary"].as_str().unwrap_or_default());
        wrong.unless((1..=1_024).contains(&summary), "a summary of 1 to 1024 characters");
        wrong.unless(payload["source"].as_str().is_some_and(|s| !s.is_empty()), "a source");
        let severity = payload["severity"].as_str().unwrap_or_default();
        let known = ["critical", "error", "warning", "info"].contains(&severity);
        wrong.unless(known, "a severity PagerDuty knows");
    }
    for link in body["links"].as_array().into_iter().flatten() {
        let good = link["href"].as_str().is_some_and(|href| href.starts_with("http"));
        wrong.unless(good && link["text"].is_string(), "links with an address and a text");
    }
    wrong.0
}

pub(super) fn ntfy(body: &Value) -> Vec<String> {
    let mut wrong = Wrong(Vec::new());
    let topic = body["topic"].as_str().unwrap_or_default();
    let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    wrong.unless((1..=64).contains(&topic.len()) && topic.chars().all(known), "a topic");
    let message = body["message"].as_str().unwrap_or_default();
    wrong.unless((1..=4_096).contains(&message.len()), "a message of at most 4096 bytes");
    let title = body["title"].as_str().unwrap_or_default();
    wrong.unless(title.len() <= 250 && !title.contains('\n'), "a title of one line");
    let priority = body["priority"].as_u64().unwrap_or(0);
    wrong.unless((1..=5).contains(&priority), "a priority of 1 to 5");
    let tags = body["tags"].as_array().cloned().unwrap_or_default();
    wrong.unless(tags.iter().all(Value::is_string), "tags are texts");
    let click = body["click"].as_str();
    wrong.unless(click.is_none_or(|url| url.starts_with("http")), "a click opens an address");
    wrong.0
}

fn attributes(wrong: &mut Wrong, of: &dyn Fn(&str) -> Option<String>) {
    wrong.unless(of("specversion").as_deref() == Some("1.0"), "specversion is 1.0");
    for name in ["id", "source", "type"] {
        wrong.unless(of(name).is_some_and(|value| !value.is_empty()), "id, source and type");
    }
    let source = of("source").unwrap_or_default();
    wrong.unless(url::Url::parse(&source).is_ok(), "the source is a URI");
    let time = of("time").unwrap_or_default();
    wrong.unless(time.parse::<wirebell::model::Time>().is_ok(), "the time is RFC 3339");
}

pub(super) fn cloudevent(body: &Value, content_type: &str) -> Vec<String> {
    let mut wrong = Wrong(Vec::new());
    let essence = content_type.split(';').next().unwrap_or_default();
    wrong.unless(essence == "application/cloudevents+json", "the content type of the JSON format");
    attributes(&mut wrong, &|name| body[name].as_str().map(str::to_owned));
    for name in body.as_object().into_iter().flat_map(|object| object.keys()) {
        let good = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        wrong.unless(good && name.len() <= 20, "attribute names are a-z and 0-9, at most 20");
    }
    wrong.unless(body["data"]["type"].is_string(), "the native body as data");
    wrong.unless(body.get("data_base64").is_none(), "one form of data");
    wrong.0
}

fn cloudevent_headers(message: &Message) -> Vec<String> {
    let mut wrong = Wrong(Vec::new());
    wrong.unless(message.content_type == "application/json", "the content type is the data's");
    let of = |name: &str| {
        let name = format!("ce-{name}");
        message.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone())
    };
    attributes(&mut wrong, &of);
    for (_, value) in &message.headers {
        wrong.unless(value.bytes().all(|b| b.is_ascii_graphic()), "values are visible ASCII");
    }
    wrong.0
}
