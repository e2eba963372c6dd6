//! Leases on shards: who works on what, fenced by revision.
//!
//! A lease is a record in the bucket `leases`, taken and renewed by compare-and-set. A foreign
//! lease counts as given up once its revision has not changed for its length on *this* process's
//! monotonic clock while this process was connected: an outage of the server is nobody's death.
//! An own lease is trusted for less than its length, counted from when the last renewal that
//! succeeded was sent. Leases are never deleted: a rules lease holds the shard's cursor.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Entry;
use crate::bus::Error;
use crate::bus::Put;
use crate::bus::PutOutcome;
use crate::bus::Watch;
use crate::clock::Clock;
use crate::model::Time;
use crate::model::Version;
use crate::model::names;

/// How leases are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which worker's shards: the first part of the key.
    pub worker: &'static str,
    /// Number of shards.
    pub shards: u16,
    /// Name of this process, different from every other's.
    pub owner: String,
    /// How long a lease lasts.
    pub length: Duration,
    /// How often it is renewed.
    pub renew: Duration,
    /// Nobody else can be alive (the store has one process): leases of others are free at once.
    pub sole: bool,
}

impl Settings {
    /// A lease of this length, renewed often enough that two renewals may fail.
    pub fn new(worker: &'static str, shards: u16, owner: String, length: Duration) -> Self {
        let renew = length.mul_f64(0.3);
        Self { worker, shards, owner, length, renew, sole: false }
    }

    /// For how long after a renewal was sent work may still begin.
    fn trusted(&self) -> Duration {
        self.length.mul_f64(0.8)
    }
}

/// A lease as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Record version.
    pub v: Version,
    /// Who holds it; none if it was given back.
    pub owner: Option<String>,
    /// Until when, for people: silence is measured on monotonic clocks.
    pub until: Time,
    /// The shard's cursor, where the worker keeps one.
    pub cursor: Option<u64>,
    /// Owners that died at this cursor with an unread record before them.
    #[serde(default)]
    pub tries: u32,
}

/// A shard that came or is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is ours from now on.
    Taken(Grant),
    /// It is no longer ours: drop it at once.
    Lost(u16),
    /// Others should have it: finish what is begun and [`Keeper::give_back`].
    Yield(u16),
}

/// A shard that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The shard.
    pub shard: u16,
    /// Its stored cursor; none if there never was one.
    pub cursor: Option<u64>,
    /// Owners that died at this cursor.
    pub tries: u32,
    /// The last owner fell silent instead of giving it back.
    pub abandoned: bool,
}

#[derive(Debug)]
struct Held {
    revision: u64,
    renewed: Instant,
    cursor: Option<u64>,
    tries: u32,
    asked_back: bool,
}

#[derive(Debug)]
struct Seen {
    revision: u64,
    lease: Option<Lease>,
    /// Since when the revision has not changed, counted only while connected.
    silent_since: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    held: BTreeMap<u16, Held>,
    seen: BTreeMap<u16, Seen>,
    members: BTreeMap<String, Seen>,
    changes: Vec<Change>,
}

/// Keeps the leases of one worker of this process.
#[derive(Debug)]
pub struct Keeper<B> {
    bus: B,
    clock: Clock,
    settings: Settings,
    inner: Mutex<Inner>,
    /// One write of own leases at a time: two would refuse each other.
    writing: tokio::sync::Mutex<()>,
    news: Notify,
}

impl<B: Bus> Keeper<B> {
    /// Keeps nothing yet; [`Keeper::run`] takes what is free.
    pub fn new(bus: B, clock: Clock, settings: Settings) -> Self {
        Self {
            bus,
            clock,
            settings,
            inner: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            news: Notify::new(),
        }
    }

    /// Whether work on the shard may begin.
    pub fn is_held(&self, shard: u16) -> bool {
        let inner = self.lock();
        inner.held.get(&shard).is_some_and(|h| h.renewed.elapsed() < self.settings.trusted())
    }

    /// How many shards are held.
    pub fn count(&self) -> usize {
        self.lock().held.len()
    }

    /// Waits for changes and takes them. Cancel safe.
    pub async fn changes(&self) -> Vec<Change> {
        loop {
            let news = self.news.notified();
            let changes = std::mem::take(&mut self.lock().changes);
            if !changes.is_empty() {
                return changes;
            }
            news.await;
        }
    }

    /// Notes a shard's cursor; it is written with the next renewal.
    pub fn note_cursor(&self, shard: u16, cursor: u64) {
        if let Some(held) = self.lock().held.get_mut(&shard)
            && held.cursor < Some(cursor)
        {
            held.cursor = Some(cursor);
            held.tries = 0;
        }
    }

    /// Writes the cursor and tries of shards now. Answers the shards whose lease is lost.
    pub async fn write_cursors(&self, cursors: &[(u16, u64, u32)]) -> Result<Vec<u16>, Error> {
        {
            let mut inner = self.lock();
            for (shard, cursor, tries) in cursors {
                if let Some(held) = inner.held.get_mut(shard) {
                    held.cursor = Some(*cursor);
                    held.tries = *tries;
                }
            }
        }
        if !cursors.is_empty() {
            self.renew(|shard| cursors.iter().any(|(n, _, _)| *n == shard)).await?;
        }
        let inner = self.lock();
        Ok(cursors.iter().map(|(n, _, _)| *n).filter(|n| !inner.held.contains_key(n)).collect())
    }

    /// Forgets a shard whose work failed; it stays in its record until the lease runs out or is
    /// taken again.
    pub fn drop_shard(&self, shard: u16) {
        self.lock().held.remove(&shard);
    }

    /// Gives a shard back with its cursor, so that another takes it at once.
    pub async fn give_back(&self, shards: &[u16]) -> Result<(), Error> {
        let _writing = self.writing.lock().await;
        let group: Vec<Put> = {
            let mut inner = self.lock();
            shards
                .iter()
                .filter_map(|shard| Some((*shard, inner.held.remove(shard)?)))
                .map(|(shard, held)| {
                    let lease = Lease {
                        v: Version,
                        owner: None,
                        until: self.now(),
                        cursor: held.cursor,
                        tries: held.tries,
                    };
                    self.put(&self.key(shard), &lease, Some(held.revision))
                })
                .collect()
        };
        if !group.is_empty() {
            self.bus.put_all(Bucket::Leases, group).await?;
        }
        Ok(())
    }

    /// Says that this process is gone: its share is free for others.
    pub async fn leave(&self) -> Result<(), Error> {
        let key = self.member_key(&self.settings.owner);
        if let Some(entry) = self.bus.get(Bucket::Leases, &key).await? {
            self.bus.delete(Bucket::Leases, &key, entry.revision).await?;
        }
        Ok(())
    }

    /// Renews, watches the others and takes what is free, until dropped. Failures are waited out:
    /// what cannot be renewed in time is lost, and said so. The first round begins at once.
    pub async fn run(&self) {
        let mut watch: Option<Watch> = None;
        let mut beat = tokio::time::interval(self.settings.renew);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            beat.tick().await;
            let round = tokio::time::timeout(self.settings.length, self.round(&mut watch)).await;
            let error = match round {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("no answer in time".to_owned()),
            };
            if let Some(error) = &error {
                watch = None;
                if !failing {
                    tracing::warn!(
                        worker = self.settings.worker,
                        error,
                        "Leases cannot be renewed"
                    );
                }
            }
            failing = error.is_some();
            self.drop_overdue();
        }
    }

    async fn round(&self, watch: &mut Option<Watch>) -> Result<(), Error> {
        self.renew(|_| true).await?;
        self.observe(watch).await?;
        self.announce().await?;
        let (free, surplus) = self.plan();
        self.take(free).await?;
        let mut inner = self.lock();
        for shard in surplus {
            if let Some(held) = inner.held.get_mut(&shard)
                && !held.asked_back
            {
                held.asked_back = true;
                inner.changes.push(Change::Yield(shard));
            }
        }
        if !inner.changes.is_empty() {
            self.news.notify_one();
        }
        Ok(())
    }

    async fn renew(&self, which: impl Fn(u16) -> bool) -> Result<(), Error> {
        let _writing = self.writing.lock().await;
        let sent = Instant::now();
        let (shards, group): (Vec<u16>, Vec<Put>) = {
            let inner = self.lock();
            let put = |(shard, held): (&u16, &Held)| {
                (*shard, self.put(&self.key(*shard), &self.lease(held), Some(held.revision)))
            };
            inner.held.iter().filter(|(shard, _)| which(**shard)).map(put).unzip()
        };
        if group.is_empty() {
            return Ok(());
        }
        let outcomes = self.bus.put_all(Bucket::Leases, group).await?;
        for (shard, outcome) in shards.into_iter().zip(outcomes) {
            self.renewed(shard, sent, outcome?);
        }
        Ok(())
    }

    fn renewed(&self, shard: u16, sent: Instant, outcome: PutOutcome) {
        let mut inner = self.lock();
        match outcome {
            PutOutcome::Written(revision) => {
                if let Some(held) = inner.held.get_mut(&shard) {
                    held.revision = held.revision.max(revision);
                    held.renewed = held.renewed.max(sent);
                }
            }
            PutOutcome::Conflict => self.lose(&mut inner, shard),
        }
    }

    fn lose(&self, inner: &mut Inner, shard: u16) {
        if inner.held.remove(&shard).is_some() {
            metrics::counter!(crate::telemetry::metric::LEASES_LOST, "worker" => self.settings.worker)
                .increment(1);
            inner.changes.push(Change::Lost(shard));
            self.news.notify_one();
        }
    }

    fn drop_overdue(&self) {
        let mut inner = self.lock();
        let overdue = |h: &Held| h.renewed.elapsed() >= self.settings.trusted();
        let shards: Vec<u16> =
            inner.held.iter().filter(|(_, h)| overdue(h)).map(|(shard, _)| *shard).collect();
        for shard in shards {
            self.lose(&mut inner, shard);
        }
        metrics::gauge!(crate::telemetry::metric::LEASES, "worker" => self.settings.worker)
            .set(u32::try_from(inner.held.len()).unwrap_or(u32::MAX));
    }

    async fn observe(&self, watch: &mut Option<Watch>) -> Result<(), Error> {
        let open = match watch {
            Some(open) => open,
            None => {
                let listing = self.bus.list(Bucket::Leases, self.settings.worker).await?;
                let position = listing.position;
                {
                    // From zero after an outage: nobody renewed while the server was away.
                    let mut inner = self.lock();
                    inner.seen.clear();
                    inner.members.clear();
                    listing.entries.into_iter().for_each(|e| self.note(&mut inner, e));
                }
                watch.insert(self.bus.watch(Bucket::Leases, self.settings.worker, position).await?)
            }
        };
        let mut inner = self.lock();
        if !self.bus.is_connected() {
            let now = Instant::now();
            inner.seen.values_mut().for_each(|s| s.silent_since = now);
            inner.members.values_mut().for_each(|s| s.silent_since = now);
        }
        while let Some(change) = open.ready() {
            self.note(&mut inner, change?);
        }
        Ok(())
    }

    fn note(&self, inner: &mut Inner, entry: Entry) {
        let name = entry.key.rsplit('/').next().unwrap_or_default();
        let lease = entry.value.as_ref().and_then(|v| serde_json::from_slice::<Lease>(v).ok());
        let seen = Seen { revision: entry.revision, lease, silent_since: Instant::now() };
        if let Ok(shard) = name.parse::<u16>() {
            inner.seen.insert(shard, seen);
        } else if entry.value.is_some() {
            inner.members.insert(name.to_owned(), seen);
        } else {
            inner.members.remove(name);
        }
    }

    /// Says that this process is there, so that others leave it a share.
    async fn announce(&self) -> Result<(), Error> {
        if self.settings.shards < 2 {
            return Ok(());
        }
        let key = self.member_key(&self.settings.owner);
        let name = key.rsplit('/').next().unwrap_or_default().to_owned();
        let known = self.lock().members.get(&name).map(|s| s.revision);
        let until = self.now().plus(self.settings.length);
        let owner = Some(self.settings.owner.clone());
        let lease = Lease { v: Version, owner, until, cursor: None, tries: 0 };
        if let PutOutcome::Written(revision) =
            self.bus.put(Bucket::Leases, self.put(&key, &lease, known)).await?
        {
            let seen = Seen { revision, lease: Some(lease), silent_since: Instant::now() };
            self.lock().members.insert(name, seen);
        }
        Ok(())
    }

    /// What to take and what to yield: everybody alive has the same share.
    fn plan(&self) -> (Vec<u16>, Vec<u16>) {
        let inner = self.lock();
        let alive = inner
            .members
            .iter()
            .filter(|(_, s)| {
                !self.settings.sole && s.silent_since.elapsed() < self.settings.length * 2
            })
            .count()
            .max(1);
        let share = usize::from(self.settings.shards).div_ceil(alive);
        let room = share.saturating_sub(inner.held.len());
        let free = (0..self.settings.shards)
            .filter(|shard| !inner.held.contains_key(shard) && self.is_free(inner.seen.get(shard)))
            .take(room)
            .collect();
        let surplus = inner.held.keys().rev().take(inner.held.len().saturating_sub(share));
        (free, surplus.copied().collect())
    }

    fn is_free(&self, seen: Option<&Seen>) -> bool {
        let Some(seen) = seen else { return true };
        let Some(lease) = &seen.lease else { return true };
        let own = lease.owner.as_ref() == Some(&self.settings.owner);
        lease.owner.is_none()
            || own
            || self.settings.sole
            || seen.silent_since.elapsed() >= self.settings.length
    }

    async fn take(&self, free: Vec<u16>) -> Result<(), Error> {
        if free.is_empty() {
            return Ok(());
        }
        let sent = Instant::now();
        let mut grants = Vec::with_capacity(free.len());
        let mut group = Vec::with_capacity(free.len());
        {
            let inner = self.lock();
            for shard in free {
                let seen = inner.seen.get(&shard);
                let old = seen.and_then(|s| s.lease.as_ref());
                let grant = Grant {
                    shard,
                    cursor: old.and_then(|l| l.cursor),
                    tries: old.map_or(0, |l| l.tries),
                    abandoned: old.is_some_and(|l| l.owner.is_some()),
                };
                let held = Held {
                    revision: 0,
                    renewed: sent,
                    cursor: grant.cursor,
                    tries: grant.tries,
                    asked_back: false,
                };
                group.push(self.put(
                    &self.key(shard),
                    &self.lease(&held),
                    seen.map(|s| s.revision),
                ));
                grants.push((grant, held));
            }
        }
        let outcomes = self.bus.put_all(Bucket::Leases, group).await?;
        let mut inner = self.lock();
        for ((grant, mut held), outcome) in grants.into_iter().zip(outcomes) {
            if let PutOutcome::Written(revision) = outcome? {
                held.revision = revision;
                inner.held.insert(grant.shard, held);
                inner.changes.push(Change::Taken(grant));
            }
        }
        Ok(())
    }

    fn lease(&self, held: &Held) -> Lease {
        Lease {
            v: Version,
            owner: Some(self.settings.owner.clone()),
            until: self.now().plus(self.settings.length),
            cursor: held.cursor,
            tries: held.tries,
        }
    }

    fn put(&self, key: &str, lease: &Lease, expect: Option<u64>) -> Put {
        let value = serde_json::to_vec(lease).expect("plain data has a JSON form");
        Put { key: key.to_owned(), value: Bytes::from(value), expect }
    }

    fn key(&self, shard: u16) -> String {
        names::lease_key(self.settings.worker, shard)
    }

    fn member_key(&self, owner: &str) -> String {
        format!("{}/_{}", self.settings.worker, names::encode(owner))
    }

    fn now(&self) -> Time {
        Time::from_millis(self.clock.now_ms())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
