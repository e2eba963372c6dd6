//! Which feeds are polled in this process: those of the shards that it holds.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::id::SHARDS;

/// The shards held and the shards at work, between whoever holds leases and the poller.
#[derive(Clone, Debug)]
pub struct Share {
    held: Arc<watch::Sender<BTreeSet<u16>>>,
    /// Polls under way in each shard.
    busy: Arc<watch::Sender<BTreeMap<u16, usize>>>,
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
        let busy = Arc::new(watch::Sender::new(BTreeMap::new()));
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
        self.busy.subscribe().wait_for(|busy| !busy.contains_key(&shard)).await.ok();
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

    /// A poll begins, if its shard is still held, and lasts until what this answers is dropped.
    /// It is counted first: whoever takes the shard away in the same moment waits for it, or keeps
    /// it from beginning.
    pub(super) fn begin(&self, shard: u16) -> Option<Begun> {
        self.busy.send_modify(|busy| *busy.entry(shard).or_default() += 1);
        let begun = Begun { busy: self.busy.clone(), shard };
        self.held.borrow().contains(&shard).then_some(begun)
    }
}

/// A poll that is under way.
#[derive(Debug)]
pub(super) struct Begun {
    busy: Arc<watch::Sender<BTreeMap<u16, usize>>>,
    shard: u16,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.busy.send_modify(|busy| match busy.get_mut(&self.shard) {
            Some(polls) if *polls > 1 => *polls -= 1,
            _ => drop(busy.remove(&self.shard)),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_begins_in_a_shard_that_was_taken_away_and_found_idle() {
        let share = Share::none();
        assert!(share.begin(7).is_none() && share.is_idle(), "not held");
        share.give(7);
        let (one, other) = (share.begin(7).unwrap(), share.begin(7).unwrap());
        share.take(7);
        assert!(share.begin(7).is_none() && !share.is_idle());
        let waiting = share.idle(7);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(one);
        assert!(futures_util::poll!(&mut waiting).is_pending(), "one is still under way");
        drop(other);
        waiting.await;
        assert!(share.is_idle());
    }
}
