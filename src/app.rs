//! The composition root: configuration to running workers, on one of the two backends.

pub mod address;
pub mod backtest;
pub mod bench;
pub mod demo;
pub mod doctor;
mod forecast;
pub mod receiver;
mod reload;
mod traces;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::bus::Bus;
use crate::bus::Credentials;
use crate::bus::Embedded;
use crate::bus::EmbeddedSettings;
use crate::bus::Limits;
use crate::bus::Nats;
use crate::bus::NatsSettings;
use crate::clock::Clock;
use crate::config::Config;
use crate::egress::Client;
use crate::model::id::SHARDS;
use crate::spans::Tracer;
use crate::supervise::Workers;
use crate::telemetry::Board;
use crate::telemetry::Health;
use crate::telemetry::metric;
use crate::worker::canary;
use crate::worker::ingest;
use crate::worker::lease;
use crate::worker::notifier;
use crate::worker::rules;
use reload::Follows;
use reload::Live;

/// Which workers run in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All four.
    All,
    /// Feeds and watched folders.
    Ingest,
    /// Matching and the life of alerts.
    Rules,
    /// Webhooks.
    Notifier,
    /// HTTP.
    Api,
}

/// What all workers of a process share.
struct Parts<B> {
    bus: B,
    config: Config,
    live: Live,
    /// Names this process among others.
    owner: String,
    /// No other process can be alive on this store.
    sole: bool,
    board: Board,
    clock: Clock,
    client: Client,
    metrics: PrometheusHandle,
    tracer: Tracer,
}

impl Which {
    fn includes(self, one: Self) -> bool {
        self == Self::All || self == one
    }

    fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Ingest => "ingest",
            Self::Rules => "rules",
            Self::Notifier => "notifier",
            Self::Api => "api",
        }
    }
}

/// Runs workers until `stop` or until one fails. `probes` serves probes and metrics for a worker
/// that is not the api.
pub async fn run(
    config: Config,
    which: Which,
    probes: Option<TcpListener>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let listener = if which.includes(Which::Api) {
        Some(api::bind(config.settings.listen).await?)
    } else {
        None
    };
    match config.settings.nats.clone() {
        Some(nats) => {
            let bus = connect(&nats, which.name()).await?;
            start(bus, false, (config, which), (listener, probes), stop).await
        }
        None => {
            let bus = open(config.settings.data.clone()).await?;
            start(bus, true, (config, which), (listener, probes), stop).await
        }
    }
}

/// Takes an address for probes.
pub async fn bind(addr: std::net::SocketAddr) -> anyhow::Result<TcpListener> {
    Ok(api::bind(addr).await?)
}

/// How an error ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Something failed.
    Failed,
    /// The bus was away: the same may work later.
    TryLater,
    /// The settings must be changed.
    BadSettings,
}

/// Which ending an error is.
pub fn ending(error: &anyhow::Error) -> Ending {
    if error.downcast_ref::<api::TooOpen>().is_some() {
        return Ending::BadSettings;
    }
    let away = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<crate::bus::Error>().is_some_and(crate::bus::Error::is_temporary)
    };
    if error.chain().any(away) { Ending::TryLater } else { Ending::Failed }
}

/// Opens the embedded store.
pub async fn open(folder: PathBuf) -> anyhow::Result<Embedded> {
    let shown = folder.display().to_string();
    let settings = EmbeddedSettings { folder, limits: Limits::default() };
    Embedded::open(settings).await.with_context(|| format!("opening the store in {shown}"))
}

/// Connects to NATS; a server that is away is waited for.
pub async fn connect(nats: &crate::config::Nats, role: &str) -> anyhow::Result<Nats> {
    let settings = NatsSettings {
        url: nats.url.clone(),
        credentials: nats
            .login
            .clone()
            .map(|(user, password)| Credentials::Password { user, password }),
        ca: None,
        role: role.to_owned(),
        replicas: nats.replicas,
        limits: Limits::default(),
    };
    Nats::connect(settings).await.context("connecting to NATS")
}

async fn start<B: Bus>(
    bus: B,
    sole: bool,
    (config, which): (Config, Which),
    (listener, probes): (Option<TcpListener>, Option<TcpListener>),
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let grace = config.settings.grace;
    let (tracer, exporting) = traces::start(&config.settings, sole, &stop);
    let mut parts = Parts {
        tracer,
        client: Client::with(config.settings.egress()),
        bus: bus.clone(),
        live: Live::new(config.rules.clone(), config.sources.clone(), config.subscriptions.clone()),
        config,
        owner: owner(),
        sole,
        board: Board::default(),
        clock: Clock::System,
        metrics: metric::install(),
    };
    tracing::info!(worker = which.name(), owner = parts.owner, "Wirebell starts");
    let mut workers = Workers::new(stop.clone());
    start_workers(&parts, which, &mut workers, &stop)?;
    let access = match listener {
        Some(listener) => Some(start_api(&parts, listener, &mut workers, &stop)?),
        None => None,
    };
    let upkeep = upkeep(parts.metrics.clone(), stop.clone());
    workers.start("metrics", async move {
        upkeep.await;
        Ok(())
    });
    if let Some(listener) = probes {
        let (board, metrics) = (parts.board.clone(), parts.metrics.clone());
        let stop = stop.clone();
        workers.start("probes", async move {
            api::run_probes(listener, board, metrics, stop).await;
            Ok(())
        });
    }
    if let Some(origin) = parts.config.origin.clone() {
        let follows = Follows {
            rules: which.includes(Which::Rules) || which.includes(Which::Api),
            sources: which.includes(Which::Ingest),
            subscriptions: which.includes(Which::Api),
        };
        let shared = reload::Shared {
            bus: bus.clone(),
            live: parts.live.clone(),
            clock: parts.clock.clone(),
            board: parts.board.clone(),
            policy: parts.config.settings.policy(),
            canary: parts.config.settings.canary.is_some(),
            tokens: access.zip(parts.config.settings.token_file.clone()),
        };
        let stop = stop.clone();
        workers
            .start("reload", async move { Ok(reload::run(origin, shared, follows, stop).await?) });
    }
    if let Some(exporting) = exporting {
        let resource = (parts.owner.clone(), which.name());
        let exporting = exporting.run(resource, parts.clock.clone(), parts.board.clone());
        workers.start("traces", async move {
            exporting.await;
            Ok(())
        });
    }
    // The exporter waits for whoever could still record a span.
    parts.tracer = Tracer::default();
    let ended = workers.run(grace).await;
    bus.close().await;
    tracing::info!(worker = which.name(), "Wirebell stopped");
    Ok(ended?)
}

/// Keeps what the metrics hold small, whether or not anybody asks for them.
async fn upkeep(metrics: PrometheusHandle, stop: CancellationToken) {
    let mut every = tokio::time::interval(metric::UPKEEP_EVERY);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = every.tick() => metrics.run_upkeep(),
        }
    }
}

fn start_workers<B: Bus>(
    parts: &Parts<B>,
    which: Which,
    workers: &mut Workers,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    parts.board.set("bus", Health::Ready);
    if which.includes(Which::Ingest) {
        let (settings, bus, stop) = (parts.ingest(), parts.bus.clone(), stop.clone());
        let client = parts.client.clone();
        if let Some(schedule) = parts.config.settings.canary {
            let (clock, board) = (parts.clock.clone(), parts.board.clone());
            let settings = canary::Settings { schedule, clock, board };
            let (bus, stop) = (bus.clone(), stop.clone());
            workers.start("canary", async move { Ok(canary::run(bus, settings, stop).await?) });
        }
        workers.start("ingest", async move { Ok(ingest::run(bus, client, settings, stop).await?) });
    }
    if which.includes(Which::Rules) {
        let (settings, bus, stop) = (parts.rules(), parts.bus.clone(), stop.clone());
        workers.start("rules", async move { Ok(rules::run(bus, settings, stop).await?) });
    }
    if which.includes(Which::Notifier) {
        let (settings, bus, stop) = (parts.notifier(), parts.bus.clone(), stop.clone());
        let client = parts.client.clone();
        workers.start(
            "notifier",
            async move { Ok(notifier::run(bus, client, settings, stop).await?) },
        );
    }
    Ok(())
}

fn start_api<B: Bus>(
    parts: &Parts<B>,
    listener: TcpListener,
    workers: &mut Workers,
    stop: &CancellationToken,
) -> anyhow::Result<api::Access> {
    let settings = &parts.config.settings;
    let listen = listener.local_addr()?;
    let open = settings.open || !settings.tokens.is_empty();
    let mut access = api::Access::new(listen, open, &settings.public_url)?
        .with_tokens(settings.tokens.clone(), settings.token_rate);
    for host in &settings.hosts {
        access = access.with_host(host);
    }
    let api = api::Settings {
        access: access.clone(),
        rules: parts.live.rules.clone(),
        clock: parts.clock.clone(),
        board: parts.board.clone(),
        policy: Arc::new(settings.policy()),
        metrics: parts.metrics.clone(),
        definitions: parts.live.definitions.subscribe(),
        public_url: settings.public_url.clone(),
        request_timeout: settings.request_timeout,
        sole: parts.sole,
        tracer: parts.tracer.clone(),
    };
    let (bus, stop) = (parts.bus.clone(), stop.clone());
    tracing::info!(address = %listen, "API listens");
    workers.start("api", async move { Ok(api::run(bus, listener, api, stop).await?) });
    Ok(access)
}

impl<B: Bus> Parts<B> {
    fn leases(&self, worker: &'static str, shards: u16) -> lease::Settings {
        let length = self.config.settings.lease;
        let settings = lease::Settings::new(worker, shards, self.owner.clone(), length);
        lease::Settings { sole: self.sole, ..settings }
    }

    fn ingest(&self) -> ingest::Settings {
        ingest::Settings {
            leases: self.leases("ingest", SHARDS),
            sources: self.live.sources.subscribe(),
            clock: self.clock.clone(),
            board: self.board.clone(),
            tracer: self.tracer.clone(),
        }
    }

    fn rules(&self) -> rules::Settings {
        rules::Settings {
            leases: self.leases("rules", SHARDS),
            rules: self.live.rules.clone(),
            clock: self.clock.clone(),
            board: self.board.clone(),
            tracer: self.tracer.clone(),
        }
    }

    fn notifier(&self) -> notifier::Settings {
        let settings = &self.config.settings;
        notifier::Settings {
            leases: self.leases("notifier", SHARDS),
            clock: self.clock.clone(),
            board: self.board.clone(),
            tracer: self.tracer.clone(),
            timeout: settings.timeout,
            max_in_flight: settings.max_in_flight,
            host_in_flight: settings.host_in_flight,
            ttls: settings.ttls,
            public_url: settings.public_url.clone(),
        }
    }
}

/// A name no other process has: machine, process and a random part.
fn owner() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.trim().chars().take(40).collect();
    format!("{host}-{}-{:08x}", std::process::id(), fastrand::u32(..))
}
