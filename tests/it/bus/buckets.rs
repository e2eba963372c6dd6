use std::time::Instant;

use bytes::Bytes;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Error;
use wirebell::bus::Limits;
use wirebell::bus::Put;
use wirebell::bus::PutOutcome;

use super::Backend;
use super::again;
use super::change;
use super::put;

const ALERTS: Bucket = Bucket::Alerts;

async fn write(bus: &impl Bus, key: &str, value: &str, expect: Option<u64>) -> PutOutcome {
    again(|| bus.put(ALERTS, put(key, value, expect))).await
}

fn written(outcome: PutOutcome) -> u64 {
    match outcome {
        PutOutcome::Written(revision) => revision,
        PutOutcome::Conflict => panic!("a conflict"),
    }
}

pub(crate) async fn a_key_is_created_updated_and_deleted_at_its_revision<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let key = "fire/odesa/actual";
    assert_eq!(again(|| bus.get(ALERTS, key)).await, None);
    let first = written(write(&bus, key, "1", None).await);
    assert_eq!(write(&bus, key, "2", None).await, PutOutcome::Conflict);
    let second = written(write(&bus, key, "2", Some(first)).await);
    assert!(second > first);
    assert_eq!(write(&bus, key, "3", Some(first)).await, PutOutcome::Conflict);
    let entry = again(|| bus.get(ALERTS, key)).await.unwrap();
    assert_eq!((entry.key.as_str(), entry.revision), (key, second));
    assert_eq!(entry.value.as_deref(), Some(&b"2"[..]));
    assert_eq!(again(|| bus.delete(ALERTS, key, first)).await, PutOutcome::Conflict);
    let gone = written(again(|| bus.delete(ALERTS, key, second)).await);
    assert!(gone > second);
    assert_eq!(again(|| bus.get(ALERTS, key)).await, None);
    assert!(again(|| bus.list(ALERTS, "")).await.entries.is_empty());
    assert!(matches!(again(|| bus.delete(ALERTS, key, second)).await, PutOutcome::Written(_)));
    assert!(matches!(again(|| bus.delete(ALERTS, "none", 7)).await, PutOutcome::Written(_)));
}

pub(crate) async fn a_deleted_key_can_be_made_again<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let first = written(write(&bus, "a", "1", None).await);
    let gone = written(again(|| bus.delete(ALERTS, "a", first)).await);
    assert_eq!(write(&bus, "a", "2", Some(first)).await, PutOutcome::Conflict);
    let second = written(write(&bus, "a", "1", None).await);
    assert!(second > gone);
    assert_eq!(again(|| bus.get(ALERTS, "a")).await.unwrap().revision, second);
    let third = written(again(|| bus.delete(ALERTS, "a", second)).await);
    let mut group: Vec<Put> = (0..30).map(|n| put(&format!("b/{n}"), "x", None)).collect();
    group.push(put("a", "3", None));
    let outcomes = again(|| bus.put_all(ALERTS, group.clone())).await;
    for outcome in &outcomes {
        assert!(matches!(outcome, Ok(PutOutcome::Written(r)) if *r > third), "{outcome:?}");
    }
    assert_eq!(again(|| bus.get(ALERTS, "a")).await.unwrap().value.as_deref(), Some(&b"3"[..]));
}

pub(crate) async fn a_value_that_is_already_the_same_counts_as_written<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let first = write(&bus, "a", "1", None).await;
    assert_eq!(write(&bus, "a", "1", None).await, first);
    let second = write(&bus, "a", "2", Some(written(first))).await;
    assert_eq!(write(&bus, "a", "2", Some(written(first))).await, second);
}

pub(crate) async fn one_of_sixteen_wins_a_compare_and_set<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let mut revision = written(write(&bus, "shared", "start", None).await);
    for round in 0..10 {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..16 {
            let bus = bus.clone();
            tasks.spawn(async move {
                write(&bus, "shared", &format!("{round} {task}"), Some(revision)).await
            });
        }
        let outcomes = tasks.join_all().await;
        let winners: Vec<u64> =
            outcomes.into_iter().filter(|o| *o != PutOutcome::Conflict).map(written).collect();
        assert_eq!(winners.len(), 1, "round {round}");
        revision = winners[0];
    }
}

pub(crate) async fn a_list_takes_whole_parts<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    for key in ["fire", "fire/a", "fire/b/c", "fire-2/a", "flood/a"] {
        write(&bus, key, key, None).await;
    }
    for (prefix, want) in [
        ("", vec!["fire", "fire-2/a", "fire/a", "fire/b/c", "flood/a"]),
        ("fire", vec!["fire/a", "fire/b/c"]),
        ("fire/b", vec!["fire/b/c"]),
        ("fire/a", vec![]),
    ] {
        let listing = again(|| bus.list(ALERTS, prefix)).await;
        let keys: Vec<&str> = listing.entries.iter().map(|e| e.key.as_str()).collect();
        assert_eq!(keys, want, "{prefix}");
    }
}

pub(crate) async fn a_list_of_an_empty_bucket_answers_at_once<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let listing = again(|| bus.list(ALERTS, "")).await;
    assert!(listing.entries.is_empty());
    let mut watch = again(|| bus.watch(ALERTS, "", listing.position)).await;
    let revision = written(write(&bus, "a", "1", None).await);
    assert_eq!(change(&mut watch).await, ("a".into(), revision, Some("1".into())));
}

pub(crate) async fn a_watch_shows_changes_and_deletions_from_its_position<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let first = written(write(&bus, "fire/a", "1", None).await);
    let listing = again(|| bus.list(ALERTS, "fire")).await;
    assert_eq!(listing.position, first);
    write(&bus, "flood/a", "1", None).await;
    let second = written(write(&bus, "fire/b", "1", None).await);
    let mut watch = again(|| bus.watch(ALERTS, "fire", listing.position)).await;
    assert_eq!(change(&mut watch).await, ("fire/b".into(), second, Some("1".into())));
    let gone = written(again(|| bus.delete(ALERTS, "fire/a", first)).await);
    assert_eq!(change(&mut watch).await, ("fire/a".into(), gone, None));
    let third = written(write(&bus, "fire/b", "2", Some(second)).await);
    assert_eq!(change(&mut watch).await, ("fire/b".into(), third, Some("2".into())));
    let beyond = bus.watch(ALERTS, "", third + 10).await;
    assert!(matches!(beyond, Err(Error::BeyondEnd { .. })));
}

pub(crate) async fn nothing_falls_between_a_list_and_a_watch_of_100_000_keys<B: Backend>() {
    const KEYS: usize = 100_000;
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let value = Bytes::from(vec![b'x'; 300]);
    let key = |n: usize| format!("rule-{}/{n:06}", n % 7);
    for chunk in 0..10 {
        let group: Vec<Put> = (chunk * KEYS / 10..(chunk + 1) * KEYS / 10)
            .map(|n| Put { key: key(n), value: value.clone(), expect: None })
            .collect();
        let outcomes = again(|| bus.put_all(Bucket::Deliveries, group.clone())).await;
        assert!(outcomes.iter().all(|o| matches!(o, Ok(PutOutcome::Written(_)))));
    }
    let changing = async {
        let mut last = 0;
        for n in 0..50 {
            let key = key(n);
            let entry = again(|| bus.get(Bucket::Deliveries, &key)).await.unwrap();
            let put = put(&key, &format!("changed {n}"), Some(entry.revision));
            last = written(again(|| bus.put(Bucket::Deliveries, put.clone())).await);
        }
        last
    };
    let began = Instant::now();
    let (last, listing) = tokio::join!(changing, again(|| bus.list(Bucket::Deliveries, "")));
    eprintln!("100,000 keys listed and 50 changed in {:?}", began.elapsed());
    assert_eq!(listing.entries.len(), KEYS);
    assert!(listing.entries.is_sorted_by(|a, b| a.key < b.key));
    let mut latest: std::collections::BTreeMap<String, Bytes> =
        listing.entries.into_iter().map(|e| (e.key, e.value.unwrap())).collect();
    let mut watch = again(|| bus.watch(Bucket::Deliveries, "", listing.position)).await;
    let mut position = listing.position;
    while position < last {
        let (key, revision, value) = change(&mut watch).await;
        position = revision;
        latest.insert(key, Bytes::from(value.unwrap()));
    }
    for n in 0..50 {
        assert_eq!(latest[&key(n)], format!("changed {n}"));
    }
    assert_eq!(again(|| bus.list(Bucket::Deliveries, "rule-3")).await.entries.len(), 14_286);
}

pub(crate) async fn a_group_of_entries_has_an_outcome_each<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let mut revisions = Vec::new();
    let shards: Vec<Put> = (0..64).map(|n| put(&format!("rules/{n}"), "a", None)).collect();
    for outcome in again(|| bus.put_all(Bucket::Leases, shards.clone())).await {
        revisions.push(written(outcome.unwrap()));
    }
    let stolen = put("rules/7", "thief", Some(revisions[7]));
    again(|| bus.put(Bucket::Leases, stolen.clone())).await;
    let renewals: Vec<Put> = revisions
        .iter()
        .enumerate()
        .map(|(n, revision)| put(&format!("rules/{n}"), "b", Some(*revision)))
        .collect();
    let outcomes = again(|| bus.put_all(Bucket::Leases, renewals.clone())).await;
    for (n, outcome) in outcomes.into_iter().enumerate() {
        match n {
            7 => assert_eq!(outcome.unwrap(), PutOutcome::Conflict),
            _ => assert!(written(outcome.unwrap()) > revisions[n]),
        }
    }
}

pub(crate) async fn a_full_bucket_still_takes_an_update_that_does_not_grow<B: Backend>() {
    let Some(backend) = B::start(Limits { bucket_bytes: 40_000, ..Limits::default() }).await else {
        return;
    };
    let bus = backend.bus();
    let value = "x".repeat(1_000);
    let mut revisions = Vec::new();
    let error = loop {
        match bus.put(ALERTS, put(&format!("k{:02}", revisions.len()), &value, None)).await {
            Ok(outcome) => revisions.push(written(outcome)),
            Err(Error::Away { .. }) => {}
            Err(error) => break error,
        }
        assert!(revisions.len() < 50, "the cap was not held");
    };
    assert!(matches!(&error, Error::Full { name, .. } if name == "alerts"), "{error}");
    let smaller = "y".repeat(900);
    let one = again(|| bus.put(ALERTS, put("k00", &smaller, Some(revisions[0])))).await;
    assert!(matches!(one, PutOutcome::Written(_)), "{one:?}");
    let group = (1..21).map(|n| put(&format!("k{n:02}"), &smaller, Some(revisions[n]))).collect();
    for outcome in bus.put_all(ALERTS, group).await.unwrap() {
        assert!(matches!(outcome, Ok(PutOutcome::Written(_))), "{outcome:?}");
    }
}

pub(crate) async fn a_lease_lost_in_mid_write_is_a_conflict<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let lease = written(again(|| bus.put(Bucket::Leases, put("rules/3", "a", None))).await);
    let state = written(write(&bus, "fire/odesa/actual", "by a", None).await);
    let taken = again(|| bus.put(Bucket::Leases, put("rules/3", "b", Some(lease)))).await;
    assert!(written(taken) > lease);
    let taken_over = written(write(&bus, "fire/odesa/actual", "by b", Some(state)).await);
    let late = write(&bus, "fire/odesa/actual", "late by a", Some(state)).await;
    assert_eq!(late, PutOutcome::Conflict);
    let renewal = again(|| bus.put(Bucket::Leases, put("rules/3", "a2", Some(lease)))).await;
    assert_eq!(renewal, PutOutcome::Conflict);
    let entry = again(|| bus.get(ALERTS, "fire/odesa/actual")).await.unwrap();
    assert_eq!((entry.revision, entry.value.as_deref()), (taken_over, Some(&b"by b"[..])));
}

pub(crate) async fn a_key_that_would_be_read_as_another_is_refused<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    for key in ["", "/a", "a/", "a//b", "a.b", "a b", "*", ">"] {
        assert!(matches!(bus.get(ALERTS, key).await, Err(Error::BadName(_))), "{key:?}");
        let outcome = bus.put(ALERTS, put(key, "x", None)).await;
        assert!(matches!(outcome, Err(Error::BadName(_))), "{key:?}");
        assert!(matches!(bus.delete(ALERTS, key, 1).await, Err(Error::BadName(_))), "{key:?}");
    }
}
