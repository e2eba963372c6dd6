//! ntfy: published as JSON to the server's root with the topic in the body.
//!
//! The other way, a text to the topic's own address with title and tags in headers, needs an
//! encoding of non-ASCII headers that proxies and servers read differently; JSON is UTF-8
//! throughout.

use serde_json::json;
use url::Url;

use crate::delivery::format::Message;
use crate::delivery::format::Telling;
use crate::delivery::format::Told;
use crate::delivery::format::story;
use crate::delivery::format::story::Story;
use crate::delivery::format::story::Tone;
use crate::delivery::format::words;
use crate::model::Severity;

/// Longest title, in bytes.
const TITLE: usize = 250;
/// Longest message, in bytes: a longer one becomes an attachment.
const MESSAGE: usize = 4_096;
/// Longest part of one report.
const REPORT: usize = 900;
/// Reports shown.
const REPORTS: usize = 2;
/// Longest topic.
const TOPIC: usize = 64;

/// Where a topic's address leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What is called.
    pub server: String,
    /// The topic.
    pub topic: String,
}

impl Place {
    /// From a topic's address: its last part is the topic. A query stays, as ntfy takes access
    /// tokens there. None where there is no topic.
    pub fn of(address: &str) -> Option<Self> {
        let mut url = Url::parse(address).ok()?;
        let topic = url.path_segments()?.next_back()?.to_owned();
        let is_topic = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if topic.is_empty() || topic.len() > TOPIC || !topic.chars().all(is_topic) {
            return None;
        }
        // The slash stays: the root of the server, or of the part of it that is ntfy.
        url.path_segments_mut().ok()?.pop().push("");
        Some(Self { server: url.into(), topic })
    }
}

pub(super) fn render(telling: &Telling<'_>, topic: &str) -> Message {
    let story = Story::of(telling);
    let mut body = json!({
        "topic": topic,
        "title": words::fit(&story.headline, TITLE, words::plain, words::bytes),
        "message": message(&story),
        "priority": priority(story.tone),
        "tags": tags(&story, telling),
    });
    if let Some(link) = &story.link {
        body["click"] = json!(link);
    }
    Message::json(&body)
}

fn message(story: &Story) -> String {
    let mut lines = vec![story.lead.clone()];
    let facts: Vec<String> = story
        .facts
        .iter()
        .map(|(name, value)| format!("{name}: {}", words::isolated(value)))
        .collect();
    if !facts.is_empty() {
        lines.push(facts.join(" · "));
    }
    for report in story.reports.iter().take(REPORTS) {
        let (title, source) = (words::isolated(&report.title), words::isolated(&report.source));
        let mut line = format!("{source}: {title}");
        if !report.quotes.is_empty() {
            line.push_str(" – ");
            line.push_str(&Story::quoted(report));
        }
        let mut line = words::fit(&line, REPORT, words::plain, words::bytes);
        if let Some(link) = report.link.as_ref().filter(|link| link.len() <= 300) {
            line.push(' ');
            line.push_str(link);
        }
        lines.push(line);
    }
    lines.extend(story.rest(REPORTS));
    words::fit(&lines.join("\n"), MESSAGE, words::plain, words::bytes)
}

/// 5 makes a phone ring through silence, 3 is the default, 2 makes no sound.
fn priority(tone: Tone) -> u8 {
    match tone {
        Tone::Alert(Severity::Critical) => 5,
        Tone::Alert(Severity::Warning) => 4,
        Tone::Alert(Severity::Info) | Tone::Correction => 3,
        Tone::End | Tone::Retraction | Tone::Quiet => 2,
    }
}

/// The first is shown as a picture before the title; the others as words below.
fn tags(story: &Story, telling: &Telling<'_>) -> Vec<String> {
    let picture = match story.tone {
        Tone::Alert(Severity::Critical) => "rotating_light",
        Tone::Alert(Severity::Warning) => "warning",
        Tone::Alert(Severity::Info) => "information_source",
        Tone::Correction => "pencil2",
        Tone::End => "white_check_mark",
        Tone::Retraction => "x",
        Tone::Quiet => "grey_exclamation",
    };
    let mut tags = vec![picture.to_owned()];
    if let Some(mark) = story.mark {
        tags.push(mark.to_lowercase());
    }
    if let Told::Event(event) = telling.told {
        tags.push(story::severity(event.alert.severity).to_owned());
        tags.push(event.alert.topic.to_string());
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_is_the_last_part_of_the_address() {
        for (address, server, topic) in [
            ("https://push.example.net/desk", "https://push.example.net/", "desk"),
            ("https://x.example/ntfy/a-b_9", "https://x.example/ntfy/", "a-b_9"),
            ("https://x.example:8443/t?auth=QmVh", "https://x.example:8443/?auth=QmVh", "t"),
        ] {
            let place = Place::of(address).unwrap();
            assert_eq!((place.server.as_str(), place.topic.as_str()), (server, topic));
        }
        let long = format!("https://x.example/{}", "t".repeat(TOPIC + 1));
        for address in ["https://x.example/", "https://x.example", "https://x.example/a b", &long] {
            assert_eq!(Place::of(address), None, "{address}");
        }
    }
}
