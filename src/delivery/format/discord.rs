//! Discord: one embed, Markdown escaped, no mention allowed.

use serde_json::Value;
use serde_json::json;

use crate::delivery::format::Message;
use crate::delivery::format::Telling;
use crate::delivery::format::Told;
use crate::delivery::format::story::Report;
use crate::delivery::format::story::Story;
use crate::delivery::format::story::Tone;
use crate::delivery::format::words;
use crate::model::Severity;

/// Longest title of an embed.
const TITLE: usize = 256;
/// Longest description; Discord takes 4,096.
const DESCRIPTION: usize = 1_500;
/// Longest value of a fact.
const FIELD: usize = 300;
/// Reports shown, each one field; an embed has 25 fields and 6,000 characters in all.
const REPORTS: usize = 3;
/// Longest value of a field that shows a report, without its link.
const REPORT: usize = 700;
/// Longest value of a field with its link; Discord takes 1,024.
const VALUE: usize = 900;

pub(super) fn render(telling: &Telling<'_>) -> Message {
    let story = Story::of(telling);
    let mut fields: Vec<Value> = story.facts.iter().map(fact).collect();
    fields.extend(story.reports.iter().take(REPORTS).map(report));
    let mut embed = json!({
        "title": words::fit(&story.headline, TITLE, words::markdown, words::utf16),
        "description": words::fit(&story.lead, DESCRIPTION, words::markdown, words::utf16),
        "color": colour(story.tone),
        "timestamp": at(telling),
        "fields": fields,
    });
    if let Some(link) = &story.link {
        embed["url"] = json!(link);
    }
    if let Some(rest) = story.rest(REPORTS) {
        embed["footer"] = json!({"text": rest});
    }
    Message::json(&json!({"embeds": [embed], "allowed_mentions": {"parse": []}}))
}

fn at(telling: &Telling<'_>) -> String {
    match telling.told {
        Told::Event(event) => event.timestamp.to_string(),
        Told::Ping { at, .. } => at.to_string(),
    }
}

fn fact((name, value): &(&'static str, String)) -> Value {
    let value = words::fit(&words::isolated(value), FIELD, words::markdown, words::utf16);
    json!({"name": name, "value": value, "inline": true})
}

fn report(report: &Report) -> Value {
    let source = words::fit(&words::isolated(&report.source), 200, words::markdown, words::utf16);
    let title = if report.title.is_empty() { "(no title)" } else { report.title.as_str() };
    let mut value = String::from("**");
    value.push_str(&words::fit(&words::isolated(title), 300, words::markdown, words::utf16));
    value.push_str("**");
    if !report.quotes.is_empty() {
        let quoted = Story::quoted(report);
        let left = REPORT.saturating_sub(words::utf16(&value));
        value.push('\n');
        value.push_str(&words::fit(&quoted, left, words::markdown, words::utf16));
    }
    let link = report.link.as_ref().map(|link| format!("\n[Read it]({link})"));
    if let Some(link) = link.filter(|link| words::utf16(&value) + words::utf16(link) <= VALUE) {
        value.push_str(&link);
    }
    json!({"name": source, "value": value, "inline": false})
}

fn colour(tone: Tone) -> u32 {
    match tone {
        Tone::Alert(Severity::Critical) => 0x00C0_392B,
        Tone::Alert(Severity::Warning) => 0x00E6_7E22,
        Tone::Alert(Severity::Info) => 0x0034_98DB,
        Tone::Correction => 0x008E_44AD,
        Tone::End => 0x0027_AE60,
        Tone::Retraction => 0x002C_3E50,
        Tone::Quiet => 0x0095_A5A6,
    }
}
