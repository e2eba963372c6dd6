//! Measures this machine: durable acknowledgements, and an article's way to a webhook.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::app::Which;
use crate::app::receiver::Received;
use crate::app::receiver::Receiver;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Expect;
use crate::bus::Outcome;
use crate::bus::Put;
use crate::bus::Record;
use crate::bus::Stream;
use crate::clock::Clock;
use crate::config;
use crate::config::Config;
use crate::config::Files;
use crate::config::Nats;
use crate::config::Overrides;
use crate::delivery::Key;
use crate::delivery::signature;
use crate::feed::Draft;
use crate::model::SourceId;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::Version;
use crate::model::subscription::FilterVersion;
use crate::model::subscription::Format;
use crate::model::subscription::SigningKey;
use crate::source;
use crate::source::Origin;

/// One rule that opens an alert for every source.
const RULES: &str =
    "version: 1\nrules:\n  - {id: bench, any: [siren], key: source, update_every: never}\n";
/// Size of a record in `bench bus`.
const RECORD: usize = 1024;
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
    fn new(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(folder) = settings.data.clone() {
            std::fs::create_dir_all(&folder)?;
            return Ok(Self { folder, _temporary: None });
        }
        let temporary = tempfile::tempdir_in(".").context("making a folder to measure in")?;
        Ok(Self { folder: temporary.path().to_owned(), _temporary: Some(temporary) })
    }
}

/// Durable acknowledgements a second.
pub async fn bus(settings: Settings) -> anyhow::Result<Figures> {
    let place = Place::new(&settings)?;
    let sync = disk_sync(&place.folder)?;
    match &settings.nats {
        Some(url) => {
            let bus = app::connect(&nats(url), "bench").await?;
            measure_bus(&bus, "nats", &settings, sync).await
        }
        None => {
            let bus = app::open(place.folder.join("store")).await?;
            measure_bus(&bus, "embedded", &settings, sync).await
        }
    }
}

fn nats(url: &str) -> Nats {
    Nats { url: url.to_owned(), replicas: 1, login: None }
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
    let before = publish_many(bus, run, (0, 1, records / 40)).await?;
    let many = publish_many(bus, run, (1, settings.publishers, records)).await?;
    let after = publish_many(bus, run, (2, 1, records / 40)).await?;
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
) -> anyhow::Result<Times> {
    let began = Instant::now();
    let mut tasks: JoinSet<anyhow::Result<Vec<Duration>>> = JoinSet::new();
    for publisher in 0..publishers {
        let bus = bus.clone();
        let count = (records / publishers).max(1);
        tasks.spawn(async move {
            let mut each = Vec::new();
            for n in 0..count {
                let subject = format!("wb.article.bench.{run:016x}-{round}-{publisher}-{n}");
                let payload = Bytes::from(vec![b'x'; RECORD]);
                let began = Instant::now();
                let record = Record { subject, payload };
                let outcome = bus.publish(Stream::Articles, record, Expect::Absent).await?;
                anyhow::ensure!(matches!(outcome, Outcome::Published(_)), "{outcome:?}");
                each.push(began.elapsed());
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

/// From an accepted article to a received webhook, one by one, then a burst.
pub async fn pipeline(settings: Settings) -> anyhow::Result<Figures> {
    let place = Place::new(&settings)?;
    let sync = disk_sync(&place.folder)?;
    match &settings.nats {
        Some(url) => {
            let bus = app::connect(&nats(url), "bench").await?;
            let floor = publish_many(&bus, fastrand::u64(..), (0, 1, 200)).await?.ms(0.5) * 2.0;
            measure_pipeline(bus, ("nats", floor), &settings, sync).await
        }
        None => {
            let bus = app::open(place.folder.join("store")).await?;
            let floor = sync.as_secs_f64() * 3e3 + 2.0;
            measure_pipeline(bus, ("embedded", floor), &settings, sync).await
        }
    }
}

async fn measure_pipeline<B: Bus>(
    bus: B,
    (backend, floor): (&'static str, f64),
    settings: &Settings,
    sync: Duration,
) -> anyhow::Result<Figures> {
    let hook = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", hook.local_addr()?);
    let secret = signature::secret_from_random(std::array::from_fn(|_| fastrand::u8(..)));
    let (receiver, mut requests) = Receiver::new(Some(Key::parse(&secret)?));
    let stop = CancellationToken::new();
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let serving = receiver.serve(hook, stop.clone());
    tasks.spawn(async move { Ok(serving.await?) });
    let config = configure()?;
    let sole = backend == "embedded";
    let working = app::start(bus.clone(), sole, (config, Which::All), (None, None), stop.clone());
    tasks.spawn(working);
    subscribe(&bus, &url, signature_key(secret)).await?;
    let run = format!("{:08x}", fastrand::u32(..));
    // Warm-up: the first article waits for leases.
    until_rung(&bus, &run, &mut requests).await?;
    let articles = settings.count.unwrap_or(200);
    let mut each = Vec::new();
    let began = Instant::now();
    for n in 0..articles {
        publish(&bus, &[format!("{run}-{n}")]).await?;
        let accepted = Instant::now();
        next(&mut requests).await?;
        each.push(accepted.elapsed());
    }
    let times = Times::new(each, began.elapsed());
    let burst = burst(&bus, &run, &mut requests).await?;
    stop.cancel();
    while tasks.join_next().await.is_some() {}
    Ok(Figures::Pipeline(PipelineFigures {
        backend,
        articles,
        p50_ms: times.ms(0.5),
        p99_ms: times.ms(0.99),
        disk_sync_p50_ms: sync.as_secs_f64() * 1e3,
        floor_ms: floor,
        ratio: times.ms(0.5) / floor,
        burst_articles: BURST,
        burst_delivered: burst.delivered,
        burst_repeats: burst.repeats,
        burst_out_of_order: burst.out_of_order,
        burst_per_s: f64::from(burst.delivered) / burst.took.as_secs_f64(),
    }))
}

fn signature_key(secret: crate::model::subscription::Secret) -> SigningKey {
    SigningKey { secret, until: None }
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

async fn subscribe<B: Bus>(bus: &B, url: &str, key: SigningKey) -> anyhow::Result<()> {
    let now = Time::from_millis(Clock::System.now_ms());
    let id = SubscriptionId::from_random(std::array::from_fn(|_| fastrand::u8(..)));
    let subscription = Subscription {
        v: Version,
        id: id.clone(),
        url: url.to_owned(),
        description: Some("bench".to_owned()),
        format: Format::Wirebell,
        keys: vec![key],
        filters: vec![FilterVersion {
            number: 1,
            effective_after: bus.end(Stream::Events).await?,
            filter: serde_json::from_str(r#"{"topics":["bench"]}"#)?,
        }],
        ttl: None,
        paused: false,
        requests: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    let value = Bytes::from(serde_json::to_vec(&subscription)?);
    bus.put(Bucket::Subscriptions, Put { key: id.to_string(), value, expect: None }).await?;
    Ok(())
}

/// Publishes one ringing article for each source.
async fn publish<B: Bus>(bus: &B, sources: &[String]) -> anyhow::Result<()> {
    let now = Time::from_millis(Clock::System.now_ms());
    let drafts = sources.iter().map(|source| {
        let body = "The siren was heard in the whole town. ".repeat(60);
        Ok(Draft {
            source: Some(SourceId::new(source.clone())?),
            title: format!("The siren of {source}"),
            body,
            ..Draft::default()
        })
    });
    let drafts = drafts.collect::<anyhow::Result<Vec<Draft>>>()?;
    for answer in source::publish_all(bus, &Origin::push(true), drafts, now).await? {
        answer?;
    }
    Ok(())
}

async fn next(requests: &mut mpsc::Receiver<Received>) -> anyhow::Result<Received> {
    let received = tokio::time::timeout(PATIENCE, requests.recv()).await;
    let received = received.ok().flatten().context("a webhook did not arrive")?;
    received.verdict.clone()?;
    Ok(received)
}

/// Publishes until an article rings: before the workers have their leases nothing does.
async fn until_rung<B: Bus>(
    bus: &B,
    run: &str,
    requests: &mut mpsc::Receiver<Received>,
) -> anyhow::Result<()> {
    for n in 0..200 {
        publish(bus, &[format!("{run}-warm-{n}")]).await?;
        let waited = tokio::time::timeout(Duration::from_millis(200), requests.recv()).await;
        if waited.is_ok() {
            // What the earlier ones may still ring.
            while tokio::time::timeout(Duration::from_millis(500), requests.recv()).await.is_ok() {}
            return Ok(());
        }
    }
    anyhow::bail!("no article rang: is another rules worker at work on this server?")
}

/// Articles of the burst.
const BURST: u32 = 5_000;

struct Burst {
    delivered: u32,
    repeats: u32,
    out_of_order: u32,
    took: Duration,
}

async fn burst<B: Bus>(
    bus: &B,
    run: &str,
    requests: &mut mpsc::Receiver<Received>,
) -> anyhow::Result<Burst> {
    let began = Instant::now();
    let publishing = async {
        let sources: Vec<String> = (0..BURST).map(|n| format!("{run}-burst-{n}")).collect();
        for group in sources.chunks(250) {
            publish(bus, group).await?;
        }
        anyhow::Ok(())
    };
    let receiving = async {
        let mut burst = Burst { delivered: 0, repeats: 0, out_of_order: 0, took: Duration::ZERO };
        while burst.delivered < BURST {
            let received = next(requests).await?;
            if received.repeat {
                burst.repeats += 1;
                continue;
            }
            burst.delivered += 1;
            burst.out_of_order += u32::from(received.expected.is_some());
        }
        anyhow::Ok(burst)
    };
    let (published, burst) = tokio::join!(publishing, receiving);
    published?;
    Ok(Burst { took: began.elapsed(), ..burst? })
}
