//! Measures this machine: matching, durable acknowledgements, and an article's way to a webhook.

mod deliver;
mod making;
mod matching;
mod pipeline;
mod push;

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::app;
use crate::bus::Bus;
use crate::bus::Expect;
use crate::bus::Outcome;
use crate::bus::Record;
use crate::bus::Stream;
use crate::config;
use crate::config::Config;
use crate::config::Files;
use crate::config::Nats;
use crate::config::Overrides;
use crate::telemetry::Progress;

/// One rule that opens an alert for every source.
const RULES: &str =
    "version: 1\nrules:\n  - {id: bench, any: [siren], key: source, update_every: never}\n";
/// Size of a record in `bench bus`.
const RECORD: usize = 1024;
/// Longest wait for a NATS server.
const CONNECTING: Duration = Duration::from_secs(10);
/// Longest wait for one webhook.
const PATIENCE: Duration = Duration::from_secs(120);

/// What to measure, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The NATS server; none for the embedded store.
    pub nats: Option<String>,
    /// Folder to measure in; none for a temporary one below the working directory.
    pub data: Option<PathBuf>,
    /// Concurrent publishers.
    pub publishers: u32,
    /// Records or articles.
    pub count: Option<u32>,
    /// Where they are counted.
    pub progress: Progress,
}

/// Figures of `bench bus`.
#[derive(Debug, Serialize)]
pub struct BusFigures {
    backend: &'static str,
    publishers: u32,
    records: u32,
    acks_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// One publisher at a time, in the same run.
    floor_acks_per_s: f64,
    /// Raw append and fdatasync in the same folder.
    disk_sync_p50_ms: f64,
    /// `acks_per_s` over `floor_acks_per_s`.
    ratio: f64,
}

/// Figures of `bench pipeline`.
#[derive(Debug, Serialize)]
pub struct PipelineFigures {
    backend: &'static str,
    articles: u32,
    p50_ms: f64,
    p99_ms: f64,
    disk_sync_p50_ms: f64,
    /// Embedded: 3 disk syncs + 2 ms. NATS: two bare durable publishes, measured in this run.
    floor_ms: f64,
    /// `p50_ms` over `floor_ms`.
    ratio: f64,
    burst_articles: u32,
    burst_delivered: u32,
    burst_repeats: u32,
    burst_out_of_order: u32,
    burst_per_s: f64,
}

/// Either kind of figures.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Figures {
    /// Of `bench bus`.
    Bus(BusFigures),
    /// Of `bench pipeline`.
    Pipeline(PipelineFigures),
}

/// Where it is measured: a folder that goes with this value, unless it was named.
struct Place {
    folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Place {
    fn new(named: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(folder) = named {
            std::fs::create_dir_all(folder)?;
            return Ok(Self { folder: folder.to_owned(), _temporary: None });
        }
        let temporary = tempfile::tempdir_in(".").context("making a folder to measure in")?;
        Ok(Self { folder: temporary.path().to_owned(), _temporary: Some(temporary) })
    }
}

pub use deliver::DeliverFigures;
pub use deliver::Settings as DeliverSettings;
pub use deliver::Trouble;
pub use deliver::deliver;
pub use making::Mix;
pub use matching::MatchFigures;
pub use matching::Rules;
pub use matching::Settings as MatchSettings;
pub use matching::matching;
pub use pipeline::pipeline;
pub use push::PushFigures;
pub use push::push;

/// Durable acknowledgements a second.
pub async fn bus(settings: Settings) -> anyhow::Result<Figures> {
    let place = Place::new(settings.data.as_deref())?;
    let sync = disk_sync(&place.folder)?;
    match &settings.nats {
        Some(url) => {
            let bus = connected(url).await?;
            measure_bus(&bus, "nats", &settings, sync).await
        }
        None => {
            let bus = app::open(place.folder.join("store")).await?;
            measure_bus(&bus, "embedded", &settings, sync).await
        }
    }
}

/// A bus on a server that answers.
async fn connected(url: &str) -> anyhow::Result<crate::bus::Nats> {
    let nats = Nats { url: url.to_owned(), replicas: 1, login: None };
    let bus = app::connect(&nats, "bench").await?;
    let until = Instant::now() + CONNECTING;
    while !bus.is_connected() {
        anyhow::ensure!(Instant::now() < until, "no NATS server answers at {url}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(bus)
}

async fn measure_bus<B: Bus>(
    bus: &B,
    backend: &'static str,
    settings: &Settings,
    sync: Duration,
) -> anyhow::Result<Figures> {
    let records = settings.count.unwrap_or(20_000).max(settings.publishers);
    let run = fastrand::u64(..);
    // The floor before and after, so that a drifting machine shows in neither alone.
    let progress = &settings.progress;
    progress.expect((records + 2 * (records / 40)) as usize);
    let before = publish_many(bus, run, (0, 1, records / 40), progress).await?;
    let many = publish_many(bus, run, (1, settings.publishers, records), progress).await?;
    let after = publish_many(bus, run, (2, 1, records / 40), progress).await?;
    let floor = f64::midpoint(before.per_s(), after.per_s());
    bus.close().await;
    Ok(Figures::Bus(BusFigures {
        backend,
        publishers: settings.publishers,
        records,
        acks_per_s: many.per_s(),
        p50_ms: many.ms(0.5),
        p99_ms: many.ms(0.99),
        floor_acks_per_s: floor,
        disk_sync_p50_ms: sync.as_secs_f64() * 1e3,
        ratio: many.per_s() / floor,
    }))
}

/// Times of many operations and of the whole.
struct Times {
    each: Vec<Duration>,
    whole: Duration,
}

impl Times {
    fn new(mut each: Vec<Duration>, whole: Duration) -> Self {
        each.sort();
        Self { each, whole }
    }

    fn per_s(&self) -> f64 {
        count_f64(self.each.len()) / self.whole.as_secs_f64()
    }

    fn ms(&self, part: f64) -> f64 {
        percentile(&self.each, part).as_secs_f64() * 1e3
    }
}

fn configure() -> anyhow::Result<Config> {
    let mut overrides = Overrides::default();
    overrides.flags.insert("egress.allow".to_owned(), "127.0.0.0/8".to_owned());
    let rules = vec![("bench.yaml".to_owned(), RULES.to_owned())];
    let files = Files { rules, ..Files::default() };
    config::load(&files, &overrides).map_err(|problems| {
        anyhow::anyhow!("{}", problems.first().map(ToString::to_string).unwrap_or_default())
    })
}

fn count_f64(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

fn percentile(sorted: &[Duration], part: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let place = (count_f64(last) * part).round();
    let at = (0..=last).find(|n| count_f64(*n) >= place).unwrap_or(last);
    sorted.get(at).copied().unwrap_or_default()
}

async fn publish_many<B: Bus>(
    bus: &B,
    run: u64,
    (round, publishers, records): (u32, u32, u32),
    progress: &Progress,
) -> anyhow::Result<Times> {
    let began = Instant::now();
    let mut tasks: JoinSet<anyhow::Result<Vec<Duration>>> = JoinSet::new();
    for publisher in 0..publishers {
        let (bus, progress) = (bus.clone(), progress.clone());
        let count = (records / publishers).max(1);
        tasks.spawn(async move {
            let mut each = Vec::new();
            for n in 0..count {
                let subject = format!("wb.article.bench.{run:016x}-{round}-{publisher}-{n}");
                let payload = Bytes::from(vec![b'x'; RECORD]);
                let began = Instant::now();
                let record = Record::new(subject, payload);
                let outcome = bus.publish(Stream::Articles, record, Expect::Absent).await?;
                anyhow::ensure!(matches!(outcome, Outcome::Published(_)), "{outcome:?}");
                each.push(began.elapsed());
                progress.step(1);
            }
            Ok(each)
        });
    }
    let mut each = Vec::new();
    while let Some(done) = tasks.join_next().await {
        each.extend(done??);
    }
    Ok(Times::new(each, began.elapsed()))
}

/// The median of append and fdatasync, as the store does it.
fn disk_sync(folder: &Path) -> anyhow::Result<Duration> {
    let mut file = std::fs::File::create(folder.join("sync"))?;
    let mut each = Vec::new();
    for _ in 0..100 {
        let began = std::time::Instant::now();
        file.write_all(&[b'x'; 4096])?;
        file.sync_data()?;
        each.push(began.elapsed());
    }
    each.sort();
    Ok(percentile(&each, 0.5))
}

/// Resident memory in MiB; 0 where the system does not tell.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}
