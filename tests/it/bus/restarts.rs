use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Expect;
use wirebell::bus::From;
use wirebell::bus::Limits;
use wirebell::bus::Outcome;
use wirebell::bus::PutOutcome;
use wirebell::bus::Stream;

use super::Backend;
use super::PATIENCE;
use super::again;
use super::change;
use super::publish;
use super::put;
use super::read_all;
use super::record;

pub(crate) async fn nothing_acknowledged_is_lost_and_no_sequence_is_given_twice<B: Backend>() {
    let Some(mut backend) = B::start(Limits::default()).await else { return };
    for round in 0..3_u64 {
        let bus = backend.bus();
        for n in round * 20..round * 20 + 20 {
            let record = record(&format!("wb.event.fire.a.{n}"), &n.to_string());
            let outcome = publish(&bus, Stream::Events, record, Expect::Absent).await;
            assert_eq!(outcome, Outcome::Published(n + 1));
        }
        backend.restart().await;
    }
    let bus = backend.bus();
    let found = read_all(&bus, Stream::Events, From::After(10), "wb.event.>").await;
    let seqs: Vec<u64> = found.iter().map(|stored| stored.seq).collect();
    assert_eq!(seqs, (11..=60).collect::<Vec<u64>>());
}

pub(crate) async fn a_crash_between_publish_and_cursor_repeats_harmlessly<B: Backend>() {
    let Some(mut backend) = B::start(Limits::default()).await else { return };
    let event = record("wb.event.fire.a.1", "opened");
    let bus = backend.bus();
    let cursor = again(|| bus.put(Bucket::Leases, put("rules/1", "0", None))).await;
    let PutOutcome::Written(cursor) = cursor else { panic!("a conflict") };
    let first = publish(&bus, Stream::Events, event.clone(), Expect::Absent).await;
    assert_eq!(first, Outcome::Published(1));
    backend.restart().await;
    let bus = backend.bus();
    let entry = again(|| bus.get(Bucket::Leases, "rules/1")).await.unwrap();
    assert_eq!((entry.revision, entry.value.as_deref()), (cursor, Some(&b"0"[..])));
    let again_published = publish(&bus, Stream::Events, event, Expect::Absent).await;
    assert_eq!(again_published, Outcome::AlreadyThere(1));
    let moved = again(|| bus.put(Bucket::Leases, put("rules/1", "1", Some(cursor)))).await;
    assert!(matches!(moved, PutOutcome::Written(_)));
    assert_eq!(again(|| bus.end(Stream::Events)).await, 1);
}

pub(crate) async fn entries_and_positions_survive<B: Backend>() {
    let Some(mut backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let group: Vec<_> = (0..100).map(|n| put(&format!("fire/{n:03}"), "1", None)).collect();
    again(|| bus.put_all(Bucket::Alerts, group.clone())).await;
    let before = again(|| bus.list(Bucket::Alerts, "")).await;
    let mut revision = before.entries[0].revision;
    for value in ["2", "3"] {
        let change = put("fire/000", value, Some(revision));
        let outcome = again(|| bus.put(Bucket::Alerts, change.clone())).await;
        let PutOutcome::Written(written) = outcome else { panic!("a conflict") };
        revision = written;
    }
    backend.restart().await;
    let bus = backend.bus();
    let mut watch = again(|| bus.watch(Bucket::Alerts, "", before.position)).await;
    let (key, seen, value) = change(&mut watch).await;
    assert_eq!((key.as_str(), seen, value.as_deref()), ("fire/000", revision, Some("3")));
    let after = again(|| bus.list(Bucket::Alerts, "fire")).await;
    assert_eq!(after.entries.len(), 100);
    assert_eq!(after.position, revision);
}

pub(crate) async fn a_close_answers_every_write_under_way<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    publish(&bus, Stream::Events, record("wb.event.fire.a.start", "x"), Expect::Absent).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..100 {
        let bus = bus.clone();
        tasks.spawn(async move {
            let record = record(&format!("wb.event.fire.a.{n}"), "x");
            bus.publish(Stream::Events, record, Expect::Absent).await
        });
    }
    tokio::time::timeout(PATIENCE, bus.close()).await.unwrap();
    assert!(!bus.is_connected(), "closed means that nothing is left behind the bus");
    for outcome in tokio::time::timeout(PATIENCE, tasks.join_all()).await.unwrap() {
        assert!(matches!(outcome, Ok(Outcome::Published(_)) | Err(_)), "{outcome:?}");
    }
}
