//! Which feeds are polled in this process: those of the shards that it holds.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::id::SHARDS;

/// The shards held and the shards at work, between whoever holds leases and the poller.
#[derive(Clone, Debug)]
pub struct Share {
    held: Arc<watch::Sender<BTreeSet<u16>>>,
    busy: Arc<watch::Sender<BTreeSet<u16>>>,
}

impl Default for Share {
    fn default() -> Self {
        Self::all()
    }
}

impl Share {
    /// Every shard.
    pub fn all() -> Self {
        Self::of((0..SHARDS).collect())
    }

    /// No shard, until some are given.
    pub fn none() -> Self {
        Self::of(BTreeSet::new())
    }

    fn of(held: BTreeSet<u16>) -> Self {
        let busy = Arc::new(watch::Sender::new(BTreeSet::new()));
        Self { held: Arc::new(watch::Sender::new(held)), busy }
    }

    /// A shard came.
    pub fn give(&self, shard: u16) {
        self.held.send_modify(|held| {
            held.insert(shard);
        });
    }

    /// A shard goes: nothing of it is begun any more.
    pub fn take(&self, shard: u16) {
        self.held.send_modify(|held| {
            held.remove(&shard);
        });
    }

    /// Waits until nothing of a shard is under way. Cancel safe.
    pub async fn idle(&self, shard: u16) {
        // The sender lives as long as this.
        self.busy.subscribe().wait_for(|busy| !busy.contains(&shard)).await.ok();
    }

    /// Whether nothing at all is under way.
    pub fn is_idle(&self) -> bool {
        self.busy.borrow().is_empty()
    }

    pub(super) fn held(&self) -> watch::Receiver<BTreeSet<u16>> {
        let mut held = self.held.subscribe();
        // What is held already is news to whoever just came.
        held.mark_changed();
        held
    }

    pub(super) fn set_busy(&self, busy: BTreeSet<u16>) {
        self.busy.send_if_modified(|before| {
            let changes = *before != busy;
            *before = busy;
            changes
        });
    }
}
