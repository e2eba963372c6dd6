//! The document of the API against what a running process answers.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::e2e::subscribe;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::http::exchange;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// A process in which something has happened, and ids to ask for.
struct Asked {
    _desk: Desk,
    process: Process,
    document: Value,
    ids: [(&'static str, String); 3],
}

/// An answer: status, media type and body.
struct Answer {
    status: u16,
    kind: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl Asked {
    /// Nobody answers at the endpoint, so that attempts are on record.
    fn start() -> Self {
        let desk = Desk::new(RULES);
        let process = desk.run();
        let api = process.api();
        wait_ready(&api);
        let (subscription, _) = subscribe(&api, "http://127.0.0.9:9000/");
        let article = br#"{"title": "Siren in the north", "body": "", "lang": "en"}"#;
        let pushed = ask("POST", &format!("{api}/v1/articles"), JSON, article).unwrap().1;
        let first = |path: &str, field: &str| {
            wait_for(path, || {
                let listed = ask("GET", &format!("{api}{path}"), "", b"")?.1;
                listed["data"][0][field].as_str().map(str::to_owned)
            })
        };
        let alert = first("/v1/alerts", "id");
        first("/v1/attempts", "event");
        let document = ask("GET", &format!("{api}/openapi.json"), "", b"").unwrap().1;
        let article = pushed["accepted"][0]["id"].as_str().unwrap().to_owned();
        let ids = [("articles", article), ("alerts", alert), ("subscriptions", subscription)];
        Self { _desk: desk, process, document, ids }
    }

    fn call(&self, (method, path): (&str, &str), kind: &str, body: &[u8]) -> Answer {
        let api = self.process.api();
        let address = api.strip_prefix("http://").unwrap();
        let headers = [("host", address), ("content-type", kind)];
        let method = method.to_ascii_uppercase();
        let (status, head, body) = exchange(address, &method, path, &headers, body)
            .unwrap_or_else(|| panic!("no answer to {method} {path}"));
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: "));
        let kind = kind.unwrap_or_default().split(';').next().unwrap().to_owned();
        Answer { status, kind, body }
    }

    /// The path with an id that there is.
    fn filled(&self, path: &str) -> String {
        let of = self.ids.iter().find(|(of, _)| path.split('/').any(|part| part == *of));
        path.replace("{id}", of.map_or("", |(_, id)| id))
    }

    /// The path with what it does not work without.
    fn asked_for(&self, path: &str) -> String {
        let [(_, article), _, (_, subscription)] = &self.ids;
        match path {
            "/v1/why-not" => format!("{path}?article={article}&subscription={subscription}"),
            _ => self.filled(path),
        }
    }

    /// Every call: method, path and operation.
    fn calls(&self) -> Vec<(String, String, Value)> {
        let paths = self.document["paths"].as_object().unwrap();
        let of = |(path, methods): (&String, &Value)| {
            let methods = methods.as_object().unwrap().clone();
            methods.into_iter().map(|(m, op)| (m, path.clone(), op)).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }

    /// Holds an answer to what the document says of the call: status, media type, and shape. What
    /// the document does not name may not be there.
    fn check(&self, call: &(String, String, Value), answer: &Answer) -> Result<(), String> {
        let (method, path, operation) = call;
        let told = &operation["responses"][answer.status.to_string()];
        let said = format!("{method} {path}: {} {}", answer.status, answer.kind);
        let content = &told["content"][&answer.kind];
        let is_bare = answer.kind.is_empty() && answer.body.is_empty() && !told.is_null();
        if content.is_null() && !is_bare {
            return Err(format!("{said} is not documented: {}", answer.json()));
        }
        if !answer.kind.ends_with("json") || answer.kind == LINES {
            return Ok(());
        }
        let mut schema = content["schema"].clone();
        schema["components"] = self.document["components"].clone();
        tighten(&mut schema);
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let body = answer.json();
        let errors: Vec<String> =
            validator.iter_errors(&body).map(|e| format!("{}: {e}", e.instance_path())).collect();
        if errors.is_empty() { Ok(()) } else { Err(format!("{said}: {errors:#?}\n{body:#}")) }
    }
}

/// Lets no object have fields that are not named.
fn tighten(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(tighten);
            let is_schema = fields.get("properties").is_some_and(Value::is_object);
            if is_schema && !fields.contains_key("additionalProperties") {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Value::Array(all) => all.iter_mut().for_each(tighten),
        _ => {}
    }
}

/// Names between backticks after the word `expected`.
fn expected(words: &str) -> BTreeSet<String> {
    let (_, names) = words.split_once("expected").unwrap_or(("", ""));
    names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn what_is_asked_for_is_answered_as_the_document_says() {
    let asked = Asked::start();
    let (mut seen, mut bad) = (0, Vec::new());
    for call in asked.calls().iter().filter(|(method, ..)| method == "get") {
        let mut path = asked.asked_for(&call.1);
        if call.1 == "/v1/articles/{id}" {
            path.push_str("?explain=true");
        }
        let answer = asked.call(("get", &path), "", b"");
        assert_eq!(answer.status, 200, "{path}: {}", answer.json());
        bad.extend(asked.check(call, &answer).err());
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
    let mut others = asked.calls();
    // What is removed cannot be asked for afterwards.
    others.sort_by_key(|(method, ..)| method == "delete");
    for call in others.iter().filter(|(method, ..)| method != "get") {
        let example = &call.2["requestBody"]["content"][JSON]["example"];
        let body = if example.is_null() { String::new() } else { example.to_string() };
        let path = asked.asked_for(&call.1);
        let answer = asked.call((&call.0, &path), JSON, body.as_bytes());
        if !(200..300).contains(&answer.status) {
            bad.push(format!("{} {path}: {}", call.0, answer.json()));
        }
        bad.extend(asked.check(call, &answer).err());
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn every_route_refuses_with_a_problem() {
    let asked = Asked::start();
    let problem = "application/problem+json";
    for (path, known) in asked.document["paths"].as_object().unwrap() {
        for method in METHODS.into_iter().filter(|method| known.get(method).is_none()) {
            let answer = asked.call((method, &asked.filled(path)), JSON, b"{}");
            assert_eq!((answer.status, answer.kind.as_str()), (405, problem), "{method} {path}");
        }
    }
    for call in asked.calls() {
        let (method, path, operation) = &call;
        let filled = asked.filled(path);
        let ask = |kind: &str, body: &[u8]| asked.call((method, &filled), kind, body);
        if path.contains("{id}") && method == "get" {
            let answer = asked.call((method, &path.replace("{id}", "nobody")), "", b"");
            assert_eq!((answer.status, answer.kind.as_str()), (404, problem), "{path}");
            asked.check(&call, &answer).unwrap();
        }
        if operation["requestBody"].is_null() {
            continue;
        }
        let query = asked.asked_for(path);
        let answer = asked.call((method, &query), "image/png", b"{}");
        assert_eq!((answer.status, answer.kind.as_str()), (415, problem), "{method} {path}");
        let answer = asked.call((method, &query), JSON, b"{\"a\": ");
        assert!([400, 422].contains(&answer.status), "{method} {path}: {}", answer.status);
        asked.check(&call, &answer).unwrap();
        let schema = &operation["requestBody"]["content"][JSON]["schema"]["$ref"];
        let name = schema.as_str().unwrap().rsplit('/').next().unwrap();
        let schema = &asked.document["components"]["schemas"][name];
        if schema["additionalProperties"] == false {
            let answer = ask(JSON, br#"{"zzz": 1}"#);
            assert_eq!((answer.status, answer.kind.as_str()), (422, problem), "{method} {path}");
            let words = answer.json()["errors"][0]["message"].to_string();
            let told: BTreeSet<String> =
                schema["properties"].as_object().unwrap().keys().cloned().collect();
            assert_eq!(expected(&words), told, "{method} {path}: {words}");
        }
    }
}

#[test]
fn each_call_takes_the_query_parameters_of_the_document_and_no_others() {
    let asked = Asked::start();
    for call in asked.calls() {
        let (method, path, operation) = &call;
        let told: BTreeSet<String> = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["in"] == "query")
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect();
        if told.is_empty() || path == "/readyz" {
            continue;
        }
        let answer = asked.call((method, &format!("{}?zzz=1", asked.filled(path))), JSON, b"{}");
        assert_eq!(answer.status, 400, "{method} {path}");
        asked.check(&call, &answer).unwrap();
        let words = answer.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(expected(&words), told, "{method} {path}: {words}");
    }
}
