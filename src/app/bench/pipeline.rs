//! An article's way to a webhook.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::app::Which;
use crate::app::bench::Figures;
use crate::app::bench::PATIENCE;
use crate::app::bench::PipelineFigures;
use crate::app::bench::Place;
use crate::app::bench::Settings;
use crate::app::bench::Times;
use crate::app::bench::configure;
use crate::app::bench::connected;
use crate::app::bench::disk_sync;
use crate::app::bench::publish_many;
use crate::app::receiver::Answers;
use crate::app::receiver::Received;
use crate::app::receiver::Receiver;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Put;
use crate::bus::Stream;
use crate::clock::Clock;
use crate::delivery::Key;
use crate::delivery::signature;
use crate::feed::Draft;
use crate::model::SourceId;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::Version;
use crate::model::subscription::Credentials;
use crate::model::subscription::FilterVersion;
use crate::model::subscription::Format;
use crate::model::subscription::InFlight;
use crate::model::subscription::SigningKey;
use crate::source;
use crate::source::Origin;
use crate::telemetry::Progress;

/// From an accepted article to a received webhook, one by one, then a burst.
pub async fn pipeline(settings: Settings) -> anyhow::Result<Figures> {
    let place = Place::new(settings.data.as_deref())?;
    let sync = disk_sync(&place.folder)?;
    match &settings.nats {
        Some(url) => {
            let bus = connected(url).await?;
            let uncounted = Progress::default();
            let bare = publish_many(&bus, fastrand::u64(..), (0, 1, 200), &uncounted).await?;
            let floor = bare.ms(0.5) * 2.0;
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
    let (receiver, mut requests) = Receiver::new(vec![Key::parse(&secret)?], Answers::default());
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
    let progress = &settings.progress;
    progress.expect((articles + BURST) as usize);
    let mut each = Vec::new();
    let began = Instant::now();
    for n in 0..articles {
        publish(&bus, &[format!("{run}-{n}")]).await?;
        let accepted = Instant::now();
        next(&mut requests).await?;
        each.push(accepted.elapsed());
        progress.step(1);
    }
    let times = Times::new(each, began.elapsed());
    let burst = burst(&bus, &run, &mut requests, progress).await?;
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
    SigningKey::new(secret, None)
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
        routing_key: None,
        template: None,
        keys: vec![key],
        credentials: Credentials::default(),
        filters: vec![FilterVersion {
            number: 1,
            effective_after: bus.end(Stream::Events).await?,
            filter: serde_json::from_str(r#"{"topics":["bench"]}"#)?,
        }],
        ttl: None,
        max_in_flight: InFlight::default(),
        rate: None,
        paused: false,
        requests: Vec::new(),
        name: None,
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
    progress: &Progress,
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
            if received.place.repeat {
                burst.repeats += 1;
                continue;
            }
            burst.delivered += 1;
            progress.step(1);
            burst.out_of_order += u32::from(received.place.expected.is_some());
        }
        anyhow::Ok(burst)
    };
    let (published, burst) = tokio::join!(publishing, receiving);
    published?;
    Ok(Burst { took: began.elapsed(), ..burst? })
}
