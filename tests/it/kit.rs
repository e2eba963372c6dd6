//! The receivers below `examples/receivers`: each, in every language that is found here, does what
//! the contract says, with a live Wirebell and with requests that Wirebell would never send.

mod runner;

use std::collections::BTreeSet;
use std::io::Read;
use std::io::Write;

use serde_json::Value;
use serde_json::json;
use wirebell::clock::Clock;
use wirebell::delivery::signature;
use wirebell::delivery::signature::Key;
use wirebell::model::subscription::Secret;

use crate::e2e::Desk;
use crate::e2e::Hook;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::support::http;
use crate::support::running::Running;
use runner::Kit;
use runner::Started;

const OTHER: &str = "whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItb3Q=";

/// What is sent to a receiver by hand.
struct Sent<'a> {
    secret: &'a str,
    id: &'a str,
    body: &'a [u8],
    /// Seconds that its clock is off.
    off: i64,
}

impl Sent<'_> {
    /// Signed now; answers the status.
    fn to(&self, port: u16) -> u16 {
        let stamp = Clock::System.now_ms() / 1_000 + self.off;
        let key = Key::parse(&Secret::new(self.secret.to_owned())).unwrap();
        let signature = signature::sign([&key], self.id, stamp, self.body);
        post(port, self.id, (&stamp.to_string(), &signature), self.body)
    }
}

fn post(port: u16, id: &str, (stamp, signature): (&str, &str), body: &[u8]) -> u16 {
    let headers = [
        ("host", "receiver"),
        ("webhook-id", id),
        ("webhook-timestamp", stamp),
        ("webhook-signature", signature),
        ("content-type", "application/json"),
    ];
    http::send(&format!("127.0.0.1:{port}"), "POST", "/", &headers, body).unwrap().0
}

/// As it came from Wirebell, once more.
fn again(hook: &Hook, port: u16) -> u16 {
    let header = |name: &str| hook.headers[name].to_str().unwrap();
    let signed = (header("webhook-timestamp"), header("webhook-signature"));
    post(port, header("webhook-id"), signed, &hook.body)
}

/// A body of no sequence, after which nothing that came before it can still be acted on.
fn marker(kind: &str, n: u32) -> (String, Vec<u8>) {
    let event = json!({"id": format!("ping_{n}"), "subscription": "sub_a", "sequence": 0});
    let body = json!({"type": kind, "data": {"event": event, "alert": null, "articles": []}});
    (format!("ping_{n}-sub_a"), body.to_string().into_bytes())
}

/// Sends a `test.ping` of this number; answers what was acted on before it.
fn acted(receiver: &Started, secret: &str, n: u32) -> Vec<Value> {
    let (id, body) = marker("test.ping", n);
    assert_eq!(Sent { secret, id: &id, body: &body, off: 0 }.to(receiver.port), 204);
    receiver.acted_until(&id)
}

fn sequences(acted: &[Value]) -> Vec<u64> {
    acted.iter().filter_map(|one| one["sequence"].as_u64()).collect()
}

/// One more source reports, which opens an alert of its own.
fn push(api: &str, n: u32) {
    let article =
        json!({"title": format!("A siren, {n}"), "body": "x", "source": format!("p-{n}")});
    let url = format!("{api}/v1/articles");
    let (status, said) =
        ask("POST", &url, "application/json", article.to_string().as_bytes()).unwrap();
    assert_eq!(status, 202, "{said}");
}

/// Six events of one subscription, as they came.
async fn six() -> (Running, Vec<Hook>) {
    let running = Running::alone(Desk::new(RULES)).await;
    for n in 0..6 {
        push(&running.api, n);
    }
    running.receiver.wait_for(6);
    let hooks = running.receiver.hooks();
    (running, hooks)
}

/// What cannot be trusted is refused, and nothing is done about it.
fn refuses(receiver: &Started, secret: &str, hook: &Hook) {
    let (port, id) = (receiver.port, hook.id());
    let sent = |secret, off| Sent { secret, id: &id, body: &hook.body, off }.to(port);
    assert_eq!((sent(OTHER, 0), sent(secret, -301), sent(secret, 305)), (401, 401, 401));
    let mut tampered = hook.clone();
    tampered.body = String::from_utf8(hook.body.clone()).unwrap().replace("siren", "sirem").into();
    assert_eq!(again(&tampered, port), 401);
    assert_eq!(post(port, &id, ("soon", "v1,AAAA"), &hook.body), 401);
    assert_eq!(post(port, "", ("", ""), &hook.body), 401);
    assert_eq!(post(port, &id, ("1789000000", ""), b"{"), 401);
}

/// Order, repeats and gaps: what Wirebell sends is acted on once and in order, whatever the road
/// did to it.
fn keeps_order(receiver: &Started, secret: &str, hooks: &[Hook]) {
    let port = receiver.port;
    refuses(receiver, secret, &hooks[0]);
    assert_eq!(again(&hooks[0], port), 204);
    assert_eq!(again(&hooks[0], port), 204, "a repeat is acknowledged");
    assert_eq!(sequences(&acted(receiver, secret, 1)), [1], "and acted on once");
    let (id, body) = marker("alert.of_a_later_version", 2);
    assert_eq!(Sent { secret, id: &id, body: &body, off: 0 }.to(port), 204);
    assert_eq!((again(&hooks[2], port), again(&hooks[1], port)), (204, 204));
    let reversed = acted(receiver, secret, 3);
    assert_eq!(
        sequences(&reversed),
        [2, 3],
        "two that came in reversed order, and no unknown type"
    );
    assert_eq!(again(&hooks[5], port), 204);
    let pulled = acted(receiver, secret, 4);
    assert_eq!(sequences(&pulled), [4, 5, 6], "a gap is pulled");
    for (line, hook) in reversed.iter().chain(&pulled).zip(&hooks[1..]) {
        let told = hook.json();
        assert_eq!((&line["type"], &line["id"]), (&told["type"], &json!(hook.id())));
        assert_eq!(line["title"], told["data"]["alert"]["title"]);
    }
}

/// A restart forgets nothing, and both keys verify while one turns.
fn restarts(kit: &Kit, running: &Running, hooks: &[Hook]) {
    let secret = &running.secret;
    let receiver = kit.start(&running.api, &format!("{OTHER} {secret}"));
    assert_eq!(again(&hooks[5], receiver.port), 204);
    assert_eq!(acted(&receiver, OTHER, 5), [] as [Value; 0], "a repeat from before the restart");
    assert_eq!(acted(&receiver, secret, 6), [] as [Value; 0], "the old key too");
}

/// A gap that cannot be pulled holds nothing up, and what was in it is acted on where it comes.
fn goes_on(kit: &Kit, secret: &str, hooks: &[Hook]) {
    let receiver = kit.start(&broken_log(), secret);
    for (n, sequence) in [(7, 9), (8, 8)] {
        let mut body = hooks[5].json();
        let event = &mut body["data"]["event"];
        (event["id"], event["sequence"]) = (json!(format!("evt_{n}")), json!(sequence));
        let id = format!("evt_{n}-{}", event["subscription"].as_str().unwrap());
        let body = body.to_string().into_bytes();
        assert_eq!(Sent { secret, id: &id, body: &body, off: 0 }.to(receiver.port), 204);
        assert_eq!(sequences(&acted(&receiver, secret, n)), [sequence]);
    }
}

/// Where an API answers whoever asks with the half of a body.
fn broken_log() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"data\": [");
        }
    });
    format!("http://127.0.0.1:{port}")
}

/// What Wirebell sends by itself arrives.
fn takes_the_real_thing(receiver: &Started, running: &Running) {
    let url = format!("http://127.0.0.1:{}/", receiver.port);
    let wanted = json!({"url": url, "topics": ["*"], "secret": running.secret}).to_string();
    let made = format!("{}/v1/subscriptions", running.api);
    let (status, made) = ask("POST", &made, "application/json", wanted.as_bytes()).unwrap();
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().unwrap();
    let said = running.said(&["subscriptions", "test", id]);
    assert!(said.starts_with("delivered with status 204 after"), "{said}");
    assert_eq!(receiver.next()["type"], "test.ping");
    push(&running.api, 9);
    let line = receiver.next();
    assert_eq!((&line["sequence"], line["title"].is_string()), (&json!(1), true), "{line}");
}

async fn keeps_the_contract(kit: Option<Kit>) {
    let Some(kit) = kit else { return };
    assert!(kit.refusal().contains("WIREBELL_SECRET is not set"), "it says what it lacks");
    let (running, hooks) = six().await;
    let receiver = kit.start(&running.api, &running.secret);
    keeps_order(&receiver, &running.secret, &hooks);
    takes_the_real_thing(&receiver, &running);
    drop(receiver);
    restarts(&kit, &running, &hooks);
    goes_on(&kit, &running.secret, &hooks);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_receiver_keeps_the_contract() {
    keeps_the_contract(runner::python()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_typescript_receiver_keeps_the_contract() {
    keeps_the_contract(runner::typescript()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_go_receiver_keeps_the_contract() {
    keeps_the_contract(runner::go()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rust_receiver_keeps_the_contract() {
    keeps_the_contract(Some(runner::rust())).await;
}

#[test]
fn a_receiver_is_one_file_of_fewer_than_a_hundred_lines() {
    let mut found = BTreeSet::new();
    for folder in std::fs::read_dir(runner::source("")).unwrap().map(|entry| entry.unwrap().path())
    {
        let Ok(files) = folder.read_dir() else { continue };
        for path in files.map(|file| file.unwrap().path()) {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines < 100, "{} has {lines} lines", path.display());
            found.insert(path.strip_prefix(runner::source("")).unwrap().display().to_string());
        }
    }
    // Go writes out each error and each loop: its door and its memory are a file each.
    let wanted = [
        "go/go.mod",
        "go/inbox.go",
        "go/receiver.go",
        "python/receiver.py",
        "rust/receiver.rs",
        "typescript/receiver.mts",
    ];
    assert_eq!(found, wanted.map(str::to_owned).into());
}

#[test]
fn the_go_receiver_is_formatted_and_vetted() {
    runner::check_go();
}
