//! The records that say what was sent, in groups, one write under way at a time.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Error;
use crate::bus::Put;
use crate::bus::PutOutcome;
use crate::telemetry::Health;
use crate::telemetry::logs::chain;
use crate::worker::notifier::RETRY;
use crate::worker::notifier::desk::Desk;
use crate::worker::notifier::desk::unpanicked;

/// A group gathers for so long after a response: a commit of few costs as much as one of many.
const GATHER: Duration = Duration::from_millis(18);
/// Most records of a group.
const GROUP: usize = 4_096;

/// A write that ended.
pub(super) struct Written {
    members: Vec<Member>,
    outcomes: Result<Vec<Result<PutOutcome, Error>>, Error>,
}

struct Member {
    place: u32,
    serial: u64,
    sequence: u64,
    /// The newest filter version whose place of effect it says.
    version: u32,
}

impl<B: Bus> Desk<'_, B> {
    /// Has what changed written before long.
    pub(super) fn write_soon(&mut self) {
        self.write_at.get_or_insert_with(|| Instant::now() + GATHER);
    }

    /// Has it written as soon as the write before has ended.
    pub(super) fn write_now(&mut self) {
        if !self.dirty.is_empty() {
            self.write_at = Some(Instant::now());
        }
    }

    /// One write at a time; the next takes what gathered meanwhile.
    pub(super) fn start_write(&mut self) {
        if self.dirty.is_empty() || !self.writes.is_empty() {
            return;
        }
        let at = *self.write_at.get_or_insert_with(|| Instant::now() + GATHER);
        if at > Instant::now() && self.dirty.len() < GROUP {
            return;
        }
        self.write_at = None;
        let mut group = Vec::new();
        let mut members = Vec::new();
        let tail = self.tail;
        for place in self.dirty.drain(..self.dirty.len().min(GROUP)) {
            let slot = self.slots.get_mut(place as usize).and_then(Option::as_mut);
            let Some(slot) = slot else { continue };
            slot.dirty = false;
            slot.writing = true;
            if slot.endpoint.is_level() {
                slot.endpoint.reached(tail, true);
            }
            let record = slot.endpoint.record();
            let value = serde_json::to_vec(record).expect("plain data has a JSON form");
            members.push(Member {
                place,
                serial: slot.serial,
                sequence: record.sequence,
                version: record.effective.last().map_or(0, |e| e.number),
            });
            let key = slot.id.as_str().to_owned();
            group.push(Put { key, value: Bytes::from(value), expect: slot.revision });
        }
        let bus = self.parts.bus.clone();
        self.writes.spawn(async move {
            Written { members, outcomes: bus.put_all(Bucket::Deliveries, group).await }
        });
    }

    pub(super) fn take_written(&mut self, written: Written) {
        let outcomes: Vec<Result<PutOutcome, Error>> = match written.outcomes {
            Ok(outcomes) => {
                self.tell_health();
                outcomes
            }
            Err(error) => {
                self.tell_away(&error);
                self.write_at = Some(Instant::now() + RETRY);
                written.members.iter().for_each(|member| self.write_again(member));
                return;
            }
        };
        for (member, outcome) in written.members.into_iter().zip(outcomes) {
            let place = member.place;
            let Some(slot) = self.slot(place).filter(|slot| slot.serial == member.serial) else {
                continue;
            };
            slot.writing = false;
            match outcome {
                Ok(PutOutcome::Written(revision)) => {
                    slot.revision = Some(revision);
                    if slot.endpoint.wrote(member.sequence, member.version) {
                        self.place(place);
                    }
                }
                // Somebody else wrote it, or we did without hearing of it.
                Ok(PutOutcome::Conflict) => self.reload(place),
                Err(error) => {
                    self.tell_away(&error);
                    self.write_at = Some(Instant::now() + RETRY);
                    self.write_again(&member);
                }
            }
        }
    }

    fn write_again(&mut self, member: &Member) {
        let place = member.place;
        let Some(slot) = self.slot(place).filter(|slot| slot.serial == member.serial) else {
            return;
        };
        slot.writing = false;
        if !std::mem::replace(&mut slot.dirty, true) {
            self.dirty.push_back(place);
        }
    }

    fn tell_away(&self, error: &Error) {
        let text = chain(error);
        if self.parts.settings.board.set("notifier", Health::NotReady(text.clone())) {
            tracing::warn!(error = text, "Deliveries cannot be written");
        }
    }

    /// At the end: everything that changed, until the bus takes no more.
    pub(super) async fn write_everything(&mut self) {
        loop {
            while let Some(written) = self.writes.join_next().await {
                let written = unpanicked(written);
                let failed = written.outcomes.is_err();
                self.take_written(written);
                if failed {
                    return;
                }
            }
            self.write_at = Some(Instant::now());
            self.start_write();
            if self.writes.is_empty() {
                return;
            }
        }
    }
}
