//! Requests out, their ends in, and the records that say so.

use bytes::Bytes;

use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Error;
use crate::bus::Put;
use crate::bus::PutOutcome;
use crate::delivery::Reply;
use crate::delivery::ledger::Settled;
use crate::model::Attempt;
use crate::model::EventKind;
use crate::model::SubscriptionId;
use crate::model::Version;
use crate::model::attempt::Outcome;
use crate::worker::notifier::SHARD;
use crate::worker::notifier::log::Scribe;
use crate::worker::notifier::send::Cargo;
use crate::worker::notifier::send::Order;
use crate::worker::notifier::send::Sent;
use crate::worker::notifier::send::send;
use crate::worker::notifier::serve::Desk;
use crate::worker::notifier::serve::Written;
use crate::worker::notifier::served::Next;
use crate::worker::notifier::served::QUEUE;

impl<B: Bus> Desk<'_, B> {
    /// Starts what is ready while there is room and the lease is trusted.
    pub(super) fn start_requests(&mut self) {
        let now = self.now();
        while self.sends.len() < self.parts.settings.max_in_flight
            && self.parts.keeper.is_held(SHARD)
            && let Some(id) = self.ready.pop_front()
        {
            let Some(served) = self.served.get_mut(&id) else { continue };
            served.queued = false;
            let (next, changed) = served.next(self.tail, now);
            if changed {
                self.dirty.insert(id.clone());
            }
            match next {
                Next::Nothing => {}
                Next::Wait(at) => drop(self.timers.insert((at, id))),
                Next::Refill => {
                    served.refilling = true;
                    let (bus, from) = (self.parts.bus.clone(), served.scan);
                    self.refills
                        .spawn(async move { (id, Scribe::new(bus).stretch(from, QUEUE).await) });
                }
                Next::Event(logged, sequence) => {
                    served.record.begin(&logged, sequence);
                    let opening = logged.event.kind == EventKind::Opened;
                    let late = opening && self.closed.contains(&logged.event.alert.id);
                    self.start(&id, Cargo::Event { logged, sequence, late });
                }
                Next::Ping(request) => self.start(&id, Cargo::Ping(request)),
            }
        }
    }

    fn start(&mut self, id: &SubscriptionId, cargo: Cargo) {
        let Some(served) = self.served.get_mut(id) else { return };
        served.busy = true;
        let order = Order {
            subscription: id.clone(),
            url: served.wanted.url.clone(),
            keys: served.keys.clone(),
            cargo,
            public_url: self.parts.settings.public_url.clone(),
            timeout: self.parts.settings.timeout,
        };
        let clock = self.parts.settings.clock.clone();
        self.sends.spawn(send(self.parts.client.clone(), clock, order));
    }

    pub(super) fn take_sent(&mut self, sent: Sent) {
        let id = sent.subscription.clone();
        let now = self.now();
        let Some(served) = self.served.get_mut(&id) else { return };
        served.busy = false;
        let mut outcome = sent.reply.outcome();
        match &sent.cargo {
            Cargo::Ping(request) => {
                served.record.requests_done = served.record.requests_done.max(request.number);
                if outcome == Outcome::Delivered {
                    served.record.next_attempt = None;
                }
            }
            Cargo::Event { logged, .. } => {
                let at = (now, fastrand::f64());
                let wanted = &served.wanted;
                if let Settled::Done(done) = served.record.settle(wanted, logged, sent.reply, at) {
                    outcome = done;
                    if served.front(logged.seq).is_some() {
                        served.done();
                    }
                }
            }
        }
        self.parts.attempts.note(attempt(&sent, outcome));
        self.dirty.insert(id.clone());
        self.enqueue(id);
    }

    /// One write at a time; the next takes what gathered meanwhile.
    pub(super) fn start_write(&mut self) {
        if !self.writes.is_empty() || self.dirty.is_empty() || !self.parts.keeper.is_held(SHARD) {
            return;
        }
        let mut group = Vec::new();
        let mut members = Vec::new();
        for id in std::mem::take(&mut self.dirty) {
            let Some(served) = self.served.get(&id) else { continue };
            let value = serde_json::to_vec(&served.record).expect("plain data has a JSON form");
            let key = id.as_str().to_owned();
            group.push(Put { key, value: Bytes::from(value), expect: served.revision });
            members.push((id, served.record.cursor));
        }
        if !group.is_empty() {
            let bus = self.parts.bus.clone();
            self.writes
                .spawn(async move { (members, bus.put_all(Bucket::Deliveries, group).await) });
        }
    }

    /// A record that somebody else wrote, or a write of unknown outcome: everything is read again.
    pub(super) fn take_written(&mut self, (members, outcomes): Written) -> Result<(), Error> {
        for ((id, cursor), outcome) in members.into_iter().zip(outcomes?) {
            let Some(served) = self.served.get_mut(&id) else { continue };
            match outcome? {
                PutOutcome::Written(revision) => {
                    served.revision = Some(revision);
                    served.written = cursor;
                    // A version that came during the write is in the next one.
                    if !self.dirty.contains(&id) && served.barrier.take().is_some() {
                        self.enqueue(id);
                    }
                }
                PutOutcome::Conflict => {
                    let source = "the record changed under its owner".into();
                    return Err(Error::Away { what: format!("writing delivery {id}"), source });
                }
            }
        }
        Ok(())
    }
}

fn attempt(sent: &Sent, outcome: Outcome) -> Attempt {
    let status = match sent.reply {
        Reply::Status(status, _) => Some(status),
        _ => None,
    };
    Attempt {
        v: Version,
        subscription: sent.subscription.clone(),
        event: sent.cargo.id(),
        kind: sent.cargo.kind().to_owned(),
        sequence: sent.cargo.sequence(),
        at: sent.at,
        outcome,
        status,
        duration_ms: u64::try_from(sent.took.as_millis()).unwrap_or(u64::MAX),
        remark: sent.reply.remark().map(str::to_owned),
    }
}
