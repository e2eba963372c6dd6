//! What happened to an alert: one record of the event log.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::model::id::AlertId;
use crate::model::id::ArticleId;
use crate::model::id::EventId;
use crate::model::id::Key;
use crate::model::id::Lang;
use crate::model::id::RuleId;
use crate::model::id::SourceId;
use crate::model::id::Topic;
use crate::model::matching::Evidence;
use crate::model::rule::Mode;
use crate::model::rule::Nature;
use crate::model::rule::Severity;
use crate::model::time::Time;
use crate::model::version::Version;

/// Most articles listed in one event.
pub const MAX_ARTICLES: usize = 20;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// A new alert.
    #[serde(rename = "alert.opened")]
    Opened,
    /// More articles since the last event.
    #[serde(rename = "alert.updated")]
    Updated,
    /// Independent sources or an official one agree.
    #[serde(rename = "alert.confirmed")]
    Confirmed,
    /// An article that counted no longer says so.
    #[serde(rename = "alert.corrected")]
    Corrected,
    /// It is over.
    #[serde(rename = "alert.ended")]
    Ended,
    /// It was wrong.
    #[serde(rename = "alert.retracted")]
    Retracted,
    /// No news for so long that the alert was closed.
    #[serde(rename = "alert.expired")]
    Expired,
}

impl EventKind {
    /// Every type, in the order in which they are told of.
    pub const ALL: [Self; 7] = [
        Self::Opened,
        Self::Updated,
        Self::Confirmed,
        Self::Corrected,
        Self::Ended,
        Self::Retracted,
        Self::Expired,
    ];

    /// The type on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "alert.opened",
            Self::Updated => "alert.updated",
            Self::Confirmed => "alert.confirmed",
            Self::Corrected => "alert.corrected",
            Self::Ended => "alert.ended",
            Self::Retracted => "alert.retracted",
            Self::Expired => "alert.expired",
        }
    }

    /// Whether it follows the record of who was rung, and not the filter.
    pub fn follows_the_record(self) -> bool {
        matches!(self, Self::Corrected | Self::Ended | Self::Retracted | Self::Expired)
    }

    /// Whether it closes its alert.
    pub fn closes(self) -> bool {
        self.leaves() != Status::Open
    }

    /// Where it leaves its alert.
    pub fn leaves(self) -> Status {
        match self {
            Self::Ended => Status::Ended,
            Self::Retracted => Status::Retracted,
            Self::Expired => Status::Expired,
            Self::Opened | Self::Updated | Self::Confirmed | Self::Corrected => Status::Open,
        }
    }
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Going on.
    Open,
    /// Over.
    Ended,
    /// Taken back.
    Retracted,
    /// Closed for want of news.
    Expired,
}

/// Whether anybody else says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Confirmation {
    /// Too few independent sources so far.
    #[default]
    Unconfirmed,
    /// Independent sources or an official one agree.
    Confirmed,
}

/// An alert as it stood after an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertView {
    /// Its id.
    pub id: AlertId,
    /// The rule whose alert it is.
    pub rule: RuleId,
    /// What subscriptions ask for.
    pub topic: Topic,
    /// What it is about.
    pub key: Key,
    /// Title of the article that opened it.
    pub title: String,
    /// Its severity.
    pub severity: Severity,
    /// Where it stands.
    pub status: Status,
    /// Whether it is about something real.
    pub nature: Nature,
    /// Whether others say so.
    pub confirmation: Confirmation,
    /// Independent sources counted.
    pub independent_sources: u32,
    /// When it opened.
    pub opened_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// When it closed.
    pub ended_at: Option<Time>,
}

/// An article as an event shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventArticle {
    /// Its id.
    pub id: ArticleId,
    /// The revision meant.
    pub revision: u32,
    /// Where it came from.
    pub source: SourceId,
    /// Where it can be read.
    pub url: Option<String>,
    /// Its title.
    pub title: String,
    /// Its language.
    pub lang: Option<Lang>,
    /// The beginning of its text.
    pub excerpt: String,
    /// When its source says it was published.
    pub published_at: Option<Time>,
    /// When Wirebell first saw it.
    pub first_seen_at: Time,
    /// The words that made the rule match.
    pub evidence: Vec<Evidence>,
    /// Languages of a CAP message in which no words made the rule match, where others did: it may
    /// say different things in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent_langs: Vec<Lang>,
}

/// One record of the event log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Record version.
    pub v: Version,
    /// Derived from the alert and the number.
    pub id: EventId,
    /// 1, 2, 3 … within the alert.
    pub number: u32,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// When it was decided.
    pub timestamp: Time,
    /// It was caused by an article that is late.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// Words of an end were seen, and nobody could say whether they mean this alert.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub possible_end: bool,
    /// The alert afterwards.
    pub alert: AlertView,
    /// The articles not told before, the one that caused the event last.
    pub articles: Vec<EventArticle>,
    /// How many more there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_articles: u32,
    /// Why, where an operator or a correction gave a reason.
    #[serde(default)]
    pub reason: Option<String>,
    /// Digest of the rule set that decided.
    pub ruleset: String,
    /// Whether it is delivered.
    #[serde(default)]
    pub mode: Mode,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}
