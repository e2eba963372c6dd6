//! The bus: durable ordered streams and buckets of records, with two backends.
//!
//! # Contract
//! Every promise here is held by both backends and has a function in the conformance suite.
//!
//! **Identity.** A record's subject is its identity. [`Expect::Absent`] writes only where the
//! subject has no record; [`Expect::After`] only where the subject's newest record has that
//! sequence; [`Expect::Any`] always (plain logs). When the expectation does not hold, the newest
//! record under the subject is compared: same payload is [`Outcome::AlreadyThere`], else
//! [`Outcome::Conflict`]. So a step that is repeated after a crash or an answer that never came
//! is a no-op that says so.
//!
//! **Trace.** A record may carry the trace context of what caused it, and every way to read it
//! gives it back. It is no part of the record's content: two records that differ in it alone are
//! the same one, and the first one's stays. What is stored there and is no context reads as none.
//!
//! **Durable.** When a write returns `Published`, the record survives power loss as far as the
//! backend's disk does (embedded: fsync before the answer; NATS: as the server is configured).
//!
//! **Groups.** `publish_all` and `put_all` give an outcome each, in the order given; what can be
//! written is, and one stale or known entry never spoils its group. A group may name a subject
//! or key once only; a second one gets `Conflict`. A record above the backend's limit is
//! [`Error::TooLarge`], and no retry helps.
//!
//! **Order.** Sequences of a stream rise with every write and are never reused. A reader delivers
//! in that order, each record once, also across a restart of the server. Holes are normal (newer
//! revisions, retention). Where retention took records the reader had not delivered, it says
//! [`Item::Overtaken`] and goes on. A cursor beyond the end of the stream is
//! [`Error::BeyondEnd`], never a wait.
//!
//! **Outages.** A reader or watch rides out an outage by itself (backoff with jitter) and goes on
//! where it was. Reads and writes that need an answer fail with an error whose
//! [`Error::is_temporary`] is true; the caller retries.
//!
//! **Buckets.** Keys are texts of `[-/_=a-zA-Z0-9]`, parts divided by `/` (no dot: it divides the
//! parts on NATS). A revision is the bucket's position of the write and rises within the bucket.
//! [`Put`]'s `expect`: `None` = the
//! key must be absent, `Some(r)` = its revision must be `r`. `list(prefix)` takes whole parts
//! (`""` = all, `"rule"` = `rule/…`) and answers the entries and the position they are true at;
//! `watch(prefix, position)` delivers every later change (a key overwritten several times may
//! show only the newest) and nothing falls between the two. Deleting what is not there counts as
//! `Written`.
//!
//! **Cancel safety.** `Reader::next` and `Watch::next` are cancel safe. A write whose future is
//! dropped may or may not happen.

mod embedded;
mod error;
mod group;
mod limits;
mod names;
mod nats;
mod place;

use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;

use crate::model::Time;
use crate::model::TraceContext;

pub use embedded::Embedded;
pub use embedded::EmbeddedSettings;
pub use error::Error;
pub use limits::Kept;
pub use limits::Limits;
pub use limits::Usage;
pub use nats::Credentials;
pub use nats::Nats;
pub use nats::NatsSettings;
pub use nats::Server;
pub use place::Bucket;
pub use place::Stream;

/// A record to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its identity.
    pub subject: String,
    /// JSON.
    pub payload: Bytes,
    /// What caused it.
    pub trace: Option<TraceContext>,
}

/// What must hold for a record to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The subject has no record.
    Absent,
    /// The subject's newest record has this sequence.
    After(u64),
    /// Nothing: a plain log.
    Any,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Written, durable, at this sequence.
    Published(u64),
    /// The subject's newest record has the same payload and this sequence.
    AlreadyThere(u64),
    /// The expectation does not hold and the content differs.
    Conflict,
}

/// A record of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Position in the stream.
    pub seq: u64,
    /// Its identity.
    pub subject: String,
    /// When it was written.
    pub time: Time,
    /// JSON.
    pub payload: Bytes,
    /// What caused it.
    pub trace: Option<TraceContext>,
}

/// Where a reader starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The first record that is kept.
    Start,
    /// The record after this position; 0 is the start.
    After(u64),
    /// The first record written at or after this time.
    Time(Time),
}

/// Where a reader stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// At what was the end of the stream when it was opened.
    End,
    /// Never: it waits for more.
    Forever,
}

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Where to start.
    pub from: From,
    /// Where to stop.
    pub until: Until,
    /// A subject with NATS wildcards: `*` is one token, `>` the rest.
    pub filter: String,
}

/// What a reader delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The next record.
    Record(Stored),
    /// Retention took the records after `cursor`; reading goes on at `first`.
    Overtaken {
        /// The last position delivered or passed.
        cursor: u64,
        /// The first record that is left.
        first: u64,
    },
}

/// Records of a stream in order. Dropping it ends the reading.
pub struct Reader(
    mpsc::Receiver<Result<Item, Error>>,
    #[expect(dead_code, reason = "dropping it ends the task that feeds the channel")]
    Option<tokio_util::task::AbortOnDropHandle<()>>,
);

/// An entry of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// Position of its last write.
    pub revision: u64,
    /// JSON; none if the key was deleted (only a watch shows that).
    pub value: Option<Bytes>,
}

/// A write to a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The key.
    pub key: String,
    /// JSON.
    pub value: Bytes,
    /// None = the key must be absent; else its revision.
    pub expect: Option<u64>,
}

/// What became of a write to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// Written, durable, at this revision.
    Written(u64),
    /// The expectation does not hold (a value that is already the same counts as `Written`).
    Conflict,
}

/// What a bucket held at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The entries, by key.
    pub entries: Vec<Entry>,
    /// The position they are true at: watch from here.
    pub position: u64,
}

/// Changes of a bucket in order. Dropping it ends the watching.
pub struct Watch(
    mpsc::Receiver<Result<Entry, Error>>,
    #[expect(dead_code, reason = "dropping it ends the task that feeds the channel")]
    Option<tokio_util::task::AbortOnDropHandle<()>>,
);

/// The contract of the module's docs. Cheap to clone.
pub trait Bus: Clone + Send + Sync + 'static {
    /// Writes one record.
    fn publish(
        &self,
        stream: Stream,
        record: Record,
        expect: Expect,
    ) -> impl Future<Output = Result<Outcome, Error>> + Send;

    /// Writes a group; an outcome each, in the order given.
    fn publish_all(
        &self,
        stream: Stream,
        group: Vec<(Record, Expect)>,
    ) -> impl Future<Output = Result<Vec<Result<Outcome, Error>>, Error>> + Send;

    /// Opens a reader.
    fn read(
        &self,
        stream: Stream,
        selection: Selection,
    ) -> impl Future<Output = Result<Reader, Error>> + Send;

    /// The newest record under a subject (no wildcards).
    fn last(
        &self,
        stream: Stream,
        subject: &str,
    ) -> impl Future<Output = Result<Option<Stored>, Error>> + Send;

    /// The stream's last position; 0 if it never held a record.
    fn end(&self, stream: Stream) -> impl Future<Output = Result<u64, Error>> + Send;

    /// One entry.
    fn get(
        &self,
        bucket: Bucket,
        key: &str,
    ) -> impl Future<Output = Result<Option<Entry>, Error>> + Send;

    /// Writes one entry.
    fn put(
        &self,
        bucket: Bucket,
        put: Put,
    ) -> impl Future<Output = Result<PutOutcome, Error>> + Send;

    /// Writes a group of entries; an outcome each, in the order given.
    fn put_all(
        &self,
        bucket: Bucket,
        group: Vec<Put>,
    ) -> impl Future<Output = Result<Vec<Result<PutOutcome, Error>>, Error>> + Send;

    /// Deletes an entry at a revision.
    fn delete(
        &self,
        bucket: Bucket,
        key: &str,
        revision: u64,
    ) -> impl Future<Output = Result<PutOutcome, Error>> + Send;

    /// The entries under a prefix.
    fn list(
        &self,
        bucket: Bucket,
        prefix: &str,
    ) -> impl Future<Output = Result<Listing, Error>> + Send;

    /// Changes under a prefix after a position.
    fn watch(
        &self,
        bucket: Bucket,
        prefix: &str,
        after: u64,
    ) -> impl Future<Output = Result<Watch, Error>> + Send;

    /// Whether the backend can be reached now: nobody else's silence counts while it cannot.
    fn is_connected(&self) -> bool;

    /// Ends what runs behind the bus; bounded in time.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

impl Record {
    /// A record that belongs to no trace.
    pub fn new(subject: impl Into<String>, payload: impl Into<Bytes>) -> Self {
        Self { subject: subject.into(), payload: payload.into(), trace: None }
    }

    /// The same with what caused it.
    #[must_use]
    pub fn traced(self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self }
    }
}

impl Reader {
    /// A reader fed through a bounded channel by `task`, which ends with it.
    pub(crate) fn new(
        items: mpsc::Receiver<Result<Item, Error>>,
        task: Option<tokio_util::task::AbortOnDropHandle<()>>,
    ) -> Self {
        Self(items, task)
    }

    /// The next item; none at the end. After an error there is nothing more.
    pub async fn next(&mut self) -> Option<Result<Item, Error>> {
        self.0.recv().await
    }

    /// Every record up to the end, for a reader that ends.
    pub async fn records(self) -> Result<Vec<Stored>, Error> {
        self.filter_map(|item| match item {
            Ok(Item::Record(stored)) => Some(Ok(stored)),
            Ok(Item::Overtaken { .. }) => None,
            Err(error) => Some(Err(error)),
        })
        .collect()
        .await
    }

    /// What has already arrived; none if that is nothing.
    pub fn ready(&mut self) -> Option<Result<Item, Error>> {
        self.0.try_recv().ok()
    }
}

impl tokio_stream::Stream for Reader {
    type Item = Result<Item, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

impl tokio_stream::Stream for Watch {
    type Item = Result<Entry, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

impl Watch {
    /// A watch fed through a bounded channel by `task`, which ends with it.
    pub(crate) fn new(
        changes: mpsc::Receiver<Result<Entry, Error>>,
        task: Option<tokio_util::task::AbortOnDropHandle<()>>,
    ) -> Self {
        Self(changes, task)
    }

    /// The next change; none when the bus is closed. After an error there is nothing more.
    pub async fn next(&mut self) -> Option<Result<Entry, Error>> {
        self.0.recv().await
    }

    /// What has already arrived; none if that is nothing.
    pub fn ready(&mut self) -> Option<Result<Entry, Error>> {
        self.0.try_recv().ok()
    }
}
