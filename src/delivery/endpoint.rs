//! One subscription as it is served: what is wanted, what is on record, what comes next.
//!
//! Pure: the time, the jitter and the ends of requests come in, and what to do comes out. The
//! order of calls: [`Endpoint::look`] at the log in order, [`Endpoint::next`], [`Endpoint::ended`]
//! for each request, and at any time the record that stands for all of it.

mod answer;
mod choose;
mod replay;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use crate::delivery::Logged;
use crate::delivery::admission::admits;
use crate::delivery::breaker::Phase;
use crate::delivery::lanes::Lane;
use crate::delivery::latency::Latency;
use crate::delivery::ledger::Delivery;
use crate::delivery::ledger::Outstanding;
use crate::delivery::pace::Spacing;
use crate::delivery::signature::BadSecret;
use crate::delivery::signature::Signer;
use crate::model::Severity;
use crate::model::Subscription;
use crate::model::Time;
use crate::model::attempt::Outcome;
use crate::model::subscription::Request;

pub use answer::End;
use waiting::Waiting;

/// Most events held in memory for one subscription; the rest stays in the log.
pub const QUEUE: usize = 256;
/// Events that a process which died may have sent beyond what it wrote. So many are sent at most
/// before the record says so.
pub const UNWRITTEN: u64 = 256;
/// A request that takes longer is slow.
pub const SLOW: Duration = Duration::from_secs(2);

/// The longest wait before an event that is no ending is given up, where the subscription does
/// not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ttls {
    /// Of `info`.
    pub info: Option<Duration>,
    /// Of `warning`.
    pub warning: Option<Duration>,
    /// Of `critical`.
    pub critical: Option<Duration>,
}

impl Ttls {
    /// The time to live of an event.
    pub fn of(&self, severity: Severity) -> Option<Duration> {
        match severity {
            Severity::Info => self.info,
            Severity::Warning => self.warning,
            Severity::Critical => self.critical,
        }
    }
}

/// One subscription as it is served.
#[derive(Debug)]
pub struct Endpoint {
    wanted: Subscription,
    keys: Vec<Signer>,
    record: Delivery,
    ttls: Ttls,
    /// Admitted events that are not settled, in order.
    pending: Waiting,
    /// The sequence given to the last event looked at.
    assigned: u64,
    /// The log has been looked at up to here.
    scan: u64,
    /// The next event of the log's end is the next one to look at.
    level: bool,
    /// The newest filter version of which the record on disk says where it took effect. Nothing
    /// that a newer one decides is sent before it does.
    written_version: u32,
    /// So many more events may have been sent by one that died.
    doubtful: u64,
    /// The sequence on record when it was last written.
    written: u64,
    under_way: u32,
    ping_under_way: bool,
    replayed: replay::Replayed,
    spacing: Spacing,
    latency: Latency,
    /// When the newest event was decided that waits for it.
    newest: Option<Time>,
    /// Given up since somebody last asked.
    given_up: Vec<GaveUp>,
    changed: bool,
}

/// What to do for a subscription now.
#[derive(Clone, Debug)]
pub enum Next {
    /// Nothing until something happens.
    Nothing,
    /// Nothing before this time.
    Wait(Time),
    /// Send this; it counts as under way.
    Send(Work),
}

/// Whether it is worth asking for the next work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It is.
    Now,
    /// Not before this time.
    At(Time),
    /// Not until something happens.
    Idle,
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum Work {
    /// An event in its turn, with its sequence.
    Event(Arc<Logged>, u64),
    /// An event again.
    Replay(Arc<Logged>, u64),
    /// A `test.ping`.
    Ping(Box<Request>),
}

/// An admitted event that is not sent.
#[derive(Clone, Debug)]
pub struct GaveUp {
    /// The event.
    pub logged: Arc<Logged>,
    /// Its place among what was admitted: a gap.
    pub sequence: u64,
    /// `outdated`, `withheld` or `failed`.
    pub outcome: Outcome,
}

/// What came of looking at an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// It waits to be sent.
    Admitted,
    /// It is not for this subscription, or was looked at before.
    Passed,
    /// There is no room: look again when there is.
    Full,
}

impl Endpoint {
    /// A subscription with its record, if it has one. `abandoned`: whoever served it died, and
    /// may have sent more than is on record.
    pub fn new(
        wanted: Subscription,
        stored: Option<Delivery>,
        abandoned: bool,
        ttls: Ttls,
    ) -> Result<Self, BadSecret> {
        let keys = keys(&wanted)?;
        let record = stored.unwrap_or_else(|| Delivery::new(&wanted));
        Ok(Self {
            keys,
            ttls,
            pending: Waiting::default(),
            assigned: record.sequence,
            scan: record.cursor,
            level: false,
            written_version: newest_version(&record),
            doubtful: if abandoned { UNWRITTEN } else { 0 },
            written: record.sequence,
            under_way: 0,
            ping_under_way: false,
            replayed: replay::Replayed::new(&record),
            spacing: Spacing::default(),
            latency: Latency::new(record.p95_ms),
            newest: None,
            given_up: Vec::new(),
            changed: false,
            wanted,
            record,
        })
    }

    /// Takes a changed definition. Another URL ends a pause that the old one caused, and is tried
    /// at once.
    pub fn redefine(&mut self, wanted: Subscription) -> Result<(), BadSecret> {
        self.keys = keys(&wanted)?;
        if self.wanted.url != wanted.url {
            self.record.breaker.reset();
            self.record.next_attempt = None;
            self.record.asked_until = None;
            self.latency = Latency::new(None);
            if self.record.paused.as_ref().is_some_and(|pause| pause.url != wanted.url) {
                self.record.paused = None;
            }
            self.changed = true;
        }
        self.wanted = wanted;
        Ok(())
    }

    /// Lets new filter versions take effect where the log ends; nothing beyond is sent before
    /// [`Endpoint::wrote`].
    pub fn take_versions(&mut self, log_end: u64) {
        if self.record.lacks_versions(&self.wanted.filters) {
            self.record.take_versions(&self.wanted.filters, log_end.max(self.scan));
            self.changed = true;
        }
    }

    /// What is wanted.
    pub fn wanted(&self) -> &Subscription {
        &self.wanted
    }

    /// What signs, each key until its time.
    pub fn keys(&self) -> &[Signer] {
        &self.keys
    }

    /// The record as it is to be written now.
    pub fn record(&mut self) -> &Delivery {
        if self.pending.is_empty() {
            self.record.reach(self.scan, self.assigned);
        } else if let Some(first) = self.pending.front() {
            let (seq, sequence) = (first.out.seq, first.out.sequence);
            self.record.reach(seq.saturating_sub(1), sequence.saturating_sub(1));
        }
        self.record.outstanding = self.pending.begun();
        self.record.p95_ms = self.latency.p95_ms().or(self.record.p95_ms);
        &self.record
    }

    /// Whether the record changed since it was last asked, and is to be written.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// A record with this sequence and newest filter version was written. Answers whether more
    /// may be sent now.
    pub fn wrote(&mut self, sequence: u64, version: u32) -> bool {
        let held = self.unwritten() >= UNWRITTEN;
        self.written = self.written.max(sequence);
        let lifted = version > self.written_version;
        self.written_version = self.written_version.max(version);
        held || lifted
    }

    /// Nothing beyond this position is sent yet.
    fn barrier(&self) -> Option<u64> {
        let unwritten = self.record.effective.iter().find(|e| e.number > self.written_version);
        unwritten.map(|e| e.after)
    }

    /// Whether there are filter versions whose place of effect is not known yet.
    pub fn lacks_versions(&self) -> bool {
        self.record.lacks_versions(&self.wanted.filters)
    }

    /// Sequences settled or under way beyond the record as written.
    fn unwritten(&self) -> u64 {
        let first = self.pending.front().map_or(self.assigned, |p| p.out.sequence);
        // There are no more of them, and most of the time they come first.
        let most = usize::try_from(self.under_way).unwrap_or(usize::MAX);
        let last = self.pending.iter().filter(|p| p.under_way).take(most).last();
        let last = last.map(|p| p.out.sequence);
        let ahead = self.record.ahead.ranges().last().map(|(_, to)| *to);
        let settled = first.saturating_sub(u64::from(!self.pending.is_empty()));
        let reached = [Some(settled), last, ahead].into_iter().flatten().max().unwrap_or(0);
        reached.saturating_sub(self.written)
    }

    /// Looks at the next event of the log.
    pub fn look(&mut self, logged: &Arc<Logged>) -> Looked {
        if logged.seq <= self.scan {
            return Looked::Passed;
        }
        if !admits(self.record.versions(&self.wanted), logged) {
            self.scan = logged.seq;
            return Looked::Passed;
        }
        if self.pending.len() >= QUEUE {
            self.level = false;
            return Looked::Full;
        }
        self.scan = logged.seq;
        self.assigned += 1;
        let sequence = self.assigned;
        let told = self.doubtful > 0;
        self.doubtful = self.doubtful.saturating_sub(1);
        if self.record.ahead.contains(sequence) {
            return Looked::Passed;
        }
        let known = self.record.outstanding.iter().find(|o| o.sequence == sequence).cloned();
        let mut out = known.unwrap_or_else(|| Outstanding::new(logged, sequence));
        out.told |= told;
        self.newest = self.newest.max(Some(logged.event.timestamp));
        self.pending.push(logged, out);
        Looked::Admitted
    }

    /// There is nothing more for it up to this position, which is the log's end if `level`.
    pub fn reached(&mut self, seq: u64, level: bool) {
        self.scan = self.scan.max(seq);
        self.level = level;
    }

    /// An event came at the log's end while this subscription is behind it: a fresh one is not to
    /// wait for the end of a long pause between tries. Whether the next try comes sooner for it.
    pub fn saw_fresh(&mut self, logged: &Logged, now: Time) -> bool {
        let admitted = admits(self.record.versions(&self.wanted), logged);
        if admitted {
            self.newest = self.newest.max(Some(logged.event.timestamp));
        }
        admitted && self.sooner(now)
    }

    /// Whether the log's next event is the next one to look at.
    pub fn is_level(&self) -> bool {
        self.level
    }

    /// Up to where it has looked.
    pub fn scan(&self) -> u64 {
        self.scan
    }

    /// The record on disk says nothing of so many positions.
    pub fn lags(&self, tail: u64) -> u64 {
        if self.level && self.pending.is_empty() {
            tail.saturating_sub(self.record.cursor)
        } else {
            0
        }
    }

    /// Whether it needs more of the log: it is behind, and has little left to send.
    pub fn wants_more(&self) -> bool {
        // One that takes nothing needs no more than what it is tried with.
        let few = if self.record.breaker.phase == Phase::Open { 1 } else { QUEUE / 2 };
        !self.level && self.pending.len() < few && !self.is_held()
    }

    /// Whether nothing is sent, by its owner's will or ours.
    pub fn is_held(&self) -> bool {
        self.wanted.paused || self.record.paused.is_some()
    }

    /// Events in memory that wait.
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Requests under way.
    pub fn under_way(&self) -> u32 {
        self.under_way
    }

    /// Where its requests count.
    pub fn lane(&self) -> Lane {
        let fast = self.latency.p95_ms().is_some_and(|ms| u128::from(ms) < SLOW.as_millis());
        if fast && self.record.breaker.is_closed() { Lane::Fast } else { Lane::Slow }
    }

    /// What was given up since this was last asked.
    pub fn take_given_up(&mut self) -> Vec<GaveUp> {
        std::mem::take(&mut self.given_up)
    }

    fn cap(&self) -> u32 {
        u32::from(self.wanted.max_in_flight.get())
    }
}

fn newest_version(record: &Delivery) -> u32 {
    record.effective.last().map_or(0, |e| e.number)
}

fn keys(wanted: &Subscription) -> Result<Vec<Signer>, BadSecret> {
    wanted.keys.iter().map(Signer::new).collect()
}

#[cfg(test)]
mod tests;
