//! Notifiers that come, go and die.

use std::collections::BTreeSet;

use serde_json::json;
use tokio::task::JoinSet;
use wirebell::bus::Bus;
use wirebell::bus::Limits;

use crate::bus::Backend;
use crate::bus::embedded::Folder;
use crate::bus::nats::Remote;
use crate::delivery::Notifier;
use crate::delivery::SHARDS;
use crate::delivery::hook::Hook;
use crate::delivery::owners;
use crate::delivery::publish;
use crate::delivery::subscribe;
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
