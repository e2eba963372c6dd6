//! The tests a rule carries.

use std::borrow::Cow;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;

use crate::rules::schema::Id;
use crate::rules::schema::Lang;
use crate::rules::schema::Length;
use crate::rules::schema::Severity;
use crate::rules::schema::Text;
use crate::rules::schema::cap::Cap;
use crate::rules::schema::plain;

/// What must match, what must not, and a story.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Tests {
    /// Articles that this rule must match, not superseded.
    should_match: Option<Examples>,
    /// Articles that this rule must not match.
    should_not_match: Option<Examples>,
    /// Steps from an empty start, each with all events it causes.
    story: Option<Steps>,
}

/// Examples; none is allowed.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Examples {
    One(Example),
    Many(Vec<Example>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Steps {
    One(Step),
    Many(Vec<Step>),
}

/// An article, or its title.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Example {
    Title(Text),
    Article(Box<Article>),
}

/// An article of a test.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("anyOf" = [{"required": ["title"]}, {"required": ["body"]}]))]
#[expect(dead_code, reason = "only its schema is used")]
struct Article {
    /// Headline.
    title: Option<Text>,
    /// Text below it.
    body: Option<Text>,
    /// Its language.
    lang: Option<Lang>,
    /// Its source.
    source: Option<Text>,
    /// Owner of the source: sources of one owner count once.
    owner: Option<Text>,
    /// Whether the source speaks with authority.
    official: Option<bool>,
    /// Where it can be read.
    url: Option<Text>,
    /// The same id again is a revision; a new one each step if left out.
    id: Option<Text>,
    /// How long ago it is dated.
    age: Option<Length>,
    /// unknown: its date cannot be told.
    dated: Option<Unknown>,
    /// It comes with the first poll of its feed.
    first_poll: Option<bool>,
    /// Its publisher withdrew it.
    withdrawn: Option<bool>,
    /// Its CAP part.
    cap: Option<Cap>,
}

/// A step: the clock moves, due timers act, then one thing happens.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    {"required": ["article"]}, {"required": ["end"]}, {"required": ["retract"]}, {"required": ["tick"]}
]))]
#[expect(dead_code, reason = "only its schema is used")]
struct Step {
    /// How far the clock moves first.
    after: Option<Length>,
    /// An article is received.
    article: Option<Example>,
    /// An operator ends an alert.
    end: Option<Alert>,
    /// An operator takes an alert back.
    retract: Option<Alert>,
    /// Only the clock moves.
    tick: Option<bool>,
    /// All events since the step before, in order; nothing if there are none.
    expect: Expect,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Expect {
    Nothing(Nothing),
    One(ExpectedEvent),
    Many(Vec<ExpectedEvent>),
}

plain!(Nothing, {"const": "nothing"});

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum ExpectedEvent {
    Kind(Kind),
    Event(Box<Event>),
}

/// An expected event, compared on what is given.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Event {
    /// Its type, with or without alert.
    r#type: Kind,
    /// Rule of the alert.
    rule: Option<Id>,
    /// Key of the alert.
    key: Option<Text>,
    /// Severity of the alert.
    severity: Option<Severity>,
    /// Status of the alert.
    status: Option<Status>,
    /// Nature of the alert.
    nature: Option<Nature>,
    /// Whether independent sources have confirmed it.
    confirmation: Option<Confirmation>,
    /// Whether it may be the end of the alert.
    possible_end: Option<bool>,
    /// Whether a late article caused it.
    late: Option<bool>,
    /// Independent sources of the alert.
    independent_sources: Option<u32>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum Status {
    Open,
    Ended,
    Retracted,
    Expired,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum Nature {
    Actual,
    Exercise,
    Test,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum Confirmation {
    Unconfirmed,
    Confirmed,
}

plain!(Alert, {
    "type": "string",
    "pattern": "^[a-z][a-z0-9-]{0,63}/.+$",
    "description": "An alert as rule/key, such as ferry-stop/dover or ferry-stop/-"
});
plain!(Unknown, {"const": "unknown"});
plain!(Kind, {
    "enum": [
        "opened", "updated", "confirmed", "corrected", "ended", "retracted", "expired",
        "alert.opened", "alert.updated", "alert.confirmed", "alert.corrected", "alert.ended",
        "alert.retracted", "alert.expired"
    ]
});
