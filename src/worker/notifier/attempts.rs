//! The log of attempts, off the hot path: grouped, bounded, and dropped rather than waited for.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::bus::Bus;
use crate::bus::Expect;
use crate::bus::Record;
use crate::bus::Stream;
use crate::model::Attempt;
use crate::model::names;
use crate::telemetry::logs::chain;
use crate::telemetry::metric;

const QUEUE: usize = 16_384;
const GROUP: usize = 1_024;
/// A group gathers for so long: attempts are history, and a commit of few costs as much as one of
/// many.
const GATHER: Duration = Duration::from_millis(50);

/// Where attempts go.
#[derive(Clone, Debug)]
pub(super) struct Log(mpsc::Sender<Note>);

#[derive(Debug)]
enum Note {
    Attempt(Box<Attempt>),
    Finished(oneshot::Sender<()>),
}

impl Log {
    /// Starts the writer; it ends when the last clone is dropped.
    pub(super) fn start<B: Bus>(bus: B, tasks: &mut JoinSet<()>) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tasks.spawn(write(bus, receiver));
        Self(sender)
    }

    /// Notes an attempt; when the log cannot keep up it is counted and dropped.
    pub(super) fn note(&self, attempt: Attempt) {
        if self.0.try_send(Note::Attempt(Box::new(attempt))).is_err() {
            metrics::counter!(metric::ATTEMPTS_DROPPED).increment(1);
        }
    }

    /// Waits, at most so long, until everything noted so far is written.
    pub(super) async fn finish(&self, at_most: Duration) {
        let (done, finished) = oneshot::channel();
        let waited = async {
            if self.0.send(Note::Finished(done)).await.is_ok() {
                finished.await.ok();
            }
        };
        tokio::time::timeout(at_most, waited).await.ok();
    }
}

async fn write<B: Bus>(bus: B, mut receiver: mpsc::Receiver<Note>) {
    let mut gathered = Vec::new();
    let mut failing = false;
    while receiver.recv_many(&mut gathered, GROUP).await > 0 {
        let urgent = gathered.iter().any(|note| matches!(note, Note::Finished(_)));
        if gathered.len() < GROUP && !urgent {
            let rest = async {
                while gathered.len() < GROUP
                    && receiver.recv_many(&mut gathered, GROUP).await > 0
                    && !matches!(gathered.last(), Some(Note::Finished(_)))
                {}
            };
            tokio::time::timeout(GATHER, rest).await.ok();
        }
        let mut group = Vec::new();
        let mut waiting = Vec::new();
        for note in gathered.drain(..) {
            match note {
                Note::Attempt(attempt) => group.push((record(&attempt), Expect::Any)),
                Note::Finished(done) => waiting.push(done),
            }
        }
        let count = group.len();
        let written = match count {
            0 => Ok(()),
            _ => bus.publish_all(Stream::Attempts, group).await.map(drop),
        };
        match written {
            Ok(()) => failing = false,
            Err(error) => {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                metrics::counter!(metric::ATTEMPTS_DROPPED).increment(count);
                if !failing {
                    tracing::warn!(error = chain(&error), "Attempts not logged");
                }
                failing = true;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        for done in waiting {
            done.send(()).ok();
        }
    }
}

fn record(attempt: &Attempt) -> Record {
    let payload = serde_json::to_vec(attempt).expect("plain data has a JSON form");
    Record::new(names::attempt(&attempt.subscription), payload)
}
