//! What comes next.

use std::time::Duration;

use crate::delivery::Logged;
use crate::delivery::endpoint::Due;
use crate::delivery::endpoint::Endpoint;
use crate::delivery::endpoint::GaveUp;
use crate::delivery::endpoint::Next;
use crate::delivery::endpoint::UNWRITTEN;
use crate::delivery::endpoint::Work;
use crate::delivery::endpoint::waiting::Pending;
use crate::delivery::lanes::Lane;
use crate::delivery::ledger::GivenUp;
use crate::delivery::schedule;
use crate::model::Time;
use crate::model::attempt::Outcome;
use crate::model::subscription::Request;
use crate::model::subscription::RequestKind;

/// What may be sent.
#[derive(Clone, Copy)]
enum Choice {
    /// The pending event at this place.
    Pending(usize),
    /// The next of the replay.
    Replay,
    /// Nothing before this time.
    Wait(Time),
    /// Nothing until something happens.
    Nothing,
}

impl Endpoint {
    /// What to do now. What is to be sent counts as under way from here on; what is not to be
    /// sent is settled on the way.
    pub fn next(&mut self, now: Time) -> Next {
        while !self.ping_under_way
            && let Some(request) = self.asked()
        {
            match request.kind {
                RequestKind::Test { .. } if self.under_way > 0 => return Next::Nothing,
                RequestKind::Test { .. } => {
                    let ping = Box::new(request.clone());
                    self.under_way += 1;
                    self.ping_under_way = true;
                    return Next::Send(Work::Ping(ping));
                }
                RequestKind::Resume | RequestKind::Replay { .. } => {
                    let request = request.clone();
                    self.carry_out(&request, now);
                }
            }
        }
        if self.ping_under_way || self.is_held() {
            return Next::Nothing;
        }
        self.drop_settled(now);
        if self.under_way >= self.record.breaker.in_flight(self.cap()) {
            return Next::Nothing;
        }
        let choice = self.choose(now);
        let not_before = self.record.next_attempt.filter(|at| *at > now);
        match (choice, not_before.or_else(|| self.spacing.wait(now))) {
            (Choice::Nothing, _) => return Next::Nothing,
            (Choice::Wait(at), other) => return Next::Wait(other.map_or(at, |o| o.max(at))),
            (Choice::Pending(_) | Choice::Replay, Some(at)) => return Next::Wait(at),
            (Choice::Pending(_) | Choice::Replay, None) => {}
        }
        let rate = self.rate(now);
        self.spacing.note(now, rate);
        self.under_way += 1;
        let work = match choice {
            Choice::Pending(at) => self.pending.get_mut(at).map(|pending| {
                pending.under_way = true;
                Work::Event(pending.logged.clone(), pending.out.sequence)
            }),
            Choice::Replay => self.replayed.begin(),
            Choice::Wait(_) | Choice::Nothing => None,
        };
        work.map_or(Next::Nothing, Next::Send)
    }

    /// Takes more to be sent right after the event that [`Endpoint::next`] gave, one after the
    /// other and only as long as each is delivered; what does not get its turn is
    /// [`Endpoint::untried`]. Nothing where requests are spaced, or several are under way.
    pub fn run(&mut self, now: Time, most: usize) -> Vec<Work> {
        let alone = self.cap() == 1 && self.under_way == 1 && !self.ping_under_way;
        let first = self.pending.front().is_some_and(|first| first.under_way);
        let steady = self.lane() == Lane::Fast && self.rate(now).is_none();
        if !alone || !first || !steady || self.asked().is_some() {
            return Vec::new();
        }
        let room = UNWRITTEN.saturating_sub(self.unwritten());
        let most = most.min(usize::try_from(room).unwrap_or(usize::MAX));
        let barrier = self.barrier();
        let may = |seq: u64| barrier.is_none_or(|barrier| seq <= barrier);
        let following = self.pending.iter().skip(1).take(most);
        let sent = |p: &&Pending| may(p.out.seq) && self.reason_to_drop(&p.logged, now).is_none();
        let count = following.take_while(sent).count();
        let taken = self.pending.iter_mut().skip(1).take(count).map(|pending| {
            pending.under_way = true;
            Work::Event(pending.logged.clone(), pending.out.sequence)
        });
        let taken: Vec<Work> = taken.collect();
        self.under_way += u32::try_from(taken.len()).unwrap_or(u32::MAX);
        taken
    }

    /// Takes back what was to be sent in a run and was not.
    pub fn untried(&mut self, work: &Work) {
        self.under_way = self.under_way.saturating_sub(1);
        if let Work::Event(_, sequence) = work
            && let Some(at) = self.pending.find(*sequence)
            && let Some(pending) = self.pending.get_mut(at)
        {
            pending.under_way = false;
        }
    }

    /// Whether [`Endpoint::next`] may have something to send.
    pub fn due(&self, now: Time) -> Due {
        if self.ping_under_way {
            return Due::Idle;
        }
        if let Some(request) = self.asked() {
            // A ping goes alone: the ends of the requests under way ask again.
            let waits = matches!(request.kind, RequestKind::Test { .. }) && self.under_way > 0;
            return if waits { Due::Idle } else { Due::Now };
        }
        let full = self.under_way >= self.record.breaker.in_flight(self.cap());
        if self.is_held() || full {
            return Due::Idle;
        }
        let not_before = self.record.next_attempt.filter(|at| *at > now);
        match (self.choose(now), not_before.or_else(|| self.spacing.wait(now))) {
            (Choice::Nothing, _) => Due::Idle,
            (Choice::Wait(at), None) => Due::At(at),
            (Choice::Wait(at), Some(other)) => Due::At(at.max(other)),
            (Choice::Pending(_) | Choice::Replay, Some(at)) => Due::At(at),
            (Choice::Pending(_) | Choice::Replay, None) => Due::Now,
        }
    }

    /// When the oldest event that waits was decided; none where it waits by its owner's will.
    pub fn oldest(&self) -> Option<Time> {
        let first = self.pending.front().filter(|_| !self.wanted.paused);
        first.map(|pending| pending.logged.event.timestamp)
    }

    /// Whether an ending is the next to be sent.
    pub fn has_ending(&self) -> bool {
        let ending = |at: usize| {
            self.pending.get(at).is_some_and(|p| p.logged.facts.kind.follows_the_record())
        };
        if self.cap() == 1 { ending(0) } else { (0..self.pending.len()).any(ending) }
    }

    /// Requests a second it may make now.
    fn rate(&mut self, now: Time) -> Option<f64> {
        let limit = self.wanted.rate.map(f64::from);
        if self.record.pace.is_some_and(|pace| pace.is_over(limit, now)) {
            self.record.pace = None;
            self.changed = true;
        }
        let pace = self.record.pace.map(|pace| pace.rate(now));
        let ramp = self.record.breaker.rate(now).filter(|_| self.cap() == 1);
        [limit, pace, ramp].into_iter().flatten().min_by(f64::total_cmp)
    }

    /// What was asked for and comes next; a replay after the one before it.
    fn asked(&self) -> Option<&Request> {
        let done = self.record.requests_done;
        let request = self.wanted.requests.iter().find(|r| r.number > done)?;
        let waits =
            matches!(request.kind, RequestKind::Replay { .. }) && self.record.replay.is_some();
        (!waits).then_some(request)
    }

    /// Carries out what needs no request of its own.
    fn carry_out(&mut self, request: &Request, now: Time) {
        match request.kind {
            RequestKind::Test { .. } => return,
            RequestKind::Resume => {
                self.record.paused = None;
                self.record.breaker.failing = None;
                self.record.next_attempt = self.record.asked_until.filter(|at| *at > now);
                self.try_parked();
            }
            RequestKind::Replay { from_sequence, only_failed } => {
                self.begin_replay(request.number, from_sequence, only_failed);
            }
        }
        self.record.requests_done = self.record.requests_done.max(request.number);
        self.changed = true;
    }

    /// Settles what is at the front and not to be sent: withheld and outdated events.
    fn drop_settled(&mut self, now: Time) {
        let mut at = 0;
        while let Some(pending) = self.pending.get(at) {
            let alert = &pending.logged.event.alert.id;
            let mut earlier = self.pending.iter().take(at);
            // An ending waits for what is still to be sent of its alert.
            let waits = pending.under_way
                || (pending.logged.facts.kind.follows_the_record()
                    && earlier.any(|p| p.logged.event.alert.id == *alert));
            match self.reason_to_drop(&pending.logged, now).filter(|_| !waits) {
                Some(outcome) => self.give_up(at, outcome, now),
                None if self.cap() == 1 => return,
                None => at += 1,
            }
        }
    }

    fn reason_to_drop(&self, logged: &Logged, now: Time) -> Option<Outcome> {
        let event = &logged.event;
        if event.kind.follows_the_record() {
            return self.record.is_unsent(&event.alert.id).then_some(Outcome::Withheld);
        }
        let ttl = self.wanted.ttl.or(self.ttls.of(event.alert.severity))?;
        (now.since(event.timestamp) > ttl).then_some(Outcome::Outdated)
    }

    /// Gives up the pending event at a place.
    pub(super) fn give_up(&mut self, at: usize, outcome: Outcome, now: Time) {
        let Some(pending) = self.pending.take_out(at) else { return };
        let (logged, sequence, told) = (pending.logged, pending.out.sequence, pending.out.told);
        self.record.give_up(&self.wanted, GivenUp { logged: &logged, sequence, told, now });
        self.record.ahead.insert(sequence);
        self.given_up.push(GaveUp { logged, sequence, outcome });
        self.changed = true;
    }

    /// The event to send next, if there is one.
    fn choose(&self, now: Time) -> Choice {
        let room = self.unwritten() < UNWRITTEN;
        let barrier = self.barrier();
        let may = |seq: u64| room && barrier.is_none_or(|barrier| seq <= barrier);
        let replay = if self.replayed.front().is_some() { Choice::Replay } else { Choice::Nothing };
        if self.cap() == 1 {
            return match self.pending.front() {
                Some(first) if may(first.out.seq) => Choice::Pending(0),
                Some(_) => Choice::Nothing,
                None => replay,
            };
        }
        let mut wait: Option<Time> = None;
        let mut best: Option<((bool, u32), usize)> = None;
        for (at, pending) in self.pending.iter().enumerate().filter(|(_, p)| !p.under_way) {
            if !may(pending.out.seq) {
                break;
            }
            if let Some(due) = pending.out.next_attempt.filter(|due| *due > now) {
                wait = Some(wait.map_or(due, |wait| wait.min(due)));
                continue;
            }
            let ending = pending.logged.facts.kind.follows_the_record();
            if ending && !self.may_overtake(at) {
                continue;
            }
            // Endings first; then what failed least, so that one bad event holds up no other.
            let rank = (!ending, pending.out.failures);
            if best.is_none_or(|(known, _)| rank < known) {
                best = Some((rank, at));
            }
        }
        match (best, wait, replay) {
            (Some((_, at)), ..) => Choice::Pending(at),
            (None, Some(at), Choice::Nothing) => Choice::Wait(at),
            (None, _, replay) => replay,
        }
    }

    /// An ending overtakes everything but earlier events of its alert that the receiver cannot
    /// know of: were they given up, there would be nothing to end.
    fn may_overtake(&self, at: usize) -> bool {
        let Some(ending) = self.pending.get(at) else { return false };
        let alert = &ending.logged.event.alert.id;
        let mut earlier = self.pending.iter().take(at);
        earlier.all(|p| p.out.told || p.logged.event.alert.id != *alert)
    }

    /// Events that were tried apart are tried again at once.
    pub(super) fn try_parked(&mut self) {
        self.pending.iter_mut().for_each(|pending| pending.out.next_attempt = None);
    }

    /// While a fresh event waits, the next try is not far.
    pub(super) fn sooner(&mut self, now: Time) -> bool {
        let within = now.plus(schedule::FRESH_WITHIN);
        let fresh = self.newest.is_some_and(|at| now.since(at) < schedule::FRESH);
        let Some(next) = self.record.next_attempt.filter(|next| fresh && *next > within) else {
            return false;
        };
        let sooner = within.max(self.record.asked_until.unwrap_or(within)).min(next);
        self.record.next_attempt = Some(sooner);
        sooner < next
    }

    /// How old the newest event is that waits.
    pub(super) fn freshest(&self, now: Time) -> Duration {
        self.newest.map_or(Duration::MAX, |at| now.since(at))
    }
}
