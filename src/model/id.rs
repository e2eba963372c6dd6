//! Ids. A hash id says what it names: the same content has the same id on every machine.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Serialize;
use serde::Serializer;
use sha2::Digest;
use sha2::Sha256;

use crate::model::rule::Nature;

/// Number of shards that rules, subscriptions and feeds are divided into.
pub const SHARDS: u16 = 64;

/// Longest source, key or subscription in a subject, in bytes before encoding.
pub const MAX_TOKEN_BYTES: usize = 100;

/// A text that is not a valid id of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: {wanted}")]
pub struct BadId {
    what: &'static str,
    text: String,
    wanted: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $wanted:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text and takes it as an id.
            pub fn new(text: impl Into<String>) -> Result<Self, BadId> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) {
                    Ok(Self(text.into()))
                } else {
                    let text = text.chars().take(120).collect();
                    Err(BadId { what: $what, text, wanted: $wanted })
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "description": concat!("The ", $what, ": ", $wanted)})
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// An article: `art_` and the hash of its source and identity.
    ArticleId, "article id", "art_ and 26 of a-z2-7", |s| is_hash_id(s, "art_")
);
id!(
    /// An alert: `alr_` and the hash of rule, key, nature and the article revision that opened it.
    AlertId, "alert id", "alr_ and 26 of a-z2-7", |s| is_hash_id(s, "alr_")
);
id!(
    /// An event: `evt_` and the hash of its alert and number.
    EventId, "event id", "evt_ and 26 of a-z2-7", |s| is_hash_id(s, "evt_")
);
id!(
    /// A subscription: `sub_` and 16 random bytes.
    SubscriptionId, "subscription id", "sub_ and 26 of a-z2-7", |s| is_hash_id(s, "sub_")
);
id!(
    /// A subscription's name in the file that it is kept in; shaped like a rule id.
    SubscriptionName, "name", "a small letter, then up to 63 of a-z, 0-9 and -", is_slug
);
id!(
    /// A rule, unique in its rule set.
    RuleId, "rule id", "a small letter, then up to 63 of a-z, 0-9 and -", is_slug
);
id!(
    /// What a subscription asks for; shaped like a rule id.
    Topic, "topic", "a small letter, then up to 63 of a-z, 0-9 and -", is_slug
);
id!(
    /// What an alert is about within its rule: a place, a source's owner, or `-` for unknown.
    Key, "key", "1 to 100 bytes without control characters", is_token
);
id!(
    /// Where an article came from: the id of a feed or folder, `push`, or what the sender named.
    SourceId, "source", "1 to 100 bytes without control characters", is_token
);
id!(
    /// A language as BCP 47 writes it, such as `uk` or `zh-TW`.
    Lang, "language", "a tag such as en, uk or zh-TW", is_lang
);

impl Key {
    /// The key of an alert whose place is not known, or whose rule has one alert only.
    pub fn unknown() -> Self {
        Self("-".into())
    }

    /// Whether this is the unknown key `-`.
    pub fn is_unknown(&self) -> bool {
        self.as_str() == "-"
    }
}

impl SourceId {
    /// The source of what is pushed without naming one.
    pub fn push() -> Self {
        Self("push".into())
    }

    /// The source of the canary's articles.
    pub fn canary() -> Self {
        Self("canary".into())
    }

    /// Whether no feed or folder may have it: what comes from there would pass for Wirebell's own.
    pub fn is_own(&self) -> bool {
        [Self::push(), Self::canary(), Self::operator()].contains(self)
    }

    /// The source of an operator's own decisions.
    pub fn operator() -> Self {
        Self("operator".into())
    }
}

impl Lang {
    /// Whether a filter that asks for `self` lets `other` through: `zh` covers `zh-TW`.
    pub fn covers(&self, other: &Lang) -> bool {
        let (wanted, given) = (self.0.to_ascii_lowercase(), other.0.to_ascii_lowercase());
        given == wanted || given.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('-'))
    }
}

impl ArticleId {
    /// The id of what `source` identifies as `identity`.
    pub fn of(source: &SourceId, identity: &str) -> Self {
        Self(hash_id("art_", &[source.as_str(), identity]).into())
    }

    /// The id of a CAP message, from whichever source it comes: `sent` in milliseconds since 1970
    /// where it can be read, else as written.
    pub fn of_message(sender: &str, identifier: &str, sent: &str) -> Self {
        Self(hash_id("art_", &["cap", sender, identifier, sent]).into())
    }
}

impl AlertId {
    /// The id of the alert that this revision of an article opened.
    pub fn of(rule: &RuleId, key: &Key, nature: Nature, opened_by: (&ArticleId, u32)) -> Self {
        let (article, revision) = opened_by;
        let revision = revision.to_string();
        let named = [rule.as_str(), key.as_str(), nature.as_str(), article.as_str(), &revision];
        Self(hash_id("alr_", &named).into())
    }
}

impl EventId {
    /// The id of an alert's event number `n`.
    pub fn of(alert: &AlertId, n: u32) -> Self {
        Self(hash_id("evt_", &[alert.as_str(), &n.to_string()]).into())
    }
}

impl SubscriptionId {
    /// An id from 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(format!("sub_{}", base32(&bytes)).into())
    }

    /// The id of a subscription that is kept in a file: it follows from its name, so that a store
    /// that is made anew gives the same one. 16 bytes as [`Self::from_random`] takes them.
    pub fn of_name(name: &SubscriptionName) -> Self {
        let digest = hash(&[name.as_str()]);
        Self::from_random(std::array::from_fn(|n| digest.get(n).copied().unwrap_or_default()))
    }
}

/// The shard of an id: first 8 bytes of its SHA-256, big-endian, modulo [`SHARDS`].
pub fn shard_of(id: &str) -> u16 {
    let digest = Sha256::digest(id.as_bytes());
    let head = digest.iter().take(8).fold(0_u64, |n, b| (n << 8) | u64::from(*b));
    u16::try_from(head % u64::from(SHARDS)).expect("a remainder of 64 fits")
}

fn hash_id(prefix: &str, fields: &[&str]) -> String {
    let text: String = base32(&hash(fields)).chars().take(26).collect();
    format!("{prefix}{text}")
}

fn hash(fields: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    hash.finalize().into()
}

/// RFC 4648 in small letters, without padding.
pub(crate) fn base32(bytes: &[u8]) -> String {
    data_encoding::BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

fn is_hash_id(s: &str, prefix: &str) -> bool {
    s.strip_prefix(prefix).is_some_and(|rest| {
        rest.len() == 26 && rest.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
    })
}

fn is_slug(s: &str) -> bool {
    s.len() <= 64
        && s.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_token(s: &str) -> bool {
    (1..=MAX_TOKEN_BYTES).contains(&s.len()) && !s.chars().any(char::is_control)
}

fn is_lang(s: &str) -> bool {
    s.len() <= 35
        && s.split('-').enumerate().all(|(i, part)| {
            let min = if i == 0 { 2 } else { 1 };
            (min..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_content_and_keep_fields_apart() {
        let source = SourceId::new("skylark").unwrap();
        let id = ArticleId::of(&source, "one");
        assert_eq!(id, ArticleId::of(&source, "one"));
        assert_ne!(id, ArticleId::of(&SourceId::new("skylarkone").unwrap(), ""));
        assert!(ArticleId::new(id.as_str()).is_ok());
        let key = Key::new("odesa").unwrap();
        let alert = AlertId::of(&RuleId::new("air-raid").unwrap(), &key, Nature::Actual, (&id, 1));
        assert_ne!(EventId::of(&alert, 1), EventId::of(&alert, 11));
    }

    #[test]
    fn a_hash_id_is_the_first_26_base32_characters_of_length_prefixed_fields() {
        // sha256(u64be(4) "push" u64be(1) "x"), computed with coreutils and base32.
        let id = ArticleId::of(&SourceId::push(), "x");
        assert_eq!(id.as_str().len(), 30);
        let mut bytes = vec![0, 0, 0, 0, 0, 0, 0, 4];
        bytes.extend_from_slice(b"push");
        bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend_from_slice(b"x");
        let text = base32(&Sha256::digest(&bytes));
        assert!(text.starts_with(id.as_str().trim_start_matches("art_")));
    }

    #[test]
    fn a_name_has_one_id_on_every_machine() {
        // printf '\0\0\0\0\0\0\0\4desk' | sha256sum, the first 16 bytes through base32.
        let id = SubscriptionId::of_name(&SubscriptionName::new("desk").unwrap());
        assert_eq!(id.as_str(), "sub_jawfghp2kandl7wgxdlwhgv4mi");
        assert!(SubscriptionId::new(id.as_str()).is_ok());
    }

    #[test]
    fn shards_cover_their_range_and_do_not_move() {
        assert!((0..500).all(|n| shard_of(&n.to_string()) < SHARDS));
        assert_eq!(shard_of("air-raid-alert"), shard_of("air-raid-alert"));
        let seen: std::collections::BTreeSet<u16> =
            (0..2000).map(|n| shard_of(&format!("sub_{n}"))).collect();
        assert_eq!(seen.len(), usize::from(SHARDS));
    }

    #[test]
    fn ids_of_the_wrong_shape_are_refused() {
        for bad in ["", "Air", "1x", "a b", &"a".repeat(65), "é"] {
            assert!(RuleId::new(bad).is_err(), "{bad}");
        }
        for bad in ["", "a\nb", &"x".repeat(101)] {
            assert!(SourceId::new(bad).is_err(), "{bad}");
        }
        for bad in ["", "e", "en_US", "en-", "ж"] {
            assert!(Lang::new(bad).is_err(), "{bad}");
        }
        assert!(ArticleId::new("art_UPPERCASEUPPERCASEUPPERCAS").is_err());
    }

    #[test]
    fn a_language_covers_its_regions_only() {
        let lang = |s: &str| Lang::new(s).unwrap();
        assert!(lang("zh").covers(&lang("zh-TW")));
        assert!(lang("zh").covers(&lang("ZH")));
        assert!(!lang("zh-TW").covers(&lang("zh")));
        assert!(!lang("e1").covers(&lang("e12")));
    }
}
