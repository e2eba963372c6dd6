//! What subscribers do for themselves: pause, resume, replay, pull, look at attempts.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;
use wirebell::bus::Bus;
use wirebell::bus::Embedded;
use wirebell::bus::EmbeddedSettings;
use wirebell::bus::Limits;

use crate::e2e::Desk;
use crate::e2e::Hook;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::e2e::flow::push_all;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::nats::Server;
use crate::support::running::Running;
use crate::support::scripted::Scripted;
use crate::support::scripted::sequence;

/// A desk with a subscription whose receiver answers as it is told.
struct Served {
    running: Running,
    receiver: Scripted,
    id: String,
}

/// A page of bodies as they stand in the answer.
#[derive(Deserialize)]
struct Pulled {
    data: Vec<Box<RawValue>>,
    next_cursor: Option<u64>,
}

impl Served {
    async fn alone(more: Value) -> Self {
        Self::with(Running::alone(Desk::new(RULES)).await, more).await
    }

    async fn with(running: Running, more: Value) -> Self {
        let receiver = Scripted::default();
        let mut wanted = json!({"url": receiver.start().await, "topics": ["*"]});
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let url = format!("{}/v1/subscriptions", running.api);
        let (status, made) =
            ask("POST", &url, "application/json", wanted.to_string().as_bytes()).unwrap();
        assert_eq!(status, 201, "{made}");
        let id = made["id"].as_str().unwrap().to_owned();
        Self { running, receiver, id }
    }

    /// Each of these rings once.
    fn push(&self, days: Range<u32>) {
        let article = |day| {
            json!({"id": format!("a{day}"), "title": format!("The siren of day {day}"),
                "body": "x", "source": format!("paper-{day}")})
        };
        let articles: Vec<Value> = days.map(article).collect();
        push_all(|| self.running.api.clone(), &articles, articles.len());
    }

    fn post(&self, what: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/v1/subscriptions/{}/{what}", self.running.api, self.id);
        ask("POST", &url, "application/json", body.to_string().as_bytes()).unwrap()
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/subscriptions/{}{rest}", self.id)
    }

    fn shown(&self) -> Value {
        self.running.get(&self.path(""))
    }

    /// Waits until the record says something.
    fn wait_until(&self, what: &str, says: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || Some(self.shown()).filter(|shown| says(&shown["delivery"])))
    }

    fn wait_settled(&self, sequence: u64) {
        self.wait_until("events to be settled", |record| record["sequence"] == sequence);
    }

    /// Everything asked for is carried out.
    fn wait_idle(&self) {
        wait_for("the end of a replay", || {
            let shown = self.shown();
            let idle = shown["requested"] == json!([]) && shown["delivery"]["replay"].is_null();
            idle.then_some(())
        });
    }

    /// The definition as it is now has reached the notifier when its ping arrives.
    fn wait_known(&self) {
        let before = self.receiver.taken().len();
        assert_eq!(self.post("test", &json!({})).0, 202);
        let ping = self.receiver.wait_for(before + 1).pop().unwrap();
        assert_eq!(ping.json()["type"], "test.ping");
    }

    fn pull(&self, after: u64, limit: usize) -> Pulled {
        let path = self.path(&format!("/events?after={after}&limit={limit}"));
        let url = format!("{}{path}", self.running.api);
        let (status, body) = crate::support::http::ask("GET", &url, "", b"").unwrap();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        serde_json::from_slice(&body).unwrap()
    }

    fn said(&self, args: &[&str]) -> String {
        let all: Vec<&str> = [&["subscriptions"], args].concat();
        self.running.said(&all)
    }

    /// What was sent, without pings.
    fn events(&self) -> Vec<Hook> {
        self.receiver.taken().into_iter().filter(|hook| sequence(hook) > 0).collect()
    }

    fn sequences(&self) -> Vec<u64> {
        self.events().iter().map(sequence).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gone_endpoint_is_paused_and_resume_brings_everything_in_order() {
    let served = Served::alone(json!({})).await;
    served.receiver.answer_all(Some(410));
    served.push(0..3);
    let shown = served.wait_until("the pause", |record| record["state"] == "paused");
    assert!(shown["delivery"]["why"].as_str().unwrap().contains("410"), "{shown}");
    let said = served.said(&["show", &served.id]);
    for part in ["paused by Wirebell since", "410 Gone", "held up by sequence 1", "status 410"] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    served.push(3..9);
    served.running.receiver.wait_for(9);
    let kept = served.pull(0, 100);
    assert_eq!(kept.data.len(), 9, "a dead endpoint can be pulled from");
    served.receiver.answer_all(None);
    assert!(served.said(&["resume", &served.id]).starts_with("resumed"));
    served.receiver.wait_for(9);
    assert_eq!(served.sequences(), (1..=9).collect::<Vec<_>>());
    served.wait_settled(9);
    let (status, again) = served.post("resume", &json!({}));
    assert_eq!((status, &again["delivery"]["state"]), (200, &json!("active")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_keeps_and_resume_delivers_what_pull_has_shown() {
    let served = Served::alone(json!({})).await;
    assert!(served.said(&["pause", &served.id]).starts_with("paused"));
    let url = format!("{}{}", served.running.api, served.path("/pause"));
    let (status, shown) = ask("POST", &url, "", b"").unwrap();
    assert_eq!((status, &shown["paused"]), (200, &json!(true)), "no body will do");
    served.wait_known();
    served.push(0..7);
    served.running.receiver.wait_for(7);
    assert!(served.said(&["list"]).contains("paused by its owner"));
    let first = served.pull(0, 3);
    assert_eq!((first.data.len(), first.next_cursor), (3, Some(3)));
    let rest = served.pull(3, 4);
    assert_eq!((rest.data.len(), rest.next_cursor), (4, None));
    assert!(served.pull(7, 10).data.is_empty() && served.pull(u64::MAX, 10).data.is_empty());
    assert_eq!(served.sequences(), Vec::<u64>::new());
    let (status, shown) = served.post("resume", &json!({}));
    assert_eq!((status, &shown["paused"]), (200, &json!(false)));
    served.receiver.wait_for(8);
    let pulled: Vec<&str> = first.data.iter().chain(&rest.data).map(|body| body.get()).collect();
    let events = served.events();
    let sent: Vec<&str> = events.iter().map(|h| std::str::from_utf8(&h.body).unwrap()).collect();
    assert_eq!(sent, pulled, "byte for byte");
    let printed = served.said(&["--output", "json", "events", &served.id, "--after", "2"]);
    assert_eq!(printed.lines().collect::<Vec<_>>(), pulled[2..]);
    let table = served.said(&["events", &served.id, "--limit", "2"]);
    assert_eq!(table.lines().count(), 2, "{table}");
}

/// One event is refused for good; then the gap and more is sent again.
fn replays(served: &Served) {
    served.receiver.answer(2, Some(415));
    served.push(0..6);
    served.receiver.wait_for(5);
    served.wait_settled(6);
    let shown = served.wait_until("the gap", |record| record["given_up"] == 1);
    assert_eq!(shown["delivery"]["gaps"], json!([[2, 2]]));
    assert!(served.said(&["show", &served.id]).contains("1 given up, sequence 2"));
    let filled = served.pull(1, 1);
    assert!(filled.data[0].get().contains("\"sequence\":2,"), "pull fills the gap");

    let failed = json!({"from_sequence": 1, "only_failed": true});
    let dry = json!({"from_sequence": 1, "only_failed": true, "dry_run": true});
    let one = json!({"from_sequence": 1, "to_sequence": 6, "events": 1});
    assert_eq!(served.post("replay", &dry), (200, one.clone()));
    served.receiver.answer(2, None);
    assert_eq!(served.post("replay", &failed), (202, one));
    served.receiver.wait_for(6);
    assert_eq!(served.sequences(), [1, 3, 4, 5, 6, 2]);
    served.wait_idle();
    assert_eq!(served.shown()["delivery"]["given_up"], 0);
    assert_eq!(served.post("replay", &failed).1["events"], 0);

    let since = served.events()[4].json()["timestamp"].as_str().unwrap().to_owned();
    let pulled = served.pull(0, 10);
    let at_least = |body: &RawValue| {
        let body: Value = serde_json::from_str(body.get()).unwrap();
        body["timestamp"].as_str().unwrap() >= since.as_str()
    };
    let from = 1 + pulled.data.iter().position(|body| at_least(body)).unwrap() as u64;
    let (status, said) = served.post("replay", &json!({"since": since, "dry_run": true}));
    let wanted = json!({"from_sequence": from, "to_sequence": 6, "events": 7 - from});
    assert_eq!((status, &said), (200, &wanted));
    assert_eq!(served.post("replay", &json!({"since": since})), (202, wanted));
    let count = usize::try_from(6 + 7 - from).unwrap();
    served.receiver.wait_for(count);
    served.wait_idle();
    assert_eq!(served.sequences()[6..], (from..=6).collect::<Vec<_>>());
    let all = served.said(&["replay", &served.id, "--since", "1h", "--dry-run"]);
    assert_eq!(all.trim(), "6 events would be sent again, from sequence 1 to 6");
    let none = json!({"from_sequence": 7, "to_sequence": 6, "events": 0});
    assert_eq!(served.post("replay", &json!({"since": "2999-01-01T00:00:00Z"})), (202, none));
    let mut ids: BTreeSet<String> = BTreeSet::new();
    let mut bodies: BTreeSet<Vec<u8>> = BTreeSet::new();
    for hook in served.events() {
        ids.insert(hook.id());
        bodies.insert(hook.body);
    }
    assert_eq!((ids.len(), bodies.len()), (6, 6), "ids and bytes stay what they were");
}

/// Pages of attempts, the newest first.
fn attempts(served: &Served, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = served.running.get(&served.path(&format!("/attempts?limit={count}{cursor}")));
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= count);
        found.extend(data.clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn attempts_come_in_pages(served: &Served) {
    let tried = served.events().len() + 1;
    let all = wait_for("every attempt to be logged", || {
        Some(attempts(served, 1_000)).filter(|all| all.len() >= tried)
    });
    assert_eq!(all.len(), tried, "every request and no other: {all:?}");
    assert!(all.windows(2).all(|two| two[0]["at"].as_str() >= two[1]["at"].as_str()), "{all:?}");
    for count in [1, 4] {
        assert_eq!(attempts(served, count), all, "in pages of {count}");
    }
    let refused = served.running.get(&served.path("/attempts?outcome=unacceptable"));
    assert_eq!(refused["data"].as_array().unwrap().len(), 1, "{refused}");
    assert_eq!(
        (&refused["data"][0]["sequence"], &refused["next_cursor"]),
        (&json!(2), &json!(null))
    );
    let table = served.said(&["attempts", &served.id, "--outcome", "unacceptable"]);
    assert!(table.lines().count() == 2 && table.contains(" 415 "), "{table}");
    for (query, status) in [("outcome=odd", 400), ("cursor=x", 422)] {
        let url = format!("{}{}?{query}", served.running.api, served.path("/attempts"));
        assert_eq!(ask("GET", &url, "", b"").unwrap().0, status, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_or_sent_is_sent_again_and_every_attempt_is_listed() {
    let served = Served::alone(json!({})).await;
    replays(&served);
    attempts_come_in_pages(&served);
    let Some(nats) = Server::start() else { return };
    let running = Running::divided(Desk::new(RULES), &["api", "rules", "notifier"], &nats).await;
    let served = Served::with(running, json!({})).await;
    replays(&served);
    attempts_come_in_pages(&served);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_replay_at_a_time_and_only_what_can_be_found_again() {
    let served = Served::alone(json!({})).await;
    served.push(0..3);
    served.receiver.wait_for(3);
    served.wait_settled(3);
    for (body, pointer) in [
        (json!({}), ""),
        (json!({"from_sequence": 0}), "/from_sequence"),
        (json!({"since": "soon"}), "/since"),
    ] {
        let (status, problem) = served.post("replay", &body);
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
    served.receiver.answer_all(Some(503));
    assert_eq!(served.post("replay", &json!({"from_sequence": 1})).0, 202);
    let (status, problem) = served.post("replay", &json!({"from_sequence": 1, "dry_run": true}));
    assert_eq!(status, 409, "{problem}");
    served.wait_until("the replay", |record| record["replay"].is_object());
    assert!(served.said(&["show", &served.id]).contains("replay from sequence 1 to 3"));
    served.receiver.answer_all(None);
    served.post("resume", &json!({}));
    served.receiver.wait_for(6);
    served.wait_idle();

    // Each is a filter version; the oldest kept has taken effect behind what was sent.
    for n in 0..70 {
        let body = json!({"expired": n % 2 == 0}).to_string();
        let url = format!("{}{}", served.running.api, served.path(""));
        let (status, said) = ask("PATCH", &url, "application/json", body.as_bytes()).unwrap();
        assert_eq!(status, 200, "{said}");
    }
    served.wait_known();
    let url = format!("{}{}", served.running.api, served.path("/events?after=0"));
    let (status, problem) = ask("GET", &url, "", b"").unwrap();
    assert_eq!(status, 410, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("the first that can is 4, after=3"));
    let (status, problem) = served.post("replay", &json!({"from_sequence": 3}));
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().ends_with("is 4"), "{problem}");
    assert!(served.pull(3, 10).data.is_empty());
    served.push(3..4);
    served.receiver.wait_for(8);
    let pulled = served.pull(3, 10);
    assert_eq!(pulled.data[0].get().as_bytes(), served.receiver.taken().pop().unwrap().body);
}

/// Takes every event out of a store that nobody uses, as retention does.
async fn forget_events(desk: &Desk) {
    let mut limits = Limits::default();
    limits.events.age = std::time::Duration::ZERO;
    let folder = desk.path().join("data");
    let bus = Embedded::open(EmbeddedSettings { folder, limits }).await.unwrap();
    crate::workers::wait_until("retention", async || {
        let usage = bus.usage().await.unwrap();
        usage.iter().any(|one| one.name == "events" && one.first > one.last)
    })
    .await;
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_retention_took_is_said_with_the_first_that_is_left() {
    let mut served = Served::alone(json!({})).await;
    served.push(0..3);
    served.receiver.wait_for(3);
    served.wait_settled(3);
    served.running.stop();
    forget_events(&served.running.desk).await;
    let process = served.running.desk.run();
    served.running.api = process.api();
    served.running.workers = vec![process];
    wait_ready(&served.running.api);
    served.push(3..5);
    // The rules worker publishes again what the log lacks of its open alerts: three and two.
    served.receiver.wait_for(8);
    served.wait_settled(8);
    assert_eq!(served.sequences(), (1..=8).collect::<Vec<_>>());
    let url = format!("{}{}", served.running.api, served.path("/events"));
    let (status, problem) = ask("GET", &url, "", b"").unwrap();
    assert_eq!(status, 410, "{problem}");
    assert!(problem["detail"].as_str().unwrap().ends_with("is 9, after=8"), "{problem}");
    assert!(served.pull(8, 10).data.is_empty());
    for asked in [json!({"from_sequence": 2, "dry_run": true}), json!({"since": "1h"})] {
        let (status, problem) = served.post("replay", &asked);
        assert_eq!(status, 409, "{asked}");
        assert!(problem["detail"].as_str().unwrap().ends_with("is 9"), "{problem}");
    }
}

/// Says that something is heard in a town.
fn hear(served: &Served, what: &str, town: &str) {
    let article = json!({"title": format!("{what} in {town}"), "body": "x", "source": town});
    push_all(|| served.running.api.clone(), &[article], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pull_finds_endings_that_are_owed_after_the_filter_has_changed() {
    let rules = "version: 1
rules:
  - {id: siren, any: [siren], key: source}
  - {id: siren-over, ends: siren, any: [all clear]}
  - {id: quake, any: [quake], key: source}
";
    let running = Running::alone(Desk::new(rules)).await;
    let served = Served::with(running, json!({"topics": ["siren"]})).await;
    hear(&served, "A siren", "Dover");
    served.receiver.wait_for(1);
    let url = format!("{}{}", served.running.api, served.path(""));
    let change = json!({"topics": ["quake"]}).to_string();
    assert_eq!(ask("PATCH", &url, "application/json", change.as_bytes()).unwrap().0, 200);
    served.wait_known();
    for (what, town) in [
        ("A siren", "Calais"),
        ("A quake", "Dover"),
        ("The all clear", "Calais"),
        ("The all clear", "Dover"),
        ("A quake", "Calais"),
    ] {
        let told = served.running.receiver.hooks().len();
        hear(&served, what, town);
        served.running.receiver.wait_for(told + 1);
    }
    served.receiver.wait_for(5);
    served.wait_settled(4);
    let sent: Vec<Vec<u8>> = served.events().into_iter().map(|hook| hook.body).collect();
    let types: Vec<Value> =
        served.events().iter().map(|hook| hook.json()["type"].clone()).collect();
    assert_eq!(types, ["alert.opened", "alert.opened", "alert.ended", "alert.opened"]);
    // From the beginning, and from places where the alert's past was not walked over.
    for after in [0, 1, 2, 3, 1, 0] {
        let pulled = served.pull(after, 10).data;
        let pulled: Vec<&[u8]> = pulled.iter().map(|body| body.get().as_bytes()).collect();
        assert_eq!(pulled, sent[usize::try_from(after).unwrap()..], "after {after}");
        let one = served.pull(after, 1);
        assert_eq!(one.next_cursor, (after < 3).then_some(after + 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_requests_are_open_as_were_asked_for_and_no_more() {
    let served = Served::alone(json!({"max_in_flight": 4, "rate": 9_000, "ttl": "1h"})).await;
    let shown = served.shown();
    let pace = (&shown["max_in_flight"], &shown["rate"], &shown["ttl"]);
    assert_eq!(pace, (&json!(4), &json!(9_000.0), &json!("3600s")));
    // Nothing is answered before four are open: it would stand still with fewer.
    served.receiver.gather(4);
    served.push(0..24);
    served.receiver.wait_for(24);
    assert_eq!(served.receiver.most_open(), 4);
    let all: BTreeSet<u64> = served.sequences().into_iter().collect();
    assert_eq!(all, (1..=24).collect());
    let url = format!("{}{}", served.running.api, served.path(""));
    let change =
        |body: Value| ask("PATCH", &url, "application/json", body.to_string().as_bytes()).unwrap();
    let (status, cleared) = change(json!({"max_in_flight": null, "rate": null, "ttl": null}));
    let pace = (&cleared["max_in_flight"], &cleared["rate"], &cleared["ttl"]);
    assert_eq!((status, pace), (200, (&json!(1), &json!(null), &json!(null))));
    let (status, problem) = change(json!({"max_in_flight": 33, "rate": 0, "ttl": "31d"}));
    assert_eq!(status, 422);
    let named = problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str());
    let named: Vec<&str> = named.map(Option::unwrap).collect();
    assert_eq!(named, ["/ttl", "/max_in_flight", "/rate"], "{problem}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_are_made_at_once_and_listed_in_pages() {
    let receiver = Scripted::default();
    let hook = receiver.start().await;
    let running = Running::alone(Desk::new(RULES)).await;
    made_at_once(&running, &hook);
    // All of them are served.
    let body = json!([{"title": "A siren", "body": "x"}]).to_string();
    let articles = format!("{}/v1/articles", running.api);
    assert_eq!(ask("POST", &articles, "application/json", body.as_bytes()).unwrap().0, 202);
    let told = receiver.wait_for(1_000);
    let told: BTreeSet<String> = told.iter().map(Hook::id).collect();
    assert_eq!(told.len(), 1_000);
    let Some(nats) = Server::start() else { return };
    let running = Running::divided(Desk::new(RULES), &["api", "rules"], &nats).await;
    made_at_once(&running, &hook);
}

fn made_at_once(running: &Running, hook: &str) {
    let mut lines: Vec<String> = (0..1_000)
        .map(|n| json!({"url": hook, "topics": ["*"], "description": n.to_string()}).to_string())
        .collect();
    lines.insert(500, json!({"url": hook, "topics": ["sirn"], "rate": -1}).to_string());
    lines.insert(700, "{".to_owned());
    let file = running.desk.path().join("many.jsonl");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let args = ["--output", "json", "subscriptions", "create", file.to_str().unwrap()];
    let done = running.desk.command(&args).args(["--api", &running.api]).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", String::from_utf8_lossy(&done.stderr));
    let said: Vec<Value> = String::from_utf8(done.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (created, rejected): (Vec<&Value>, Vec<&Value>) =
        said.iter().partition(|one| one["secret"].is_string());
    assert_eq!((created.len(), rejected.len()), (1_000, 2));
    let places: Vec<&Value> = rejected.iter().map(|one| &one["index"]).collect();
    assert_eq!(places, [500, 700]);
    let pointers = rejected[0]["errors"].as_array().unwrap().iter().map(|e| &e["pointer"]);
    assert_eq!(pointers.collect::<Vec<_>>(), ["/topics/0", "/rate"]);

    let mut ids = BTreeSet::new();
    let (mut cursor, mut sizes) = (String::new(), Vec::new());
    loop {
        let page = running.get(&format!("/v1/subscriptions?limit=400{cursor}"));
        let data = page["data"].as_array().unwrap();
        sizes.push(data.len());
        ids.extend(data.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(sizes, [400, 400, 201], "and the one that was there before");
    assert!(created.iter().all(|one| ids.contains(one["id"].as_str().unwrap())));
    assert_eq!(running.said(&["subscriptions", "list"]).lines().count(), 1_001);

    let url = format!("{}/v1/subscriptions", running.api);
    let many = "{}\n".repeat(10_001);
    let kind = "application/x-ndjson";
    assert_eq!(ask("POST", &url, kind, many.as_bytes()).unwrap().0, 413);
    assert_eq!(ask("POST", &url, kind, b"{}\n{}").unwrap().0, 422, "nothing was made");
}

/// A stretch of the log holds 256 events: the gap lies in the second one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_reads_on_where_a_stretch_holds_nothing_asked_for() {
    let served = Served::alone(json!({})).await;
    served.receiver.answer(290, Some(415));
    served.push(0..300);
    served.receiver.wait_for(299);
    served.wait_settled(300);
    served.receiver.answer(290, None);
    let failed = json!({"from_sequence": 1, "only_failed": true});
    assert_eq!(served.post("replay", &failed).1["events"], 1);
    served.receiver.wait_for(300);
    served.wait_idle();
}

/// More replays than stretches are read at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_replays_at_once_all_come_to_their_end() {
    let running = Running::alone(Desk::new(RULES)).await;
    let mut served = Served::with(running, json!({})).await;
    let mut ids = vec![served.id.clone()];
    let url = served.shown()["url"].clone();
    for _ in 0..15 {
        let body = json!({"url": url, "topics": ["*"]}).to_string();
        let path = format!("{}/v1/subscriptions", served.running.api);
        let (_, made) = ask("POST", &path, "application/json", body.as_bytes()).unwrap();
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    served.push(0..40);
    served.receiver.wait_for(40 * 16);
    for id in &ids {
        served.id.clone_from(id);
        served.wait_settled(40);
    }
    for id in &ids {
        served.id.clone_from(id);
        assert_eq!(served.post("replay", &json!({"from_sequence": 1})).1["events"], 40);
    }
    served.receiver.wait_for(2 * 40 * 16);
    for id in &ids {
        served.id.clone_from(id);
        served.wait_idle();
    }
}

/// Whoever takes over reads on for a replay that was under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_goes_on_after_a_restart() {
    let mut served = Served::alone(json!({})).await;
    served.push(0..9);
    served.receiver.wait_for(9);
    served.wait_settled(9);
    served.receiver.answer(5, Some(503));
    assert_eq!(served.post("replay", &json!({"from_sequence": 1})).0, 202);
    served.wait_until("half of the replay", |record| record["replay"]["done"] == 4);
    served.running.stop();
    served.receiver.answer(5, None);
    let process = served.running.desk.run();
    served.running.api = process.api();
    served.running.workers = vec![process];
    wait_ready(&served.running.api);
    served.receiver.wait_for(18);
    served.wait_idle();
}
