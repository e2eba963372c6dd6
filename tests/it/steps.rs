//! A crash at each step between publish, state, event, cursor, send and state.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Entry;
use wirebell::bus::Error;
use wirebell::bus::Expect;
use wirebell::bus::From;
use wirebell::bus::Item;
use wirebell::bus::Limits;
use wirebell::bus::Listing;
use wirebell::bus::Outcome;
use wirebell::bus::Put;
use wirebell::bus::PutOutcome;
use wirebell::bus::Reader;
use wirebell::bus::Record;
use wirebell::bus::Selection;
use wirebell::bus::Stored;
use wirebell::bus::Stream;
use wirebell::bus::Until;
use wirebell::bus::Watch;
use wirebell::clock::Clock;
use wirebell::delivery::signature;
use wirebell::egress::Client;
use wirebell::egress::Policy;
use wirebell::egress::Resolver;
use wirebell::feed::Draft;
use wirebell::model::Subscription;
use wirebell::model::SubscriptionId;
use wirebell::model::Time;
use wirebell::model::Version;
use wirebell::model::subscription::FilterVersion;
use wirebell::model::subscription::Format;
use wirebell::model::subscription::SigningKey;
use wirebell::source;
use wirebell::source::Origin;
use wirebell::telemetry::Board;
use wirebell::worker::lease;
use wirebell::worker::notifier;
use wirebell::worker::rules;

use crate::bus::Backend;
use crate::e2e::Hook;
use crate::e2e::Receiver;

const RULES: &str = "version: 1
rules:
  - {id: siren, any: [siren]}
  - {id: silence, ends: siren, any: [all clear]}
";

/// A bus on which the process dies at one write: before it, or after it and before its answer.
#[derive(Clone)]
struct Dying<B> {
    bus: B,
    writes: Arc<AtomicUsize>,
    at: usize,
    before: bool,
    died: Arc<Notify>,
}

impl<B: Bus> Dying<B> {
    fn new(bus: B, at: usize, before: bool) -> Self {
        Self { bus, writes: Arc::default(), at, before, died: Arc::default() }
    }

    /// A dead process never gets its answer.
    async fn write<T>(&self, work: impl Future<Output = T>) -> T {
        let number = self.writes.fetch_add(1, Ordering::AcqRel);
        let dies = number >= self.at;
        if dies && (self.before || number > self.at) {
            self.died.notify_one();
            return std::future::pending().await;
        }
        let answer = work.await;
        if dies {
            self.died.notify_one();
            return std::future::pending().await;
        }
        answer
    }
}

impl<B: Bus> Bus for Dying<B> {
    async fn publish(&self, s: Stream, r: Record, e: Expect) -> Result<Outcome, Error> {
        self.write(self.bus.publish(s, r, e)).await
    }
    async fn publish_all(
        &self,
        s: Stream,
        group: Vec<(Record, Expect)>,
    ) -> Result<Vec<Result<Outcome, Error>>, Error> {
        self.write(self.bus.publish_all(s, group)).await
    }
    async fn read(&self, s: Stream, selection: Selection) -> Result<Reader, Error> {
        self.bus.read(s, selection).await
    }
    async fn last(&self, s: Stream, subject: &str) -> Result<Option<Stored>, Error> {
        self.bus.last(s, subject).await
    }
    async fn end(&self, s: Stream) -> Result<u64, Error> {
        self.bus.end(s).await
    }
    async fn get(&self, b: Bucket, key: &str) -> Result<Option<Entry>, Error> {
        self.bus.get(b, key).await
    }
    async fn put(&self, b: Bucket, put: Put) -> Result<PutOutcome, Error> {
        self.write(self.bus.put(b, put)).await
    }
    async fn put_all(
        &self,
        b: Bucket,
        group: Vec<Put>,
    ) -> Result<Vec<Result<PutOutcome, Error>>, Error> {
        self.write(self.bus.put_all(b, group)).await
    }
    async fn delete(&self, b: Bucket, key: &str, revision: u64) -> Result<PutOutcome, Error> {
        self.write(self.bus.delete(b, key, revision)).await
    }
    async fn list(&self, b: Bucket, prefix: &str) -> Result<Listing, Error> {
        self.bus.list(b, prefix).await
    }
    async fn watch(&self, b: Bucket, prefix: &str, after: u64) -> Result<Watch, Error> {
        self.bus.watch(b, prefix, after).await
    }
    fn is_connected(&self) -> bool {
        self.bus.is_connected()
    }
    async fn close(&self) {}
}

fn leases(worker: &'static str, shards: u16) -> lease::Settings {
    let owner = format!("owner-{}", fastrand::u64(..));
    lease::Settings {
        sole: true,
        ..lease::Settings::new(worker, shards, owner, Duration::from_secs(5))
    }
}

/// Starts a rules worker and a notifier.
fn start<B: Bus>(bus: &B, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
    let rule_set = wirebell::rules::load(&[("rules.yaml".to_owned(), RULES.to_owned())]).unwrap();
    let settings = rules::Settings {
        leases: leases("rules", 64),
        rules: Arc::new(ArcSwap::from_pointee(rule_set)),
        clock: Clock::System,
        board: Board::default(),
    };
    let (for_rules, stop_rules) = (bus.clone(), stop.clone());
    tasks.spawn(async move { rules::run(for_rules, settings, stop_rules).await.unwrap() });
    let settings = notifier::Settings {
        leases: leases("notifier", 1),
        clock: Clock::System,
        board: Board::default(),
        timeout: Duration::from_secs(20),
        max_in_flight: 8,
        public_url: "http://127.0.0.1:8080".to_owned(),
    };
    let client = Client::new(Policy::new(&["127.0.0.0/8"]).unwrap(), Resolver::system());
    let (for_notifier, stop_notifier) = (bus.clone(), stop.clone());
    tasks.spawn(async move {
        notifier::run(for_notifier, client, settings, stop_notifier).await.unwrap();
    });
}

async fn end(mut tasks: JoinSet<()>, stop: &CancellationToken) {
    stop.cancel();
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// A first-ever cursor starts at the end of the log: cursors first, then articles.
async fn take_first_leases<B: Bus>(bus: &B) {
    let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
    start(bus, &mut tasks, &stop);
    loop {
        let Ok(listing) = bus.list(Bucket::Leases, "rules").await else {
            // The server is still coming up.
            tokio::task::yield_now().await;
            continue;
        };
        let with_cursor = |e: &Entry| {
            let value = e.value.as_ref().unwrap();
            let lease: serde_json::Value = serde_json::from_slice(value).unwrap();
            lease["cursor"].is_u64()
        };
        if listing.entries.iter().filter(|e| with_cursor(e)).count() == 64 {
            break;
        }
        tokio::task::yield_now().await;
    }
    end(tasks, &stop).await;
}

async fn subscribe<B: Bus>(bus: &B, url: &str) -> SubscriptionId {
    let id = SubscriptionId::from_random(std::array::from_fn(|_| fastrand::u8(..)));
    let now = Time::from_millis(Clock::System.now_ms());
    let secret = signature::secret_from_random([7; 32]);
    let subscription = Subscription {
        v: Version,
        id: id.clone(),
        url: url.to_owned(),
        description: None,
        format: Format::Wirebell,
        keys: vec![SigningKey { secret, until: None }],
        filters: vec![FilterVersion {
            number: 1,
            effective_after: 0,
            filter: serde_json::from_str(r#"{"topics":["*"]}"#).unwrap(),
        }],
        ttl: None,
        paused: false,
        requests: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    let value = Bytes::from(serde_json::to_vec(&subscription).unwrap());
    let put = Put { key: id.to_string(), value, expect: None };
    bus.put(Bucket::Subscriptions, put).await.unwrap();
    id
}

async fn publish<B: Bus>(bus: &B) {
    for (id, title) in [("1", "The siren sounds"), ("2", "The all clear is given")] {
        let draft = Draft { id: Some(id.into()), title: title.into(), ..Draft::default() };
        let now = Time::from_millis(Clock::System.now_ms());
        let answer = source::publish(bus, &Origin::push(true), draft, now).await.unwrap();
        answer.unwrap();
    }
}

async fn kinds_in_log<B: Bus>(bus: &B) -> Vec<String> {
    let selection =
        Selection { from: From::Start, until: Until::End, filter: "wb.event.>".to_owned() };
    let mut reader = bus.read(Stream::Events, selection).await.unwrap();
    let mut kinds = Vec::new();
    while let Some(item) = reader.next().await {
        if let Item::Record(stored) = item.unwrap() {
            let event: serde_json::Value = serde_json::from_slice(&stored.payload).unwrap();
            kinds.push(event["type"].as_str().unwrap().to_owned());
        }
    }
    kinds
}

/// A body without what may differ between tries: an opening that comes after its end is late.
fn timeless(hook: &Hook) -> serde_json::Value {
    let mut body = hook.json();
    body["data"]["event"]["late"] = serde_json::Value::Null;
    body
}

/// Dies at write number `at`; answers whether it came to that before all was done.
async fn die_at<K: Backend>(at: usize, before: bool) -> bool {
    let Some(backend) = K::start(Limits::default()).await else { return false };
    let bus = backend.bus();
    take_first_leases(&bus).await;
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let id = subscribe(&bus, &url).await;
    publish(&bus).await;
    println!("dying at write {at}, before it: {before}");
    let dying = Dying::new(bus.clone(), at, before);
    let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
    start(&dying, &mut tasks, &stop);
    let settled = async {
        loop {
            let record = bus.get(Bucket::Deliveries, id.as_str()).await.unwrap();
            let record = record.and_then(|e| e.value).unwrap_or_default();
            let record: serde_json::Value = serde_json::from_slice(&record).unwrap_or_default();
            if record["sequence"] == 2 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let died = tokio::select! {
        () = dying.died.notified() => true,
        () = settled => false,
    };
    tasks.shutdown().await;
    let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
    start(&bus, &mut tasks, &stop);
    let hooks = tokio::task::spawn_blocking(move || receiver.wait_for(2)).await.unwrap();
    end(tasks, &stop).await;
    assert_eq!(hooks.len(), 2, "write {at}");
    for repeats in hooks.values() {
        let first = timeless(&repeats[0]);
        assert!(repeats.iter().all(|hook| timeless(hook) == first), "write {at}");
    }
    assert_eq!(kinds_in_log(&bus).await, ["alert.opened", "alert.ended"], "write {at}");
    died
}

async fn die_at_every_write<K: Backend>() {
    for before in [true, false] {
        let mut at = 0;
        while die_at::<K>(at, before).await {
            at += 1;
            assert!(at < 100, "it never comes to an end");
        }
        assert!(at >= 6, "states, events, verdicts, leases and deliveries are writes: {at}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_write_of_the_embedded_store_loses_and_doubles_nothing() {
    let _alone = crate::e2e::HEAVY.lock().await;
    die_at_every_write::<crate::bus::embedded::Folder>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_write_to_nats_loses_and_doubles_nothing() {
    let _alone = crate::e2e::HEAVY.lock().await;
    if crate::support::nats::is_off() {
        return;
    }
    die_at_every_write::<crate::bus::nats::Remote>().await;
}
