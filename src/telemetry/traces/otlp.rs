//! The form in which spans are sent: a request of OTLP over HTTP, as JSON.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::telemetry::traces::Kind;
use crate::telemetry::traces::Span;
use crate::telemetry::traces::Value;

/// The request that hands over these spans of this resource.
pub fn request(resource: &[(String, String)], spans: &[Span]) -> Vec<u8> {
    let about: Vec<serde_json::Value> =
        resource.iter().map(|(key, value)| attribute(key, &Value::Text(value.clone()))).collect();
    let spans: Vec<serde_json::Value> = spans.iter().map(span).collect();
    let scope = json!({"name": "wirebell", "version": env!("CARGO_PKG_VERSION")});
    let request = json!({"resourceSpans": [{
        "resource": {"attributes": about},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]});
    serde_json::to_vec(&request).expect("plain data with text keys has a JSON form")
}

/// How many spans of a request were not taken, and why, as the answer to it says.
pub fn rejected(answer: &[u8]) -> (u64, String) {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Answer {
        partial_success: Partial,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Partial {
        // A number of 64 bits is written as text, but not by all.
        rejected_spans: serde_json::Value,
        error_message: String,
    }
    let Partial { rejected_spans: count, error_message } =
        serde_json::from_slice::<Answer>(answer).unwrap_or_default().partial_success;
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
    (count.unwrap_or(0), error_message)
}

fn span(span: &Span) -> serde_json::Value {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let nanos = |at: Duration| at.as_nanos().to_string();
    let attributes: Vec<serde_json::Value> =
        span.attributes.iter().map(|(key, value)| attribute(key, value)).collect();
    let mut written = json!({
        "traceId": hex(&span.trace),
        "spanId": hex(&span.id),
        "flags": span.flags,
        "name": span.name,
        "kind": span.kind.number(),
        "startTimeUnixNano": nanos(span.began),
        "endTimeUnixNano": nanos(span.ended),
        "attributes": attributes,
    });
    if let Some(parent) = &span.parent {
        written["parentSpanId"] = json!(hex(parent));
    }
    if !span.links.is_empty() {
        let link =
            |(trace, id): &([u8; 16], [u8; 8])| json!({"traceId": hex(trace), "spanId": hex(id)});
        written["links"] = span.links.iter().map(link).collect();
    }
    if let Some(error) = &span.error {
        written["status"] = json!({"code": 2, "message": error});
    }
    written
}

fn attribute(key: &str, value: &Value) -> serde_json::Value {
    let value = match value {
        Value::Text(text) => json!({"stringValue": text}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
    };
    json!({"key": key, "value": value})
}

impl Kind {
    fn number(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Server => 2,
            Self::Client => 3,
            Self::Consumer => 5,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn span(id: [u8; 8]) -> Span {
        Span {
            name: "article.match",
            kind: Kind::Consumer,
            trace: [0x4b; 16],
            id,
            parent: None,
            flags: 1,
            began: Duration::from_nanos(1_768_773_902_114_000_001),
            ended: Duration::from_nanos(1_768_773_902_115_000_000),
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        }
    }

    #[test]
    fn spans_are_written_as_collectors_read_them() {
        let mut full = span([2; 8]);
        full.parent = Some([1; 8]);
        full.text("article.id", "art_1");
        full.number("matches", 2);
        full.links.push(([5; 16], [6; 8]));
        full.error = Some("no answer".to_owned());
        let resource = [("service.name".to_owned(), "wirebell".to_owned())];
        let written: serde_json::Value =
            serde_json::from_slice(&request(&resource, &[span([1; 8]), full])).unwrap();
        let plain = json!({
            "traceId": "4b".repeat(16), "spanId": "01".repeat(8), "flags": 1,
            "name": "article.match", "kind": 5, "attributes": [],
            "startTimeUnixNano": "1768773902114000001", "endTimeUnixNano": "1768773902115000000",
        });
        let mut full = plain.clone();
        full["spanId"] = json!("02".repeat(8));
        full["parentSpanId"] = json!("01".repeat(8));
        full["attributes"] = json!([
            {"key": "article.id", "value": {"stringValue": "art_1"}},
            {"key": "matches", "value": {"intValue": "2"}},
        ]);
        full["links"] = json!([{"traceId": "05".repeat(16), "spanId": "06".repeat(8)}]);
        full["status"] = json!({"code": 2, "message": "no answer"});
        let scope = json!({"name": "wirebell", "version": env!("CARGO_PKG_VERSION")});
        let about = json!([{"key": "service.name", "value": {"stringValue": "wirebell"}}]);
        assert_eq!(
            written,
            json!({"resourceSpans": [{
                "resource": {"attributes": about},
                "scopeSpans": [{"scope": scope, "spans": [plain, full]}],
            }]})
        );
    }

    #[test]
    fn an_answer_tells_what_was_not_taken() {
        for (answer, count, why) in [
            ("", 0, ""),
            ("{}", 0, ""),
            ("no json", 0, ""),
            (r#"{"partialSuccess":{}}"#, 0, ""),
            (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"old"}}"#, 3, "old"),
            (r#"{"partialSuccess":{"rejectedSpans":4}}"#, 4, ""),
        ] {
            assert_eq!(rejected(answer.as_bytes()), (count, why.to_owned()), "{answer}");
        }
    }
}
