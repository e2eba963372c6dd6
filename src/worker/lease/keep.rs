//! One round after the other: renew, watch the others, take what is free.

use tokio::time::Instant;

use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Entry;
use crate::bus::Error;
use crate::bus::Put;
use crate::bus::PutOutcome;
use crate::bus::Watch;
use crate::model::Version;
use crate::telemetry::Health;
use crate::telemetry::logs::chain;
use crate::worker::lease::Change;
use crate::worker::lease::Grant;
use crate::worker::lease::Held;
use crate::worker::lease::Inner;
use crate::worker::lease::Keeper;
use crate::worker::lease::Lease;
use crate::worker::lease::Seen;
use crate::worker::next_of;

impl<B: Bus> Keeper<B> {
    /// Renews, watches the others and takes what is free, until dropped. Failures are waited out:
    /// what cannot be renewed in time is lost, and said so. The first round begins at once.
    pub async fn run(&self) {
        let mut watch: Option<Watch> = None;
        let mut beat = tokio::time::interval(self.settings.renew);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            // Renewals are noted as they come: more of them come in a round than a watch holds ready,
            // and whoever lags behind takes the dead for alive.
            tokio::select! {
                biased;
                _ = beat.tick() => {}
                change = next_of(&mut watch) => {
                    match change {
                        Some(Ok(entry)) => self.note(&mut self.lock(), entry),
                        // The next round opens it anew, and says so where it cannot.
                        Some(Err(_)) | None => watch = None,
                    }
                    continue;
                }
            }
            let round = tokio::time::timeout(self.settings.length, self.round(&mut watch)).await;
            let error = match round {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(chain(&error)),
                Err(_) => Some("no answer in time".to_owned()),
            };
            let failed = error.is_some();
            let health = error.map_or(Health::Ready, |error| {
                watch = None;
                if !failing {
                    let worker = self.settings.worker;
                    tracing::warn!(worker, error, "Leases cannot be renewed");
                }
                Health::NotReady(format!("leases cannot be renewed: {error}"))
            });
            self.board.set(self.settings.part(), health);
            failing = failed;
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

    pub(super) async fn renew(&self, which: impl Fn(u16) -> bool) -> Result<(), Error> {
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

    pub(super) fn lose(&self, inner: &mut Inner, shard: u16) {
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
                // Taken again by one that let it go is no death.
                let abandoned = old
                    .and_then(|l| l.owner.as_ref())
                    .is_some_and(|owner| *owner != self.settings.owner);
                let grant = Grant {
                    shard,
                    cursor: old.and_then(|l| l.cursor),
                    tries: old.map_or(0, |l| l.tries),
                    abandoned,
                };
                let held = Held {
                    revision: 0,
                    renewed: sent,
                    cursor: grant.cursor,
                    tries: grant.tries.max(u32::from(abandoned)),
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
}
