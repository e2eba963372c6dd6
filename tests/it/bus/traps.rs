use std::time::Duration;
use std::time::Instant;

use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Credentials;
use wirebell::bus::Error;
use wirebell::bus::Expect;
use wirebell::bus::From;
use wirebell::bus::Kept;
use wirebell::bus::Limits;
use wirebell::bus::Nats;
use wirebell::bus::NatsSettings;
use wirebell::bus::Outcome;
use wirebell::bus::PutOutcome;
use wirebell::bus::Stream;
use wirebell::bus::Until;

use super::Backend;
use super::PATIENCE;
use super::again;
use super::nats::Remote;
use super::nats::admin;
use super::nats::settings;
use super::next;
use super::next_record;
use super::publish;
use super::put;
use super::read_all;
use super::record;
use super::selection;
use crate::support::nats::Server;

#[tokio::test]
async fn a_stream_that_differs_is_refused_with_the_difference() {
    let Some(backend) = Remote::start(Limits::default()).await else { return };
    again(|| backend.bus.ensure(&Stream::ALL, &Bucket::ALL)).await;
    let same = Nats::connect(settings(&backend.server, Limits::default())).await.unwrap();
    again(|| same.ensure(&Stream::ALL, &Bucket::ALL)).await;
    let kept = Kept { age: Duration::from_secs(60), bytes: 1 << 20 };
    let limits = Limits { events: kept, ..Limits::default() };
    let other = Nats::connect(settings(&backend.server, limits)).await.unwrap();
    let error = loop {
        match other.end(Stream::Events).await {
            Err(error) if error.is_temporary() => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            other => break other.unwrap_err(),
        }
    };
    let text = error.to_string();
    assert!(matches!(error, Error::Refused(_)), "{text}");
    assert!(text.contains("events") && text.contains("max_age is 34560000s, not 60s"), "{text}");
    assert!(text.contains("max_bytes is 3221225472, not 1048576"), "{text}");
    assert_eq!(again(|| other.end(Stream::Articles)).await, 0);
}

#[tokio::test]
async fn a_missing_permission_is_a_temporary_failure_that_is_counted() {
    let more = "authorization { users: [ { user: test, password: secret, permissions: { \
                publish: { deny: [\"wb.event.>\"] } } } ] }";
    let Some(server) = Server::start_with(more) else { return };
    let password = Credentials::Password { user: "test".into(), password: "secret".into() };
    let settings =
        NatsSettings { credentials: Some(password), ..settings(&server, Limits::default()) };
    let bus = Nats::connect(settings).await.unwrap();
    assert_eq!(again(|| bus.end(Stream::Events)).await, 0);
    assert_eq!(bus.refusals(), 0);
    let denied = bus.publish(Stream::Events, record("wb.event.a.a.1", "x"), Expect::Any).await;
    assert!(denied.unwrap_err().is_temporary());
    assert!(bus.refusals() > 0);
}

#[tokio::test]
async fn a_closed_bus_ends_its_readers_in_bounded_time() {
    let Some(backend) = Remote::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let whole = selection(From::Start, Until::Forever, "wb.event.>");
    let mut reader = again(|| bus.read(Stream::Events, whole.clone())).await;
    tokio::time::timeout(PATIENCE, bus.close()).await.unwrap();
    assert!(reader.next().await.is_none());
    assert!(bus.end(Stream::Events).await.unwrap_err().is_temporary());
}

#[tokio::test]
async fn a_stream_that_vanished_is_made_again_and_its_cursor_is_beyond_the_end() {
    let Some(backend) = Remote::start(Limits::default()).await else { return };
    let bus = backend.bus();
    for n in 0..3 {
        publish(&bus, Stream::Events, record(&format!("wb.event.a.a.{n}"), "x"), Expect::Absent)
            .await;
    }
    let whole = selection(From::Start, Until::Forever, "wb.event.>");
    let mut reader = bus.read(Stream::Events, whole).await.unwrap();
    for seq in 1..=3 {
        assert_eq!(next_record(&mut reader).await.seq, seq);
    }
    admin(&backend.server).await.delete_stream("events").await.unwrap();
    let anew = publish(&bus, Stream::Events, record("wb.event.a.a.9", "x"), Expect::Absent).await;
    assert_eq!(anew, Outcome::Published(1));
    let item = tokio::time::timeout(PATIENCE, reader.next()).await.unwrap();
    assert!(matches!(item, Some(Err(Error::BeyondEnd { cursor: 3, end: 1, .. }))), "{item:?}");
}

#[tokio::test]
async fn a_server_without_room_for_a_stream_says_what_to_raise() {
    let Some(server) = Server::start() else { return };
    let kept = Kept { age: Duration::from_secs(60), bytes: 1 << 40 };
    let limits = Limits { events: kept, ..Limits::default() };
    let bus = Nats::connect(settings(&server, limits)).await.unwrap();
    let error = loop {
        match bus.end(Stream::Events).await {
            Err(Error::Away { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            other => break other.unwrap_err(),
        }
    };
    assert!(
        matches!(error, Error::Full { .. }) && error.to_string().contains("max_file"),
        "{error}"
    );
}

#[tokio::test]
async fn a_batch_that_is_refused_for_one_entry_is_looked_at_again_and_written() {
    let Some(backend) = Remote::start(Limits::default()).await else { return };
    let bus = backend.bus();
    publish(&bus, Stream::Events, record("wb.event.a.a.start", "x"), Expect::Absent).await;
    // Two groups that overlap in half of their subjects race: the look of one is stale when its
    // batch arrives, again and again.
    for round in 0..10 {
        let group = |from: u32, who: &'static str| -> Vec<_> {
            (from..from + 40)
                .map(|n| (record(&format!("wb.event.race.{round}.{n}"), who), Expect::Absent))
                .collect()
        };
        let (first, second) = tokio::join!(
            bus.publish_all(Stream::Events, group(0, "first")),
            bus.publish_all(Stream::Events, group(20, "second")),
        );
        let (first, second) = (first.unwrap(), second.unwrap());
        let written = |outcomes: &[Result<Outcome, Error>], range: std::ops::Range<usize>| {
            let published = |o: &&Result<Outcome, Error>| matches!(o, Ok(Outcome::Published(_)));
            outcomes[range].iter().filter(published).count()
        };
        assert_eq!(written(&first, 0..20), 20, "round {round}: {first:?}");
        assert_eq!(written(&second, 20..40), 20, "round {round}: {second:?}");
        assert_eq!(written(&first, 20..40) + written(&second, 0..20), 20, "round {round}");
    }
    assert_eq!(again(|| bus.end(Stream::Events)).await, 601);
}

#[tokio::test]
async fn a_key_is_readable_by_other_clients_under_dots_and_its_marker_has_an_age() {
    let Some(backend) = Remote::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let outcome = again(|| bus.put(Bucket::Alerts, put("fire/odesa/actual", "1", None))).await;
    let PutOutcome::Written(revision) = outcome else { panic!("a conflict") };
    let context = admin(&backend.server).await;
    let store = context.get_key_value("alerts").await.unwrap();
    assert_eq!(store.get("fire.odesa.actual").await.unwrap().unwrap(), "1");
    bus.delete(Bucket::Alerts, "fire/odesa/actual", revision).await.unwrap();
    assert_eq!(store.get("fire.odesa.actual").await.unwrap(), None);
    let stream = context.get_stream("KV_alerts").await.unwrap();
    let subject = "$KV.alerts.fire.odesa.actual";
    let marker = stream.get_last_raw_message_by_subject(subject).await.unwrap();
    assert_eq!(marker.headers.get("Nats-TTL").unwrap().as_str(), "86400s");
}

#[tokio::test]
async fn records_that_are_gone_before_a_reader_reaches_its_end_do_not_keep_it_waiting() {
    let kept = Kept { age: Duration::from_secs(86_400), bytes: 100_000 };
    let limits = Limits { verdicts: kept, ..Limits::default() };
    let Some(backend) = Remote::start(limits).await else { return };
    let bus = backend.bus();
    let payload = "x".repeat(1_000);
    let fill = async |from: u32| {
        let group: Vec<_> = (from..from + 80)
            .map(|n| (record(&format!("wb.verdict.{n}.1"), &payload), Expect::Absent))
            .collect();
        again(|| bus.publish_all(Stream::Verdicts, group.clone())).await;
    };
    fill(0).await;
    let whole = selection(From::Start, Until::End, "wb.verdict.>");
    let mut reader = bus.read(Stream::Verdicts, whole).await.unwrap();
    for round in 1..5 {
        fill(round * 80).await;
    }
    while next(&mut reader).await.is_some() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_while_the_server_is_away_fail_at_once_and_do_not_pile_up() {
    let Some(mut backend) = Remote::start(Limits::default()).await else { return };
    let bus = backend.bus();
    publish(&bus, Stream::Events, record("wb.event.a.a.0", "x"), Expect::Absent).await;
    backend.server.kill();
    let began = Instant::now();
    // More than the client's own queue of commands holds.
    for n in 0..5_000 {
        let record = record(&format!("wb.event.a.b.{n}"), "x");
        let error = bus.publish(Stream::Events, record, Expect::Absent).await.unwrap_err();
        assert!(error.is_temporary(), "{error}");
    }
    assert!(bus.last(Stream::Events, "wb.event.a.a.0").await.unwrap_err().is_temporary());
    assert!(bus.list(Bucket::Alerts, "").await.unwrap_err().is_temporary());
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    backend.server.run();
    publish(&bus, Stream::Events, record("wb.event.a.a.1", "x"), Expect::Absent).await;
}

#[tokio::test]
async fn a_role_needs_no_more_than_its_own_inbox_and_the_named_subjects() {
    let more = "authorization { users: [ { user: test, password: secret, permissions: { \
        subscribe: { allow: [\"_INBOX_test.>\"] }, publish: { allow: [\"wb.event.>\", \
        \"$KV.alerts.>\", \"$JS.API.STREAM.CREATE.events\", \
        \"$JS.API.STREAM.CREATE.KV_alerts\", \"$JS.API.STREAM.INFO.*\", \
        \"$JS.API.DIRECT.GET.*\", \"$JS.API.DIRECT.GET.*.>\", \"$JS.API.CONSUMER.CREATE.*\", \
        \"$JS.API.CONSUMER.MSG.NEXT.*.*\", \"$JS.API.CONSUMER.DELETE.*.*\"] } } } ] }";
    let Some(server) = Server::start_with(more) else { return };
    let password = Credentials::Password { user: "test".into(), password: "secret".into() };
    let settings =
        NatsSettings { credentials: Some(password), ..settings(&server, Limits::default()) };
    let bus = Nats::connect(settings).await.unwrap();
    publish(&bus, Stream::Events, record("wb.event.a.a.0", "x"), Expect::Absent).await;
    let group: Vec<_> =
        (0..20).map(|n| (record(&format!("wb.event.a.a.{n}"), "x"), Expect::Absent)).collect();
    let outcomes = bus.publish_all(Stream::Events, group).await.unwrap();
    assert!(matches!(outcomes[0], Ok(Outcome::AlreadyThere(1))), "{outcomes:?}");
    assert_eq!(read_all(&bus, Stream::Events, From::Start, "wb.event.>").await.len(), 20);
    let outcome = again(|| bus.put(Bucket::Alerts, put("fire/a", "1", None))).await;
    let PutOutcome::Written(revision) = outcome else { panic!("a conflict") };
    assert_eq!(bus.list(Bucket::Alerts, "fire").await.unwrap().entries.len(), 1);
    let mut watch = bus.watch(Bucket::Alerts, "", revision).await.unwrap();
    bus.delete(Bucket::Alerts, "fire/a", revision).await.unwrap();
    assert_eq!(super::change(&mut watch).await.2, None);
    drop(watch);
    assert_eq!(bus.refusals(), 0);
}

#[tokio::test]
async fn how_full_a_stream_is_can_be_asked() {
    let Some(backend) = Remote::start(Limits { bucket_bytes: 20_000, ..Limits::default() }).await
    else {
        return;
    };
    let bus = backend.bus();
    let value = "x".repeat(9_000);
    again(|| bus.put(Bucket::Alerts, put("fire/a", &value, None))).await;
    let usage = bus.usage().await.unwrap();
    assert_eq!(usage.len(), 1, "{usage:?}");
    assert!((45..50).contains(&usage[0].percent()), "{usage:?}");
    assert_eq!((usage[0].name, usage[0].first, usage[0].last), ("alerts", 1, 1));
}
