//! Problems as SARIF 2.1.0, which code hosts show beside the lines of a change.

use serde_json::Value;
use serde_json::json;

use crate::rules::ERRORS;
use crate::rules::Level;
use crate::rules::Problem;
use crate::rules::WARNINGS;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// One log with one run.
pub(super) fn log(problems: &[Problem]) -> String {
    let kinds: Vec<(&str, &str, Level)> = ERRORS
        .iter()
        .map(|(code, text)| (*code, *text, Level::Error))
        .chain(WARNINGS.iter().map(|(code, text)| (*code, *text, Level::Warning)))
        .collect();
    let rules: Vec<Value> = kinds
        .iter()
        .map(|(code, text, level)| {
            json!({
                "id": code,
                "shortDescription": {"text": format!("{text}.")},
                "defaultConfiguration": {"level": word(*level)},
            })
        })
        .collect();
    let results: Vec<Value> = problems
        .iter()
        .map(|problem| result(problem, kinds.iter().position(|(code, ..)| *code == problem.code)))
        .collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "wirebell",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    log.to_string()
}

fn result(problem: &Problem, rule: Option<usize>) -> Value {
    let mut result = json!({
        "ruleId": problem.code,
        "level": word(problem.level),
        "message": {"text": format!("{}: {}", problem.message, problem.remedy)},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&problem.file)},
            "region": {
                "startLine": problem.line,
                "startColumn": problem.column,
                "endLine": problem.line,
                "endColumn": problem.column.saturating_add(problem.width),
                "snippet": {"text": problem.snippet},
            },
        }}],
    });
    if let (Some(rule), Some(fields)) = (rule, result.as_object_mut()) {
        fields.insert("ruleIndex".to_owned(), json!(rule));
    }
    result
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}

/// A path as a relative reference; a leading `./` says nothing.
fn uri(path: &str) -> String {
    let mut out = String::new();
    for byte in path.trim_start_matches("./").bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_counts_code_points_and_names_its_rule() {
        let text = "version: 1\nrules: [{id: a, any: ['港口 AND quay OR pier']}]\n";
        let problems =
            crate::rules::load(&[("./my rules/ä.yaml".to_owned(), text.to_owned())]).unwrap_err();
        let log: Value = serde_json::from_str(&log(&problems)).unwrap();
        let run = &log["runs"][0];
        let result = &run["results"][0];
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "my%20rules/%C3%A4.yaml");
        assert_eq!(place["region"]["startColumn"], 36);
        assert_eq!(place["region"]["endColumn"], 38);
        assert_eq!(run["columnKind"], "unicodeCodePoints");
        let rule = result["ruleIndex"].as_u64().unwrap() as usize;
        assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
        assert_eq!(uri("/etc/wirebell/rules.yaml"), "/etc/wirebell/rules.yaml");
    }
}
