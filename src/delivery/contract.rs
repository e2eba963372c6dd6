//! The contract with receivers for machines: a JSON Schema of the body, and AsyncAPI of the whole
//! request. Pure; the committed files are held to it.

use schemars::generate::SchemaSettings;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::delivery::example;
use crate::model::EventKind;
use crate::model::wire::Body;

/// Every header of a webhook but those of the connection and the subscription's own: whether a
/// receiver may rely on it, and what it says.
pub const HEADERS: [(&str, bool, &str); 8] = [
    (
        "webhook-id",
        true,
        "Event and subscription: equal on every retry and replay. Drop repeats by it",
    ),
    ("webhook-timestamp", true, "When this attempt was signed, in whole seconds since 1970"),
    (
        "webhook-signature",
        true,
        "One v1 signature for each key, with spaces between: HMAC-SHA256 over id.timestamp.body",
    ),
    ("content-type", true, "application/json in the native format"),
    ("user-agent", false, "Wirebell and its version"),
    (
        "traceparent",
        false,
        "W3C trace context: the trace of what caused the event, else one of its own",
    ),
    ("accept-encoding", false, "identity: nothing in the answer is unpacked"),
    ("wirebell-hops", false, "How many Wirebells passed it on: ends loops"),
];
/// Where schemas lie in an AsyncAPI document.
const SCHEMAS: &str = "#/components/schemas/";

/// What each type means.
pub fn meaning(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Opened => "A new alert: ring",
        EventKind::Updated => "More articles about it since the last event",
        EventKind::Confirmed => "Independent sources or an official one agree",
        EventKind::Corrected => "An article that counted no longer says so; the alert stays open",
        EventKind::Ended => "It is over",
        EventKind::Retracted => "It was wrong: take back what you did",
        EventKind::Expired => "Closed for want of news; only for those who asked for it",
    }
}

/// The JSON Schema of the native body, as it is committed.
pub fn event_schema() -> String {
    let mut schema = generated();
    schema["title"] = json!("Wirebell webhook body");
    schema["description"] = json!("More fields and types may come: ignore what you do not know");
    pretty(&schema)
}

/// The AsyncAPI document, as it is committed.
pub fn asyncapi() -> String {
    let mut body = generated();
    let mut schemas = Map::new();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("$schema");
        if let Some(Value::Object(definitions)) = fields.remove("definitions") {
            schemas = definitions;
        }
    }
    schemas.insert("Body".to_owned(), body);
    schemas.insert("Headers".to_owned(), headers());
    let mut schemas = Value::Object(schemas);
    moved(&mut schemas);
    let kinds = EventKind::ALL.map(|kind| (kind.as_str(), meaning(kind), example_of(kind)));
    let ping = (example::PING, "A trial that was asked for", parsed(&example::ping_body()));
    let all: Vec<(&str, &str, Value)> = kinds.into_iter().chain([ping]).collect();
    let at = |name: &str, place: &str| json!({"$ref": format!("#/{place}/messages/{name}")});
    let named = |place| all.iter().map(move |(name, ..)| (*name, at(name, place)));
    let in_channel: Map<String, Value> =
        named("components").map(|(name, at)| (name.to_owned(), at)).collect();
    let told: Vec<Value> = named("channels/webhook").map(|(_, at)| at).collect();
    let messages: Map<String, Value> = all.iter().map(message).collect();
    pretty(&json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Wirebell webhooks",
            "version": "1",
            "description": "What Wirebell posts to a subscription. Answer with a 2xx within 20 s.",
            "license": {"name": "MIT OR Apache-2.0"}
        },
        "defaultContentType": "application/json",
        "channels": {"webhook": {
            "address": null,
            "description": "The address of the subscription",
            "messages": in_channel
        }},
        "operations": {"tell": {
            "action": "send",
            "channel": {"$ref": "#/channels/webhook"},
            "messages": told,
            "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}}
        }},
        "components": {"messages": messages, "schemas": schemas}
    }))
}

fn message((name, meaning, example): &(&str, &str, Value)) -> (String, Value) {
    let body = format!("{SCHEMAS}Body");
    let message = json!({
        "name": name,
        "summary": meaning,
        "contentType": "application/json",
        "headers": {"$ref": format!("{SCHEMAS}Headers")},
        "payload": {"allOf": [{"$ref": body}, {"properties": {"type": {"const": name}}}]},
        "examples": [{"payload": example}]
    });
    ((*name).to_owned(), message)
}

fn example_of(kind: EventKind) -> Value {
    parsed(&example::body(kind, "http://127.0.0.1:8080"))
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("a body is JSON")
}

fn headers() -> Value {
    let properties: Map<String, Value> = HEADERS
        .into_iter()
        .map(|(name, _, says)| (name.to_owned(), json!({"type": "string", "description": says})))
        .collect();
    let required: Vec<&str> =
        HEADERS.into_iter().filter(|(_, relied, _)| *relied).map(|(name, ..)| name).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

/// By what is written, not by what could be read.
fn generated() -> Value {
    let settings = SchemaSettings::draft07().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Body>().to_value();
    let known: Vec<&str> =
        EventKind::ALL.into_iter().map(EventKind::as_str).chain([example::PING]).collect();
    schema["properties"]["type"]["examples"] = json!(known);
    schema
}

/// Points references at where an AsyncAPI document has its schemas.
fn moved(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(moved),
        Value::Object(fields) => {
            if let Some(Value::String(at)) = fields.get_mut("$ref") {
                *at = at.replace("#/definitions/", SCHEMAS);
            }
            fields.values_mut().for_each(moved);
        }
        _ => {}
    }
}

fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).expect("a document has a JSON form");
    format!("{text}\n")
}
