//! What is remembered of a feed between polls.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::feed::Rhythm;
use crate::model::Time;
use crate::model::Version;
use crate::model::duration;
use crate::source::Baseline;
use crate::source::poll::Cadence;
use crate::source::poll::Entries;
use crate::source::poll::Feed;
use crate::source::poll::Index;
use crate::source::poll::Moves;
use crate::source::poll::schedule;

/// After so long without a poll that worked, an entry without a date may be of any age.
const UNSEEN: Duration = Duration::from_secs(6 * 3600);

/// The record of a feed in the bucket `feeds`. It is written after the articles are durable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Record version.
    pub v: Version,
    /// The address that all of this is about; another one makes it a new feed.
    pub url: String,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Time between polls that work, in milliseconds.
    #[serde(default)]
    pub interval_ms: u64,
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
    /// Where it has moved to, or seems to.
    #[serde(default, skip_serializing_if = "Moves::is_nothing")]
    pub moves: Moves,
    /// For so long an answer stayed fresh, by the server's word.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    pub fresh_for: Option<Duration>,
    /// How often it asks to be asked.
    #[serde(default)]
    pub rhythm: Rhythm,
    /// When it had news, and how old these were.
    #[serde(default)]
    pub cadence: Cadence,
    /// Its last news, where others should have come since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Time>,
    /// Its entries, to know them again under another id.
    #[serde(default, skip_serializing_if = "Entries::is_empty")]
    pub entries: Entries,
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
            name: None,
            interval_ms: 0,
            etag: None,
            last_modified: None,
            next_poll: now,
            failures: 0,
            last_error: None,
            last_ok: None,
            first_poll_done: false,
            gone: false,
            moves: Moves::default(),
            fresh_for: None,
            rhythm: Rhythm::default(),
            cadence: Cadence::default(),
            silent_since: None,
            entries: Entries::default(),
            index: Index::default(),
        }
    }

    /// What is stored of a feed. Another address is another feed, with validators, an end and a
    /// baseline of its own; but not the address that it had moved to.
    pub(super) fn read(feed: &Feed, stored: Option<&[u8]>, now: Time) -> Self {
        let read = stored.and_then(|value| serde_json::from_slice::<Self>(value).ok());
        let Some(mut state) = read else { return Self::new(&feed.url, now) };
        if state.adopted() == Some(feed.url.as_str()) {
            state.url.clone_from(&feed.url);
            state.moves = Moves::default();
        }
        if state.url == feed.url { state } else { Self::new(&feed.url, now) }
    }

    /// Where it is asked.
    pub fn address(&self) -> &str {
        self.adopted().unwrap_or(&self.url)
    }

    /// The address that it has moved to for good.
    pub fn adopted(&self) -> Option<&str> {
        self.moves.adopted()
    }

    /// Notes what the settings say of it, for those who only see the record.
    pub(super) fn describe(&mut self, feed: &Feed) {
        self.name.clone_from(&feed.name);
        self.interval_ms = u64::try_from(feed.interval.as_millis()).unwrap_or(u64::MAX);
    }

    /// When it is asked again after an answer: at its interval, or as seldom as its server and
    /// its document ask for where the settings do not insist, and not in hours it wants skipped.
    pub(super) fn next_after_success(&self, feed: &Feed, now: Time, jitter: f64) -> Time {
        let usual = schedule::after_success(now, feed.interval, jitter);
        let asked = [self.fresh_for, self.rhythm.least_wait()].into_iter().flatten().max();
        let least = asked.filter(|_| !feed.eager).map(|wait| now.plus(wait));
        self.rhythm.after_skips(least.map_or(usual, |least| least.max(usual)))
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
