//! Trying a webhook: a test and what became of it, the request unsent, and a receiver that says why.

use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::Stdio;
use std::sync::mpsc;

use serde_json::Value;
use serde_json::json;
use wirebell::delivery::contract;

use crate::e2e::Desk;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::e2e::flow::push_all;
use crate::e2e::wait_for;
use crate::support::http;
use crate::support::running::Running;
use crate::support::scripted::Scripted;

/// What a command prints, and its exit code.
fn ran(running: &Running, args: &[&str]) -> (Option<i32>, String, String) {
    let done = running.desk.command(args).args(["--api", &running.api]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

fn subscribe(running: &Running, wanted: &Value) -> String {
    let url = format!("{}/v1/subscriptions", running.api);
    let (status, made) =
        ask("POST", &url, "application/json", wanted.to_string().as_bytes()).unwrap();
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_tells_what_became_of_it_and_what_to_do() {
    let running = Running::alone(Desk::new(RULES)).await;
    let receiver = Scripted::default();
    let id = subscribe(&running, &json!({"url": receiver.start().await, "topics": ["*"]}));
    for (status, code, said) in [
        (None, 0, "delivered with status 200 after"),
        (Some(401), 1, "its secret may be an old one"),
        (Some(302), 1, "update the URL"),
        (Some(503), 1, "tried again by themselves"),
        (Some(410), 1, "`subscriptions resume` goes on"),
    ] {
        receiver.answer_all(status);
        let (ended, out, talk) = ran(&running, &["subscriptions", "test", &id]);
        assert_eq!(ended, Some(code), "{out}{talk}");
        assert!(out.contains(said), "{status:?}: {out}");
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let dead = subscribe(&running, &json!({"url": url, "topics": ["*"]}));
    let (code, out, _) = ran(&running, &["subscriptions", "test", &dead, "--output", "json"]);
    let attempt: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &attempt["outcome"]), (Some(1), &json!("not_sent")), "{out}");
    receiver.answer_all(None);
    let (code, out, _) = ran(&running, &["subscriptions", "test", &id, "--no-wait"]);
    assert!(code == Some(0) && out.contains("is on its way"), "{out}");
    let (code, _, talk) = ran(&running, &["subscriptions", "test", &id, "--wait", "soon"]);
    assert!(code == Some(2) && talk.contains("--wait"), "{talk}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_during_a_request_waits_for_it_and_holds_up_nobody() {
    let running = Running::alone(Desk::new(RULES)).await;
    let slow = Scripted::default();
    let hook = slow.start().await;
    // Each request waits for one that this test sends.
    slow.gather(2);
    let id = subscribe(&running, &json!({"url": hook, "topics": ["*"]}));
    let article = |n: u8| {
        json!({"id": n.to_string(), "title": format!("A siren {n}"), "body": "So it is said.",
               "source": format!("paper-{n}")})
    };
    push_all(|| running.api.clone(), &[article(1)], 1);
    wait_for("a request under way", || (slow.most_open() == 1).then_some(()));
    let asked = format!("{}/v1/subscriptions/{id}/test", running.api);
    assert_eq!(ask("POST", &asked, "", b"").unwrap().0, 202);
    push_all(|| running.api.clone(), &[article(2)], 1);
    running.receiver.wait_for(2);
    let mut kinds = Vec::new();
    for n in 1..=3 {
        let own = json!({"type": "own", "data": {"event": {"sequence": 0}}}).to_string();
        assert_eq!(ask("POST", &hook, "application/json", own.as_bytes()).unwrap().0, 200);
        slow.wait_for(2 * n);
        kinds = slow.taken().iter().map(|hook| hook.json()["type"].clone()).collect();
        kinds.retain(|kind| kind != "own");
        assert_eq!(kinds.len(), n);
    }
    assert_eq!(kinds, ["alert.opened", "test.ping", "alert.opened"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_without_a_notifier_ends_in_time_and_says_so() {
    let Some(nats) = crate::support::nats::Server::start() else { return };
    let running = Running::divided(Desk::new(RULES), &["api", "rules"], &nats).await;
    let id = running.subscription.clone();
    let (code, out, talk) = ran(&running, &["subscriptions", "test", &id, "--wait", "1s"]);
    assert!(code == Some(1) && out.is_empty(), "{out}");
    assert!(talk.contains("no notifier has looked at the subscription yet"), "{talk}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_shows_what_would_be_sent_and_sends_nothing() {
    let running = Running::alone(Desk::new(RULES)).await;
    let receiver = Scripted::default();
    let url = receiver.start().await;
    let id = subscribe(
        &running,
        &json!({"url": url, "topics": ["*"], "headers": {"x-desk": "hidden-1"},
            "auth": {"bearer": {"token": "hidden-2"}}, "secret": running.secret}),
    );
    let test = format!("{}/v1/subscriptions/{id}/test", running.api);
    let call =
        |body: Value| ask("POST", &test, "application/json", body.to_string().as_bytes()).unwrap();
    let (status, shown) = call(json!({"dry_run": true, "type": "alert.opened"}));
    assert_eq!((status, &shown["address"]["allowed"]), (200, &json!(true)), "{shown}");
    assert!(!shown.to_string().contains("hidden") && !shown.to_string().contains("whsec_"));
    let (status, problem) = call(json!({"type": "alert.opened"}));
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/type")), "{problem}");
    let (code, out, talk) =
        ran(&running, &["subscriptions", "test", &id, "--dry-run", "--type", "alert.opened"]);
    assert!(code == Some(0) && out.starts_with(&format!("curl -i -X POST '{url}'")), "{out}");
    for part in ["nothing was sent", "the address may be called", "410: the subscription is paused"]
    {
        assert!(talk.contains(part), "{talk}");
    }
    assert!(receiver.taken().is_empty(), "nothing was sent");

    // What is really sent has the same headers, and what is shown verifies.
    running.said(&["subscriptions", "test", &id]);
    let sent = receiver.wait_for(1).remove(0);
    let of_connection = ["host", "content-length"];
    let mut names: Vec<&str> = sent.headers.keys().map(|name| name.as_str()).collect();
    names.retain(|name| !of_connection.contains(name));
    names.sort_unstable();
    let headers = shown["headers"].as_object().unwrap();
    assert_eq!(names, headers.keys().map(String::as_str).collect::<Vec<_>>());
    let own = ["authorization", "x-desk"];
    names.retain(|name| !own.contains(name));
    let mut told = contract::HEADERS.map(|(name, ..)| name);
    told.sort_unstable();
    assert_eq!(names, told, "the contract names them all");
    let mut shown_hook = sent.clone();
    for (name, value) in headers {
        let name = axum::http::HeaderName::try_from(name.as_str()).unwrap();
        shown_hook.headers.insert(name, value.as_str().unwrap().parse().unwrap());
    }
    shown_hook.body = shown["body"].as_str().unwrap().into();
    shown_hook.verify(&running.secret);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_what_the_guard_says() {
    let running = Running::alone(Desk::new(RULES)).await;
    let api = &running.api;
    let (status, shown) = ask(
        "PATCH",
        &format!("{api}/v1/subscriptions/{}", running.subscription),
        "application/json",
        json!({"url": "http://nobody.invalid/"}).to_string().as_bytes(),
    )
    .unwrap();
    assert_eq!(status, 200, "{shown}");
    let test = format!("{api}/v1/subscriptions/{}/test", running.subscription);
    let (_, shown) = ask("POST", &test, "application/json", br#"{"dry_run":true}"#).unwrap();
    assert_eq!(shown["address"]["allowed"], json!(false), "{shown}");
    assert!(shown["address"]["reason"].as_str().unwrap().contains("nobody.invalid"), "{shown}");
}

/// `wirebell listen`; it is killed when the value is dropped.
struct Listener {
    child: Child,
    port: u16,
    lines: mpsc::Receiver<String>,
}

impl Listener {
    fn start(running: &Running, args: &[&str]) -> Self {
        let mut command = running.desk.command(&["listen", "--port", "0", "--output", "json"]);
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut talk = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut talk).unwrap();
        let port = talk.trim().rsplit(':').next().unwrap().parse().unwrap();
        let (sender, lines) = mpsc::channel();
        let out = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).for_each(|line| {
                let _ = sender.send(line);
            });
        });
        Self { child, port, lines }
    }

    fn next(&self) -> Value {
        let line = wait_for("a line of the listener", || self.lines.try_recv().ok());
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_fails_as_it_is_told_and_knows_which_secret_fits() {
    let running = Running::alone(Desk::new(RULES)).await;
    let other = "whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItb3Q=";
    let args = ["--secret", other, "--secret", &running.secret, "--fail", "1"];
    let listener = Listener::start(&running, &args);
    let url = format!("http://127.0.0.1:{}/", listener.port);
    let wanted = json!({"url": url, "topics": ["*"], "secret": running.secret});
    let id = subscribe(&running, &wanted);
    let (code, out, _) = ran(&running, &["subscriptions", "test", &id]);
    assert!(code == Some(1) && out.starts_with("throttled with status 503"), "{out}");
    let first = listener.next();
    assert_eq!((&first["verified"], &first["answered"]), (&json!(true), &json!(503)), "{first}");
    running.said(&["subscriptions", "test", &id]);
    let second = listener.next();
    assert_eq!((&second["secret"], &second["answered"]), (&json!(2), &json!(204)), "{second}");
    let address = format!("127.0.0.1:{}", listener.port);
    let headers = [("host", "receiver"), ("stripe-signature", "t=1,v1=abc")];
    let (status, _) = http::send(&address, "POST", "/", &headers, b"{}").unwrap();
    let third = listener.next();
    assert_eq!((status, &third["verified"]), (401, &json!(false)), "{third}");
    assert!(third["problem"].as_str().unwrap().contains("stripe-signature is there"), "{third}");
}
