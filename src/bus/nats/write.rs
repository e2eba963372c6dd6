//! Writing: what an expectation means on the server, single records, and groups of them.

use std::time::Instant;

use async_nats::HeaderMap;
use async_nats::jetstream::publish::PublishAck;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use serde::Deserialize;

use super::Nats;
use super::ask::Fault;
use super::ask::Held;
use super::ask::broken;
use super::ask::unwilling;
use super::batch::Batched;
use super::connect::Silence;
use super::layout::Place;
use crate::bus::Error;
use crate::bus::Expect;
use crate::bus::Record;
use crate::bus::limits;
use crate::model::TraceContext;
use crate::model::trace::TRACEPARENT;
use crate::telemetry::metric;

pub(super) const FULL: u64 = 10_077;
/// Below this many records a batch costs more than it saves.
const FEW: usize = 10;
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 16 << 20;
/// Single writes under way at once.
const WINDOW: usize = 64;
/// Tries of one record: the first, one after a look at what is there, one after an unknown outcome.
const TRIES: usize = 3;
/// Room for subject and headers below the server's `max_payload`.
const HEADERS: usize = 2_048;
const NOTHING: u64 = 0;

/// A record to write; no payload = a marker.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) subject: String,
    pub(super) payload: Option<Bytes>,
    pub(super) expect: Expect,
    pub(super) trace: Option<TraceContext>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Written(u64),
    Same(u64),
    Differs,
}

/// What to do about a record, given what is there.
enum Verdict {
    /// Write it where the newest sequence under its subject is this one.
    Write(u64),
    Done(Done),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ack {
    Fault { error: Fault },
    Good(PublishAck),
}

/// What became of a request to write.
pub(super) enum Reply {
    Acknowledged(PublishAck),
    Fault(Fault),
    Unknown(Silence),
}

impl Write {
    pub(super) fn of(record: Record, expect: Expect) -> Self {
        let Record { subject, payload, trace } = record;
        Self { subject, payload: Some(payload), expect, trace }
    }

    fn size(&self) -> usize {
        self.payload.as_ref().map_or(0, Bytes::len)
    }

    /// The headers, where the newest sequence under the subject must be this one.
    pub(super) fn headers(&self, newest: Option<u64>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(newest) = newest {
            headers.insert("Nats-Expected-Last-Subject-Sequence", newest.to_string());
        }
        if let Some(trace) = self.trace {
            headers.insert(TRACEPARENT, trace.to_string());
        }
        if self.payload.is_none() {
            headers.insert("KV-Operation", "DEL");
            headers.insert("Nats-TTL", format!("{}s", limits::MARKER_AGE.as_secs()));
        }
        headers
    }

    fn judge(&self, held: Option<&Held>) -> Verdict {
        let there = held.filter(|held| held.payload.is_some());
        match (self.expect, held) {
            // Deleting what is not there is done already.
            (Expect::After(seq), None) if self.payload.is_none() => Verdict::Done(Done::Same(seq)),
            (Expect::Absent | Expect::After(NOTHING), _) if there.is_none() => {
                Verdict::Write(held.map_or(NOTHING, |held| held.seq))
            }
            (Expect::After(seq), Some(held)) if held.seq == seq => Verdict::Write(seq),
            (_, Some(held)) if held.payload == self.payload => Verdict::Done(Done::Same(held.seq)),
            _ => Verdict::Done(Done::Differs),
        }
    }
}

impl Nats {
    /// Writes a group in which no subject is named twice with an expectation.
    pub(super) async fn write_all(
        &self,
        place: Place,
        group: Vec<Write>,
    ) -> Result<Vec<Result<Done, Error>>, Error> {
        self.ensure_place(place).await?;
        let limit = self.limit();
        let mut outcomes: Vec<Option<Result<Done, Error>>> = Vec::with_capacity(group.len());
        for write in &group {
            let size = write.size();
            outcomes.push(
                (size > limit)
                    .then(|| Err(Error::TooLarge { name: write.subject.clone(), size, limit })),
            );
        }
        let fitting: Vec<usize> = (0..group.len()).filter(|i| outcomes[*i].is_none()).collect();
        for chunk in chunks(&group, &fitting) {
            if chunk.len() < FEW {
                self.write_singly(place, &group, &chunk, &mut outcomes).await;
            } else {
                self.write_chunk(place, &group, chunk, &mut outcomes).await;
            }
        }
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Ok(Done::Differs))).collect())
    }

    /// Largest payload that the server takes.
    fn limit(&self) -> usize {
        self.0.connection.client.max_payload().saturating_sub(HEADERS)
    }

    /// Looks, batches what can be written, looks again after a refusal, and writes singly what is
    /// left then.
    async fn write_chunk(
        &self,
        place: Place,
        group: &[Write],
        mut chunk: Vec<usize>,
        outcomes: &mut [Option<Result<Done, Error>>],
    ) {
        for _ in 0..2 {
            let ready = match self.look(place, group, &chunk, outcomes).await {
                Ok(ready) => ready,
                Err(error) => return give_up(&chunk, outcomes, &error),
            };
            chunk = ready.iter().map(|(i, _)| *i).collect();
            if chunk.len() < FEW {
                break;
            }
            let records: Vec<(&Write, Option<u64>)> =
                ready.iter().map(|(i, newest)| (&group[*i], *newest)).collect();
            match self.batch(place, &records).await {
                Batched::Committed(last) => {
                    let first = (last + 1).saturating_sub(u64::try_from(chunk.len()).unwrap_or(0));
                    for (i, seq) in chunk.iter().zip(first..) {
                        outcomes[*i] = Some(Ok(Done::Written(seq)));
                    }
                    return;
                }
                Batched::Unknown(silence) => {
                    if matches!(silence, Silence::Nobody) {
                        self.doubt(place);
                    }
                    // A plain log cannot tell whether its records are there.
                    let plain: Vec<usize> = take_plain(group, &mut chunk);
                    give_up(&plain, outcomes, &silence.during(place.label()));
                }
                Batched::Refused(fault) if fault.err_code == FULL => break,
                Batched::Refused(fault) => {
                    tracing::debug!(fault = %fault, "Batch refused, looking again");
                }
            }
        }
        self.write_singly(place, group, &chunk, outcomes).await;
    }

    /// Settles what is there already or stale; answers the rest, each with the sequence that must
    /// be the newest under its subject.
    async fn look(
        &self,
        place: Place,
        group: &[Write],
        chunk: &[usize],
        outcomes: &mut [Option<Result<Done, Error>>],
    ) -> Result<Vec<(usize, Option<u64>)>, Error> {
        let subjects: Vec<&str> = chunk
            .iter()
            .filter(|i| group[**i].expect != Expect::Any)
            .map(|i| group[*i].subject.as_str())
            .collect();
        let held = self.newest_of(place, &subjects).await?;
        let mut ready = Vec::with_capacity(chunk.len());
        for &i in chunk {
            if group[i].expect == Expect::Any {
                ready.push((i, None));
                continue;
            }
            match group[i].judge(held.get(&group[i].subject)) {
                Verdict::Write(newest) => ready.push((i, Some(newest))),
                Verdict::Done(done) => outcomes[i] = Some(Ok(done)),
            }
        }
        Ok(ready)
    }

    async fn write_singly(
        &self,
        place: Place,
        group: &[Write],
        chunk: &[usize],
        outcomes: &mut [Option<Result<Done, Error>>],
    ) {
        // Sent in the order given over one connection, so they are stored in it.
        let writes: Vec<_> = chunk.iter().map(|i| self.write_one(place, &group[*i])).collect();
        let mut done = stream::iter(writes).buffered(WINDOW);
        for &i in chunk {
            outcomes[i] = done.next().await;
        }
    }

    /// Writes one record. After a stale expectation, a full stream or an unknown outcome, what is
    /// there decides.
    async fn write_one(&self, place: Place, write: &Write) -> Result<Done, Error> {
        let mut newest = match write.expect {
            Expect::Absent => Some(NOTHING),
            Expect::After(seq) => Some(seq),
            Expect::Any => None,
        };
        let mut last_error = None;
        for _ in 0..TRIES {
            let error = match self.request(write, newest).await {
                Reply::Acknowledged(ack) => return Ok(Done::Written(ack.sequence)),
                Reply::Unknown(silence) => {
                    let error = self.silent(place, silence);
                    if newest.is_none() || !self.is_up() {
                        return Err(error);
                    }
                    error
                }
                Reply::Fault(fault) if fault.err_code == FULL => {
                    Error::Full { name: place.label().into(), remedy: place.remedy() }
                }
                Reply::Fault(fault) => unwilling(place, fault),
            };
            if newest.is_none() {
                return Err(error);
            }
            let held = self.newest(place, &write.subject).await?;
            match write.judge(held.as_ref()) {
                Verdict::Done(done) => return Ok(done),
                // The cap is what speaks against it; nothing changes that here.
                Verdict::Write(_) if matches!(error, Error::Full { .. }) => return Err(error),
                Verdict::Write(seq) => newest = Some(seq),
            }
            last_error = Some(error);
        }
        Err(last_error.unwrap_or_else(|| Silence::Down.during(place.label())))
    }

    async fn request(&self, write: &Write, newest: Option<u64>) -> Reply {
        let payload = write.payload.clone().unwrap_or_default();
        let headers = write.headers(newest);
        let began = Instant::now();
        let answer = self.0.connection.ask(write.subject.clone(), Some(headers), payload).await;
        metrics::histogram!(metric::COMMIT_SECONDS).record(began.elapsed().as_secs_f64());
        match answer {
            Ok(message) => reply(&message.payload),
            Err(silence) => Reply::Unknown(silence),
        }
    }

    fn is_up(&self) -> bool {
        self.0.connection.is_up()
    }
}

pub(super) fn reply(payload: &[u8]) -> Reply {
    match serde_json::from_slice(payload) {
        Ok(Ack::Good(ack)) => Reply::Acknowledged(ack),
        Ok(Ack::Fault { error }) => Reply::Fault(error),
        Err(error) => Reply::Unknown(Silence::Unknown(Box::new(broken("an ack", error)))),
    }
}

/// Indices in chunks that one commit can take.
fn chunks(group: &[Write], indices: &[usize]) -> Vec<Vec<usize>> {
    let mut chunks = Vec::new();
    let mut chunk = Vec::new();
    let mut bytes = 0;
    for &i in indices {
        let size = group[i].size() + group[i].subject.len() + HEADERS / 8;
        if chunk.len() == BATCH || (!chunk.is_empty() && bytes + size > BATCH_BYTES) {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
        bytes += size;
        chunk.push(i);
    }
    chunks.push(chunk);
    chunks
}

fn take_plain(group: &[Write], chunk: &mut Vec<usize>) -> Vec<usize> {
    let (plain, rest) = chunk.iter().partition(|i| group[**i].expect == Expect::Any);
    *chunk = rest;
    plain
}

/// Each of these records shares the failure.
fn give_up(chunk: &[usize], outcomes: &mut [Option<Result<Done, Error>>], error: &Error) {
    for &i in chunk {
        outcomes[i] = Some(Err(copy(error)));
    }
}

/// The same failure for another record. Its cause goes along as text, as it cannot be copied.
pub(super) fn copy(error: &Error) -> Error {
    let cause = || {
        let source = std::error::Error::source(error);
        source.map(crate::telemetry::logs::chain).unwrap_or_default()
    };
    match error {
        Error::Away { what, .. } => Error::Away { what: what.clone(), source: cause().into() },
        Error::Full { name, remedy } => Error::Full { name: name.clone(), remedy: remedy.clone() },
        Error::Refused(why) => Error::Refused(why.clone()),
        Error::BadName(name) => Error::BadName(name.clone()),
        Error::Broken { what, .. } => Error::Broken { what: what.clone(), source: cause().into() },
        other @ (Error::TooLarge { .. } | Error::BeyondEnd { .. }) => {
            Error::Broken { what: "a group".into(), source: other.to_string().into() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    fn write(payload: Option<&'static str>, expect: Expect) -> Write {
        let payload = payload.map(|p| Bytes::from_static(p.as_bytes()));
        Write { subject: "s".into(), payload, expect, trace: None }
    }

    fn held(seq: u64, payload: Option<&'static str>) -> Held {
        let payload = payload.map(|p| Bytes::from_static(p.as_bytes()));
        Held { seq, subject: "s".into(), time: Time::from_millis(0), payload, trace: None }
    }

    #[test]
    fn what_is_there_decides_about_a_record() {
        let (new, same, differs) = ("write", "same", "differs");
        for (payload, expect, there, want, seq) in [
            (Some("a"), Expect::Absent, None, new, 0),
            (Some("a"), Expect::Absent, Some(held(4, None)), new, 4),
            (Some("a"), Expect::Absent, Some(held(4, Some("a"))), same, 4),
            (Some("a"), Expect::Absent, Some(held(4, Some("b"))), differs, 0),
            (Some("a"), Expect::After(4), Some(held(4, Some("a"))), new, 4),
            (Some("a"), Expect::After(4), Some(held(5, Some("a"))), same, 5),
            (Some("a"), Expect::After(4), Some(held(5, Some("b"))), differs, 0),
            (Some("a"), Expect::After(4), None, differs, 0),
            (Some("a"), Expect::After(4), Some(held(5, None)), differs, 0),
            (None, Expect::After(4), Some(held(4, Some("a"))), new, 4),
            (None, Expect::After(4), Some(held(5, None)), same, 5),
            (None, Expect::After(4), None, same, 4),
        ] {
            let case = format!("{payload:?} {expect:?} {there:?}");
            let found = match write(payload, expect).judge(there.as_ref()) {
                Verdict::Write(newest) => (new, newest),
                Verdict::Done(Done::Same(seq)) => (same, seq),
                Verdict::Done(Done::Differs) => (differs, 0),
                Verdict::Done(Done::Written(seq)) => ("written", seq),
            };
            assert_eq!(found, (want, seq), "{case}");
        }
    }

    #[test]
    fn a_commit_is_bounded_by_records_and_by_bytes() {
        let small = vec![write(Some("x"), Expect::Absent); 2_500];
        let sizes = |group: &[Write]| -> Vec<usize> {
            let all: Vec<usize> = (0..group.len()).collect();
            chunks(group, &all).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&small), [1_000, 1_000, 500]);
        let mut large = write(None, Expect::Absent);
        large.payload = Some(Bytes::from(vec![0; 6_000_000]));
        assert_eq!(sizes(&vec![large; 5]), [2, 2, 1]);
    }
}
