//! The native webhook body: the contract with receivers.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::model::event::AlertView;
use crate::model::event::EventArticle;
use crate::model::id::SubscriptionId;
use crate::model::time::Time;

/// A webhook body of the native format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Body {
    /// `alert.opened` …, or `test.ping`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When the event was decided.
    pub timestamp: Time,
    /// The rest.
    pub data: Data,
}

/// What the body carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Data {
    /// Which event, for whom.
    pub event: EventHead,
    /// The alert; null in a `test.ping`.
    pub alert: Option<AlertView>,
    /// The articles, the one that caused the event last.
    pub articles: Vec<EventArticle>,
    /// How many articles were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_articles: Option<u32>,
    /// Texts were shortened so that the body stays within its limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shortened: bool,
    /// Why, where a reason was given.
    pub reason: Option<String>,
    /// Digest of the rule set that decided; null in a `test.ping`.
    pub ruleset: Option<String>,
    /// Where to look.
    pub links: Links,
}

/// Which event a body tells, and its place in the subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventHead {
    /// Event id.
    pub id: String,
    /// Number within the alert; 0 in a `test.ping`.
    pub number: u32,
    /// The subscription told; only what nobody was told, as in a backtest, is without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionId>,
    /// Place among what was admitted to the subscription, from 1; 0 in a `test.ping`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// Caused by a late article, or sent after its alert had ended.
    pub late: bool,
    /// Words of an end were seen, and nobody could say whether they mean this alert.
    pub possible_end: bool,
}

/// Where to look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Links {
    /// The alert's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
}
