//! What the rest of Wirebell needs to know of a rule: how its alerts live, not how it matches.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::model::duration;
use crate::model::id::Key;
use crate::model::id::RuleId;
use crate::model::id::Topic;

/// How urgent an alert is.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth acting on; the default.
    #[default]
    Warning,
    /// Worth waking somebody.
    Critical,
}

/// Whether an alert is about something real.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Nature {
    /// Real; the only nature that reaches a subscription that did not ask for others.
    #[default]
    Actual,
    /// A drill announced as one.
    Exercise,
    /// A test of the warning system.
    Test,
}

impl Nature {
    /// The word in keys, ids and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Actual => "actual",
            Self::Exercise => "exercise",
            Self::Test => "test",
        }
    }
}

/// Whether a rule's events reach subscribers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Events are delivered.
    #[default]
    Live,
    /// Events are stored and shown, and delivered to nobody.
    Shadow,
}

/// What a rule has one alert per.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyBy {
    /// Each place of the gazetteer that the article names.
    #[default]
    Place,
    /// The owner of the article's source.
    Source,
    /// Nothing: one alert for the rule.
    None,
}

/// Least time from an alert's last event to its next `alert.updated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpdateEvery {
    /// No updates at all.
    Never,
    /// The cooldown.
    After(#[serde(with = "duration")] Duration),
}

impl Default for UpdateEvery {
    fn default() -> Self {
        Self::After(Duration::from_secs(600))
    }
}

/// When independent reports confirm an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirm {
    /// Independent sources needed, at least 2.
    pub distinct_sources: u32,
    /// The time within which their reports must have been received.
    #[serde(with = "duration")]
    pub within: Duration,
    /// The alert's severity once confirmed; as before where none.
    pub severity: Option<Severity>,
}

/// The life-cycle half of a rule, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The rule's id.
    pub id: RuleId,
    /// The name shown to people.
    pub title: String,
    /// What subscriptions ask for.
    pub topic: Topic,
    /// Severity of its alerts.
    pub severity: Severity,
    /// What it has one alert per.
    pub key: KeyBy,
    /// Cooldown of updates.
    pub update_every: UpdateEvery,
    /// An open alert without news for so long expires.
    #[serde(with = "duration")]
    pub close_after: Duration,
    /// Older articles open nothing.
    #[serde(with = "duration")]
    pub max_age: Duration,
    /// When its alerts count as confirmed.
    pub confirm: Option<Confirm>,
    /// Rules whose alerts this one ends.
    pub ends: Vec<RuleId>,
    /// Rules whose alerts this one takes back.
    pub retracts: Vec<RuleId>,
    /// Whether its alerts are delivered.
    pub mode: Mode,
}

impl Rule {
    /// A rule with every default of the rule file.
    pub fn with_defaults(id: RuleId) -> Self {
        let topic = Topic::new(id.as_str()).expect("a topic has the shape of a rule id");
        Self {
            title: id.as_str().to_owned(),
            topic,
            id,
            severity: Severity::default(),
            key: KeyBy::default(),
            update_every: UpdateEvery::default(),
            close_after: Duration::from_secs(6 * 3600),
            max_age: Duration::from_secs(6 * 3600),
            confirm: None,
            ends: Vec::new(),
            retracts: Vec::new(),
            mode: Mode::default(),
        }
    }

    /// Whether the rule opens alerts of its own: one that ends or retracts others does not.
    pub fn opens_alerts(&self) -> bool {
        self.ends.is_empty() && self.retracts.is_empty()
    }
}

/// A rule set as the life of alerts knows it.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The rules in file order.
    pub rules: &'a [Rule],
    /// Their places in that order, sorted by the rules' ids.
    pub by_id: &'a [u32],
    /// Digest of the rule set, written into events.
    pub ruleset: &'a str,
    /// Places in gazetteer order: events of one article follow it.
    pub places: &'a [Key],
}

impl<'a> Context<'a> {
    /// The place of the rule with this id.
    pub fn place(&self, id: &RuleId) -> Option<usize> {
        let id_of = |at: &u32| self.rules.get(*at as usize).map(|r| &r.id);
        let found = self.by_id.binary_search_by_key(&Some(id), id_of).ok()?;
        self.by_id.get(found).map(|at| *at as usize)
    }

    /// The rule with this id.
    pub fn rule(&self, id: &RuleId) -> Option<&'a Rule> {
        self.rules.get(self.place(id)?)
    }
}
