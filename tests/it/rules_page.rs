//! `docs/rules.md`: every example in it is run; its commands are run by `guides`.

use std::collections::BTreeSet;

use wirebell::config::test_rules;
use wirebell::rules::ERRORS;
use wirebell::rules::WARNINGS;
use wirebell::rules::lint;
use wirebell::rules::load;
use wirebell::rules::try_query;

const PAGE: &str = include_str!("../../docs/rules.md");

/// Fenced blocks: what stands behind the fence, and the text.
fn blocks() -> Vec<(&'static str, String)> {
    let mut blocks = Vec::new();
    let mut lines = PAGE.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((kind, text.join("\n") + "\n"));
        }
    }
    blocks
}

/// The rows of each table whose first heading is this.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let mut rows = Vec::new();
    let mut inside = false;
    for line in PAGE.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        inside = line.starts_with('|') && (inside || cells[0] == heading);
        if inside && cells[0] != heading && !line.starts_with("|-") {
            rows.push(cells);
        }
    }
    rows
}

fn file(text: &str) -> [(String, String); 1] {
    [("rules.yaml".to_owned(), text.to_owned())]
}

fn shown(problems: &[wirebell::rules::Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

#[test]
fn rule_files_load_pass_their_tests_and_are_clean() {
    let mut count = 0;
    for (kind, text) in blocks().into_iter().filter(|(kind, _)| kind.starts_with("yaml rules")) {
        let tested = test_rules(&file(&text)).unwrap_or_else(|e| panic!("{text}\n{}", shown(&e)));
        assert!(tested.failures().is_empty(), "{}", shown(&tested.failures()));
        let mut warnings = lint(&file(&text)).unwrap();
        // The first glance has no tests yet.
        warnings.retain(|w| kind != "yaml rules quick" || !["no-counterexample"].contains(&w.code));
        assert!(warnings.is_empty(), "{}", shown(&warnings));
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn what_is_said_of_a_file_is_said() {
    let blocks = blocks();
    let mut count = 0;
    for pair in blocks.windows(2) {
        let [(kind, text), (next, said)] = pair else { continue };
        if *next != "text said" {
            continue;
        }
        let problems = match *kind {
            "yaml bad" => load(&file(text)).unwrap_err(),
            "yaml warned" => lint(&file(text)).unwrap(),
            other => panic!("{other}"),
        };
        assert_eq!(format!("{}\n", shown(&problems)), *said);
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn queries_find_what_their_rows_say() {
    let rows = rows("query");
    assert!(rows.len() >= 25);
    for row in rows {
        let [query, text, finds] = row[..] else { panic!("{row:?}") };
        let found = try_query(query.trim_matches('`'), "", text).unwrap();
        let found: Vec<&str> = found.iter().map(|e| e.text.as_str()).collect();
        let wanted: Vec<&str> =
            if finds == "–" { Vec::new() } else { finds.split(" · ").collect() };
        assert_eq!(found, wanted, "{query} on {text}");
    }
}

#[test]
fn every_key_and_every_code_has_its_row() {
    let names = |heading: &str| -> BTreeSet<&str> {
        rows(heading).iter().map(|row| row[0].trim_matches('`')).collect()
    };
    let schema: serde_json::Value = serde_json::from_str(&wirebell::rules::schema()).unwrap();
    let keys = names("key");
    for of in [
        &schema["properties"],
        &schema["definitions"]["Rule"]["properties"],
        &schema["definitions"]["Tests"]["properties"],
    ] {
        for key in of.as_object().unwrap().keys() {
            assert!(keys.contains(key.as_str()), "{key}");
        }
    }
    let told: BTreeSet<&str> = ERRORS.iter().chain(&WARNINGS).map(|(code, _)| *code).collect();
    assert_eq!(names("code"), told);
}
