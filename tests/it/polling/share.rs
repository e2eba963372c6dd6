//! Two ingest workers that divide the feeds, and one that is killed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use wirebell::bus::Bus;
use wirebell::bus::Limits;
use wirebell::clock::Clock;
use wirebell::egress::Client;
use wirebell::egress::Policy;
use wirebell::egress::Resolver;
use wirebell::model::id::SHARDS;
use wirebell::source::Feed;
use wirebell::source::Sources;
use wirebell::spans::Tracer;
use wirebell::telemetry::Board;
use wirebell::worker::ingest;
use wirebell::worker::lease;

use crate::bus::Backend;
use crate::bus::embedded::Folder;
use crate::bus::nats::Remote;
use crate::polling::feed;
use crate::polling::paper::Papers;
use crate::workers::Worker;
use crate::workers::wait_until;

const FEEDS: usize = 40;
const INTERVAL: Duration = Duration::from_millis(500);
const GAP: Duration = Duration::from_millis(10);
/// Long enough for a machine that is busy with other tests.
const LEASE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feeds_are_divided_and_taken_over_on_the_embedded_store() {
    divide::<Folder>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feeds_are_divided_and_taken_over_on_nats() {
    divide::<Remote>().await;
}

fn hire<B: Bus>(bus: &B, port: u16) -> Worker {
    let feed = |n| Feed { interval: INTERVAL, eager: true, ..feed(n, port) };
    let feeds = (0..FEEDS).map(feed).collect();
    let sources = Sources { feeds, folders: Vec::new(), host_gap: GAP };
    let owner = format!("owner-{:016x}", fastrand::u64(..));
    let settings = ingest::Settings {
        leases: lease::Settings::new("ingest", SHARDS, owner, LEASE),
        sources: watch::Sender::new(Arc::new(sources)).subscribe(),
        clock: Clock::System,
        board: Board::default(),
        tracer: Tracer::default(),
    };
    let client = Client::new(Policy::new(&["127.0.0.0/8"]).unwrap(), Resolver::table(&[]));
    let bus = bus.clone();
    Worker::start(|stop| ingest::run(bus, client, settings, stop))
}

async fn divide<T: Backend>() {
    let Some(backend) = T::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let mut tasks = JoinSet::new();
    let gap = i64::try_from(GAP.as_millis()).unwrap();
    let (papers, port) = Papers::open(Clock::System, gap, &mut tasks).await;
    // Every feed is asked so many times more.
    let rounds = async |what: &str, times: usize| {
        let before = papers.asked().len();
        wait_until(what, async || {
            let asked = papers.asked();
            let more = |n: usize| asked.iter().skip(before).filter(|a| a.feed == n).count();
            (0..FEEDS).all(|n| more(n) >= times)
        })
        .await;
    };
    let first = hire(&bus, port);
    rounds("polls by one", 2).await;
    let second = hire(&bus, port);
    rounds("polls by two", 8).await;
    let killed = papers.asked().len();
    first.die().await;
    rounds("polls by the one left", 2).await;
    second.leave().await;
    let asked = papers.asked();
    let least = i64::try_from(INTERVAL.as_millis()).unwrap() * 9 / 10;
    for n in 0..FEEDS {
        let mine: Vec<(usize, i64)> =
            (0..).zip(&asked).filter(|(_, a)| a.feed == n).map(|(i, a)| (i, a.at)).collect();
        for pair in mine.windows(2) {
            let ((before, then), (after, now)) = (pair[0], pair[1]);
            // A poll that was cut off by the death is made again.
            let over_death = before < killed && after >= killed;
            assert!(over_death || now - then >= least, "feed {n} after {} ms", now - then);
        }
    }
    let wrong: Vec<String> = papers.wrong();
    assert_eq!(wrong, Vec::<String>::new());
}
