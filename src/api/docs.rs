//! The contract as it is served, and a page to read it: no script, and nothing of another place.

use std::fmt::Write;
use std::sync::LazyLock;

use axum::Router;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use quick_xml::escape::escape;
use serde_json::Map;
use serde_json::Value;

use crate::api::condition::Tag;
use crate::api::contract;

/// Our stylesheet and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
const STYLE: &str = include_str!("docs/docs.css");

static PAGE: LazyLock<String> = LazyLock::new(|| page(contract::document()));
static NOTHING: Value = Value::Null;

pub(super) fn router() -> Router {
    Router::new()
        .route("/openapi.json", get(document))
        .route("/docs", get(read))
        .route("/assets/docs.css", get(style))
}

type Headers = ([(HeaderName, HeaderValue); 1], [(HeaderName, &'static str); 4]);

fn headers(kind: &'static str, tag: &Tag) -> Headers {
    let rest = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (tag.header(), rest)
}

/// `GET /openapi.json`
async fn document() -> impl IntoResponse {
    static TAG: LazyLock<Tag> = LazyLock::new(|| Tag::of_text(contract::text()));
    let (tag, headers) = headers("application/json", &TAG);
    (tag, headers, contract::text())
}

/// `GET /docs`
async fn read() -> impl IntoResponse {
    static TAG: LazyLock<Tag> = LazyLock::new(|| Tag::of_text(&PAGE));
    let (tag, headers) = headers("text/html; charset=utf-8", &TAG);
    (tag, headers, PAGE.as_str())
}

async fn style() -> impl IntoResponse {
    static TAG: LazyLock<Tag> = LazyLock::new(|| Tag::of_text(STYLE));
    let (tag, headers) = headers("text/css; charset=utf-8", &TAG);
    (tag, headers, STYLE)
}

/// A document in HTML, as far as it goes.
#[derive(Default)]
struct Html(String);

impl Html {
    fn raw(&mut self, html: &str) -> &mut Self {
        self.0.push_str(html);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.0.push_str(&escape(text));
        self
    }

    /// Text in which what stands between backticks is code.
    fn words(&mut self, text: &str) -> &mut Self {
        for (n, part) in text.split('`').enumerate() {
            if n % 2 == 0 {
                self.text(part);
            } else {
                self.raw("<code>").text(part).raw("</code>");
            }
        }
        self
    }

    fn element(&mut self, name: &str, text: &str) -> &mut Self {
        let _ = write!(self.0, "<{name}>");
        self.words(text);
        let _ = write!(self.0, "</{name}>");
        self
    }
}

fn page(document: &Value) -> String {
    let mut html = Html::default();
    html.raw(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>API · Wirebell</title>\n\
         <link rel=\"stylesheet\" href=\"/assets/docs.css\">\n</head>\n<body>\n<header>\n",
    );
    html.element("h1", "Wirebell API");
    for paragraph in text(&document["info"]["description"]).split("\n\n") {
        html.element("p", paragraph);
    }
    html.raw(
        "<p>For programs: <a href=\"/openapi.json\">openapi.json</a></p>\n</header>\n<nav>\n<ul>\n",
    );
    for (name, _) in contract::tags() {
        let _ = writeln!(html.0, "<li><a href=\"#{name}\">{name}</a></li>");
    }
    html.raw("<li><a href=\"#Bodies\">Bodies</a></li>\n</ul>\n</nav>\n<main>\n");
    for (name, words) in contract::tags() {
        let _ = writeln!(html.0, "<section id=\"{name}\">\n<h2>{name}</h2>");
        html.element("p", words);
        for (path, method, operation) in operations(document) {
            if operation["tags"][0] == name {
                call(&mut html, (method, path), operation);
            }
        }
        html.raw("</section>\n");
    }
    html.raw("<section id=\"Bodies\">\n<h2>Bodies</h2>\n");
    for (name, schema) in fields(&document["components"]["schemas"]) {
        body(&mut html, name, schema);
    }
    html.raw("</section>\n</main>\n</body>\n</html>\n");
    html.0
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    fields(&document["paths"]).flat_map(|(path, methods)| {
        fields(methods).map(move |(method, operation)| (path, method, operation))
    })
}

fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(name, value)| (name.as_str(), value))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn call(html: &mut Html, (method, path): (&str, &str), operation: &Value) {
    let id = text(&operation["operationId"]);
    let method = method.to_ascii_uppercase();
    let _ = writeln!(html.0, "<article id=\"{id}\">");
    html.raw("<h3><a href=\"#").text(id).raw("\">").text(text(&operation["summary"]));
    html.raw("</a></h3>\n<p class=\"line\"><b>").text(&method).raw("</b> <code>").text(path);
    html.raw("</code></p>\n");
    if let Some(detail) = operation["description"].as_str() {
        html.element("p", detail);
    }
    let scopes: Vec<&str> =
        list(&operation["security"]).map(|one| text(&one["bearer"][0])).collect();
    let needs = if scopes.is_empty() { "none".to_owned() } else { scopes.join(" or ") };
    html.element("p", &format!("Scope: {needs}"));
    parameters(html, operation);
    for (kind, content) in fields(&operation["requestBody"]["content"]) {
        html.raw("<p>Body <code>").text(kind).raw("</code>: ");
        shape(html, &content["schema"]);
        html.raw("</p>\n");
    }
    answers(html, operation);
    html.raw("<pre><code>")
        .text(&curl(&method, path, operation))
        .raw("</code></pre>\n</article>\n");
}

fn parameters(html: &mut Html, operation: &Value) {
    if list(&operation["parameters"]).next().is_none() {
        return;
    }
    html.raw("<h4>Parameters</h4>\n<dl>\n");
    for one in list(&operation["parameters"]) {
        html.raw("<dt><code>").text(text(&one["name"])).raw("</code> ");
        html.text(text(&one["in"])).text(", ");
        shape(html, &one["schema"]);
        html.text(if one["required"] == true { ", needed" } else { "" }).raw("</dt>\n");
        html.element("dd", text(&one["description"])).raw("\n");
    }
    html.raw("</dl>\n");
}

fn answers(html: &mut Html, operation: &Value) {
    html.raw("<h4>Answers</h4>\n<dl>\n");
    for (status, answer) in fields(&operation["responses"]) {
        html.raw("<dt>").text(status);
        for (kind, content) in fields(&answer["content"]) {
            html.raw(" <code>").text(kind).raw("</code> ");
            shape(html, &content["schema"]);
        }
        html.raw("</dt>\n");
        html.element("dd", text(&answer["description"])).raw("\n");
    }
    html.raw("</dl>\n");
}

fn body(html: &mut Html, name: &str, schema: &Value) {
    let _ = writeln!(html.0, "<article id=\"body-{name}\">\n<h3>{name}</h3>");
    if let Some(words) = schema["description"].as_str() {
        html.element("p", words);
    }
    if schema["properties"].is_null() {
        html.raw("<p>");
        shape(html, schema);
        html.raw("</p>\n");
    }
    let needed: Vec<&str> = list(&schema["required"]).map(text).collect();
    html.raw("<dl>\n");
    for (field, schema) in fields(&schema["properties"]) {
        html.raw("<dt><code>").text(field).raw("</code> ");
        shape(html, schema);
        html.text(if needed.contains(&field) { "" } else { ", may be missing" }).raw("</dt>\n");
        html.element("dd", text(&schema["description"])).raw("\n");
    }
    html.raw("</dl>\n</article>\n");
}

/// What a value is like, in a few words.
fn shape(html: &mut Html, schema: &Value) {
    let between = |html: &mut Html, all: &Value| {
        for (n, one) in list(all).enumerate() {
            html.text(if n > 0 { " or " } else { "" });
            shape(html, one);
        }
    };
    if let Some(name) = schema["$ref"].as_str().and_then(|of| of.rsplit('/').next()) {
        let _ = write!(html.0, "<a href=\"#body-{name}\">{name}</a>");
    } else if schema["type"] == "array" {
        html.text("list of ");
        shape(html, &schema["items"]);
    } else if !schema["properties"].is_null() {
        html.text("object of ");
        for (n, (field, schema)) in fields(&schema["properties"]).enumerate() {
            html.text(if n > 0 { ", " } else { "" }).raw("<code>").text(field).raw("</code> ");
            shape(html, schema);
        }
    } else {
        between(html, &schema["anyOf"]);
        between(html, &schema["oneOf"]);
        let named = list(&schema["enum"]).map(text).collect::<Vec<_>>().join(" · ");
        let types = list(&schema["type"]).map(text).collect::<Vec<_>>().join(" or ");
        html.text(&named).text(&types).text(text(&schema["type"]));
        if let Some(only) = schema.get("const") {
            html.text(&only.to_string());
        }
        limits(html, schema);
    }
}

fn limits(html: &mut Html, schema: &Value) {
    for (key, before) in
        [("minimum", "from"), ("maximum", "to"), ("maxLength", "at most"), ("default", "usually")]
    {
        if let Some(limit) = schema.get(key) {
            html.text(&format!(" {before} {limit}"));
        }
    }
}

/// The call in a shell, with what it has as an example.
fn curl(method: &str, path: &str, operation: &Value) -> String {
    let mut query: Vec<String> = Vec::new();
    for one in list(&operation["parameters"]).filter(|one| one["required"] == true) {
        if one["in"] == "query" {
            query.push(format!("{}=…", text(&one["name"])));
        }
    }
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let mut said =
        format!("curl -X {method} \"$WIREBELL_API{path}{query}\"").replace("{id}", "$ID");
    if list(&operation["security"]).next().is_some() {
        said.push_str(" \\\n  -H \"Authorization: Bearer $WIREBELL_TOKEN\"");
    }
    let bodies = &operation["requestBody"]["content"];
    let first = fields(bodies).find(|(kind, _)| *kind == "application/json");
    let example = first.map_or(&NOTHING, |(_, content)| &content["example"]);
    if !example.is_null() {
        let quoted = example.to_string().replace('\'', "'\\''");
        let _ = write!(said, " \\\n  -H 'content-type: application/json' \\\n  -d '{quoted}'");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_call_and_each_link_leads_somewhere() {
        let page = page(contract::document());
        let mut calls = 0;
        for (path, _, operation) in operations(contract::document()) {
            let id = text(&operation["operationId"]);
            assert!(page.contains(&format!("<article id=\"{id}\">")), "{id}");
            assert!(page.contains(&*escape(path)), "{path}");
            calls += 1;
        }
        assert_eq!(page.matches("<pre>").count(), calls);
        for part in page.split("href=\"#").skip(1) {
            let to = part.split('"').next().unwrap();
            assert!(page.contains(&format!("id=\"{to}\"")), "{to}");
        }
    }

    #[test]
    fn the_page_needs_neither_script_nor_style_of_its_own() {
        let page = page(contract::document());
        for bad in ["<script", "<style", " style=", " onclick=", "http-equiv", "src=", "//cdn"] {
            assert!(!page.contains(bad), "{bad}");
        }
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }

    #[test]
    fn what_a_document_says_cannot_become_markup() {
        let mut document = contract::document().clone();
        document["info"]["description"] = "<img> `<b>` & \"x\"".into();
        let page = page(&document);
        assert!(page.contains("&lt;img&gt; <code>&lt;b&gt;</code> &amp; &quot;x&quot;"), "{page}");
    }
}
