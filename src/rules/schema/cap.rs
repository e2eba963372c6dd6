//! The CAP part of a story's article.

use schemars::JsonSchema;

use crate::rules::schema::Length;
use crate::rules::schema::Text;

/// A CAP message, in the words of CAP.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Cap {
    /// Identifier.
    id: Option<Text>,
    /// Identifiers of the messages it refers to.
    references: Option<Texts>,
    /// Actual if left out.
    status: Option<Status>,
    /// Alert if left out.
    msg_type: Option<MsgType>,
    /// Public if left out.
    scope: Option<Scope>,
    /// Unknown if left out.
    urgency: Option<Urgency>,
    /// Unknown if left out.
    severity: Option<CapSeverity>,
    /// What people are asked to do.
    response_type: Option<ResponseType>,
    /// How long after its receipt it expires.
    expires_in: Option<Length>,
    /// Why, in the sender's words.
    note: Option<Text>,
    /// The areas it is for, described.
    areas: Option<Texts>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Texts {
    One(Text),
    Many(Vec<Text>),
}

/// Whether it is meant.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
enum Status {
    Actual,
    Exercise,
    System,
    Test,
    Draft,
}

/// What it does.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
enum MsgType {
    Alert,
    Update,
    Cancel,
    Ack,
    Error,
}

/// Whom it is for.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
enum Scope {
    Public,
    Restricted,
    Private,
}

/// How soon one must act.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
enum Urgency {
    Immediate,
    Expected,
    Future,
    Past,
    Unknown,
}

/// How bad it is.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
enum CapSeverity {
    Extreme,
    Severe,
    Moderate,
    Minor,
    Unknown,
}

/// What people are asked to do.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
enum ResponseType {
    AllClear,
    Shelter,
    Evacuate,
    Prepare,
    Execute,
    Avoid,
    Monitor,
    Assess,
    None,
}
