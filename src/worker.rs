//! The loops: read, decide purely, publish, move the cursor. Shards and leases.

pub mod canary;
pub mod ingest;
pub mod lease;
pub mod notifier;
pub mod rules;
pub mod traces;
mod watchdog;

use tokio_stream::Stream;
use tokio_stream::StreamExt;

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

/// What comes next; nothing comes where nothing is open. Cancel safe.
async fn next_of<S: Stream + Unpin>(open: &mut Option<S>) -> Option<S::Item> {
    match open {
        Some(open) => open.next().await,
        None => std::future::pending().await,
    }
}
