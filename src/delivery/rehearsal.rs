//! What would be sent to a subscription now, for its owner to look at or to send by hand. Pure:
//! nothing is sent, and no secret is in it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::delivery::body::Address;
use crate::delivery::credentials;
use crate::delivery::example;
use crate::delivery::format;
use crate::delivery::format::Style;
use crate::delivery::format::Telling;
use crate::delivery::format::Told;
use crate::delivery::format::Unrenderable;
use crate::delivery::signature;
use crate::delivery::signature::BadSecret;
use crate::delivery::signature::Signer;
use crate::model::EventKind;
use crate::model::Subscription;
use crate::model::Time;
use crate::model::subscription::Format;
use crate::model::subscription::Secret;

/// In place of what only the receiver and its owner know.
pub const MASK: &str = "***";

/// What an answer means.
const ANSWERS: [(&str, &str); 7] = [
    ("2xx in time", "delivered; answer first and work later, the body of the answer is not used"),
    ("410", "the subscription is paused at once and keeps everything until it is resumed"),
    (
        "429, 502, 503, 504",
        "tried again after Retry-After (at most 24 h) or the next step, and half as fast",
    ),
    ("3xx", "a failure: redirects are not followed, the subscription needs the new URL"),
    ("415", "this event is given up, the next ones are sent"),
    ("any other status", "tried again after 1 s, 5 s, 15 s, 1 min and so on, for 46 h and more"),
    (
        "nothing in time (`delivery.timeout`, 20 s unless set)",
        "tried again under the same webhook-id: it may have been received",
    ),
];

/// What is rehearsed.
#[derive(Clone, Copy, Debug)]
pub struct Play<'a> {
    /// For whom.
    pub subscription: &'a Subscription,
    /// An invented event of this type; none for a `test.ping`.
    pub kind: Option<EventKind>,
    /// The id of a `test.ping`.
    pub ping: &'a str,
    /// When it would be sent.
    pub now: Time,
    /// Base of links, without a slash at its end.
    pub public_url: &'a str,
}

/// A request that is not sent.
#[derive(Clone, Debug, Serialize)]
pub struct Rehearsal {
    /// Always POST.
    pub method: &'static str,
    /// Where to.
    pub url: String,
    /// Every header, by name; what the subscription adds of its own is masked.
    pub headers: BTreeMap<String, String>,
    /// The bytes that are signed.
    pub body: String,
    /// The same for a shell.
    pub curl: String,
    /// What answers mean.
    pub answers: BTreeMap<&'static str, &'static str>,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A stored key cannot sign.
    #[error("a stored signing key cannot be used")]
    Secret(#[from] BadSecret),
    /// Its format gives nothing.
    #[error("nothing would be sent")]
    Unrenderable(#[from] Unrenderable),
}

/// The request as it would be sent, in the subscription's format; in the place of a routing key
/// stands [`MASK`], which the signature counts with. `connection` are headers that the client writes.
pub fn rehearse(play: Play<'_>, connection: &[(&str, String)]) -> Result<Rehearsal, Error> {
    let Play { subscription, kind, ping, now, public_url } = play;
    let event = kind.map(example::rehearsed);
    let told = match &event {
        Some(event) => Told::Event(event),
        None => Told::Ping { id: ping, at: now },
    };
    // No real event has this sequence, so none is missed or taken for a repeat.
    let to = Address { subscription: &subscription.id, sequence: 0, late: false };
    let telling = Telling { told, to, over: false, public_url };
    let id = telling.id();
    let message = format::render(&telling, &masked(subscription))?;
    let signers = subscription.keys.iter().map(Signer::new).collect::<Result<Vec<_>, _>>()?;
    let in_force = signers.iter().filter_map(|signer| signer.at(now));
    let signature = signature::sign(in_force, &id, now.seconds(), &message.body);
    let own = credentials::headers(&subscription.credentials);
    let mut headers: BTreeMap<String, String> =
        own.keys().map(|name| (name.to_string(), MASK.to_owned())).collect();
    headers.extend(connection.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    headers.extend(message.headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
    for (name, value) in [
        ("content-type", message.content_type.into_owned()),
        ("webhook-id", id),
        ("webhook-timestamp", now.seconds().to_string()),
        ("webhook-signature", signature),
    ] {
        headers.insert(name.to_owned(), value);
    }
    let body = String::from_utf8_lossy(&message.body).into_owned();
    let url = format::called(subscription.format, &subscription.url).into_owned();
    let curl = curl(&url, &headers, &body);
    Ok(Rehearsal { method: "POST", url, headers, body, curl, answers: ANSWERS.into() })
}

/// How it is told, without the key that only PagerDuty and the owner know.
fn masked(subscription: &Subscription) -> Style {
    let native = || Style {
        format: Format::Wirebell,
        url: subscription.url.clone(),
        routing_key: None,
        template: None,
    };
    let mut style = Style::of(subscription).map_or_else(native, |style| *style);
    style.routing_key = style.routing_key.map(|_| Secret::new(MASK.to_owned()));
    style
}

fn curl(url: &str, headers: &BTreeMap<String, String>, body: &str) -> String {
    let mut text = format!("curl -i -X POST {}", quoted(url));
    for (name, value) in headers {
        text.push_str(&format!(" \\\n  -H {}", quoted(&format!("{name}: {value}"))));
    }
    format!("{text} \\\n  --data-binary {}", quoted(body))
}

/// A word of a POSIX shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::diagnosis;
    use crate::delivery::signature::Key;
    use crate::delivery::signature::secret_from_random;

    fn subscription() -> Subscription {
        serde_json::from_value(serde_json::json!({
            "v": 1, "id": example::subscription(), "url": "https://desk.example.net/it's?a=1&b",
            "keys": [{"secret": secret_from_random([1; 32]).expose()}],
            "credentials": {
                "headers": {"x-desk": "hidden-1"}, "auth": {"bearer": {"token": "hidden-2"}}
            },
            "filters": [{"number": 1, "effective_after": 0, "filter": {"topics": ["*"]}}],
            "created_at": "2026-01-18T22:05:02.114Z", "updated_at": "2026-01-18T22:05:02.114Z"
        }))
        .unwrap()
    }

    fn rehearsed(kind: Option<EventKind>) -> Rehearsal {
        let subscription = subscription();
        let play = Play {
            subscription: &subscription,
            kind,
            ping: "ping_a",
            now: Time::from_millis(1_789_000_000_000),
            public_url: "http://127.0.0.1:8080",
        };
        rehearse(play, &[("user-agent", "Wirebell/1".to_owned())]).unwrap()
    }

    #[test]
    fn what_is_shown_verifies_and_has_no_secret() {
        for kind in [None].into_iter().chain(EventKind::ALL.map(Some)) {
            let shown = rehearsed(kind);
            let mut headers = http::HeaderMap::new();
            for (name, value) in &shown.headers {
                let name = http::HeaderName::try_from(name.as_str()).unwrap();
                headers.insert(name, value.parse().unwrap());
            }
            let key = Key::parse(&secret_from_random([1; 32])).unwrap();
            let judged = diagnosis::judge(&[key], &headers, shown.body.as_bytes(), 1_789_000_000);
            assert_eq!(judged, Ok(0), "{kind:?}");
            assert_eq!(
                (headers["x-desk"].as_bytes(), headers["authorization"].as_bytes()),
                (&b"***"[..], &b"***"[..])
            );
            let all = serde_json::to_string(&shown).unwrap();
            assert!(!all.contains("hidden") && !all.contains("whsec_"), "{all}");
            let body: serde_json::Value = serde_json::from_str(&shown.body).unwrap();
            assert_eq!(body["data"]["event"]["sequence"], 0, "no receiver counts it");
            assert!(kind.is_none() || body["data"]["alert"]["nature"] == "test", "{body}");
        }
    }

    #[test]
    fn another_format_is_shown_as_it_is_sent_and_without_its_key() {
        let mut subscription = subscription();
        subscription.format = Format::Pagerduty;
        subscription.routing_key = Some(Secret::new("k".repeat(32)));
        let rehearsed = |subscription: &Subscription| {
            let play = Play {
                subscription,
                kind: Some(EventKind::Opened),
                ping: "ping_a",
                now: Time::from_millis(1_789_000_000_000),
                public_url: "http://127.0.0.1:8080",
            };
            rehearse(play, &[]).unwrap()
        };
        let shown = rehearsed(&subscription);
        let body: serde_json::Value = serde_json::from_str(&shown.body).unwrap();
        assert_eq!(
            (&body["event_action"], &body["routing_key"]),
            (&"trigger".into(), &MASK.into())
        );
        subscription.format = Format::Ntfy;
        subscription.url = "https://push.example.net/desk".to_owned();
        let shown = rehearsed(&subscription);
        assert_eq!(shown.url, "https://push.example.net/");
        assert!(shown.body.contains("\"topic\":\"desk\""), "{}", shown.body);
    }

    #[test]
    fn a_shell_reads_what_was_meant() {
        let shown = rehearsed(Some(EventKind::Opened));
        let script = format!("curl() {{ printf '%s\\0' \"$@\"; }}\n{}", shown.curl);
        let ran = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        let words: Vec<String> =
            String::from_utf8(ran.stdout).unwrap().split('\0').map(str::to_owned).collect();
        assert!(words.contains(&shown.url) && words.contains(&shown.body), "{words:?}");
        for (name, value) in &shown.headers {
            assert!(words.contains(&format!("{name}: {value}")), "{words:?}");
        }
    }
}
