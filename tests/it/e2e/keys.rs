//! Keys that turn, and what a receiver asks to be shown beside the signature.

use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::Hook;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::e2e::reload::push;
use crate::e2e::wait_for;
use crate::support::nats::Server;
use crate::support::running::Running;
use crate::support::scripted::Scripted;

const OLD: &str = "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLW9sZCE=";
const NEW: &str = "whsec_bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldyE=";

/// A subscription whose receiver answers as it is told.
struct Desked {
    running: Running,
    receiver: Scripted,
    id: String,
}

impl Desked {
    async fn with(running: Running, more: Value) -> Self {
        let receiver = Scripted::default();
        let mut wanted = json!({"url": receiver.start().await, "topics": ["*"]});
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let url = format!("{}/v1/subscriptions", running.api);
        let (status, made) =
            ask("POST", &url, "application/json", wanted.to_string().as_bytes()).unwrap();
        assert_eq!(status, 201, "{made}");
        Self { running, receiver, id: made["id"].as_str().unwrap().to_owned() }
    }

    fn call(&self, method: &str, rest: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/v1/subscriptions/{}{rest}", self.running.api, self.id);
        ask(method, &url, "application/json", body.to_string().as_bytes()).unwrap()
    }

    fn post(&self, what: &str, body: &Value) -> (u16, Value) {
        self.call("POST", what, body)
    }

    fn shown(&self) -> Value {
        self.running.get(&format!("/v1/subscriptions/{}", self.id))
    }

    /// A `test.ping` signed and sent by the definition as it is now.
    fn ping(&self) -> Hook {
        let before = self.receiver.taken().len();
        assert_eq!(self.post("/test", &json!({})).0, 202);
        self.receiver.wait_for(before + 1).pop().unwrap()
    }
}

/// The receiver refuses, the key turns, the receiver takes the retry.
fn a_retry_is_signed_anew(desked: &Desked) {
    desked.receiver.answer(1, Some(500));
    push(&desked.running.api, "A siren");
    let refused = || desked.receiver.refused();
    wait_for("a first try", || (!refused().is_empty()).then_some(()));
    assert_eq!(refused()[0].signatures(), 1);
    let (status, turned) = desked.post("/rotate", &json!({"secret": NEW}));
    assert_eq!((status, &turned["secret"]), (200, &json!(NEW)), "{turned}");
    assert_eq!(turned["signing"]["keys"], 2);
    wait_for("a try with both keys", || {
        desked.post("/resume", &json!({}));
        (refused().last().unwrap().signatures() == 2).then_some(())
    });
    desked.receiver.answer(1, None);
    desked.post("/resume", &json!({}));
    let taken = desked.receiver.wait_for(1).remove(0);
    let (first, signatures) = (&refused()[0], taken.signatures());
    assert_eq!((taken.id(), &taken.body, signatures), (first.id(), &first.body, 2));
    assert!(taken.fits(OLD) && taken.fits(NEW), "each receiver verifies");
    assert!(first.fits(OLD) && !first.fits(NEW), "the first try knew no other key");
}

/// What is shown says how many keys sign, and none of them.
fn keys_end_at_once_where_that_is_asked_for(desked: &Desked) {
    let shown = desked.shown();
    let until = shown["signing"]["until"].as_str().unwrap();
    let said = desked.running.said(&["subscriptions", "show", &desked.id]);
    assert!(said.contains(&format!("still signing with 2 keys until {until}")), "{said}");
    assert!(!shown.to_string().contains("whsec_") && !said.contains("whsec_"), "{shown}");
    for n in 2..5 {
        let (status, turned) = desked.post("/rotate", &json!({"overlap": "7d"}));
        assert_eq!((status, &turned["signing"]["keys"]), (200, &json!(n + 1)), "{turned}");
    }
    let (status, problem) = desked.post("/rotate", &json!({}));
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(until), "{problem}");
    assert!(desked.ping().fits(OLD), "nothing was dropped to make room");
    let (status, turned) = desked.post("/rotate", &json!({"overlap": "0s"}));
    assert_eq!((status, &turned["signing"]), (200, &json!({"keys": 1, "until": null})));
    let ping = desked.ping();
    assert_eq!(ping.signatures(), 1);
    assert!(ping.fits(turned["secret"].as_str().unwrap()) && !ping.fits(OLD) && !ping.fits(NEW));
    for (body, pointer) in [
        (json!({"overlap": "8d"}), "/overlap"),
        (json!({"secret": "whsec_c2hvcnQ="}), "/secret"),
        (json!({"overlp": "1h"}), ""),
    ] {
        let (status, problem) = desked.post("/rotate", &body);
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
    assert_eq!(desked.call("PATCH", "", &json!({"secret": OLD})).0, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turned_key_breaks_no_retry_and_old_keys_end_when_they_should() {
    let more = json!({"secret": OLD});
    let desked = Desked::with(Running::alone(Desk::new(RULES)).await, more.clone()).await;
    a_retry_is_signed_anew(&desked);
    keys_end_at_once_where_that_is_asked_for(&desked);
    let Some(nats) = Server::start() else { return };
    let running = Running::divided(Desk::new(RULES), &["api", "rules", "notifier"], &nats).await;
    let desked = Desked::with(running, more).await;
    a_retry_is_signed_anew(&desked);
    keys_end_at_once_where_that_is_asked_for(&desked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_are_sent_with_every_request_and_shown_to_nobody() {
    let more = json!({
        "headers": {"X-Desk": "hidden-1", "x-more": "hidden-2"},
        "auth": {"basic": {"username": "bell", "password": "hidden-3"}},
    });
    let mut desked = Desked::with(Running::alone(Desk::new(RULES)).await, more).await;
    let ping = desked.ping();
    let sent = |hook: &Hook, name: &str| {
        hook.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(sent(&ping, "x-desk").as_deref(), Some("hidden-1"));
    assert_eq!(sent(&ping, "authorization").as_deref(), Some("Basic YmVsbDpoaWRkZW4tMw=="));
    let shown = desked.shown();
    assert_eq!(
        (&shown["headers"], &shown["auth"]),
        (&json!(["x-desk", "x-more"]), &json!("basic"))
    );
    assert!(!shown.to_string().contains("hidden"), "{shown}");
    push(&desked.running.api, "A siren");
    let event = desked.receiver.wait_for(2).pop().unwrap();
    assert_eq!(sent(&event, "x-more").as_deref(), Some("hidden-2"));

    let clash = json!({"headers": {"Authorization": "hidden-4", "Host": "hidden-5"}});
    let (status, problem) = desked.call("PATCH", "", &clash);
    assert_eq!(status, 422);
    let places = problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].clone());
    assert_eq!(places.collect::<Vec<_>>(), ["/headers/Host", "/headers/authorization"]);
    assert!(!problem.to_string().contains("hidden"), "{problem}");

    // All of them are replaced; what is left out of the change stays.
    let (_, shown) = desked.call("PATCH", "", &json!({"headers": {"x-new": "hidden-6"}}));
    assert_eq!((&shown["headers"], &shown["auth"]), (&json!(["x-new"]), &json!("basic")));
    let ping = desked.ping();
    assert_eq!((sent(&ping, "x-desk"), sent(&ping, "x-new").as_deref()), (None, Some("hidden-6")));
    let none = json!({"headers": null, "auth": null});
    assert_eq!(desked.call("PATCH", "", &none).1["headers"], json!([]));
    let ping = desked.ping();
    assert_eq!((sent(&ping, "x-new"), sent(&ping, "authorization")), (None, None));
    desked.running.stop();
    let log = desked.running.workers[0].log();
    assert!(!log.contains("hidden") && !log.contains("whsec_"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_take_secrets_from_files_and_print_a_new_one_alone() {
    let running = Running::alone(Desk::new(RULES)).await;
    let receiver = Scripted::default();
    let url = receiver.start().await;
    let write = |name: &str, text: &str| std::fs::write(running.desk.path().join(name), text);
    write("secret", &format!("{OLD}\n")).unwrap();
    write("token", "t-1\n").unwrap();
    write("headers", "X-One: 1\nX-Two: 2\n").unwrap();
    let made = running.said(&[
        "subscribe",
        &url,
        "--topic",
        "*",
        "--header",
        "@headers",
        "--header",
        "X-Three: 3",
        "--bearer",
        "@token",
        "--secret-file",
        "secret",
        "--output",
        "json",
    ]);
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!((&made["secret"], &made["auth"]), (&json!(OLD), &json!("bearer")), "{made}");
    assert_eq!(made["headers"], json!(["x-one", "x-three", "x-two"]));
    let id = made["id"].as_str().unwrap();
    let rotate = |more: &[&str]| {
        let args = [&["subscriptions", "rotate", id, "--api", &running.api], more].concat();
        let done = running.desk.command(&args).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert!(done.status.success(), "{}", text(done.stderr));
        (text(done.stdout), text(done.stderr))
    };
    let (new, talk) = rotate(&["--overlap", "1h"]);
    assert!(new.starts_with("whsec_") && new.lines().count() == 1, "{new}");
    assert!(talk.contains("still signing with 2 keys until"), "{talk}");
    running.said(&["subscriptions", "test", id]);
    let ping = receiver.wait_for(1).remove(0);
    assert!(ping.fits(OLD) && ping.fits(new.trim()));
    assert_eq!(ping.headers["authorization"], "Bearer t-1");
    let (object, talk) =
        rotate(&["--overlap", "0s", "--secret-file", "secret", "--output", "json"]);
    let object: Value = serde_json::from_str(&object).unwrap();
    assert_eq!((&object["secret"], &object["signing"]["keys"]), (&json!(OLD), &json!(1)));
    assert!(talk.contains("only the new key signs"), "{talk}");
    let (shown, _) = rotate(&["--secret-to", "fresh"]);
    let kept = std::fs::read_to_string(running.desk.path().join("fresh")).unwrap();
    assert!(shown.is_empty() && kept.starts_with("whsec_"), "{shown}");
}
