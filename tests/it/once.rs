//! Requests under an `Idempotency-Key`: answered alike when they are sent again, whoever answers and
//! whoever died.

mod dying;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use serde_json::json;
use wirebell::bus::Bus;
use wirebell::bus::Embedded;
use wirebell::bus::Limits;
use wirebell::bus::Nats;

use crate::bus::embedded::open;
use crate::support::http::exchange;
use crate::support::nats::Server;
use crate::support::nats::connect;
use crate::support::served::Served;
use crate::support::spied::Spied;
use crate::support::spied::Spy;

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const PATH: &str = "/v1/subscriptions";
/// Long enough for a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(30);

/// An answer of the API.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    status: u16,
    replayed: bool,
    body: Value,
}

/// Somebody who asks under a key.
#[derive(Clone)]
struct Client {
    address: String,
}

impl Client {
    fn of(served: &Served) -> Self {
        Self { address: served.address.clone() }
    }

    /// None where nobody answers.
    fn try_post(&self, path: &str, key: &str, kind: &str, body: &str) -> Option<Answer> {
        self.send("POST", path, &[("content-type", kind), ("idempotency-key", key)], body)
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        let headers = [&[("host", self.address.as_str())], headers].concat();
        let (status, head, body) =
            exchange(&self.address, method, path, &headers, body.as_bytes())?;
        let replayed = head.lines().any(|line| line == "idempotent-replayed: true");
        Some(Answer { status, replayed, body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    async fn post(&self, path: &str, key: &str, kind: &str, body: &str) -> Answer {
        let (client, key, kind) = (self.clone(), key.to_owned(), kind.to_owned());
        let (path, body) = (path.to_owned(), body.to_owned());
        let asking =
            tokio::task::spawn_blocking(move || client.try_post(&path, &key, &kind, &body));
        asking.await.unwrap().expect("an answer")
    }

    async fn ask(&self, method: &str, path: &str) -> Answer {
        let (client, method, path) = (self.clone(), method.to_owned(), path.to_owned());
        let asking = tokio::task::spawn_blocking(move || client.send(&method, &path, &[], ""));
        asking.await.unwrap().expect("an answer")
    }

    /// Ids of every subscription.
    async fn ids(&self) -> BTreeSet<String> {
        let listed = self.ask("GET", &format!("{PATH}?limit=1000")).await.body;
        let ids = listed["data"].as_array().unwrap().iter();
        ids.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn definition(n: usize) -> String {
    json!({"url": format!("https://desk-{n}.example/hook"), "topics": ["*"]}).to_string()
}

fn again(first: &Answer) -> Answer {
    Answer { replayed: true, ..first.clone() }
}

/// A backend whose buses are many, as processes are.
trait Home {
    type Bus: Bus;

    /// None where it is switched off.
    fn new() -> Option<Self>
    where
        Self: Sized;
    async fn open(&self) -> Self::Bus;
    /// Whether one process has it alone.
    fn sole() -> bool;
}

impl Home for tempfile::TempDir {
    type Bus = Embedded;

    fn new() -> Option<Self> {
        Some(tempfile::tempdir().unwrap())
    }

    async fn open(&self) -> Embedded {
        open(self.path().to_owned(), Limits::default()).await
    }

    fn sole() -> bool {
        true
    }
}

impl Home for Server {
    type Bus = Nats;

    fn new() -> Option<Self> {
        Self::start()
    }

    async fn open(&self) -> Nats {
        connect(&self.url()).await
    }

    fn sole() -> bool {
        false
    }
}

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name::<tempfile::TempDir>().await;
                }
            )*
        }

        mod nats {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name::<super::Server>().await;
                }
            )*
        }
    };
}

on_both!(
    what_is_made_under_a_key_is_made_once_and_told_again,
    a_key_is_for_one_request_and_a_refusal_binds_none,
    another_process_answers_as_the_first_one_did,
    while_one_is_carried_out_the_same_request_is_told_so,
    of_many_at_once_one_is_carried_out,
);

async fn what_is_made_under_a_key_is_made_once_and_told_again<H: Home>() {
    let Some(home) = H::new() else { return };
    let served = Served::start(home.open().await, H::sole(), LIMIT).await;
    let client = Client::of(&served);

    let one = client.post(PATH, "one", JSON, &definition(1)).await;
    assert_eq!((one.status, one.replayed), (201, false), "{one:?}");
    assert_eq!(client.post(PATH, "one", JSON, &definition(1)).await, again(&one));

    let lines = [definition(2), "{\"url\": 7}".to_owned(), definition(3)].join("\n");
    let many = client.post(PATH, "many", LINES, &lines).await;
    assert_eq!((many.status, many.replayed), (201, false), "{many:?}");
    assert_eq!(many.body["created"].as_array().unwrap().len(), 2, "{many:?}");
    assert_eq!(client.post(PATH, "many", LINES, &lines).await, again(&many));
    assert_eq!(client.ids().await.len(), 3);

    let id = one.body["id"].as_str().unwrap();
    let rotate = format!("{PATH}/{id}/rotate");
    let turned = client.post(&rotate, "turn", JSON, "").await;
    assert_eq!(turned.status, 200, "{turned:?}");
    assert_ne!(turned.body["secret"], one.body["secret"]);
    assert_eq!(client.post(&rotate, "turn", JSON, "").await, again(&turned));
    assert_eq!(turned.body["signing"]["keys"], 2);

    let test = format!("{PATH}/{id}/test");
    let ping = client.post(&test, "ping", JSON, "").await;
    assert_eq!(ping.status, 202, "{ping:?}");
    assert_eq!(client.post(&test, "ping", JSON, "").await, again(&ping));
    let shown = client.ask("GET", &format!("{PATH}/{id}")).await.body;
    assert_eq!(shown["requested"], json!(["test"]));

    // The first secret still signs, and so it is told again; once it has ended it is not.
    let told = client.post(PATH, "one", JSON, &definition(1)).await.body;
    assert_eq!(told["secret"], one.body["secret"]);
    let last = client.post(&rotate, "last", JSON, r#"{"overlap": "0s"}"#).await;
    assert_eq!(last.status, 200, "{last:?}");
    let told = client.post(PATH, "one", JSON, &definition(1)).await;
    assert_eq!((told.status, &told.body["secret"]), (201, &Value::Null), "{told:?}");
    assert_eq!(client.ask("DELETE", &format!("{PATH}/{id}")).await.status, 204);
    let gone = client.post(PATH, "one", JSON, &definition(1)).await;
    assert_eq!((gone.status, gone.replayed), (410, false), "{gone:?}");
    assert_eq!(client.ids().await.len(), 2);

    // Each change is in the audit once.
    let audit = client.ask("GET", "/v1/audit").await.body;
    assert_eq!(audit["data"].as_array().unwrap().len(), 6, "{audit:#}");
}

async fn a_key_is_for_one_request_and_a_refusal_binds_none<H: Home>() {
    let Some(home) = H::new() else { return };
    let served = Served::start(home.open().await, H::sole(), LIMIT).await;
    let client = Client::of(&served);
    let refused = client.post(PATH, "k", JSON, "{\"url\": ").await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let made = client.post(PATH, "k", JSON, &definition(1)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].as_str().unwrap();
    for (path, kind, body) in [
        (PATH.to_owned(), JSON, definition(2)),
        (PATH.to_owned(), LINES, definition(1)),
        (format!("{PATH}/{id}/test"), JSON, String::new()),
    ] {
        let other = client.post(&path, "k", kind, &body).await;
        assert_eq!(other.status, 422, "{path}: {other:?}");
        assert!(other.body["detail"].as_str().unwrap().contains("Idempotency-Key"), "{other:?}");
    }
    let dry = format!("{PATH}/{id}/test");
    for _ in 0..2 {
        let looked = client.post(&dry, "dry", JSON, r#"{"dry_run": true}"#).await;
        assert_eq!((looked.status, looked.replayed), (200, false), "{looked:?}");
    }
    for key in ["two words", &"k".repeat(256)] {
        let bad = client.post(PATH, key, JSON, &definition(4)).await;
        assert_eq!(bad.status, 400, "{key}: {bad:?}");
    }
    let article = r#"{"title": "A quiet day", "body": "x"}"#;
    let bad = client.post("/v1/articles", "two words", JSON, article).await;
    assert_eq!(bad.status, 400, "{bad:?}");
    for status in ["new", "known"] {
        let pushed = client.post("/v1/articles", "article", JSON, article).await;
        assert_eq!(pushed.body["accepted"][0]["status"], status, "{pushed:?}");
    }
    assert_eq!(client.ids().await.len(), 1);
}

async fn another_process_answers_as_the_first_one_did<H: Home>() {
    let Some(home) = H::new() else { return };
    let bus = home.open().await;
    let first = Served::start(bus.clone(), H::sole(), LIMIT).await;
    let client = Client::of(&first);
    let one = client.post(PATH, "one", JSON, &definition(1)).await;
    assert_eq!(one.status, 201, "{one:?}");
    let ping = format!("{PATH}/{}/test", one.body["id"].as_str().unwrap());
    let pinged = client.post(&ping, "ping", JSON, "").await;
    drop(first);
    bus.close().await;
    drop(bus);
    let second = Served::start(home.open().await, H::sole(), LIMIT).await;
    let client = Client::of(&second);
    // It is told as it is now: the test waits.
    let mut now = again(&one);
    now.body["requested"] = json!(["test"]);
    assert_eq!(client.post(PATH, "one", JSON, &definition(1)).await, now);
    assert_eq!(client.post(&ping, "ping", JSON, "").await, again(&pinged));
    assert_eq!(client.post(PATH, "one", JSON, &definition(2)).await.status, 422);
    assert_eq!(client.ids().await.len(), 1);
}

/// Holds up what is written to subscriptions.
#[derive(Clone)]
struct Gate {
    arrived: Arc<tokio::sync::Notify>,
    open: Arc<tokio::sync::Semaphore>,
}

impl Spy for Gate {
    async fn before(&self, to: &str, _: Vec<Bytes>) -> usize {
        if to == "subscriptions" {
            self.arrived.notify_one();
            self.open.acquire().await.unwrap().forget();
        }
        0
    }
}

async fn while_one_is_carried_out_the_same_request_is_told_so<H: Home>() {
    let Some(home) = H::new() else { return };
    let bus = home.open().await;
    let gate = Gate { arrived: Arc::default(), open: Arc::new(tokio::sync::Semaphore::new(0)) };
    let slow = Served::start(Spied(bus.clone(), gate.clone()), H::sole(), LIMIT).await;
    let client = Client::of(&slow);
    let first = {
        let client = client.clone();
        tokio::task::spawn_blocking(move || client.try_post(PATH, "k", JSON, &definition(1)))
    };
    gate.arrived.notified().await;
    let busy = client.post(PATH, "k", JSON, &definition(1)).await;
    assert_eq!(busy.status, 409, "{busy:?}");
    let other = client.post(PATH, "k", JSON, &definition(2)).await;
    assert_eq!(other.status, 422, "{other:?}");
    if !H::sole() {
        let worker = Served::start(bus, false, LIMIT).await;
        let busy = Client::of(&worker).post(PATH, "k", JSON, &definition(1)).await;
        assert_eq!(busy.status, 409, "{busy:?}");
    }
    gate.open.add_permits(1);
    let first = first.await.unwrap().unwrap();
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(client.post(PATH, "k", JSON, &definition(1)).await, again(&first));
}

async fn of_many_at_once_one_is_carried_out<H: Home>() {
    let Some(home) = H::new() else { return };
    let bus = home.open().await;
    let one = Served::start(bus.clone(), H::sole(), LIMIT).await;
    let other = if H::sole() { None } else { Some(Served::start(bus, false, LIMIT).await) };
    let clients: Vec<Client> =
        [Some(&one), other.as_ref()].into_iter().flatten().map(Client::of).collect();
    let asking: Vec<_> = (0..16)
        .map(|n| {
            let client = clients[n % clients.len()].clone();
            tokio::task::spawn_blocking(move || client.try_post(PATH, "k", JSON, &definition(1)))
        })
        .collect();
    let mut told = BTreeSet::new();
    for asked in asking {
        let answer = asked.await.unwrap().unwrap();
        assert!([201, 409].contains(&answer.status), "{answer:?}");
        if answer.status == 201 {
            told.insert((answer.body["id"].to_string(), answer.body["secret"].to_string()));
        }
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(clients[0].ids().await.len(), 1);
}
