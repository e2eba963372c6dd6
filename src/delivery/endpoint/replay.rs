//! Sending again: a second cursor over an older stretch, beside the live one and behind it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::delivery::Logged;
use crate::delivery::admission::admits;
use crate::delivery::endpoint::Endpoint;
use crate::delivery::endpoint::QUEUE;
use crate::delivery::endpoint::Work;
use crate::delivery::ledger::Delivery;
use crate::delivery::ledger::Mark;
use crate::delivery::ledger::Replay;
use crate::delivery::schedule::FAILED_AFTER_SENDS;
use crate::model::attempt::Outcome;

/// What is read of the stretch and not yet sent.
#[derive(Debug, Default)]
pub(super) struct Replayed {
    queue: VecDeque<(Arc<Logged>, u64)>,
    /// Read up to here.
    read: Mark,
    under_way: bool,
    /// Tries of the first that were answered with a refusal.
    refused: u32,
}

impl Replayed {
    /// Goes on where the record says.
    pub(super) fn new(record: &Delivery) -> Self {
        let read = record.replay.as_ref().map(|r| r.done).unwrap_or_default();
        Self { read, ..Self::default() }
    }

    pub(super) fn front(&self) -> Option<(&Arc<Logged>, u64)> {
        let (logged, sequence) = self.queue.front().filter(|_| !self.under_way)?;
        Some((logged, *sequence))
    }

    pub(super) fn begin(&mut self) -> Option<Work> {
        let (logged, sequence) = self.queue.front()?;
        self.under_way = true;
        Some(Work::Replay(logged.clone(), *sequence))
    }

    /// The request for this one ended.
    pub(super) fn ended(&mut self, sequence: u64) -> Option<Arc<Logged>> {
        self.under_way = false;
        self.queue.front().filter(|(_, n)| *n == sequence).map(|(logged, _)| logged.clone())
    }

    /// Counts a try that failed: an event that is refused again and again is passed over.
    pub(super) fn fails(&mut self, outcome: Outcome) -> bool {
        self.refused += u32::from(outcome == Outcome::Rejected);
        self.refused >= FAILED_AFTER_SENDS
    }

    pub(super) fn advance(&mut self) {
        self.queue.pop_front();
        self.refused = 0;
    }
}

impl Endpoint {
    pub(super) fn begin_replay(&mut self, number: u64, from: u64, only_failed: bool) {
        let (from, to) = (from.max(1), self.record.sequence);
        let only = only_failed.then(|| self.record.gaps.between(from, to));
        let Some(done) = self.record.mark_before(from) else { return };
        if from > to || only.as_ref().is_some_and(|only| only.is_empty()) {
            return;
        }
        self.record.replay = Some(Replay { number, from, to, only, done });
        self.replayed = Replayed::new(&self.record);
    }

    /// Where to read on for the replay; none if there is none or enough is read.
    pub fn replay_wants(&self) -> Option<u64> {
        let replay = self.record.replay.as_ref().filter(|_| !self.is_held())?;
        let more = self.replayed.read.sequence < replay.to;
        (more && self.replayed.queue.len() < QUEUE / 2).then_some(self.replayed.read.position)
    }

    /// Takes a stretch of the log that was read for the replay, up to a position.
    pub fn take_replay(&mut self, events: &[Arc<Logged>], to: u64) {
        let Some(replay) = self.record.replay.as_ref() else { return };
        for logged in events {
            if logged.seq <= self.replayed.read.position
                || !admits(self.record.versions(&self.wanted), logged)
            {
                continue;
            }
            let sequence = self.replayed.read.sequence + 1;
            self.replayed.read = Mark { sequence, position: logged.seq };
            let asked = (replay.from..=replay.to).contains(&sequence)
                && replay.only.as_ref().is_none_or(|only| only.contains(sequence));
            if asked {
                self.replayed.queue.push_back((logged.clone(), sequence));
            }
        }
        self.replayed.read.position = self.replayed.read.position.max(to);
        if to >= self.record.cursor {
            self.replayed.read.sequence = self.replayed.read.sequence.max(replay.to);
        }
        self.end_replay();
    }

    /// A replay of which nothing is left is over.
    pub(super) fn end_replay(&mut self) {
        let Some(replay) = &self.record.replay else { return };
        if self.replayed.queue.is_empty() && self.replayed.read.sequence >= replay.to {
            self.record.replay = None;
            self.changed = true;
        }
    }
}
