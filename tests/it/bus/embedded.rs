use std::path::PathBuf;
use std::time::Instant;

use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Embedded;
use wirebell::bus::EmbeddedSettings;
use wirebell::bus::Error;
use wirebell::bus::Expect;
use wirebell::bus::From;
use wirebell::bus::Limits;
use wirebell::bus::Outcome;
use wirebell::bus::Stream;
use wirebell::bus::Until;

use super::Backend;
use super::PATIENCE;
use super::read_all;
use super::record;
use super::selection;

pub(crate) struct Folder {
    folder: tempfile::TempDir,
    limits: Limits,
    bus: Embedded,
}

pub(crate) async fn open(folder: PathBuf, limits: Limits) -> Embedded {
    Embedded::open(EmbeddedSettings { folder, limits }).await.unwrap()
}

impl Backend for Folder {
    type Bus = Embedded;

    async fn start(limits: Limits) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let bus = open(folder.path().to_owned(), limits.clone()).await;
        Some(Self { folder, limits, bus })
    }

    fn bus(&self) -> Embedded {
        self.bus.clone()
    }

    async fn restart(&mut self) {
        self.bus.close().await;
        self.bus = open(self.folder.path().to_owned(), self.limits.clone()).await;
    }
}

super::contract!(Folder);

#[tokio::test]
async fn a_second_bus_on_the_folder_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path().to_owned(), Limits::default()).await;
    let settings = EmbeddedSettings { folder: folder.path().to_owned(), limits: Limits::default() };
    let error = Embedded::open(settings).await.unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    assert!(first.is_connected());
}

#[tokio::test]
async fn a_closed_bus_ends_its_readers_and_refuses_writes() {
    let folder = tempfile::tempdir().unwrap();
    let bus = open(folder.path().to_owned(), Limits::default()).await;
    let tail = selection(From::Start, Until::Forever, "wb.event.>");
    let mut reader = bus.read(Stream::Events, tail).await.unwrap();
    bus.close().await;
    assert!(!bus.is_connected());
    assert!(reader.next().await.is_none());
    let late = bus.publish(Stream::Events, record("wb.event.a.b.1", "x"), Expect::Absent).await;
    assert!(late.is_err_and(|error| !error.is_temporary()));
}

const CHILD: &str = "WIREBELL_TEST_WRITER";

/// Publishes until it is killed and prints each number after its acknowledgement. The test below
/// runs it in a process of its own; without the variable there is nothing to do.
#[tokio::test]
async fn a_child_process_publishes_until_it_is_killed() {
    use std::io::Write;
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let bus = open(PathBuf::from(folder), Limits::default()).await;
    let mut n = bus.end(Stream::Events).await.unwrap();
    loop {
        let group: Vec<_> = (n..n + 5)
            .map(|n| (record(&format!("wb.event.fire.a.{n}"), &n.to_string()), Expect::Absent))
            .collect();
        for outcome in bus.publish_all(Stream::Events, group).await.unwrap() {
            assert!(matches!(outcome, Ok(Outcome::Published(_))), "{outcome:?}");
        }
        n += 5;
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {n}").unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test]
async fn a_process_killed_at_any_moment_has_lost_nothing_it_acknowledged() {
    use tokio::io::AsyncBufReadExt;
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 1..=5 {
        let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "a_child_process_publishes_until_it_is_killed",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CHILD, folder.path())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        let began = Instant::now();
        while seen < 10 * round {
            assert!(began.elapsed() < PATIENCE, "the child says nothing");
            let line = lines.next_line().await.unwrap().expect("the child lives");
            if let Some((_, n)) = line.split_once("acknowledged ") {
                acknowledged = n.parse().unwrap();
                seen += 1;
            }
        }
        child.start_kill().unwrap();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, n)) = line.split_once("acknowledged ") {
                acknowledged = n.parse().unwrap();
            }
        }
        child.wait().await.unwrap();
        let bus = open(folder.path().to_owned(), Limits::default()).await;
        let found = read_all(&bus, Stream::Events, From::Start, "wb.event.>").await;
        assert!(found.len() as u64 >= acknowledged, "{} < {acknowledged}", found.len());
        assert_eq!(found.len() % 5, 0, "a part of a group was written");
        for (n, stored) in found.iter().enumerate() {
            assert_eq!((stored.seq, &stored.payload[..]), (n as u64 + 1, n.to_string().as_bytes()));
        }
        bus.close().await;
    }
}

#[tokio::test]
async fn how_full_each_stream_and_bucket_is_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let bus = open(folder.path().to_owned(), Limits::default()).await;
    let payload = "x".repeat(1_000);
    super::publish(&bus, Stream::Events, record("wb.event.a.a.1", &payload), Expect::Absent).await;
    let usage = bus.usage().await.unwrap();
    assert_eq!(usage.len(), Stream::ALL.len() + Bucket::ALL.len());
    let events = usage.iter().find(|usage| usage.name == "events").unwrap();
    assert!((1_000..1_200).contains(&events.bytes), "{events:?}");
    assert_eq!((events.first, events.last, events.percent()), (1, 1, 0));
    let alerts = usage.iter().find(|usage| usage.name == "alerts").unwrap();
    assert_eq!((alerts.bytes, alerts.first, alerts.last), (0, 1, 0));
}
