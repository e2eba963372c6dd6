//! What is shipped for those who watch Wirebell, held to what Wirebell tells.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::e2e::Desk;
use crate::e2e::RULES;
use crate::e2e::flow::push_all;
use crate::e2e::wait_for;
use crate::support::http::ask;
use crate::support::running::Running;

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/observability"))
}

/// Names of metrics as the code declares them.
fn declared() -> BTreeSet<String> {
    let source = include_str!("../../src/telemetry/metric.rs");
    let names = source.split('"').filter(|part| part.starts_with("wirebell_"));
    names.map(str::to_owned).collect()
}

/// Names of metrics in a text, without what histograms add to theirs.
fn named(text: &str) -> BTreeSet<String> {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_of_a_name(c)).filter(|word| word.starts_with("wirebell_"));
    let bare = |word: &str| word.strip_suffix("_bucket").unwrap_or(word).to_owned();
    words.map(bare).collect()
}

/// Metrics that would be told in words if they were ever needed: no panel shows them.
const NOT_SHOWN: [&str; 12] = [
    "wirebell_attempts_dropped_total",
    "wirebell_audit_lost_total",
    "wirebell_bus_overtaken_total",
    "wirebell_bus_reader_restarts_total",
    "wirebell_bus_refusals_total",
    "wirebell_cap_files_total",
    "wirebell_config_last_reload_success_timestamp_seconds",
    "wirebell_config_last_reload_successful",
    "wirebell_delivery_warnings_total",
    "wirebell_feed_poll_seconds",
    "wirebell_traces_lost_total",
    "wirebell_traces_sent_total",
];

#[test]
fn dashboard_and_alerts_ask_for_what_is_measured() {
    let dashboard = std::fs::read_to_string(folder().join("grafana/dashboards/wirebell.json"));
    let dashboard = dashboard.unwrap();
    let alerts = std::fs::read_to_string(folder().join("wirebell-alerts.yml")).unwrap();
    let tests = std::fs::read_to_string(folder().join("wirebell-alerts-test.yml")).unwrap();
    let declared = declared();
    for (what, text) in [("dashboard", &dashboard), ("alerts", &alerts), ("tests", &tests)] {
        let unknown: Vec<_> = named(text).difference(&declared).cloned().collect();
        assert!(unknown.is_empty(), "{what}: {unknown:?}");
    }
    let shown = named(&dashboard);
    let hidden: BTreeSet<&str> = declared.difference(&shown).map(String::as_str).collect();
    let allowed: BTreeSet<&str> = NOT_SHOWN.into_iter().chain(["wirebell_pages_total"]).collect();
    assert_eq!(hidden, allowed);
    let panels: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = panels["panels"].as_array().unwrap();
    assert!(panels.iter().all(|panel| panel["title"].is_string() && panel["targets"].is_array()));
    // Each alert has a test that sees it, or sees that it keeps still.
    let names = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    for name in names {
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} has no test");
    }
}

#[test]
fn promtool_is_content_with_the_alerts() {
    let run = |args: &[&str]| Command::new("promtool").args(args).current_dir(folder()).output();
    if run(&["--version"]).is_err() {
        assert!(std::env::var_os("CI").is_none(), "promtool is not installed");
        eprintln!("promtool is not installed: the alerts are not tested");
        return;
    }
    for args in [
        ["check", "rules", "wirebell-alerts.yml"],
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "wirebell-alerts-test.yml"],
    ] {
        let done = run(&args).unwrap();
        let said = [done.stdout, done.stderr].concat();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&said));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_process_tells_what_it_does() {
    let running = Running::alone(Desk::new(RULES)).await;
    let api = running.api.clone();
    let article = serde_json::json!({"title": "Siren", "body": "", "source": "skylark"});
    push_all(|| api.clone(), &[article], 1);
    running.receiver.wait_for(1);
    let declared = declared();
    wait_for("every figure", || {
        let (status, text) = ask("GET", &format!("{api}/metrics"), "", b"")?;
        let text = String::from_utf8(text).ok()?;
        assert_eq!(status, 200);
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let told: BTreeSet<String> = samples
            .flat_map(|line| {
                let name = line.split(['{', ' ']).next().unwrap_or_default();
                let name = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|s| name.strip_suffix(s))
                    .unwrap_or(name);
                Some(name.to_owned()).filter(|name| name.starts_with("wirebell_"))
            })
            .collect();
        let unknown: Vec<_> = told.difference(&declared).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        let wanted = [
            "wirebell_build_info",
            "wirebell_ruleset_info",
            "wirebell_bus_cursor_lag",
            "wirebell_events_total",
            "wirebell_event_latency_seconds",
            "wirebell_delivery_seconds",
            "wirebell_delivery_oldest_seconds",
            "wirebell_rules_matches_total",
            "wirebell_rules_match_seconds",
            "wirebell_bus_commit_seconds",
            "wirebell_config_last_reload_successful",
            "wirebell_ingest_articles_total",
        ];
        wanted.iter().all(|name| told.contains(*name)).then_some(())
    });
}
