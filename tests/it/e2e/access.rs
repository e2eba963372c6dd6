//! Who may ask for what, from the command line that makes a token to the audit.

use std::process::Output;

use serde_json::Value;
use serde_json::json;
use wirebell::model::token::Scopes;
use wirebell::model::token::make;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::RULES;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::http::exchange;

/// Status, head and JSON of a call.
type Answer = (u16, String, Value);

/// A desk whose API asks for tokens.
struct Guarded {
    desk: Desk,
    process: Process,
}

fn token(n: u8) -> String {
    make("any", &Scopes::all(), [n; 32]).unwrap().token
}

impl Guarded {
    fn start(settings: &str) -> Self {
        let [desk, ci, boss] = [1, 2, 3].map(token);
        let tokens = format!(
            "egress: {{allow: [127.0.0.0/8]}}\ntokens:\n  - desk:read+subscribe:{desk}\n  \
             - ci:ingest:{ci}\n  - boss:admin:{boss}\n{settings}"
        );
        let desk = Desk::with_settings(RULES, &tokens);
        let process = desk.run();
        wait_ready(&process.api());
        Self { desk, process }
    }

    fn call(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let api = self.process.api();
        let address = api.strip_prefix("http://").unwrap();
        let (method, path) = line.split_once(' ').unwrap();
        let kind = if path.starts_with("/v1/") {
            "application/json"
        } else {
            "application/x-www-form-urlencoded"
        };
        let mut all = vec![("host", address), ("content-type", kind)];
        all.extend_from_slice(headers);
        let answer =
            wait_for("an answer", || exchange(address, method, path, &all, body.as_bytes()));
        let (status, head, body) = answer;
        (status, head, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn by(&self, token: &str, line: &str, body: &str) -> Answer {
        self.call(line, &[("authorization", &format!("Bearer {token}"))], body)
    }

    fn cli(&self, token: &str, args: &[&str]) -> Output {
        let mut command = self.desk.command(args);
        command.env("WIREBELL_API", self.process.api()).env("WIREBELL_TOKEN", token);
        command.output().unwrap()
    }
}

const SUBSCRIPTION: &str = r#"{"url": "http://127.0.0.1:9000/", "topics": ["*"]}"#;

#[test]
fn each_token_may_do_what_its_scopes_say_and_nobody_else_anything() {
    let guarded = Guarded::start("");
    let [desk, ci, boss] = [1, 2, 3].map(token);
    let other = token(4);
    let article = r#"{"title": "Siren in the north", "body": "", "id": "a"}"#;
    let no_alert = format!("POST /v1/alerts/alr_{}/end", "a".repeat(26));
    let rows: [(&str, &str, [u16; 4]); 7] = [
        ("GET /v1/alerts", "", [200, 403, 200, 401]),
        ("GET /metrics", "", [200, 403, 200, 401]),
        ("GET /v1/topics", "", [200, 403, 200, 401]),
        ("GET /v1/subscriptions", "", [200, 403, 200, 401]),
        ("POST /v1/articles", article, [403, 202, 202, 401]),
        (&no_alert, r#"{"reason": "over"}"#, [403, 403, 404, 401]),
        ("GET /livez", "", [200, 200, 200, 401]),
    ];
    for (line, body, wanted) in rows {
        for (token, status) in [&desk, &ci, &boss, &other].into_iter().zip(wanted) {
            let (got, _, said) = guarded.by(token, line, body);
            assert_eq!(got, status, "{line} by {token}: {said}");
        }
    }
    let (status, head, said) = guarded.call("GET /v1/alerts", &[], "");
    assert_eq!(status, 401, "{said}");
    assert!(head.contains("www-authenticate: bearer"), "{head}");
    let mistyped = guarded.by(&desk.replacen("wb_a", "wb_b", 1), "GET /v1/alerts", "").2;
    assert!(mistyped["detail"].as_str().unwrap().contains("mistyped"), "{mistyped}");
    assert!(!guarded.process.log().contains(&desk), "a token is in the log");
    let listed = guarded.cli(&desk, &["alerts", "list"]);
    assert!(listed.status.success(), "{listed:?}");
    assert_eq!(guarded.cli("", &["alerts", "list"]).status.code(), Some(1));
}

#[test]
fn a_token_that_asks_too_often_waits_and_no_other_does() {
    let guarded = Guarded::start("token_rate: 1\n");
    let [desk, _, boss] = [1, 2, 3].map(token);
    let refused = wait_for("a refusal", || {
        Some(guarded.by(&desk, "GET /v1/topics", "")).filter(|(status, ..)| *status == 429)
    });
    assert!(refused.1.contains("retry-after: "), "{}", refused.1);
    assert_eq!(guarded.by(&boss, "GET /v1/topics", "").0, 200);
}

#[test]
fn every_change_is_written_down_with_who_made_it() {
    let guarded = Guarded::start("");
    let [desk, _, boss] = [1, 2, 3].map(token);
    let (status, _, made) = guarded.by(&desk, "POST /v1/subscriptions", SUBSCRIPTION);
    assert_eq!(status, 201, "{made}");
    let path = format!("/v1/subscriptions/{}", made["id"].as_str().unwrap());
    assert_eq!(guarded.by(&desk, &format!("POST {path}/pause"), "{}").0, 200);
    assert_eq!(guarded.by(&desk, &format!("PATCH {path}"), r#"{"url": "no"}"#).0, 422);
    assert_eq!(guarded.by(&boss, &format!("DELETE {path}"), "").0, 204);
    assert_eq!(guarded.by(&desk, "GET /v1/audit", "").0, 403);
    let rows = |answer: &Value| -> Vec<Value> {
        let list = answer["data"].as_array().unwrap();
        list.iter().map(|c| json!([c["who"], c["action"], c["target"], c["status"]])).collect()
    };
    let (_, _, first) = guarded.by(&boss, "GET /v1/audit?limit=2", "");
    let removed = json!(["boss", "DELETE /v1/subscriptions/{id}", path, 204]);
    let paused = json!(["desk", "POST /v1/subscriptions/{id}/pause", format!("{path}/pause"), 200]);
    assert_eq!(rows(&first), [removed, paused]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, _, rest) = guarded.by(&boss, &format!("GET /v1/audit?cursor={cursor}"), "");
    assert_eq!(rows(&rest), [json!(["desk", "POST /v1/subscriptions", path, 201])]);
    assert_eq!(rest["next_cursor"], Value::Null);
}

#[test]
fn a_browser_signs_in_with_a_token_and_no_page_of_another_site_writes() {
    let guarded = Guarded::start("");
    assert_eq!(guarded.call("GET /alerts", &[("accept", "text/html")], "").0, 401);
    let wrong = guarded.call("POST /signin", &[], "token=wrong-token&next=/alerts");
    assert_eq!(wrong.0, 401);
    let form = format!("token={}&next=/alerts", token(1));
    let (status, head, _) = guarded.call("POST /signin", &[], &form);
    assert_eq!(status, 303, "{head}");
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("httponly") && cookie.contains("samesite=strict"), "{cookie}");
    // The head came in small letters, as the session's name and seal are.
    let cookie = cookie.split(';').next().unwrap();
    let with = |origin: &'static str| [("cookie", cookie), ("origin", origin)];
    assert_eq!(guarded.call("GET /v1/alerts", &with(""), "").0, 200);
    let ours = guarded.process.api();
    let write = |origin: &str| {
        guarded
            .call("POST /v1/subscriptions", &[("cookie", cookie), ("origin", origin)], SUBSCRIPTION)
            .0
    };
    assert_eq!(write("https://evil.example"), 403);
    assert_eq!(write("null"), 403);
    assert_eq!(write(&ours), 201);
    let (_, head, _) = guarded.call("POST /signout", &with(""), "");
    assert!(head.contains("max-age=0"), "{head}");
    assert_eq!(
        guarded.call("GET /v1/alerts", &[("cookie", "wirebell_session=desk.9.a")], "").0,
        401
    );
}

#[test]
fn a_token_is_made_on_the_command_line_and_opens_the_door_beyond_this_machine() {
    let desk = Desk::new(RULES);
    let made = desk
        .command(&["token", "create", "night-desk", "--scopes", "read,ingest", "--file", "tokens"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let file = std::fs::read_to_string(desk.path().join("tokens")).unwrap();
    assert!(file.starts_with("night-desk:ingest+read:sha256:") && !file.contains(&token), "{file}");
    let again = desk.command(&["token", "create", "night-desk", "--file", "tokens"]).output();
    assert_eq!(again.unwrap().status.code(), Some(2), "one name, two tokens");
    // With a token it may listen beyond loopback, and without one it may not.
    let everywhere = ["run", "--listen", "0.0.0.0:0"];
    let refused = desk.command(&everywhere).output().unwrap();
    assert_eq!(refused.status.code(), Some(78), "{refused:?}");
    let mut command = desk.command(&everywhere);
    command.env("WIREBELL_TOKENS_FILE", desk.path().join("tokens"));
    let process = Process::start(command);
    let port = process.api().rsplit_once(':').unwrap().1.to_owned();
    let ask = |headers: &[(&str, &str)]| {
        let address = format!("127.0.0.1:{port}");
        let answer =
            wait_for("an answer", || exchange(&address, "GET", "/v1/alerts", headers, b""));
        answer.0
    };
    let bearer = format!("Bearer {token}");
    assert_eq!(ask(&[("host", "any.example"), ("authorization", &bearer)]), 200);
    assert_eq!(ask(&[("host", "127.0.0.1")]), 401);
}
