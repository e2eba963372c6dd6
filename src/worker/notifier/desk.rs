//! Serving the subscriptions of the shards that are held.

mod intake;
mod reading;
mod sending;
mod shards;
mod slot;
mod topics;
mod writing;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::bus::Entry;
use crate::bus::Error;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Reader;
use crate::bus::Selection;
use crate::bus::Stream;
use crate::bus::Until;
use crate::bus::Watch;
use crate::delivery::endpoint::Due;
use crate::delivery::lanes::Lanes;
use crate::delivery::lanes::Limits;
use crate::egress::Client;
use crate::model::AlertId;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::telemetry::metric;
use crate::worker::lease::Change;
use crate::worker::lease::Keeper;
use crate::worker::next_of;
use crate::worker::notifier::RETRY;
use crate::worker::notifier::Settings;
use crate::worker::notifier::attempts::Log;
use crate::worker::notifier::log;
use crate::worker::notifier::log::Scribe;
use crate::worker::notifier::log::Stretch;
use crate::worker::notifier::send::Sent;
use crate::worker::watchdog::Watchdog;
use reading::Read;
use sending::UnderWay;
use shards::Opened;
use shards::Shard;
use slot::Slot;
use topics::Topics;
use writing::Written;

/// Most closed alerts remembered, to say `late` of an opening that comes after its end.
const MAX_CLOSED: usize = 10_000;
/// Longest sleep, so that a clock that was set is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(1);
/// After so long without a shard, others have them all.
const STANDING_BY: Duration = Duration::from_secs(2);
/// The cursor of a subscription that gets nothing is written after so many positions.
const LAZY: u64 = 1_000;

/// What serving needs.
pub(super) struct Parts<B> {
    pub(super) bus: B,
    pub(super) client: Client,
    pub(super) settings: Settings,
    pub(super) keeper: Arc<Keeper<B>>,
    pub(super) attempts: Log,
}

struct Desk<'a, B> {
    parts: &'a Parts<B>,
    scribe: Scribe<B>,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    places: HashMap<SubscriptionId, u32>,
    topics: Topics,
    shards: BTreeMap<u16, Shard>,
    lanes: Lanes,
    serial: u64,
    began: Instant,
    /// Position of the tail: the log has been read up to here.
    tail: u64,
    watchdog: Watchdog,
    closed: HashSet<AlertId>,
    closed_order: VecDeque<AlertId>,
    timers: BTreeSet<(Time, u32)>,
    /// Who waits for the log after a position.
    behind: BTreeMap<u64, BTreeSet<u32>>,
    /// Whose replay waits for a stretch of the log.
    replaying: BTreeSet<u32>,
    /// Positions after which the log is being read.
    reading: BTreeSet<u64>,
    /// Stretches read lately, the newest first: who is behind others by little needs no reading.
    recent: VecDeque<Arc<Stretch>>,
    /// Nothing is read before then: reading failed.
    read_at: Option<Instant>,
    dirty: VecDeque<u32>,
    write_at: Option<Instant>,
    /// Requests under way by number, and those of the fast lane by their age.
    under_way: HashMap<u64, UnderWay>,
    young: VecDeque<(Instant, u64)>,
    /// Runs of several requests, and when to look at what they have done.
    runs: BTreeSet<u64>,
    look_at: Option<Instant>,
    /// Who was not served because the lease was not trusted.
    untrusted: Vec<u32>,
    watch: Option<Watch>,
    sends: JoinSet<Sent>,
    writes: JoinSet<Written>,
    reads: JoinSet<Read>,
    openings: JoinSet<Result<Opened, Error>>,
    removals: JoinSet<Result<(), Error>>,
}

enum Woken {
    Stop,
    Leases(Vec<Change>),
    Sent(Box<Sent>),
    Written(Written),
    Read(Read),
    Opened(Result<Opened, Error>),
    Removed(Result<(), Error>),
    Item(Option<Result<Item, Error>>),
    Definition(Option<Result<Entry, Error>>),
    Timer,
}

/// Serves until `stop`, or until what it reads ends or stands still; then lets requests under way
/// end and writes what they did.
pub(super) async fn serve<B: Bus>(parts: &Parts<B>, stop: &CancellationToken) -> Result<(), Error> {
    let tail = parts.bus.end(Stream::Events).await?;
    let selection = Selection {
        from: From::After(tail),
        until: Until::Forever,
        filter: log::FILTER.to_owned(),
    };
    let mut reader = parts.bus.read(Stream::Events, selection).await?;
    let mut desk = Desk::new(parts, tail);
    let result = desk.work(&mut reader, stop).await;
    desk.wind_up().await;
    result
}

impl<'a, B: Bus> Desk<'a, B> {
    fn new(parts: &'a Parts<B>, tail: u64) -> Self {
        let (total, host) = (parts.settings.max_in_flight, parts.settings.host_in_flight);
        Self {
            parts,
            scribe: Scribe::new(parts.bus.clone()),
            slots: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            topics: Topics::default(),
            shards: BTreeMap::new(),
            lanes: Lanes::new(Limits { total, host }),
            serial: 0,
            began: Instant::now(),
            tail,
            watchdog: Watchdog::new(),
            closed: HashSet::new(),
            closed_order: VecDeque::new(),
            timers: BTreeSet::new(),
            behind: BTreeMap::new(),
            replaying: BTreeSet::new(),
            reading: BTreeSet::new(),
            recent: VecDeque::new(),
            read_at: None,
            dirty: VecDeque::new(),
            write_at: None,
            under_way: HashMap::new(),
            young: VecDeque::new(),
            runs: BTreeSet::new(),
            look_at: None,
            untrusted: Vec::new(),
            watch: None,
            sends: JoinSet::new(),
            writes: JoinSet::new(),
            reads: JoinSet::new(),
            openings: JoinSet::new(),
            removals: JoinSet::new(),
        }
    }

    async fn work(&mut self, reader: &mut Reader, stop: &CancellationToken) -> Result<(), Error> {
        let keeper = self.parts.keeper.clone();
        loop {
            self.look_at_runs();
            self.start_write();
            self.start_reads();
            self.start_requests();
            let sleep = self.until_timer();
            let woken = tokio::select! {
                biased;
                () = stop.cancelled() => Woken::Stop,
                changes = keeper.changes() => Woken::Leases(changes),
                Some(sent) = self.sends.join_next() => Woken::Sent(Box::new(unpanicked(sent))),
                Some(written) = self.writes.join_next() => Woken::Written(unpanicked(written)),
                Some(read) = self.reads.join_next() => Woken::Read(unpanicked(read)),
                Some(opened) = self.openings.join_next() => Woken::Opened(unpanicked(opened)),
                Some(removed) = self.removals.join_next() => Woken::Removed(unpanicked(removed)),
                change = next_of(&mut self.watch) => Woken::Definition(change),
                item = reader.next() => Woken::Item(item),
                () = tokio::time::sleep(sleep) => Woken::Timer,
            };
            match woken {
                Woken::Stop => return Ok(()),
                Woken::Leases(changes) => self.take_leases(changes).await?,
                Woken::Sent(sent) => {
                    self.take_sent(*sent);
                    while let Some(sent) = self.sends.try_join_next() {
                        self.take_sent(unpanicked(sent));
                    }
                }
                Woken::Written(written) => self.take_written(written),
                Woken::Read(read) => self.take_read(read)?,
                Woken::Opened(opened) => self.take_opened(opened?).await?,
                // What could not be removed is when the shard is opened next.
                Woken::Removed(Err(error)) if !error.is_temporary() => return Err(error),
                Woken::Removed(_) => {}
                Woken::Definition(Some(change)) => self.take_definition(change?).await?,
                Woken::Item(Some(item)) => self.take_item(item?).await?,
                Woken::Definition(None) | Woken::Item(None) => return Ok(()),
                Woken::Timer => {
                    self.wake_due();
                    self.stand_by();
                    if self.tail_stands_still().await? {
                        return Ok(());
                    }
                }
            }
            self.yield_shards().await?;
        }
    }

    fn slot(&mut self, place: u32) -> Option<&mut Slot> {
        self.slots.get_mut(place as usize)?.as_mut()
    }

    /// Has a subscription stand where it belongs: ready, waiting for its time, for the log, or
    /// for nothing.
    fn place(&mut self, place: u32) {
        let now = self.now();
        let Some(shard) = self.slot(place).map(|slot| slot.shard) else { return };
        let leaving = self.shards.get(&shard).is_none_or(Shard::is_leaving);
        if !leaving {
            self.look_at_recent(place, now);
        }
        let Some(slot) = self.slots.get_mut(place as usize).and_then(Option::as_mut) else {
            return;
        };
        let due = if leaving { Due::Idle } else { slot.endpoint.due(now) };
        let wait = match due {
            Due::At(at) => Some(at),
            Due::Now | Due::Idle => None,
        };
        if slot.timer != wait {
            if let Some(old) = slot.timer {
                self.timers.remove(&(old, place));
            }
            if let Some(new) = wait {
                self.timers.insert((new, place));
            }
            slot.timer = wait;
        }
        if due == Due::Now {
            let (lane, ending) = (slot.endpoint.lane(), slot.endpoint.has_ending());
            self.lanes.offer(place, slot.host, lane, ending);
        } else {
            self.lanes.withdraw(place);
        }
        let wants = slot.endpoint.wants_more() && wait.is_none() && !leaving;
        if wants && slot.reads.is_none() {
            let from = slot.endpoint.scan();
            slot.reads = Some(from);
            self.behind.entry(from).or_default().insert(place);
        }
        if !slot.replay_reads && !leaving && slot.endpoint.replay_wants().is_some() {
            self.replaying.insert(place);
        }
        if slot.endpoint.take_changed() && !slot.dirty {
            slot.dirty = true;
            self.dirty.push_back(place);
        }
    }

    fn wake_due(&mut self) {
        let now = self.now();
        while let Some((at, _)) = self.timers.first()
            && *at <= now
            && let Some((_, place)) = self.timers.pop_first()
        {
            if let Some(slot) = self.slot(place) {
                slot.timer = None;
            }
            self.place(place);
        }
        self.move_slow();
        std::mem::take(&mut self.untrusted).into_iter().for_each(|place| self.place(place));
    }

    /// One that gets no shard because others have them all is ready all the same.
    fn stand_by(&self) {
        let waited = self.began.elapsed() >= STANDING_BY && self.parts.bus.is_connected();
        if self.shards.is_empty() && waited {
            self.tell_health();
        }
    }

    /// Whether the tail has stood still before unread events for a while: then everything is
    /// opened anew.
    async fn tail_stands_still(&mut self) -> Result<bool, Error> {
        if !self.watchdog.is_due() {
            return Ok(false);
        }
        let end = self.parts.bus.end(Stream::Events).await?;
        metric::lag("notifier", end.saturating_sub(self.tail));
        let stands = self.watchdog.look(self.tail, end);
        if stands {
            tracing::warn!(tail = self.tail, end, "Reader of events stood still");
        }
        self.report();
        self.forget_recent();
        self.parts.client.close_idle();
        Ok(stands)
    }

    fn report(&self) {
        let figure = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        let slots = || self.slots.iter().flatten();
        let waiting = slots().filter(|s| s.endpoint.waiting() > 0).count();
        let behind = slots().filter(|s| !s.endpoint.is_level()).count();
        let oldest = slots().filter_map(|s| s.endpoint.oldest()).min();
        let oldest = oldest.map_or(Duration::ZERO, |at| self.now().since(at));
        metrics::gauge!(metric::DELIVERY_OLDEST_SECONDS).set(oldest.as_secs_f64());
        metrics::gauge!(metric::DELIVERY_WAITING).set(figure(waiting));
        metrics::gauge!(metric::DELIVERY_BEHIND).set(figure(behind));
        metrics::gauge!(metric::DELIVERY_UNDER_WAY).set(figure(self.lanes.under_way()));
    }

    fn until_timer(&self) -> Duration {
        let now = self.now();
        let due = self.timers.first().map_or(MAX_SLEEP, |(at, _)| at.since(now));
        let due = due.max(Duration::from_millis(1));
        let writes = self.write_at.filter(|_| self.writes.is_empty());
        let untrusted = (!self.untrusted.is_empty()).then(|| Instant::now() + RETRY);
        let instants = [writes, self.slow_at(), self.look_at, self.read_at, untrusted];
        let until = |at: Instant| at.saturating_duration_since(Instant::now());
        instants.into_iter().flatten().map(until).fold(due, Duration::min).min(MAX_SLEEP)
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
