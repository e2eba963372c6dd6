//! A subscription's own record: where it stands in the log and what is outstanding.
//!
//! The record is the notifier's alone. Sending goes ahead of writing it; a crash in between
//! repeats requests with the same `webhook-id`, and nothing else.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::delivery::admission::Effective;
use crate::delivery::admission::Logged;
use crate::delivery::admission::Versions;
use crate::delivery::admission::told_before;
use crate::delivery::breaker::Breaker;
use crate::delivery::pace::Pace;
use crate::delivery::spans::Spans;
use crate::model::AlertId;
use crate::model::EventId;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::Version;
use crate::model::attempt::Outcome;
use crate::model::subscription::FilterVersion;

/// How long an alert that was given up unsent is remembered after it closed.
const REMEMBERED: Duration = Duration::from_secs(48 * 3600);
/// Most alerts remembered as given up unsent; beyond, the oldest closed ones go first.
const MAX_UNSENT: usize = 1_000;
/// A mark is set each so many admitted events.
const MARK_EVERY: u64 = 256;
/// Most marks kept; then every second one goes.
const MAX_MARKS: usize = 64;
/// Most ranges of events given up that are remembered; then the oldest go.
const MAX_GAPS: usize = 256;

/// Why nothing is sent; everything is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: Time,
    /// Why, for people.
    pub why: String,
    /// The URL that caused it: another one ends the pause.
    pub url: String,
}

/// An event that was begun and is not settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outstanding {
    /// Its position in the log.
    pub seq: u64,
    /// Its place among what was admitted.
    pub sequence: u64,
    /// The event.
    pub event: EventId,
    /// Requests that left.
    pub sends: u32,
    /// When the first of them left.
    pub first_send: Option<Time>,
    /// The receiver has or may have it, or a later event of its alert: an ending is owed.
    #[serde(rename = "may_have_arrived")]
    pub told: bool,
    /// Tries that failed.
    #[serde(default)]
    pub failures: u32,
    /// It is not tried before then, though others are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Time>,
    /// How the last try ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Outcome>,
    /// The last status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

impl Outstanding {
    /// An event not yet tried.
    pub fn new(logged: &Logged, sequence: u64) -> Self {
        Self {
            seq: logged.seq,
            sequence,
            event: logged.event.id.clone(),
            sends: 0,
            first_send: None,
            told: false,
            failures: 0,
            next_attempt: None,
            last: None,
            status: None,
        }
    }

    /// Whether there is anything to remember of it.
    pub fn is_begun(&self) -> bool {
        self.told || self.failures > 0 || self.sends > 0
    }
}

/// An alert all of whose admitted events were given up unsent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsent {
    /// The alert.
    pub alert: AlertId,
    /// When it closed; none while it is open.
    pub closed_at: Option<Time>,
}

/// A position that pull and replay can start counting from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Events admitted up to and including the position.
    pub sequence: u64,
    /// The position.
    pub position: u64,
}

/// Events that are sent again, in order, beside what is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// The request that asked for it.
    pub number: u64,
    /// The first sequence.
    pub from: u64,
    /// The last sequence.
    pub to: u64,
    /// Only these, where not all were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Spans>,
    /// Everything up to here is done.
    pub done: Mark,
}

/// What the notifier has done for a subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Record version.
    pub v: Version,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// When that was made: one that is kept in a file may come again under its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Time>,
    /// Everything at or before this position is settled.
    pub cursor: u64,
    /// Events admitted at or before the cursor.
    pub sequence: u64,
    /// Where each filter version took effect.
    pub effective: Vec<Effective>,
    /// Nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// Events beyond the cursor that were tried and are not settled, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outstanding: Vec<Outstanding>,
    /// Sequences beyond the cursor that are settled.
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    pub ahead: Spans,
    /// How freely requests go.
    #[serde(default, skip_serializing_if = "is_default")]
    pub breaker: Breaker,
    /// Not before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<Time>,
    /// The receiver asked for no request before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_until: Option<Time>,
    /// A slower pace that the receiver asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
    /// How long 19 of 20 answers took at most, in milliseconds, when last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<u32>,
    /// The last request carried out.
    #[serde(default)]
    pub requests_done: u64,
    /// A replay under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
    /// Alerts all of whose admitted events were given up unsent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsent: Vec<Unsent>,
    /// Sequences that were given up: gaps at the receiver.
    #[serde(default, skip_serializing_if = "Spans::is_empty")]
    pub gaps: Spans,
    /// Sparse marks, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Delivery {
    /// Whether it is about this subscription, and not about one before it with the same id.
    pub fn is_of(&self, subscription: &Subscription) -> bool {
        self.made.is_none_or(|made| made == subscription.created_at)
    }

    /// The record of a subscription nobody has served yet.
    ///
    /// Its first filter version takes effect where it was written, so that nothing between the
    /// subscriber's answer and the notifier's first look is missed.
    pub fn new(subscription: &Subscription) -> Self {
        let first = subscription.filters.first();
        let after = first.map_or(0, |v| v.effective_after);
        let effective = first.map(|v| Effective { number: v.number, after }).into_iter().collect();
        Self {
            v: Version,
            subscription: subscription.id.clone(),
            made: Some(subscription.created_at),
            cursor: after,
            sequence: 0,
            effective,
            paused: None,
            outstanding: Vec::new(),
            ahead: Spans::default(),
            breaker: Breaker::default(),
            next_attempt: None,
            asked_until: None,
            pace: None,
            p95_ms: None,
            requests_done: 0,
            replay: None,
            unsent: Vec::new(),
            gaps: Spans::default(),
            marks: Vec::new(),
        }
    }

    /// Filter versions and where they took effect.
    pub fn versions<'a>(&'a self, subscription: &'a Subscription) -> Versions<'a> {
        Versions { filters: &subscription.filters, effective: &self.effective }
    }

    /// Whether there are versions whose place of effect is not known yet.
    pub fn lacks_versions(&self, filters: &[FilterVersion]) -> bool {
        let newest = self.effective.last().map_or(0, |e| e.number);
        filters.iter().any(|v| v.number > newest)
    }

    /// Lets new filter versions take effect at the later of where they were written and the end
    /// of the log, which the caller asked for after it saw them. The record must be written
    /// before anything beyond is sent.
    pub fn take_versions(&mut self, filters: &[FilterVersion], log_end: u64) {
        let newest = self.effective.last().map_or(0, |e| e.number);
        for version in filters.iter().filter(|v| v.number > newest) {
            let after = version.effective_after.max(log_end);
            self.effective.push(Effective { number: version.number, after });
        }
        let oldest = filters.first().map_or(0, |v| v.number);
        self.effective.retain(|e| e.number >= oldest);
    }

    /// The newest place to count from that is before `sequence`; none where the oldest filter
    /// version that is kept took effect later.
    pub fn mark_before(&self, sequence: u64) -> Option<Mark> {
        let oldest = self.effective.first()?;
        let begin = (oldest.number == 1).then_some(Mark { sequence: 0, position: oldest.after });
        let cursor = Mark { sequence: self.sequence, position: self.cursor };
        let mut marks = begin.into_iter().chain(self.marks.iter().copied()).chain([cursor]);
        marks.rfind(|m| m.sequence < sequence && m.position >= oldest.after)
    }

    /// Moves the cursor, and the count with it.
    pub fn reach(&mut self, cursor: u64, sequence: u64) {
        if self.sequence / MARK_EVERY != sequence / MARK_EVERY {
            self.marks.push(Mark { sequence, position: cursor });
            if self.marks.len() > MAX_MARKS {
                let mut keep = false;
                self.marks.retain(|_| {
                    keep = !keep;
                    !keep
                });
            }
        }
        self.cursor = self.cursor.max(cursor);
        self.sequence = self.sequence.max(sequence);
        self.ahead.remove_up_to(self.sequence);
    }

    /// Whether all that was admitted of an alert was given up unsent.
    pub fn is_unsent(&self, alert: &AlertId) -> bool {
        self.unsent.iter().any(|u| u.alert == *alert)
    }

    /// The receiver was told of an alert after all.
    pub fn told(&mut self, alert: &AlertId) {
        self.unsent.retain(|u| u.alert != *alert);
    }

    /// Notes that an event was given up. An alert of which nothing was sent before is remembered,
    /// unless the receiver may have been told of it.
    pub fn give_up(&mut self, subscription: &Subscription, given: GivenUp<'_>) {
        self.gaps.insert(given.sequence);
        self.gaps.keep_newest(MAX_GAPS);
        let (event, now) = (&given.logged.event, given.now);
        let closed_at = event.kind.closes().then_some(now);
        self.unsent.retain(|u| u.closed_at.is_none_or(|at| now.since(at) < REMEMBERED));
        if given.told {
            self.told(&event.alert.id);
            return;
        }
        if let Some(known) = self.unsent.iter_mut().find(|u| u.alert == event.alert.id) {
            known.closed_at = known.closed_at.or(closed_at);
            return;
        }
        if told_before(self.versions(subscription), given.logged) {
            return;
        }
        if self.unsent.len() >= MAX_UNSENT {
            let oldest = self.unsent.iter().position(|u| u.closed_at.is_some()).unwrap_or(0);
            self.unsent.remove(oldest);
        }
        self.unsent.push(Unsent { alert: event.alert.id.clone(), closed_at });
    }
}

/// An event given up.
#[derive(Clone, Copy, Debug)]
pub struct GivenUp<'a> {
    /// The event.
    pub logged: &'a Logged,
    /// Its place among what was admitted.
    pub sequence: u64,
    /// The receiver was or may have been told of its alert.
    pub told: bool,
    /// When.
    pub now: Time,
}
