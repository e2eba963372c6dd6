//! What was tried for a subscription.

use std::borrow::Cow;

use serde::Deserialize;
use serde::Serialize;

use crate::model::id::SubscriptionId;
use crate::model::time::Time;
use crate::model::version::Version;

/// What a reply means, as attempts and metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// The receiver said no; its owner may mend that.
    Rejected,
    /// The receiver asks for less.
    Throttled,
    /// It never left.
    NotSent,
    /// It may have been received.
    Unknown,
    /// The address is not allowed.
    Refused,
    /// The receiver is gone and wants no more.
    Gone,
    /// The receiver refuses this format: no retry helps.
    Unacceptable,
    /// Given up after its time to live.
    Outdated,
    /// Given up after every try.
    Failed,
    /// It ends an alert of which nothing was sent.
    Withheld,
}

impl Outcome {
    /// The word in attempts and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Throttled => "throttled",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Gone => "gone",
            Self::Unacceptable => "unacceptable",
            Self::Outdated => "outdated",
            Self::Failed => "failed",
            Self::Withheld => "withheld",
        }
    }

    /// Whether the receiver got the request or may have got it.
    pub fn may_have_arrived(self) -> bool {
        matches!(
            self,
            Self::Delivered
                | Self::Rejected
                | Self::Throttled
                | Self::Unknown
                | Self::Gone
                | Self::Unacceptable
        )
    }
}

/// Attempts of one subscription that are one record: what was sent in one go.
#[derive(Serialize, Deserialize)]
struct Run<'a> {
    v: Version,
    subscription: SubscriptionId,
    attempts: Vec<Said<'a>>,
}

/// An [`Attempt`] as it is written: what differs between those of one subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "an attempt says what they are")]
pub struct Said<'a> {
    pub event: Cow<'a, str>,
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    pub sequence: u64,
    pub at: Time,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub duration_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replay: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Cow<'a, str>>,
}

/// One request, or the decision not to make it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Record version.
    pub v: Version,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Event id, or the id of a `test.ping`.
    pub event: String,
    /// The type on the wire.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its place among what was admitted; 0 for a `test.ping`.
    pub sequence: u64,
    /// When it began.
    pub at: Time,
    /// How it ended.
    pub outcome: Outcome,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// How long it took, in whole milliseconds.
    pub duration_ms: u64,
    /// What an operator should know: the remedy, or why nothing was sent.
    pub remark: Option<String>,
    /// It was sent again because somebody asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replay: bool,
    /// The beginning of an answer that is no success, for whoever has to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

impl Attempt {
    /// The attempts of a record, the first of them first; none where it is not understood.
    pub fn of_record(payload: &[u8]) -> Vec<Self> {
        match serde_json::from_slice::<Run<'_>>(payload) {
            Ok(run) => run.attempts(),
            Err(_) => serde_json::from_slice(payload).into_iter().collect(),
        }
    }
}

impl Said<'_> {
    /// The record of attempts of one subscription: one as an [`Attempt`], several as a list.
    pub fn record(subscription: SubscriptionId, attempts: Vec<Self>) -> Vec<u8> {
        let run = Run { v: Version, subscription, attempts };
        let bytes = match run.attempts.len() {
            0 | 1 => serde_json::to_vec(&run.attempts().first()),
            _ => serde_json::to_vec(&run),
        };
        bytes.expect("plain data has a JSON form")
    }
}

impl Run<'_> {
    fn attempts(self) -> Vec<Attempt> {
        let whole = |said: Said<'_>| Attempt {
            v: self.v,
            subscription: self.subscription.clone(),
            event: said.event.into_owned(),
            kind: said.kind.into_owned(),
            sequence: said.sequence,
            at: said.at,
            outcome: said.outcome,
            status: said.status,
            duration_ms: said.duration_ms,
            remark: said.remark.map(Cow::into_owned),
            replay: said.replay,
            answer: said.answer.map(Cow::into_owned),
        };
        self.attempts.into_iter().map(whole).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(sequence: u64) -> Said<'static> {
        let failed = sequence.is_multiple_of(2);
        Said {
            event: format!("evt_{sequence}").into(),
            kind: "alert.opened".into(),
            sequence,
            at: Time::from_millis(1_000),
            outcome: if failed { Outcome::Rejected } else { Outcome::Delivered },
            status: Some(if failed { 500 } else { 200 }),
            duration_ms: 3,
            remark: failed.then(|| "look at the receiver".into()),
            replay: failed,
            answer: failed.then(|| "no \"siren\" here".into()),
        }
    }

    #[test]
    fn a_record_holds_one_attempt_or_several_and_gives_them_back() {
        let subscription = SubscriptionId::from_random([7; 16]);
        for count in [1, 2, 64] {
            let record = Said::record(subscription.clone(), (1..=count).map(said).collect());
            let seen: serde_json::Value = serde_json::from_slice(&record).unwrap();
            assert_eq!((&seen["v"], seen["attempts"].is_array()), (&1.into(), count > 1));
            let attempts = Attempt::of_record(&record);
            assert_eq!(attempts.len() as u64, count);
            for (attempt, sequence) in attempts.iter().zip(1..) {
                let wanted = said(sequence);
                assert_eq!(attempt.subscription, subscription);
                assert_eq!((&*wanted.event, sequence), (&*attempt.event, attempt.sequence));
                assert_eq!((wanted.outcome, wanted.status), (attempt.outcome, attempt.status));
                assert_eq!(wanted.remark.as_deref(), attempt.remark.as_deref());
                assert_eq!(wanted.answer.as_deref(), attempt.answer.as_deref());
                assert_eq!(wanted.replay, attempt.replay);
            }
        }
    }

    #[test]
    fn what_is_no_record_of_attempts_holds_none() {
        let newer = r#"{"v":9,"subscription":"sub_a","attempts":[]}"#;
        for other in ["", "{}", "[]", "null", r#"{"v":1,"attempts":[{"v":1}]}"#, newer] {
            assert_eq!(Attempt::of_record(other.as_bytes()), [], "{other}");
        }
    }
}
