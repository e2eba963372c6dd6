//! PagerDuty: Events API v2. An alert is one incident, whose key is the alert's id; what ends or
//! takes back the alert resolves it.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::delivery::format::Message;
use crate::delivery::format::Telling;
use crate::delivery::format::Told;
use crate::delivery::format::story;
use crate::delivery::format::story::Report;
use crate::delivery::format::story::Story;
use crate::delivery::format::words;
use crate::model::Event;
use crate::model::Nature;
use crate::model::subscription::Secret;

/// Longest summary.
const SUMMARY: usize = 1_024;
/// Longest value of a detail; an event has 512 KB in all.
const DETAIL: usize = 4_000;
/// Reports told in the details.
const REPORTS: usize = 10;

pub(super) fn render(telling: &Telling<'_>, key: &Secret) -> Message {
    let mut body = match telling.told {
        Told::Event(event) => incident(event, telling),
        Told::Ping { id, .. } => ping(id),
    };
    body["routing_key"] = json!(key.expose());
    Message::json(&body)
}

/// A test resolves what was never triggered: PagerDuty checks the request and the key, answers as
/// ever, and pages nobody. A trigger would stay open until somebody closed it.
fn ping(id: &str) -> Value {
    json!({"event_action": "resolve", "dedup_key": format!("test-{id}")})
}

fn incident(event: &Event, telling: &Telling<'_>) -> Value {
    let story = Story::of(telling);
    let alert = &event.alert;
    // What reaches us after the alert has closed would stay open for ever.
    let action = if event.kind.closes() || telling.over { "resolve" } else { "trigger" };
    let severity = match alert.nature {
        Nature::Actual => story::severity(alert.severity),
        Nature::Exercise | Nature::Test => "info",
    };
    let source = story::place(alert).unwrap_or_else(|| alert.rule.to_string());
    let mut body = json!({
        "event_action": action,
        "dedup_key": alert.id,
        "client": "Wirebell",
        "payload": {
            "summary": words::fit(&story.headline, SUMMARY, words::plain, words::utf16),
            "source": source,
            "severity": severity,
            "timestamp": event.timestamp,
            "component": alert.topic,
            "group": source,
            "class": event.kind,
            "custom_details": details(&story),
        },
        "links": links(&story),
    });
    if let Some(link) = &story.link {
        body["client_url"] = json!(link);
    }
    body
}

fn details(story: &Story) -> Value {
    let cut = |text: &str| words::fit(text, DETAIL, words::plain, words::utf16);
    let mut details = Map::new();
    details.insert("what".to_owned(), json!(cut(&story.lead)));
    for (name, value) in &story.facts {
        details.insert(name.to_lowercase(), json!(cut(value)));
    }
    let reports: Vec<String> =
        story.reports.iter().take(REPORTS).map(|report| cut(&line(report))).collect();
    if !reports.is_empty() {
        details.insert("reports".to_owned(), json!(reports));
    }
    if let Some(rest) = story.rest(REPORTS) {
        details.insert("not shown".to_owned(), json!(rest));
    }
    Value::Object(details)
}

fn line(report: &Report) -> String {
    let mut line =
        format!("{} ({})", words::isolated(&report.title), words::isolated(&report.source));
    if !report.quotes.is_empty() {
        line.push_str(": ");
        line.push_str(&Story::quoted(report));
    }
    line
}

fn links(story: &Story) -> Vec<Value> {
    let own = story.link.iter().map(|link| json!({"href": link, "text": "Why this alert is"}));
    let reports =
        story.reports.iter().take(REPORTS).filter_map(|report| {
            Some(json!({"href": report.link.as_ref()?, "text": report.source}))
        });
    own.chain(reports).collect()
}
