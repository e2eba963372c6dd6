//! The contract of the HTTP API: an OpenAPI 3.1 document, made from tables beside the handlers.
//!
//! The tables are written by hand, so that they say in words what types cannot; what each call needs
//! is taken from the guard. Tests hold them to the router, to the fields that handlers take, and to
//! what a running process answers.

mod call;
mod news;
mod parameter;
mod schemas;
mod subscribers;
mod upkeep;

use std::sync::LazyLock;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use call::Call;

/// Groups of calls, in the order in which they are read.
const TAGS: [(&str, &str); 6] = [
    ("Articles", "News in, and what became of them."),
    ("Alerts", "What was told, why, and an operator's decisions."),
    ("Subscriptions", "Who is told, where and how."),
    ("Rules", "What can be found, and trying it."),
    ("Upkeep", "Feeds, changes by hand, and this document."),
    ("Probes", "Whether a worker lives, is ready, and how it does."),
];

const ABOUT: &str = "Articles in, alerts and webhooks out.\n\n\
    Errors are `application/problem+json`, with `errors` where fields are at fault. Lists are \
    `{\"data\": […], \"next_cursor\": …}`; a cursor is taken as it was given. A path that is not \
    there is answered with 404, a method that a path does not know with 405. Each answer has an \
    `X-Request-Id`, that of the request where it has a sane one, and the log names it. Answers of \
    1 KiB or more are compressed for clients that take gzip.\n\n\
    Sent again under the same `Idempotency-Key` within a day, a request is not carried out a second \
    time: it is answered as before, with `Idempotent-Replayed: true`. A refusal binds no key: what \
    was refused may be mended and sent under it. A key counts for the token that it is used with.\n\n\
    Where tokens are in force each call needs one with the scope that it names, or with `admin`, \
    which may do everything. Without tokens only loopback names and the host of `public_url` are \
    served, and nobody needs a token.";

static DOCUMENT: LazyLock<Value> = LazyLock::new(write);
static TEXT: LazyLock<String> = LazyLock::new(|| {
    let text = serde_json::to_string_pretty(&*DOCUMENT).expect("plain data has a JSON form");
    text + "\n"
});

/// The document.
pub(super) fn document() -> &'static Value {
    &DOCUMENT
}

/// The document as it is served and kept in `docs/schema/openapi.json`.
pub(super) fn text() -> &'static str {
    &TEXT
}

/// Names of the groups, in their order.
pub(super) fn tags() -> impl Iterator<Item = (&'static str, &'static str)> {
    TAGS.into_iter()
}

fn calls() -> impl Iterator<Item = &'static Call> {
    news::CALLS.iter().chain(subscribers::CALLS).chain(upkeep::CALLS)
}

fn write() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for call in calls() {
        let path = paths.entry(call.path).or_insert_with(|| json!({}));
        path[call.method.as_str()] = call.operation();
    }
    let tags = TAGS.map(|(name, words)| json!({"name": name, "description": words}));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Wirebell",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer",
                    "description": "A token that `wirebell token create` made."},
            },
            "schemas": schemas::all(),
        },
    })
}

#[cfg(test)]
mod tests;
