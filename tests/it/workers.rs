//! Rules workers in this process, on either backend, by a clock that the test sets.

mod culprit;
mod standstill;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Expect;
use wirebell::bus::From;
use wirebell::bus::Record;
use wirebell::bus::Selection;
use wirebell::bus::Stream;
use wirebell::bus::Until;
use wirebell::clock::Clock;
use wirebell::model::Article;
use wirebell::model::names;
use wirebell::rules::RuleSet;
use wirebell::spans::Tracer;
use wirebell::telemetry::Board;
use wirebell::worker::lease;
use wirebell::worker::rules;

use crate::bus::again;

const SHARDS: u16 = 64;
/// Long enough for a machine that is busy with other tests.
const LEASE: Duration = Duration::from_secs(2);
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// What workers are hired with.
#[derive(Clone)]
struct Office {
    rules: Arc<ArcSwap<RuleSet>>,
    clock: Clock,
}

/// A worker; dropped, it has died: nothing is given back.
pub(crate) struct Worker {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Office {
    /// Starts a worker. One that knows to be the only one waits for nobody's lease.
    fn hire<B: Bus>(&self, bus: B, sole: bool) -> Worker {
        let owner = format!("owner-{}", fastrand::u64(..));
        let settings = rules::Settings {
            leases: lease::Settings { sole, ..lease::Settings::new("rules", SHARDS, owner, LEASE) },
            rules: self.rules.clone(),
            clock: self.clock.clone(),
            board: Board::default(),
            tracer: Tracer::default(),
        };
        Worker::start(|stop| rules::run(bus, settings, stop))
    }
}

impl Worker {
    pub(crate) fn start<F, E>(run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Debug,
    {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let running = run(stop.clone());
        tasks.spawn(async move { running.await.unwrap() });
        Self { tasks, stop }
    }

    pub(crate) async fn die(mut self) {
        self.tasks.shutdown().await;
    }

    pub(crate) async fn leave(mut self) {
        self.stop.cancel();
        while let Some(done) = self.tasks.join_next().await {
            done.unwrap();
        }
    }
}

/// Waits until every shard has a cursor: a first-ever one starts at the end of the log.
pub(crate) async fn wait_for_cursors<B: Bus>(bus: &B) {
    wait_until("cursors", async || {
        let leases = again(|| bus.list(Bucket::Leases, "rules")).await;
        let has_cursor = |value: &Bytes| {
            serde_json::from_slice::<lease::Lease>(value).is_ok_and(|lease| lease.cursor.is_some())
        };
        let cursors = leases.entries.iter().filter_map(|e| e.value.as_ref());
        cursors.filter(|value| has_cursor(value)).count() == usize::from(SHARDS)
    })
    .await;
}

pub(crate) async fn wait_until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("no {what} in time"));
}

/// Writes articles into the log as they are.
pub(crate) async fn write_down<B: Bus>(bus: &B, articles: &[Article]) {
    for article in articles {
        let payload = Bytes::from(serde_json::to_vec(article).unwrap());
        let record = Record::new(names::article(&article.source, &article.id), payload);
        again(|| bus.publish(Stream::Articles, record.clone(), Expect::Absent)).await;
    }
}

/// Every record of a stream, from its start.
pub(crate) async fn records<B: Bus, T: DeserializeOwned>(bus: &B, stream: Stream) -> Vec<T> {
    let filter = format!("{}>", stream.prefix());
    let selection = Selection { from: From::Start, until: Until::End, filter };
    let reader = again(|| bus.read(stream, selection.clone())).await;
    let records = reader.records().await.unwrap();
    records.iter().map(|stored| serde_json::from_slice(&stored.payload).unwrap()).collect()
}
