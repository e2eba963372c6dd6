//! The rules worker: reads the log of articles in order and moves the alerts of its shards.
//!
//! Per article: match (pure), step (pure), write the states with their events inside, publish the
//! events, write the verdicts, move the cursor. A crash anywhere repeats the rest, and a repeat is
//! a no-op: states know what they have applied, events and verdicts are their subjects.

mod matching;
mod shard;
mod timers;
mod trails;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Reader;
use crate::bus::Selection;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::bus::Until;
use crate::clock::Clock;
use crate::model::Time;
use crate::rules::RuleSet;
use crate::spans::Tracer;
use crate::telemetry::Board;
use crate::telemetry::Health;
use crate::telemetry::logs::chain;
use crate::telemetry::metric;
use crate::worker::lease::Change;
use crate::worker::lease::Keeper;
use crate::worker::lease::Settings as LeaseSettings;
use crate::worker::next_of;
use crate::worker::watchdog::Watchdog;
use matching::Read;
use matching::match_all;
use shard::Shard;
use trails::Trails;

/// Most articles stepped before their states are written as one group.
const BATCH: usize = 64;
/// How often an article may be begun and not ended, after a first death, before it is buried.
const MAX_TRIES: u32 = 4;
/// Pause after the bus failed.
const RETRY: Duration = Duration::from_millis(200);
/// Longest time for reading the states of shards that were taken.
const LOADING: Duration = Duration::from_secs(60);
/// Longest wait for timers, so that a clock that was set is noticed.
const MAX_TIMER_WAIT: Duration = Duration::from_secs(5);

/// What a rules worker works with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How its shards are leased.
    pub leases: LeaseSettings,
    /// The rule set; a reload swaps it between two articles.
    pub rules: Arc<ArcSwap<RuleSet>>,
    /// The clock of timers.
    pub clock: Clock,
    /// Where it says how it is.
    pub board: Board,
    /// What matching is recorded with.
    pub tracer: Tracer,
}

struct Worker<B> {
    bus: B,
    settings: Settings,
    keeper: Arc<Keeper<B>>,
    shards: BTreeMap<u16, Shard>,
    reader: Option<Reader>,
    /// Last position the reader delivered or passed.
    position: u64,
    watchdog: Watchdog,
    trails: Trails,
}

/// Runs until `stop`; then finishes what is begun and gives its shards back.
pub async fn run<B: Bus>(
    bus: B,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), crate::worker::Error> {
    let clock = settings.clock.clone();
    let board = settings.board.clone();
    let keeper = Arc::new(Keeper::new(bus.clone(), clock, board, settings.leases.clone()));
    settings.board.set("rules", Health::NotReady("waiting for its first leases".to_owned()));
    let mut worker = Worker {
        bus,
        settings,
        keeper: keeper.clone(),
        shards: BTreeMap::new(),
        reader: None,
        position: 0,
        watchdog: Watchdog::new(),
        trails: Trails::default(),
    };
    let mut renewals = tokio::task::JoinSet::new();
    let kept = keeper.clone();
    renewals.spawn(async move { kept.run().await });
    let result = worker.work(&stop).await;
    renewals.shutdown().await;
    worker.leave().await;
    result.map_err(|source| crate::worker::Error::Bus { worker: "rules", source })
}

enum Woken {
    Changes(Vec<Change>),
    Item(Option<Result<Item, crate::bus::Error>>),
    Timer,
}

impl<B: Bus> Worker<B> {
    async fn work(&mut self, stop: &CancellationToken) -> Result<(), crate::bus::Error> {
        loop {
            let timer = self.until_timer();
            let woken = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                changes = self.keeper.changes() => Woken::Changes(changes),
                item = next_of(&mut self.reader) => Woken::Item(item),
                () = tokio::time::sleep(timer) => Woken::Timer,
            };
            let done = match woken {
                Woken::Changes(changes) => self.take_changes(changes).await,
                Woken::Item(item) => self.take_item(item).await,
                Woken::Timer => self.fire_timers().await,
            };
            if let Err(error) = done {
                if !error.is_temporary() {
                    return Err(error);
                }
                self.step_back(&error);
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// After a failure in mid-write nobody knows what was written: the states are read again.
    fn step_back(&mut self, error: &crate::bus::Error) {
        let text = chain(error);
        if self.settings.board.set("rules", Health::NotReady(text.clone())) {
            tracing::warn!(error = text, "Rules worker waits for the bus");
        }
        for shard in std::mem::take(&mut self.shards).into_keys() {
            self.keeper.drop_shard(shard);
        }
        self.reader = None;
    }

    async fn take_changes(&mut self, changes: Vec<Change>) -> Result<(), crate::bus::Error> {
        let mut grants = Vec::new();
        let mut surplus = Vec::new();
        let mut lost = 0_u32;
        for change in changes {
            match change {
                Change::Taken(grant) => grants.push(grant),
                Change::Lost(shard) => {
                    lost += u32::from(self.shards.remove(&shard).is_some());
                    grants.retain(|g| g.shard != shard);
                }
                Change::Yield(shard) => surplus.push(shard),
            }
        }
        if lost > 0 {
            tracing::warn!(lost, held = self.shards.len(), "Rules shards lost");
        }
        if !surplus.is_empty() {
            surplus.iter().for_each(|shard| drop(self.shards.remove(shard)));
            self.keeper.give_back(&surplus).await?;
        }
        if !grants.is_empty() {
            let loading = shard::load(&self.bus, &self.keeper, &grants);
            let loaded = match tokio::time::timeout(LOADING, loading).await {
                Ok(loaded) => loaded,
                Err(late) => {
                    let what = "reading alert states".to_owned();
                    Err(crate::bus::Error::Away { what, source: late.into() })
                }
            };
            if loaded.is_err() {
                // They are held and nobody works on them: the keeper takes them anew.
                grants.iter().for_each(|grant| self.keeper.drop_shard(grant.shard));
            }
            let taken = loaded?;
            self.shards.extend(taken);
            write::republish(&self.bus, &self.shards, &grants).await?;
            tracing::info!(taken = grants.len(), held = self.shards.len(), "Rules shards taken");
            self.reader = None;
        }
        self.open_reader().await?;
        self.settings.board.set("rules", Health::Ready);
        Ok(())
    }

    /// One reader for all shards, from the lowest cursor: a shard drops what is at or below its own.
    async fn open_reader(&mut self) -> Result<(), crate::bus::Error> {
        let Some(lowest) = self.shards.values().map(|s| s.cursor).min() else {
            self.reader = None;
            return Ok(());
        };
        if self.reader.is_none() {
            let selection = Selection {
                from: From::After(lowest),
                until: Until::Forever,
                filter: "wb.article.>".to_owned(),
            };
            self.reader = Some(self.bus.read(Stream::Articles, selection).await?);
            self.position = lowest;
        }
        Ok(())
    }

    async fn take_item(
        &mut self,
        item: Option<Result<Item, crate::bus::Error>>,
    ) -> Result<(), crate::bus::Error> {
        let mut batch = Vec::new();
        let mut next = item;
        let mut failed = None;
        loop {
            match next {
                Some(Ok(Item::Record(stored))) => batch.push(stored),
                Some(Ok(Item::Overtaken { cursor, first })) => {
                    tracing::error!(cursor, first, "Articles went unread: retention took them");
                    metrics::counter!(metric::OVERTAKEN, "worker" => "rules")
                        .increment(first.saturating_sub(cursor + 1));
                }
                Some(Err(error)) => failed = Some(error),
                None => self.reader = None,
            }
            let reader = match &mut self.reader {
                Some(reader) if failed.is_none() && batch.len() < BATCH => reader,
                _ => break,
            };
            match reader.ready() {
                Some(more) => next = Some(more),
                None => break,
            }
        }
        self.take_batch(batch).await?;
        match failed {
            Some(error) => Err(error),
            None => self.open_reader().await,
        }
    }

    async fn take_batch(&mut self, batch: Vec<Stored>) -> Result<(), crate::bus::Error> {
        let Some(last) = batch.last().map(|stored| stored.seq) else { return Ok(()) };
        let rules = self.settings.rules.load_full();
        let mut read = match_all(batch, rules.clone(), self.settings.tracer.clone()).await;
        let done = self.take_read(&mut read, &rules).await;
        trails::end_read(read, &done);
        done?;
        self.position = last;
        if self.watchdog.is_due() {
            self.look_at_reader(self.bus.end(Stream::Articles).await?);
        }
        Ok(())
    }

    async fn take_read(
        &mut self,
        read: &mut [Read],
        rules: &RuleSet,
    ) -> Result<(), crate::bus::Error> {
        for each in read.iter() {
            if let Err(reason) = each.article {
                write::bury(&self.bus, &each.stored, reason).await?;
            }
        }
        let mut plain = 0;
        for at in 0..read.len() {
            if self.shards.values().any(|s| s.is_careful(read[at].stored.seq)) {
                self.take_group(&mut read[plain..at], rules).await?;
                self.take_carefully(&mut read[at..=at], rules).await?;
                plain = at + 1;
            }
        }
        self.take_group(&mut read[plain..], rules).await
    }

    /// In the stretch where an owner died, the cursor is written before each article, so that it
    /// names the culprit: begun so often without an end, the article is buried.
    async fn take_carefully(
        &mut self,
        one: &mut [Read],
        rules: &RuleSet,
    ) -> Result<(), crate::bus::Error> {
        let [Read { stored, .. }] = &*one else { return Ok(()) };
        let seq = stored.seq;
        let careful = self.shards.iter_mut().filter(|(_, s)| s.is_careful(seq));
        let (given_up, tried): (Vec<_>, Vec<_>) =
            careful.partition(|(_, s)| s.tries_of(seq) >= MAX_TRIES);
        let before = seq.saturating_sub(1);
        let begin = |(number, s): &(&u16, &mut Shard)| (**number, before, s.tries_of(seq) + 1);
        let begun: Vec<(u16, u64, u32)> = tried.iter().map(begin).collect();
        if !given_up.is_empty() {
            write::bury(&self.bus, stored, "killed_its_owners").await?;
            given_up.into_iter().for_each(|(_, shard)| shard.skip(seq));
        }
        for lost in self.keeper.write_cursors(&begun).await? {
            self.shards.remove(&lost);
        }
        self.take_group(one, rules).await
    }

    async fn take_group(
        &mut self,
        read: &mut [Read],
        rules: &RuleSet,
    ) -> Result<(), crate::bus::Error> {
        if read.is_empty() {
            return Ok(());
        }
        shard::drop_unheld(&mut self.shards, &self.keeper);
        let mut group = write::Group::default();
        for (number, shard) in &mut self.shards {
            for one in read.iter() {
                shard.step(*number, one, rules, &mut group);
            }
            shard.collect(*number, &mut group);
        }
        self.trails.of_articles(read, &group.events);
        self.write(group).await
    }

    async fn write(&mut self, mut group: write::Group) -> Result<(), crate::bus::Error> {
        for lost in write::states(&self.bus, &mut self.shards, &mut group).await? {
            self.keeper.drop_shard(lost);
        }
        let (events, verdicts) = tokio::join!(
            write::events(&self.bus, &group.events),
            write::verdicts(&self.bus, &group.verdicts),
        );
        events?;
        verdicts?;
        for (number, shard) in &self.shards {
            self.keeper.note_cursor(*number, shard.cursor);
        }
        Ok(())
    }

    fn now(&self) -> Time {
        Time::from_millis(self.settings.clock.now_ms())
    }

    async fn leave(&mut self) {
        let bounded = tokio::time::timeout(Duration::from_secs(3), async {
            self.keeper.give_back(&self.shards.keys().copied().collect::<Vec<_>>()).await?;
            self.keeper.leave().await
        });
        let failed = match bounded.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => chain(&error),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(error = failed, "Rules leases not given back");
    }
}
