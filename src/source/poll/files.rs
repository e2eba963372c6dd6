//! The files that a feed leads to, CAP messages and pages: fetched one after the other, one a host
//! at a time, and published as they come.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use http::HeaderValue;
use http::header;
use tokio_util::sync::CancellationToken;

use crate::bus;
use crate::bus::Bus;
use crate::clock::Clock;
use crate::egress;
use crate::egress::Client;
use crate::egress::Fetch;
use crate::egress::Fetched;
use crate::feed;
use crate::feed::Draft;
use crate::feed::cap;
use crate::model::Time;
use crate::source::Accepted;
use crate::source::Baseline;
use crate::source::Reason;
use crate::source::Status;
use crate::source::poll::Feed;
use crate::source::poll::Poller;
use crate::source::poll::Round;
use crate::source::poll::State;
use crate::source::poll::ask;
use crate::source::poll::host_of;
use crate::source::poll::index::Announced;
use crate::source::poll::index::MAX_FILES;
use crate::source::poll::index::Stub;
use crate::source::poll::pages;
use crate::source::poll::pages::Robots;
use crate::source::poll::schedule;
use crate::source::publish_all;
use crate::telemetry::logs::chain;
use crate::telemetry::metric;

/// Failures of a host in a row after which its other files wait for the next poll.
const MAX_FAILURES: u32 = 3;
/// Hosts remembered before those that are free are forgotten.
const MANY_HOSTS: usize = 1_000;

/// What of an index could not be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rest {
    /// There were more files than one poll fetches.
    pub more: bool,
    /// Which could not be read, and why.
    pub trouble: Option<String>,
    /// How long a host asked to be left alone.
    pub wait: Duration,
}

/// Whose turn it is to ask a host: one request at a time, with a gap between two.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    clock: Clock,
    gap: Duration,
    stop: CancellationToken,
    pub(super) robots: Robots,
    hosts: Arc<Mutex<HashMap<String, Host>>>,
}

/// When a host may be asked again; held while it is asked.
type Host = Arc<tokio::sync::Mutex<Option<Time>>>;

/// What came of one file.
pub(super) enum Came {
    Drafts(Vec<Draft>),
    Missed { why: String, is_denied: bool },
    Throttled(Option<Duration>),
}

impl Turns {
    pub(super) fn new(clock: Clock, gap: Duration, stop: CancellationToken) -> Self {
        Self { clock, gap, stop, robots: Robots::default(), hosts: Arc::default() }
    }

    /// Waits for the host to be free, does the work, and leaves it alone for the gap.
    pub(super) async fn take<T>(&self, host: &str, work: impl Future<Output = T>) -> T {
        let turn = self.host(host);
        let mut free_at = turn.lock().await;
        if let Some(at) = *free_at {
            // A clock that was set back is no reason to wait longer.
            self.clock.sleep(at.since(self.now()).min(self.gap)).await;
        }
        let done = work.await;
        *free_at = Some(self.now().plus(self.gap));
        done
    }

    pub(super) fn now(&self) -> Time {
        Time::from_millis(self.clock.now_ms())
    }

    fn host(&self, name: &str) -> Host {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= MANY_HOSTS {
            let now = self.now();
            // One that is neither asked nor waited for, and was left alone long enough.
            hosts.retain(|_, host| {
                let is_free = host.try_lock().is_ok_and(|at| at.is_none_or(|at| at <= now));
                Arc::strong_count(host) > 1 || !is_free
            });
        }
        hosts.entry(name.to_owned()).or_default().clone()
    }
}

impl<B: Bus> Poller<B> {
    /// Fetches and publishes the files that an index announces; those of its first reading are a
    /// baseline whenever they come. What is taken is noted in the state once it is durable.
    pub(super) async fn take_files(
        &self,
        feed: &Feed,
        state: &mut State,
        announced: &[Announced],
        (turns, round): (&Turns, Round),
    ) -> Result<Rest, bus::Error> {
        self.take_stubs(feed, state, announced, round).await?;
        let files = state.index.list(announced, round.baseline == Baseline::All);
        let mut rest = Rest { more: files.len() > MAX_FILES, ..Rest::default() };
        let (mut missed, mut busy) = (0_usize, Vec::new());
        let mut failures: HashMap<String, u32> = HashMap::new();
        for file in files.iter().take(MAX_FILES) {
            if turns.stop.is_cancelled() {
                rest.more = true;
                break;
            }
            let host = host_of(&file.url);
            if busy.contains(&host) {
                continue;
            }
            let came = match &file.stub {
                None => turns.take(&host, fetch(&self.client, &file.url, self.now())).await,
                Some(stub) => pages::read(&self.client, turns, &file.url, &stub.draft).await,
            };
            let metric = if file.stub.is_some() { metric::PAGES } else { metric::CAP_FILES };
            metrics::counter!(metric, "result" => came.label()).increment(1);
            match came {
                Came::Drafts(drafts) => {
                    let is_first = state.index.is_first(&file.key);
                    let baseline = if is_first { Baseline::All } else { round.baseline };
                    let round = Round { baseline, ..round };
                    if let Some(lags) = self.publish(feed, drafts, round).await? {
                        state.cadence.note(self.now(), lags);
                    }
                    state.index.took(&file.key);
                }
                Came::Missed { why, is_denied } => {
                    missed += 1;
                    // A host that is down would cost its time limit for each of its files.
                    let failed = failures.entry(host.clone()).or_default();
                    *failed = if is_denied { 0 } else { failed.saturating_add(1) };
                    if *failed >= MAX_FAILURES {
                        busy.push(host);
                    }
                    if state.index.missed(&file.key, is_denied) {
                        tracing::warn!(source.id = %feed.id, url = file.url, why, "File is given up");
                        let stub = file.stub.as_ref().map(|stub| stub.draft.clone());
                        self.publish(feed, stub.into_iter().collect(), round).await?;
                    }
                    rest.trouble.get_or_insert_with(|| format!("{}: {why}", file.url));
                }
                Came::Throttled(wait) => {
                    rest.wait = rest.wait.max(wait.unwrap_or_else(|| schedule::host_pause(1)));
                    rest.trouble.get_or_insert_with(|| format!("{host} asks for fewer requests"));
                    busy.push(host);
                }
            }
        }
        if let Some(first) = rest.trouble.take() {
            let waiting = state.index.waiting().max(missed);
            rest.trouble = Some(ask::short(&format!("{waiting} files are missing; {first}")));
        }
        Ok(rest)
    }

    /// What is new rings with what the feed says of it; its page, which comes later, revises that.
    async fn take_stubs(
        &self,
        feed: &Feed,
        state: &mut State,
        announced: &[Announced],
        round: Round,
    ) -> Result<(), bus::Error> {
        let stubs = announced.iter().filter_map(|one| one.stub.as_deref());
        let new: Vec<&Stub> = stubs.filter(|stub| !state.index.knows(&stub.entry)).collect();
        let drafts = new.iter().map(|stub| stub.draft.clone()).collect();
        if let Some(lags) = self.publish(feed, drafts, round).await? {
            state.cadence.note(self.now(), lags);
        }
        new.iter().for_each(|stub| state.index.saw(&stub.entry));
        Ok(())
    }

    /// Publishes what a poll brought; what cannot be taken is counted and costs no other. Where
    /// something is new, how long after their publication the new articles came, as far as they
    /// say; what was there before the first poll tells nothing of that.
    pub(super) async fn publish(
        &self,
        feed: &Feed,
        drafts: Vec<Draft>,
        round: Round,
    ) -> Result<Option<Vec<Duration>>, bus::Error> {
        let origin = feed.origin(round);
        let dates: Vec<Option<Time>> = drafts.iter().map(|draft| draft.published_at).collect();
        let answers = publish_all(&self.bus, &origin, drafts, self.now()).await?;
        let rejected = answers.iter().filter(|a| a.is_err()).count();
        if rejected > 0 {
            tracing::debug!(source.id = %feed.id, articles = rejected, "Entries were not taken");
        }
        let now = self.now();
        let is_new = |answer: &Result<Accepted, Reason>| {
            answer.as_ref().is_ok_and(|taken| taken.status == Status::New)
        };
        let new = dates.iter().zip(&answers).filter(|(_, answer)| is_new(answer));
        let dates: Vec<&Option<Time>> = new.map(|(date, _)| date).collect();
        let news = !dates.is_empty() && round.baseline != Baseline::All;
        Ok(news.then(|| dates.into_iter().flatten().map(|date| now.since(*date)).collect()))
    }
}

impl Rest {
    /// Whether the index was taken whole, so that only what changes in it is asked for from now on.
    pub(super) fn is_nothing(&self) -> bool {
        !self.more && self.trouble.is_none()
    }
}

impl Came {
    fn label(&self) -> &'static str {
        match self {
            Self::Drafts(_) => "taken",
            Self::Missed { .. } => "missed",
            Self::Throttled(_) => "throttled",
        }
    }
}

async fn fetch(client: &Client, url: &str, now: Time) -> Came {
    let mut fetch = Fetch::new(url);
    let accept = "application/cap+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5";
    fetch.headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    let fetched = match client.fetch(fetch).await {
        Ok(fetched) => fetched,
        Err(e) => return failed(&e),
    };
    match fetched.status.as_u16() {
        200 if fetched.complete => read(fetched, now).await,
        200 => Came::Missed { why: "the file broke off on the way".into(), is_denied: false },
        _ => refused(&fetched, now),
    }
}

/// What an answer without a document means.
pub(super) fn refused(fetched: &Fetched, now: Time) -> Came {
    if let Some(wait) = ask::throttled(fetched, now) {
        return Came::Throttled(wait);
    }
    let status = fetched.status.as_u16();
    let why = format!("the server answered {status}");
    Came::Missed { why, is_denied: matches!(status, 404 | 410) }
}

/// What it means that there is no answer.
pub(super) fn failed(error: &egress::Error) -> Came {
    let is_denied = matches!(error, egress::Error::Refused { .. } | egress::Error::TooLarge { .. });
    let why = match error {
        egress::Error::Refused { .. } => ask::refused(error),
        _ => chain(error),
    };
    Came::Missed { why, is_denied }
}

async fn read(fetched: Fetched, now: Time) -> Came {
    let charset = ask::charset(&fetched.headers);
    let reading = tokio::task::spawn_blocking(move || {
        let mut read = cap::read(&fetched.body, charset.as_deref(), Some(&fetched.url))?;
        read.messages.iter_mut().for_each(|one| one.draft.check_dates(now));
        Ok::<_, feed::Error>(read.messages.into_iter().map(|one| one.draft).collect())
    });
    match reading.await {
        Ok(Ok(drafts)) => Came::Drafts(drafts),
        Ok(Err(e)) => Came::Missed { why: e.to_string(), is_denied: true },
        Err(_) => Came::Missed { why: "the file cannot be read".into(), is_denied: true },
    }
}
