//! The loop: whose turn it is, what is under way, and what came of it.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bus;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::model::Time;
use crate::source::Error;
use crate::source::poll::Answer;
use crate::source::poll::Feed;
use crate::source::poll::Poller;
use crate::source::poll::Settings;
use crate::source::poll::Share;
use crate::source::poll::State;
use crate::source::poll::files::Turns;
use crate::source::poll::host_of;
use crate::source::poll::rota::Rota;
use crate::source::poll::schedule;
use crate::source::poll::tell;
use crate::telemetry::Board;
use crate::telemetry::Health;
use crate::telemetry::metric;

/// Most polls under way at once.
const AT_ONCE: usize = 16;
/// Longest sleep of the loop, so that a clock that is set is noticed.
const TICK: Duration = Duration::from_secs(10);
/// Wait before the states of feeds are read again when the bus was away.
const LOAD_AGAIN: Duration = Duration::from_secs(1);
/// Wait before a feed is tried again when the bus was away: that is not the feed's fault.
const BUS_AWAY: Duration = Duration::from_secs(5);
/// Failures in a row from which on somebody should look.
const WORTH_A_LOOK: u32 = 3;
/// Feeds named on the health board.
const NAMED: usize = 5;
/// Feeds that were never polled begin so long after one another.
const SPREAD: Duration = Duration::from_millis(20);
/// The health board is written this often at most.
const SHOW_EVERY: Duration = Duration::from_secs(5);

/// A feed and what is known of it.
struct Slot {
    feed: Feed,
    shard: u16,
    /// What is remembered, and the revision of the record; none while its shard is not held.
    known: Option<(State, Option<u64>)>,
    busy: bool,
}

struct Desk<B> {
    poller: Arc<Poller<B>>,
    share: Share,
    turns: Turns,
    slots: Vec<Slot>,
    held: BTreeSet<u16>,
    rota: Rota,
    throttles: HashMap<String, u32>,
    tasks: JoinSet<Done>,
    shown: Option<Time>,
}

/// What came of one poll.
struct Done {
    slot: usize,
    host: String,
    kept: Result<(State, Option<u64>), Error>,
    answer: Answer,
}

impl<B: Bus> Poller<B> {
    /// Polls the feeds of its share until told to stop; what is under way then is finished.
    pub async fn run(self, settings: Settings, stop: CancellationToken) -> Result<(), Error> {
        let Settings { feeds, host_gap, share } = settings;
        let slot = |feed: Feed| Slot { shard: feed.shard(), feed, known: None, busy: false };
        let turns = Turns::new(self.clock.clone(), host_gap, stop.clone());
        let mut desk = Desk {
            poller: Arc::new(self),
            share,
            turns,
            slots: feeds.into_iter().map(slot).collect(),
            held: BTreeSet::new(),
            rota: Rota::new(host_gap),
            throttles: HashMap::new(),
            tasks: JoinSet::new(),
            shown: None,
        };
        desk.work(&stop).await?;
        while let Some(done) = desk.tasks.join_next().await {
            done.map_err(|_| Error::Panicked)?.kept.map(drop).or_else(hold_temporary)?;
        }
        Ok(())
    }
}

impl<B: Bus> Desk<B> {
    async fn work(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let mut held = self.share.held();
        let clock = self.poller.clock.clone();
        let mut retry_at: Option<Time> = None;
        while !stop.is_cancelled() {
            let is_due = retry_at.is_some_and(|at| at <= self.poller.now());
            if is_due || held.has_changed().unwrap_or(false) {
                let wanted = held.borrow_and_update().clone();
                retry_at = match self.hold(&wanted).await {
                    Ok(()) => None,
                    Err(e) if e.is_temporary() => Some(self.poller.now().plus(LOAD_AGAIN)),
                    Err(e) => return Err(e.into()),
                };
            }
            self.start_due();
            self.show();
            let now = self.poller.now();
            let wait = self.rota.wait(now).filter(|_| self.tasks.len() < AT_ONCE);
            let wait = wait.into_iter().chain(retry_at.map(|at| at.since(now))).min();
            let wait = wait.unwrap_or(TICK).clamp(Duration::from_millis(10), TICK);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    self.take(done.map_err(|_| Error::Panicked)?)?;
                }
                Ok(()) = held.changed() => held.mark_changed(),
                () = clock.sleep(wait) => {}
            }
        }
        Ok(())
    }

    /// Takes up the feeds of shards that came, as they are remembered, and drops those of shards
    /// that went.
    async fn hold(&mut self, held: &BTreeSet<u16>) -> Result<(), bus::Error> {
        let gone: Vec<u16> = self.held.difference(held).copied().collect();
        let came: BTreeSet<u16> = held.difference(&self.held).copied().collect();
        for (place, slot) in self.slots.iter_mut().enumerate() {
            if gone.contains(&slot.shard) {
                slot.known = None;
                self.rota.leave(place);
            }
        }
        self.held.retain(|shard| held.contains(shard));
        if self.slots.iter().any(|slot| came.contains(&slot.shard)) {
            let listed = self.poller.bus.list(Bucket::Feeds, "").await?;
            let mut stored: HashMap<String, bus::Entry> =
                listed.entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
            let now = self.poller.now();
            let mut first = now;
            for place in 0..self.slots.len() {
                let slot = &mut self.slots[place];
                if !came.contains(&slot.shard) {
                    continue;
                }
                let entry = stored.remove(&slot.feed.key());
                let value = entry.as_ref().and_then(|entry| entry.value.as_deref());
                let mut state = State::read(&slot.feed, value, now);
                if state.last_ok.is_none() && state.failures == 0 {
                    state.next_poll = first;
                    first = first.plus(SPREAD);
                }
                slot.known = Some((state, entry.map(|entry| entry.revision)));
                self.enter(place);
            }
        }
        self.held.extend(came);
        self.shown = None;
        Ok(())
    }

    /// Has a feed wait for its time, where it is to be polled at all.
    fn enter(&mut self, place: usize) {
        let Some(slot) = self.slots.get(place) else { return };
        if let Some((state, _)) = slot.known.as_ref().filter(|(state, _)| !state.gone && !slot.busy)
        {
            self.rota.enter(place, &host_of(state.address()), state.next_poll);
        }
    }

    fn start_due(&mut self) {
        let now = self.poller.now();
        while self.tasks.len() < AT_ONCE
            && let Some(place) = self.rota.next(now)
        {
            let Some(slot) = self.slots.get_mut(place) else { continue };
            let Some(known) = slot.known.clone() else { continue };
            let Some(begun) = self.share.begin(slot.shard) else {
                // It was taken away a moment ago, which is seen in the next round.
                self.rota.ended(&host_of(known.0.address()), now, None);
                continue;
            };
            slot.busy = true;
            let (poller, turns) = (Arc::clone(&self.poller), self.turns.clone());
            let (feed, host) = (slot.feed.clone(), host_of(known.0.address()));
            self.tasks.spawn(async move {
                let (answer, kept) = Box::pin(poller.poll(&feed, known, &turns)).await;
                drop(begun);
                Done { slot: place, host, kept, answer }
            });
        }
    }

    fn take(&mut self, done: Done) -> Result<(), Error> {
        let now = self.poller.now();
        let pause = match &done.answer {
            Answer::Throttled(wait) => {
                let times = self.throttles.entry(done.host.clone()).or_default();
                *times = times.saturating_add(1);
                Some(wait.unwrap_or_else(|| schedule::host_pause(*times)))
            }
            Answer::Fresh { .. } | Answer::Unchanged(_) => {
                self.throttles.remove(&done.host);
                None
            }
            _ => None,
        };
        self.rota.ended(&done.host, now, pause);
        let Some(slot) = self.slots.get_mut(done.slot) else { return Ok(()) };
        slot.busy = false;
        let kept = match done.kept {
            Ok((state, revision)) => {
                if let Some(known) = &mut slot.known {
                    tell(&slot.feed, &known.0, &state);
                    *known = (state, revision);
                }
                Ok(())
            }
            Err(e) => {
                if let Some((state, _)) = &mut slot.known {
                    state.next_poll = now.plus(BUS_AWAY);
                }
                hold_temporary(e)
            }
        };
        self.enter(done.slot);
        kept
    }

    fn show(&mut self) {
        let now = self.poller.now();
        if self.shown.is_some_and(|shown| shown <= now && now.since(shown) < SHOW_EVERY) {
            return;
        }
        self.shown = Some(now);
        show(&self.slots, &self.poller.board);
    }
}

fn show(slots: &[Slot], board: &Board) {
    let known: Vec<(&Feed, &State)> =
        slots.iter().filter_map(|slot| Some((&slot.feed, &slot.known.as_ref()?.0))).collect();
    let fails = |state: &State| state.gone || state.failures >= WORTH_A_LOOK;
    let mut said = Vec::new();
    let mut list = |what: &str, is_one: &dyn Fn(&State) -> bool| {
        let found: Vec<&str> = known
            .iter()
            .filter(|(_, state)| is_one(state))
            .map(|(feed, _)| feed.id.as_str())
            .collect();
        if !found.is_empty() {
            let named = found.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = if found.len() > NAMED { ", …" } else { "" };
            said.push(format!("{} of {} feeds {what}: {named}{more}", found.len(), known.len()));
        }
        f64::from(u32::try_from(found.len()).unwrap_or(u32::MAX))
    };
    metrics::gauge!(metric::FEEDS_FAILING).set(list("fail", &fails));
    let silent = |state: &State| state.silent_since.is_some() && !fails(state);
    metrics::gauge!(metric::FEEDS_SILENT).set(list("are silent", &silent));
    let health = if said.is_empty() { Health::Ready } else { Health::Degraded(said.join("; ")) };
    board.set("feeds", health);
}

/// A bus that is away is waited for; anything else stops the source.
fn hold_temporary(error: Error) -> Result<(), Error> {
    if error.is_temporary() { Ok(()) } else { Err(error) }
}
