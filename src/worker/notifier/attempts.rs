//! The log of attempts, off the hot path: grouped, bounded, and dropped rather than waited for.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::bus::Bus;
use crate::bus::Expect;
use crate::bus::Record;
use crate::bus::Stream;
use crate::model::Attempt;
use crate::model::names;
use crate::telemetry::logs::chain;

const QUEUE: usize = 4_096;
const GROUP: usize = 512;

/// Where attempts go.
#[derive(Clone, Debug)]
pub(super) struct Log(mpsc::Sender<Attempt>);

impl Log {
    /// Starts the writer; it ends when the last clone is dropped.
    pub(super) fn start<B: Bus>(bus: B, tasks: &mut JoinSet<()>) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tasks.spawn(write(bus, receiver));
        Self(sender)
    }

    /// Notes an attempt; when the log cannot keep up it is counted and dropped.
    pub(super) fn note(&self, attempt: Attempt) {
        if self.0.try_send(attempt).is_err() {
            metrics::counter!("wirebell_attempts_dropped_total").increment(1);
        }
    }
}

async fn write<B: Bus>(bus: B, mut receiver: mpsc::Receiver<Attempt>) {
    let mut gathered = Vec::new();
    let mut failing = false;
    while receiver.recv_many(&mut gathered, GROUP).await > 0 {
        let group: Vec<_> = gathered.drain(..).map(|a| (record(&a), Expect::Any)).collect();
        match bus.publish_all(Stream::Attempts, group).await {
            Ok(_) => failing = false,
            Err(error) => {
                if !failing {
                    tracing::warn!(error = chain(&error), "Attempts not logged");
                }
                failing = true;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

fn record(attempt: &Attempt) -> Record {
    let payload = serde_json::to_vec(attempt).expect("plain data has a JSON form");
    Record { subject: names::attempt(&attempt.subscription), payload: Bytes::from(payload) }
}
