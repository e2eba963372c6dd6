//! Polls feeds: conditionally, one request a host at a time, and for ever.

pub mod schedule;
pub mod share;

mod ask;
mod cadence;
mod desk;
mod entries;
mod files;
mod freshness;
mod index;
mod moves;
mod pages;
mod rota;
mod state;

use std::time::Duration;

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
use crate::model::TraceContext;
use crate::model::id::shard_of;
use crate::model::names;
use crate::source::Baseline;
use crate::source::Error;
use crate::source::Origin;
use crate::source::Road;
use crate::spans::Tracer;
use crate::telemetry::Board;
use crate::telemetry::logs::chain;
use crate::telemetry::metric;
use crate::telemetry::traces::Kind;

use files::Turns;

pub use ask::Answer;
pub use ask::Said;
pub use cadence::Cadence;
pub use entries::Entries;
pub use files::Rest;
pub use index::Announced;
pub use index::Index;
pub use index::Stub;
pub use moves::Moves;
pub use share::Share;
pub use state::State;

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
    /// It is asked at that interval even where it asks to be asked less often.
    pub eager: bool,
    /// After so long without news it counts as silent; none = that is learned.
    pub silent_after: Option<Duration>,
    /// Its entries are only the beginnings: the articles are on the pages they link to.
    pub pages: bool,
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
    /// Which of them are polled here.
    pub share: Share,
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
    /// What polls are recorded with.
    pub tracer: Tracer,
}

/// What holds for all that one poll brings.
#[derive(Clone, Copy, Debug)]
struct Round {
    baseline: Baseline,
    trace: Option<TraceContext>,
}

impl Feed {
    /// The key of its record in the bucket `feeds`.
    pub fn key(&self) -> String {
        names::encode(self.id.as_str())
    }

    fn origin(&self, Round { baseline, trace }: Round) -> Origin {
        Origin {
            road: Road::Feed,
            source: self.id.clone(),
            name: self.name.clone(),
            owner: self.owner.clone(),
            official: self.official,
            lang: self.lang.clone(),
            baseline,
            as_new: false,
            trace,
        }
    }

    /// The shard that it is in: all feeds of a host are polled by one worker, so that the host
    /// sees one request at a time.
    pub fn shard(&self) -> u16 {
        shard_of(&host_of(&self.url))
    }
}

/// The host of an address; empty where there is none.
fn host_of(url: &str) -> String {
    let url = url::Url::parse(url).ok();
    url.and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_default()
}

impl<B: Bus> Poller<B> {
    /// Polls one feed, on a span that all it brings belongs to.
    async fn poll(
        &self,
        feed: &Feed,
        known: (State, Option<u64>),
        turns: &Turns,
    ) -> (Answer, Result<(State, Option<u64>), Error>) {
        let mut span = self.tracer.begin(Kind::Internal, "source.poll", None);
        let host = host_of(known.0.address());
        let (answer, kept) = self.take(feed, known, (turns, span.context())).await;
        span.note(|span| {
            span.text("source.id", feed.id.to_string());
            span.text("server.address", host);
            span.text("poll.result", answer.label());
            span.error = match (&answer, &kept) {
                (_, Err(error)) => Some(chain(error)),
                (Answer::Failed(why) | Answer::Denied(why), _) => Some(why.clone()),
                _ => None,
            };
        });
        span.end();
        (answer, kept)
    }

    /// Asks, publishes, then remembers.
    async fn take(
        &self,
        feed: &Feed,
        (mut state, revision): (State, Option<u64>),
        (turns, trace): (&Turns, Option<TraceContext>),
    ) -> (Answer, Result<(State, Option<u64>), Error>) {
        let started = std::time::Instant::now();
        let round = Round { baseline: state.baseline(self.now()), trace };
        let asking = ask::ask(&self.client, feed, &state, self.now());
        let mut answer = turns.take(&host_of(state.address()), asking).await;
        if let Answer::Fresh { drafts, announced, rest, .. } = &mut answer {
            let drafts = std::mem::take(drafts);
            match self.publish(feed, drafts, round).await {
                Ok(Some(lags)) => state.cadence.note(self.now(), lags),
                Ok(None) => {}
                Err(e) => return (answer, Err(e.into())),
            }
            match self.take_files(feed, &mut state, announced, (turns, round)).await {
                Ok(left) => *rest = left,
                Err(e) => return (answer, Err(e.into())),
            }
        }
        metrics::counter!(metric::FEED_POLLS, "result" => answer.label()).increment(1);
        metrics::histogram!(metric::FEED_POLL_SECONDS).record(started.elapsed().as_secs_f64());
        ask::remember(&mut state, &answer, feed, (self.now(), fastrand::f64()));
        // Only now: a validator stored before its articles would hide them for ever.
        let kept = self.keep(feed, state, revision).await.map_err(Error::from);
        (answer, kept)
    }

    /// What is remembered of a feed; one that was never polled is new.
    async fn stored(&self, feed: &Feed) -> Result<(State, Option<u64>), bus::Error> {
        match self.bus.get(Bucket::Feeds, &feed.key()).await? {
            Some(entry) => {
                Ok((State::read(feed, entry.value.as_deref(), self.now()), Some(entry.revision)))
            }
            None => Ok((State::read(feed, None, self.now()), None)),
        }
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

    fn now(&self) -> Time {
        Time::from_millis(self.clock.now_ms())
    }
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
    } else if after.adopted() != before.adopted() {
        let url = after.address();
        tracing::warn!(source.id = %feed.id, url, "Feed has moved for good and is read there; write its new address into the sources");
    } else if after.silent_since != before.silent_since {
        match after.silent_since {
            Some(since) => {
                tracing::warn!(source.id = %feed.id, %since, "Feed is silent for longer than it should be")
            }
            None => tracing::info!(source.id = %feed.id, "Feed speaks again"),
        }
    } else if after.first_poll_done && !before.first_poll_done {
        tracing::info!(source.id = %feed.id, "Feed is read for the first time");
    }
}
