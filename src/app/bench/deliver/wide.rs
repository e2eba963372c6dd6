//! One event to very many subscriptions.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::app::bench::PATIENCE;
use crate::app::bench::deliver::halt;
use crate::app::bench::deliver::hook;
use crate::app::bench::deliver::publish;
use crate::app::bench::deliver::start;
use crate::app::bench::deliver::start_with;
use crate::app::bench::deliver::subscribe;
use crate::app::bench::deliver::unsubscribe;
use crate::app::bench::deliver::urls;
use crate::app::bench::resident;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::telemetry::Board;

/// Figures of one event to very many.
#[derive(Debug, Serialize)]
pub(super) struct WideFigures {
    subscriptions: u32,
    alerts_open: u32,
    /// From the start of a notifier to the end of reading all subscriptions.
    ready_ms: f64,
    /// Growth of resident memory by them.
    rss_mb: f64,
    fan_out_per_s: f64,
}

/// One event to very many subscriptions at one host, after a restart with alerts open.
pub(super) async fn wide<B: Bus>(
    bus: &B,
    (hook, count): (SocketAddr, &AtomicU64),
    subscriptions: u32,
) -> anyhow::Result<WideFigures> {
    const ALERTS: u32 = 1_000;
    publish(bus, fastrand::u32(..), ALERTS).await?;
    let ids = subscribe(bus, &urls(hook, subscriptions)).await?;
    // The first notifier writes their records: a restart finds them.
    let (stop, running) = start(bus);
    until_written(bus, ids.len()).await?;
    halt(stop, running).await?;
    let before = resident();
    let began = Instant::now();
    let board = Board::default();
    let (stop, running) = start_with(bus, board.clone());
    while !board.is_ready() || board.parts().is_empty() {
        anyhow::ensure!(began.elapsed() < PATIENCE, "the notifier does not become ready");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ready_ms = began.elapsed().as_secs_f64() * 1e3;
    let rss_mb = (resident() - before).max(0.0);
    let sent = count.load(std::sync::atomic::Ordering::Relaxed);
    publish(bus, fastrand::u32(..), 1).await?;
    let began = Instant::now();
    hook::until(count, sent + u64::from(subscriptions), PATIENCE).await?;
    let fan_out_per_s = f64::from(subscriptions) / began.elapsed().as_secs_f64();
    halt(stop, running).await?;
    let all = count.load(std::sync::atomic::Ordering::Relaxed) - sent;
    anyhow::ensure!(all == u64::from(subscriptions), "{all} of {subscriptions} webhooks came");
    unsubscribe(bus, ids).await?;
    Ok(WideFigures { subscriptions, alerts_open: ALERTS, ready_ms, rss_mb, fan_out_per_s })
}

async fn until_written<B: Bus>(bus: &B, count: usize) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    while bus.list(Bucket::Deliveries, "").await?.entries.len() < count {
        anyhow::ensure!(Instant::now() < until, "the records are not written");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}
