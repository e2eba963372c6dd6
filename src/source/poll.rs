//! Polls feeds: conditionally, one request a host at a time, and for ever.

pub mod schedule;

mod ask;
mod files;
mod index;
mod state;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bus;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Put;
use crate::bus::PutOutcome;
use crate::clock::Clock;
use crate::egress::Client;
use crate::model::Lang;
use crate::model::SourceId;
use crate::model::Time;
use crate::model::names;
use crate::source::Baseline;
use crate::source::Error;
use crate::source::Origin;
use crate::source::Road;
use crate::telemetry::Board;
use crate::telemetry::Health;
use crate::telemetry::metric;

use files::Turns;

pub use ask::Answer;
pub use files::Rest;
pub use index::Announced;
pub use index::Index;
pub use state::State;

/// Most polls under way at once.
const AT_ONCE: usize = 16;
/// Longest sleep of the loop, so that a clock that is set is noticed.
const TICK: Duration = Duration::from_secs(1);
/// Wait before a feed is tried again when the bus was away: that is not the feed's fault.
const BUS_AWAY: Duration = Duration::from_secs(5);
/// Failures in a row from which on somebody should look.
const WORTH_A_LOOK: u32 = 3;
/// Feeds named on the health board.
const NAMED: usize = 5;

/// A feed to poll.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// The source of its articles; it stays when the address changes.
    pub id: SourceId,
    /// Its address.
    pub url: String,
    /// Its name for people.
    pub name: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// It speaks with authority.
    pub official: bool,
    /// The language of entries that name none.
    pub lang: Option<Lang>,
    /// Time between polls that work.
    pub interval: Duration,
    /// Whether its links lead to CAP files; none = where they say so.
    pub cap: Option<bool>,
}

/// How polls are spread.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The feeds.
    pub feeds: Vec<Feed>,
    /// Shortest time between two requests to one host.
    pub host_gap: Duration,
}

/// What polling needs.
#[derive(Clone, Debug)]
pub struct Poller<B> {
    /// Where articles and states are kept.
    pub bus: B,
    /// The outgoing client.
    pub client: Client,
    /// The wall clock.
    pub clock: Clock,
    /// Where failing feeds are shown.
    pub board: Board,
}

impl Settings {
    /// These feeds, with at least a second between requests to one host.
    pub fn new(feeds: Vec<Feed>) -> Self {
        Self { feeds, host_gap: Duration::from_secs(1) }
    }
}

impl Feed {
    /// The key of its record in the bucket `feeds`.
    pub fn key(&self) -> String {
        names::encode(self.id.as_str())
    }

    fn origin(&self, baseline: Baseline) -> Origin {
        Origin {
            road: Road::Feed,
            source: self.id.clone(),
            name: self.name.clone(),
            owner: self.owner.clone(),
            official: self.official,
            lang: self.lang.clone(),
            baseline,
            as_new: false,
        }
    }

    fn host(&self) -> String {
        let url = url::Url::parse(&self.url).ok();
        url.and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// A feed and what is known of it.
struct Slot {
    feed: Feed,
    state: State,
    /// Revision of its record; none if there is none yet.
    revision: Option<u64>,
    due: Time,
    busy: bool,
}

#[derive(Default)]
struct Host {
    busy: bool,
    free_at: Option<Time>,
    throttles: u32,
}

/// What came of one poll.
struct Done {
    slot: usize,
    host: String,
    kept: Result<(State, Option<u64>), Error>,
    answer: Answer,
}

impl<B: Bus> Poller<B> {
    /// Polls until told to stop; what is under way then is finished.
    pub async fn run(self, settings: Settings, stop: CancellationToken) -> Result<(), Error> {
        let Some(mut slots) = self.load(settings.feeds, &stop).await? else { return Ok(()) };
        let mut hosts: HashMap<String, Host> = HashMap::new();
        let poller = Arc::new(self);
        let turns = Turns::new(settings.host_gap, stop.clone());
        let mut tasks: JoinSet<Done> = JoinSet::new();
        poller.show(&slots);
        while !stop.is_cancelled() {
            poller.start_due(&mut slots, &mut hosts, &mut tasks, &turns);
            let wait = poller.wait(&slots, &hosts);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(done) = tasks.join_next(), if !tasks.is_empty() => {
                    let done = done.map_err(|_| Error::Panicked)?;
                    poller.take(done, &mut slots, &mut hosts, settings.host_gap)?;
                    poller.show(&slots);
                }
                () = tokio::time::sleep(wait) => {}
            }
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(|_| Error::Panicked)?.kept.map(drop).or_else(hold_temporary)?;
        }
        Ok(())
    }

    /// What is remembered of each feed; none if told to stop before the bus answered.
    async fn load(
        &self,
        feeds: Vec<Feed>,
        stop: &CancellationToken,
    ) -> Result<Option<Vec<Slot>>, Error> {
        let mut slots = Vec::with_capacity(feeds.len());
        for feed in feeds {
            let (state, revision) = loop {
                match self.stored(&feed).await {
                    Ok(found) => break found,
                    Err(e) if e.is_temporary() => {
                        tokio::select! {
                            biased;
                            () = stop.cancelled() => return Ok(None),
                            () = tokio::time::sleep(TICK) => {}
                        }
                    }
                    Err(e) => return Err(e.into()),
                }
            };
            let due = state.next_poll;
            slots.push(Slot { feed, state, revision, due, busy: false });
        }
        Ok(Some(slots))
    }

    async fn stored(&self, feed: &Feed) -> Result<(State, Option<u64>), bus::Error> {
        let fresh = State::new(&feed.url, self.now());
        let Some(entry) = self.bus.get(Bucket::Feeds, &feed.key()).await? else {
            return Ok((fresh, None));
        };
        let read = entry.value.and_then(|value| serde_json::from_slice::<State>(&value).ok());
        // Another address is another feed: its validators, its end and its baseline are its own.
        let state = read.filter(|state| state.url == feed.url).unwrap_or(fresh);
        Ok((state, Some(entry.revision)))
    }

    fn start_due(
        self: &Arc<Self>,
        slots: &mut [Slot],
        hosts: &mut HashMap<String, Host>,
        tasks: &mut JoinSet<Done>,
        turns: &Turns,
    ) {
        let now = self.now();
        for (index, slot) in slots.iter_mut().enumerate() {
            if tasks.len() >= AT_ONCE {
                return;
            }
            if slot.busy || slot.state.gone || slot.due > now {
                continue;
            }
            let name = slot.feed.host();
            let host = hosts.entry(name.clone()).or_default();
            if host.busy || host.free_at.is_some_and(|at| at > now) {
                continue;
            }
            host.busy = true;
            slot.busy = true;
            let (poller, turns) = (Arc::clone(self), turns.clone());
            let (feed, state, revision) = (slot.feed.clone(), slot.state.clone(), slot.revision);
            tasks.spawn(async move {
                let (answer, kept) = Box::pin(poller.poll(&feed, (state, revision), &turns)).await;
                Done { slot: index, host: name, kept, answer }
            });
        }
    }

    /// Time until the next feed can be due.
    fn wait(&self, slots: &[Slot], hosts: &HashMap<String, Host>) -> Duration {
        let now = self.now();
        let open = slots.iter().filter(|slot| !slot.busy && !slot.state.gone);
        let next = open.map(|slot| {
            let free = hosts.get(&slot.feed.host()).and_then(|host| host.free_at);
            free.map_or(slot.due, |at| at.max(slot.due)).since(now)
        });
        next.min().unwrap_or(TICK).clamp(Duration::from_millis(10), TICK)
    }

    fn take(
        &self,
        done: Done,
        slots: &mut [Slot],
        hosts: &mut HashMap<String, Host>,
        gap: Duration,
    ) -> Result<(), Error> {
        let now = self.now();
        let host = hosts.entry(done.host).or_default();
        host.busy = false;
        host.free_at = Some(now.plus(gap));
        match &done.answer {
            Answer::Throttled(wait) => {
                host.throttles = host.throttles.saturating_add(1);
                let pause = wait.unwrap_or_else(|| schedule::host_pause(host.throttles));
                host.free_at = Some(now.plus(pause.max(gap)));
            }
            Answer::Fresh { .. } | Answer::Unchanged { .. } => host.throttles = 0,
            _ => {}
        }
        let Some(slot) = slots.get_mut(done.slot) else { return Ok(()) };
        slot.busy = false;
        match done.kept {
            Ok((state, revision)) => {
                tell(&slot.feed, &slot.state, &state);
                slot.due = state.next_poll;
                slot.state = state;
                slot.revision = revision;
                Ok(())
            }
            Err(e) => {
                slot.due = now.plus(BUS_AWAY);
                hold_temporary(e)
            }
        }
    }

    /// Polls one feed: ask, publish, then remember.
    async fn poll(
        &self,
        feed: &Feed,
        (mut state, revision): (State, Option<u64>),
        turns: &Turns,
    ) -> (Answer, Result<(State, Option<u64>), Error>) {
        let started = std::time::Instant::now();
        let baseline = state.baseline(self.now());
        let asking = ask::ask(&self.client, feed, &state, self.now());
        let mut answer = turns.take(&feed.host(), asking).await;
        if let Answer::Fresh { drafts, announced, rest, .. } = &mut answer {
            let drafts = std::mem::take(drafts);
            if let Err(e) = self.publish(feed, drafts, baseline).await {
                return (answer, Err(e.into()));
            }
            match self.take_files(feed, &mut state, announced, (turns, baseline)).await {
                Ok(left) => *rest = left,
                Err(e) => return (answer, Err(e.into())),
            }
        }
        metrics::counter!(metric::FEED_POLLS, "result" => answer.label()).increment(1);
        metrics::histogram!(metric::FEED_POLL_SECONDS).record(started.elapsed().as_secs_f64());
        ask::remember(&mut state, &answer, feed.interval, (self.now(), fastrand::f64()));
        // Only now: a validator stored before its articles would hide them for ever.
        let kept = self.keep(feed, state, revision).await.map_err(Error::from);
        (answer, kept)
    }

    async fn keep(
        &self,
        feed: &Feed,
        state: State,
        revision: Option<u64>,
    ) -> Result<(State, Option<u64>), bus::Error> {
        let value = serde_json::to_vec(&state).expect("a state has only string keys");
        let put = Put { key: feed.key(), value: value.into(), expect: revision };
        match self.bus.put(Bucket::Feeds, put).await? {
            PutOutcome::Written(revision) => Ok((state, Some(revision))),
            // Another process polls it too: what that one knows is as good.
            PutOutcome::Conflict => self.stored(feed).await,
        }
    }

    fn show(&self, slots: &[Slot]) {
        let failing: Vec<&str> = slots
            .iter()
            .filter(|slot| slot.state.gone || slot.state.failures >= WORTH_A_LOOK)
            .map(|slot| slot.feed.id.as_str())
            .collect();
        let health = if failing.is_empty() {
            Health::Ready
        } else {
            let named = failing.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            let more = if failing.len() > NAMED { ", …" } else { "" };
            let (failing, all) = (failing.len(), slots.len());
            Health::Degraded(format!("{failing} of {all} feeds fail: {named}{more}"))
        };
        self.board.set("feeds", health);
    }

    fn now(&self) -> Time {
        Time::from_millis(self.clock.now_ms())
    }
}

/// A bus that is away is waited for; anything else stops the source.
fn hold_temporary(error: Error) -> Result<(), Error> {
    if error.is_temporary() { Ok(()) } else { Err(error) }
}

/// Logs what changed, and only that.
fn tell(feed: &Feed, before: &State, after: &State) {
    if after.gone && !before.gone {
        tracing::warn!(source.id = %feed.id, "Feed is gone for good and is no longer polled; remove it or give its new address");
    } else if after.last_error != before.last_error {
        match &after.last_error {
            Some(error) if after.failures == 0 => {
                tracing::warn!(source.id = %feed.id, error, "Feed is read in part");
            }
            Some(error) => {
                tracing::warn!(source.id = %feed.id, failures = after.failures, error, "Feed cannot be read");
            }
            None => tracing::info!(source.id = %feed.id, "Feed is read again"),
        }
    } else if after.first_poll_done && !before.first_poll_done {
        tracing::info!(source.id = %feed.id, "Feed is read for the first time");
    }
}
