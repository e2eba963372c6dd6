//! A durable log store on SQLite: ordered logs of records by subject, in one file.
//!
//! One writer thread commits what gathered while the last commit ran (group commit) and answers
//! after the commit is on disk; readers use connections of their own. A bucket is a log that
//! keeps one record a subject, with a marker for a deleted one. Everything here blocks: callers
//! on an async runtime take it off their threads.

mod apply;
mod file;
mod filter;
mod read;
mod retention;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;

pub use filter::Filter;
pub use read::Page;
pub use read::Query;

/// Largest payload taken, as a NATS server with `max_payload: 8MB` has it.
pub const MAX_PAYLOAD: usize = 8 * 1024 * 1024;

/// Requests that may wait for the writer; the next one blocks its caller.
pub const QUEUE: usize = 1024;

/// Where a store is and what it keeps.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the database; made if it is missing.
    pub folder: PathBuf,
    /// The logs, named by their place in this list from here on.
    pub logs: Vec<Log>,
    /// Largest size of the database file; none = what the disk holds.
    pub max_file: Option<u64>,
}

/// A log and how much of it is kept.
#[derive(Clone, Debug)]
pub struct Log {
    /// Its name, of lower-case letters and `_`.
    pub name: &'static str,
    /// Newest records kept under a subject; none = all.
    pub revisions: Option<u32>,
    /// Age at which a record goes; none = never.
    pub max_age: Option<Duration>,
    /// Age at which the marker of a deleted subject goes.
    pub max_marker_age: Duration,
    /// Size cap over subjects and payloads.
    pub max_bytes: u64,
    /// What happens at the cap.
    pub at_cap: AtCap,
}

/// What happens when a log is at its size cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtCap {
    /// The oldest records go.
    DropOldest,
    /// New records are refused.
    Refuse,
}

/// A record to write.
#[derive(Clone, Debug)]
pub struct Write {
    /// Its subject.
    pub subject: String,
    /// Its content; none marks the subject as deleted.
    pub payload: Option<Bytes>,
    /// What must hold.
    pub expect: Expect,
    /// A remark that is kept beside it and counts for nothing: the trace it belongs to.
    pub trace: Option<String>,
}

/// What must hold for a record to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The subject has no record, or a marker.
    Absent,
    /// The subject's newest record has this sequence.
    After(u64),
    /// Nothing.
    Any,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Written at this sequence.
    Written(u64),
    /// The expectation does not hold; the newest record, at this sequence, has the same content.
    Same(u64),
    /// The expectation does not hold.
    Differs,
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its sequence.
    pub seq: u64,
    /// Milliseconds since 1970 at which it was written.
    pub at: i64,
    /// Its subject.
    pub subject: String,
    /// Its content; none = a marker.
    pub payload: Option<Bytes>,
    /// The trace it belongs to.
    pub trace: Option<String>,
}

/// What a commit did, for whoever waits for records or counts commits.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The logs written to and their new last sequence.
    pub ends: Vec<(usize, u64)>,
    /// Records written.
    pub records: usize,
    /// How long the commit took.
    pub took: Duration,
}

/// What can go wrong in the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the folder.
    #[error("another process is using {0}: stop it, or give this one a data folder of its own")]
    Locked(PathBuf),
    /// The folder or its file cannot be used.
    #[error("the data folder {path} cannot be used")]
    Folder {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// What was found there must not be used.
    #[error("{0}")]
    Unfit(String),
    /// A payload is above [`MAX_PAYLOAD`].
    #[error("the record {subject} has {size} bytes, the store takes at most {MAX_PAYLOAD}")]
    TooLarge {
        /// Its subject.
        subject: String,
        /// Its size.
        size: usize,
    },
    /// The log is at its size cap and refuses new records.
    #[error("the log {0} is at its size cap")]
    Full(&'static str),
    /// The disk, or the largest file size that is set, is used up. Nothing of the commit happened.
    #[error("no space is left for the database: free some; writing goes on then")]
    DiskFull,
    /// The database failed. After a failed write what is on disk is not known: every later write
    /// is refused until the process starts anew.
    #[error("{what} failed in the database")]
    Failed {
        /// What was attempted.
        what: &'static str,
        /// Why.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// An outcome for each record of a request, or the failure of all of them.
pub type Answer = Result<Vec<Result<Outcome, Error>>, Error>;

/// An open store. Dropping it closes it.
#[derive(Debug)]
pub struct Store {
    requests: Mutex<Option<SyncSender<writer::Request>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    readers: read::Pool,
}

impl Store {
    /// Opens the store in a folder and starts its writer. `on_commit` runs on the writer's thread
    /// after each commit, before the answers go out: it must be quick.
    pub fn open(
        settings: Settings,
        on_commit: impl Fn(&Commit) + Send + 'static,
    ) -> Result<Self, Error> {
        let opened = file::open(&settings)?;
        let readers = read::Pool::new(opened.path.clone(), &settings.logs);
        let (sender, requests) = std::sync::mpsc::sync_channel(QUEUE);
        let writer = writer::Writer::new(opened, settings.logs, Box::new(on_commit))?;
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run(&requests))
            .map_err(|e| Error::Folder { path: settings.folder, source: Arc::new(e) })?;
        Ok(Self { requests: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), readers })
    }

    /// Hands a group to the writer: one commit, an outcome each. `reply` runs on the writer's
    /// thread after the commit. Blocks while [`QUEUE`] requests wait.
    pub fn submit(
        &self,
        log: usize,
        group: Vec<Write>,
        reply: impl FnOnce(Answer) + Send + 'static,
    ) -> Result<(), Error> {
        self.send(writer::Request::Write(writer::Work { log, group, reply: Box::new(reply) }))
    }

    /// Writes a group and waits for the commit.
    pub fn write(&self, log: usize, group: Vec<Write>) -> Answer {
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        self.submit(log, group, move |outcome| {
            // Nobody waits any more: the write happened all the same.
            let _ = sender.send(outcome);
        })?;
        answer.recv().map_err(|_| Error::Closed)?
    }

    /// Runs retention to its end now; by itself it runs every minute.
    pub fn sweep(&self) -> Result<(), Error> {
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        self.send(writer::Request::Sweep(Box::new(move |outcome| {
            let _ = sender.send(outcome);
        })))?;
        answer.recv().map_err(|_| Error::Closed)?
    }

    /// The next records of a log.
    pub fn page(&self, query: &Query<'_>) -> Result<Page, Error> {
        self.readers.with(|reader| reader.page(query))
    }

    /// The newest record under a subject.
    pub fn newest(&self, log: usize, subject: &str) -> Result<Option<Row>, Error> {
        self.readers.with(|reader| reader.newest(log, subject))
    }

    /// The newest record of each subject that begins with `prefix`, without the deleted ones, and
    /// the log's last sequence at that moment.
    pub fn list(&self, log: usize, prefix: &str) -> Result<(Vec<Row>, u64), Error> {
        self.readers.with(|reader| reader.list(log, prefix))
    }

    /// The log's last sequence; 0 if it never held a record.
    pub fn end(&self, log: usize) -> Result<u64, Error> {
        self.readers.with(|reader| reader.end(log))
    }

    /// The bytes a log holds, its first sequence (the next one if it is empty) and its last.
    pub fn usage(&self, log: usize) -> Result<(u64, u64, u64), Error> {
        self.readers.with(|reader| reader.usage(log))
    }

    /// The sequence before the first record written at or after a time.
    pub fn before(&self, log: usize, at: i64) -> Result<u64, Error> {
        self.readers.with(|reader| reader.before(log, at))
    }

    /// Commits what waits, ends the writer and lets go of the folder.
    pub fn close(&self) {
        drop(self.requests.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.readers.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the writer was already seen by whoever waited for its answer.
            let _ = thread.join();
        }
    }

    fn send(&self, request: writer::Request) -> Result<(), Error> {
        let sender = {
            let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.as_ref().cloned().ok_or(Error::Closed)?
        };
        sender.send(request).map_err(|_| Error::Closed)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

pub(crate) fn failed(what: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |source| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Error::DiskFull,
        _ => Error::Failed { what, source: Arc::new(source) },
    }
}

/// SQLite's integers are signed; a sequence or size never gets near the limit.
pub(crate) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

#[cfg(test)]
mod tests;
