//! The process that does the work and dies: this test program, run with orders.

use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Deserialize;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Embedded;
use wirebell::bus::EmbeddedSettings;
use wirebell::bus::From;
use wirebell::bus::Limits;
use wirebell::bus::Selection;
use wirebell::bus::Stream;
use wirebell::bus::Until;
use wirebell::clock::Clock;
use wirebell::delivery::endpoint::Ttls;
use wirebell::egress::Client;
use wirebell::egress::Policy;
use wirebell::egress::Resolver;
use wirebell::feed::Draft;
use wirebell::model::Time;
use wirebell::source;
use wirebell::source::Origin;
use wirebell::spans::Tracer;
use wirebell::telemetry::Board;
use wirebell::worker::lease;
use wirebell::worker::notifier;
use wirebell::worker::rules;

use crate::steps::dying::Death;
use crate::steps::dying::Dying;
use crate::support::nats::connect;

const ORDERS: &str = "WIREBELL_TEST_ORDERS";

/// Longest time for a piece of work.
const PATIENCE: Duration = Duration::from_secs(60);

const RULES: &str = "version: 1
rules:
  - {id: siren, any: [siren]}
  - {id: silence, ends: siren, any: [all clear]}
";

/// Where the records are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Place {
    Folder(PathBuf),
    Nats(String),
}

/// What a process does, to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Work {
    /// Publishes both articles, as one who repeats what was not answered.
    Publish,
    /// Turns both articles into events and verdicts.
    Rules,
    /// Sends both events.
    Notifier,
    /// All of it.
    All,
}

/// What a process is to do and when it dies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) place: Place,
    pub(super) work: Work,
    pub(super) death: Option<Death>,
}

impl Orders {
    /// What this process was started for; none in the process of a person who runs the tests.
    pub(super) fn given() -> Option<Self> {
        let text = std::env::var_os(ORDERS)?;
        Some(serde_json::from_slice(text.as_encoded_bytes()).unwrap())
    }

    /// Runs one test of this program in a process of its own, which finds these orders.
    pub(super) fn start(&self, test: &str) -> Child {
        Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(ORDERS, serde_json::to_string(self).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Does the work.
    pub(super) fn follow(self) {
        runtime().block_on(async move {
            match self.place {
                Place::Folder(folder) => {
                    let bus = embedded(folder).await;
                    Box::pin(carry_out(bus, self.work, self.death)).await;
                }
                Place::Nats(url) => {
                    let bus = connect(&url).await;
                    Box::pin(carry_out(bus, self.work, self.death)).await;
                }
            }
        });
    }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Fails where another process still holds the folder.
pub(super) async fn embedded(folder: PathBuf) -> Embedded {
    Embedded::open(EmbeddedSettings { folder, limits: Limits::default() }).await.unwrap()
}

async fn carry_out<B: Bus>(bus: B, work: Work, death: Option<Death>) {
    let dying = Dying::on(bus.clone(), death);
    let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
    match work {
        Work::Publish => publish(&dying).await,
        Work::Rules => {
            start_rules(&dying, &mut tasks, &stop);
            in_time(wait_for_records(&bus, Stream::Events, 2)).await;
            in_time(wait_for_records(&bus, Stream::Verdicts, 2)).await;
        }
        Work::Notifier => {
            start_notifier(&dying, &mut tasks, &stop);
            in_time(wait_until_told(&bus)).await;
            in_time(wait_for_records(&bus, Stream::Attempts, 2)).await;
        }
        Work::All => {
            start_rules(&dying, &mut tasks, &stop);
            start_notifier(&dying, &mut tasks, &stop);
            publish(&dying).await;
            in_time(wait_for_records(&bus, Stream::Events, 2)).await;
            in_time(wait_for_records(&bus, Stream::Verdicts, 2)).await;
            in_time(wait_until_told(&bus)).await;
        }
    }
    end(tasks, &stop).await;
    bus.close().await;
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("the work is done in time")
}

fn leases(worker: &'static str, shards: u16) -> lease::Settings {
    let owner = format!("owner-{}", fastrand::u64(..));
    lease::Settings {
        sole: true,
        ..lease::Settings::new(worker, shards, owner, Duration::from_secs(20))
    }
}

pub(super) fn start_rules<B: Bus>(bus: &B, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
    let rule_set = wirebell::rules::load(&[("rules.yaml".to_owned(), RULES.to_owned())]).unwrap();
    let settings = rules::Settings {
        leases: leases("rules", 64),
        rules: Arc::new(ArcSwap::from_pointee(rule_set)),
        clock: Clock::System,
        board: Board::default(),
        tracer: Tracer::default(),
    };
    let (bus, stop) = (bus.clone(), stop.clone());
    tasks.spawn(async move { rules::run(bus, settings, stop).await.unwrap() });
}

fn start_notifier<B: Bus>(bus: &B, tasks: &mut JoinSet<()>, stop: &CancellationToken) {
    let settings = notifier::Settings {
        leases: leases("notifier", 64),
        clock: Clock::System,
        board: Board::default(),
        tracer: Tracer::default(),
        timeout: Duration::from_secs(20),
        max_in_flight: 8,
        host_in_flight: 8,
        ttls: Ttls::default(),
        public_url: "http://127.0.0.1:8080".to_owned(),
    };
    let client = Client::new(Policy::new(&["127.0.0.0/8"]).unwrap(), Resolver::system());
    let (bus, stop) = (bus.clone(), stop.clone());
    tasks.spawn(async move { notifier::run(bus, client, settings, stop).await.unwrap() });
}

pub(super) async fn end(mut tasks: JoinSet<()>, stop: &CancellationToken) {
    stop.cancel();
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

pub(super) async fn publish<B: Bus>(bus: &B) {
    for (id, title) in [("1", "The siren sounds"), ("2", "The all clear is given")] {
        let draft = Draft { id: Some(id.into()), title: title.into(), ..Draft::default() };
        let now = Time::from_millis(Clock::System.now_ms());
        let answer = source::publish(bus, &Origin::push(true), draft, now).await.unwrap();
        answer.unwrap();
    }
}

pub(super) async fn wait_for_records<B: Bus>(bus: &B, stream: Stream, count: usize) {
    let filter = format!("{}>", stream.prefix());
    let selection = Selection { from: From::Start, until: Until::Forever, filter };
    let mut reader = bus.read(stream, selection).await.unwrap();
    for _ in 0..count {
        reader.next().await.unwrap().unwrap();
    }
}

/// Waits until the only subscription's record says that both events are settled.
async fn wait_until_told<B: Bus>(bus: &B) {
    let done = |value: &[u8]| {
        let record: serde_json::Value = serde_json::from_slice(value).unwrap();
        record["sequence"] == 2 && record.get("outstanding").is_none()
    };
    let listing = bus.list(Bucket::Deliveries, "").await.unwrap();
    let mut changes = bus.watch(Bucket::Deliveries, "", listing.position).await.unwrap();
    let mut entries = listing.entries;
    while !entries.iter().filter_map(|e| e.value.as_ref()).any(|value| done(value)) {
        entries = vec![changes.next().await.unwrap().unwrap()];
    }
}
