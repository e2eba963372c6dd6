//! Reading by a cursor of our own over consumers that are thrown away at the first doubt.

use std::time::Duration;
use std::time::Instant;

use async_nats::jetstream;
use async_nats::jetstream::consumer::AckPolicy;
use async_nats::jetstream::consumer::Consumer;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull;
use bytes::Bytes;
use futures_util::StreamExt;

use super::Nats;
use super::ask::is_marker;
use super::ask::trace;
use super::connect::Silence;
use super::layout::Place;
use crate::bus::Error;
use crate::bus::From;
use crate::model::Time;
use crate::model::TraceContext;

const PULL_RECORDS: usize = 500;
const PULL_BYTES: usize = 16 << 20;
const PULL_EXPIRES: Duration = Duration::from_secs(5);
const HEARTBEAT: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(3);
const UNUSED: Duration = Duration::from_secs(30);
/// How often a reader that meets holes asks whether retention made them.
const ASK_EVERY: Duration = Duration::from_millis(100);
const FIRST_PAUSE_MS: u64 = 200;
const LONGEST_PAUSE_MS: u64 = 2_000;
/// Last time a server can count to in nanoseconds, with room to spare.
const LATEST_MS: i64 = 7_000_000_000_000;

/// What to read.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub(super) place: Place,
    /// A subject with wildcards.
    pub(super) filter: String,
    pub(super) from: From,
    /// Whether records that retention took are told of: not in a bucket, where superseded values
    /// go all the time.
    pub(super) tells_losses: bool,
}

/// A record, or the word that some are gone.
#[derive(Debug)]
pub(super) enum Found {
    Record {
        seq: u64,
        subject: String,
        time: Time,
        payload: Option<Bytes>,
        trace: Option<TraceContext>,
        pending: u64,
    },
    Overtaken {
        cursor: u64,
        first: u64,
    },
    /// A consumer was made anew and nothing is pending.
    Nothing,
}

/// A cursor and, while there is no doubt, a consumer on the server.
pub(super) struct Cursor {
    nats: Nats,
    course: Course,
    /// The last position delivered or passed; none before the first record of a time.
    position: Option<u64>,
    /// Whether the position is one that was reached before.
    resumed: bool,
    open: Option<Open>,
    asked: Instant,
    failures: u32,
}

struct Open {
    messages: pull::Stream,
    name: String,
    delivered: u64,
    /// A record that has come already while a loss was being told of.
    held: Option<Found>,
}

/// What was found when a consumer was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    pub(super) end: u64,
    pub(super) pending: u64,
    pub(super) overtaken: Option<(u64, u64)>,
}

impl Cursor {
    pub(super) fn new(nats: Nats, course: Course) -> Self {
        let position = match course.from {
            From::Start => Some(0),
            From::After(seq) => Some(seq),
            From::Time(_) => None,
        };
        let resumed = position.is_some_and(|position| position > 0);
        let asked = Instant::now();
        Self { nats, course, position, resumed, open: None, asked, failures: 0 }
    }

    /// Makes a consumer from the cursor on.
    pub(super) async fn build(&mut self) -> Result<Opening, Error> {
        let place = self.course.place;
        let state = self.nats.info(place).await?.state;
        let end = state.last_sequence;
        let cursor = self.position.unwrap_or(0);
        if cursor > end {
            return Err(Error::BeyondEnd { stream: place.label(), cursor, end });
        }
        let first = state.first_sequence.max(1);
        let lost = self.course.tells_losses && self.resumed && first > cursor + 1;
        let consumer = self.consumer().await?;
        let pending = consumer.cached_info().num_pending;
        let name = consumer.cached_info().name.clone();
        let bytes = PULL_BYTES.max(self.nats.0.connection.client.max_payload() * 2);
        let opening = consumer
            .stream()
            .max_messages_per_batch(PULL_RECORDS)
            .max_bytes_per_batch(bytes)
            .expires(PULL_EXPIRES)
            .heartbeat(HEARTBEAT)
            .messages();
        let messages = self.in_time(opening).await?;
        self.open = Some(Open { messages, name, delivered: 0, held: None });
        if lost {
            self.position = Some(first - 1);
        }
        Ok(Opening { end, pending, overtaken: lost.then_some((cursor, first)) })
    }

    async fn consumer(&self) -> Result<Consumer<pull::Config>, Error> {
        let deliver_policy = match (self.position, self.course.from) {
            (None, From::Time(at)) => {
                let nanos = i128::from(at.millis().clamp(0, LATEST_MS)) * 1_000_000;
                let start_time = async_nats::datetime::from_nanos(nanos)
                    .map_err(|source| Error::Broken { what: "a reader's start".into(), source })?;
                DeliverPolicy::ByStartTime { start_time }
            }
            (position, _) => DeliverPolicy::ByStartSequence {
                start_sequence: position.unwrap_or(0).saturating_add(1),
            },
        };
        let config = pull::Config {
            deliver_policy,
            ack_policy: AckPolicy::None,
            filter_subject: self.course.filter.clone(),
            inactive_threshold: UNUSED,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let context = jetstream::new(self.nats.0.connection.client.clone());
        let name = self.course.place.name();
        self.in_time(context.create_consumer_on_stream(config, name)).await
    }

    async fn in_time<T, E>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, Error>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let call = async { call.await.map_err(|error| Silence::Unknown(Box::new(error))) };
        let done = self.nats.0.connection.while_up(call).await;
        done.map_err(|silence| silence.during("opening a reader"))
    }

    /// The next record. Cancel safe. Rides out whatever passes; an error is the end.
    pub(super) async fn next(&mut self) -> Result<Found, Error> {
        loop {
            if self.open.is_none() {
                self.nats.0.connection.wait_up().await;
                match self.build().await {
                    Ok(Opening { overtaken: Some((cursor, first)), .. }) => {
                        return Ok(Found::Overtaken { cursor, first });
                    }
                    Ok(Opening { pending: 0, .. }) => return Ok(Found::Nothing),
                    Ok(_) => {}
                    Err(error) if error.is_temporary() => {
                        self.pause(&error).await;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            match self.receive().await {
                Ok(Some(found)) => return Ok(self.deliver(found).await),
                Ok(None) => {}
                Err(doubt) => {
                    self.open = None;
                    self.pause(&doubt).await;
                }
            }
        }
    }

    /// The next record of a stretch that ends. What retention takes while it is read never comes:
    /// after a silence the consumer is made anew, which tells what is pending.
    pub(super) async fn next_pending(&mut self) -> Result<Found, Error> {
        match tokio::time::timeout(SILENCE, self.next()).await {
            Ok(found) => found,
            Err(_) => {
                self.open = None;
                self.next().await
            }
        }
    }

    /// The next message of the open consumer; none if it is one that was delivered before.
    async fn receive(&mut self) -> Result<Option<Found>, Doubt> {
        let Some(open) = &mut self.open else { return Ok(None) };
        if let Some(held) = open.held.take() {
            return Ok(Some(held));
        }
        let mut link = self.nats.0.connection.link.clone();
        let losses = link.borrow().losses;
        let message = tokio::select! {
            biased;
            message = open.messages.next() => message,
            _ = link.wait_for(|link| link.losses != losses) => return Err(Doubt::Lost),
        };
        let message = message.ok_or(Doubt::Ended)?.map_err(|e| Doubt::Failed(Box::new(e)))?;
        let info = message.info().map_err(Doubt::Failed)?;
        if info.consumer_sequence != open.delivered + 1 {
            return Err(Doubt::Gap { want: open.delivered + 1, found: info.consumer_sequence });
        }
        open.delivered = info.consumer_sequence;
        self.failures = 0;
        if self.position.is_some_and(|position| info.stream_sequence <= position) {
            return Ok(None);
        }
        let ms = info.published.unix_timestamp_nanos() / 1_000_000;
        Ok(Some(Found::Record {
            seq: info.stream_sequence,
            pending: info.pending,
            time: Time::from_millis(i64::try_from(ms).unwrap_or(i64::MAX)),
            subject: message.subject.to_string(),
            payload: (!is_marker(message.headers.as_ref())).then(|| message.payload.clone()),
            trace: trace(message.headers.as_ref()),
        }))
    }

    /// Moves the cursor. After a jump retention may have made the hole: then that is told first.
    async fn deliver(&mut self, found: Found) -> Found {
        let Found::Record { seq, .. } = &found else { return found };
        let seq = *seq;
        let cursor = self.position.unwrap_or(seq.saturating_sub(1));
        let jumped = self.course.tells_losses && self.resumed && seq > cursor + 1;
        if jumped && self.asked.elapsed() >= ASK_EVERY {
            self.asked = Instant::now();
            // While this is asked the record is kept, so that a reader that is dropped and taken
            // up again misses nothing.
            if let Some(open) = &mut self.open {
                open.held = Some(found);
            }
            let first = self.nats.info(self.course.place).await.map(|i| i.state.first_sequence);
            let held = self.open.as_mut().and_then(|open| open.held.take());
            let Some(found) = held else { return Found::Overtaken { cursor, first: seq } };
            if let Ok(first) = first
                && first > cursor + 1
            {
                let first = first.min(seq);
                self.position = Some(first - 1);
                if let Some(open) = &mut self.open {
                    open.held = Some(found);
                }
                return Found::Overtaken { cursor, first };
            }
            self.position = Some(seq);
            return found;
        }
        self.position = Some(seq);
        self.resumed = true;
        found
    }

    /// Waits before the next consumer is made: longer each time, and not in step with others.
    async fn pause(&mut self, why: &(dyn std::error::Error + Send + Sync)) {
        let place = self.course.place.label();
        tracing::debug!(stream = place, error = %why, "Reader starts over");
        metrics::counter!(crate::telemetry::metric::READER_RESTARTS, "stream" => place)
            .increment(1);
        let longest = (FIRST_PAUSE_MS << self.failures.min(8)).min(LONGEST_PAUSE_MS);
        self.failures = self.failures.saturating_add(1);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(longest / 2..=longest))).await;
    }

    /// Removes the consumer at once instead of leaving that to its time limit.
    pub(super) async fn finish(self) {
        let Some(open) = self.open else { return };
        let subject = format!("CONSUMER.DELETE.{}.{}", self.course.place.name(), open.name);
        // It goes by itself after a while.
        let _ = self.nats.api::<serde_json::Value>(&subject, Bytes::new()).await;
    }
}

/// Why a consumer is not trusted any more.
#[derive(Debug, thiserror::Error)]
enum Doubt {
    #[error("the connection was lost")]
    Lost,
    #[error("the consumer ended")]
    Ended,
    #[error("record {found} of the consumer came where {want} was due")]
    Gap { want: u64, found: u64 },
    #[error("the consumer failed: {0}")]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}
