//! An endpoint that was dead for long.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use serde_json::json;
use tokio::task::JoinSet;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Limits;
use wirebell::bus::Put;
use wirebell::bus::Selection;
use wirebell::bus::Stream;
use wirebell::model::Subscription;

use crate::bus::Backend;
use crate::bus::embedded::Folder;
use crate::bus::nats::Remote;
use crate::delivery::Notifier;
use crate::delivery::hook::Hook;
use crate::delivery::publish;
use crate::delivery::record;
use crate::delivery::subscribe;
use crate::support::spied::Spied;
use crate::support::spied::Spy;
use crate::workers::wait_until;

/// Counts how often the events are opened for reading.
#[derive(Clone, Default)]
struct Readers(Arc<AtomicUsize>);

impl Spy for Readers {
    fn reads(&self, stream: Stream, selection: Selection) -> Selection {
        self.0.fetch_add(usize::from(stream == Stream::Events), Ordering::Relaxed);
        selection
    }
}

/// Events that wait for a dead endpoint.
#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by hand")]
fn backlog() -> usize {
    std::env::var("WIREBELL_TEST_BACKLOG").map_or(1_500, |n| n.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_endpoint_returns_in_order_on_the_embedded_store() {
    returns::<Folder>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_endpoint_returns_in_order_on_nats() {
    returns::<Remote>().await;
}

async fn returns<T: Backend>() {
    let Some(backend) = T::start(Limits::default()).await else { return };
    let bus = backend.bus();
    // Nobody listens there until later.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let id = subscribe(&bus, &format!("http://{address}/"), json!({})).await;
    let notifier = Notifier::start(bus.clone(), true);
    let first = publish(&bus, "first", 3).await;
    let failing = async || record(&bus, &id).await.is_some_and(|r| r.breaker.failures >= 2);
    wait_until("failures", failing).await;
    let rest = publish(&bus, "rest", backlog()).await;
    let dead = record(&bus, &id).await.unwrap();
    assert_eq!((dead.sequence, dead.outstanding.len()), (0, 1), "one record, whatever waits");
    let size = serde_json::to_vec(&dead).unwrap().len();
    assert!(size < 1_000, "{size} bytes of record");
    let (hook, mut tasks) = (Hook::default(), JoinSet::new());
    hook.serve(address, &mut tasks).await;
    let wanted = first.len() + rest.len();
    let mut last = 0;
    while hook.count() < wanted {
        // As long as it goes on, it may take its time.
        wait_until("more webhooks", async || hook.count() > last).await;
        last = hook.count();
    }
    let came = hook.came();
    let ids: Vec<String> = first.iter().chain(&rest).map(|event| format!("{event}-{id}")).collect();
    assert_eq!(came.iter().map(|c| c.id.clone()).collect::<Vec<_>>(), ids, "once each, in order");
    assert!(came.iter().zip(1..).all(|(c, n)| c.sequence == n), "sequences have no gap");
    assert_eq!(hook.most_open(), 1, "one at a time");
    let settled = u64::try_from(wanted).unwrap();
    let written = async || record(&bus, &id).await.is_some_and(|r| r.sequence == settled);
    wait_until("record of it", written).await;
    notifier.worker.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_a_little_later_needs_no_reading_of_what_was_read() {
    let Some(backend) = Folder::start(Limits::default()).await else { return };
    let (store, readers) = (backend.bus(), Readers::default());
    let bus = Spied(store, readers.clone());
    let (hook, mut tasks) = (Hook::default(), JoinSet::new());
    let address = hook.serve("127.0.0.1:0".parse().unwrap(), &mut tasks).await;
    let url = |n: u32| format!("http://{address}/{n}");
    subscribe(&bus, &url(1), json!({})).await;
    let later = subscribe(&bus, &url(2), json!({"paused": true})).await;
    publish(&bus, "read", 600).await;
    let notifier = Notifier::start(bus.clone(), true);
    wait_until("the first", async || hook.count() >= 600).await;
    let before = readers.0.load(Ordering::Relaxed);
    assert!(before >= 3, "the tail and stretches of 256: {before}");
    let entry = bus.get(Bucket::Subscriptions, later.as_str()).await.unwrap().unwrap();
    let mut wanted: Subscription = serde_json::from_slice(&entry.value.unwrap()).unwrap();
    wanted.paused = false;
    let value = serde_json::to_vec(&wanted).unwrap().into();
    let put = Put { key: later.to_string(), value, expect: Some(entry.revision) };
    bus.put(Bucket::Subscriptions, put).await.unwrap();
    wait_until("the second", async || hook.count() >= 1_200).await;
    assert_eq!(readers.0.load(Ordering::Relaxed), before);
    notifier.worker.leave().await;
}
