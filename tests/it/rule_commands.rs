//! `wirebell rules` and `match` as their users run them.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;

const GOOD: &str = "version: 1
words: {ferry: [ferr*, 渡輪, 渡轮]}
rules:
  - id: ferry-stop
    key: none
    any: [$ferry NEAR/3 suspended]
    all: [[dover, calais]]
    unless: [drill]
    tests:
      should_match: [Ferries suspended at Dover]
      should_not_match: [Ferries suspended at Dover for a drill]
      story: [{article: Ferry suspended at Calais, expect: opened}]
  - {id: french, key: none, lang: fr, any: [ferry], tests: {should_not_match: [x-ray]}}
";

struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs the program in a folder with standard input.
fn run(folder: &Path, args: &[&str], input: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wirebell"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments reads no input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let ran = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: ran.status.code().unwrap(), out: text(ran.stdout), err: text(ran.stderr) }
}

fn folder(rules: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    std::fs::write(folder.path().join("config/rules.yaml"), rules).unwrap();
    folder
}

#[test]
fn rules_test_runs_examples_and_stories_and_counts_them() {
    let folder = folder(GOOD);
    let ran = run(folder.path(), &["rules", "test", "--junit", "out.xml"], "");
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert_eq!(ran.err, "4 of 4 tests passed (2 rules)\n");
    let report = std::fs::read_to_string(folder.path().join("out.xml")).unwrap();
    assert!(
        report.contains("<testsuites name=\"wirebell\" tests=\"4\" failures=\"0\">"),
        "{report}"
    );
    let other = tempfile::tempdir().unwrap();
    let ran = run(other.path(), &["rules", "test"], "");
    assert_eq!(ran.code, 0, "the shipped rules: {}", ran.err);
}

#[test]
fn a_failing_test_is_told_with_its_place_and_what_happened_instead() {
    let bad = GOOD
        .replace(
            "should_match: [Ferries suspended at Dover]",
            "should_match: [Ferries sail, Ferries suspended at Dover in a drill]",
        )
        .replace("expect: opened", "expect: nothing");
    let folder = folder(&bad);
    let ran = run(folder.path(), &["rules", "test", "--rules", "config"], "");
    assert_eq!(ran.code, 1);
    let expected = "\
error: a test of ferry-stop fails: it should match \"Ferries sail\", but any[0] does not match
  --> config/rules.yaml:10:22
10 |       should_match: [Ferries sail, Ferries suspended at Dover in a drill]
   |                      ^ change the rule or the test: both must agree
";
    assert!(ran.out.starts_with(expected), "{}", ran.out);
    assert!(ran.out.contains("but unless[0] forbids \"drill\""), "{}", ran.out);
    assert!(ran.out.contains("step 1 expects nothing, not alert.opened"), "{}", ran.out);
    assert_eq!(ran.err, "2 of 5 tests passed (2 rules)\n");
    let ran = run(folder.path(), &["--output", "json", "rules", "test"], "");
    let first: Value = serde_json::from_str(ran.out.lines().next().unwrap()).unwrap();
    assert_eq!((first["code"].as_str(), first["line"].as_u64()), (Some("test"), Some(10)));
}

#[test]
fn check_and_a_worker_refuse_rules_whose_tests_fail() {
    let folder = folder(&GOOD.replace("at Dover]", "at Hull]"));
    for args in [
        &["check"][..],
        &["run", "--data", "d", "--listen", "127.0.0.1:0"],
        &["worker", "rules", "--nats", "nats://127.0.0.1:9"],
    ] {
        let ran = run(folder.path(), args, "");
        assert_eq!(ran.code, 78, "{args:?} {}", ran.err);
        assert!(ran.err.contains("--> config/rules.yaml:10:22\n10 |"), "{args:?} {}", ran.err);
        assert!(
            ran.err.contains("nothing of all[0] matches") || ran.err.contains("all[0]"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn lint_prints_text_json_and_sarif_and_fails_when_told_to() {
    let folder = folder(&GOOD.replace("渡轮", "渡船"));
    let ran = run(folder.path(), &["rules", "lint"], "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("warning: 渡輪 is traditional"), "{}", ran.out);
    assert_eq!(ran.err, "0 errors, 1 warning\n");
    let args = ["rules", "lint", "--format", "json", "--deny", "warnings", "--sarif", "log.sarif"];
    let ran = run(folder.path(), &args, "");
    assert_eq!(ran.code, 1);
    let problem: Value = serde_json::from_str(&ran.out).unwrap();
    let keys: Vec<&String> = problem.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["code", "column", "file", "line", "message", "remedy", "severity"]);
    assert_eq!(problem["severity"], "warning");
    let written = std::fs::read_to_string(folder.path().join("log.sarif")).unwrap();
    let log: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "one-han-form");
    let ran = run(folder.path(), &["rules", "lint", "--format", "sarif"], "");
    assert_eq!(ran.out.trim_end(), written.trim_end());
    let ran = run(folder.path(), &["check"], "");
    assert!(ran.code == 0 && ran.err.contains("warning: 渡輪"), "{}", ran.err);
    let ran = run(folder.path(), &["--output", "json", "check"], "");
    assert!(ran.code == 0 && ran.out.contains("one-han-form"), "{}", ran.out);
    std::fs::write(folder.path().join("bad.yaml"), "version: 1\nrulez: []\n").unwrap();
    let ran = run(folder.path(), &["rules", "lint", "--rules", "bad.yaml"], "");
    assert!(ran.code == 1 && ran.out.contains("did you mean rules?"), "{}", ran.out);
    let ran = run(folder.path(), &["rules", "lint", "--rules", "away.yaml"], "");
    assert!(ran.code == 1 && ran.err.contains("cannot read away.yaml"), "{}", ran.err);
}

#[test]
fn a_query_is_tried_on_text_with_and_without_lists() {
    let folder = folder(GOOD);
    let text = "Storm\n\nAll ferries were suspended at noon.\n";
    let ran = run(folder.path(), &["rules", "try", "ferr* NEAR/3 suspended"], text);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out, "Storm\n    body 4-26  All «ferries were suspended» at noon.\n");
    let args = ["--output", "json", "rules", "try", "$ferry AND quay", "--rules", "config"];
    let tried: Value = serde_json::from_str(&run(folder.path(), &args, text).out).unwrap();
    assert_eq!(
        (&tried["matches"], tried["evidence"].as_array().unwrap().len()),
        (&Value::Bool(false), 0)
    );
    assert_eq!(tried["sides"][0]["evidence"][0]["term"], "words.ferry[0]");
    assert_eq!(tried["sides"][1]["evidence"].as_array().unwrap().len(), 0);
    let ran = run(folder.path(), &["rules", "try", "storm AND $ferry OR quay"], text);
    assert_eq!(ran.code, 2);
    let ran = run(folder.path(), &["rules", "try", "ferry AND quay OR pier"], "");
    assert_eq!(
        ran.err,
        "error: OR beside AND needs parentheses\n  --> query:1:16\n1 | ferry AND quay OR pier\n  |                ^^ write (ferry AND quay) OR pier, or ferry AND (quay OR pier)\n"
    );
}

#[test]
fn match_says_what_kept_a_rule_from_matching() {
    let folder = folder(GOOD);
    let told = |text: &str| run(folder.path(), &["match"], text).out;
    let out = told("Ferry suspended at Dover in a drill\n");
    assert!(
        out.contains(
            "not ferry-stop: unless[0] forbids it\n    title 30-35 \"drill\" by unless[0]"
        ),
        "{out}"
    );
    assert!(out.contains("not french: lang keeps the article out"), "{out}");
    let out = told("Ferry suspended at Hull\n");
    assert!(out.contains("not ferry-stop: nothing of all[0] matches"), "{out}");
    let out = told("A quiet day\n");
    assert!(out.contains("no rule matches") && !out.contains("not "), "{out}");
    let args = ["--output", "json", "match", "--rules", "config/rules.yaml"];
    let ran = run(folder.path(), &args, "Ferry suspended at Dover\n");
    let matched: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(matched["matches"][0]["rule"], "ferry-stop");
}

#[test]
fn the_schema_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["rules", "schema"], "");
    assert_eq!((ran.code, ran.out), (0, wirebell::rules::schema()));
}

#[test]
fn bench_match_tells_its_figures_and_agrees_with_the_definitions() {
    let folder = folder(GOOD);
    let bodies = [
        "The car ferry from Dover was suspended at noon, and the sea-wall at Calais is closed today.",
        "昨日、港口關閉のためガス漏れが発生した。渡輪停航も続いている。",
        "Порт Київ закрито через шторм, паромники чекають на березі вже другу добу поспіль, каже мер.",
    ];
    let lines: Vec<String> = (0..)
        .zip(bodies)
        .map(|(id, body)| {
            serde_json::json!({"id": format!("a{id}"), "title": "", "body": body}).to_string()
        })
        .collect();
    std::fs::write(folder.path().join("articles.jsonl"), lines.join("\n")).unwrap();
    let bench = |more: &[&str]| {
        let mut args = vec!["bench", "match", "--articles", "articles.jsonl", "--passes", "1"];
        args.extend(["--verify", "--output", "json"]);
        args.extend(more);
        let ran = run(folder.path(), &args, "");
        assert_eq!(ran.code, 0, "{args:?} {}", ran.err);
        serde_json::from_str::<Value>(&ran.out).unwrap()
    };
    let made = ["--generate", "200"];
    let first = bench(&made);
    assert_eq!((&first["rules"], &first["articles"]), (&Value::from(200), &Value::from(3)));
    assert_eq!(first["verified"], 3);
    assert!(first["matches"].as_u64().unwrap() > 0, "{first}");
    for name in ["mean_us", "p50_us", "p99_us", "build_ms", "rss_mb"] {
        assert!(first[name].is_number(), "{name}: {first}");
    }
    // The dictionaries are seeded anew in each process.
    assert_eq!(first["hash"], bench(&made)["hash"]);
    assert_eq!(bench(&["--generate", "50", "--literals"])["verified"], 3);
    assert_eq!(bench(&["--rules", "config/rules.yaml"])["matches"], 1);
}

#[test]
fn bench_push_tells_its_figures() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["bench", "push", "--count", "100", "--output", "json"];
    let ran = run(folder.path(), &args, "");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let figures: Value = serde_json::from_str(&ran.out).unwrap();
    for name in ["articles_per_s", "partly_known_per_s", "floor_acks_per_s", "ratio"] {
        assert!(figures[name].as_f64().is_some_and(|n| n > 0.0), "{name}: {figures}");
    }
}

#[test]
fn a_configuration_folder_without_rules_has_the_shipped_ones() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wirebell.yaml"), "log_format: json\n").unwrap();
    let ran = run(folder.path(), &["rules", "test", "--rules", "."], "");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    let shipped = run(folder.path(), &["rules", "test"], "");
    assert_eq!(ran.out, shipped.out);
    std::fs::remove_file(folder.path().join("wirebell.yaml")).unwrap();
    let ran = run(folder.path(), &["rules", "test", "--rules", "."], "");
    assert!(ran.code == 1 && ran.err.contains("holds no rule files"), "{}", ran.err);
}
