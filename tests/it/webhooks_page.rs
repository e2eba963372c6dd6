//! `docs/webhooks.md` and the schemas beside it: what they say of the contract is what the code does.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use wirebell::delivery::contract;
use wirebell::delivery::example;
use wirebell::delivery::signature;
use wirebell::delivery::signature::Key;
use wirebell::model::EventKind;
use wirebell::model::subscription::Secret;
use wirebell::model::wire::Body;

const SECRET: &str = "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLW9sZCE=";
/// Writes the committed files anew.
const BLESS: &str = "WIREBELL_BLESS";

fn path(below: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(below)
}

fn page() -> String {
    std::fs::read_to_string(path("webhooks.md")).unwrap()
}

/// Holds a committed file to what it should be.
fn hold(below: &str, wanted: &str) {
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(path(below), wanted).unwrap();
    }
    let committed = std::fs::read_to_string(path(below)).unwrap_or_default();
    assert!(committed == wanted, "docs/{below} is old: run this test with {BLESS}=1");
}

/// The body of each type, as it is sent.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let events =
        EventKind::ALL.map(|kind| (kind.as_str(), example::body(kind, "http://127.0.0.1:8080")));
    events.into_iter().chain([(example::PING, example::ping_body())]).collect()
}

/// What stands in code font in the first column of the table with this heading.
fn first_column(heading: &str) -> BTreeSet<String> {
    let page = page();
    let head = format!("| {heading} |");
    let rows = page.lines().skip_while(|line| !line.starts_with(&head)).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| row.split('`').nth(1)).map(str::to_owned).collect()
}

/// The fields that a schema names, with dots between.
fn fields(schema: &Value, at: &Value, prefix: &str, found: &mut BTreeSet<String>) {
    let inner = |name: &Value| {
        let name = name.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        schema["definitions"][name].clone()
    };
    let choices = ["anyOf", "allOf", "oneOf"].map(|key| at[key].as_array().cloned());
    for choice in choices.into_iter().flatten().flatten() {
        fields(schema, &choice, prefix, found);
    }
    if !at["$ref"].is_null() {
        fields(schema, &inner(&at["$ref"]), prefix, found);
    }
    if !at["items"].is_null() {
        fields(schema, &at["items"], prefix, found);
    }
    for (name, field) in at["properties"].as_object().into_iter().flatten() {
        let name = format!("{prefix}{name}");
        found.insert(name.clone());
        fields(schema, field, &format!("{name}."), found);
    }
}

#[test]
fn the_examples_of_the_page_are_what_is_sent() {
    let mut wanted = page();
    for (kind, body) in bodies() {
        let body: Body = serde_json::from_slice(&body).unwrap();
        let text = serde_json::to_string_pretty(&body).unwrap();
        let fence = format!("```json {kind}\n");
        let (before, rest) = wanted.split_once(&fence).unwrap_or_else(|| panic!("no {kind}"));
        let (_, after) = rest.split_once("```\n").unwrap();
        wanted = format!("{before}{fence}{text}\n```\n{after}");
    }
    hold("webhooks.md", &wanted);
}

#[test]
fn the_tables_of_the_page_name_every_field_header_and_type() {
    let schema: Value = serde_json::from_str(&contract::event_schema()).unwrap();
    let mut known = BTreeSet::new();
    fields(&schema, &schema, "", &mut known);
    assert!(known.len() > 40, "{known:?}");
    let groups = ["data", "data.event", "data.links"].map(str::to_owned);
    let mut told = first_column("field");
    told.extend(groups);
    assert_eq!(told, known);
    let headers = contract::HEADERS.map(|(name, ..)| name.to_owned());
    assert_eq!(first_column("header"), headers.into());
    let kinds = bodies().into_iter().map(|(kind, _)| kind.to_owned());
    assert_eq!(first_column("type"), kinds.collect());
}

#[test]
fn the_committed_schemas_are_the_types() {
    hold("schema/event.schema.json", &contract::event_schema());
    hold("schema/asyncapi.json", &contract::asyncapi());
}

#[test]
fn the_schema_takes_what_is_sent_and_nothing_that_lacks_a_field() {
    let schema: Value = serde_json::from_str(&contract::event_schema()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for (kind, body) in bodies() {
        let mut value: Value = serde_json::from_slice(&body).unwrap();
        let errors: Vec<String> = schema.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{kind}: {errors:?}");
        value["of_a_later_version"] = 1.into();
        assert!(schema.is_valid(&value), "{kind}: fields may come");
        for name in ["type", "timestamp", "data"] {
            let mut less = value.clone();
            less.as_object_mut().unwrap().remove(name);
            assert!(!schema.is_valid(&less), "{kind} without {name}");
        }
        value["data"]["event"]["sequence"] = "17".into();
        assert!(!schema.is_valid(&value), "{kind}");
    }
}

/// Every reference of a document leads to something.
fn resolve(document: &Value, at: &Value) {
    match at {
        Value::Array(items) => items.iter().for_each(|item| resolve(document, item)),
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            fields.values().for_each(|field| resolve(document, field));
        }
        _ => {}
    }
}

#[test]
fn asyncapi_tells_every_type_with_its_headers_and_the_same_payload() {
    let document: Value = serde_json::from_str(&contract::asyncapi()).unwrap();
    assert_eq!(document["asyncapi"], "3.0.0");
    resolve(&document, &document);
    let messages = document["components"]["messages"].as_object().unwrap();
    let channel = document["channels"]["webhook"]["messages"].as_object().unwrap();
    assert_eq!(messages.len(), bodies().len());
    for (kind, body) in bodies() {
        let value: Value = serde_json::from_slice(&body).unwrap();
        let message = &messages[kind];
        assert!(channel.contains_key(kind), "{kind}");
        assert_eq!(message["examples"][0]["payload"], value, "{kind}");
        assert_eq!(message["headers"]["$ref"], "#/components/schemas/Headers");
        let mut payload = message["payload"].clone();
        payload["components"] = document["components"].clone();
        payload["$schema"] = "http://json-schema.org/draft-07/schema#".into();
        let payload = jsonschema::validator_for(&payload).unwrap();
        for (other, body) in bodies() {
            let other_value: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(payload.is_valid(&other_value), other == kind, "{kind}: {other}");
        }
    }
    let event: Value = serde_json::from_str(&contract::event_schema()).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, definition) in event["definitions"].as_object().unwrap() {
        let text = definition.to_string().replace("#/definitions/", "#/components/schemas/");
        assert_eq!(schemas[name].to_string(), text, "{name}");
    }
    let headers = schemas["Headers"]["properties"].as_object().unwrap();
    assert_eq!(headers.len(), contract::HEADERS.len());
}

/// The block with this kind below the heading "Verify it".
fn snippet(kind: &str) -> String {
    let page = page();
    let (_, verify) = page.split_once("## Verify it").unwrap();
    let (_, rest) = verify.split_once(&format!("```{kind}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// The page's in Rust, word for word.
fn verify(secret: &str, headers: &http::HeaderMap, body: &[u8]) -> bool {
    let webhook = standardwebhooks::Webhook::new(secret);
    webhook.is_ok_and(|webhook| webhook.verify(body, headers).is_ok())
}

#[test]
fn what_the_page_says_of_verifying_in_rust_verifies() {
    assert!(include_str!("webhooks_page.rs").contains(&snippet("rust")));
    let (now, body) = (wirebell::clock::Clock::System.now_ms() / 1_000, bodies().remove(0).1);
    let key = Key::parse(&Secret::new(SECRET.to_owned())).unwrap();
    let signature = signature::sign([&key], "evt_a-sub_a", now, &body);
    let mut headers = http::HeaderMap::new();
    headers.insert("webhook-id", "evt_a-sub_a".parse().unwrap());
    headers.insert("webhook-timestamp", now.to_string().parse().unwrap());
    headers.insert("webhook-signature", signature.parse().unwrap());
    assert!(verify(SECRET, &headers, &body));
    assert!(!verify(SECRET, &headers, &[&body[..], b" "].concat()));
}

/// What is shown of a receiver is what its tests run.
#[test]
fn what_the_page_shows_of_receivers_is_in_them() {
    for (kind, file) in [("typescript", "typescript/receiver.mts"), ("go", "go/receiver.go")] {
        let file = path("../examples/receivers").join(file);
        let receiver = std::fs::read_to_string(&file).unwrap();
        for part in snippet(kind).split("\n\n") {
            let is_there = receiver.contains(part.trim_end());
            assert!(is_there, "{} has no\n{part}", file.display());
        }
    }
}

#[test]
fn the_readme_verifies_as_the_page_does() {
    let readme = std::fs::read_to_string(path("../README.md")).unwrap();
    assert!(readme.contains(&format!("```python\n{}```", snippet("python"))));
}

#[test]
fn what_the_page_says_of_verifying_verifies() {
    let body = bodies().remove(0).1;
    let now = wirebell::clock::Clock::System.now_ms() / 1_000;
    let key = Key::parse(&Secret::new(SECRET.to_owned())).unwrap();
    let signature = signature::sign([&key], "evt_a-sub_a", now, &body);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("body.json"), &body).unwrap();
    let ran = |program: &str, script: String| {
        let mut command = Command::new(program);
        command.current_dir(folder.path()).args(["-c", &script]).env("SECRET", SECRET);
        command.env("WEBHOOK_ID", "evt_a-sub_a").env("WEBHOOK_TIMESTAMP", now.to_string());
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    let headers = format!(
        "{{'webhook-id': 'evt_a-sub_a', 'webhook-timestamp': '{now}', 'webhook-signature': \
         'v1,AAAA {signature}'}}"
    );
    let script = format!(
        "{}\nbody = open('body.json', 'rb').read()\nfor b in (body, body + b' '):\n    \
         print(verify('{SECRET}', {headers}, b))",
        snippet("python")
    );
    assert_eq!(ran("python3", script), "True\nFalse");
    let verify = page().split_once("Shell, with").unwrap().1.to_owned();
    let shell = verify.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0.to_owned();
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("\n*** NOT TESTED: the shell's verification: there is no openssl here\n");
        return;
    }
    assert_eq!(format!("v1,{}", ran("sh", shell)), signature);
}
