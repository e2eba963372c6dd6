//! A bus with somebody who sees each write and each read before it happens.

use bytes::Bytes;
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

/// Sees what a worker asks of its bus; it need not let it happen.
pub(crate) trait Spy: Clone + Send + Sync + 'static {
    /// A write to this stream or bucket; it happens when this is over. What is answered is told
    /// again when the write is done.
    fn before(&self, to: &str, payloads: Vec<Bytes>) -> impl Future<Output = usize> + Send {
        let _ = (to, payloads);
        std::future::ready(0)
    }

    /// The write is done, and nobody knows yet.
    fn after(&self, to: &str, told: usize) {
        let _ = (to, told);
    }

    /// A reader is about to be opened: what it reads instead.
    fn reads(&self, stream: Stream, selection: Selection) -> Selection {
        let _ = stream;
        selection
    }

    /// The end of a stream is asked for.
    fn asks_for_end(&self, stream: Stream) {
        let _ = stream;
    }
}

/// A bus and its spy.
#[derive(Clone)]
pub(crate) struct Spied<B, S>(pub(crate) B, pub(crate) S);

impl<B: Bus, S: Spy> Spied<B, S> {
    async fn write<T>(&self, to: &str, seen: Vec<Bytes>, work: impl Future<Output = T>) -> T {
        let told = self.1.before(to, seen).await;
        let answer = work.await;
        self.1.after(to, told);
        answer
    }
}

impl<B: Bus, S: Spy> Bus for Spied<B, S> {
    async fn publish(&self, s: Stream, r: Record, e: Expect) -> Result<Outcome, Error> {
        self.write(s.name(), vec![r.payload.clone()], self.0.publish(s, r, e)).await
    }
    async fn publish_all(
        &self,
        s: Stream,
        group: Vec<(Record, Expect)>,
    ) -> Result<Vec<Result<Outcome, Error>>, Error> {
        let seen = group.iter().map(|(record, _)| record.payload.clone()).collect();
        self.write(s.name(), seen, self.0.publish_all(s, group)).await
    }
    async fn read(&self, s: Stream, selection: Selection) -> Result<Reader, Error> {
        self.0.read(s, self.1.reads(s, selection)).await
    }
    async fn last(&self, s: Stream, subject: &str) -> Result<Option<Stored>, Error> {
        self.0.last(s, subject).await
    }
    async fn end(&self, s: Stream) -> Result<u64, Error> {
        self.1.asks_for_end(s);
        self.0.end(s).await
    }
    async fn get(&self, b: Bucket, key: &str) -> Result<Option<Entry>, Error> {
        self.0.get(b, key).await
    }
    async fn put(&self, b: Bucket, put: Put) -> Result<PutOutcome, Error> {
        self.write(b.name(), vec![put.value.clone()], self.0.put(b, put)).await
    }
    async fn put_all(
        &self,
        b: Bucket,
        group: Vec<Put>,
    ) -> Result<Vec<Result<PutOutcome, Error>>, Error> {
        let seen = group.iter().map(|put| put.value.clone()).collect();
        self.write(b.name(), seen, self.0.put_all(b, group)).await
    }
    async fn delete(&self, b: Bucket, key: &str, revision: u64) -> Result<PutOutcome, Error> {
        self.write(b.name(), Vec::new(), self.0.delete(b, key, revision)).await
    }
    async fn list(&self, b: Bucket, prefix: &str) -> Result<Listing, Error> {
        self.0.list(b, prefix).await
    }
    async fn watch(&self, b: Bucket, prefix: &str, after: u64) -> Result<Watch, Error> {
        self.0.watch(b, prefix, after).await
    }
    fn is_connected(&self) -> bool {
        self.0.is_connected()
    }
    async fn close(&self) {
        self.0.close().await;
    }
}
