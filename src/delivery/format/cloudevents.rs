//! CloudEvents 1.0 over HTTP, structured and binary. The data is the native body.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::delivery::format::Message;
use crate::delivery::format::Telling;
use crate::delivery::format::Told;
use crate::delivery::format::story;
use crate::model::Time;

/// Attributes in order. `severity` and `nature` are extensions: a router that sees only types
/// would take an exercise for the real thing.
fn attributes(telling: &Telling<'_>) -> Vec<(&'static str, &'static str, String)> {
    let mut attributes = vec![
        ("specversion", "ce-specversion", "1.0".to_owned()),
        ("id", "ce-id", telling.id()),
        ("source", "ce-source", telling.public_url.to_owned()),
        ("type", "ce-type", format!("wirebell.{}", telling.kind())),
    ];
    match telling.told {
        Told::Event(event) => {
            let alert = &event.alert;
            attributes.push(("subject", "ce-subject", alert.id.to_string()));
            attributes.push(("time", "ce-time", event.timestamp.to_string()));
            let severity = story::severity(alert.severity).to_owned();
            attributes.push(("severity", "ce-severity", severity));
            attributes.push(("nature", "ce-nature", alert.nature.as_str().to_owned()));
        }
        Told::Ping { at, .. } => attributes.extend(ping(at, telling)),
    }
    attributes
}

fn ping(at: Time, telling: &Telling<'_>) -> [(&'static str, &'static str, String); 3] {
    [
        ("subject", "ce-subject", telling.to.subscription.to_string()),
        ("time", "ce-time", at.to_string()),
        ("nature", "ce-nature", "test".to_owned()),
    ]
}

/// Everything in the body.
pub(super) fn structured(telling: &Telling<'_>) -> Message {
    let mut head: Map<String, Value> = attributes(telling)
        .into_iter()
        .map(|(name, _, value)| (name.to_owned(), json!(value)))
        .collect();
    head.insert("datacontenttype".to_owned(), json!("application/json"));
    // The native body is put in as it is, whatever its size.
    let mut body = Value::Object(head).to_string().into_bytes();
    body.pop();
    body.extend_from_slice(b",\"data\":");
    body.extend(telling.native());
    body.push(b'}');
    Message::of("application/cloudevents+json; charset=UTF-8", body)
}

/// The native body, and the rest in headers.
pub(super) fn binary(telling: &Telling<'_>) -> Message {
    let mut message = Message::of("application/json", telling.native());
    message.headers =
        attributes(telling).into_iter().map(|(_, name, value)| (name, encoded(&value))).collect();
    message
}

/// A header's value as the HTTP binding writes it: what is no visible ASCII, quotes and the
/// percent sign are percent-encoded.
fn encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'%') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_encoded_as_the_binding_says() {
        assert_eq!(encoded("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
        assert_eq!(encoded("\"50%\"\r\n"), "%2250%25%22%0D%0A");
    }
}
