//! Shards that come and go, with their subscriptions.

use std::collections::BTreeSet;
use std::collections::HashMap;

use tokio::task::JoinSet;

use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Entry;
use crate::bus::Error;
use crate::bus::Stream;
use crate::bus::Watch;
use crate::delivery::Delivery;
use crate::delivery::Endpoint;
use crate::delivery::format;
use crate::egress::Client;
use crate::egress::Target;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::id::shard_of;
use crate::telemetry::Health;
use crate::worker::lease::Change;
use crate::worker::notifier::desk::Desk;
use crate::worker::notifier::desk::slot::Slot;
use crate::worker::notifier::desk::unpanicked;

/// Records read by one task at the opening of shards.
const PORTION: usize = 4_096;

/// A shard that is held.
pub(super) struct Shard {
    phase: Phase,
    /// Who had it before died: more may have been sent than is on record.
    abandoned: bool,
    /// Changes that came while it was being opened.
    deferred: Vec<Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening,
    Open,
    Leaving,
}

/// What was read for shards that were taken.
pub(super) struct Opened {
    /// Which shards, or else which one subscription.
    of: Of,
    /// The end of the log, asked for after the definitions were read.
    end: u64,
    loaded: Vec<Loaded>,
    /// Records whose subscription is gone.
    orphans: Vec<SubscriptionId>,
    watch: Option<Watch>,
}

#[derive(Clone)]
enum Of {
    Shards(BTreeSet<u16>),
    One(SubscriptionId),
}

struct Loaded {
    wanted: Subscription,
    revision: u64,
    stored: Option<(Delivery, u64)>,
}

impl Shard {
    pub(super) fn is_leaving(&self) -> bool {
        self.phase == Phase::Leaving
    }

    /// Keeps a change for later where the shard is not open yet.
    pub(super) fn defer(&mut self, entry: &Entry) -> bool {
        let opening = self.phase == Phase::Opening;
        if opening {
            self.deferred.push(entry.clone());
        }
        opening
    }
}

impl Of {
    fn has(&self, id: &str) -> bool {
        match self {
            Self::Shards(shards) => shards.contains(&shard_of(id)),
            Self::One(one) => one.as_str() == id,
        }
    }
}

/// Where webhooks go; none where that is not allowed, and the log says why: its owner is told only
/// that it is not.
pub(super) fn judged(client: &Client, wanted: &Subscription) -> Option<Target> {
    match client.judge(&format::called(wanted.format, &wanted.url)) {
        Ok(target) => Some(target),
        Err(refusal) => {
            let reason = refusal.reason();
            tracing::warn!(subscription.id = %wanted.id, reason, "Address not allowed");
            None
        }
    }
}

/// Host and port, by which requests are limited.
pub(super) fn host(target: Option<&Target>) -> String {
    target.map_or_else(String::new, |t| format!("{}:{}", t.host(), t.port()))
}

impl<B: Bus> Desk<'_, B> {
    pub(super) async fn take_leases(&mut self, changes: Vec<Change>) -> Result<(), Error> {
        let mut taken = BTreeSet::new();
        for change in changes {
            match change {
                Change::Taken(grant) => {
                    let (phase, abandoned) = (Phase::Opening, grant.abandoned);
                    self.drop_shard(grant.shard);
                    self.shards
                        .insert(grant.shard, Shard { phase, abandoned, deferred: Vec::new() });
                    taken.insert(grant.shard);
                }
                Change::Lost(shard) => {
                    tracing::warn!(shard, "Notifier lease lost");
                    self.drop_shard(shard);
                }
                Change::Yield(shard) => {
                    if let Some(held) = self.shards.get_mut(&shard) {
                        held.phase = Phase::Leaving;
                    }
                    self.each_of(shard, Self::place);
                }
            }
        }
        if !taken.is_empty() {
            self.open(Of::Shards(taken));
        }
        self.tell_health();
        Ok(())
    }

    /// Reads everything of shards, or of one subscription whose record somebody else changed.
    fn open(&mut self, of: Of) {
        let bus = self.parts.bus.clone();
        let watches = self.watch.is_some() || matches!(of, Of::One(_));
        self.openings.spawn(read(bus, of, watches));
    }

    pub(super) async fn take_opened(&mut self, opened: Opened) -> Result<(), Error> {
        let began = tokio::time::Instant::now();
        if self.watch.is_none() {
            self.watch = opened.watch;
        }
        let count = opened.loaded.len();
        for Loaded { wanted, revision, stored } in opened.loaded {
            let shard = self.shards.get(&shard_of(wanted.id.as_str()));
            let Some(shard) = shard else { continue };
            let abandoned = shard.abandoned || matches!(opened.of, Of::One(_));
            if let Some(place) = self.places.get(&wanted.id).copied() {
                self.drop_slot(place);
            }
            let id = wanted.id.clone();
            self.insert((wanted, revision), stored, abandoned);
            let Some(place) = self.places.get(&id).copied() else { continue };
            if let Some(slot) = self.slot(place) {
                slot.endpoint.take_versions(opened.end);
            }
            self.place(place);
        }
        opened.orphans.into_iter().for_each(|id| self.remove_record(id));
        if let Of::Shards(shards) = &opened.of {
            let (shards, subscriptions) = (shards.len(), count);
            let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(shards, subscriptions, elapsed_ms, tail = self.tail, "Notifier serves");
        }
        let mut deferred = Vec::new();
        for (number, shard) in &mut self.shards {
            if matches!(&opened.of, Of::Shards(shards) if shards.contains(number)) {
                if shard.phase == Phase::Opening {
                    shard.phase = Phase::Open;
                }
                deferred.append(&mut shard.deferred);
            }
        }
        for entry in deferred {
            self.take_definition(entry).await?;
        }
        self.tell_health();
        Ok(())
    }

    /// Serves a subscription from here on.
    pub(super) fn insert(
        &mut self,
        (wanted, defined): (Subscription, u64),
        stored: Option<(Delivery, u64)>,
        abandoned: bool,
    ) {
        let id = wanted.id.clone();
        let revision = stored.as_ref().map(|(_, revision)| *revision);
        let record = stored.map(|(record, _)| record).filter(|record| record.is_of(&wanted));
        let fresh = record.is_none();
        let target = judged(&self.parts.client, &wanted);
        let ttls = self.parts.settings.ttls;
        let endpoint = match Endpoint::new(wanted, record, abandoned, ttls) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                tracing::error!(subscription.id = %id, %error, "Signing key unusable");
                return;
            }
        };
        let place = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        self.topics.enter(place, endpoint.wanted());
        self.places.insert(id.clone(), place);
        self.serial += 1;
        let mut slot = Slot {
            shard: shard_of(id.as_str()),
            id,
            serial: self.serial,
            defined,
            endpoint,
            host: self.lanes.enter(&host(target.as_ref())),
            target,
            revision,
            timer: None,
            reads: None,
            replay_reads: false,
            dirty: false,
            writing: false,
            run: None,
        };
        if slot.endpoint.scan() >= self.tail {
            slot.endpoint.reached(self.tail, true);
        }
        if fresh {
            slot.dirty = true;
            self.dirty.push_back(place);
        }
        if let Some(free) = self.slots.get_mut(place as usize) {
            *free = Some(slot);
        }
    }

    /// Lets go of a subscription; its requests under way end for themselves.
    pub(super) fn drop_slot(&mut self, place: u32) {
        let Some(slot) = self.slots.get_mut(place as usize).and_then(Option::take) else { return };
        slot.stop_run();
        self.lanes.withdraw(place);
        self.lanes.leave(slot.host);
        self.topics.remove(place);
        self.places.remove(&slot.id);
        if let Some(at) = slot.timer {
            self.timers.remove(&(at, place));
        }
        if let Some(from) = slot.reads {
            self.stop_waiting(from, place);
        }
        self.dirty.retain(|dirty| !slot.dirty || *dirty != place);
        self.free.push(place);
    }

    /// A record changed under its owner: what is stored holds.
    pub(super) fn reload(&mut self, place: u32) {
        let Some(id) = self.slot(place).map(|slot| slot.id.clone()) else { return };
        self.drop_slot(place);
        self.open(Of::One(id));
    }

    fn drop_shard(&mut self, shard: u16) {
        self.each_of(shard, Self::drop_slot);
        self.shards.remove(&shard);
    }

    fn each_of(&mut self, shard: u16, mut what: impl FnMut(&mut Self, u32)) {
        let of = |slot: &Option<Slot>| slot.as_ref().is_some_and(|slot| slot.shard == shard);
        let places: Vec<u32> =
            (0..).zip(&self.slots).filter(|(_, slot)| of(slot)).map(|(place, _)| place).collect();
        places.into_iter().for_each(|place| what(self, place));
    }

    /// Gives back the shards that others should have, once nothing of them is under way.
    pub(super) async fn yield_shards(&mut self) -> Result<(), Error> {
        if !self.shards.values().any(Shard::is_leaving) {
            return Ok(());
        }
        let busy: BTreeSet<u16> = self
            .slots
            .iter()
            .flatten()
            .filter(|s| s.endpoint.under_way() > 0 || s.dirty || s.writing)
            .map(|s| s.shard)
            .collect();
        let leaving = self.shards.iter().filter(|(n, s)| s.is_leaving() && !busy.contains(n));
        let leaving: Vec<u16> = leaving.map(|(number, _)| *number).collect();
        if !leaving.is_empty() {
            leaving.iter().for_each(|shard| self.drop_shard(*shard));
            self.parts.keeper.give_back(&leaving).await?;
            tracing::info!(shards = leaving.len(), "Notifier gave shards to others");
        }
        Ok(())
    }

    /// A notifier without shards is ready too: it stands by.
    pub(super) fn tell_health(&self) {
        let opening = self.shards.values().any(|s| s.phase == Phase::Opening);
        let health = if opening {
            Health::NotReady("reading subscriptions".to_owned())
        } else {
            Health::Ready
        };
        self.parts.settings.board.set("notifier", health);
    }
}

async fn read<B: Bus>(bus: B, of: Of, watches: bool) -> Result<Opened, Error> {
    let (wanted, done) = match &of {
        Of::Shards(_) => {
            tokio::try_join!(bus.list(Bucket::Subscriptions, ""), bus.list(Bucket::Deliveries, ""))
                .map(|(wanted, done)| ((wanted.entries, Some(wanted.position)), done.entries))?
        }
        Of::One(id) => {
            let (wanted, done) = tokio::try_join!(
                bus.get(Bucket::Subscriptions, id.as_str()),
                bus.get(Bucket::Deliveries, id.as_str())
            )?;
            ((wanted.into_iter().collect(), None), done.into_iter().collect())
        }
    };
    let (wanted, position) = wanted;
    let watch = match position.filter(|_| !watches) {
        Some(position) => Some(bus.watch(Bucket::Subscriptions, "", position).await?),
        None => None,
    };
    let ours = |entry: &Entry| of.has(&entry.key);
    let records: HashMap<String, Entry> =
        done.into_iter().filter(ours).map(|entry| (entry.key.clone(), entry)).collect();
    let mut records = records;
    let mut pairs: Vec<(Entry, Option<Entry>)> = Vec::new();
    for entry in wanted.into_iter().filter(ours) {
        let record = records.remove(&entry.key);
        pairs.push((entry, record));
    }
    let orphans = records.into_keys().filter_map(|key| SubscriptionId::new(key).ok()).collect();
    let loaded = decode(pairs).await;
    let end = bus.end(Stream::Events).await?;
    Ok(Opened { of, end, loaded, orphans, watch })
}

/// Many records are decoded on as many threads as there are.
async fn decode(mut pairs: Vec<(Entry, Option<Entry>)>) -> Vec<Loaded> {
    let mut tasks = JoinSet::new();
    while !pairs.is_empty() {
        let portion = pairs.split_off(pairs.len().saturating_sub(PORTION));
        tasks.spawn_blocking(move || portion.into_iter().filter_map(load).collect::<Vec<_>>());
    }
    let mut loaded = Vec::new();
    while let Some(portion) = tasks.join_next().await {
        loaded.append(&mut unpanicked(portion));
    }
    loaded
}

/// A definition or record that cannot be read is said and passed over: it is not served, and not
/// overwritten.
fn load((wanted, record): (Entry, Option<Entry>)) -> Option<Loaded> {
    let definition = serde_json::from_slice::<Subscription>(wanted.value.as_deref()?);
    let stored =
        match record.as_ref().and_then(|entry| Some((entry.value.as_deref()?, entry.revision))) {
            Some((value, revision)) => {
                serde_json::from_slice::<Delivery>(value).map(|record| Some((record, revision)))
            }
            None => Ok(None),
        };
    match (definition, stored) {
        (Ok(definition), Ok(stored)) => {
            Some(Loaded { wanted: definition, revision: wanted.revision, stored })
        }
        (Err(error), _) => {
            tracing::error!(subscription.id = wanted.key, %error, "Subscription not understood");
            None
        }
        (_, Err(error)) => {
            tracing::error!(subscription.id = wanted.key, %error, "Delivery record not understood");
            None
        }
    }
}
