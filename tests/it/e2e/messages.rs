//! CAP messages through real workers, pushed as an agency would.

use serde_json::Value;
use serde_json::json;
use wirebell::clock::Clock;
use wirebell::model::Time;

use crate::e2e::Desk;
use crate::e2e::Receiver;
use crate::e2e::ask;
use crate::e2e::wait_for;
use crate::support::nats::Server;
use crate::support::running::Running;

const RULES: &str = "version: 1
rules:
  - {id: storm, any: [storm warning], unless: [drill], key: none}
";

/// Pushes a message in two languages; the rule finds its words in the English one only. Answers
/// the article's id.
fn push(running: &Running, number: u32, status: &str, english: &str) -> String {
    let info = |lang: &str, headline: &str| {
        format!(
            "<info><language>{lang}</language><category>Met</category><event>{headline}</event>\
             <urgency>Expected</urgency><severity>Severe</severity><certainty>Likely</certainty>\
             <headline>{headline}</headline></info>"
        )
    };
    let infos = info("en", english) + &info("zh-TW", "多佛天氣報告");
    let message = format!(
        "<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><identifier>m{number}</identifier>\
         <sender>weather</sender><sent>{}</sent><status>{status}</status><msgType>Alert</msgType>\
         <scope>Public</scope>{infos}</alert>",
        Time::from_millis(Clock::System.now_ms())
    );
    let url = format!("{}/v1/articles", running.api);
    let (status, said) = ask("POST", &url, "application/cap+xml", message.as_bytes()).unwrap();
    assert_eq!(status, 202, "{said}");
    said["accepted"][0]["id"].as_str().unwrap().to_owned()
}

/// The language of the evidence and the silent one, and the nature, wherever the alert is shown.
fn check(running: &Running, body: &Value, nature: &str) {
    assert_eq!(body["type"], "alert.opened");
    let alert = &body["data"]["alert"];
    let id = alert["id"].as_str().unwrap();
    let shown = running.get(&format!("/v1/alerts/{id}"));
    let why = running.get(&format!("/v1/alerts/{id}/why"));
    let list = running.get("/v1/alerts");
    let listed = list["data"].as_array().unwrap().iter().find(|a| a["id"] == id).unwrap();
    for view in [alert, listed, &shown["alert"], &why["alert"]] {
        assert_eq!((&view["nature"], &view["confirmation"]), (&json!(nature), &json!("confirmed")));
    }
    for article in
        [&body["data"]["articles"][0], &shown["events"][0]["articles"][0], &why["articles"][0]]
    {
        assert_eq!(article["silent_langs"], json!(["zh-TW"]), "{article}");
    }
    for evidence in [
        &body["data"]["articles"][0]["evidence"],
        &shown["events"][0]["articles"][0]["evidence"],
        &why["articles"][0]["matches"][0]["evidence"],
    ] {
        assert_eq!(
            (&evidence[0]["text"], &evidence[0]["lang"]),
            (&json!("storm warning"), &json!("en"))
        );
        assert_eq!(evidence.as_array().unwrap().len(), 1, "{evidence}");
    }
    let (why, show) = (running.said(&["why", id]), running.said(&["alerts", "show", id]));
    let listed = running.said(&["alerts", "list"]);
    let line = listed.lines().find(|line| line.starts_with(id)).unwrap();
    for text in [&why, &show] {
        assert!(text.contains("in its text in en"), "{text}");
        assert!(text.contains("nothing was found in its text in zh-TW"), "{text}");
    }
    for text in [&why, &show, line] {
        assert_eq!(text.contains("[exercise]"), nature == "exercise", "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_shows_its_silent_language_and_an_exercise_is_never_told_as_actual() {
    let Some(nats) = Server::start() else { return };
    let kinds = ["api", "rules", "notifier"];
    let running = Running::divided(Desk::new(RULES), &kinds, &nats).await;
    let curious = Receiver::default();
    let wanted = json!({"url": curious.start().await, "topics": ["*"],
        "natures": ["actual", "exercise"]});
    let path = format!("{}/v1/subscriptions", running.api);
    let (status, made) =
        ask("POST", &path, "application/json", wanted.to_string().as_bytes()).unwrap();
    assert_eq!(status, 201, "{made}");
    let exercise = push(&running, 1, "Exercise", "A drill: storm warning for Dover");
    push(&running, 2, "Actual", "A storm warning for Dover");

    let mut told: Vec<Value> =
        curious.wait_for(2).into_values().flatten().map(|hook| hook.json()).collect();
    told.sort_by_key(|body| body["data"]["event"]["sequence"].as_u64());
    check(&running, &told[0], "exercise");
    check(&running, &told[1], "actual");
    // Whoever asked for no natures is told of the actual one alone.
    let plain = running.receiver.wait_for(1).into_values().next().unwrap().remove(0).json();
    assert_eq!(plain["data"]["alert"], told[1]["data"]["alert"]);
    let stage = wait_for("the filter that stopped it", || {
        let subscription = &running.subscription;
        let why_not =
            running.get(&format!("/v1/why-not?article={exercise}&subscription={subscription}"));
        (why_not["stage"] != "unread").then_some(why_not)
    });
    assert_eq!(stage["stage"], "filter", "{stage}");
    assert!(stage["detail"].as_str().unwrap().contains("its natures"), "{stage}");
    assert_eq!(running.receiver.hooks().len(), 1);
}
