//! What was tried for a subscription.

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
