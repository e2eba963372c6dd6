//! Microsoft Teams: an Adaptive Card for a Workflows webhook.
//!
//! Texts of others stand in text runs, which have no markup; only the facts are Markdown.

use serde_json::Value;
use serde_json::json;

use crate::delivery::format::Message;
use crate::delivery::format::Telling;
use crate::delivery::format::story::Report;
use crate::delivery::format::story::Story;
use crate::delivery::format::story::Tone;
use crate::delivery::format::words;
use crate::model::Severity;

/// Largest message, counted in whichever encoding makes it larger: Microsoft does not say which.
pub const MAX_BYTES: usize = 28 * 1024;

const HEADLINE: usize = 300;
const LEAD: usize = 2_000;
const FACT: usize = 300;
/// Reports shown, if they fit.
const REPORTS: usize = 5;

pub(super) fn render(telling: &Telling<'_>) -> Message {
    let story = Story::of(telling);
    let mut shown = REPORTS.min(story.reports.len());
    loop {
        let message = Message::json(&card(&story, shown));
        if shown == 0 || size(&message.body) <= MAX_BYTES {
            return message;
        }
        shown -= 1;
    }
}

/// Bytes as UTF-8 or as UTF-16, whichever are more.
fn size(body: &[u8]) -> usize {
    let units = words::utf16(&String::from_utf8_lossy(body));
    body.len().max(units.saturating_mul(2))
}

fn card(story: &Story, shown: usize) -> Value {
    let mut headline = run(&story.headline, HEADLINE);
    headline["weight"] = json!("Bolder");
    headline["size"] = json!("Large");
    headline["color"] = json!(colour(story.tone));
    let mut body = vec![rich(vec![headline]), rich(vec![run(&story.lead, LEAD)])];
    if !story.facts.is_empty() {
        let facts: Vec<Value> = story.facts.iter().map(fact).collect();
        body.push(json!({"type": "FactSet", "facts": facts}));
    }
    body.extend(story.reports.iter().take(shown).map(report));
    if let Some(rest) = story.rest(shown) {
        body.push(rich(vec![run(&rest, FACT)]));
    }
    let mut content = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": words::fit(&story.headline, HEADLINE, words::defused, words::utf16),
        "body": body,
        "msteams": {"width": "Full"},
    });
    if let Some(link) = &story.link {
        let open = json!({"type": "Action.OpenUrl", "title": "Why this alert is", "url": link});
        content["actions"] = json!([open]);
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": content,
        }],
    })
}

fn rich(inlines: Vec<Value>) -> Value {
    json!({"type": "RichTextBlock", "inlines": inlines})
}

fn run(text: &str, most: usize) -> Value {
    let text = words::fit(text, most, words::defused, words::utf16);
    json!({"type": "TextRun", "text": text})
}

fn fact((name, value): &(&'static str, String)) -> Value {
    let value = words::fit(&words::isolated(value), FACT, words::markdown, words::utf16);
    json!({"title": name, "value": value})
}

fn report(report: &Report) -> Value {
    let title = if report.title.is_empty() { "(no title)" } else { report.title.as_str() };
    let mut title = run(&words::isolated(title), 300);
    title["weight"] = json!("Bolder");
    if let Some(link) = &report.link {
        title["selectAction"] = json!({"type": "Action.OpenUrl", "url": link});
    }
    let mut after = format!(" ({})", words::isolated(&report.source));
    if !report.quotes.is_empty() {
        after.push_str(": ");
        after.push_str(&Story::quoted(report));
    }
    rich(vec![title, run(&after, 700)])
}

fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Alert(Severity::Critical) => "Attention",
        Tone::Alert(Severity::Warning) => "Warning",
        Tone::Alert(Severity::Info) | Tone::Correction => "Accent",
        Tone::End => "Good",
        Tone::Retraction | Tone::Quiet => "Default",
    }
}

/// What an old connector's 200 means: its text tells of the failure behind it. Workflows answer
/// 202 and need none of this.
pub(super) fn status(answer: &[u8]) -> u16 {
    const WORDS: &str = "Microsoft Teams endpoint returned HTTP error ";
    let text = String::from_utf8_lossy(answer);
    let Some((_, code)) = text.split_once(WORDS) else { return 200 };
    let digits: String = code.chars().take_while(char::is_ascii_digit).take(3).collect();
    digits.parse().ok().filter(|code| (300..=599).contains(code)).unwrap_or(500)
}
