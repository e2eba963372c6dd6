//! Atomic batches: all of a group or nothing, in one commit.

use super::Nats;
use super::ask::Fault;
use super::connect::Silence;
use super::layout::Place;
use super::write::Reply;
use super::write::Write;
use super::write::reply;
use crate::telemetry::metric;

/// What became of a batch.
pub(super) enum Batched {
    /// All of it is written; the last record has this sequence, the others the ones before it.
    Committed(u64),
    /// None of it is written.
    Refused(Fault),
    /// All of it or nothing.
    Unknown(Silence),
}

impl Nats {
    /// Writes these records, each with the sequence that must be the newest under its subject.
    /// There are at least two of them.
    pub(super) async fn batch(&self, place: Place, records: &[(&Write, Option<u64>)]) -> Batched {
        let began = std::time::Instant::now();
        let id = batch_id();
        let connection = &self.0.connection;
        let mut answer = Reply::Unknown(Silence::Down);
        for (i, (write, newest)) in records.iter().enumerate() {
            let mut headers = write.headers(*newest);
            headers.insert("Nats-Batch-Id", id.as_str());
            headers.insert("Nats-Batch-Sequence", (i + 1).to_string());
            let last = i + 1 == records.len();
            if last {
                headers.insert("Nats-Batch-Commit", "1");
            }
            let payload = write.payload.clone().unwrap_or_default();
            let subject = write.subject.clone();
            if i > 0 && !last {
                match connection.send(subject, headers, payload).await {
                    Ok(()) => continue,
                    Err(silence) => return Batched::Unknown(silence),
                }
            }
            match connection.ask(subject, Some(headers), payload).await {
                // The first record is acknowledged by an empty answer.
                Ok(message) if !last && message.payload.is_empty() => {}
                Ok(message) => answer = reply(&message.payload),
                Err(silence) => return Batched::Unknown(silence),
            }
            if let (false, Reply::Fault(fault)) = (last, &answer) {
                return Batched::Refused(fault.clone());
            }
        }
        match answer {
            Reply::Acknowledged(ack) => {
                metrics::histogram!(metric::COMMIT_SECONDS).record(began.elapsed().as_secs_f64());
                let size = u32::try_from(records.len()).unwrap_or(u32::MAX);
                metrics::histogram!(metric::BATCH_SIZE).record(f64::from(size));
                tracing::trace!(stream = place.label(), records = size, "Batch committed");
                Batched::Committed(ack.sequence)
            }
            Reply::Fault(fault) => Batched::Refused(fault),
            Reply::Unknown(silence) => Batched::Unknown(silence),
        }
    }
}

/// Unique over all publishers and restarts: an id that another publisher is using spoils both.
fn batch_id() -> String {
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        fastrand::fill(&mut bytes);
    }
    data_encoding::HEXLOWER.encode(&bytes)
}
