//! What a rule found in an article.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::model::id::Key;
use crate::model::id::Lang;
use crate::model::id::RuleId;
use crate::model::id::Topic;

/// A text of an article that can be quoted.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// The headline.
    Title,
    /// The text below it.
    Body,
}

/// The words that made a rule match, quoted from the stored revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Which text is quoted.
    pub field: Field,
    /// First code point of the quote.
    pub start: u32,
    /// One past the last code point.
    pub end: u32,
    /// The quoted slice.
    pub text: String,
    /// The item of the rule that matched, such as `any[1]` or `words.ferry[0]`.
    pub term: String,
    /// The language of the block it stands in, in a CAP message that speaks several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
}

/// The rule whose alerts a match moves, and the keys it speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The rule that owns the alerts: the matching rule itself, or one it ends or retracts.
    pub rule: RuleId,
    /// At least one key, in gazetteer order, computed as that rule's `key` says.
    pub keys: Vec<Key>,
}

/// Everything that a rule set finds in an article.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The matches, in file order.
    pub matches: Vec<Match>,
    /// The places that the areas of a CAP message name, in gazetteer order.
    pub areas: Vec<Key>,
}

/// A rule's match on one revision of an article.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The rule that matched.
    pub rule: RuleId,
    /// Its topic.
    pub topic: Topic,
    /// The first rule that takes this match back or ends it on the same article.
    pub superseded_by: Option<RuleId>,
    /// Where it matched, in order.
    pub evidence: Vec<Evidence>,
    /// The alerts it moves: the rule's own, or those of each rule it ends or retracts.
    pub targets: Vec<Target>,
}
