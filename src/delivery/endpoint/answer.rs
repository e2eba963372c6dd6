//! What the end of a request means.

use std::time::Duration;

use crate::delivery::breaker::Alarm;
use crate::delivery::endpoint::Endpoint;
use crate::delivery::endpoint::QUEUE;
use crate::delivery::endpoint::Work;
use crate::delivery::ledger::GivenUp;
use crate::delivery::ledger::Mark;
use crate::delivery::ledger::Outstanding;
use crate::delivery::ledger::Pause;
use crate::delivery::pace::Pace;
use crate::delivery::schedule::FAILED_AFTER;
use crate::delivery::schedule::FAILED_AFTER_SENDS;
use crate::delivery::schedule::Reply;
use crate::delivery::schedule::wait;
use crate::model::Time;
use crate::model::attempt::Outcome;

/// A request ended.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// How.
    pub reply: Reply,
    /// When.
    pub now: Time,
    /// How long it took.
    pub took: Duration,
    /// Between 0 and 1.
    pub jitter: f64,
}

/// Most events that are tried apart from the others at one endpoint.
const MAX_PARKED: usize = 32;

impl Endpoint {
    /// Takes the end of a request. What its failure means for the owner is answered.
    pub fn ended(&mut self, work: &Work, end: End) -> Alarm {
        self.under_way = self.under_way.saturating_sub(1);
        self.changed = true;
        if !matches!(end.reply, Reply::NotSent | Reply::Refused | Reply::Unrenderable) {
            self.latency.note(end.took);
        }
        let outcome = end.reply.outcome();
        match work {
            Work::Ping(request) => {
                self.ping_under_way = false;
                self.record.requests_done = self.record.requests_done.max(request.number);
                if outcome == Outcome::Delivered {
                    self.try_parked();
                }
            }
            Work::Event(_, sequence) => self.settle(*sequence, end),
            Work::Replay(_, sequence) => self.settle_replay(*sequence, end),
        }
        match outcome {
            // Nothing was asked of the receiver.
            _ if end.reply == Reply::Unrenderable => Alarm::None,
            Outcome::Delivered | Outcome::Unacceptable => {
                self.record.breaker.succeeded(end.now, self.cap());
                // What another request was told to wait holds for all of them.
                self.record.asked_until = self.record.asked_until.filter(|at| *at > end.now);
                self.record.next_attempt = self.record.asked_until;
                Alarm::None
            }
            // A ping that fails says nothing that the events do not say for themselves.
            _ if matches!(work, Work::Ping(_)) && outcome != Outcome::Gone => Alarm::None,
            Outcome::Gone => {
                self.pause("the receiver answered 410 Gone", end.now);
                Alarm::None
            }
            _ => self.failed(outcome, end),
        }
    }

    fn settle(&mut self, sequence: u64, end: End) {
        let Some(at) = self.pending.find(sequence) else { return };
        let outcome = end.reply.outcome();
        let Some(pending) = self.pending.begin(at) else { return };
        pending.under_way = false;
        let out = &mut pending.out;
        note_try(out, end);
        let logged = pending.logged.clone();
        let exhausted = out.sends >= FAILED_AFTER_SENDS
            && out.first_send.is_some_and(|first| end.now.since(first) >= FAILED_AFTER);
        if out.told {
            // What is still to come of this alert comes to somebody who may know of it.
            let alert = &logged.event.alert.id;
            self.record.told(alert);
            self.pending.tell(alert);
        }
        match outcome {
            Outcome::Delivered => {
                self.pending.take_out(at);
                self.record.ahead.insert(sequence);
            }
            Outcome::Unacceptable => self.give_up(at, Outcome::Unacceptable, end.now),
            Outcome::Gone => {}
            _ if exhausted => self.give_up(at, Outcome::Failed, end.now),
            _ if self.cap() == 1 => {}
            _ => {
                let parked = self.pending.iter().filter(|p| p.out.failures > 0).count();
                if let Some(pending) = self.pending.get_mut(at).filter(|_| parked <= MAX_PARKED) {
                    let age = end.now.since(pending.logged.event.timestamp);
                    let wait = wait(pending.out.failures, end.reply, age, end.jitter);
                    pending.out.next_attempt = Some(end.now.plus(wait));
                }
            }
        }
        if self.pending.is_empty() {
            self.newest = None;
        }
    }

    fn settle_replay(&mut self, sequence: u64, end: End) {
        let outcome = end.reply.outcome();
        let Some(logged) = self.replayed.ended(sequence) else { return };
        match outcome {
            Outcome::Delivered => {
                self.record.told(&logged.event.alert.id);
                self.record.gaps.remove(sequence);
            }
            Outcome::Unacceptable => {}
            _ if self.replayed.fails(outcome) => {
                let told = outcome.may_have_arrived();
                let given = GivenUp { logged: &logged, sequence, told, now: end.now };
                self.record.give_up(&self.wanted, given);
            }
            _ => return,
        }
        self.replayed.advance();
        if let Some(replay) = &mut self.record.replay {
            replay.done = Mark { sequence, position: logged.seq };
        }
        self.end_replay();
    }

    fn failed(&mut self, outcome: Outcome, end: End) -> Alarm {
        let tried = outcome != Outcome::Refused;
        let alarm = self.record.breaker.failed(end.now, tried);
        let asked = match end.reply {
            Reply::Status(_, asked) => asked,
            _ => None,
        };
        if outcome == Outcome::Throttled {
            let limit = self.wanted.rate.map(f64::from);
            self.record.pace = Some(Pace::halved(self.record.pace, limit, end.now));
        }
        // An endpoint that takes others but not this event is not waited for, unless order is
        // kept or it asks for it.
        let parked = outcome == Outcome::Rejected && self.cap() > 1 && asked.is_none();
        if !parked || !self.record.breaker.is_closed() {
            let age = self.freshest(end.now);
            let wait = wait(self.record.breaker.failures, end.reply, age, end.jitter);
            self.record.next_attempt = self.record.next_attempt.max(Some(end.now.plus(wait)));
            if asked.is_some() {
                self.record.asked_until = self.record.next_attempt;
            }
        }
        if alarm == Alarm::Pause {
            self.pause("it has taken nothing for five days", end.now);
        }
        if !self.record.breaker.is_closed() {
            self.shed();
        }
        alarm
    }

    fn pause(&mut self, why: &str, now: Time) {
        let (why, url) = (why.to_owned(), self.wanted.url.clone());
        self.record.paused = Some(Pause { since: now, why, url });
        self.shed();
    }

    /// Lets go of what waits in memory and was not tried: it stays in the log.
    fn shed(&mut self) {
        let kept = self.pending.iter().rposition(|p| p.under_way || p.out.is_begun());
        let kept = kept.map_or(0, |at| at + 1).max(1);
        if self.pending.len() > kept.min(QUEUE) {
            self.pending.truncate(kept);
            if let Some(last) = self.pending.back() {
                (self.assigned, self.scan) = (last.out.sequence, last.out.seq);
                self.level = false;
            }
        }
    }
}

fn note_try(out: &mut Outstanding, end: End) {
    let outcome = end.reply.outcome();
    out.last = Some(outcome);
    out.status = match end.reply {
        Reply::Status(status, _) => Some(status),
        _ => None,
    };
    if !matches!(end.reply, Reply::NotSent | Reply::Refused | Reply::Unrenderable) {
        out.sends = out.sends.saturating_add(1);
        out.first_send.get_or_insert(end.now);
    }
    if outcome != Outcome::Delivered {
        out.failures = out.failures.saturating_add(1);
    }
    out.told |= outcome.may_have_arrived() && end.reply != Reply::Unrenderable;
}
