//! What a feed's own past says of when it is to be heard of next, and how late it is. Pure.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Time;

/// Polls with news that are remembered.
const REMEMBERED: usize = 32;
/// Polls with news before there is a cadence.
const ENOUGH: usize = 8;
/// No feed is called silent before.
const LEAST: Duration = Duration::from_secs(3 * 3600);
/// Times the longest pause so far that a feed may be silent.
const PATIENCE: u32 = 2;

/// When a feed last had news, and how old these were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cadence {
    /// When polls brought something new, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    news: Vec<Time>,
    /// How long after their publication articles were seen, in milliseconds, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lags_ms: Vec<u64>,
}

impl Cadence {
    /// A poll brought something new; `lags` are the times from publication to receipt.
    pub fn note(&mut self, now: Time, lags: impl IntoIterator<Item = Duration>) {
        self.news.push(now);
        let ms = |lag: Duration| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
        self.lags_ms.extend(lags.into_iter().take(REMEMBERED).map(ms));
        self.news.drain(..self.news.len().saturating_sub(REMEMBERED));
        self.lags_ms.drain(..self.lags_ms.len().saturating_sub(REMEMBERED));
    }

    /// When there was news last.
    pub fn last(&self) -> Option<Time> {
        self.news.last().copied()
    }

    /// After how long without news the feed counts as silent: twice the longest pause so far, at
    /// least 3 h; none before it has had news often enough.
    pub fn patience(&self) -> Option<Duration> {
        if self.news.len() < ENOUGH {
            return None;
        }
        let pauses = self.news.windows(2).map(|pair| match pair {
            [before, after] => after.since(*before),
            _ => Duration::ZERO,
        });
        pauses.max().map(|longest| longest.saturating_mul(PATIENCE).max(LEAST))
    }

    /// Since when there should have been news: after the declared time, or else the learned one.
    pub fn silent(&self, now: Time, declared: Option<Duration>) -> Option<Time> {
        let patience = declared.or_else(|| self.patience())?;
        self.last().filter(|last| now.since(*last) > patience)
    }

    /// The usual and the longer times from publication to receipt: the middle, and what nineteen
    /// of twenty stay below.
    pub fn lag_ms(&self) -> Option<(u64, u64)> {
        let mut sorted = self.lags_ms.clone();
        sorted.sort_unstable();
        let at = |part: usize| sorted.get(sorted.len().saturating_mul(part) / 100).copied();
        Some((at(50)?, at(95)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn news(hours: &[i64]) -> Cadence {
        let mut cadence = Cadence::default();
        for hour in hours {
            cadence.note(Time::from_millis(hour * 3_600_000), [Duration::from_secs(60)]);
        }
        cadence
    }

    #[test]
    fn silence_is_measured_against_the_longest_pause_so_far() {
        let at = |hour: i64| Time::from_millis(hour * 3_600_000);
        let few = news(&[0, 1, 2]);
        assert_eq!(few.silent(at(1_000), None), None, "too little is known");
        assert_eq!(few.silent(at(9), Some(HOUR * 6)), Some(at(2)), "it was declared");
        let nights = news(&[6, 8, 10, 12, 20, 30, 32, 34]);
        assert_eq!(nights.patience(), Some(HOUR * 20), "the night counts");
        assert_eq!(nights.silent(at(54), None), None);
        assert_eq!(nights.silent(at(55), None), Some(at(34)));
        let busy = news(&[0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(busy.patience(), Some(LEAST));
        assert_eq!(nights.silent(at(55), Some(HOUR * 24)), None, "what is declared counts");
    }

    #[test]
    fn the_record_stays_small_and_lags_are_told() {
        let many: Vec<i64> = (0..500).collect();
        let cadence = news(&many);
        assert_eq!((cadence.news.len(), cadence.lags_ms.len()), (REMEMBERED, REMEMBERED));
        assert_eq!(cadence.lag_ms(), Some((60_000, 60_000)));
        assert_eq!(Cadence::default().lag_ms(), None);
        let mut mixed = Cadence::default();
        mixed.note(Time::from_millis(0), (1..=20).map(Duration::from_millis));
        assert_eq!(mixed.lag_ms(), Some((11, 20)));
        let stored = serde_json::to_string(&Cadence::default()).unwrap();
        assert_eq!(stored, "{}");
    }
}
