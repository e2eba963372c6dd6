//! What is remembered of a feed between polls.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Time;
use crate::model::Version;
use crate::source::Baseline;
use crate::source::poll::Index;

/// After so long without a poll that worked, an entry without a date may be of any age.
const UNSEEN: Duration = Duration::from_secs(6 * 3600);

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
    /// The CAP files that it announces, where it does.
    #[serde(default, skip_serializing_if = "Index::is_empty")]
    pub index: Index,
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
            index: Index::default(),
        }
    }

    /// What of a poll now is a baseline: all of the first, and of one after a long time what does
    /// not say itself how old it is.
    pub fn baseline(&self, now: Time) -> Baseline {
        let is_unseen = self.last_ok.is_none_or(|at| now.since(at) > UNSEEN);
        match (self.first_poll_done, is_unseen) {
            (false, _) => Baseline::All,
            (true, true) => Baseline::Undated,
            (true, false) => Baseline::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_poll_is_a_baseline_and_after_six_hours_what_has_no_date() {
        let now: Time = "2024-01-10T07:00:00Z".parse().unwrap();
        let new = State::new("http://example.net/", now);
        assert_eq!(new.baseline(now), Baseline::All);
        let broken_off = State { last_ok: None, failures: 1, ..new.clone() };
        assert_eq!(broken_off.baseline(now), Baseline::All);
        let done = State { first_poll_done: true, last_ok: Some(now), ..new };
        assert_eq!(done.baseline(now.plus(UNSEEN)), Baseline::Nothing);
        assert_eq!(done.baseline(now.minus(UNSEEN)), Baseline::Nothing);
        let later = now.plus(UNSEEN).plus(Duration::from_millis(1));
        assert_eq!(done.baseline(later), Baseline::Undated);
        assert_eq!(State { last_ok: None, ..done }.baseline(now), Baseline::Undated);
    }
}
