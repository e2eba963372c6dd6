//! A subscription at its place on the desk.

use std::sync::Arc;

use crate::delivery::Endpoint;
use crate::delivery::lanes::Host;
use crate::egress::Target;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::worker::notifier::run::Run;

/// A subscription being served.
pub(super) struct Slot {
    pub(super) id: SubscriptionId,
    pub(super) shard: u16,
    /// Tells this use of the slot from others.
    pub(super) serial: u64,
    /// Revision of the definition.
    pub(super) defined: u64,
    pub(super) endpoint: Endpoint,
    pub(super) target: Option<Target>,
    pub(super) host: Host,
    /// Revision of the record; none until it is first written.
    pub(super) revision: Option<u64>,
    /// It is in the set of timers with this time.
    pub(super) timer: Option<Time>,
    /// It waits for a stretch of the log from this position.
    pub(super) reads: Option<u64>,
    pub(super) replay_reads: bool,
    pub(super) dirty: bool,
    pub(super) writing: bool,
    /// What is under way for it, where that is more than one request.
    pub(super) run: Option<Arc<Run>>,
}

impl Slot {
    /// What is under way goes on by what held when it began, and nothing more is begun by it.
    pub(super) fn stop_run(&self) {
        if let Some(run) = &self.run {
            run.stop();
        }
    }
}
