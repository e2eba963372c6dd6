//! A call as the tables describe it, and as OpenAPI writes it.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::api::guard;

/// JSON, as most bodies are.
pub(super) const JSON: &str = "application/json";
/// A JSON value a line.
pub(super) const LINES: &str = "application/x-ndjson";
/// Server-sent events.
pub(super) const LIVE: &str = "text/event-stream";
/// Text for programs.
pub(super) const TEXT: &str = "text/plain";
const PROBLEM: &str = "application/problem+json";

/// A call of the API.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) method: Verb,
    pub(super) path: &'static str,
    /// The one name of it.
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    detail: &'static str,
    query: &'static [Parameter],
    bodies: &'static [Body],
    /// It may be left out.
    bare: bool,
    answers: &'static [Answer],
    /// Answers beside those that follow from its shape.
    refusals: &'static [(u16, &'static str)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verb {
    Get,
    Post,
    Patch,
    Delete,
}

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

/// A form in which a body may be sent.
#[derive(Clone, Copy)]
pub(super) struct Body {
    pub(super) kind: &'static str,
    /// Name of its schema; empty for text.
    pub(super) schema: &'static str,
    pub(super) example: &'static str,
}

/// An answer that is a success, or has a body of its own.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    /// Name of its schema, in brackets a page of it; empty for text.
    pub(super) schema: &'static str,
    pub(super) words: &'static str,
}

/// How many entries a page has.
pub(super) const LIMIT: Parameter = Parameter::new(
    "limit",
    r#"{"type": "integer", "minimum": 0, "default": 100}"#,
    "Entries of a page, 100 if it is left out; 0 counts as 1, more than 1,000 as 1,000.",
);
/// Where a page begins.
pub(super) const CURSOR: Parameter =
    Parameter::new("cursor", r#"{"type": "string"}"#, "`next_cursor` of the page before.");
/// Where those who listen begin.
pub(super) const AFTER: Parameter = Parameter::new(
    "after",
    r#"{"type": "string", "pattern": "^[0-9]+$"}"#,
    "With `Accept: text/event-stream`: the last position that is known, exclusive. \
     `Last-Event-ID` goes before it.",
);

impl Verb {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }
}

impl Parameter {
    pub(super) const fn new(name: &'static str, schema: &'static str, words: &'static str) -> Self {
        Self { name, schema, words, needed: false }
    }

    pub(super) const fn needed(mut self) -> Self {
        self.needed = true;
        self
    }
}

impl Body {
    pub(super) const fn json(schema: &'static str, example: &'static str) -> Self {
        Self { kind: JSON, schema, example }
    }

    pub(super) const fn of(
        kind: &'static str,
        schema: &'static str,
        example: &'static str,
    ) -> Self {
        Self { kind, schema, example }
    }
}

impl Answer {
    pub(super) const fn json(status: u16, schema: &'static str, words: &'static str) -> Self {
        Self { status, kind: JSON, schema, words }
    }

    pub(super) const fn of(kind: &'static str, schema: &'static str, words: &'static str) -> Self {
        Self { status: 200, kind, schema, words }
    }

    fn content(&self) -> Value {
        if self.kind.is_empty() {
            json!({})
        } else {
            json!({self.kind: {"schema": schema(self.schema)}})
        }
    }
}

impl Call {
    /// A call by its method, path and name, and the tag it is listed under.
    pub(super) const fn new(
        method: Verb,
        path: &'static str,
        id: &'static str,
        tag: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            id,
            tag,
            summary: "",
            detail: "",
            query: &[],
            bodies: &[],
            bare: false,
            answers: &[],
            refusals: &[],
        }
    }

    /// What it does, in a few words and in some more.
    pub(super) const fn does(mut self, summary: &'static str, detail: &'static str) -> Self {
        self.summary = summary;
        self.detail = detail;
        self
    }

    pub(super) const fn query(mut self, query: &'static [Parameter]) -> Self {
        self.query = query;
        self
    }

    pub(super) const fn takes(mut self, bodies: &'static [Body]) -> Self {
        self.bodies = bodies;
        self
    }

    /// Its body may be left out.
    pub(super) const fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    pub(super) const fn answers(mut self, answers: &'static [Answer]) -> Self {
        self.answers = answers;
        self
    }

    pub(super) const fn refuses(mut self, refusals: &'static [(u16, &'static str)]) -> Self {
        self.refusals = refusals;
        self
    }

    /// The operation as OpenAPI writes it.
    pub(super) fn operation(&self) -> Value {
        let scopes = guard::scopes(&self.method.method(), self.path);
        let security: Vec<Value> = scopes.iter().map(|scope| json!({"bearer": [scope]})).collect();
        let mut operation = json!({
            "operationId": self.id,
            "tags": [self.tag],
            "summary": self.summary,
            "security": security,
            "parameters": self.parameters(),
            "responses": self.responses(!scopes.is_empty()),
        });
        if !self.detail.is_empty() {
            operation["description"] = json!(self.detail);
        }
        if !self.bodies.is_empty() {
            let content: Map<String, Value> = self.bodies.iter().map(content).collect();
            operation["requestBody"] = json!({"required": !self.bare, "content": content});
        }
        operation
    }

    fn parameters(&self) -> Vec<Value> {
        let id = self.path.contains("{id}").then(|| {
            let of = self.path.split('/').nth(2).unwrap_or_default().trim_end_matches('s');
            json!({"name": "id", "in": "path", "required": true,
                "description": format!("Id of the {of}."), "schema": {"type": "string"}})
        });
        let query = self.query.iter().map(|parameter| {
            json!({"name": parameter.name, "in": "query", "required": parameter.needed,
                "description": parameter.words, "schema": read(parameter.schema)})
        });
        let live = self.answers.iter().any(|answer| answer.kind == LIVE).then(|| {
            json!({"name": "Last-Event-ID", "in": "header", "required": false,
                "description": "The last position that was heard; the stream goes on after it.",
                "schema": {"type": "string", "pattern": "^[0-9]+$"}})
        });
        id.into_iter().chain(query).chain(live).collect()
    }

    fn responses(&self, guarded: bool) -> Value {
        let mut responses: BTreeMap<String, Value> = BTreeMap::new();
        for (status, words) in self.refused(guarded) {
            let content = json!({PROBLEM: {"schema": schema("Problem")}});
            let response = json!({"description": words, "content": content});
            responses.insert(status.to_string(), response);
        }
        for answer in self.answers {
            let status = answer.status.to_string();
            let told = responses
                .entry(status)
                .or_insert_with(|| json!({"description": answer.words, "content": {}}));
            if let (Some(all), Value::Object(more)) =
                (told["content"].as_object_mut(), answer.content())
            {
                all.extend(more);
            }
        }
        json!(responses)
    }

    /// Refusals that follow from the shape of the call, and its own.
    fn refused(&self, guarded: bool) -> BTreeMap<u16, &'static str> {
        let writes = self.method != Verb::Get;
        let stored = self.path.starts_with("/v1/");
        let asks = stored && !self.query.is_empty();
        let rows = [
            (asks, 400, "A query parameter is unknown or cannot be read."),
            (asks, 422, "A query parameter is outside of what it may be."),
            (!self.bodies.is_empty(), 400, "The body or a query parameter cannot be read."),
            (!self.bodies.is_empty(), 413, "The body is too large."),
            (!self.bodies.is_empty(), 415, "The content type is none of those that are taken."),
            (!self.bodies.is_empty(), 422, "The request cannot be taken; `errors` says why."),
            (self.path.contains("{id}"), 404, "There is none with this id."),
            (true, 401, "No token was sent, or it is not in force."),
            (guarded, 403, "The token lacks the scope, or a page of another site asks."),
            (writes, 403, "The token lacks the scope, or a page of another site asks."),
            (true, 421, "Without tokens: this host name is not served."),
            (true, 429, "The token asks too often; `Retry-After` says when to try again."),
            (stored, 500, "Something of Wirebell failed; its log says what."),
            (stored, 503, "The store cannot be reached now; `Retry-After` says when to try again."),
            (stored && writes, 507, "The store is full."),
        ];
        let mut refused: BTreeMap<u16, &'static str> = BTreeMap::new();
        for (_, status, words) in rows.into_iter().filter(|row| row.0) {
            refused.insert(status, words);
        }
        refused.extend(self.refusals.iter().copied());
        refused
    }
}

fn content(body: &Body) -> (String, Value) {
    let example = match body.kind {
        JSON => read(body.example),
        _ => json!(body.example),
    };
    (body.kind.to_owned(), json!({"schema": schema(body.schema), "example": example}))
}

/// The schema with this name; a page of it where the name is in brackets.
fn schema(name: &str) -> Value {
    let of = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    if name.is_empty() {
        return json!({"type": "string"});
    }
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        None => of(name),
        Some(one) => json!({
            "type": "object",
            "required": ["data", "next_cursor"],
            "properties": {
                "data": {"type": "array", "items": of(one)},
                "next_cursor": {"type": ["string", "null"],
                    "description": "For the next page; null where there is none."},
            },
        }),
    }
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("the tables hold JSON, and a test reads all of them")
}
