//! The bus on NATS JetStream.
//!
//! One mechanism against duplicates (compare-and-set on the sequence of a subject), one way to
//! read (a cursor of our own over throw-away consumers), and groups as atomic batches. Buckets
//! are streams `KV_<bucket>` with the subjects that key-value clients use.

mod ask;
mod batch;
mod connect;
mod follow;
mod gather;
mod layout;
mod reader;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::ask::Held;
use self::connect::Connection;
use self::layout::Place;
use self::write::Done;
use self::write::Write;
use super::Bucket;
use super::Bus;
use super::Entry;
use super::Error;
use super::Expect;
use super::Limits;
use super::Listing;
use super::Outcome;
use super::Put;
use super::PutOutcome;
use super::Reader;
use super::Record;
use super::Selection;
use super::Stored;
use super::Stream;
use super::Usage;
use super::Watch;
use super::group;
use super::names;

pub use connect::Credentials;

/// Which server to use, and how.
#[derive(Clone, Debug)]
pub struct NatsSettings {
    /// `nats://host:port`, several divided by commas; `tls://` for TLS.
    pub url: String,
    /// Who this is; none = nobody in particular.
    pub credentials: Option<Credentials>,
    /// A file of root certificates; with it TLS is required.
    pub ca: Option<PathBuf>,
    /// What this process does: names the connection and its inbox `_INBOX_<role>`.
    pub role: String,
    /// Copies of each stream: 1 or 3.
    pub replicas: usize,
    /// How much is kept.
    pub limits: Limits,
}

/// What can be seen of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its version.
    pub version: String,
    /// Its largest message in bytes.
    pub max_payload: usize,
    /// Why its version cannot be used; none if it can.
    pub refused: Option<String>,
    /// What is known about acknowledgements being on disk.
    pub sync: &'static str,
}

/// The bus on a NATS server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Nats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Connection,
    limits: Limits,
    replicas: usize,
    ready: [AtomicBool; Place::COUNT],
    creating: tokio::sync::Mutex<()>,
    queues: [OnceLock<mpsc::Sender<gather::Job>>; Place::COUNT],
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Nats {
    /// Starts connecting and answers a bus that becomes usable when the server is there; until
    /// then operations give [`Error::Away`]. An address or a file that cannot be used is
    /// [`Error::Refused`].
    pub async fn connect(settings: NatsSettings) -> Result<Self, Error> {
        let connection = Connection::open(&settings).await?;
        Ok(Self(Arc::new(Inner {
            connection,
            limits: settings.limits,
            replicas: settings.replicas.max(1),
            ready: Default::default(),
            creating: tokio::sync::Mutex::new(()),
            queues: Default::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })))
    }

    /// Creates or checks these streams and buckets now instead of before their first use. What
    /// is on the server and differs is [`Error::Refused`] with the difference.
    pub async fn ensure(&self, streams: &[Stream], buckets: &[Bucket]) -> Result<(), Error> {
        let streams = streams.iter().copied().map(Place::Stream);
        for place in streams.chain(buckets.iter().copied().map(Place::Bucket)) {
            self.ensure_place(place).await?;
        }
        Ok(())
    }

    /// What can be seen of the server; none before the first connection.
    pub fn server(&self) -> Option<Server> {
        let found = self.0.connection.client.try_server_info()?;
        Some(Server {
            refused: layout::refuse_version(&found.version),
            version: found.version,
            max_payload: found.max_payload,
            sync: "not visible to a client: see that the server's file sets `sync_interval: \
                   always`, else a power cut may take up to 2 minutes of acknowledged records",
        })
    }

    /// How full each stream and bucket is that was used or ensured so far.
    pub async fn usage(&self) -> Result<Vec<Usage>, Error> {
        let streams = Stream::ALL.into_iter().map(Place::Stream);
        let mut usage = Vec::new();
        for place in streams.chain(Bucket::ALL.into_iter().map(Place::Bucket)) {
            if self.0.ready[place.index()].load(Ordering::Acquire) {
                let found = self.info(place).await?;
                usage.push(Usage {
                    name: place.label(),
                    bytes: found.state.bytes,
                    limit: u64::try_from(found.config.max_bytes).unwrap_or(u64::MAX),
                    first: found.state.first_sequence.max(1),
                    last: found.state.last_sequence,
                });
            }
        }
        Ok(usage)
    }

    /// Errors the server reported apart from any answer, such as missing permissions.
    pub fn refusals(&self) -> u64 {
        self.0.connection.refusals()
    }

    /// Writes the entries of a group that name no subject a second time.
    async fn write_group(
        &self,
        place: Place,
        named: Vec<Result<Write, Error>>,
    ) -> Result<Vec<Result<Done, Error>>, Error> {
        let good = named.iter().filter_map(|write| write.as_ref().ok());
        let entries = good.map(|write| (write.subject.as_str(), write.expect == Expect::Any));
        let mut repeats = group::repeats(entries).into_iter();
        let mut outcomes = Vec::with_capacity(named.len());
        let mut writes = Vec::with_capacity(named.len());
        let mut places = Vec::with_capacity(named.len());
        for (i, write) in named.into_iter().enumerate() {
            outcomes.push(Ok(Done::Differs));
            match write {
                Ok(write) if repeats.next() == Some(false) => {
                    writes.push(write);
                    places.push(i);
                }
                Ok(_) => {}
                Err(error) => outcomes[i] = Err(error),
            }
        }
        if writes.is_empty() {
            return Ok(outcomes);
        }
        for (i, done) in places.into_iter().zip(self.write_all(place, writes).await?) {
            outcomes[i] = done;
        }
        Ok(outcomes)
    }
}

impl Bus for Nats {
    async fn publish(
        &self,
        stream: Stream,
        record: Record,
        expect: Expect,
    ) -> Result<Outcome, Error> {
        names::check_subject(stream, &record.subject)?;
        let write = Write::of(record, expect);
        self.write_gathered(Place::Stream(stream), write).await.map(outcome)
    }

    async fn publish_all(
        &self,
        stream: Stream,
        group: Vec<(Record, Expect)>,
    ) -> Result<Vec<Result<Outcome, Error>>, Error> {
        let write = |(record, expect): (Record, Expect)| {
            names::check_subject(stream, &record.subject)?;
            Ok(Write::of(record, expect))
        };
        let named = group.into_iter().map(write).collect();
        let outcomes = self.write_group(Place::Stream(stream), named).await?;
        Ok(outcomes.into_iter().map(|done| done.map(outcome)).collect())
    }

    async fn read(&self, stream: Stream, selection: Selection) -> Result<Reader, Error> {
        self.open_reader(stream, selection).await
    }

    async fn last(&self, stream: Stream, subject: &str) -> Result<Option<Stored>, Error> {
        names::check_subject(stream, subject)?;
        Ok(self.newest(Place::Stream(stream), subject).await?.map(stored))
    }

    async fn end(&self, stream: Stream) -> Result<u64, Error> {
        Ok(self.info(Place::Stream(stream)).await?.state.last_sequence)
    }

    async fn get(&self, bucket: Bucket, key: &str) -> Result<Option<Entry>, Error> {
        let place = Place::Bucket(bucket);
        let subject = format!("{}{}", place.prefix(), names::tokens_of(key)?);
        let held = self.newest(place, &subject).await?;
        Ok(held.filter(|held| held.payload.is_some()).map(|held| Entry {
            key: key.into(),
            revision: held.seq,
            value: held.payload,
        }))
    }

    async fn put(&self, bucket: Bucket, put: Put) -> Result<PutOutcome, Error> {
        let place = Place::Bucket(bucket);
        self.write_gathered(place, put_write(place, put)?).await.map(put_outcome)
    }

    async fn put_all(
        &self,
        bucket: Bucket,
        group: Vec<Put>,
    ) -> Result<Vec<Result<PutOutcome, Error>>, Error> {
        let place = Place::Bucket(bucket);
        let named = group.into_iter().map(|put| put_write(place, put)).collect();
        let outcomes = self.write_group(place, named).await?;
        Ok(outcomes.into_iter().map(|done| done.map(put_outcome)).collect())
    }

    async fn delete(&self, bucket: Bucket, key: &str, revision: u64) -> Result<PutOutcome, Error> {
        let place = Place::Bucket(bucket);
        let subject = format!("{}{}", place.prefix(), names::tokens_of(key)?);
        let expect = Expect::After(revision);
        let write = Write { subject, payload: None, expect, trace: None };
        self.write_gathered(place, write).await.map(put_outcome)
    }

    async fn list(&self, bucket: Bucket, prefix: &str) -> Result<Listing, Error> {
        self.list_bucket(bucket, prefix).await
    }

    async fn watch(&self, bucket: Bucket, prefix: &str, after: u64) -> Result<Watch, Error> {
        self.open_watch(bucket, prefix, after).await
    }

    fn is_connected(&self) -> bool {
        self.0.connection.is_up()
    }

    async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        // Writes under way get their answers; each has a time limit of its own.
        let _ = tokio::time::timeout(connect::PATIENCE, self.0.tasks.wait()).await;
        self.0.connection.close().await;
    }
}

fn put_write(place: Place, put: Put) -> Result<Write, Error> {
    let subject = format!("{}{}", place.prefix(), names::tokens_of(&put.key)?);
    let expect = put.expect.map_or(Expect::Absent, Expect::After);
    Ok(Write { subject, payload: Some(put.value), expect, trace: None })
}

fn outcome(done: Done) -> Outcome {
    match done {
        Done::Written(seq) => Outcome::Published(seq),
        Done::Same(seq) => Outcome::AlreadyThere(seq),
        Done::Differs => Outcome::Conflict,
    }
}

fn put_outcome(done: Done) -> PutOutcome {
    match done {
        Done::Written(seq) | Done::Same(seq) => PutOutcome::Written(seq),
        Done::Differs => PutOutcome::Conflict,
    }
}

fn stored(held: Held) -> Stored {
    Stored {
        seq: held.seq,
        subject: held.subject,
        time: held.time,
        payload: held.payload.unwrap_or_default(),
        trace: held.trace,
    }
}
