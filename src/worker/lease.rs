//! Leases on shards: who works on what, fenced by revision.
//!
//! A lease is a record in the bucket `leases`, taken and renewed by compare-and-set. A foreign
//! lease counts as given up once its revision has not changed for its length on *this* process's
//! monotonic clock while this process was connected: an outage of the server is nobody's death.
//! An own lease is trusted for less than its length, counted from when the last renewal that
//! succeeded was sent. Leases are never deleted: a rules lease holds the shard's cursor.

mod keep;

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
use crate::bus::Error;
use crate::bus::Put;
use crate::clock::Clock;
use crate::model::Time;
use crate::model::Version;
use crate::model::names;
use crate::telemetry::Board;

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

    /// Its name on the health board: a worker without leases works on nothing.
    fn part(&self) -> &'static str {
        match self.worker {
            "rules" => "rules leases",
            "ingest" => "ingest leases",
            _ => "notifier leases",
        }
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
    board: Board,
    settings: Settings,
    inner: Mutex<Inner>,
    /// One write of own leases at a time: two would refuse each other.
    writing: tokio::sync::Mutex<()>,
    news: Notify,
}

impl<B: Bus> Keeper<B> {
    /// Keeps nothing yet; [`Keeper::run`] takes what is free.
    pub fn new(bus: B, clock: Clock, board: Board, settings: Settings) -> Self {
        Self {
            bus,
            clock,
            board,
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
