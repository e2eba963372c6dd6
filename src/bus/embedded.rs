//! The bus on the embedded store.

mod convert;
mod follow;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use self::convert::entry;
use self::convert::error_of;
use self::convert::expect_of;
use self::convert::outcome_of;
use self::convert::put_outcome_of;
use self::convert::stored;
use super::Bucket;
use super::Bus;
use super::Entry;
use super::Error;
use super::Expect;
use super::From;
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
use super::Until;
use super::Usage;
use super::Watch;
use super::group;
use super::limits;
use super::names;
use crate::store;
use crate::store::AtCap;
use crate::store::Filter;
use crate::store::Log;
use crate::store::Store;
use crate::telemetry::metric;

/// Longest wait for the last commit when the bus is closed.
const CLOSING: Duration = Duration::from_secs(10);

/// Where the embedded bus keeps its records, and how much.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// The data folder; made if it is missing.
    pub folder: PathBuf,
    /// How much is kept.
    pub limits: Limits,
}

/// The bus on a store in a folder of its own. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Embedded(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    store: Arc<Store>,
    /// Keeps the writer's queue from ever blocking a thread of the runtime.
    queue: Arc<Semaphore>,
    ends: watch::Receiver<Vec<u64>>,
    tasks: TaskTracker,
    closed: AtomicBool,
}

impl Embedded {
    /// Opens the store. A folder that another process uses is [`Error::Refused`].
    pub async fn open(settings: EmbeddedSettings) -> Result<Self, Error> {
        let limits = settings.limits;
        let settings =
            store::Settings { folder: settings.folder, logs: logs(&limits), max_file: None };
        let (sender, ends) = watch::channel(vec![0; settings.logs.len()]);
        let open = move || {
            Store::open(settings, move |commit| {
                metrics::histogram!(metric::COMMIT_SECONDS).record(commit.took.as_secs_f64());
                let records = u32::try_from(commit.records).unwrap_or(u32::MAX);
                metrics::histogram!(metric::BATCH_SIZE).record(f64::from(records));
                sender.send_modify(|ends| {
                    for (log, end) in &commit.ends {
                        ends[*log] = *end;
                    }
                });
            })
        };
        let store = blocking(open).await?;
        Ok(Self(Arc::new(Inner {
            limits,
            store: Arc::new(store),
            queue: Arc::new(Semaphore::new(store::QUEUE)),
            ends,
            tasks: TaskTracker::new(),
            closed: AtomicBool::new(false),
        })))
    }

    /// How full each stream and bucket is.
    pub async fn usage(&self) -> Result<Vec<Usage>, Error> {
        let limits = self.0.limits.clone();
        self.ask(move |store| {
            logs(&limits)
                .iter()
                .enumerate()
                .map(|(log, Log { name, max_bytes, .. })| {
                    let (bytes, first, last) = store.usage(log)?;
                    Ok(Usage { name, bytes, limit: *max_bytes, first, last })
                })
                .collect()
        })
        .await
    }

    async fn write(
        &self,
        log: usize,
        group: Vec<store::Write>,
    ) -> Result<Vec<Result<store::Outcome, store::Error>>, Error> {
        let permit = self.0.queue.acquire().await.map_err(|_| error_of(store::Error::Closed))?;
        let (sender, answer) = oneshot::channel();
        self.0
            .store
            .submit(log, group, move |outcome| {
                // Nobody waits any more: the write happened all the same.
                let _ = sender.send(outcome);
            })
            .map_err(error_of)?;
        let outcomes = answer.await.map_err(|_| error_of(store::Error::Closed))?;
        drop(permit);
        outcomes.map_err(error_of)
    }

    async fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.0.store.clone();
        blocking(move || read(&store)).await
    }

    /// Writes the entries of a group that name no subject a second time.
    async fn write_group(
        &self,
        log: usize,
        group: Vec<store::Write>,
    ) -> Result<Vec<Result<store::Outcome, store::Error>>, Error> {
        let plain = |write: &store::Write| write.expect == store::Expect::Any;
        let repeats = group::repeats(group.iter().map(|w| (w.subject.as_str(), plain(w))));
        let mut kept = Vec::with_capacity(group.len());
        kept.extend(group.into_iter().zip(&repeats).filter(|(_, r)| !**r).map(|(w, _)| w));
        let mut written = self.write(log, kept).await?.into_iter();
        let differs = Ok(store::Outcome::Differs);
        Ok(repeats
            .iter()
            .map(|repeated| match repeated {
                true => differs.clone(),
                false => written.next().unwrap_or(Err(store::Error::Closed)),
            })
            .collect())
    }
}

impl Bus for Embedded {
    async fn publish(
        &self,
        stream: Stream,
        record: Record,
        expect: Expect,
    ) -> Result<Outcome, Error> {
        let mut outcomes = self.publish_all(stream, vec![(record, expect)]).await?;
        outcomes.pop().unwrap_or(Ok(Outcome::Conflict))
    }

    async fn publish_all(
        &self,
        stream: Stream,
        group: Vec<(Record, Expect)>,
    ) -> Result<Vec<Result<Outcome, Error>>, Error> {
        let named: Vec<Result<(), Error>> =
            group.iter().map(|(r, _)| names::check_subject(stream, &r.subject)).collect();
        let good = group.into_iter().zip(&named).filter(|(_, named)| named.is_ok());
        let writes = good
            .map(|((record, expect), _)| store::Write {
                subject: record.subject,
                payload: Some(record.payload),
                expect: expect_of(expect),
                trace: record.trace.map(|trace| trace.to_string()),
            })
            .collect();
        let written = self.write_group(stream_log(stream), writes).await?;
        Ok(merge(named, written.into_iter().map(|w| w.map(outcome_of).map_err(error_of))))
    }

    async fn read(&self, stream: Stream, selection: Selection) -> Result<Reader, Error> {
        let filter = names::check_filter(stream, &selection.filter)?;
        let log = stream_log(stream);
        let from = selection.from;
        let (after, end) = self
            .ask(move |store| {
                let after = match from {
                    From::Start => 0,
                    From::After(cursor) => cursor,
                    From::Time(at) => store.before(log, at.millis())?,
                };
                Ok((after, store.end(log)?))
            })
            .await?;
        if after > end {
            return Err(Error::BeyondEnd { stream: stream.name(), cursor: after, end });
        }
        let until = match selection.until {
            Until::End => Some(end),
            Until::Forever => None,
        };
        let resumed = matches!(selection.from, From::After(cursor) if cursor > 0);
        Ok(follow::reader(self, follow::Place { log, after, until, filter }, resumed))
    }

    async fn last(&self, stream: Stream, subject: &str) -> Result<Option<Stored>, Error> {
        names::check_subject(stream, subject)?;
        let subject = subject.to_owned();
        let found = self.ask(move |store| store.newest(stream_log(stream), &subject)).await?;
        Ok(found.map(stored))
    }

    async fn end(&self, stream: Stream) -> Result<u64, Error> {
        self.ask(move |store| store.end(stream_log(stream))).await
    }

    async fn get(&self, bucket: Bucket, key: &str) -> Result<Option<Entry>, Error> {
        let tokens = names::tokens_of(key)?;
        let found = self.ask(move |store| store.newest(bucket_log(bucket), &tokens)).await?;
        Ok(found.filter(|row| row.payload.is_some()).map(entry))
    }

    async fn put(&self, bucket: Bucket, put: Put) -> Result<PutOutcome, Error> {
        let mut outcomes = self.put_all(bucket, vec![put]).await?;
        outcomes.pop().unwrap_or(Ok(PutOutcome::Conflict))
    }

    async fn put_all(
        &self,
        bucket: Bucket,
        group: Vec<Put>,
    ) -> Result<Vec<Result<PutOutcome, Error>>, Error> {
        let mut named = Vec::with_capacity(group.len());
        let mut writes = Vec::with_capacity(group.len());
        for put in group {
            named.push(names::tokens_of(&put.key).map(|subject| {
                let expect = put.expect.map_or(store::Expect::Absent, store::Expect::After);
                writes.push(store::Write {
                    subject,
                    payload: Some(put.value),
                    expect,
                    trace: None,
                });
            }));
        }
        let written = self.write_group(bucket_log(bucket), writes).await?;
        Ok(merge(named, written.into_iter().map(|w| w.map(put_outcome_of).map_err(error_of))))
    }

    async fn delete(&self, bucket: Bucket, key: &str, revision: u64) -> Result<PutOutcome, Error> {
        let subject = names::tokens_of(key)?;
        let expect = store::Expect::After(revision);
        let write = store::Write { subject, payload: None, expect, trace: None };
        let mut outcomes = self.write(bucket_log(bucket), vec![write]).await?;
        let outcome = outcomes.pop().unwrap_or(Err(store::Error::Closed));
        outcome.map(put_outcome_of).map_err(error_of)
    }

    async fn list(&self, bucket: Bucket, prefix: &str) -> Result<Listing, Error> {
        let prefix = names::tokens_under(prefix)?;
        let (rows, position) =
            self.ask(move |store| store.list(bucket_log(bucket), &prefix)).await?;
        Ok(Listing { entries: rows.into_iter().map(entry).collect(), position })
    }

    async fn watch(&self, bucket: Bucket, prefix: &str, after: u64) -> Result<Watch, Error> {
        let prefix = names::tokens_under(prefix)?;
        let log = bucket_log(bucket);
        let end = self.ask(move |store| store.end(log)).await?;
        if after > end {
            return Err(Error::BeyondEnd { stream: bucket.name(), cursor: after, end });
        }
        let filter = Filter::new(&format!("{prefix}>")).ok_or(Error::BadName(prefix))?;
        Ok(follow::watch(self, follow::Place { log, after, until: None, filter }))
    }

    fn is_connected(&self) -> bool {
        !self.0.closed.load(Ordering::Acquire)
    }

    async fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.queue.close();
        let store = self.0.store.clone();
        let closing = tokio::task::spawn_blocking(move || store.close());
        // A disk that hangs must not hold up the end of the process.
        let _ = tokio::time::timeout(CLOSING, closing).await;
    }
}

fn logs(limits: &Limits) -> Vec<Log> {
    let streams = Stream::ALL.into_iter().map(|stream| {
        let kept = limits.of(stream);
        let at_cap = match limits::refuses_when_full(stream) {
            true => AtCap::Refuse,
            false => AtCap::DropOldest,
        };
        Log {
            name: stream.name(),
            revisions: limits::revisions(stream),
            max_age: Some(kept.age),
            max_marker_age: limits::MARKER_AGE,
            max_bytes: kept.bytes,
            at_cap,
        }
    });
    let buckets = Bucket::ALL.into_iter().map(|bucket| Log {
        name: bucket.name(),
        revisions: Some(1),
        max_age: None,
        max_marker_age: limits::MARKER_AGE,
        max_bytes: limits.bucket_bytes,
        at_cap: AtCap::Refuse,
    });
    streams.chain(buckets).collect()
}

fn stream_log(stream: Stream) -> usize {
    match stream {
        Stream::Articles => 0,
        Stream::Events => 1,
        Stream::Verdicts => 2,
        Stream::Attempts => 3,
        Stream::Buried => 4,
        Stream::Audit => 5,
        Stream::Calls => 6,
    }
}

fn bucket_log(bucket: Bucket) -> usize {
    match bucket {
        Bucket::Alerts => 7,
        Bucket::Subscriptions => 8,
        Bucket::Deliveries => 9,
        Bucket::Feeds => 10,
        Bucket::Leases => 11,
    }
}

/// Puts the outcomes of the entries that had a good name between the errors of the others.
fn merge<T>(
    named: Vec<Result<(), Error>>,
    mut written: impl Iterator<Item = Result<T, Error>>,
) -> Vec<Result<T, Error>> {
    named
        .into_iter()
        .map(|named| match named {
            Ok(()) => written.next().unwrap_or_else(|| Err(error_of(store::Error::Closed))),
            Err(error) => Err(error),
        })
        .collect()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, store::Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer.map_err(error_of),
        Err(source) => Err(Error::Broken { what: "reading".into(), source: Box::new(source) }),
    }
}
