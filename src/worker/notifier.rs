//! The notifier: a cursor on the log of events for every subscription.
//!
//! Nothing is copied per subscription. One tail reads the log; a subscription whose endpoint is
//! slow or dead keeps a bounded queue and, when it is behind, reads its stretch of the log again.
//! Subscriptions are divided into shards, each owned by lease. Sending never waits for the records
//! that say what was sent: they are written in groups, one write under way at a time.

mod attempts;
mod desk;
mod log;
mod run;
mod send;
mod trail;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::delivery::endpoint::Ttls;
use crate::egress::Client;
use crate::spans::Tracer;
use crate::telemetry::Board;
use crate::telemetry::Health;
use crate::telemetry::logs::chain;
use crate::worker::lease::Keeper;
use crate::worker::lease::Settings as LeaseSettings;

/// Pause after the bus failed.
const RETRY: Duration = Duration::from_millis(200);
/// Longest time for giving leases back at the end.
const GIVING_BACK: Duration = Duration::from_secs(3);

/// What a notifier works with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How its leases are kept.
    pub leases: LeaseSettings,
    /// The clock of schedules.
    pub clock: Clock,
    /// Where it says how it is.
    pub board: Board,
    /// What requests are recorded with.
    pub tracer: Tracer,
    /// Total time of a request with its answer.
    pub timeout: Duration,
    /// Requests under way at once.
    pub max_in_flight: usize,
    /// Requests under way at once to one host.
    pub host_in_flight: usize,
    /// Longest waits of events, where a subscription does not say.
    pub ttls: Ttls,
    /// Base of links in bodies, without a slash at its end.
    pub public_url: String,
}

/// Runs until `stop`; then lets requests under way end, writes what they did and gives the leases
/// back.
pub async fn run<B: Bus>(
    bus: B,
    client: Client,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), crate::worker::Error> {
    let clock = settings.clock.clone();
    let board = settings.board.clone();
    let keeper = Arc::new(Keeper::new(bus.clone(), clock, board, settings.leases.clone()));
    let mut tasks = tokio::task::JoinSet::new();
    let kept = keeper.clone();
    tasks.spawn(async move { kept.run().await });
    let attempts = attempts::Log::start(bus.clone(), &mut tasks);
    settings.board.set("notifier", Health::NotReady("connecting".to_owned()));
    let parts = desk::Parts { bus, client, settings, keeper: keeper.clone(), attempts };
    let result = serve(&parts, &stop).await;
    let all: Vec<u16> = (0..parts.settings.leases.shards).collect();
    let bounded = tokio::time::timeout(GIVING_BACK, async {
        keeper.give_back(&all).await?;
        keeper.leave().await
    });
    if !matches!(bounded.await, Ok(Ok(()))) {
        tracing::warn!("Notifier leases not given back");
    }
    parts.attempts.finish(GIVING_BACK).await;
    drop(parts);
    tasks.shutdown().await;
    result.map_err(|source| crate::worker::Error::Bus { worker: "notifier", source })
}

/// Serves, and begins anew where the bus failed in a way that passes, or what is read ended or stood
/// still.
async fn serve<B: Bus>(
    parts: &desk::Parts<B>,
    stop: &CancellationToken,
) -> Result<(), crate::bus::Error> {
    loop {
        match desk::serve(parts, stop).await {
            Ok(()) if stop.is_cancelled() => return Ok(()),
            Ok(()) => tracing::warn!("Notifier begins anew"),
            Err(error) if !error.is_temporary() => return Err(error),
            Err(error) => {
                let text = chain(&error);
                if parts.settings.board.set("notifier", Health::NotReady(text.clone())) {
                    tracing::warn!(error = text, "Notifier waits for the bus");
                }
            }
        }
        (0..parts.settings.leases.shards).for_each(|shard| parts.keeper.drop_shard(shard));
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}
