//! Mistakes in rule files: how each is told, whole.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use wirebell::rules::ERRORS;
use wirebell::rules::Problem;
use wirebell::rules::load;

use crate::support::snapshot;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bad_rules")
}

fn problems(files: &[(String, String)]) -> Vec<Problem> {
    load(files).err().unwrap_or_else(|| panic!("{} loads", files[0].0))
}

#[test]
fn every_mistake_is_told_as_its_file_says() {
    let mut seen = BTreeSet::new();
    let mut count = 0;
    snapshot::compare(&folder(), |files| {
        let problems = problems(files);
        seen.extend(problems.iter().map(|problem| problem.code));
        count += 1;
        problems
    });
    assert!(count >= 100, "{count} cases");
    // Tests are run by whoever loads, and have cases of their own.
    let wanted: BTreeSet<&str> =
        ERRORS.iter().map(|(code, _)| *code).filter(|code| *code != "test").collect();
    assert_eq!(seen, wanted, "every kind of error has a case");
}

#[test]
fn every_problem_has_a_place_inside_its_file_and_a_remedy() {
    for case in snapshot::cases(&folder()) {
        let files = snapshot::files(&case);
        for problem in problems(&files) {
            let text = &files.iter().find(|(name, _)| *name == problem.file).unwrap().1;
            let lines = text.lines().count().max(1);
            assert!((1..=lines).contains(&(problem.line as usize)), "{problem}");
            let width = problem.snippet.chars().count();
            assert!((1..=width + 1).contains(&(problem.column as usize)), "{problem}");
            assert!(!problem.remedy.is_empty() && !problem.message.is_empty(), "{problem}");
        }
    }
}

/// Kinds of mistakes that are about the shape of a file, which an editor knows by the schema.
const STRUCTURAL: [&str; 4] = ["unknown-key", "wrong-type", "missing", "bad-value"];

/// Files that are wrong in shape in a way that JSON has no form for.
const BEYOND_JSON: [&str; 3] = ["yaml_list_as_key", "yaml_merge_key", "yaml_duplicate_keys"];

/// YAML as an editor sees it.
fn json(text: &str) -> Option<Value> {
    serde_saphyr::from_str(text).ok()
}

#[test]
fn the_schema_refuses_what_is_wrong_in_shape() {
    let schema: Value = serde_json::from_str(&wirebell::rules::schema()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let (mut refused, mut wrong) = (0, Vec::new());
    for case in snapshot::cases(&folder()) {
        let name = case.file_stem().unwrap().to_string_lossy().into_owned();
        let files = snapshot::files(&case);
        for (file, text) in &files {
            let found = problems(&files);
            let structural = found.iter().any(|p| p.file == *file && STRUCTURAL.contains(&p.code));
            if !structural || BEYOND_JSON.contains(&name.as_str()) {
                continue;
            }
            let Some(value) = json(text) else { continue };
            match schema.is_valid(&value) {
                true => wrong.push(format!("{name}: {}", found[0])),
                false => refused += 1,
            }
        }
    }
    assert!(wrong.is_empty(), "{} pass the schema\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused >= 60, "{refused}");
}

#[test]
fn the_schema_accepts_what_loads() {
    let schema: Value = serde_json::from_str(&wirebell::rules::schema()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let mut good = vec![include_str!("../../config/rules.yaml").to_owned()];
    for row in include_str!("../fixtures/stories.jsonl").lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        good.push(row["rules"].as_str().unwrap().to_owned());
        let steps = row["steps"].clone();
        let whole = serde_json::json!({"version": 1, "rules": [
            {"id": "a", "any": "x", "tests": {"story": steps}}
        ]});
        good.push(whole.to_string());
    }
    for case in snapshot::cases(&folder().with_file_name("lint")) {
        good.extend(snapshot::files(&case).into_iter().map(|(_, text)| text));
    }
    for text in &good {
        let value = json(text).unwrap();
        let errors: Vec<String> =
            schema.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{text}\n{}", errors.join("\n"));
    }
}

#[test]
fn the_committed_schema_is_the_types() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/schema/rules.schema.json");
    let schema = wirebell::rules::schema();
    if std::env::var_os("WIREBELL_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &schema).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema,
        "write it anew: wirebell rules schema > docs/schema/rules.schema.json"
    );
}
