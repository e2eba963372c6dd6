//! Notifiers that come, go and die.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde_json::json;
use tokio::task::JoinSet;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Limits;
use wirebell::bus::Put;
use wirebell::bus::PutOutcome;
use wirebell::clock::Clock;
use wirebell::model::Time;
use wirebell::model::Version;
use wirebell::model::names;
use wirebell::worker::lease::Lease;

use crate::bus::Backend;
use crate::bus::again;
use crate::bus::embedded::Folder;
use crate::bus::nats::Remote;
use crate::delivery::Notifier;
use crate::delivery::SHARDS;
use crate::delivery::hook::Hook;
use crate::delivery::owners;
use crate::delivery::publish;
use crate::delivery::subscribe;
use crate::support::spied::Spied;
use crate::support::spied::Spy;
use crate::workers::wait_until;

const SUBSCRIPTIONS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifiers_share_and_succeed_each_other_on_the_embedded_store() {
    share::<Folder>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifiers_share_and_succeed_each_other_on_nats() {
    share::<Remote>().await;
}

/// Waits until these have every shard between them, and about as many each.
async fn shared<B: Bus>(bus: &B, notifiers: &[&Notifier]) {
    let wanted: BTreeSet<&str> = notifiers.iter().map(|n| n.owner.as_str()).collect();
    let share = usize::from(SHARDS).div_ceil(notifiers.len());
    wait_until("sharing", async || {
        let owners = owners(bus).await;
        let known = owners.keys().all(|owner| wanted.contains(owner.as_str()));
        known
            && owners.values().sum::<usize>() == usize::from(SHARDS)
            && owners.len() == notifiers.len()
            && owners.values().all(|n| *n <= share)
    })
    .await;
}

async fn share<T: Backend>() {
    let Some(backend) = T::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let (hook, mut tasks) = (Hook::default(), JoinSet::new());
    let address = hook.serve("127.0.0.1:0".parse().unwrap(), &mut tasks).await;
    let mut events = Vec::new();
    for n in 0..SUBSCRIPTIONS {
        subscribe(&bus, &format!("http://{address}/{n}"), json!({})).await;
    }
    let arrived = async |count: usize| {
        let all = || {
            let paths = hook.by_path();
            let complete = |came: &Vec<crate::delivery::hook::Came>| {
                came.iter().map(|c| c.sequence).collect::<BTreeSet<u64>>().len() == count
            };
            paths.len() == SUBSCRIPTIONS && paths.values().all(complete)
        };
        wait_until("webhooks", async || all()).await;
    };
    let first = Notifier::start(bus.clone(), false);
    shared(&bus, &[&first]).await;
    events.extend(publish(&bus, "alone", 5).await);
    arrived(events.len()).await;
    let second = Notifier::start(bus.clone(), false);
    events.extend(publish(&bus, "joining", 20).await);
    shared(&bus, &[&first, &second]).await;
    arrived(events.len()).await;
    first.worker.die().await;
    events.extend(publish(&bus, "orphaned", 20).await);
    shared(&bus, &[&second]).await;
    arrived(events.len()).await;
    let third = Notifier::start(bus.clone(), false);
    shared(&bus, &[&second, &third]).await;
    events.extend(publish(&bus, "leaving", 20).await);
    second.worker.leave().await;
    assert!(owners(&bus).await.keys().all(|o| *o == third.owner), "given back at once");
    shared(&bus, &[&third]).await;
    arrived(events.len()).await;
    let wanted: Vec<String> = events.iter().map(ToString::to_string).collect();
    for (path, came) in hook.by_path() {
        let mut first_seen = BTreeSet::new();
        let once: Vec<_> = came.iter().filter(|c| first_seen.insert(c.sequence)).collect();
        let ids: Vec<String> = once.iter().map(|c| c.event.clone()).collect();
        assert_eq!(ids, wanted, "{path}: in order, none missing");
        // What comes twice is the same request again.
        for repeat in &came {
            let original = once.iter().find(|c| c.sequence == repeat.sequence).unwrap();
            assert_eq!((&repeat.id, &repeat.body), (&original.id, &original.body), "{path}");
        }
    }
    third.worker.leave().await;
}

/// Counts how often a notifier says that it is there: once each round.
#[derive(Clone, Default)]
struct Rounds(Arc<AtomicUsize>);

impl Spy for Rounds {
    async fn before(&self, to: &str, payloads: Vec<Bytes>) -> usize {
        let says_so = to == Bucket::Leases.name() && payloads.len() == 1;
        self.0.fetch_add(usize::from(says_so), Ordering::AcqRel)
    }
}

/// Somebody else who holds every shard.
struct Other<B> {
    bus: B,
    revisions: Vec<Option<u64>>,
}

impl<B: Bus> Other<B> {
    async fn renew(&mut self) {
        let until = Time::from_millis(Clock::System.now_ms());
        let owner = Some("another".to_owned());
        let lease = Lease { v: Version, owner, until, cursor: None, tries: 0 };
        let value = Bytes::from(serde_json::to_vec(&lease).unwrap());
        let put = |(shard, expect): (u16, &Option<u64>)| Put {
            key: names::lease_key("notifier", shard),
            value: value.clone(),
            expect: *expect,
        };
        let group: Vec<Put> = (0..).zip(&self.revisions).map(put).collect();
        let outcomes = again(|| self.bus.put_all(Bucket::Leases, group.clone())).await;
        for (revision, outcome) in self.revisions.iter_mut().zip(outcomes) {
            let PutOutcome::Written(written) = outcome.unwrap() else {
                panic!("nobody else writes")
            };
            *revision = Some(written);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_died_after_many_renewals_is_succeeded_on_the_embedded_store() {
    succeed::<Folder>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_died_after_many_renewals_is_succeeded_on_nats() {
    succeed::<Remote>().await;
}

async fn succeed<T: Backend>() {
    let Some(backend) = T::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let mut other = Other { bus: bus.clone(), revisions: vec![None; usize::from(SHARDS)] };
    other.renew().await;
    let rounds = Rounds::default();
    let notifier = Notifier::start(Spied(bus.clone(), rounds.clone()), false);
    let count = || rounds.0.load(Ordering::Acquire);
    wait_until("a notifier that looks around", async || count() > 1).await;
    // As many as of several minutes.
    for _ in 0..60 {
        other.renew().await;
    }
    let last = count();
    shared(&bus, &[&notifier]).await;
    // A lease lasts for less than four rounds.
    assert!(count() - last < 8, "{} rounds after the last renewal", count() - last);
    notifier.worker.leave().await;
}
