//! A rule in shadow mode does all its work and rings nobody.

use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::flow::push_all;
use crate::e2e::wait_for;
use crate::support::running::Running;

const RULES: &str = "version: 1
rules:
  - {id: whisper-ends, ends: whisper, any: [silence]}
  - {id: whisper, any: [whisper], key: none, mode: shadow, update_every: 0s,
     confirm: {distinct_sources: 2, within: 1h}}
  - {id: siren, any: [siren], key: none}
";
const LIFE: [&str; 4] = ["alert.opened", "alert.updated", "alert.confirmed", "alert.ended"];

fn kinds(events: &Value) -> Vec<&str> {
    events.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_in_shadow_mode_lives_is_recorded_and_shown_and_told_to_nobody() {
    let running = Running::alone(Desk::new(RULES)).await;
    let article =
        |title: &str, source: &str| json!({"title": title, "body": "x", "source": source});
    let articles = [
        article("A whisper", "skylark"),
        article("A whisper again", "skylark"),
        article("One more whisper", "harbour"),
        article("Silence", "harbour"),
        // It comes last, so all before it has been looked at when it rings.
        article("A siren", "skylark"),
    ];
    push_all(|| running.api.clone(), &articles, 1);
    let rung = running.receiver.wait_for(1).into_values().next().unwrap().remove(0).json();
    assert_eq!(
        (&rung["data"]["alert"]["rule"], &rung["data"]["event"]["sequence"]),
        (&json!("siren"), &json!(1))
    );

    let listed = wait_for("the shadow's end", || {
        let all = running.get("/v1/alerts?topic=whisper&status=ended");
        all["data"].get(0).cloned()
    });
    assert_eq!((&listed["mode"], &listed["events"]), (&json!("shadow"), &json!(4)));
    let id = listed["id"].as_str().unwrap();
    let shown = running.get(&format!("/v1/alerts/{id}"));
    assert_eq!((kinds(&shown["events"]), &shown["told"]), (LIFE.to_vec(), &json!([])));
    let why = running.get(&format!("/v1/alerts/{id}/why"));
    assert_eq!((kinds(&why["events"]), &why["mode"]), (LIFE.to_vec(), &json!("shadow")));
    assert_eq!(why["deliveries"], json!([]));
    for args in [&["alerts", "list"][..], &["why", id], &["alerts", "show", id]] {
        let text = running.said(args);
        let line = text.lines().find(|line| line.starts_with(id)).unwrap();
        assert!(line.ends_with("[shadow]"), "{args:?}: {text}");
        assert_eq!(text.matches("[shadow]").count(), 1, "{args:?}: {text}");
    }
    let rules = running.desk.path().join("config/rules.yaml").display().to_string();
    let past = running.said(&["backtest", "--rules", &rules, "--since", "1d"]);
    assert_eq!(past.lines().filter(|line| line.ends_with("[shadow]")).count(), 4, "{past}");
    assert_eq!(running.receiver.hooks().len(), 1, "nothing of it was delivered");
}
