//! Groups out of single writes: what gathered while the last commit ran is the next one. An idle
//! bus waits for nothing.

use std::collections::HashSet;

use tokio::sync::mpsc;
use tokio::sync::oneshot;

use super::Nats;
use super::connect::Silence;
use super::layout::Place;
use super::write::Done;
use super::write::Write;
use super::write::copy;
use crate::bus::Error;
use crate::bus::Expect;

/// Writes that may wait; the next one waits for its place.
const QUEUE: usize = 1_024;
const GROUP: usize = 1_000;

/// A write and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    write: Write,
    reply: oneshot::Sender<Result<Done, Error>>,
}

impl Nats {
    /// Writes one record together with those that other tasks write meanwhile.
    pub(super) async fn write_gathered(&self, place: Place, write: Write) -> Result<Done, Error> {
        let (reply, done) = oneshot::channel();
        let queue = self.0.queues[place.index()].get_or_init(|| self.start_queue(place));
        let gone = || Silence::Down.during(place.label());
        queue.send(Job { write, reply }).await.map_err(|_| gone())?;
        done.await.map_err(|_| gone())?
    }

    fn start_queue(&self, place: Place) -> mpsc::Sender<Job> {
        let (sender, jobs) = mpsc::channel(QUEUE);
        // The task must not keep the bus alive: it ends with the last sender, which the bus holds.
        let bus = std::sync::Arc::downgrade(&self.0);
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(async move {
            let mut jobs = jobs;
            let mut group = Vec::new();
            let mut open = true;
            loop {
                let gathered = tokio::select! {
                    biased;
                    () = stop.cancelled(), if open => {
                        // What waits already is still written.
                        jobs.close();
                        open = false;
                        continue;
                    }
                    gathered = jobs.recv_many(&mut group, GROUP) => gathered,
                };
                let Some(inner) = bus.upgrade().filter(|_| gathered > 0) else { return };
                Box::pin(Nats(inner).commit(place, std::mem::take(&mut group))).await;
            }
        });
        sender
    }

    /// Writes jobs; those that name a subject again are judged after the first is written.
    async fn commit(&self, place: Place, mut jobs: Vec<Job>) {
        while !jobs.is_empty() {
            let mut seen = HashSet::new();
            let mut later = Vec::new();
            let mut replies = Vec::with_capacity(jobs.len());
            let mut writes = Vec::with_capacity(jobs.len());
            for job in jobs {
                if job.write.expect == Expect::Any || seen.insert(job.write.subject.clone()) {
                    writes.push(job.write);
                    replies.push(job.reply);
                } else {
                    later.push(job);
                }
            }
            match self.write_all(place, writes).await {
                Ok(outcomes) => {
                    for (reply, outcome) in replies.into_iter().zip(outcomes) {
                        // Nobody waits any more: the write happened all the same.
                        let _ = reply.send(outcome);
                    }
                }
                Err(error) => {
                    for reply in replies {
                        let _ = reply.send(Err(copy(&error)));
                    }
                }
            }
            jobs = later;
        }
    }
}
