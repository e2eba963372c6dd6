//! A subscription as the notifier serves it: what is wanted, what is, and what comes next.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::delivery::Delivery;
use crate::delivery::Key;
use crate::delivery::Logged;
use crate::delivery::admission::Versions;
use crate::delivery::admission::admits;
use crate::delivery::ledger::State;
use crate::delivery::ledger::Turn;
use crate::model::Subscription;
use crate::model::Time;
use crate::model::subscription::Request;

/// Most events held in memory for one subscription; the rest stays in the log.
pub(super) const QUEUE: usize = 64;
/// The cursor of a subscription that gets nothing is written after so many positions.
const LAZY: u64 = 1_000;

pub(super) struct Served {
    pub(super) wanted: Subscription,
    pub(super) keys: Vec<Key>,
    pub(super) record: Delivery,
    /// Revision of the record; none until it is first written.
    pub(super) revision: Option<u64>,
    /// The record as last written says this cursor.
    pub(super) written: u64,
    /// Admitted events in order, the oldest first.
    queue: VecDeque<Arc<Logged>>,
    /// The log has been looked at up to here.
    pub(super) scan: u64,
    /// A stretch of the log is being read for it.
    pub(super) refilling: bool,
    /// It waits to be looked at.
    pub(super) queued: bool,
    /// A request is under way.
    pub(super) busy: bool,
    /// Nothing beyond may be sent before the record is written.
    pub(super) barrier: Option<u64>,
}

/// What to do for a subscription now.
pub(super) enum Next {
    /// Nothing until something happens.
    Nothing,
    /// Nothing before this time.
    Wait(Time),
    /// Send this with this sequence.
    Event(Arc<Logged>, u64),
    /// Send a `test.ping`.
    Ping(Request),
    /// Read on in the log.
    Refill,
}

impl Served {
    pub(super) fn new(wanted: Subscription, stored: Option<(Delivery, u64)>) -> Self {
        let revision = stored.as_ref().map(|(_, revision)| *revision);
        let record = stored.map_or_else(|| Delivery::new(&wanted), |(record, _)| record);
        let (scan, written) = (record.cursor, record.cursor);
        let mut served = Self {
            keys: Vec::new(),
            wanted,
            record,
            revision,
            written,
            queue: VecDeque::new(),
            scan,
            refilling: false,
            queued: false,
            busy: false,
            barrier: None,
        };
        served.read_keys();
        served
    }

    /// Takes a changed definition.
    pub(super) fn take_definition(&mut self, wanted: Subscription) {
        self.record.take_url(&wanted.url);
        self.wanted = wanted;
        self.read_keys();
    }

    fn read_keys(&mut self) {
        let parsed = self.wanted.keys.iter().map(|k| Key::parse(&k.secret));
        self.keys = match parsed.collect() {
            Ok(keys) => keys,
            Err(error) => {
                tracing::error!(subscription.id = %self.wanted.id, %error, "Signing key unusable");
                Vec::new()
            }
        };
    }

    /// Whether the tail's next event is the next one to look at.
    pub(super) fn is_level_with(&self, tail: u64) -> bool {
        self.scan >= tail
    }

    /// Looks at the next event of the log. False: the queue is full, and it was not looked at.
    pub(super) fn look(&mut self, logged: &Arc<Logged>) -> bool {
        if logged.seq <= self.scan {
            return true;
        }
        let versions =
            Versions { filters: &self.wanted.filters, effective: &self.record.effective };
        if admits(versions, logged) {
            if self.queue.len() >= QUEUE {
                return false;
            }
            self.queue.push_back(logged.clone());
        }
        self.passed(logged.seq);
        true
    }

    /// There is nothing more to look at up to this position.
    pub(super) fn passed(&mut self, seq: u64) {
        self.scan = self.scan.max(seq);
        if self.queue.is_empty() && !self.busy {
            self.record.pass(self.scan);
        }
    }

    /// Whether its record should be written though nothing was sent.
    pub(super) fn lags(&self) -> bool {
        self.record.cursor >= self.written.saturating_add(LAZY)
    }

    /// What to do now. Events that are not to be sent are settled on the way; the second answer
    /// says that the record changed.
    pub(super) fn next(&mut self, tail: u64, now: Time) -> (Next, bool) {
        let mut changed = false;
        if self.busy || self.keys.is_empty() {
            return (Next::Nothing, changed);
        }
        let asked = self.wanted.requests.iter().find(|r| r.number > self.record.requests_done);
        if let Some(request) = asked {
            return (Next::Ping(request.clone()), changed);
        }
        if self.wanted.paused || self.record.state != State::Active {
            return (Next::Nothing, changed);
        }
        if let Some(at) = self.record.next_attempt
            && at > now
        {
            return (Next::Wait(at), changed);
        }
        while let Some(logged) = self.queue.front().cloned() {
            if self.barrier.is_some_and(|barrier| logged.seq > barrier) {
                return (Next::Nothing, changed);
            }
            match self.record.turn(&self.wanted, &logged, now) {
                Turn::Send(sequence) => return (Next::Event(logged, sequence), changed),
                Turn::Pass => {}
                Turn::Withhold | Turn::Outdated => {
                    self.record.give_up(&self.wanted, &logged, now);
                    changed = true;
                    let reason =
                        if logged.event.kind.follows_the_record() { "unsent" } else { "outdated" };
                    metrics::counter!(crate::telemetry::metric::GIVEN_UP, "reason" => reason)
                        .increment(1);
                }
            }
            self.queue.pop_front();
        }
        self.record.pass(self.scan);
        let behind = self.scan < tail && !self.refilling;
        (if behind { Next::Refill } else { Next::Nothing }, changed)
    }

    /// The event at the front was settled.
    pub(super) fn done(&mut self) {
        self.queue.pop_front();
        if self.queue.is_empty() {
            self.record.pass(self.scan);
        }
    }

    /// The event at the front, if it is this one.
    pub(super) fn front(&self, seq: u64) -> Option<Arc<Logged>> {
        self.queue.front().filter(|l| l.seq == seq).cloned()
    }

    /// Something waits to be sent.
    pub(super) fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }
}
