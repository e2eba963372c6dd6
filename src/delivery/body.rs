//! The bytes of a webhook: the same for every try, but for `late`.

use bytes::BufMut;
use bytes::Bytes;
use bytes::BytesMut;

use crate::delivery::Logged;
use crate::model::Event;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::event::EventArticle;
use crate::model::wire::Body;
use crate::model::wire::Data;
use crate::model::wire::EventHead;
use crate::model::wire::Links;

/// Largest body sent.
pub const MAX_BYTES: usize = 256 * 1024;

/// Room for any address.
const ADDRESS: usize = 128;
/// Excerpt lengths tried, one after the other, until the body fits.
const EXCERPTS: [usize; 4] = [280, 120, 40, 0];
/// Evidence kept per article once excerpts alone do not help.
const EVIDENCE: [usize; 4] = [40, 8, 2, 0];

/// Who is told, and where in the sequence.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    /// The subscription.
    pub subscription: &'a SubscriptionId,
    /// The event's place among what was admitted.
    pub sequence: u64,
    /// The alert has ended meanwhile.
    pub late: bool,
}

/// `webhook-id` of an event for a subscription: equal on every retry and replay.
pub fn webhook_id(event_id: &str, subscription: &SubscriptionId) -> String {
    [event_id, "-", subscription.as_str()].concat()
}

/// The body of an event without its address: made once, however many are told.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// Up to where the address begins.
    head: Vec<u8>,
    /// After it.
    tail: Vec<u8>,
    /// What the event itself says of being late.
    late: bool,
}

impl Rendered {
    /// The body of the native format, at most [`MAX_BYTES`] long with any address: excerpts are
    /// shortened first, then evidence, then the oldest articles are left out and counted.
    ///
    /// `public_url` is the base of links, without a slash at its end.
    pub fn of(event: &Event, public_url: &str) -> Self {
        let mut body = unaddressed(event);
        let longest = SubscriptionId::from_random([0; 16]);
        body.data.event.subscription = Some(longest.clone());
        body.data.event.sequence = Some(u64::MAX);
        body.data.event.late = false;
        body.data.links.alert = Some(format!("{public_url}/alerts/{}", event.alert.id));
        let bytes = fitted(body);
        // The head of the event comes before anything that others wrote.
        let mut marker = Vec::new();
        Address { subscription: &longest, sequence: u64::MAX, late: false }.write(&mut marker);
        let at = bytes.windows(marker.len()).position(|w| w == marker);
        let at = at.expect("the body has the address that was written into it");
        let (head, rest) = bytes.split_at(at);
        let tail = rest.get(marker.len()..).unwrap_or_default();
        Self { head: head.to_vec(), tail: tail.to_vec(), late: event.late }
    }

    /// The bytes for one subscription.
    pub fn addressed(&self, to: Address<'_>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.longest());
        self.write(to, &mut bytes);
        bytes
    }

    /// The same at the end of `room`, which is used again once nobody has a hold of it.
    pub fn addressed_in(&self, to: Address<'_>, room: &mut BytesMut) -> Bytes {
        room.reserve(self.longest());
        self.write(to, room);
        room.split().freeze()
    }

    fn write(&self, to: Address<'_>, bytes: &mut impl BufMut) {
        bytes.put_slice(&self.head);
        Address { late: to.late || self.late, ..to }.write(bytes);
        bytes.put_slice(&self.tail);
    }

    fn longest(&self) -> usize {
        self.head.len() + ADDRESS + self.tail.len()
    }
}

impl Address<'_> {
    /// The fields of [`EventHead`] that differ between subscriptions, as they stand in the JSON.
    fn write(&self, bytes: &mut impl BufMut) {
        let (sequence, late) =
            (self.sequence.to_string(), if self.late { "true" } else { "false" });
        let (id, sequence) = (self.subscription.as_str(), sequence.as_str());
        for part in [r#""subscription":""#, id, r#"","sequence":"#, sequence, r#","late":"#, late] {
            bytes.put_slice(part.as_bytes());
        }
    }
}

/// What tells an event, made for the first subscription that is told: the same for every try but for
/// `late`.
pub fn rendered<'l>(logged: &'l Logged, public_url: &str) -> &'l Rendered {
    logged.rendered.get_or_init(|| Rendered::of(&logged.event, public_url))
}

fn fitted(mut body: Body) -> Vec<u8> {
    let mut bytes = encode(&body);
    for (excerpt, evidence) in EXCERPTS.into_iter().zip(EVIDENCE) {
        if bytes.len() <= MAX_BYTES {
            return bytes;
        }
        body.data.shortened = true;
        body.data.articles.iter_mut().for_each(|a| shorten(a, excerpt, evidence));
        bytes = encode(&body);
    }
    while bytes.len() > MAX_BYTES && !body.data.articles.is_empty() {
        body.data.articles.remove(0);
        body.data.more_articles = Some(body.data.more_articles.unwrap_or(0).saturating_add(1));
        bytes = encode(&body);
    }
    bytes
}

/// The body of a `test.ping`.
pub fn ping(id: &str, subscription: &SubscriptionId, at: Time) -> Vec<u8> {
    encode(&Body {
        kind: "test.ping".to_owned(),
        timestamp: at,
        data: Data {
            event: EventHead {
                id: id.to_owned(),
                number: 0,
                subscription: Some(subscription.clone()),
                sequence: Some(0),
                late: false,
                possible_end: false,
            },
            alert: None,
            articles: Vec::new(),
            more_articles: None,
            shortened: false,
            reason: None,
            ruleset: None,
            links: Links::default(),
        },
    })
}

/// The body of an event as nobody in particular would be told it.
pub fn unaddressed(event: &Event) -> Body {
    Body {
        kind: event.kind.as_str().to_owned(),
        timestamp: event.timestamp,
        data: Data {
            event: EventHead {
                id: event.id.to_string(),
                number: event.number,
                subscription: None,
                sequence: None,
                late: event.late,
                possible_end: event.possible_end,
            },
            alert: Some(event.alert.clone()),
            articles: event.articles.clone(),
            more_articles: (event.more_articles > 0).then_some(event.more_articles),
            shortened: false,
            reason: event.reason.clone(),
            ruleset: Some(event.ruleset.clone()),
            links: Links::default(),
        },
    }
}

fn shorten(article: &mut EventArticle, excerpt: usize, evidence: usize) {
    if article.excerpt.chars().count() > excerpt {
        article.excerpt = article.excerpt.chars().take(excerpt).chain(['…']).collect();
    }
    article.evidence.truncate(evidence);
    article.evidence.iter_mut().for_each(|e| {
        if e.text.chars().count() > 1_000 {
            e.text = e.text.chars().take(1_000).collect();
        }
    });
}

fn encode(body: &Body) -> Vec<u8> {
    serde_json::to_vec(body).expect("plain data with text keys has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::admission::tests::event;
    use crate::model::ArticleId;
    use crate::model::EventKind;
    use crate::model::Evidence;
    use crate::model::Field;
    use crate::model::Severity;
    use crate::model::SourceId;

    fn address(subscription: &SubscriptionId) -> Address<'_> {
        Address { subscription, sequence: 17, late: false }
    }

    fn native(event: &Event, to: Address<'_>) -> Vec<u8> {
        Rendered::of(event, "http://127.0.0.1:8080").addressed(to)
    }

    fn article(n: usize, excerpt: &str, evidence: usize) -> EventArticle {
        let one = Evidence {
            field: Field::Body,
            start: 0,
            end: 1,
            text: "x".repeat(900),
            lang: None,
            term: "when".into(),
        };
        EventArticle {
            id: ArticleId::of(&SourceId::push(), &n.to_string()),
            revision: 1,
            source: SourceId::push(),
            url: None,
            title: "t".repeat(2000),
            lang: None,
            excerpt: excerpt.to_owned(),
            published_at: None,
            first_seen_at: Time::from_millis(0),
            evidence: vec![one; evidence],
            silent_langs: Vec::new(),
        }
    }

    #[test]
    fn the_body_has_the_documented_shape() {
        let subscription = SubscriptionId::from_random([1; 16]);
        let event = event(EventKind::Opened, 1, "siren", Severity::Critical);
        let body: serde_json::Value =
            serde_json::from_slice(&native(&event, address(&subscription))).unwrap();
        assert_eq!(body["type"], "alert.opened");
        assert_eq!(body["data"]["event"]["sequence"], 17);
        assert_eq!(body["data"]["alert"]["ended_at"], serde_json::Value::Null);
        assert_eq!(body["data"]["reason"], serde_json::Value::Null);
        let link = body["data"]["links"]["alert"].as_str().unwrap();
        assert_eq!(link, format!("http://127.0.0.1:8080/alerts/{}", event.alert.id));
        let head: EventHead = serde_json::from_value(body["data"]["event"].clone()).unwrap();
        assert_eq!((head.subscription.as_ref(), head.late), (Some(&subscription), false));
        let late = native(&event, Address { late: true, ..address(&subscription) });
        let late: serde_json::Value = serde_json::from_slice(&late).unwrap();
        assert_eq!(late["data"]["event"]["late"], true);
        let id = webhook_id(event.id.as_str(), &subscription);
        assert!(!id.contains('.'), "a dot would let two messages share a signature");
    }

    #[test]
    fn a_body_stays_within_its_limit_and_keeps_the_article_that_caused_it() {
        let subscription = SubscriptionId::from_random([1; 16]);
        let mut event = event(EventKind::Updated, 2, "siren", Severity::Critical);
        event.articles = (0..20).map(|n| article(n, &"e".repeat(300), 40)).collect();
        let last = event.articles[19].id.clone();
        let bytes = native(&event, address(&subscription));
        assert!(bytes.len() <= MAX_BYTES, "{}", bytes.len());
        let body: Body = serde_json::from_slice(&bytes).unwrap();
        assert!(body.data.shortened);
        assert_eq!(body.data.articles.last().unwrap().id, last);
        assert_eq!(bytes, native(&event, address(&subscription)), "every try has the same bytes");
    }
}
