//! The reader of the log's end, as it stands still and as it only seems to.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use wirebell::bus::Bus;
use wirebell::bus::Limits;
use wirebell::bus::Selection;
use wirebell::bus::Stream;
use wirebell::bus::Until;

use crate::bus::Backend;
use crate::bus::embedded::Folder;
use crate::delivery::Notifier;
use crate::delivery::hook::Hook;
use crate::delivery::publish;
use crate::delivery::subscribe;
use crate::support::spied::Spied;
use crate::support::spied::Spy;
use crate::workers::wait_until;

/// The first reader that waits for events gets none.
#[derive(Clone, Default)]
struct Deaf(Arc<AtomicUsize>);

impl Spy for Deaf {
    fn reads(&self, stream: Stream, selection: Selection) -> Selection {
        let waits = stream == Stream::Events && selection.until == Until::Forever;
        if waits && self.0.fetch_add(1, Ordering::AcqRel) == 0 {
            return Selection { filter: "wb.event.nothing.>".to_owned(), ..selection };
        }
        selection
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stands_still_is_opened_anew() {
    let Some(backend) = Folder::start(Limits::default()).await else { return };
    let (store, deaf) = (backend.bus(), Deaf::default());
    let (hook, mut tasks) = (Hook::default(), JoinSet::new());
    let address = hook.serve("127.0.0.1:0".parse().unwrap(), &mut tasks).await;
    let notifier = Notifier::start(Spied(store.clone(), deaf.clone()), true);
    wait_until("a reader", async || deaf.0.load(Ordering::Acquire) == 1).await;
    subscribe(&store, &format!("http://{address}/"), json!({})).await;
    publish(&store, "unread", 1).await;
    wait_until("what was not read", async || hook.count() == 1).await;
    publish(&store, "later", 1).await;
    wait_until("what came later", async || hook.count() == 2).await;
    assert_eq!(deaf.0.load(Ordering::Acquire), 2, "opened anew once");
    notifier.worker.leave().await;
}

/// After a while in which nothing came, an event comes at the very moment of a look.
#[derive(Clone)]
struct Moment<B> {
    bus: B,
    looked: Arc<Mutex<Instant>>,
    looks: Arc<AtomicUsize>,
    readers: Arc<AtomicUsize>,
}

impl<B: Bus> Spy for Moment<B> {
    fn asks_for_end(&self, stream: Stream) {
        let now = Instant::now();
        let before = std::mem::replace(&mut *self.looked.lock().unwrap(), now);
        let quiet = now.duration_since(before) > Duration::from_secs(3);
        if stream == Stream::Events && quiet && self.looks.fetch_add(1, Ordering::AcqRel) == 0 {
            let published = publish(&self.bus, "at-the-look", 1);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(published));
        }
    }

    fn reads(&self, stream: Stream, selection: Selection) -> Selection {
        let waits = stream == Stream::Events && selection.until == Until::Forever;
        self.readers.fetch_add(usize::from(waits), Ordering::AcqRel);
        selection
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_comes_at_a_look_after_silence_is_no_standstill() {
    let Some(backend) = Folder::start(Limits::default()).await else { return };
    let (store, looks, readers) = (backend.bus(), Arc::default(), Arc::default());
    let looked = Arc::new(Mutex::new(Instant::now()));
    let spy = Moment { bus: store.clone(), looked, looks, readers };
    let (hook, mut tasks) = (Hook::default(), JoinSet::new());
    let address = hook.serve("127.0.0.1:0".parse().unwrap(), &mut tasks).await;
    subscribe(&store, &format!("http://{address}/"), json!({})).await;
    let notifier = Notifier::start(Spied(store.clone(), spy.clone()), true);
    wait_until("an event at a look", async || hook.count() == 1).await;
    wait_until("another look", async || spy.looks.load(Ordering::Acquire) >= 2).await;
    assert_eq!(spy.readers.load(Ordering::Acquire), 1, "it was read all the time");
    notifier.worker.leave().await;
}
