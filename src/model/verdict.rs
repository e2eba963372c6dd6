//! What came of an article: each match, its role, and its effect on an alert.

use serde::Deserialize;
use serde::Serialize;

use crate::model::event::EventKind;
use crate::model::id::AlertId;
use crate::model::id::ArticleId;
use crate::model::id::EventId;
use crate::model::id::Key;
use crate::model::id::RuleId;
use crate::model::id::SourceId;
use crate::model::matching::Match;
use crate::model::version::Version;

/// What an article is to a rule's alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A report of it.
    Start,
    /// A report whose own words also end it or take it back.
    Doubtful,
    /// Words of its end.
    End,
    /// Words that take it back.
    Retract,
    /// A revision that no longer reports it.
    Corrected,
}

/// What came of a match for one alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// It made an event.
    Event(EventKind),
    /// It joined an open alert and will be told with the next event.
    Joined,
    /// It is late and counts nowhere.
    Late,
    /// It is listed and changes nothing.
    Listed,
    /// There is no alert that it could end or take back.
    Nothing,
}

/// A match's role and effect, as the verdict keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The rule whose alert was meant.
    pub rule: RuleId,
    /// Its key.
    pub key: Key,
    /// What the match was to it: `start`, `doubtful`, `end`, `retract`, `corrected`.
    pub role: Role,
    /// What came of it.
    pub effect: Effect,
    /// The event, if there was one.
    pub event: Option<EventId>,
    /// The alert that was meant, as the rules and states were then; none where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<AlertId>,
}

/// Each match of an article and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Record version.
    pub v: Version,
    /// The article.
    pub article: ArticleId,
    /// Its revision.
    pub revision: u32,
    /// Its source: with it the article's subject is known. Records of before lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceId>,
    /// What matched, also where it was superseded.
    pub matches: Vec<Match>,
    /// What came of it.
    pub decisions: Vec<Decision>,
}
