//! The archive of articles through rule sets: what would have happened. One thread matches and one
//! steps the alerts, off the runtime, however many cores there are: live work goes on beside it.
//! What is held at once is bounded.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::replay::Replay;
use crate::bus;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Reader;
use crate::bus::Selection;
use crate::bus::Stream;
use crate::bus::Until;
use crate::model::Article;
use crate::model::Event;
use crate::model::Found;
use crate::model::Time;
use crate::rules::RuleSet;

/// Most articles of one run: the newest ones.
pub const MAX_ARTICLES: u64 = 100_000;
/// Longest run; what was not reached by then is left out.
pub const MAX_TIME: Duration = Duration::from_secs(300);
/// Articles handed over at a time.
const BATCH: usize = 64;
/// Batches that wait for each thread.
const WAITING: usize = 2;
/// How often a run says how far it is.
const PROGRESS: Duration = Duration::from_secs(2);

/// What a run tells.
#[derive(Debug)]
pub enum Heard {
    /// An event that the rule set with this number would have made.
    Event(usize, Box<Event>),
    /// So many articles are done.
    Progress(u64),
}

/// What a run has read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Articles, revisions included.
    pub articles: u64,
    /// Receipt of the first.
    pub first: Option<Time>,
    /// Receipt of the last.
    pub last: Option<Time>,
    /// What of the period was left out, in words.
    pub left_out: Option<&'static str>,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive cannot be read.
    #[error("reading the archive failed")]
    Bus(#[from] bus::Error),
    /// The process stops.
    #[error("the process stops")]
    Stopped,
    /// Matching panicked.
    #[error("matching panicked")]
    Panicked,
}

/// Runs rule sets over the newest archived articles since a time. `hear` is called off the runtime
/// and says whether to go on. Dropping the future ends the run after the batch in hand.
pub async fn run<B: Bus>(
    bus: &B,
    rules: Vec<Arc<RuleSet>>,
    since: Time,
    stop: CancellationToken,
    hear: impl FnMut(Heard) -> bool + Send + 'static,
) -> Result<Span, Error> {
    let (batches, handed) = mpsc::channel(WAITING);
    let work = tokio::task::spawn_blocking(move || replay(&rules, handed, hear));
    let (mut reader, left_out) = open(bus, since).await?;
    let end = Instant::now() + MAX_TIME;
    let mut read = Reading { since, end, left_out };
    tokio::select! {
        biased;
        () = stop.cancelled() => return Err(Error::Stopped),
        done = read.all(&mut reader, batches) => done?,
    }
    let span = work.await.map_err(|_| Error::Panicked)?;
    Ok(Span { left_out: read.left_out, ..span })
}

/// A reader of the newest articles since a time, and what it leaves out.
async fn open<B: Bus>(bus: &B, since: Time) -> Result<(Reader, Option<&'static str>), bus::Error> {
    let select = |from| Selection { from, until: Until::End, filter: "wb.article.>".to_owned() };
    let end = bus.end(Stream::Articles).await?;
    let newest = From::After(end.saturating_sub(MAX_ARTICLES));
    let mut reader = bus.read(Stream::Articles, select(From::Time(since))).await?;
    while let Some(item) = reader.next().await {
        let Item::Record(first) = item? else { continue };
        if end.saturating_sub(first.seq) >= MAX_ARTICLES {
            let reader = bus.read(Stream::Articles, select(newest)).await?;
            return Ok((reader, Some("the oldest articles of the period")));
        }
        break;
    }
    // The first record was taken: it is read again.
    Ok((bus.read(Stream::Articles, select(From::Time(since))).await?, None))
}

struct Reading {
    since: Time,
    end: Instant,
    left_out: Option<&'static str>,
}

impl Reading {
    async fn all(
        &mut self,
        reader: &mut Reader,
        batches: mpsc::Sender<Vec<Article>>,
    ) -> Result<(), bus::Error> {
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(item) = reader.next().await {
            let Item::Record(stored) = item? else { continue };
            let article = serde_json::from_slice::<Article>(&stored.payload);
            batch.extend(article.ok().filter(|a| a.received_at >= self.since));
            if batch.len() >= BATCH {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                if batches.send(full).await.is_err() {
                    return Ok(());
                }
                if Instant::now() >= self.end {
                    self.left_out = Some("the newest articles: the time for a run is over");
                    return Ok(());
                }
            }
        }
        // Nobody takes it only where nobody listens any more.
        let _ = batches.send(batch).await;
        Ok(())
    }
}

/// Articles, and what each rule set finds in them.
type Matched = Vec<(Article, Vec<Found>)>;

/// Ends when both of its threads have.
fn replay(
    rules: &[Arc<RuleSet>],
    batches: mpsc::Receiver<Vec<Article>>,
    mut hear: impl FnMut(Heard) -> bool,
) -> Span {
    thread::scope(|scope| {
        let (matched, found) = sync_channel(WAITING);
        scope.spawn(move || find(rules, batches, &matched));
        step(rules, found, &mut hear)
    })
}

fn find(
    rules: &[Arc<RuleSet>],
    mut batches: mpsc::Receiver<Vec<Article>>,
    matched: &SyncSender<Matched>,
) {
    while let Some(batch) = batches.blocking_recv() {
        let find = |article: Article| {
            let found = rules.iter().map(|rules| rules.found(&article)).collect();
            (article, found)
        };
        if matched.send(batch.into_iter().map(find).collect()).is_err() {
            return;
        }
    }
}

/// Lets go of the matched articles as soon as nobody listens, which ends the matching.
fn step(
    rules: &[Arc<RuleSet>],
    matched: Receiver<Matched>,
    hear: &mut impl FnMut(Heard) -> bool,
) -> Span {
    let mut span = Span::default();
    let mut replays: Vec<Replay> = rules.iter().cloned().map(Replay::new).collect();
    let mut said = Instant::now();
    for batch in matched {
        for (article, found) in &batch {
            span.articles += 1;
            span.first.get_or_insert(article.received_at);
            span.last = span.last.max(Some(article.received_at));
            for (number, (replay, found)) in replays.iter_mut().zip(found).enumerate() {
                for event in replay.take(article, found) {
                    if !hear(Heard::Event(number, Box::new(event))) {
                        return span;
                    }
                }
            }
        }
        if said.elapsed() >= PROGRESS {
            said = Instant::now();
            if !hear(Heard::Progress(span.articles)) {
                return span;
            }
        }
    }
    span
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Embedded;
    use crate::bus::EmbeddedSettings;
    use crate::bus::Limits;
    use crate::feed::Draft;
    use crate::source::Origin;
    use crate::source::publish_all;

    const ARTICLES: i64 = 300;

    async fn archive(folder: &std::path::Path) -> Embedded {
        let folder = folder.to_owned();
        let bus =
            Embedded::open(EmbeddedSettings { folder, limits: Limits::default() }).await.unwrap();
        let draft = |n| Draft { title: format!("siren {n}"), ..Draft::default() };
        let drafts = (0..ARTICLES).map(draft).collect();
        let now = Time::from_millis(1_000);
        publish_all(&bus, &Origin::push(false), drafts, now).await.unwrap();
        bus
    }

    fn rules() -> Vec<Arc<RuleSet>> {
        let text = "version: 1\nrules: [{id: siren, any: [siren], update_every: 0s}]";
        vec![Arc::new(crate::rules::load(&[("r".to_owned(), text.to_owned())]).unwrap())]
    }

    #[tokio::test]
    async fn every_article_of_the_period_is_read_until_nobody_listens() {
        let folder = tempfile::tempdir().unwrap();
        let bus = archive(folder.path()).await;
        let (since, later) = (Time::from_millis(1_000), Time::from_millis(1_001));
        for (name, since, most, articles) in [
            ("all", since, usize::MAX, 300),
            ("none so new", later, usize::MAX, 0),
            ("gone at the first event", since, 0, 1),
        ] {
            let mut heard = 0;
            let hear = move |_| {
                heard += 1;
                heard <= most
            };
            let stop = CancellationToken::new();
            let span = run(&bus, rules(), since, stop, hear).await.unwrap();
            assert_eq!((span.articles, span.left_out), (articles, None), "{name}");
        }
        bus.close().await;
    }

    #[tokio::test]
    async fn a_run_that_is_dropped_lets_go_of_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let bus = archive(folder.path()).await;
        let (held, gone) = tokio::sync::oneshot::channel::<()>();
        let (began, begun) = tokio::sync::oneshot::channel();
        let mut began = Some(began);
        let hear = move |_| {
            let _held = &held;
            began.take().is_none_or(|began| began.send(()).is_ok())
        };
        let mut tasks = tokio::task::JoinSet::new();
        let bus_of_run = bus.clone();
        tasks.spawn(async move {
            let since = Time::from_millis(0);
            run(&bus_of_run, rules(), since, CancellationToken::new(), hear).await
        });
        begun.await.unwrap();
        tasks.shutdown().await;
        assert!(gone.await.is_err(), "what it held was dropped and never used");
        bus.close().await;
    }

    #[tokio::test]
    async fn a_run_ends_when_the_process_stops() {
        let folder = tempfile::tempdir().unwrap();
        let bus = archive(folder.path()).await;
        let stop = CancellationToken::new();
        stop.cancel();
        let ran = run(&bus, rules(), Time::from_millis(0), stop, |_| true).await;
        assert!(matches!(ran, Err(Error::Stopped)));
        bus.close().await;
    }
}
