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
use crate::delivery::admission::admits;
use crate::delivery::schedule::FAILED_AFTER;
use crate::delivery::schedule::FAILED_AFTER_SENDS;
use crate::delivery::schedule::Reply;
use crate::delivery::schedule::wait;
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

/// Whether requests are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// They are.
    #[default]
    Active,
    /// They are not; everything is kept.
    Paused {
        /// Since when.
        since: Time,
        /// Why, for people.
        why: String,
        /// The URL that caused it: another one ends the pause.
        url: String,
    },
}

/// The event being tried.
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
    /// The receiver has it or may have it.
    pub may_have_arrived: bool,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Events admitted up to and including the position.
    pub sequence: u64,
    /// The position.
    pub position: u64,
}

/// What the notifier has done for a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Record version.
    pub v: Version,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Everything at or before this position is settled.
    pub cursor: u64,
    /// Events admitted at or before the cursor.
    pub sequence: u64,
    /// Where each filter version took effect.
    pub effective: Vec<Effective>,
    /// Whether requests are sent.
    #[serde(flatten)]
    pub state: State,
    /// The event being tried.
    pub outstanding: Option<Outstanding>,
    /// Consecutive failures.
    pub failures: u32,
    /// Since when nothing succeeded.
    pub failing_since: Option<Time>,
    /// Not before then.
    pub next_attempt: Option<Time>,
    /// The last request carried out.
    pub requests_done: u64,
    /// Alerts all of whose admitted events were given up unsent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsent: Vec<Unsent>,
    /// Sparse marks, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
}

/// What is to be done with an event that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It does not belong to the subscription.
    Pass,
    /// It is to be sent with this sequence.
    Send(u64),
    /// It is admitted and not sent: its alert was given up unsent.
    Withhold,
    /// It is admitted and has outlived its time.
    Outdated,
}

/// What a reply did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The event is settled; the next one may go.
    Done(Outcome),
    /// The same event again, not before this time.
    Again(Time),
    /// Nothing more is sent until the URL changes.
    Paused,
}

impl Delivery {
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
            cursor: after,
            sequence: 0,
            effective,
            state: State::Active,
            outstanding: None,
            failures: 0,
            failing_since: None,
            next_attempt: None,
            requests_done: 0,
            unsent: Vec::new(),
            marks: Vec::new(),
        }
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

    /// A changed URL ends a pause that the old one caused, and is tried at once.
    pub fn take_url(&mut self, url: &str) -> bool {
        let ended = matches!(&self.state, State::Paused { url: old, .. } if old != url);
        if ended {
            self.state = State::Active;
            self.next_attempt = None;
        }
        ended
    }

    /// What is to be done with the next event in the order of the log.
    pub fn turn(&self, subscription: &Subscription, logged: &Logged, now: Time) -> Turn {
        let versions = Versions { filters: &subscription.filters, effective: &self.effective };
        if !admits(versions, logged) {
            return Turn::Pass;
        }
        let event = &logged.event;
        if event.kind.follows_the_record() && self.is_unsent(&event.alert.id) {
            return Turn::Withhold;
        }
        let waited = now.since(event.timestamp);
        let outlived = subscription.ttl.is_some_and(|ttl| waited > ttl);
        if outlived && !event.kind.follows_the_record() {
            return Turn::Outdated;
        }
        Turn::Send(self.sequence.saturating_add(1))
    }

    /// Takes an event that is to be sent. A try of the same event that is on record goes on.
    pub fn begin(&mut self, logged: &Logged, sequence: u64) {
        if self.outstanding.as_ref().is_some_and(|o| o.seq == logged.seq) {
            return;
        }
        self.outstanding = Some(Outstanding {
            seq: logged.seq,
            sequence,
            event: logged.event.id.clone(),
            sends: 0,
            first_send: None,
            may_have_arrived: false,
        });
    }

    /// Moves over events that do not belong to the subscription.
    pub fn pass(&mut self, seq: u64) {
        self.cursor = self.cursor.max(seq);
    }

    /// Gives an admitted event up without sending it; it keeps its sequence, a gap.
    pub fn give_up(&mut self, subscription: &Subscription, logged: &Logged, now: Time) {
        let arrived =
            self.outstanding.as_ref().is_some_and(|o| o.seq == logged.seq && o.may_have_arrived);
        if !arrived {
            self.note_unsent(subscription, logged, now);
        }
        self.settle_at(logged.seq);
    }

    /// Takes the end of a request for the outstanding event.
    pub fn settle(
        &mut self,
        subscription: &Subscription,
        logged: &Logged,
        reply: Reply,
        at: (Time, f64),
    ) -> Settled {
        let (now, jitter) = at;
        let outcome = reply.outcome();
        let Some(outstanding) = self.outstanding.as_mut() else { return Settled::Done(outcome) };
        if outcome != Outcome::NotSent && outcome != Outcome::Refused {
            outstanding.sends = outstanding.sends.saturating_add(1);
            outstanding.first_send.get_or_insert(now);
        }
        outstanding.may_have_arrived |= outcome.may_have_arrived();
        let exhausted = outstanding.sends >= FAILED_AFTER_SENDS
            && outstanding.first_send.is_some_and(|first| now.since(first) >= FAILED_AFTER);
        match outcome {
            Outcome::Delivered | Outcome::Unacceptable => {
                self.failures = 0;
                self.failing_since = None;
                self.next_attempt = None;
                self.unsent.retain(|u| u.alert != logged.event.alert.id);
                self.settle_at(logged.seq);
                return Settled::Done(outcome);
            }
            Outcome::Gone => {
                let why = "the receiver answered 410 Gone".to_owned();
                self.state = State::Paused { since: now, why, url: subscription.url.clone() };
                return Settled::Paused;
            }
            _ => {}
        }
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        let age = now.since(logged.event.timestamp);
        let next = now.plus(wait(self.failures, reply, age, jitter));
        self.next_attempt = Some(next);
        if exhausted {
            self.give_up(subscription, logged, now);
            return Settled::Done(Outcome::Failed);
        }
        Settled::Again(next)
    }

    fn settle_at(&mut self, seq: u64) {
        self.outstanding = None;
        self.cursor = self.cursor.max(seq);
        self.sequence = self.sequence.saturating_add(1);
        if self.sequence.is_multiple_of(MARK_EVERY) {
            self.marks.push(Mark { sequence: self.sequence, position: seq });
            if self.marks.len() > MAX_MARKS {
                let mut keep = false;
                self.marks.retain(|_| {
                    keep = !keep;
                    !keep
                });
            }
        }
    }

    fn is_unsent(&self, alert: &AlertId) -> bool {
        self.unsent.iter().any(|u| u.alert == *alert)
    }

    /// Notes an alert whose event was given up unsent, unless an earlier event of it was sent.
    fn note_unsent(&mut self, subscription: &Subscription, logged: &Logged, now: Time) {
        let event = &logged.event;
        let closed_at = event.kind.closes().then_some(now);
        self.unsent.retain(|u| u.closed_at.is_none_or(|at| now.since(at) < REMEMBERED));
        if let Some(known) = self.unsent.iter_mut().find(|u| u.alert == event.alert.id) {
            known.closed_at = known.closed_at.or(closed_at);
            return;
        }
        let versions = Versions { filters: &subscription.filters, effective: &self.effective };
        let sent_before = logged.earlier.iter().any(|facts| {
            let earlier = Logged {
                seq: facts.seq,
                event: facts.event.clone(),
                earlier: std::sync::Arc::new([]),
            };
            !facts.event.kind.follows_the_record() && admits(versions, &earlier)
        });
        if sent_before {
            return;
        }
        if self.unsent.len() >= MAX_UNSENT {
            let oldest = self.unsent.iter().position(|u| u.closed_at.is_some()).unwrap_or(0);
            self.unsent.remove(oldest);
        }
        self.unsent.push(Unsent { alert: event.alert.id.clone(), closed_at });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::delivery::admission::Facts;
    use crate::delivery::admission::tests::event;
    use crate::delivery::admission::tests::filter;
    use crate::model::EventKind;
    use crate::model::Severity;
    use crate::model::subscription::Format;

    fn subscription(ttl: Option<u64>) -> Subscription {
        let now = Time::from_millis(0);
        Subscription {
            v: Version,
            id: SubscriptionId::from_random([3; 16]),
            url: "https://desk.example/in".into(),
            description: None,
            format: Format::Wirebell,
            keys: Vec::new(),
            filters: vec![FilterVersion {
                number: 1,
                effective_after: 10,
                filter: filter(r#"{"topics":["*"]}"#),
            }],
            ttl: ttl.map(Duration::from_secs),
            paused: false,
            requests: Vec::new(),
            created_at: now,
            updated_at: now,
        }
    }

    fn logged(seq: u64, kind: EventKind, number: u32, earlier: &[Facts]) -> Logged {
        let event = event(kind, number, "siren", Severity::Warning);
        Logged { seq, event, earlier: Arc::from(earlier.to_vec()) }
    }

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    #[test]
    fn what_is_delivered_moves_cursor_and_sequence_and_what_is_passed_only_the_cursor() {
        let wanted = subscription(None);
        let mut record = Delivery::new(&wanted);
        assert_eq!(record.cursor, 10);
        assert_eq!(record.turn(&wanted, &logged(10, EventKind::Opened, 1, &[]), at(1)), Turn::Pass);
        let opened = logged(12, EventKind::Opened, 1, &[]);
        assert_eq!(record.turn(&wanted, &opened, at(1)), Turn::Send(1));
        record.begin(&opened, 1);
        let settled = record.settle(&wanted, &opened, Reply::Status(200, None), (at(1), 0.5));
        assert_eq!(settled, Settled::Done(Outcome::Delivered));
        record.pass(14);
        assert_eq!((record.cursor, record.sequence, record.failures), (14, 1, 0));
    }

    #[test]
    fn a_failure_keeps_the_event_and_waits_longer_each_time() {
        let wanted = subscription(None);
        let mut record = Delivery::new(&wanted);
        let opened = logged(12, EventKind::Opened, 1, &[]);
        record.begin(&opened, 1);
        let first = record.settle(&wanted, &opened, Reply::NotSent, (at(10), 1.0));
        assert_eq!(first, Settled::Again(at(11)));
        let second = record.settle(&wanted, &opened, Reply::Unknown, (at(11), 1.0));
        assert_eq!(second, Settled::Again(at(16)));
        let outstanding = record.outstanding.clone().unwrap();
        assert_eq!((outstanding.sends, outstanding.may_have_arrived), (1, true));
        assert_eq!(record.cursor, 10);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Delivery>(&text).unwrap(), record);
    }

    #[test]
    fn an_event_fails_only_after_twelve_sends_and_46_hours() {
        let wanted = subscription(None);
        let mut record = Delivery::new(&wanted);
        let opened = logged(12, EventKind::Opened, 1, &[]);
        record.begin(&opened, 1);
        let reply = Reply::Status(500, None);
        for n in 0..20 {
            let settled = record.settle(&wanted, &opened, reply, (at(n), 1.0));
            assert!(matches!(settled, Settled::Again(_)), "{n}");
        }
        let settled = record.settle(&wanted, &opened, reply, (at(46 * 3600), 1.0));
        assert_eq!(settled, Settled::Done(Outcome::Failed));
        assert_eq!((record.cursor, record.sequence), (12, 1));
        assert!(record.unsent.is_empty(), "the receiver may have it: an ending is owed");
    }

    #[test]
    fn an_ending_is_withheld_where_everything_before_was_given_up_unsent() {
        let wanted = subscription(Some(60));
        let mut record = Delivery::new(&wanted);
        let opened = logged(12, EventKind::Opened, 1, &[]);
        assert_eq!(record.turn(&wanted, &opened, at(61)), Turn::Outdated);
        record.give_up(&wanted, &opened, at(61));
        let ended = logged(13, EventKind::Ended, 2, &[Facts::of(12, &opened.event)]);
        assert_eq!(record.turn(&wanted, &ended, at(62)), Turn::Withhold);
        record.give_up(&wanted, &ended, at(62));
        assert_eq!(record.sequence, 2, "what is admitted keeps its sequence");
        assert_eq!(record.unsent[0].closed_at, Some(at(62)));
    }

    #[test]
    fn an_ending_is_owed_where_an_earlier_event_was_sent_however_old_it_is() {
        let wanted = subscription(Some(60));
        let mut record = Delivery::new(&wanted);
        let opened = logged(12, EventKind::Opened, 1, &[]);
        record.begin(&opened, 1);
        record.settle(&wanted, &opened, Reply::Status(200, None), (at(1), 0.0));
        let facts = Facts::of(12, &opened.event);
        let updated = logged(13, EventKind::Updated, 2, std::slice::from_ref(&facts));
        assert_eq!(record.turn(&wanted, &updated, at(100)), Turn::Outdated);
        record.give_up(&wanted, &updated, at(100));
        let ended = logged(14, EventKind::Ended, 3, &[facts]);
        assert_eq!(record.turn(&wanted, &ended, at(1_000_000)), Turn::Send(3));
    }

    #[test]
    fn gone_pauses_until_the_url_changes_and_keeps_everything() {
        let wanted = subscription(None);
        let mut record = Delivery::new(&wanted);
        let opened = logged(12, EventKind::Opened, 1, &[]);
        record.begin(&opened, 1);
        let settled = record.settle(&wanted, &opened, Reply::Status(410, None), (at(1), 0.0));
        assert_eq!(settled, Settled::Paused);
        assert!(!record.take_url(&wanted.url));
        assert!(record.take_url("https://desk.example/new"));
        assert_eq!((record.state.clone(), record.cursor), (State::Active, 10));
        assert!(record.outstanding.is_some());
    }

    #[test]
    fn a_new_filter_takes_effect_at_the_end_of_the_log_when_it_is_first_seen() {
        let mut wanted = subscription(None);
        let mut record = Delivery::new(&wanted);
        wanted.filters.push(FilterVersion {
            number: 2,
            effective_after: 20,
            filter: filter(r#"{"topics":["quake"]}"#),
        });
        assert!(record.lacks_versions(&wanted.filters));
        record.take_versions(&wanted.filters, 25);
        assert!(!record.lacks_versions(&wanted.filters));
        let opened = |seq| logged(seq, EventKind::Opened, 1, &[]);
        assert_eq!(record.turn(&wanted, &opened(25), at(0)), Turn::Send(1));
        assert_eq!(record.turn(&wanted, &opened(26), at(0)), Turn::Pass);
    }
}
