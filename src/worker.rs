//! The loops: read, decide purely, publish, move the cursor. Shards and leases.

pub mod canary;
pub mod ingest;
pub mod lease;
pub mod notifier;
pub mod rules;
pub mod traces;
mod watchdog;

use crate::bus::Entry;
use crate::bus::Watch;

/// What ends a worker before it is asked to end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus failed in a way that waiting does not mend.
    #[error("the {worker} worker cannot go on")]
    Bus {
        /// Which worker.
        worker: &'static str,
        /// Why.
        #[source]
        source: crate::bus::Error,
    },
}

/// The next change; none comes where nothing is watched. Cancel safe.
async fn next_change(watch: &mut Option<Watch>) -> Option<Result<Entry, crate::bus::Error>> {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}
