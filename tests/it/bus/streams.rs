use std::time::Duration;

use wirebell::bus::Bus;
use wirebell::bus::Error;
use wirebell::bus::Expect;
use wirebell::bus::From;
use wirebell::bus::Item;
use wirebell::bus::Kept;
use wirebell::bus::Limits;
use wirebell::bus::Outcome;
use wirebell::bus::Record;
use wirebell::bus::Stream;
use wirebell::bus::Until;
use wirebell::model::Time;

use super::Backend;
use super::again;
use super::next;
use super::next_record;
use super::publish;
use super::read_all;
use super::record;
use super::selection;

const EVENTS: Stream = Stream::Events;

fn capped(bytes: u64) -> Kept {
    Kept { age: Duration::from_secs(86_400), bytes }
}

async fn events(bus: &impl Bus, numbers: std::ops::Range<u32>) {
    let group: Vec<_> = numbers
        .map(|n| (record(&format!("wb.event.fire.a{}.{n}", n % 3), &n.to_string()), Expect::Absent))
        .collect();
    for outcome in again(|| bus.publish_all(EVENTS, group.clone())).await {
        assert!(matches!(outcome, Ok(Outcome::Published(_))), "{outcome:?}");
    }
}

pub(crate) async fn a_subject_is_an_identity<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let first = record("wb.event.fire.a.1", "1");
    assert_eq!(publish(&bus, EVENTS, first.clone(), Expect::Absent).await, Outcome::Published(1));
    assert_eq!(publish(&bus, EVENTS, first, Expect::Absent).await, Outcome::AlreadyThere(1));
    let other = record("wb.event.fire.a.1", "other");
    assert_eq!(publish(&bus, EVENTS, other, Expect::Absent).await, Outcome::Conflict);
    assert_eq!(again(|| bus.end(EVENTS)).await, 1);
    let found = again(|| bus.last(EVENTS, "wb.event.fire.a.1")).await.unwrap();
    assert_eq!((found.seq, found.payload.as_ref()), (1, &b"1"[..]));
    assert_eq!(again(|| bus.last(EVENTS, "wb.event.fire.a.2")).await, None);
}

pub(crate) async fn an_unknown_outcome_is_settled_by_repeating_the_write<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let revision = |n: u32| record("wb.article.skylark.art_1", &n.to_string());
    let articles = Stream::Articles;
    assert_eq!(publish(&bus, articles, revision(1), Expect::Absent).await, Outcome::Published(1));
    assert_eq!(publish(&bus, articles, revision(2), Expect::After(1)).await, Outcome::Published(2));
    let repeated = publish(&bus, articles, revision(2), Expect::After(1)).await;
    assert_eq!(repeated, Outcome::AlreadyThere(2));
    assert_eq!(publish(&bus, articles, revision(3), Expect::After(1)).await, Outcome::Conflict);
    assert_eq!(publish(&bus, articles, revision(3), Expect::Absent).await, Outcome::Conflict);
}

pub(crate) async fn a_reader_goes_on_from_its_cursor<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    events(&bus, 0..1_200).await;
    let whole = selection(From::Start, Until::Forever, "wb.event.>");
    let mut reader = again(|| bus.read(EVENTS, whole.clone())).await;
    for seq in 1..=700 {
        assert_eq!(next_record(&mut reader).await.seq, seq);
    }
    drop(reader);
    let rest = read_all(&bus, EVENTS, From::After(700), "wb.event.>").await;
    let seqs: Vec<u64> = rest.iter().map(|stored| stored.seq).collect();
    assert_eq!(seqs, (701..=1_200).collect::<Vec<u64>>());
    assert!(read_all(&bus, EVENTS, From::After(1_200), "wb.event.>").await.is_empty());
}

pub(crate) async fn a_reader_delivers_in_order_while_records_are_published<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let whole = selection(From::Start, Until::Forever, "wb.event.>");
    let mut reader = again(|| bus.read(EVENTS, whole.clone())).await;
    let publishing = async {
        for n in 0..40 {
            events(&bus, n * 25..n * 25 + 20).await;
            for single in 20..25 {
                let n = n * 25 + single;
                let record = record(&format!("wb.event.flood.b.{n}"), &n.to_string());
                publish(&bus, EVENTS, record, Expect::Absent).await;
            }
        }
    };
    let reading = async {
        for seq in 1..=1_000 {
            let stored = next_record(&mut reader).await;
            assert_eq!(stored.seq, seq);
            assert_eq!(stored.payload, (seq - 1).to_string());
        }
    };
    tokio::join!(publishing, reading);
}

pub(crate) async fn a_filter_takes_whole_tokens<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    for (n, subject) in
        ["fire.a.1", "fire.b.1", "fire.a.2", "firestorm.a.1", "flood.a.1"].iter().enumerate()
    {
        let record = record(&format!("wb.event.{subject}"), &n.to_string());
        publish(&bus, EVENTS, record, Expect::Absent).await;
    }
    for (filter, want) in [
        ("wb.event.>", vec![1, 2, 3, 4, 5]),
        ("wb.event.fire.>", vec![1, 2, 3]),
        ("wb.event.fire.a.>", vec![1, 3]),
        ("wb.event.*.a.*", vec![1, 3, 4, 5]),
        ("wb.event.fire.a.2", vec![3]),
        ("wb.event.fire", vec![]),
    ] {
        let found = read_all(&bus, EVENTS, From::Start, filter).await;
        assert_eq!(found.iter().map(|s| s.seq).collect::<Vec<u64>>(), want, "{filter}");
    }
}

pub(crate) async fn a_reader_starts_at_a_time<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    for n in 0..3 {
        let record = record(&format!("wb.event.fire.a.{n}"), "x");
        publish(&bus, EVENTS, record, Expect::Absent).await;
    }
    let all = read_all(&bus, EVENTS, From::Start, "wb.event.>").await;
    for from in &all {
        let want: Vec<u64> = all.iter().filter(|s| s.time >= from.time).map(|s| s.seq).collect();
        let found = read_all(&bus, EVENTS, From::Time(from.time), "wb.event.>").await;
        assert_eq!(found.iter().map(|s| s.seq).collect::<Vec<u64>>(), want, "{:?}", from.time);
    }
    let never = Time::from_millis(i64::MAX);
    assert!(read_all(&bus, EVENTS, From::Time(never), "wb.event.>").await.is_empty());
}

pub(crate) async fn the_end_is_the_streams_and_not_the_filters<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    assert_eq!(again(|| bus.end(EVENTS)).await, 0);
    events(&bus, 0..10).await;
    assert_eq!(again(|| bus.end(EVENTS)).await, 10);
    let none = read_all(&bus, EVENTS, From::Start, "wb.event.nothing.>").await;
    assert!(none.is_empty());
    let some = read_all(&bus, EVENTS, From::Start, "wb.event.fire.a0.>").await;
    assert_eq!(some.len(), 4);
}

pub(crate) async fn a_reader_that_was_overtaken_is_told_and_goes_on<B: Backend>() {
    let limits = Limits { articles: capped(200_000), ..Limits::default() };
    let Some(backend) = B::start(limits).await else { return };
    let bus = backend.bus();
    let payload = "x".repeat(1_000);
    for round in 0..6 {
        let group: Vec<_> = (0..100)
            .map(|n| (record(&format!("wb.article.s.{round}-{n}"), &payload), Expect::Absent))
            .collect();
        again(|| bus.publish_all(Stream::Articles, group.clone())).await;
    }
    // The embedded store trims between commits: this one comes after the last trim.
    publish(&bus, Stream::Articles, record("wb.article.s.last", "x"), Expect::Absent).await;
    let from = selection(From::After(5), Until::End, "wb.article.>");
    let mut reader = again(|| bus.read(Stream::Articles, from.clone())).await;
    let Some(Item::Overtaken { cursor: 5, first }) = next(&mut reader).await else {
        panic!("the reader was not told");
    };
    assert!(first > 300, "{first}");
    for seq in first..=601 {
        assert_eq!(next_record(&mut reader).await.seq, seq);
    }
    assert_eq!(next(&mut reader).await, None);
    let kept = read_all(&bus, Stream::Articles, From::Start, "wb.article.>").await;
    assert_eq!(kept[0].seq, first);
}

pub(crate) async fn a_cursor_beyond_the_end_is_an_error_and_no_wait<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    events(&bus, 0..3).await;
    let beyond = selection(From::After(4), Until::Forever, "wb.event.>");
    let opened = bus.read(EVENTS, beyond).await;
    let Err(error) = opened else { panic!("a reader was opened") };
    assert!(matches!(error, Error::BeyondEnd { cursor: 4, end: 3, .. }), "{error}");
    assert!(!error.is_temporary());
}

pub(crate) async fn the_largest_article_fits_and_a_larger_record_is_refused_by_name<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let largest = record("wb.article.s.large", &"\\u0001".repeat(1_000_000));
    let outcome = publish(&bus, Stream::Articles, largest.clone(), Expect::Absent).await;
    assert_eq!(outcome, Outcome::Published(1));
    let found = again(|| bus.last(Stream::Articles, &largest.subject)).await.unwrap();
    assert!(found.payload == largest.payload);
    let larger = record("wb.article.s.larger", &"x".repeat(8_500_000));
    let error = bus.publish(Stream::Articles, larger, Expect::Absent).await.unwrap_err();
    assert!(matches!(&error, Error::TooLarge { name, .. } if name == "wb.article.s.larger"));
    assert!(!error.is_temporary());
}

pub(crate) async fn large_records_reach_a_slow_reader<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let payload = bytes::Bytes::from(vec![b'x'; 6_000_000]);
    for n in 0..30 {
        let record = Record::new(format!("wb.article.s.{n}"), payload.clone());
        publish(&bus, Stream::Articles, record, Expect::Absent).await;
    }
    let whole = selection(From::Start, Until::End, "wb.article.>");
    let mut reader = again(|| bus.read(Stream::Articles, whole.clone())).await;
    for seq in 1..=30 {
        let stored = next_record(&mut reader).await;
        assert_eq!((stored.seq, stored.payload.len()), (seq, payload.len()));
        let digest =
            stored.payload.iter().fold(0_u64, |sum, b| sum.wrapping_mul(31) + u64::from(*b));
        std::hint::black_box(digest);
    }
    assert_eq!(next(&mut reader).await, None);
}

pub(crate) async fn a_full_stream_refuses_what_is_new_and_says_how_to_go_on<B: Backend>() {
    let Some(backend) = B::start(Limits { events: capped(20_000), ..Limits::default() }).await
    else {
        return;
    };
    let bus = backend.bus();
    let payload = "x".repeat(1_000);
    let mut written = 0;
    let error = loop {
        let record = record(&format!("wb.event.fire.a.{written}"), &payload);
        match bus.publish(EVENTS, record, Expect::Absent).await {
            Ok(_) => written += 1,
            Err(Error::Away { .. }) => {}
            Err(error) => break error,
        }
        assert!(written < 30, "the cap was not held");
    };
    assert!(matches!(&error, Error::Full { name, .. } if name == "events"), "{error}");
    assert!(error.is_temporary());
    assert!(error.to_string().contains("raise the size cap"), "{error}");
    let group = (0..20)
        .map(|n| (record(&format!("wb.event.flood.a.{n}"), &payload), Expect::Absent))
        .collect();
    let outcomes = bus.publish_all(EVENTS, group).await.unwrap();
    assert!(outcomes.iter().any(|o| matches!(o, Err(Error::Full { .. }))), "{outcomes:?}");
    let known = record("wb.event.fire.a.0", &payload);
    assert_eq!(bus.publish(EVENTS, known, Expect::Absent).await.unwrap(), Outcome::AlreadyThere(1));
}

pub(crate) async fn a_full_archive_loses_its_oldest_and_takes_what_is_new<B: Backend>() {
    let Some(backend) = B::start(Limits { verdicts: capped(50_000), ..Limits::default() }).await
    else {
        return;
    };
    let bus = backend.bus();
    let payload = "x".repeat(1_000);
    for n in 0..100 {
        let record = record(&format!("wb.verdict.{n}.1"), &payload);
        let outcome = publish(&bus, Stream::Verdicts, record, Expect::Absent).await;
        assert_eq!(outcome, Outcome::Published(n + 1));
    }
    let kept = read_all(&bus, Stream::Verdicts, From::Start, "wb.verdict.>").await;
    assert!(kept.len() < 60, "{}", kept.len());
    assert_eq!(kept.last().unwrap().seq, 100);
}

pub(crate) async fn five_revisions_of_an_article_are_kept<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let articles = Stream::Articles;
    for n in 0..7 {
        let expect = if n == 0 { Expect::Absent } else { Expect::After(n) };
        let revision = record("wb.article.s.art_1", &n.to_string());
        assert_eq!(publish(&bus, articles, revision, expect).await, Outcome::Published(n + 1));
    }
    let kept = read_all(&bus, articles, From::Start, "wb.article.s.art_1").await;
    assert_eq!(kept.iter().map(|s| s.seq).collect::<Vec<u64>>(), [3, 4, 5, 6, 7]);
}

pub(crate) async fn a_name_that_no_record_can_have_is_refused<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    for subject in ["", "wb.event.", "wb.event.a b", "wb.event.*", "wb.article.a", "wb.event..a"] {
        let outcome = bus.publish(EVENTS, record(subject, "x"), Expect::Absent).await;
        assert!(matches!(outcome, Err(Error::BadName(_))), "{subject:?} {outcome:?}");
        assert!(matches!(bus.last(EVENTS, subject).await, Err(Error::BadName(_))), "{subject:?}");
    }
    let everything = selection(From::Start, Until::End, ">");
    assert!(matches!(bus.read(EVENTS, everything).await, Err(Error::BadName(_))));
}
