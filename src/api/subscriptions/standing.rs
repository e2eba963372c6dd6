//! How a subscription's delivery stands, as shown.

use serde::Serialize;

use crate::delivery::Delivery;
use crate::delivery::breaker::Phase;
use crate::delivery::ledger::Outstanding;
use crate::model::Time;

/// Most events being tried, and ranges of events given up, that are shown.
const MAX_SHOWN: usize = 32;

/// How its delivery stands.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Standing {
    /// `active` or `paused`, by us: its owner's own pause is in the definition.
    pub(in crate::api) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) since: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::api) why: Option<String>,
    pub(in crate::api) cursor: u64,
    pub(in crate::api) sequence: u64,
    /// `closed`, `open`, or `ramp`: how freely requests go.
    pub(in crate::api) breaker: &'static str,
    pub(in crate::api) failures: u32,
    pub(in crate::api) failing_since: Option<Time>,
    pub(in crate::api) next_attempt: Option<Time>,
    /// Events tried and not settled: with order kept, the first holds up all others.
    pub(in crate::api) outstanding: Vec<Outstanding>,
    /// Sequences given up: gaps at the receiver, which pull and replay fill.
    pub(in crate::api) given_up: u64,
    /// The newest of them, as first and last of each range.
    pub(in crate::api) gaps: Vec<(u64, u64)>,
    pub(in crate::api) replay: Option<Replay>,
}

/// A replay under way.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Replay {
    pub(in crate::api) from_sequence: u64,
    pub(in crate::api) to_sequence: u64,
    pub(in crate::api) done: u64,
    pub(in crate::api) only_failed: bool,
}

impl Standing {
    pub(super) fn of(record: Delivery) -> Self {
        let (since, why) = match record.paused {
            Some(pause) => (Some(pause.since), Some(pause.why)),
            None => (None, None),
        };
        let mut outstanding = record.outstanding;
        outstanding.truncate(MAX_SHOWN);
        Self {
            state: if why.is_some() { "paused" } else { "active" },
            since,
            why,
            cursor: record.cursor,
            sequence: record.sequence,
            breaker: match record.breaker.phase {
                Phase::Closed => "closed",
                Phase::Open => "open",
                Phase::Ramp { .. } => "ramp",
            },
            failures: record.breaker.failures,
            failing_since: record.breaker.failing.map(|failing| failing.since),
            next_attempt: record.next_attempt,
            outstanding,
            given_up: record.gaps.count(),
            gaps: record.gaps.ranges().iter().rev().take(MAX_SHOWN).rev().copied().collect(),
            replay: record.replay.map(|replay| Replay {
                from_sequence: replay.from,
                to_sequence: replay.to,
                done: replay.done.sequence,
                only_failed: replay.only.is_some(),
            }),
        }
    }
}
