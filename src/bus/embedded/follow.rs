//! Readers and watches: one task each, page after page, then from commit to commit.

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::Embedded;
use super::convert::entry;
use super::convert::stored;
use crate::bus::Bus;
use crate::bus::Error;
use crate::bus::Item;
use crate::bus::Reader;
use crate::bus::Watch;
use crate::store;
use crate::store::Filter;
use crate::store::Page;
use crate::store::Query;

const PAGE_RECORDS: usize = 500;
const PAGE_BYTES: usize = 4 << 20;
/// Items that wait for a slow reader, beside the page its task holds.
const AHEAD: usize = 32;

/// Where to read.
pub(super) struct Place {
    pub(super) log: usize,
    pub(super) after: u64,
    pub(super) until: Option<u64>,
    pub(super) filter: Filter,
}

/// Reads records. `resumed`: the place is one that was reached before, so that records missing
/// after it were lost to it.
pub(super) fn reader(bus: &Embedded, place: Place, resumed: bool) -> Reader {
    let (sender, items) = mpsc::channel(AHEAD);
    let shape = Shape {
        item: |row| Item::Record(stored(row)),
        overtaken: Some(|cursor, first| Item::Overtaken { cursor, first }),
    };
    let task = bus.0.tasks.spawn(run(bus.clone(), place, resumed, sender, shape));
    Reader::new(items, Some(AbortOnDropHandle::new(task)))
}

/// Reads changes of a bucket. Holes are normal there: superseded values went.
pub(super) fn watch(bus: &Embedded, place: Place) -> Watch {
    let (sender, changes) = mpsc::channel(AHEAD);
    let shape = Shape { item: entry, overtaken: None };
    let task = bus.0.tasks.spawn(run(bus.clone(), place, false, sender, shape));
    Watch::new(changes, Some(AbortOnDropHandle::new(task)))
}

/// What rows and losses look like to the one who reads.
struct Shape<T> {
    item: fn(store::Row) -> T,
    overtaken: Option<fn(u64, u64) -> T>,
}

async fn run<T>(
    bus: Embedded,
    mut place: Place,
    mut resumed: bool,
    sender: mpsc::Sender<Result<T, Error>>,
    shape: Shape<T>,
) {
    let mut ends = bus.0.ends.clone();
    let mut wide = false;
    while place.until.is_none_or(|until| place.after < until) {
        let page = match next(&bus, &place, wide).await {
            Ok(page) => page,
            Err(error) => {
                if bus.is_connected() {
                    // Whoever reads may be gone already.
                    let _ = sender.send(Err(error)).await;
                }
                return;
            }
        };
        wide = page.wide;
        let lost = resumed && page.first > place.after.saturating_add(1);
        if let Some(overtaken) = shape.overtaken.filter(|_| lost)
            && sender.send(Ok(overtaken(place.after, page.first))).await.is_err()
        {
            return;
        }
        for row in page.rows.into_iter().take_while(|row| place.until.is_none_or(|u| row.seq <= u))
        {
            if sender.send(Ok((shape.item)(row))).await.is_err() {
                return;
            }
        }
        place.after = page.passed;
        resumed |= page.passed > 0;
        if page.passed >= page.last {
            let more = ends.wait_for(|ends| ends[place.log] > page.passed);
            let none = place.until.is_none() && more.await.is_err();
            if none {
                return;
            }
        }
    }
}

async fn next(bus: &Embedded, place: &Place, wide: bool) -> Result<Page, Error> {
    let (log, after, filter) = (place.log, place.after, place.filter.clone());
    bus.ask(move |store| {
        store.page(&Query {
            log,
            after,
            filter: &filter,
            wide,
            max_records: PAGE_RECORDS,
            max_bytes: PAGE_BYTES,
        })
    })
    .await
}
