//! The notifier: a cursor on the log of events for every subscription.
//!
//! Nothing is copied per subscription. One tail reads the log; a subscription whose endpoint is
//! slow or dead keeps a bounded queue and, when it is behind, reads its stretch of the log again.
//! One lease covers all subscriptions; a second notifier stands by. Sending never waits for the
//! records that say what was sent: they are written in groups, one write under way at a time.

mod attempts;
mod log;
mod send;
mod serve;
mod served;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::egress::Client;
use crate::telemetry::Board;
use crate::telemetry::Health;
use crate::telemetry::logs::chain;
use crate::worker::lease::Change;
use crate::worker::lease::Keeper;
use crate::worker::lease::Settings as LeaseSettings;

/// The one shard, until subscriptions are divided.
const SHARD: u16 = 0;
/// Pause after the bus failed.
const RETRY: Duration = Duration::from_millis(200);

/// What a notifier works with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How its lease is kept.
    pub leases: LeaseSettings,
    /// The clock of schedules.
    pub clock: Clock,
    /// Where it says how it is.
    pub board: Board,
    /// Total time of a request with its answer.
    pub timeout: Duration,
    /// Requests under way at once.
    pub max_in_flight: usize,
    /// Base of links in bodies, without a slash at its end.
    pub public_url: String,
}

/// Runs until `stop`; then lets requests under way end, writes what they did and gives the lease
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
    let mut renewals = tokio::task::JoinSet::new();
    let kept = keeper.clone();
    renewals.spawn(async move { kept.run().await });
    let attempts = attempts::Log::start(bus.clone(), &mut renewals);
    settings.board.set("notifier", Health::NotReady("connecting".to_owned()));
    let parts = serve::Parts { bus, client, settings, keeper: keeper.clone(), attempts };
    let result = stand_by(&parts, &stop).await;
    let bounded = tokio::time::timeout(Duration::from_secs(3), async {
        keeper.give_back(&[SHARD]).await?;
        keeper.leave().await
    });
    if !matches!(bounded.await, Ok(Ok(()))) {
        tracing::warn!("Notifier lease not given back");
    }
    drop(parts);
    renewals.shutdown().await;
    result.map_err(|source| crate::worker::Error::Bus { worker: "notifier", source })
}

/// Waits for the lease, serves while it lasts, and waits again.
async fn stand_by<B: Bus>(
    parts: &serve::Parts<B>,
    stop: &CancellationToken,
) -> Result<(), crate::bus::Error> {
    loop {
        let changes = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            changes = parts.keeper.changes() => changes,
            () = standing_by(parts) => continue,
        };
        if !changes.iter().any(|c| matches!(c, Change::Taken(_))) {
            continue;
        }
        if let Err(error) = serve::serve(parts, stop).await {
            if !error.is_temporary() {
                return Err(error);
            }
            let text = chain(&error);
            if parts.settings.board.set("notifier", Health::NotReady(text.clone())) {
                tracing::warn!(error = text, "Notifier waits for the bus");
            }
            tokio::time::sleep(RETRY).await;
        }
        parts.keeper.drop_shard(SHARD);
    }
}

/// A notifier that has seen that another one serves is ready: it stands by.
async fn standing_by<B: Bus>(parts: &serve::Parts<B>) {
    tokio::time::sleep(Duration::from_secs(2)).await;
    if parts.bus.is_connected() && parts.keeper.count() == 0 {
        parts.settings.board.set("notifier", Health::Ready);
    }
}
