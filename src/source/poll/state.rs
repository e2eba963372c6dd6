//! What is remembered of a feed between polls.

use serde::Deserialize;
use serde::Serialize;

use crate::model::Time;
use crate::model::Version;

/// The record of a feed in the bucket `feeds`. It is written after the articles are durable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Record version.
    pub v: Version,
    /// The address that all of this is about; another one makes it a new feed.
    pub url: String,
    /// Validator, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Validator, verbatim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// When it is asked again.
    pub next_poll: Time,
    /// Failures in a row.
    #[serde(default)]
    pub failures: u32,
    /// Why the last poll failed; none if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When a poll last worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_ok: Option<Time>,
    /// The first poll, which is a baseline, is done.
    #[serde(default)]
    pub first_poll_done: bool,
    /// Its server says that it is gone for good.
    #[serde(default)]
    pub gone: bool,
}

impl State {
    /// A feed that was never polled; it is due at once.
    pub fn new(url: &str, now: Time) -> Self {
        Self {
            v: Version,
            url: url.to_owned(),
            etag: None,
            last_modified: None,
            next_poll: now,
            failures: 0,
            last_error: None,
            last_ok: None,
            first_poll_done: false,
            gone: false,
        }
    }
}
