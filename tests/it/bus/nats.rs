use std::time::Duration;

use futures_util::StreamExt;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Credentials;
use wirebell::bus::Error;
use wirebell::bus::Expect;
use wirebell::bus::From;
use wirebell::bus::Item;
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
use super::change;
use super::next;
use super::next_record;
use super::publish;
use super::put;
use super::record;
use super::selection;
use crate::support::nats::Server;

pub(super) struct Remote {
    pub(super) server: Server,
    pub(super) bus: Nats,
}

pub(super) fn settings(server: &Server, limits: Limits) -> NatsSettings {
    NatsSettings {
        url: server.url(),
        credentials: None,
        ca: None,
        role: "test".into(),
        replicas: 1,
        limits,
    }
}

impl Backend for Remote {
    type Bus = Nats;

    async fn start(limits: Limits) -> Option<Self> {
        let server = Server::start()?;
        let bus = Nats::connect(settings(&server, limits)).await.unwrap();
        Some(Self { server, bus })
    }

    fn bus(&self) -> Nats {
        self.bus.clone()
    }

    async fn restart(&mut self) {
        self.server.kill();
        self.server.run();
    }
}

super::contract!(Remote);

#[test]
fn the_shipped_server_file_is_accepted_by_the_server() {
    if crate::support::nats::is_off() {
        return;
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/nats.conf");
    let mut command = std::process::Command::new(crate::support::nats::binary());
    let output = command.args(["-t", "--config", file]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("sync_interval: always") && text.contains("max_payload: 8MB"));
}

#[tokio::test]
async fn a_server_that_is_away_at_the_start_is_ridden_out() {
    let Some(mut server) = Server::prepare("") else { return };
    let bus = Nats::connect(settings(&server, Limits::default())).await.unwrap();
    assert!(!bus.is_connected());
    assert_eq!(bus.server(), None);
    let early = bus.end(Stream::Events).await.unwrap_err();
    assert!(early.is_temporary(), "{early}");
    server.run();
    assert_eq!(again(|| bus.end(Stream::Events)).await, 0);
    let found = bus.server().unwrap();
    assert_eq!((found.refused, found.max_payload), (None, 8 << 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_and_a_watch_ride_out_restarts_of_the_server() {
    let Some(mut backend) = Remote::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let whole = selection(From::Start, Until::Forever, "wb.event.>");
    let mut reader = again(|| bus.read(Stream::Events, whole.clone())).await;
    let mut watch = again(|| bus.watch(Bucket::Leases, "", 0)).await;
    let mut seq = 0;
    for round in 0..3_u64 {
        for n in 0..10 {
            let record = record(&format!("wb.event.fire.{round}.{n}"), "x");
            publish(&bus, Stream::Events, record, Expect::Absent).await;
            seq += 1;
            assert_eq!(next_record(&mut reader).await.seq, seq);
        }
        let lease = put(&format!("rules/{round}"), "x", None);
        again(|| bus.put(Bucket::Leases, lease.clone())).await;
        assert_eq!(change(&mut watch).await.1, round + 1);
        if round == 1 {
            backend.server.stop();
            backend.server.run();
        } else {
            backend.restart().await;
        }
    }
    let record = record("wb.event.fire.last.1", "x");
    publish(&bus, Stream::Events, record, Expect::Absent).await;
    assert_eq!(next_record(&mut reader).await.seq, 31);
    assert!(bus.is_connected());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_and_reading_through_kills_loses_and_repeats_nothing() {
    let Some(mut backend) = Remote::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let whole = selection(From::Start, Until::Forever, "wb.event.>");
    let mut reader = again(|| bus.read(Stream::Events, whole.clone())).await;
    let publisher = bus.clone();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        for n in 0..40 {
            let group: Vec<_> = (n * 25..n * 25 + 25)
                .map(|n| (record(&format!("wb.event.fire.a.{n}"), &n.to_string()), Expect::Absent))
                .collect();
            loop {
                let outcomes = again(|| publisher.publish_all(Stream::Events, group.clone())).await;
                assert!(!outcomes.iter().any(|o| matches!(o, Ok(Outcome::Conflict))));
                if outcomes.iter().all(Result::is_ok) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    for want in 0..1_000_u64 {
        let stored = next_record(&mut reader).await;
        assert_eq!((stored.seq, &stored.payload[..]), (want + 1, want.to_string().as_bytes()));
        if matches!(want, 100 | 400 | 700) {
            backend.restart().await;
        }
    }
    tasks.join_all().await;
    assert_eq!(again(|| bus.end(Stream::Events)).await, 1_000);
}

#[tokio::test]
async fn a_consumer_that_the_server_lost_is_made_anew_at_the_cursor() {
    let Some(backend) = Remote::start(Limits::default()).await else { return };
    let bus = backend.bus();
    for n in 0..5 {
        publish(&bus, Stream::Events, record(&format!("wb.event.a.a.{n}"), "x"), Expect::Absent)
            .await;
    }
    let whole = selection(From::After(2), Until::Forever, "wb.event.>");
    let mut reader = bus.read(Stream::Events, whole).await.unwrap();
    for seq in 3..=5 {
        assert_eq!(next_record(&mut reader).await.seq, seq);
    }
    let context = admin(&backend.server).await;
    let stream = context.get_stream("events").await.unwrap();
    let names: Vec<String> = stream.consumer_names().map(Result::unwrap).collect().await;
    assert_eq!(names.len(), 1);
    stream.delete_consumer(&names[0]).await.unwrap();
    for n in 5..8 {
        publish(&bus, Stream::Events, record(&format!("wb.event.a.a.{n}"), "x"), Expect::Absent)
            .await;
        assert_eq!(next_record(&mut reader).await.seq, n + 1);
    }
}

#[tokio::test]
async fn lists_and_ended_readers_leave_no_consumer_behind() {
    let Some(backend) = Remote::start(Limits::default()).await else { return };
    let bus = backend.bus();
    for n in 0..5 {
        again(|| bus.put(Bucket::Alerts, put(&format!("fire/{n}"), "x", None))).await;
        bus.list(Bucket::Alerts, "fire").await.unwrap();
    }
    let context = admin(&backend.server).await;
    let stream = context.get_stream("KV_alerts").await.unwrap();
    assert_eq!(stream.consumer_names().count().await, 0);
}

#[tokio::test]
async fn a_reader_that_retention_overtakes_while_it_waits_is_told() {
    let kept = Kept { age: Duration::from_secs(86_400), bytes: 100_000 };
    let limits = Limits { articles: kept, ..Limits::default() };
    let Some(backend) = Remote::start(limits).await else { return };
    let bus = backend.bus();
    let payload = "x".repeat(20_000);
    let mut n = 0;
    let mut fill = async |count: u32| {
        for _ in 0..count {
            let record = record(&format!("wb.article.s.{n}"), &payload);
            publish(&bus, Stream::Articles, record, Expect::Absent).await;
            n += 1;
        }
    };
    fill(3).await;
    let whole = selection(From::After(1), Until::Forever, "wb.article.>");
    let mut reader = bus.read(Stream::Articles, whole).await.unwrap();
    assert_eq!(next_record(&mut reader).await.seq, 2);
    // More than what the channel, the client and one pull hold.
    fill(1_600).await;
    let mut seq = 2;
    let mut told = false;
    while seq < 1_603 {
        match next(&mut reader).await.unwrap() {
            Item::Record(stored) => {
                assert!(stored.seq > seq);
                assert!(told || stored.seq == seq + 1, "{} came after {seq}", stored.seq);
                seq = stored.seq;
            }
            Item::Overtaken { cursor, first } => {
                assert!(cursor == seq && first > seq + 1, "{cursor} {first} {seq}");
                told = true;
            }
        }
    }
    assert!(told);
}

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

async fn admin(server: &Server) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap())
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
