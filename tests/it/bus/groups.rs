use bytes::Bytes;
use wirebell::bus::Bus;
use wirebell::bus::Error;
use wirebell::bus::Expect;
use wirebell::bus::From;
use wirebell::bus::Limits;
use wirebell::bus::Outcome;
use wirebell::bus::Record;
use wirebell::bus::Stream;

use super::Backend;
use super::again;
use super::publish;
use super::read_all;
use super::record;

const EVENTS: Stream = Stream::Events;

async fn publish_all(bus: &impl Bus, group: Vec<(Record, Expect)>) -> Vec<Result<Outcome, Error>> {
    again(|| bus.publish_all(EVENTS, group.clone())).await
}

fn event(n: usize) -> (Record, Expect) {
    (record(&format!("wb.event.fire.a.{n}"), &n.to_string()), Expect::Absent)
}

fn published(outcomes: &[Result<Outcome, Error>]) -> Vec<u64> {
    let seq = |outcome: &Result<Outcome, Error>| match outcome {
        Ok(Outcome::Published(seq)) => *seq,
        other => panic!("{other:?}"),
    };
    outcomes.iter().map(seq).collect()
}

pub(crate) async fn a_group_is_written_with_an_outcome_each<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    assert!(publish_all(&bus, Vec::new()).await.is_empty());
    let outcomes = publish_all(&bus, (0..64).map(event).collect()).await;
    assert_eq!(published(&outcomes), (1..=64).collect::<Vec<u64>>());
    let few = publish_all(&bus, (64..67).map(event).collect()).await;
    assert_eq!(published(&few), [65, 66, 67]);
    let found = read_all(&bus, EVENTS, From::Start, "wb.event.>").await;
    for (n, stored) in found.iter().enumerate() {
        assert_eq!(stored.payload, n.to_string());
    }
}

pub(crate) async fn one_stale_or_known_entry_spoils_no_group<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    for n in [3, 40] {
        publish(&bus, EVENTS, event(n).0, Expect::Absent).await;
    }
    for size in [6, 64] {
        let mut group: Vec<_> = (0..size).map(|n| event(n + 100 * size)).collect();
        group[2] = event(3);
        group[3] = (record("wb.event.fire.a.40", "other"), Expect::Absent);
        group[4] = (record("wb.event.fire.b.1", "x"), Expect::After(77));
        let outcomes = publish_all(&bus, group).await;
        for (n, outcome) in outcomes.iter().enumerate() {
            match n {
                2 => assert!(matches!(outcome, Ok(Outcome::AlreadyThere(1))), "{size} {outcome:?}"),
                3 | 4 => assert!(matches!(outcome, Ok(Outcome::Conflict)), "{size} {outcome:?}"),
                _ => assert!(matches!(outcome, Ok(Outcome::Published(_))), "{size} {outcome:?}"),
            }
        }
    }
    assert_eq!(again(|| bus.end(EVENTS)).await, 2 + 3 + 61);
}

pub(crate) async fn a_subject_named_twice_in_a_group_is_a_conflict<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let mut group: Vec<_> = (0..20).map(event).collect();
    group[11] = event(4);
    group[12] = (record("wb.event.fire.a.5", "other"), Expect::Absent);
    let outcomes = publish_all(&bus, group).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        let conflict = matches!(outcome, Ok(Outcome::Conflict));
        assert_eq!(conflict, n == 11 || n == 12, "{n} {outcome:?}");
    }
    assert_eq!(again(|| bus.end(EVENTS)).await, 18);
}

pub(crate) async fn a_plain_log_takes_a_subject_twice<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    for size in [4, 40] {
        let group: Vec<_> = (0..size)
            .map(|n| (record(&format!("wb.attempt.sub_{}", n % 2), "same"), Expect::Any))
            .collect();
        let outcomes = again(|| bus.publish_all(Stream::Attempts, group.clone())).await;
        assert!(published(&outcomes).is_sorted());
        assert_eq!(outcomes.len(), size);
    }
    let found = read_all(&bus, Stream::Attempts, From::Start, "wb.attempt.sub_1").await;
    assert_eq!(found.len(), 22);
}

pub(crate) async fn a_record_that_is_too_large_spoils_no_group<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let mut group: Vec<_> = (0..20).map(event).collect();
    group[7].0.payload = Bytes::from(vec![b'x'; 8_500_000]);
    group[8].0.subject = "wb.event.*".into();
    let outcomes = publish_all(&bus, group).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        match n {
            7 => assert!(matches!(outcome, Err(Error::TooLarge { .. })), "{outcome:?}"),
            8 => assert!(matches!(outcome, Err(Error::BadName(_))), "{outcome:?}"),
            _ => assert!(matches!(outcome, Ok(Outcome::Published(_))), "{n} {outcome:?}"),
        }
    }
}

pub(crate) async fn a_group_larger_than_a_commit_is_written_whole<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let outcomes = publish_all(&bus, (0..2_500).map(event).collect()).await;
    assert_eq!(published(&outcomes), (1..=2_500).collect::<Vec<u64>>());
    let repeated = publish_all(&bus, (0..2_501).map(event).collect()).await;
    let known = repeated.iter().filter(|o| matches!(o, Ok(Outcome::AlreadyThere(_)))).count();
    assert_eq!(known, 2_500);
    assert!(matches!(repeated[2_500], Ok(Outcome::Published(2_501))), "{:?}", repeated[2_500]);
}

pub(crate) async fn a_group_of_large_records_is_written_whole<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let payload = Bytes::from(vec![b'x'; 4_000_000]);
    let group = (0..20)
        .map(|n| {
            let subject = format!("wb.event.fire.large.{n}");
            (Record::new(subject, payload.clone()), Expect::Absent)
        })
        .collect();
    let outcomes = publish_all(&bus, group).await;
    assert_eq!(published(&outcomes), (1..=20).collect::<Vec<u64>>());
}

pub(crate) async fn concurrent_publishers_get_a_sequence_each<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    publish(&bus, EVENTS, event(0).0, Expect::Absent).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..32 {
        let bus = bus.clone();
        tasks.spawn(async move {
            let mut seqs = Vec::new();
            for n in 0..20 {
                let record = record(&format!("wb.event.flood.{task}.{n}"), "x");
                match publish(&bus, EVENTS, record, Expect::Absent).await {
                    Outcome::Published(seq) | Outcome::AlreadyThere(seq) => seqs.push(seq),
                    Outcome::Conflict => panic!("a conflict with nobody"),
                }
            }
            assert!(seqs.is_sorted(), "{seqs:?}");
            seqs
        });
    }
    let mut seqs = tasks.join_all().await.concat();
    seqs.sort_unstable();
    assert_eq!(seqs, (2..=641).collect::<Vec<u64>>());
}
