//! Slack: Block Kit for incoming webhooks.
//!
//! Texts of others stand in `plain_text`, which has no markup, wherever they need no link, and are
//! escaped there as well: Slack keeps every text in its escaped form.

use serde_json::Value;
use serde_json::json;

use crate::delivery::format::Message;
use crate::delivery::format::Telling;
use crate::delivery::format::story::Report;
use crate::delivery::format::story::Story;
use crate::delivery::format::words;

/// Longest text of a header.
const HEADER: usize = 150;
/// Longest text of a section.
const SECTION: usize = 3_000;
/// Longest text of a field, and most of them in a section.
const FIELD: usize = 2_000;
const FIELDS: usize = 10;
/// Reports shown; each is a block, and a message has 50 at most.
const REPORTS: usize = 5;
/// Longest text of a notification; Slack takes more and shows less.
const FALLBACK: usize = 1_000;

pub(super) fn render(telling: &Telling<'_>) -> Message {
    let story = Story::of(telling);
    let mut blocks = vec![
        json!({"type": "header", "text": plain(&story.headline, HEADER)}),
        json!({"type": "section", "text": plain(&story.lead, SECTION)}),
    ];
    if !story.facts.is_empty() {
        let fields: Vec<Value> = story.facts.iter().take(FIELDS).map(field).collect();
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    blocks.extend(story.reports.iter().take(REPORTS).map(section));
    let mut foot: Vec<Value> = Vec::new();
    if let Some(rest) = story.rest(REPORTS) {
        foot.push(plain(&rest, FIELD));
    }
    if let Some(link) = &story.link {
        foot.push(marked(format!("<{}|Why this alert is, and who was told>", tag(link))));
    }
    if !foot.is_empty() {
        blocks.push(json!({"type": "context", "elements": foot}));
    }
    let fallback = words::fit(&story.headline, FALLBACK, words::slack, words::utf16);
    Message::json(&json!({"text": fallback, "blocks": blocks}))
}

fn plain(text: &str, most: usize) -> Value {
    let text = words::fit(text, most, words::slack, words::utf16);
    json!({"type": "plain_text", "text": text, "emoji": false})
}

/// Markup; `verbatim` keeps Slack from making links and mentions of names by itself.
fn marked(text: String) -> Value {
    json!({"type": "mrkdwn", "text": text, "verbatim": true})
}

fn field((name, value): &(&'static str, String)) -> Value {
    plain(&format!("{name}: {}", words::isolated(value)), FIELD)
}

fn section(report: &Report) -> Value {
    let title = if report.title.is_empty() { "(no title)" } else { report.title.as_str() };
    let title = words::fit(&words::isolated(title), 600, words::slack, words::utf16);
    let title = match &report.link {
        Some(link) => format!("<{}|{title}>", tag(link)),
        None => title,
    };
    let source = words::fit(&words::isolated(&report.source), 300, words::slack, words::utf16);
    let mut text = format!("{title} ({source})");
    if !report.quotes.is_empty() {
        let quoted = Story::quoted(report);
        text.push_str("\n> ");
        text.push_str(&words::fit(&quoted, 500, words::slack, words::utf16));
    }
    json!({"type": "section", "text": marked(text)})
}

/// A link as it stands in a tag.
fn tag(link: &str) -> String {
    link.replace('&', "&amp;")
}
