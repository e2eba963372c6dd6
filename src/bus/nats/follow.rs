//! Readers, lists and watches: what a cursor finds, in the words of the bus.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::Nats;
use super::layout::Place;
use super::reader::Course;
use super::reader::Cursor;
use super::reader::Found;
use crate::bus::Bucket;
use crate::bus::Entry;
use crate::bus::Error;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Listing;
use crate::bus::Reader;
use crate::bus::Selection;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::bus::Until;
use crate::bus::Watch;
use crate::bus::names;

/// Items that wait for a slow reader, beside those of its consumer.
const AHEAD: usize = 32;

impl Nats {
    pub(super) async fn open_reader(
        &self,
        stream: Stream,
        selection: Selection,
    ) -> Result<Reader, Error> {
        names::check_filter(stream, &selection.filter)?;
        let course = Course {
            place: Place::Stream(stream),
            filter: selection.filter,
            from: selection.from,
            tells_losses: true,
        };
        let mut cursor = Cursor::new(self.clone(), course);
        let opening = cursor.build().await?;
        let (sender, items) = mpsc::channel(AHEAD);
        let stop = self.0.stop.clone();
        let work = async move {
            if let Some((cursor, first)) = opening.overtaken
                && sender.send(Ok(Item::Overtaken { cursor, first })).await.is_err()
            {
                return;
            }
            match selection.until {
                Until::Forever => forever(cursor, &sender, item).await,
                Until::End if opening.pending == 0 => cursor.finish().await,
                Until::End => until(cursor, opening.end, &sender).await,
            }
        };
        let task = self.0.tasks.spawn(async move {
            let _ = stop.run_until_cancelled(Box::pin(work)).await;
        });
        Ok(Reader::new(items, Some(AbortOnDropHandle::new(task))))
    }

    pub(super) async fn open_watch(
        &self,
        bucket: Bucket,
        prefix: &str,
        after: u64,
    ) -> Result<Watch, Error> {
        let course = course(bucket, prefix, after)?;
        let mut cursor = Cursor::new(self.clone(), course);
        cursor.build().await?;
        let (sender, changes) = mpsc::channel(AHEAD);
        let stop = self.0.stop.clone();
        let task = self.0.tasks.spawn(async move {
            let work = forever(cursor, &sender, move |found| entry(bucket, found));
            let _ = stop.run_until_cancelled(Box::pin(work)).await;
        });
        Ok(Watch::new(changes, Some(AbortOnDropHandle::new(task))))
    }

    /// The entries under a prefix: read until nothing is pending, so that a key that is
    /// overwritten meanwhile, and so moves to the end, is met there.
    pub(super) async fn list_bucket(&self, bucket: Bucket, prefix: &str) -> Result<Listing, Error> {
        let mut cursor = Cursor::new(self.clone(), course(bucket, prefix, 0)?);
        let opening = cursor.build().await?;
        let mut entries = BTreeMap::new();
        let mut position = opening.end;
        let mut more = opening.pending > 0;
        while more {
            let found = cursor.next_pending().await?;
            let Found::Record { seq, pending, .. } = &found else { break };
            position = position.max(*seq);
            more = *pending > 0;
            let Some(entry) = entry(bucket, found) else { continue };
            match entry.value {
                Some(_) => entries.insert(entry.key.clone(), entry),
                None => entries.remove(&entry.key),
            };
        }
        cursor.finish().await;
        Ok(Listing { entries: entries.into_values().collect(), position })
    }
}

async fn forever<T>(
    mut cursor: Cursor,
    sender: &mpsc::Sender<Result<T, Error>>,
    shape: impl Fn(Found) -> Option<T>,
) {
    loop {
        let found = tokio::select! {
            biased;
            () = sender.closed() => break,
            found = cursor.next() => found,
        };
        let ended = found.is_err();
        let Some(shaped) = found.map(&shape).transpose() else { continue };
        if sender.send(shaped).await.is_err() || ended {
            break;
        }
    }
    cursor.finish().await;
}

async fn until(mut cursor: Cursor, end: u64, sender: &mpsc::Sender<Result<Item, Error>>) {
    let mut more = true;
    while more {
        let found = cursor.next_pending().await;
        more = match &found {
            Ok(Found::Record { seq, .. }) if *seq > end => break,
            Ok(Found::Record { seq, pending, .. }) => *seq < end && *pending > 0,
            Ok(Found::Overtaken { first, .. }) => *first <= end,
            Ok(Found::Nothing) | Err(_) => false,
        };
        let Some(shaped) = found.map(item).transpose() else { continue };
        if sender.send(shaped).await.is_err() {
            break;
        }
    }
    cursor.finish().await;
}

fn course(bucket: Bucket, prefix: &str, after: u64) -> Result<Course, Error> {
    let place = Place::Bucket(bucket);
    let filter = format!("{}{}>", place.prefix(), names::tokens_under(prefix)?);
    Ok(Course { place, filter, from: From::After(after), tells_losses: false })
}

fn item(found: Found) -> Option<Item> {
    match found {
        Found::Nothing => None,
        Found::Overtaken { cursor, first } => Some(Item::Overtaken { cursor, first }),
        Found::Record { seq, subject, time, payload, trace, .. } => {
            let payload = payload.unwrap_or_default();
            Some(Item::Record(Stored { seq, subject, time, payload, trace }))
        }
    }
}

fn entry(bucket: Bucket, found: Found) -> Option<Entry> {
    let Found::Record { seq, subject, payload, .. } = found else { return None };
    let prefix = Place::Bucket(bucket).prefix();
    let tokens = subject.strip_prefix(&prefix)?;
    Some(Entry { key: names::key_of(tokens), revision: seq, value: payload })
}
