//! Which stage stopped an article on its way to a subscription. Pure.

use std::time::Duration;

use serde::Serialize;

use crate::delivery::Delivery;
use crate::delivery::Logged;
use crate::delivery::admission::Part;
use crate::delivery::admission::Refusal;
use crate::delivery::admission::refusal;
use crate::model::AlertId;
use crate::model::Article;
use crate::model::Attempt;
use crate::model::EventId;
use crate::model::Evidence;
use crate::model::Match;
use crate::model::RuleId;
use crate::model::Subscription;
use crate::model::Time;
use crate::model::attempt::Outcome;
use crate::model::event::Status;
use crate::model::verdict::Decision;
use crate::model::verdict::Effect;
use crate::model::verdict::Role;
use crate::rules::Miss;
use crate::rules::Nearest;

/// Everything that the answer follows from.
pub(super) struct Facts<'a> {
    pub(super) subscription: &'a Subscription,
    pub(super) record: &'a Delivery,
    pub(super) now: Time,
    pub(super) article: Here,
}

/// What is stored of the article.
pub(super) enum Here {
    /// Nothing.
    Nothing,
    /// The text that was given differs from each revision; the newest one's number.
    OtherText(u32),
    /// Its revisions, oldest first.
    Stored {
        revisions: Vec<Revision>,
        /// A text was given, and it is the one that is stored.
        given: bool,
    },
}

/// A revision and what came of it.
pub(super) struct Revision {
    pub(super) article: Article,
    pub(super) read: Read,
    pub(super) matches: Vec<Match>,
    pub(super) fates: Vec<Fate>,
    /// The rule of today that it came nearest to, where nothing matched.
    pub(super) nearest: Option<Nearest>,
}

/// Whether the rules have read a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    NotYet,
    /// They could not, for this reason.
    Buried(&'static str),
    Done,
}

/// A decision and what followed.
pub(super) struct Fate {
    pub(super) decision: Decision,
    /// `max_age` of the rule today, where it is still there.
    pub(super) max_age: Option<Duration>,
    /// Where the alert stands.
    pub(super) status: Option<Status>,
    /// When the update that will tell of it is due.
    pub(super) due: Option<Time>,
    /// The event that told of it.
    pub(super) event: Option<Logged>,
    /// What was tried for this event.
    pub(super) attempts: Vec<Attempt>,
}

/// Why an article is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Lateness {
    /// It came with the first poll of its feed, or undated with one after a long time.
    FirstPoll,
    /// A CAP message no longer in force.
    NotInForce,
    /// A CAP message that another one had replaced.
    Replaced,
    /// Older than the rule's `max_age`.
    TooOld,
    /// Not dated after the alert closed, or a copy of what was counted then.
    AfterTheEnd,
}

/// What kept the nearest rule from matching.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Near {
    pub(super) rule: RuleId,
    pub(super) reasons: Vec<String>,
}

/// The stage that stopped it, or its delivery. Later ones are nearer to the subscriber.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(super) enum Stage {
    Unknown,
    OtherText { revision: u32 },
    Unread,
    Buried { reason: &'static str },
    StoredOnly,
    NoMatch { nearest: Option<Near> },
    Unless { rule: RuleId, term: String, evidence: Vec<Evidence> },
    Known { since: Time },
    NoAlert { rule: RuleId },
    Superseded { rule: RuleId, by: Option<RuleId> },
    Late { rule: RuleId, why: Lateness },
    Closed { rule: RuleId },
    Counted { rule: RuleId },
    Joined { rule: RuleId, alert: Option<AlertId>, due: Option<Time> },
    Shadow { event: EventId },
    Before { event: EventId, began: Time },
    Filter { event: EventId, part: Part },
    ExpiredUnasked { event: EventId },
    NeverTold { event: EventId },
    Withheld { event: EventId },
    Outdated { event: EventId },
    Disabled { event: EventId },
    Paused { event: EventId, since: Time, why: String },
    WaitsBehind { event: EventId, earlier: EventId, next: Option<Time> },
    Waiting { event: EventId },
    Failing { event: EventId, last: Option<Attempt>, next: Option<Time> },
    GivenUp { event: EventId, at: Time, outcome: Outcome },
    Settled { event: EventId },
    Delivered { event: EventId, at: Time },
}

/// Decides. Of several revisions, rules and alerts the one that came furthest speaks.
pub(super) fn decide(facts: &Facts<'_>) -> Stage {
    let (revisions, given) = match &facts.article {
        Here::Nothing => return Stage::Unknown,
        Here::OtherText(revision) => return Stage::OtherText { revision: *revision },
        Here::Stored { revisions, given } => (revisions, *given),
    };
    let Some(newest) = revisions.last() else { return Stage::Unknown };
    let since = newest.article.received_at;
    if given && since < facts.subscription.created_at {
        return Stage::Known { since };
    }
    let all = revisions.iter().flat_map(|revision| reached(facts, revision));
    all.max_by_key(Stage::rank).unwrap_or(Stage::NoMatch { nearest: None })
}

/// How far a revision came, once for each decision.
fn reached(facts: &Facts<'_>, revision: &Revision) -> Vec<Stage> {
    let stored_only = revision.article.cap.as_ref().is_some_and(|cap| cap.says().is_none());
    match &revision.read {
        Read::Buried(reason) => return vec![Stage::Buried { reason }],
        Read::NotYet if revision.fates.is_empty() => return vec![Stage::Unread],
        _ if stored_only => return vec![Stage::StoredOnly],
        _ => {}
    }
    if revision.fates.is_empty() {
        return vec![unmatched(revision)];
    }
    revision.fates.iter().map(|fate| after_decision(facts, revision, fate)).collect()
}

fn unmatched(revision: &Revision) -> Stage {
    let Some(nearest) = &revision.nearest else { return Stage::NoMatch { nearest: None } };
    if let [Miss::Unless(term, evidence)] = nearest.misses.as_slice() {
        let (rule, term) = (nearest.rule.clone(), term.clone());
        return Stage::Unless { rule, term, evidence: evidence.clone() };
    }
    let reasons = nearest.misses.iter().map(ToString::to_string).collect();
    Stage::NoMatch { nearest: Some(Near { rule: nearest.rule.clone(), reasons }) }
}

fn after_decision(facts: &Facts<'_>, revision: &Revision, fate: &Fate) -> Stage {
    if let Some(logged) = &fate.event {
        return after_event(facts, logged, &fate.attempts);
    }
    let decision = &fate.decision;
    let rule = decision.rule.clone();
    match (decision.effect, decision.role) {
        (Effect::Late, _) => Stage::Late { rule, why: lateness(&revision.article, fate) },
        (Effect::Nothing, _) => Stage::NoAlert { rule },
        (Effect::Listed, Role::Doubtful) => {
            let own = revision.matches.iter().find(|m| m.rule == rule);
            Stage::Superseded { rule, by: own.and_then(|m| m.superseded_by.clone()) }
        }
        (Effect::Listed, Role::Start | Role::Corrected) => Stage::Counted { rule },
        (Effect::Listed, _) => Stage::Closed { rule },
        (Effect::Joined | Effect::Event(_), _) => {
            Stage::Joined { rule, alert: decision.alert.clone(), due: fate.due }
        }
    }
}

fn lateness(article: &Article, fate: &Fate) -> Lateness {
    let cap = article.cap.as_ref();
    let old = |age: Duration| article.dated() < article.received_at.minus(age);
    let closed = fate.status.is_some_and(|status| status != Status::Open);
    if article.first_poll {
        Lateness::FirstPoll
    } else if cap.is_some_and(|c| c.replaced) {
        Lateness::Replaced
    } else if cap.and_then(|c| c.expires()).is_some_and(|t| t <= article.received_at) {
        Lateness::NotInForce
    } else if fate.max_age.is_none_or(old) || !closed {
        Lateness::TooOld
    } else {
        Lateness::AfterTheEnd
    }
}

fn after_event(facts: &Facts<'_>, logged: &Logged, attempts: &[Attempt]) -> Stage {
    let event = logged.event.id.clone();
    let (subscription, record) = (facts.subscription, facts.record);
    match refusal(record.versions(subscription), logged) {
        Some(Refusal::Shadow) => return Stage::Shadow { event },
        Some(Refusal::Before) => return Stage::Before { event, began: subscription.created_at },
        Some(Refusal::Filter(part)) => return Stage::Filter { event, part },
        Some(Refusal::Expired) => return Stage::ExpiredUnasked { event },
        Some(Refusal::NeverTold) => return Stage::NeverTold { event },
        None => {}
    }
    if let Some(done) = attempts.iter().find(|a| a.outcome == Outcome::Delivered) {
        return Stage::Delivered { event, at: done.at };
    }
    if logged.seq <= record.cursor {
        return settled(facts, logged, attempts);
    }
    if outlived(facts, logged) {
        return Stage::Outdated { event };
    }
    if subscription.paused {
        return Stage::Disabled { event };
    }
    if let Some(pause) = &record.paused {
        return Stage::Paused { event, since: pause.since, why: pause.why.clone() };
    }
    let in_order = subscription.max_in_flight.get() == 1;
    let own = record.outstanding.iter().find(|o| o.seq == logged.seq);
    let next = own.and_then(|o| o.next_attempt).max(record.next_attempt);
    match record.outstanding.first() {
        Some(earlier) if in_order && earlier.seq < logged.seq => {
            Stage::WaitsBehind { event, earlier: earlier.event.clone(), next }
        }
        _ if own.is_some_and(|o| o.failures > 0) || record.breaker.failures > 0 => {
            Stage::Failing { event, last: attempts.last().cloned(), next }
        }
        _ => Stage::Waiting { event },
    }
}

/// What became of an event at or before the cursor that was not delivered.
fn settled(facts: &Facts<'_>, logged: &Logged, attempts: &[Attempt]) -> Stage {
    let event = logged.event.id.clone();
    if let Some(last) = attempts.last() {
        let (at, outcome) = (last.at, last.outcome);
        return match outcome {
            Outcome::Outdated => Stage::Outdated { event },
            Outcome::Withheld => Stage::Withheld { event },
            _ => Stage::GivenUp { event, at, outcome },
        };
    }
    let unsent = facts.record.unsent.iter().any(|u| u.alert == logged.event.alert.id);
    match logged.event.kind.follows_the_record() {
        true if unsent => Stage::Withheld { event },
        false if unsent || outlived(facts, logged) => Stage::Outdated { event },
        _ => Stage::Settled { event },
    }
}

/// Whether an event that is no ending has waited longer than the subscription's `ttl`.
fn outlived(facts: &Facts<'_>, logged: &Logged) -> bool {
    let waited = facts.now.since(logged.event.timestamp);
    let ending = logged.event.kind.follows_the_record();
    !ending && facts.subscription.ttl.is_some_and(|ttl| waited > ttl)
}

#[cfg(test)]
#[path = "stage_tests.rs"]
mod tests;
