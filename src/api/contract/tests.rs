use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use axum::http::Method;

use super::*;
use crate::api::guard;
use crate::api::once;

/// Paths for people and not for programs: they are no part of the document.
const PAGES: [&str; 24] = [
    "/",
    "/alerts",
    "/alerts/{id}",
    "/alerts/{id}/end",
    "/alerts/{id}/retract",
    "/alerts/{id}/row",
    "/assets/docs.css",
    "/assets/{name}",
    "/backtest",
    "/docs",
    "/pipeline",
    "/playground",
    "/playground/answer",
    "/signin",
    "/signout",
    "/sources",
    "/subscriptions",
    "/subscriptions/{id}",
    "/subscriptions/{id}/pause",
    "/subscriptions/{id}/replay",
    "/subscriptions/{id}/resume",
    "/subscriptions/{id}/rotate",
    "/subscriptions/{id}/test",
    "/theme",
];
/// Writes the document in place of comparing it.
const WRITE: &str = "WIREBELL_WRITE_OPENAPI";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_document_kept_is_the_one_that_is_served() {
    let path = root().join("docs/schema/openapi.json");
    if std::env::vars().any(|(name, _)| name == WRITE) {
        std::fs::write(&path, text()).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let told = format!("{} is behind: run this test with {WRITE}=1", path.display());
    assert!(kept == text(), "{told}");
}

/// What the routers under a folder serve: paths and their methods.
fn served(path: &Path, into: &mut BTreeMap<String, BTreeSet<String>>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            served(&entry.unwrap().path(), into);
        }
        return;
    }
    if path.extension().is_none_or(|e| e != "rs") || path.ends_with("contract/tests.rs") {
        return;
    }
    let code = std::fs::read_to_string(path).unwrap();
    let product = code.split("\n#[cfg(test)]").next().unwrap();
    for rest in product.split(".route(").skip(1) {
        let Some(of) = rest.trim_start().strip_prefix('"') else { continue };
        let (route, handlers) = of.split_once('"').unwrap();
        let handlers = handlers.lines().take_while(|l| !l.trim_start().starts_with('.'));
        let handlers: String = handlers.collect();
        // One whose handlers are made elsewhere is a route all the same.
        let methods = into.entry(route.to_owned()).or_default();
        for method in ["get", "post", "put", "patch", "delete"] {
            if handlers.contains(&format!("{method}(")) {
                methods.insert(method.to_owned());
            }
        }
    }
}

#[test]
fn every_route_is_in_the_document_and_nothing_else() {
    let mut routes = BTreeMap::new();
    served(&root().join("src/api"), &mut routes);
    served(&root().join("src/api.rs"), &mut routes);
    for page in PAGES {
        assert!(routes.remove(page).is_some(), "{page} is served no more");
    }
    let told: BTreeMap<String, BTreeSet<String>> = document()["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, of)| (path.clone(), of.as_object().unwrap().keys().cloned().collect()))
        .collect();
    assert_eq!(told, routes);
}

#[test]
fn each_call_names_its_scopes_and_has_a_name_of_its_own() {
    let mut names = BTreeSet::new();
    for call in calls() {
        let operation = call.operation();
        let name = format!("{} {}", call.method.as_str(), call.path);
        assert!(names.insert(operation["operationId"].to_string()), "{name}");
        let method: Method = call.method.as_str().to_ascii_uppercase().parse().unwrap();
        let asked_for = call.path.replace("{id}", "x_1");
        let scopes = guard::scopes(&method, &asked_for);
        let told: Vec<&str> = operation["security"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["bearer"][0].as_str().unwrap())
            .collect();
        assert_eq!(told, scopes, "{name}");
        let keyed = operation["parameters"].as_array().unwrap().iter();
        let keyed = keyed.filter(|one| one["name"] == "Idempotency-Key").count() == 1;
        assert_eq!(keyed, once::takes_key(&method, call.path), "{name}");
        assert!(tags().any(|(tag, _)| operation["tags"][0] == tag), "{name}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{name}");
    }
}

/// References anywhere in a value.
fn references(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str().filter(|_| name == "$ref") {
                    Some(to) => {
                        into.insert(to.to_owned());
                    }
                    None => references(value, into),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|one| references(one, into)),
        _ => {}
    }
}

#[test]
fn each_reference_leads_to_a_schema_and_each_schema_is_used() {
    let mut used = BTreeSet::new();
    references(document(), &mut used);
    let schemas = document()["components"]["schemas"].as_object().unwrap();
    let known: BTreeSet<String> =
        schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
    assert_eq!(used, known);
}

#[test]
fn each_example_fits_its_schema() {
    let mut seen = 0;
    for call in calls() {
        let operation = call.operation();
        let content = &operation["requestBody"]["content"]["application/json"];
        if content.is_null() {
            continue;
        }
        let mut schema = content["schema"].clone();
        schema["components"] = document()["components"].clone();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let example = &content["example"];
        assert!(validator.is_valid(example), "{} {example}", call.path);
        assert!(!validator.is_valid(&json!(7)), "{}", call.path);
        seen += 1;
    }
    assert!(seen > 8, "{seen}");
}
