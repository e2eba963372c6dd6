//! Serving every subscription while the lease lasts.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashSet;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Entry;
use crate::bus::Error;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Put;
use crate::bus::PutOutcome;
use crate::bus::Reader;
use crate::bus::Selection;
use crate::bus::Stream;
use crate::bus::Until;
use crate::bus::Watch;
use crate::delivery::Delivery;
use crate::delivery::Logged;
use crate::delivery::Reply;
use crate::delivery::ledger::Settled;
use crate::egress::Client;
use crate::model::AlertId;
use crate::model::Attempt;
use crate::model::EventKind;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::Version;
use crate::model::attempt::Outcome;
use crate::telemetry::Health;
use crate::telemetry::metric;
use crate::worker::lease::Change;
use crate::worker::lease::Keeper;
use crate::worker::notifier::SHARD;
use crate::worker::notifier::Settings;
use crate::worker::notifier::attempts::Log;
use crate::worker::notifier::log;
use crate::worker::notifier::log::Scribe;
use crate::worker::notifier::log::Stretch;
use crate::worker::notifier::send::Cargo;
use crate::worker::notifier::send::Order;
use crate::worker::notifier::send::Sent;
use crate::worker::notifier::send::send;
use crate::worker::notifier::served::Next;
use crate::worker::notifier::served::QUEUE;
use crate::worker::notifier::served::Served;

/// Most closed alerts remembered, to say `late` of an opening that comes after its end.
const MAX_CLOSED: usize = 10_000;
/// Longest sleep, so that a clock that was set is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(10);

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
    let (mut desk, mut reader, mut watch) = open(parts).await?;
    parts.settings.board.set("notifier", Health::Ready);
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
                Woken::Timer => self.wake_due(),
            }
        }
    }

    async fn take_item(&mut self, item: Item) -> Result<(), Error> {
        let stored = match item {
            Item::Record(stored) => stored,
            Item::Overtaken { cursor, first } => {
                log::overtaken(cursor, first);
                return Ok(());
            }
        };
        let logged = self.scribe.read(&stored).await?;
        if let Some(logged) = &logged {
            self.note_closed(logged);
        }
        let before = self.tail;
        self.tail = stored.seq;
        let now = self.now();
        let mut ready = Vec::new();
        for (id, served) in &mut self.served {
            if served.is_level_with(before) {
                let looked = logged.as_ref().is_none_or(|logged| served.look(logged));
                if looked {
                    served.passed(stored.seq);
                }
            }
            if served.has_waiting()
                && !served.busy
                && served.record.next_attempt.is_none_or(|t| t <= now)
            {
                ready.push(id.clone());
            }
            if served.lags() {
                self.dirty.insert(id.clone());
            }
        }
        ready.into_iter().for_each(|id| self.enqueue(id));
        Ok(())
    }

    /// Has a subscription looked at, once however often it is asked.
    fn enqueue(&mut self, id: SubscriptionId) {
        if let Some(served) = self.served.get_mut(&id)
            && !std::mem::replace(&mut served.queued, true)
        {
            self.ready.push_back(id);
        }
    }

    fn note_closed(&mut self, logged: &Logged) {
        if logged.event.kind.closes() && self.closed.insert(logged.event.alert.id.clone()) {
            self.closed_order.push_back(logged.event.alert.id.clone());
            if self.closed_order.len() > MAX_CLOSED
                && let Some(oldest) = self.closed_order.pop_front()
            {
                self.closed.remove(&oldest);
            }
        }
    }

    fn take_stretch(&mut self, id: &SubscriptionId, stretch: Stretch) {
        for logged in &stretch.events {
            self.note_closed(logged);
        }
        let Some(served) = self.served.get_mut(id) else { return };
        served.refilling = false;
        if stretch.events.iter().all(|logged| served.look(logged)) {
            served.passed(stretch.to);
        }
        self.enqueue(id.clone());
    }

    /// A subscription that is new, changed or gone.
    async fn take_definition(
        &mut self,
        entry: &Entry,
        stored: Option<(Delivery, u64)>,
    ) -> Result<(), Error> {
        let Ok(id) = SubscriptionId::new(entry.key.clone()) else {
            tracing::error!(key = entry.key, "Subscription has no valid id");
            return Ok(());
        };
        let Some(value) = &entry.value else { return self.remove(&id).await };
        let wanted: Subscription = match serde_json::from_slice(value) {
            Ok(wanted) => wanted,
            Err(error) => {
                tracing::error!(subscription.id = %id, %error, "Subscription not understood");
                return Ok(());
            }
        };
        let served = match self.served.remove(&id) {
            Some(mut known) => {
                known.take_definition(wanted);
                known
            }
            None => Served::new(wanted, stored),
        };
        let served = self.with_versions(served).await?;
        if served.revision.is_none() || served.barrier.is_some() {
            self.dirty.insert(id.clone());
        }
        self.served.insert(id.clone(), served);
        self.enqueue(id);
        Ok(())
    }

    /// New filter versions take effect where the log ends now; nothing beyond is sent before the
    /// record says so.
    async fn with_versions(&self, mut served: Served) -> Result<Served, Error> {
        if served.record.lacks_versions(&served.wanted.filters) {
            let end = self.parts.bus.end(Stream::Events).await?;
            let end = end.max(served.scan);
            served.record.take_versions(&served.wanted.filters, end);
            served.barrier = served.record.effective.last().map(|e| e.after);
        }
        Ok(served)
    }

    async fn remove(&mut self, id: &SubscriptionId) -> Result<(), Error> {
        if self.served.remove(id).is_some() {
            self.dirty.remove(id);
            if let Some(entry) = self.parts.bus.get(Bucket::Deliveries, id.as_str()).await? {
                let bus = &self.parts.bus;
                bus.delete(Bucket::Deliveries, id.as_str(), entry.revision).await?;
            }
        }
        Ok(())
    }

    /// Starts what is ready while there is room and the lease is trusted.
    fn start_requests(&mut self) {
        let now = self.now();
        while self.sends.len() < self.parts.settings.max_in_flight
            && self.parts.keeper.is_held(SHARD)
            && let Some(id) = self.ready.pop_front()
        {
            let Some(served) = self.served.get_mut(&id) else { continue };
            served.queued = false;
            let (next, changed) = served.next(self.tail, now);
            if changed {
                self.dirty.insert(id.clone());
            }
            match next {
                Next::Nothing => {}
                Next::Wait(at) => drop(self.timers.insert((at, id))),
                Next::Refill => {
                    served.refilling = true;
                    let (bus, from) = (self.parts.bus.clone(), served.scan);
                    self.refills
                        .spawn(async move { (id, Scribe::new(bus).stretch(from, QUEUE).await) });
                }
                Next::Event(logged, sequence) => {
                    served.record.begin(&logged, sequence);
                    let opening = logged.event.kind == EventKind::Opened;
                    let late = opening && self.closed.contains(&logged.event.alert.id);
                    self.start(&id, Cargo::Event { logged, sequence, late });
                }
                Next::Ping(request) => self.start(&id, Cargo::Ping(request)),
            }
        }
    }

    fn start(&mut self, id: &SubscriptionId, cargo: Cargo) {
        let Some(served) = self.served.get_mut(id) else { return };
        served.busy = true;
        let order = Order {
            subscription: id.clone(),
            url: served.wanted.url.clone(),
            keys: served.keys.clone(),
            cargo,
            public_url: self.parts.settings.public_url.clone(),
            timeout: self.parts.settings.timeout,
        };
        let clock = self.parts.settings.clock.clone();
        self.sends.spawn(send(self.parts.client.clone(), clock, order));
    }

    fn take_sent(&mut self, sent: Sent) {
        let id = sent.subscription.clone();
        let now = self.now();
        let Some(served) = self.served.get_mut(&id) else { return };
        served.busy = false;
        let mut outcome = sent.reply.outcome();
        match &sent.cargo {
            Cargo::Ping(request) => {
                served.record.requests_done = served.record.requests_done.max(request.number);
                if outcome == Outcome::Delivered {
                    served.record.next_attempt = None;
                }
            }
            Cargo::Event { logged, .. } => {
                let at = (now, fastrand::f64());
                let wanted = &served.wanted;
                if let Settled::Done(done) = served.record.settle(wanted, logged, sent.reply, at) {
                    outcome = done;
                    if served.front(logged.seq).is_some() {
                        served.done();
                    }
                }
            }
        }
        self.parts.attempts.note(attempt(&sent, outcome));
        self.dirty.insert(id.clone());
        self.enqueue(id);
    }

    /// One write at a time; the next takes what gathered meanwhile.
    fn start_write(&mut self) {
        if !self.writes.is_empty() || self.dirty.is_empty() || !self.parts.keeper.is_held(SHARD) {
            return;
        }
        let mut group = Vec::new();
        let mut members = Vec::new();
        for id in std::mem::take(&mut self.dirty) {
            let Some(served) = self.served.get(&id) else { continue };
            let value = serde_json::to_vec(&served.record).expect("plain data has a JSON form");
            let key = id.as_str().to_owned();
            group.push(Put { key, value: Bytes::from(value), expect: served.revision });
            members.push((id, served.record.cursor));
        }
        if !group.is_empty() {
            let bus = self.parts.bus.clone();
            self.writes
                .spawn(async move { (members, bus.put_all(Bucket::Deliveries, group).await) });
        }
    }

    /// A record that somebody else wrote, or a write of unknown outcome: everything is read again.
    fn take_written(&mut self, (members, outcomes): Written) -> Result<(), Error> {
        for ((id, cursor), outcome) in members.into_iter().zip(outcomes?) {
            let Some(served) = self.served.get_mut(&id) else { continue };
            match outcome? {
                PutOutcome::Written(revision) => {
                    served.revision = Some(revision);
                    served.written = cursor;
                    // A version that came during the write is in the next one.
                    if !self.dirty.contains(&id) && served.barrier.take().is_some() {
                        self.enqueue(id);
                    }
                }
                PutOutcome::Conflict => {
                    let source = "the record changed under its owner".into();
                    return Err(Error::Away { what: format!("writing delivery {id}"), source });
                }
            }
        }
        Ok(())
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

fn attempt(sent: &Sent, outcome: Outcome) -> Attempt {
    let status = match sent.reply {
        Reply::Status(status, _) => Some(status),
        _ => None,
    };
    Attempt {
        v: Version,
        subscription: sent.subscription.clone(),
        event: sent.cargo.id(),
        kind: sent.cargo.kind().to_owned(),
        sequence: sent.cargo.sequence(),
        at: sent.at,
        outcome,
        status,
        duration_ms: u64::try_from(sent.took.as_millis()).unwrap_or(u64::MAX),
        remark: sent.reply.remark().map(str::to_owned),
    }
}

/// A task of ours panics only where an invariant is broken: the worker ends with it.
fn unpanicked<T>(joined: Result<T, tokio::task::JoinError>) -> T {
    match joined {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
