//! Query parameters and headers that calls take.

/// A query parameter, or a header.
#[derive(Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// Its schema as JSON.
    pub(super) schema: &'static str,
    pub(super) words: &'static str,
    /// The call does not work without it.
    pub(super) needed: bool,
}

/// How many entries a page has.
pub(super) const LIMIT: Parameter = Parameter::new(
    "limit",
    r#"{"type": "integer", "minimum": 0, "maximum": 18446744073709551615, "default": 100}"#,
    "Entries of a page, 100 if it is left out; 0 counts as 1, more than 1,000 as 1,000.",
);
/// Where a page begins.
pub(super) const CURSOR: Parameter =
    Parameter::new("cursor", r#"{"type": "string"}"#, "`next_cursor` of the page before.");
/// The same where a page begins at a position of a log.
pub(super) const POSITION: Parameter = Parameter::new(
    "cursor",
    r#"{"type": "string", "pattern": "^[0-9]{1,19}$"}"#,
    "`next_cursor` of the page before.",
);
/// Where those who listen begin.
pub(super) const AFTER: Parameter = Parameter::new(
    "after",
    r#"{"type": "string", "pattern": "^[0-9]{1,19}$"}"#,
    "With `Accept: text/event-stream`: the last position that is known, exclusive. \
     `Last-Event-ID` goes before it.",
);

/// Where a stream goes on.
pub(super) const LAST_EVENT_ID: Parameter = Parameter::new(
    "Last-Event-ID",
    r#"{"type": "string", "pattern": "^[0-9]{1,19}$"}"#,
    "The last position that was heard; the stream goes on after it.",
);
/// What names a request.
pub(super) const IDEMPOTENCY_KEY: Parameter = Parameter::new(
    "Idempotency-Key",
    r#"{"type": "string", "pattern": "^[!-~]{1,255}$"}"#,
    "Names the request: sent again under the same key within a day, it is not carried out a second \
     time.",
);
/// Which version is changed.
pub(super) const IF_MATCH: Parameter = Parameter::new(
    "If-Match",
    r#"{"type": "string"}"#,
    "The `ETag` of the version that is meant, or `*` for any: 412 where its definition has changed \
     since.",
);
/// Which version is known.
pub(super) const IF_NONE_MATCH: Parameter = Parameter::new(
    "If-None-Match",
    r#"{"type": "string"}"#,
    "The `ETag` that the client has: 304 where it is still the one.",
);

impl Parameter {
    pub(super) const fn new(name: &'static str, schema: &'static str, words: &'static str) -> Self {
        Self { name, schema, words, needed: false }
    }

    pub(super) const fn needed(mut self) -> Self {
        self.needed = true;
        self
    }
}
