//! The log of attempts, off the hot path: grouped, bounded, and dropped rather than waited for.

use std::borrow::Cow;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::bus::Bus;
use crate::bus::Expect;
use crate::bus::Record;
use crate::bus::Stream;
use crate::delivery::Reply;
use crate::delivery::endpoint::GaveUp;
use crate::delivery::endpoint::Work;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::attempt::Outcome;
use crate::model::attempt::Said;
use crate::model::names;
use crate::telemetry::logs::chain;
use crate::telemetry::metric;
use crate::worker::notifier::send;
use crate::worker::notifier::send::Done;

/// Most runs that wait to be written.
const QUEUE: usize = 4_096;
const GROUP: usize = 1_024;
/// A group gathers for so long: attempts are history, and a commit of few costs as much as one of
/// many.
const GATHER: Duration = Duration::from_millis(100);

/// Where attempts go.
#[derive(Clone, Debug)]
pub(super) struct Log(mpsc::Sender<Note>);

enum Note {
    /// Of one subscription, in order.
    Told(SubscriptionId, Vec<Told>),
    Finished(oneshot::Sender<()>),
}

/// What became of an event, or of a ping.
pub(super) enum Told {
    /// It was sent, with what its end means.
    Sent(Done, Outcome),
    /// It is not sent, as was found at this time.
    GivenUp(GaveUp, Time),
}

impl Log {
    /// Starts the writer; it ends when the last clone is dropped.
    pub(super) fn start<B: Bus>(bus: B, tasks: &mut JoinSet<()>) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tasks.spawn(write(bus, receiver));
        Self(sender)
    }

    /// Notes what became of events of one subscription, in order; when the log cannot keep up it is
    /// counted and dropped.
    pub(super) fn note(&self, subscription: &SubscriptionId, told: Vec<Told>) {
        let count = told.len();
        if count > 0 && self.0.try_send(Note::Told(subscription.clone(), told)).is_err() {
            dropped(count);
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
        let mut count = 0;
        for note in gathered.drain(..) {
            match note {
                Note::Told(subscription, told) => {
                    count += told.len();
                    group.push((record(subscription, &told), Expect::Any));
                }
                Note::Finished(done) => waiting.push(done),
            }
        }
        let written = match count {
            0 => Ok(()),
            _ => bus.publish_all(Stream::Attempts, group).await.map(drop),
        };
        match written {
            Ok(()) => failing = false,
            Err(error) => {
                dropped(count);
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

fn dropped(count: usize) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    metrics::counter!(metric::ATTEMPTS_DROPPED).increment(count);
}

fn record(subscription: SubscriptionId, told: &[Told]) -> Record {
    let subject = names::attempt(&subscription);
    let attempts = told.iter().map(Told::said).collect();
    Record::new(subject, Said::record(subscription, attempts))
}

impl Told {
    fn said(&self) -> Said<'_> {
        match self {
            Self::Sent(done, outcome) => sent(done, *outcome),
            Self::GivenUp(gave_up, at) => given_up(gave_up, *at),
        }
    }
}

fn sent(done: &Done, outcome: Outcome) -> Said<'_> {
    let status = match done.reply {
        Reply::Status(status, _) => Some(status),
        _ => None,
    };
    let (event, kind) = send::name(&done.work);
    Said {
        event: Cow::Borrowed(event),
        kind: Cow::Borrowed(kind),
        sequence: send::sequence(&done.work),
        at: done.at,
        outcome,
        status,
        duration_ms: u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX),
        remark: done.reply.remark().map(Cow::Borrowed),
        replay: matches!(done.work, Work::Replay(..)),
        answer: done.answer.as_deref().map(Cow::Borrowed),
    }
}

fn given_up(gave_up: &GaveUp, at: Time) -> Said<'_> {
    let event = &gave_up.logged.event;
    let remark = match gave_up.outcome {
        Outcome::Outdated => "it waited longer than its time to live",
        Outcome::Withheld => "nothing of this alert was sent, so there is nothing to take back",
        _ => "given up after every try",
    };
    Said {
        event: Cow::Borrowed(event.id.as_str()),
        kind: Cow::Borrowed(event.kind.as_str()),
        sequence: gave_up.sequence,
        at,
        outcome: gave_up.outcome,
        status: None,
        duration_ms: 0,
        remark: Some(Cow::Borrowed(remark)),
        replay: false,
        answer: None,
    }
}
