//! The ingest worker: polls the feeds of its shards and watches its folders.
//!
//! Feeds fall into shards by the host they are on, so that a host sees one request at a time
//! however many workers there are. How far a feed was read is in its record, so who takes a shard
//! over reads nothing twice.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::egress::Client;
use crate::source;
use crate::source::Error;
use crate::source::Sources;
use crate::source::poll::Share;
use crate::spans::Tracer;
use crate::telemetry::Board;
use crate::worker::lease;
use crate::worker::lease::Change;
use crate::worker::lease::Keeper;

/// What an ingest worker works with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How its shards are leased.
    pub leases: lease::Settings,
    /// The sources; a reload replaces them.
    pub sources: watch::Receiver<Arc<Sources>>,
    /// The wall clock.
    pub clock: Clock,
    /// Where it says how it is.
    pub board: Board,
    /// What polls are recorded with.
    pub tracer: Tracer,
}

/// Polls and watches until `stop`; then finishes what is begun and gives its shards back.
pub async fn run<B: Bus>(
    bus: B,
    client: Client,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), Error> {
    let Settings { leases, sources, clock, board, tracer } = settings;
    let keeper = Arc::new(Keeper::new(bus.clone(), clock.clone(), board.clone(), leases));
    let share = Share::none();
    let mut tasks = JoinSet::new();
    let kept = keeper.clone();
    tasks.spawn(async move { kept.run().await });
    let (kept, given) = (keeper.clone(), share.clone());
    tasks.spawn(async move { pass_on(&kept, &given).await });
    let settings = source::Settings { sources: Sources::default(), share, clock, board, tracer };
    let result = follow((bus, client), sources, settings, stop).await;
    tasks.shutdown().await;
    if let Err(error) = keeper.leave().await {
        tracing::debug!(%error, "Leases were not given back");
    }
    result
}

/// Polls and watches the sources as they are now; when they change, what is begun is finished and
/// the new ones are taken up.
async fn follow<B: Bus>(
    (bus, client): (B, Client),
    mut sources: watch::Receiver<Arc<Sources>>,
    settings: source::Settings,
    stop: CancellationToken,
) -> Result<(), Error> {
    loop {
        let now = Sources::clone(&sources.borrow_and_update());
        let settings = source::Settings { sources: now, ..settings.clone() };
        let round = stop.child_token();
        let work = source::run(settings, bus.clone(), client.clone(), round.clone());
        tokio::pin!(work);
        tokio::select! {
            biased;
            ended = &mut work => return ended,
            Ok(()) = sources.changed() => {}
        }
        round.cancel();
        work.await?;
        if stop.is_cancelled() {
            return Ok(());
        }
    }
}

/// Passes shards that come and go on to the poller. One that others should have is given back
/// when nothing of it is under way any more.
async fn pass_on<B: Bus>(keeper: &Keeper<B>, share: &Share) {
    let mut leaving: JoinSet<u16> = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            changes = keeper.changes() => {
                for change in changes {
                    match change {
                        Change::Taken(grant) => share.give(grant.shard),
                        Change::Lost(shard) => share.take(shard),
                        Change::Yield(shard) => {
                            share.take(shard);
                            let share = share.clone();
                            leaving.spawn(async move {
                                share.idle(shard).await;
                                shard
                            });
                        }
                    }
                }
            }
            Some(Ok(shard)) = leaving.join_next() => {
                if let Err(error) = keeper.give_back(&[shard]).await {
                    // It runs out by itself.
                    tracing::debug!(%error, shard, "Lease was not given back");
                }
            }
        }
    }
}
