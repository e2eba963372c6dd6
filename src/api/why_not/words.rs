//! Stages in words and in order.

use crate::api::why_not::stage::Lateness;
use crate::api::why_not::stage::Stage;
use crate::delivery::admission::Part;
use crate::model::Attempt;
use crate::model::Time;

impl Stage {
    /// How far along the way the stage lies.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Unknown | Self::OtherText { .. } => 0,
            Self::Unread | Self::Buried { .. } => 1,
            Self::StoredOnly | Self::NoMatch { .. } => 2,
            Self::Unless { .. } => 3,
            Self::Known { .. } | Self::NoAlert { .. } => 4,
            Self::Superseded { .. } | Self::Late { .. } | Self::Closed { .. } => 5,
            Self::Counted { .. } => 6,
            Self::Joined { .. } => 7,
            Self::Shadow { .. } => 8,
            Self::Before { .. }
            | Self::Filter { .. }
            | Self::ExpiredUnasked { .. }
            | Self::NeverTold { .. } => 9,
            Self::Withheld { .. } | Self::Outdated { .. } => 10,
            Self::Disabled { .. } | Self::Paused { .. } => 11,
            Self::WaitsBehind { .. } | Self::Waiting { .. } => 12,
            Self::Failing { .. } => 13,
            Self::GivenUp { .. } | Self::Settled { .. } => 14,
            Self::Delivered { .. } => 15,
        }
    }

    /// One sentence for people.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Unknown => {
                "it is not here: no source has brought it, nobody has pushed it, or it \
                              is older than the archive"
                    .to_owned()
            }
            Self::OtherText { revision } => format!(
                "another text is here under the same identity, revision {revision}: push this one \
                 to make it a revision"
            ),
            Self::Unread => "the rules have not read it yet".to_owned(),
            Self::Buried { reason } => {
                format!("it could not be processed ({reason}) and is set aside, whole, in buried")
            }
            Self::StoredOnly => {
                "it is a CAP message that is stored only: not public, no alert, or \
                                 of a status that nobody is rung for"
                    .to_owned()
            }
            Self::NoMatch { nearest } => match nearest {
                None => "no rule matched it, and none came near".to_owned(),
                Some(near) if near.reasons.is_empty() => format!(
                    "no rule matched it when it came, or no rules ran then; {} would match it \
                     today",
                    near.rule
                ),
                Some(near) => format!(
                    "no rule matched it; {} came nearest: {}",
                    near.rule,
                    near.reasons.join("; ")
                ),
            },
            Self::Unless { rule, term, evidence } => {
                let words = evidence.iter().map(|e| format!("\"{}\"", e.text));
                let words = words.collect::<Vec<_>>().join(", ");
                format!("{rule} would match it, and its {term} forbids it, by {words}")
            }
            Self::Known { since } => format!(
                "the same text has been here since {since}, before the subscription began: a \
                 repeat does nothing"
            ),
            _ => self.words_of_alerts(),
        }
    }

    fn words_of_alerts(&self) -> String {
        match self {
            Self::NoAlert { rule } => {
                format!("it tells of an end, and no alert of {rule} was there that it could end")
            }
            Self::Superseded { rule, by } => {
                let by = by.as_ref().map_or("another rule", |id| id.as_str());
                format!("its match of {rule} is superseded by {by}: it is listed and opens nothing")
            }
            Self::Late { rule, why } => format!("it is late for {rule}: {}", lateness(*why)),
            Self::Closed { rule } => format!("the alert of {rule} it speaks of was closed already"),
            Self::Counted { rule } => {
                format!("the alert of {rule} counts it already: this revision says nothing new")
            }
            Self::Joined { rule, alert, due } => {
                let alert = alert.as_ref().map_or_else(String::new, |id| format!(" {id}"));
                let told = due.map_or_else(
                    || "it is told with the alert's next event".to_owned(),
                    |at| format!("it will be told with the next update, at {at}"),
                );
                format!("it joined the open alert{alert} of {rule} within its cooldown; {told}")
            }
            Self::Shadow { .. } => {
                "the alert is in shadow mode: its events are delivered to nobody".to_owned()
            }
            Self::Before { began, .. } => {
                format!("the subscription began after the event, at {began}")
            }
            Self::Filter { part, .. } => {
                format!("the subscription does not ask for it: {}", asked(*part))
            }
            Self::ExpiredUnasked { .. } => {
                "the subscription does not ask for alerts that expire".to_owned()
            }
            Self::NeverTold { .. } => "it ends or corrects an alert, and the subscription was \
                                       never told of that alert"
                .to_owned(),
            _ => self.words_of_delivery(),
        }
    }

    fn words_of_delivery(&self) -> String {
        match self {
            Self::Withheld { .. } => {
                "the alert was given up unsent before, so its ending is not sent".to_owned()
            }
            Self::Outdated { .. } => {
                "it waited longer than the subscription's ttl and is given up as outdated"
                    .to_owned()
            }
            Self::Disabled { .. } => "the subscription is paused by its owner".to_owned(),
            Self::Paused { since, why, .. } => {
                format!("the subscription is disabled since {since}: {why}; change its url")
            }
            Self::WaitsBehind { earlier, next, .. } => {
                format!("it waits behind the earlier event {earlier}{}", next_try(*next))
            }
            Self::Waiting { .. } => "it is about to be sent".to_owned(),
            Self::Failing { last, next, .. } => {
                let last = last.as_ref().map_or_else(String::new, tried);
                format!("its delivery fails{last}{}", next_try(*next))
            }
            Self::GivenUp { at, outcome, .. } => {
                format!("it was given up after the last attempt at {at} ({})", outcome.as_str())
            }
            Self::Settled { .. } => {
                "it is settled, and its attempts are no longer on record".to_owned()
            }
            Self::Delivered { at, .. } => format!("it was delivered at {at}"),
            _ => String::new(),
        }
    }
}

fn lateness(why: Lateness) -> &'static str {
    match why {
        Lateness::FirstPoll => {
            "it came with the first poll of its feed, or without a date after more than six hours \
             without a poll, which rings nobody"
        }
        Lateness::NotInForce => "the message was no longer in force when it came",
        Lateness::Replaced => "another message had replaced it before it came",
        Lateness::TooOld => "it is dated longer before its receipt than the rule's max_age",
        Lateness::AfterTheEnd => {
            "the alert had closed, and it is not dated after that, or copies what counted then"
        }
    }
}

fn asked(part: Part) -> &'static str {
    match part {
        Part::Topics => "its topics",
        Part::Natures => "its natures (without any only what is actual)",
        Part::Langs => "its langs",
        Part::MinSeverity => "its min_severity",
        Part::Keys => "its keys",
    }
}

fn next_try(next: Option<Time>) -> String {
    next.map_or_else(String::new, |at| format!("; the next try is at {at}"))
}

fn tried(attempt: &Attempt) -> String {
    let status = attempt.status.map(|s| format!(" {s}")).unwrap_or_default();
    format!(", last at {} ({}{status})", attempt.at, attempt.outcome.as_str())
}
