//! Subjects and keys: what a record is called is what it is.

use crate::model::id::AlertId;
use crate::model::id::ArticleId;
use crate::model::id::Key;
use crate::model::id::RuleId;
use crate::model::id::SourceId;
use crate::model::id::SubscriptionId;
use crate::model::id::Topic;
use crate::model::rule::Nature;

/// Each byte outside `[A-Za-z0-9_-]` as `=` and two capital hex digits.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b == b'_' || b == b'-' {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("={b:02X}"));
        }
    }
    out
}

/// The text that [`encode`] made this of; none if it made no such thing.
pub fn decode(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(b) = rest.next() {
        if b == b'=' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(b);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    (encode(&text) == token).then_some(text)
}

/// Subject of an article's revisions.
pub fn article(source: &SourceId, id: &ArticleId) -> String {
    format!("wb.article.{}.{id}", encode(source.as_str()))
}

/// Subject of an alert's event number `n`.
pub fn event(topic: &Topic, alert: &AlertId, n: u32) -> String {
    format!("wb.event.{topic}.{alert}.{n}")
}

/// Subject of what the rules of one shard made of a revision.
///
/// The shard is part of the name because each shard's owner decides alone, and a record is
/// written once.
pub fn verdict(article: &ArticleId, revision: u32, shard: u16) -> String {
    format!("wb.verdict.{article}.{revision}.{shard}")
}

/// Subject of a subscription's attempts.
pub fn attempt(subscription: &SubscriptionId) -> String {
    format!("wb.attempt.{subscription}")
}

/// Subject of what a worker could not process; `origin` names the record or file.
pub fn buried(worker: &str, reason: &str, origin: &str) -> String {
    let origin: String = encode(origin).chars().take(300).collect();
    format!("wb.buried.{}.{}.{origin}", encode(worker), encode(reason))
}

/// Subject of the changes that somebody made by hand.
pub fn audit(who: &str) -> String {
    format!("wb.audit.{}", encode(who))
}

/// Subject of what somebody used a key for; `key` is its digest.
pub fn call(who: &str, key: &str) -> String {
    format!("wb.call.{}.{key}", encode(who))
}

/// Key of an alert's state.
pub fn alert_key(rule: &RuleId, key: &Key, nature: Nature) -> String {
    format!("{rule}/{}/{}", encode(key.as_str()), nature.as_str())
}

/// Key of a shard's lease.
pub fn lease_key(worker: &str, shard: u16) -> String {
    format!("{worker}/{shard}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_from_its_token() {
        for text in ["push", "a b", "a.b/c=d", "Одеса", "新港", "*>", "-_", ""] {
            let token = encode(text);
            assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"=_-".contains(&b)));
            assert_eq!(decode(&token).as_deref(), Some(text), "{text}");
        }
        for bad in ["=", "=4", "=4g", "=41", "a.b", "=ff", "=FF"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
