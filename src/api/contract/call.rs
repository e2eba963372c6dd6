//! A call as the tables describe it, and as OpenAPI writes it.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::api::contract::parameter::IDEMPOTENCY_KEY;
use crate::api::contract::parameter::IF_MATCH;
use crate::api::contract::parameter::IF_NONE_MATCH;
use crate::api::contract::parameter::LAST_EVENT_ID;
use crate::api::contract::parameter::Parameter;
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
    /// It takes an `Idempotency-Key`.
    keyed: bool,
    /// What it shows has an `ETag`.
    tagged: bool,
    /// It takes an `If-Match`.
    matched: bool,
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
            keyed: false,
            tagged: false,
            matched: false,
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

    /// It takes an `Idempotency-Key`.
    pub(super) const fn keyed(mut self) -> Self {
        self.keyed = true;
        self
    }

    /// Its answer has an `ETag`, and 304 says that a client knows it.
    pub(super) const fn tagged(mut self) -> Self {
        self.tagged = true;
        self
    }

    /// It changes the version that `If-Match` names and no other.
    pub(super) const fn matched(mut self) -> Self {
        self.matched = true;
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
        let live = self.answers.iter().any(|answer| answer.kind == LIVE);
        let headers = [
            (live, &LAST_EVENT_ID),
            (self.keyed, &IDEMPOTENCY_KEY),
            (self.tagged && self.method == Verb::Get, &IF_NONE_MATCH),
            (self.matched, &IF_MATCH),
        ];
        let headers = headers.into_iter().filter(|(taken, _)| *taken).map(|(_, header)| {
            json!({"name": header.name, "in": "header", "required": false,
                "description": header.words, "schema": read(header.schema)})
        });
        id.into_iter().chain(query).chain(headers).collect()
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
            if answer.status < 300 {
                let headers = self.told();
                if !headers.is_empty() {
                    told["headers"] = json!(headers);
                }
            }
            if let (Some(all), Value::Object(more)) =
                (told["content"].as_object_mut(), answer.content())
            {
                all.extend(more);
            }
        }
        if self.tagged && self.method == Verb::Get {
            let words = "The client has it: nothing has changed.";
            responses.insert("304".to_owned(), json!({"description": words}));
        }
        json!(responses)
    }

    /// Headers of its answer where it was carried out.
    fn told(&self) -> Map<String, Value> {
        let tag = "The version that is shown; opaque.";
        let replayed = "`true` where this was answered before, under the same key.";
        let rows = [
            (self.tagged, "ETag", json!({"type": "string"}), tag),
            (
                self.keyed && !self.is_known_by_content(),
                "Idempotent-Replayed",
                json!({"const": "true"}),
                replayed,
            ),
        ];
        let rows = rows.into_iter().filter(|row| row.0);
        rows.map(|(_, name, schema, words)| {
            (name.to_owned(), json!({"description": words, "schema": schema}))
        })
        .collect()
    }

    /// Whether to ask again changes nothing, with a key and without.
    fn is_known_by_content(&self) -> bool {
        self.path == "/v1/articles"
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
            (self.keyed, 400, "The body, a query parameter or the key cannot be read."),
            (
                self.keyed && !self.is_known_by_content(),
                409,
                "A request with this key is being carried out.",
            ),
            (
                self.keyed && !self.is_known_by_content(),
                422,
                "The request cannot be taken, `errors` says why; or its key was used for another.",
            ),
            (!self.bodies.is_empty(), 408, "The body did not come in time."),
            (self.matched, 412, "It is no longer the version that `If-Match` names."),
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
            (
                stored,
                503,
                "The store cannot be reached now, or it took too long; `Retry-After` says when to try again.",
            ),
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
