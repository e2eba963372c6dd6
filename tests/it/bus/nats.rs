use std::time::Duration;

use futures_util::StreamExt;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Expect;
use wirebell::bus::From;
use wirebell::bus::Item;
use wirebell::bus::Kept;
use wirebell::bus::Limits;
use wirebell::bus::Nats;
use wirebell::bus::NatsSettings;
use wirebell::bus::Outcome;
use wirebell::bus::Stream;
use wirebell::bus::Until;

use super::Backend;
use super::again;
use super::change;
use super::next;
use super::next_record;
use super::publish;
use super::put;
use super::record;
use super::selection;
use crate::support::nats::Server;

pub(crate) struct Remote {
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

pub(super) async fn admin(server: &Server) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap())
}
