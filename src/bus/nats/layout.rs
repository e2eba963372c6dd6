//! Streams and buckets on the server: created before first use, else checked.

use std::collections::HashMap;

use async_nats::jetstream::stream::Config;
use async_nats::jetstream::stream::DiscardPolicy;
use async_nats::jetstream::stream::RetentionPolicy;
use async_nats::jetstream::stream::StorageType;

use crate::bus::Bucket;
use crate::bus::Limits;
use crate::bus::Stream;
use crate::bus::limits;

/// Oldest server with atomic batches.
const OLDEST_SERVER: (u64, u64) = (2, 12);
const SCHEMA: (&str, &str) = ("wirebell.schema", "1");

/// A stream or a bucket: on the server both are streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Stream(Stream),
    Bucket(Bucket),
}

impl Place {
    pub(super) const COUNT: usize = Stream::ALL.len() + Bucket::ALL.len();

    /// Its number below [`Place::COUNT`].
    pub(super) fn index(self) -> usize {
        match self {
            Self::Stream(stream) => Stream::ALL.iter().position(|s| *s == stream).unwrap_or(0),
            Self::Bucket(bucket) => {
                let place = Bucket::ALL.iter().position(|b| *b == bucket).unwrap_or(0);
                Stream::ALL.len() + place
            }
        }
    }

    /// What the user knows it by.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Stream(stream) => stream.name(),
            Self::Bucket(bucket) => bucket.name(),
        }
    }

    /// The name of the stream on the server.
    pub(super) fn name(self) -> String {
        match self {
            Self::Stream(stream) => stream.name().into(),
            Self::Bucket(bucket) => format!("KV_{}", bucket.name()),
        }
    }

    /// What every subject begins with.
    pub(super) fn prefix(self) -> String {
        match self {
            Self::Stream(stream) => stream.prefix().into(),
            Self::Bucket(bucket) => format!("$KV.{}.", bucket.name()),
        }
    }

    /// What to do when it is full.
    pub(super) fn remedy(self) -> String {
        match self {
            Self::Stream(stream) => limits::remedy(stream),
            Self::Bucket(bucket) => limits::bucket_remedy(bucket),
        }
    }

    /// Its configuration on the server.
    pub(super) fn config(self, limits: &Limits, replicas: usize) -> Config {
        let common = Config {
            name: self.name(),
            subjects: vec![format!("{}>", self.prefix())],
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            num_replicas: replicas,
            allow_direct: true,
            allow_atomic_publish: true,
            deny_delete: true,
            max_messages: -1,
            max_consumers: -1,
            metadata: HashMap::from([(SCHEMA.0.into(), SCHEMA.1.into())]),
            ..Config::default()
        };
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        match self {
            Self::Stream(stream) => Config {
                max_messages_per_subject: limits::revisions(stream).map_or(-1, i64::from),
                max_age: limits.of(stream).age,
                max_bytes: bytes(limits.of(stream).bytes),
                discard: match limits::refuses_when_full(stream) {
                    true => DiscardPolicy::New,
                    false => DiscardPolicy::Old,
                },
                ..common
            },
            Self::Bucket(_) => Config {
                max_messages_per_subject: 1,
                max_bytes: bytes(limits.bucket_bytes),
                discard: DiscardPolicy::New,
                allow_rollup: true,
                allow_message_ttl: true,
                ..common
            },
        }
    }
}

/// What differs between the configuration wanted and the one found, among the fields that are set
/// here; the server adds defaults of its own.
pub(super) fn difference(want: &Config, found: &Config) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |field: &str, want: String, found: String| {
        if want != found {
            differences.push(format!("{field} is {found}, not {want}"));
        }
    };
    compare("subjects", want.subjects.join(" "), found.subjects.join(" "));
    compare("retention", format!("{:?}", want.retention), format!("{:?}", found.retention));
    compare("storage", format!("{:?}", want.storage), format!("{:?}", found.storage));
    compare("discard", format!("{:?}", want.discard), format!("{:?}", found.discard));
    compare("max_age", format!("{:?}", want.max_age), format!("{:?}", found.max_age));
    for (field, want, found) in [
        ("max_bytes", want.max_bytes, found.max_bytes),
        ("max_msgs", want.max_messages, found.max_messages),
        ("max_msgs_per_subject", want.max_messages_per_subject, found.max_messages_per_subject),
        ("max_consumers", i64::from(want.max_consumers), i64::from(found.max_consumers)),
    ] {
        compare(field, want.to_string(), found.to_string());
    }
    compare("num_replicas", want.num_replicas.to_string(), found.num_replicas.to_string());
    for (field, want, found) in [
        ("allow_direct", want.allow_direct, found.allow_direct),
        ("allow_atomic", want.allow_atomic_publish, found.allow_atomic_publish),
        ("allow_rollup_hdrs", want.allow_rollup, found.allow_rollup),
        ("allow_msg_ttl", want.allow_message_ttl, found.allow_message_ttl),
        ("deny_delete", want.deny_delete, found.deny_delete),
    ] {
        compare(field, want.to_string(), found.to_string());
    }
    let schema = |config: &Config| config.metadata.get(SCHEMA.0).cloned().unwrap_or_default();
    compare("metadata wirebell.schema", schema(want), schema(found));
    differences
}

/// Why a server of this version cannot be used; none if it can.
pub(super) fn refuse_version(version: &str) -> Option<String> {
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u64>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) if (major, minor) >= OLDEST_SERVER => None,
        _ => Some(format!(
            "the NATS server has version {version}, Wirebell needs {}.{} or newer: update it",
            OLDEST_SERVER.0, OLDEST_SERVER.1
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_atomic_batches_is_refused_by_version() {
        for (version, good) in [
            ("2.12.0", true),
            ("2.15.1", true),
            ("3.0.0-dev", true),
            ("2.11.9", false),
            ("1.99.0", false),
            ("", false),
            ("new", false),
        ] {
            assert_eq!(refuse_version(version).is_none(), good, "{version}");
        }
        assert!(refuse_version("2.11.9").unwrap().contains("2.12"));
    }

    #[test]
    fn what_differs_is_named_and_what_the_server_adds_is_not() {
        let want = Place::Stream(Stream::Events).config(&Limits::default(), 1);
        let mut found = want.clone();
        found.metadata.insert("_nats.level".into(), "3".into());
        found.duplicate_window = std::time::Duration::from_secs(120);
        assert!(difference(&want, &found).is_empty());
        found.max_bytes = 5;
        found.discard = DiscardPolicy::Old;
        let text = difference(&want, &found).join("; ");
        assert_eq!(text, "discard is Old, not New; max_bytes is 5, not 3221225472");
    }

    #[test]
    fn every_place_has_a_number_of_its_own() {
        let streams = Stream::ALL.into_iter().map(Place::Stream);
        let places = streams.chain(Bucket::ALL.into_iter().map(Place::Bucket));
        let numbers: Vec<usize> = places.map(Place::index).collect();
        assert_eq!(numbers, (0..Place::COUNT).collect::<Vec<usize>>());
    }
}
