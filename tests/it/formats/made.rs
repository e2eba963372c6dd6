//! Invented events in three scripts.

use serde_json::Value;
use serde_json::json;
use wirebell::delivery::body::Address;
use wirebell::delivery::format;
use wirebell::delivery::format::Message;
use wirebell::delivery::format::Style;
use wirebell::delivery::format::Telling;
use wirebell::delivery::format::Told;
use wirebell::model::Event;
use wirebell::model::SubscriptionId;
use wirebell::model::subscription::Format;
use wirebell::model::subscription::Secret;
use wirebell::model::subscription::Template;

pub(super) const KINDS: [&str; 7] = [
    "alert.opened",
    "alert.updated",
    "alert.confirmed",
    "alert.corrected",
    "alert.ended",
    "alert.retracted",
    "alert.expired",
];

pub(super) const URL: &str = "https://desk.example/desk";
const PUBLIC: &str = "https://wirebell.example";

/// A script, a place, a title, evidence in it, a second title and a reason.
pub(super) struct Texts {
    pub(super) script: &'static str,
    key: &'static str,
    pub(super) title: &'static str,
    evidence: &'static str,
    again: &'static str,
    pub(super) reason: &'static str,
}

pub(super) const TEXTS: [Texts; 3] = [
    Texts {
        script: "latin",
        key: "port-mallow",
        title: "Flood sirens sound in Port Mallow & the *old* harbour",
        evidence: "Flood sirens sound",
        again: "Water rises over the quay of Port Mallow",
        reason: "The gauge was broken: no flood.",
    },
    Texts {
        script: "arabic",
        key: "مرفأ",
        title: "دوت صفارات الإنذار في المرفأ القديم",
        evidence: "صفارات الإنذار",
        again: "المياه ترتفع فوق الرصيف",
        reason: "كان المقياس معطلا، لا فيضان.",
    },
    Texts {
        script: "cjk",
        key: "青葉港",
        title: "青葉港で洪水警報のサイレンが鳴る",
        evidence: "洪水警報",
        again: "岸壁を越えて水位が上昇",
        reason: "水位計の故障で、洪水はない。",
    },
];

fn status(kind: &str) -> &'static str {
    match kind {
        "alert.ended" => "ended",
        "alert.retracted" => "retracted",
        "alert.expired" => "expired",
        _ => "open",
    }
}

fn article(title: &str, evidence: &str, n: usize) -> Value {
    json!({
        "id": format!("art_{}", "a".repeat(26)), "revision": 1, "source": format!("skylark-{n}"),
        "url": format!("https://skylark.example/{n}?a=1&b=2"), "title": title, "lang": null,
        "excerpt": title, "published_at": "2026-01-18T22:04:00.000Z",
        "first_seen_at": "2026-01-18T22:05:00.000Z",
        "evidence": [{"field": "title", "start": 0, "end": 1, "text": evidence,
            "term": "words.siren[0]"}],
    })
}

/// An event as JSON, to be changed before it is read.
pub(super) fn event(kind: &str, texts: &Texts) -> Value {
    let closed = status(kind) != "open";
    let gives_reason = ["alert.corrected", "alert.ended", "alert.retracted"].contains(&kind);
    json!({
        "v": 1, "id": format!("evt_{}", "b".repeat(26)),
        "number": if kind == "alert.opened" { 1 } else { 2 }, "type": kind,
        "timestamp": "2026-01-18T22:05:02.114Z",
        "alert": {
            "id": format!("alr_{}", "c".repeat(26)), "rule": "flood", "topic": "flood",
            "key": texts.key, "title": texts.title, "severity": "critical",
            "status": status(kind), "nature": "actual",
            "confirmation": if kind == "alert.confirmed" { "confirmed" } else { "unconfirmed" },
            "independent_sources": 2, "opened_at": "2026-01-18T21:40:00.000Z",
            "updated_at": "2026-01-18T22:05:02.114Z",
            "ended_at": if closed { json!("2026-01-18T22:05:02.114Z") } else { json!(null) },
        },
        "articles": [
            article(texts.again, "", 2),
            article(texts.title, texts.evidence, 1),
        ],
        "more_articles": if kind == "alert.updated" { 3 } else { 0 },
        "reason": if gives_reason { json!(texts.reason) } else { json!(null) },
        "ruleset": "sha256:0",
    })
}

pub(super) fn read(event: &Value) -> Event {
    serde_json::from_value(event.clone()).unwrap()
}

/// The template of the golden files.
pub(super) fn template(text: &str, content_type: &str) -> Template {
    Template { text: text.to_owned(), content_type: content_type.to_owned() }
}

pub(super) fn style(format: Format) -> Style {
    let text = "{\"text\": {{ headline }}, \"what\": {{ lead }}, \"where\": {{ alert.key }},
 \"words\": [{% for article in articles %}{% if not loop.first %}, {% endif %}{{ article.title }}\
{% endfor %}], \"more\": {{ more_articles }}, \"why\": {{ reason }}}";
    Style {
        format,
        url: URL.to_owned(),
        routing_key: Some(Secret::new("R0UT1NGK3YR0UT1NGK3YR0UT1NGK3Y00".to_owned())),
        template: Some(template(text, "application/json")),
    }
}

pub(super) fn subscription() -> SubscriptionId {
    SubscriptionId::from_random([7; 16])
}

/// What is sent of an event.
pub(super) fn sent(event: &Event, style: &Style) -> Message {
    told(Told::Event(event), style, false).unwrap()
}

pub(super) fn told(
    told: Told<'_>,
    style: &Style,
    over: bool,
) -> Result<Message, format::Unrenderable> {
    let subscription = subscription();
    let sequence = if matches!(told, Told::Ping { .. }) { 0 } else { 17 };
    let to = Address { subscription: &subscription, sequence, late: over };
    format::render(&Telling { told, to, over, public_url: PUBLIC }, style)
}

pub(super) fn ping(style: &Style) -> Message {
    let id = format!("evt_{}", "d".repeat(26));
    let at = "2026-01-18T22:05:02.114Z".parse().unwrap();
    told(Told::Ping { id: &id, at }, style, false).unwrap()
}

pub(super) fn json_of(message: &Message) -> Value {
    serde_json::from_slice(&message.body).unwrap()
}

/// Every text in a JSON value.
pub(super) fn texts_of(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(texts_of).collect(),
        Value::Object(object) => object.values().flat_map(texts_of).collect(),
        _ => Vec::new(),
    }
}
