//! Inbound HTTP: articles in, subscriptions, alerts, probes.
//!
//! Every answer that is no success is `application/problem+json`. Accepted means durable.

mod alerts;
pub mod archive;
mod around;
mod articles;
mod attempts;
mod audit;
mod backtest;
mod backward;
mod condition;
mod contract;
mod docs;
mod events;
mod guard;
mod held;
mod history;
mod index;
mod limit;
mod live;
mod once;
mod page;
mod pages;
mod probes;
mod problem;
pub mod replay;
mod rules;
mod serve;
mod session;
mod signin;
mod sources;
mod subscriptions;
mod why;
mod why_not;
mod wire;
mod zip;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::get;
use axum::routing::post;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::egress::Policy;
use crate::model::Time;
use crate::rules::RuleSet;
use crate::spans::Tracer;
use crate::telemetry::Board;

use problem::Problem;

pub use guard::Access;
pub use guard::TooOpen;
pub use index::Index;
pub use subscriptions::managed;

/// Largest request with articles.
const MAX_PUSH_BYTES: usize = 16 * 1024 * 1024;
/// Largest other request.
const MAX_ADMIN_BYTES: usize = 1024 * 1024;
/// How many times as long a request may take that brings so much, or reads the archive.
const LONGER: u32 = 10;
/// Largest form of a page.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// What the api works with.
#[derive(Clone)]
pub struct Settings {
    /// Who may ask.
    pub access: Access,
    /// The rule set: topics are checked against it.
    pub rules: Arc<ArcSwap<RuleSet>>,
    /// The clock that stamps receipts.
    pub clock: Clock,
    /// How every part is.
    pub board: Board,
    /// Which webhook addresses are allowed.
    pub policy: Arc<Policy>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// The subscriptions that are kept in a file, as it is now.
    pub definitions: watch::Receiver<managed::Definitions>,
    /// Base of links in webhook bodies, without a slash at its end.
    pub public_url: String,
    /// Total time of a request until its answer begins.
    pub request_timeout: Duration,
    /// No other process writes to the bus.
    pub sole: bool,
    /// What pushes are recorded with.
    pub tracer: Tracer,
}

/// Why the api cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port is taken, or the address is not this machine's.
    #[error("cannot listen on {addr}: choose another address with --listen")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The log of events cannot be read.
    #[error("reading events for the list of alerts failed")]
    Index(#[source] crate::bus::Error),
}

/// What handlers share.
struct Shared<B> {
    bus: B,
    settings: Settings,
    index: Index,
    /// Where subscribers who pull have got to in the log.
    pulled: subscriptions::Pulled,
    /// What is carried out under keys.
    running: once::Running,
    /// Those who listen to events.
    listeners: Arc<Semaphore>,
    /// One backtest at a time: it takes a core.
    backtests: Arc<Semaphore>,
    stop: CancellationToken,
}

type App<B> = Arc<Shared<B>>;

/// Takes the address. Done before anything else starts, so that a taken port is said at once.
pub async fn bind(addr: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(addr).await.map_err(|source| Error::Listen { addr, source })
}

/// Serves the API and keeps the list of alerts until `stop`.
pub async fn run<B: Bus>(
    bus: B,
    listener: TcpListener,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), Error> {
    let index = Index::default();
    let kept = settings.definitions.clone();
    let with = (settings.clock.clone(), settings.board.clone());
    let shared = Arc::new(Shared {
        bus: bus.clone(),
        running: once::Running::new(settings.sole),
        settings,
        index: index.clone(),
        pulled: subscriptions::Pulled::default(),
        listeners: Arc::new(Semaphore::new(live::MAX_LISTENERS)),
        backtests: Arc::new(Semaphore::new(1)),
        stop: stop.clone(),
    });
    let board = shared.settings.board.clone();
    let limits = serve::Limits::default();
    tokio::select! {
        biased;
        () = serve::serve(listener, router(shared), limits, stop.clone()) => Ok(()),
        failed = index.fill(&bus, &board) => Err(Error::Index(failed)),
        never = managed::follow(bus.clone(), kept, with) => match never {},
    }
}

/// Serves probes and metrics only, for workers that are not the api.
pub async fn run_probes(
    listener: TcpListener,
    board: Board,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) {
    let router = around::surrounded(around::dressed(probes::router(board, metrics)));
    serve::serve(listener, router, serve::Limits::default(), stop).await;
}

fn router<B: Bus>(shared: App<B>) -> Router {
    let usual = shared.settings.request_timeout;
    let within = |limit| middleware::from_fn_with_state(limit, around::within);
    let once = || middleware::from_fn_with_state(shared.clone(), once::once::<B>);
    let articles = Router::new()
        .route("/v1/articles", post(articles::push::<B>).get(articles::list::<B>))
        .route("/v1/articles/{id}", get(articles::show::<B>))
        .route("/v1/rules/backtest", post(backtest::backtest::<B>))
        .layer(once())
        .layer(DefaultBodyLimit::max(MAX_PUSH_BYTES))
        .layer(within(usual.saturating_mul(LONGER)));
    let admin = Router::new()
        .route("/v1/alerts", get(alerts::list::<B>))
        .route("/v1/alerts/{id}", get(alerts::show::<B>))
        .route("/v1/alerts/{id}/why", get(why::why::<B>))
        .route("/v1/why-not", get(why_not::show::<B>).post(why_not::compare::<B>))
        .route("/v1/alerts/{id}/end", post(alerts::end::<B>))
        .route("/v1/alerts/{id}/retract", post(alerts::retract::<B>))
        .route("/v1/attempts", get(attempts::list::<B>))
        .route("/v1/events", get(events::list::<B>))
        .route("/v1/rules", get(rules::list::<B>))
        .route("/v1/rules/try", post(rules::attempt::<B>))
        .route("/v1/sources", get(sources::list::<B>))
        .route("/v1/topics", get(alerts::topics::<B>))
        .route("/v1/audit", get(audit::list::<B>))
        .layer(once())
        .layer(DefaultBodyLimit::max(MAX_ADMIN_BYTES))
        .layer(within(usual));
    let subscriptions = subscriptions::router(&shared);
    let (access, clock) = (shared.settings.access.clone(), shared.settings.clock.clone());
    let door = signin::Door {
        access: access.clone(),
        clock: clock.clone(),
        secure: shared.settings.public_url.starts_with("https:"),
    };
    let signing_in = Router::new()
        .route("/signin", get(signin::page).post(signin::enter))
        .route("/signout", post(signin::leave))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
        .layer(within(usual))
        .with_state(door);
    let auditing = middleware::from_fn_with_state(shared.clone(), audit::note::<B>);
    let probes = probes::router(shared.settings.board.clone(), shared.settings.metrics.clone());
    let pages = pages::router(shared.clone());
    let served = Router::new()
        .merge(articles)
        .merge(admin)
        .merge(subscriptions)
        .layer(auditing)
        .with_state(shared)
        .merge(pages)
        .merge(signing_in)
        .merge(docs::router())
        .merge(probes);
    let (known, time) = (access.clone(), clock.clone());
    let guarded = around::dressed(served)
        .layer(middleware::from_fn(move |request, next| {
            guard::check((access.clone(), clock.now_ms().div_euclid(1000)), request, next)
        }))
        .layer(middleware::from_fn(move |request, next| {
            pages::readable((known.clone(), Time::from_millis(time.now_ms())), request, next)
        }));
    around::surrounded(guarded)
}

fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| history::broken(&format!("the system has no randomness: {error}")))?;
    Ok(bytes)
}
