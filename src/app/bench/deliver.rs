//! Signed webhooks a second: to few endpoints over warm connections, over a new connection each,
//! and one event to very many.

mod hook;
mod trouble;
mod wide;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::app::bench::PATIENCE;
use crate::app::bench::Place;
use crate::app::bench::connected;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Expect;
use crate::bus::Outcome;
use crate::bus::Put;
use crate::bus::Record;
use crate::bus::Stream;
use crate::clock::Clock;
use crate::delivery::body;
use crate::delivery::endpoint::Ttls;
use crate::delivery::signature;
use crate::egress;
use crate::egress::Client;
use crate::egress::Policy;
use crate::egress::Request;
use crate::egress::Resolver;
use crate::model::Event;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::names;
use crate::spans::Tracer;
use crate::telemetry::Board;
use crate::telemetry::Progress;
use crate::worker::lease;
use crate::worker::notifier;
use trouble::TroubleFigures;
use wide::WideFigures;

/// Requests over new connections.
const COLD: u32 = 2_000;
/// Most subscriptions that are tidied away.
const TIDIED: usize = 20_000;
/// Records written at once.
const GROUP: usize = 1_000;

/// What to measure, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The NATS server; none for the embedded store.
    pub nats: Option<String>,
    /// Folder to measure in; none for a temporary one below the working directory.
    pub data: Option<std::path::PathBuf>,
    /// Endpoints, each with a connection of its own.
    pub endpoints: u32,
    /// Webhooks over warm connections.
    pub count: u32,
    /// Subscriptions that one event goes to; none to leave that out.
    pub subscriptions: Option<u32>,
    /// Endpoints of which some are in trouble; none to leave that out.
    pub trouble: Option<Trouble>,
    /// Where webhooks are counted as they come.
    pub progress: Progress,
}

/// Endpoints, and how many of them are in trouble.
#[derive(Clone, Copy, Debug)]
pub struct Trouble {
    /// All of them.
    pub endpoints: u32,
    /// So many never answer.
    pub hanging: u32,
    /// So many refuse connections, as many drip a byte a second, and as many answer 500.
    pub others: u32,
}

/// Figures of `bench deliver`.
#[derive(Debug, Serialize)]
pub struct DeliverFigures {
    backend: &'static str,
    endpoints: u32,
    deliveries: u32,
    body_bytes: usize,
    deliveries_per_s: f64,
    /// A bare loop of such requests over as many connections, the same receiver, in the same run.
    floor_per_s: f64,
    /// `deliveries_per_s` over `floor_per_s`.
    ratio: f64,
    cold_tls_per_s: f64,
    #[serde(flatten)]
    wide: Option<WideFigures>,
    #[serde(flatten)]
    trouble: Option<TroubleFigures>,
}

/// Measures.
pub async fn deliver(settings: Settings) -> anyhow::Result<DeliverFigures> {
    let place = Place::new(settings.data.as_deref())?;
    match &settings.nats {
        Some(url) => measure(connected(url).await?, "nats", &settings).await,
        None => {
            let bus = app::open(place.folder.join("store")).await?;
            measure(bus, "embedded", &settings).await
        }
    }
}

async fn measure<B: Bus>(
    bus: B,
    backend: &'static str,
    settings: &Settings,
) -> anyhow::Result<DeliverFigures> {
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let count = Arc::new(AtomicU64::new(0));
    // The floor before and after, and what is measured between.
    let each = settings.count / settings.endpoints.max(1) * settings.endpoints;
    let wide = settings.subscriptions.unwrap_or_default();
    settings.progress.expect(3 * each as usize + wide as usize);
    let counted = (count.clone(), settings.progress.clone());
    let hook = hook::plain(&mut tasks, counted, stop.clone()).await?;
    let sample = body::unaddressed(&event(0, 0));
    let body = Bytes::from(serde_json::to_vec(&sample)?);
    let body_bytes = body.len();
    let floor_before = bare(hook, body.clone(), settings).await?;
    let warm = warm(&bus, (hook, &count), settings).await?;
    let floor_after = bare(hook, body, settings).await?;
    let floor_per_s = f64::midpoint(floor_before, floor_after);
    let cold_tls_per_s = cold(&mut tasks, stop.clone()).await?;
    let wide = match settings.subscriptions {
        Some(subscriptions) => Some(wide::wide(&bus, (hook, &count), subscriptions).await?),
        None => None,
    };
    let trouble = match settings.trouble {
        Some(trouble) => Some(trouble::trouble(&bus, trouble).await?),
        None => None,
    };
    stop.cancel();
    while tasks.join_next().await.is_some() {}
    bus.close().await;
    Ok(DeliverFigures {
        backend,
        endpoints: settings.endpoints,
        deliveries: settings.count,
        body_bytes,
        deliveries_per_s: warm,
        floor_per_s,
        ratio: warm / floor_per_s,
        cold_tls_per_s,
        wide,
        trouble,
    })
}

/// Requests a second of a loop that does nothing but send the same request again and again.
async fn bare(hook: SocketAddr, body: Bytes, settings: &Settings) -> anyhow::Result<f64> {
    let each = settings.count / settings.endpoints.max(1);
    let head = hook::head();
    let began = Instant::now();
    let mut loops: JoinSet<anyhow::Result<()>> = JoinSet::new();
    for _ in 0..settings.endpoints {
        loops.spawn(hook::bare_loop(hook, (head.clone(), body.clone()), each));
    }
    while let Some(ended) = loops.join_next().await {
        ended??;
    }
    Ok(f64::from(each * settings.endpoints) / began.elapsed().as_secs_f64())
}

/// Webhooks a second of a notifier that finds a backlog; the first tenth warms it up.
async fn warm<B: Bus>(
    bus: &B,
    (hook, count): (SocketAddr, &AtomicU64),
    settings: &Settings,
) -> anyhow::Result<f64> {
    let run = fastrand::u32(..);
    let ids = subscribe(bus, &urls(hook, settings.endpoints)).await?;
    let events = settings.count / settings.endpoints.max(1);
    publish(bus, run, events).await?;
    let expected = u64::from(events) * u64::from(settings.endpoints);
    let before = count.load(std::sync::atomic::Ordering::Relaxed);
    let (stop, running) = start(bus);
    hook::until(count, before + expected / 10, PATIENCE).await?;
    let (first, began) = (count.load(std::sync::atomic::Ordering::Relaxed), Instant::now());
    hook::until(count, before + expected, PATIENCE).await?;
    let took = began.elapsed();
    halt(stop, running).await?;
    let all = count.load(std::sync::atomic::Ordering::Relaxed) - before;
    anyhow::ensure!(all == expected, "{all} of {expected} webhooks came");
    unsubscribe(bus, ids).await?;
    let measured = u32::try_from(before + expected - first)?;
    Ok(f64::from(measured) / took.as_secs_f64())
}

/// Webhooks a second, each over a connection and a TLS handshake of its own.
async fn cold(tasks: &mut JoinSet<()>, stop: CancellationToken) -> anyhow::Result<f64> {
    let (hook, authority) = hook::encrypted(tasks, stop).await?;
    let policy = Policy::new(&["127.0.0.0/8"])?;
    let settings = egress::Settings {
        authorities: vec![authority],
        // The connections are what is measured.
        connects_per_host: NonZeroUsize::MAX,
        ..egress::Settings::new(policy, Resolver::system())
    };
    let client = Client::with(settings);
    let target = client.judge(&format!("https://127.0.0.1:{}/", hook.port()))?;
    let secret = signature::secret_from_random(std::array::from_fn(|_| fastrand::u8(..)));
    let keys = [signature::Key::parse(&secret)?];
    let body = Bytes::from(serde_json::to_vec(&body::unaddressed(&event(0, 0)))?);
    let began = Instant::now();
    let mut senders: JoinSet<anyhow::Result<()>> = JoinSet::new();
    for _ in 0..64 {
        let (client, target, keys, body) =
            (client.clone(), target.clone(), keys.clone(), body.clone());
        senders.spawn(async move {
            for _ in 0..COLD / 64 {
                let now = Time::from_millis(Clock::System.now_ms());
                let signature = signature::sign(&keys, "evt-sub", now.seconds(), &body);
                let mut request = Request::post(target.clone(), body.clone());
                request.headers.insert("webhook-signature", signature.parse()?);
                let answer = client.send(request).await?;
                anyhow::ensure!(answer.status.is_success(), "the receiver said {}", answer.status);
            }
            Ok(())
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    Ok(f64::from(COLD / 64 * 64) / began.elapsed().as_secs_f64())
}

type Running = JoinSet<Result<(), crate::worker::Error>>;

fn start<B: Bus>(bus: &B) -> (CancellationToken, Running) {
    start_with(bus, Board::default())
}

fn start_with<B: Bus>(bus: &B, board: Board) -> (CancellationToken, Running) {
    let owner = format!("bench-{:08x}", fastrand::u32(..));
    let leases =
        lease::Settings::new("notifier", crate::model::id::SHARDS, owner, Duration::from_secs(5));
    let settings = notifier::Settings {
        leases: lease::Settings { sole: true, ..leases },
        clock: Clock::System,
        board,
        tracer: Tracer::default(),
        timeout: Duration::from_secs(20),
        max_in_flight: 256,
        host_in_flight: 64,
        ttls: Ttls::default(),
        public_url: "http://127.0.0.1:8080".to_owned(),
    };
    let policy = Policy::new(&["127.0.0.0/8"]).unwrap_or_default();
    let client = Client::new(policy, Resolver::system());
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(notifier::run(bus.clone(), client, settings, stop.clone()));
    (stop, running)
}

/// Stops a notifier and waits for its end.
async fn halt(stop: CancellationToken, mut running: Running) -> anyhow::Result<()> {
    stop.cancel();
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

fn urls(hook: SocketAddr, count: u32) -> Vec<String> {
    (0..count).map(|n| format!("http://{hook}/{n}")).collect()
}

async fn subscribe<B: Bus>(bus: &B, urls: &[String]) -> anyhow::Result<Vec<SubscriptionId>> {
    let now = Time::from_millis(Clock::System.now_ms()).to_string();
    let end = bus.end(Stream::Events).await?;
    let secret = signature::secret_from_random(std::array::from_fn(|_| fastrand::u8(..)));
    let mut ids = Vec::new();
    let mut group = Vec::new();
    for (n, url) in urls.iter().enumerate() {
        let id = SubscriptionId::from_random(std::array::from_fn(|_| fastrand::u8(..)));
        let subscription: Subscription = serde_json::from_value(serde_json::json!({
            "v": 1, "id": id, "url": url, "description": "bench",
            "keys": [{"secret": secret.expose()}],
            "filters": [{"number": 1, "effective_after": end, "filter": {"topics": ["*"]}}],
            "created_at": now, "updated_at": now,
        }))?;
        let value = Bytes::from(serde_json::to_vec(&subscription)?);
        group.push(Put { key: id.to_string(), value, expect: None });
        ids.push(id);
        if group.len() == GROUP || n + 1 == urls.len() {
            for outcome in bus.put_all(Bucket::Subscriptions, std::mem::take(&mut group)).await? {
                outcome?;
            }
        }
    }
    Ok(ids)
}

/// Tidies away, so that the next figure does not serve them; very many go with the folder.
async fn unsubscribe<B: Bus>(bus: &B, ids: Vec<SubscriptionId>) -> anyhow::Result<()> {
    for group in ids.chunks(64).take(TIDIED / 64) {
        let mut removals: JoinSet<Result<(), crate::bus::Error>> = JoinSet::new();
        for id in group {
            let (bus, id) = (bus.clone(), id.clone());
            removals.spawn(async move {
                for bucket in [Bucket::Subscriptions, Bucket::Deliveries] {
                    if let Some(entry) = bus.get(bucket, id.as_str()).await? {
                        bus.delete(bucket, id.as_str(), entry.revision).await?;
                    }
                }
                Ok(())
            });
        }
        while let Some(removed) = removals.join_next().await {
            removed??;
        }
    }
    Ok(())
}

/// Publishes so many openings, each of an alert of its own.
async fn publish<B: Bus>(bus: &B, run: u32, count: u32) -> anyhow::Result<()> {
    let events: Vec<Event> = (0..count).map(|n| event(run, n)).collect();
    for group in events.chunks(GROUP) {
        let group = group.iter().map(|event| {
            let subject = names::event(&event.alert.topic, &event.alert.id, event.number);
            let payload = Bytes::from(serde_json::to_vec(event).context("writing an event")?);
            anyhow::Ok((Record::new(subject, payload), Expect::Absent))
        });
        for outcome in bus.publish_all(Stream::Events, group.collect::<Result<_, _>>()?).await? {
            anyhow::ensure!(matches!(outcome?, Outcome::Published(_)), "an event was there before");
        }
    }
    Ok(())
}

/// An opening with one article of about a kilobyte.
fn event(run: u32, n: u32) -> Event {
    // Hexadecimal in the alphabet of ids.
    let digit = |d: char| char::from(b'a' + u8::try_from(d.to_digit(16).unwrap_or(0)).unwrap_or(0));
    let article: String = format!("{run:08x}{n:018x}").chars().map(digit).collect();
    let now = Time::from_millis(Clock::System.now_ms());
    serde_json::from_value(serde_json::json!({
        "v": 1, "id": format!("evt_{article}"), "number": 1, "type": "alert.opened", "timestamp": now,
        "late": false, "possible_end": false,
        "alert": {
            "id": format!("alr_{article}"), "rule": "bench", "topic": "bench", "key": "-",
            "title": "The siren sounds over the harbour", "severity": "critical", "status": "open",
            "nature": "actual", "confirmation": "unconfirmed", "independent_sources": 1,
            "opened_at": now, "updated_at": now, "ended_at": null,
        },
        "articles": [{
            "id": format!("art_{article}"), "revision": 1, "source": "bench", "url": null,
            "title": "The siren sounds over the harbour", "lang": "en",
            "excerpt": "The siren was heard in the whole town. ".repeat(6),
            "published_at": now, "first_seen_at": now,
            "evidence": [{"field": "title", "start": 4, "end": 9, "text": "siren", "term": "any[0]"}],
        }],
        "more_articles": 0, "reason": null, "ruleset": "sha256:0000", "mode": "live",
    }))
    .expect("the sample is an event")
}
