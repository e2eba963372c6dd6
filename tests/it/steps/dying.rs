//! A bus on which the process kills itself at one write.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;

use serde::Deserialize;
use serde::Serialize;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Entry;
use wirebell::bus::Error;
use wirebell::bus::Expect;
use wirebell::bus::Listing;
use wirebell::bus::Outcome;
use wirebell::bus::Put;
use wirebell::bus::PutOutcome;
use wirebell::bus::Reader;
use wirebell::bus::Record;
use wirebell::bus::Selection;
use wirebell::bus::Stored;
use wirebell::bus::Stream;
use wirebell::bus::Watch;

/// What a process says on its standard output before it kills itself, with the place it writes to.
pub(super) const LAST_WORDS: &str = "killed while writing to ";

/// The write at which a process kills itself: before it, or after it and before anybody is told.
/// Writes are counted for each place: the order of those to different places is open.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Death {
    pub(super) to: String,
    pub(super) at: usize,
    pub(super) before: bool,
}

/// A bus whose writes are counted, for the death at one of them.
#[derive(Clone)]
pub(super) struct Dying<B> {
    bus: B,
    writes: Arc<Mutex<BTreeMap<String, usize>>>,
    death: Option<Death>,
}

impl<B: Bus> Dying<B> {
    pub(super) fn new(bus: B, death: Option<Death>) -> Self {
        Self { bus, writes: Arc::default(), death }
    }

    async fn write<T>(&self, to: &str, work: impl Future<Output = T>) -> T {
        let number = {
            let mut writes = self.writes.lock().unwrap();
            let count = writes.entry(to.to_owned()).or_default();
            *count += 1;
            *count - 1
        };
        let death = self.death.as_ref().filter(|death| death.to == to && death.at == number);
        if death.is_some_and(|death| death.before) {
            die(to);
        }
        let answer = work.await;
        if death.is_some() {
            die(to);
        }
        answer
    }
}

/// `kill -9`, by this process to itself.
fn die(to: &str) -> ! {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{LAST_WORDS}{to}").unwrap();
    out.flush().unwrap();
    let this = rustix::process::getpid();
    rustix::process::kill_process(this, rustix::process::Signal::KILL).unwrap();
    unreachable!("nobody survives SIGKILL")
}

impl<B: Bus> Bus for Dying<B> {
    async fn publish(&self, s: Stream, r: Record, e: Expect) -> Result<Outcome, Error> {
        self.write(s.name(), self.bus.publish(s, r, e)).await
    }
    async fn publish_all(
        &self,
        s: Stream,
        group: Vec<(Record, Expect)>,
    ) -> Result<Vec<Result<Outcome, Error>>, Error> {
        self.write(s.name(), self.bus.publish_all(s, group)).await
    }
    async fn read(&self, s: Stream, selection: Selection) -> Result<Reader, Error> {
        self.bus.read(s, selection).await
    }
    async fn last(&self, s: Stream, subject: &str) -> Result<Option<Stored>, Error> {
        self.bus.last(s, subject).await
    }
    async fn end(&self, s: Stream) -> Result<u64, Error> {
        self.bus.end(s).await
    }
    async fn get(&self, b: Bucket, key: &str) -> Result<Option<Entry>, Error> {
        self.bus.get(b, key).await
    }
    async fn put(&self, b: Bucket, put: Put) -> Result<PutOutcome, Error> {
        self.write(b.name(), self.bus.put(b, put)).await
    }
    async fn put_all(
        &self,
        b: Bucket,
        group: Vec<Put>,
    ) -> Result<Vec<Result<PutOutcome, Error>>, Error> {
        self.write(b.name(), self.bus.put_all(b, group)).await
    }
    async fn delete(&self, b: Bucket, key: &str, revision: u64) -> Result<PutOutcome, Error> {
        self.write(b.name(), self.bus.delete(b, key, revision)).await
    }
    async fn list(&self, b: Bucket, prefix: &str) -> Result<Listing, Error> {
        self.bus.list(b, prefix).await
    }
    async fn watch(&self, b: Bucket, prefix: &str, after: u64) -> Result<Watch, Error> {
        self.bus.watch(b, prefix, after).await
    }
    fn is_connected(&self) -> bool {
        self.bus.is_connected()
    }
    async fn close(&self) {
        self.bus.close().await;
    }
}
