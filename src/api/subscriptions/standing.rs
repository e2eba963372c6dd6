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
pub(super) struct Standing {
    /// `active` or `paused`, by us: its owner's own pause is in the definition.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    cursor: u64,
    sequence: u64,
    /// `closed`, `open`, or `ramp`: how freely requests go.
    breaker: &'static str,
    failures: u32,
    failing_since: Option<Time>,
    next_attempt: Option<Time>,
    /// Events tried and not settled: with order kept, the first holds up all others.
    outstanding: Vec<Outstanding>,
    /// Sequences given up: gaps at the receiver, which pull and replay fill.
    given_up: u64,
    /// The newest of them, as first and last of each range.
    gaps: Vec<(u64, u64)>,
    replay: Option<Replay>,
}

/// A replay under way.
#[derive(Debug, Serialize)]
struct Replay {
    from_sequence: u64,
    to_sequence: u64,
    done: u64,
    only_failed: bool,
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
