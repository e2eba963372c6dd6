//! Serving every subscription while the lease lasts.

mod intake;
mod sending;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Entry;
use crate::bus::Error;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::PutOutcome;
use crate::bus::Reader;
use crate::bus::Selection;
use crate::bus::Stream;
use crate::bus::Until;
use crate::bus::Watch;
use crate::delivery::Delivery;
use crate::egress::Client;
use crate::model::AlertId;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::telemetry::Health;
use crate::telemetry::metric;
use crate::worker::lease::Change;
use crate::worker::lease::Keeper;
use crate::worker::notifier::Settings;
use crate::worker::notifier::attempts::Log;
use crate::worker::notifier::log;
use crate::worker::notifier::log::Scribe;
use crate::worker::notifier::log::Stretch;
use crate::worker::notifier::send::Sent;
use crate::worker::notifier::served::Served;

/// Most closed alerts remembered, to say `late` of an opening that comes after its end.
const MAX_CLOSED: usize = 10_000;
/// Longest time for reading everything at the start of a lease.
const OPENING: Duration = Duration::from_secs(60);
/// Longest sleep, so that a clock that was set is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(5);
/// How often it is looked at whether the tail stands still before unread events.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What serving needs.
pub(super) struct Parts<B> {
    pub(super) bus: B,
    pub(super) client: Client,
    pub(super) settings: Settings,
    pub(super) keeper: Arc<Keeper<B>>,
    pub(super) attempts: Log,
}

type Written = (Vec<(SubscriptionId, u64)>, Result<Vec<Result<PutOutcome, Error>>, Error>);
type Refilled = (SubscriptionId, Result<Stretch, Error>);

struct Desk<'a, B> {
    parts: &'a Parts<B>,
    scribe: Scribe<B>,
    served: BTreeMap<SubscriptionId, Served>,
    /// Position of the tail: the log has been read up to here.
    tail: u64,
    /// When it was last looked at whether the tail stands still, and its position then.
    looked_at: Instant,
    tail_then: u64,
    closed: HashSet<AlertId>,
    closed_order: VecDeque<AlertId>,
    /// Subscriptions to look at, each once, in fair order.
    ready: VecDeque<SubscriptionId>,
    timers: BTreeSet<(Time, SubscriptionId)>,
    dirty: BTreeSet<SubscriptionId>,
    sends: JoinSet<Sent>,
    writes: JoinSet<Written>,
    refills: JoinSet<Refilled>,
}

enum Woken {
    Stop,
    Leases(Vec<Change>),
    Sent(Sent),
    Written(Written),
    Refilled(Refilled),
    Item(Option<Result<Item, Error>>),
    Definition(Option<Result<Entry, Error>>),
    Timer,
}

/// Serves until `stop` or until the lease is lost; then lets requests under way end and, where
/// the lease still holds, writes what they did.
pub(super) async fn serve<B: Bus>(parts: &Parts<B>, stop: &CancellationToken) -> Result<(), Error> {
    let opened = tokio::time::timeout(OPENING, open(parts)).await;
    let (mut desk, mut reader, mut watch) = opened.map_err(|late| Error::Away {
        what: "reading subscriptions and deliveries".to_owned(),
        source: late.into(),
    })??;
    parts.settings.board.set("notifier", Health::Ready);
    tracing::info!(subscriptions = desk.served.len(), tail = desk.tail, "Notifier serves");
    let result = desk.work(&mut reader, &mut watch, stop).await;
    desk.wind_up().await;
    result
}

async fn open<B: Bus>(parts: &Parts<B>) -> Result<(Desk<'_, B>, Reader, Watch), Error> {
    let tail = parts.bus.end(Stream::Events).await?;
    let wanted = parts.bus.list(Bucket::Subscriptions, "").await?;
    let done = parts.bus.list(Bucket::Deliveries, "").await?;
    let mut records: BTreeMap<String, (Delivery, u64)> = BTreeMap::new();
    for entry in done.entries {
        let Some(value) = &entry.value else { continue };
        let record = serde_json::from_slice(value)
            .map_err(|e| Error::Refused(format!("delivery record {}: {e}", entry.key)))?;
        records.insert(entry.key, (record, entry.revision));
    }
    let mut desk = Desk {
        parts,
        scribe: Scribe::new(parts.bus.clone()),
        served: BTreeMap::new(),
        tail,
        looked_at: Instant::now(),
        tail_then: 0,
        closed: HashSet::new(),
        closed_order: VecDeque::new(),
        ready: VecDeque::new(),
        timers: BTreeSet::new(),
        dirty: BTreeSet::new(),
        sends: JoinSet::new(),
        writes: JoinSet::new(),
        refills: JoinSet::new(),
    };
    for entry in wanted.entries {
        let stored = records.remove(&entry.key);
        desk.take_definition(&entry, stored).await?;
    }
    let selection = Selection {
        from: From::After(tail),
        until: Until::Forever,
        filter: log::FILTER.to_owned(),
    };
    let reader = parts.bus.read(Stream::Events, selection).await?;
    let watch = parts.bus.watch(Bucket::Subscriptions, "", wanted.position).await?;
    Ok((desk, reader, watch))
}

impl<B: Bus> Desk<'_, B> {
    async fn work(
        &mut self,
        reader: &mut Reader,
        watch: &mut Watch,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        loop {
            self.start_write();
            self.start_requests();
            let sleep = self.until_timer();
            let woken = tokio::select! {
                biased;
                () = stop.cancelled() => Woken::Stop,
                changes = self.parts.keeper.changes() => Woken::Leases(changes),
                Some(sent) = self.sends.join_next() => Woken::Sent(unpanicked(sent)),
                Some(written) = self.writes.join_next() => Woken::Written(unpanicked(written)),
                Some(refilled) = self.refills.join_next() => Woken::Refilled(unpanicked(refilled)),
                change = watch.next() => Woken::Definition(change),
                item = reader.next() => Woken::Item(item),
                () = tokio::time::sleep(sleep) => Woken::Timer,
            };
            match woken {
                Woken::Stop => return Ok(()),
                Woken::Leases(changes) => {
                    if changes.iter().any(|c| !matches!(c, Change::Taken(_))) {
                        tracing::warn!("Notifier lease lost");
                        return Ok(());
                    }
                }
                Woken::Sent(sent) => self.take_sent(sent),
                Woken::Written(written) => self.take_written(written)?,
                Woken::Refilled((id, stretch)) => self.take_stretch(&id, stretch?),
                Woken::Definition(Some(change)) => self.take_definition(&change?, None).await?,
                Woken::Item(Some(item)) => self.take_item(item?).await?,
                Woken::Definition(None) | Woken::Item(None) => return Ok(()),
                Woken::Timer => {
                    self.wake_due();
                    if self.tail_stands_still().await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn wake_due(&mut self) {
        let now = self.now();
        while let Some((at, _)) = self.timers.first()
            && *at <= now
            && let Some((_, id)) = self.timers.pop_first()
        {
            self.enqueue(id);
        }
        let waiting = self.served.values().filter(|s| s.has_waiting()).count();
        metrics::gauge!(metric::DELIVERY_WAITING).set(u32::try_from(waiting).unwrap_or(u32::MAX));
    }

    /// Whether the tail has stood still before unread events for a while: then everything is
    /// opened anew.
    async fn tail_stands_still(&mut self) -> Result<bool, Error> {
        if self.looked_at.elapsed() < LOOK_EVERY {
            return Ok(false);
        }
        let end = self.parts.bus.end(Stream::Events).await?;
        let stands = self.tail < end && self.tail == self.tail_then;
        if stands {
            tracing::warn!(tail = self.tail, end, "Reader of events stood still");
        }
        self.looked_at = Instant::now();
        self.tail_then = self.tail;
        Ok(stands)
    }

    fn until_timer(&self) -> Duration {
        let now = self.now();
        let due = self.timers.first().map_or(MAX_SLEEP, |(at, _)| at.since(now));
        due.clamp(Duration::from_millis(1), MAX_SLEEP)
    }

    /// Requests under way end by their own timeout; what they did is written while we may.
    async fn wind_up(&mut self) {
        while let Some(sent) = self.sends.join_next().await {
            self.take_sent(unpanicked(sent));
        }
        self.refills.shutdown().await;
        for (id, served) in &self.served {
            if served.record.cursor > served.written {
                self.dirty.insert(id.clone());
            }
        }
        loop {
            match self.writes.join_next().await.map(unpanicked) {
                Some(written) => {
                    if self.take_written(written).is_err() {
                        return;
                    }
                }
                None => {
                    self.start_write();
                    if self.writes.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    fn now(&self) -> Time {
        Time::from_millis(self.parts.settings.clock.now_ms())
    }
}

/// A task of ours panics only where an invariant is broken: the worker ends with it.
fn unpanicked<T>(joined: Result<T, tokio::task::JoinError>) -> T {
    match joined {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
