//! One question to a feed's server, and what is remembered of the answer.

use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header;

use crate::egress;
use crate::egress::Client;
use crate::egress::Fetch;
use crate::egress::Fetched;
use crate::feed;
use crate::feed::Context;
use crate::feed::Draft;
use crate::feed::Rhythm;
use crate::feed::charset;
use crate::model::Time;
use crate::source::poll::Announced;
use crate::source::poll::Entries;
use crate::source::poll::Feed;
use crate::source::poll::Rest;
use crate::source::poll::State;
use crate::source::poll::freshness::fresh_for;
use crate::source::poll::index::divide;
use crate::source::poll::index::to_pages;
use crate::source::poll::moves;
use crate::source::poll::schedule;
use crate::telemetry::logs::chain;

/// Longest validator kept.
const MAX_VALIDATOR: usize = 1_024;
/// Longest error text kept.
const MAX_ERROR: usize = 300;
/// Longest wait where one poll did not get through all files.
const SOON: Duration = Duration::from_secs(60);
/// Failures in a row at an address that a feed moved to, after which the old one is asked again.
const FAILURES_ELSEWHERE: u32 = 3;

/// What a feed's server answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A document.
    Fresh {
        /// Its entries.
        drafts: Vec<Draft>,
        /// What is to be remembered of them.
        entries: Entries,
        /// What was said beside it.
        said: Said,
        /// How often it asks to be asked.
        rhythm: Rhythm,
        /// It did not break off on the way.
        complete: bool,
        /// Its entries that announce CAP files.
        announced: Vec<Announced>,
        /// What of these could not be read.
        rest: Rest,
    },
    /// Nothing new, perhaps with other validators.
    Unchanged(Said),
    /// Too many requests, or no capacity: how long to leave the host alone, if it says so.
    Throttled(Option<Duration>),
    /// Gone for good.
    Gone,
    /// The server does not want to give it: no early change is to be hoped for.
    Denied(String),
    /// Anything else.
    Failed(String),
}

/// What a server says beside a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Validator, verbatim.
    pub etag: Option<String>,
    /// Validator, verbatim.
    pub last_modified: Option<String>,
    /// For so long asking again is of no use.
    pub fresh_for: Option<Duration>,
    /// Where it says that the feed has moved for good.
    pub moved_to: Option<String>,
}

impl Said {
    fn of(fetched: &Fetched, now: Time) -> Self {
        Self {
            etag: text(&fetched.headers, header::ETAG),
            last_modified: text(&fetched.headers, header::LAST_MODIFIED),
            fresh_for: fresh_for(&fetched.headers, now),
            moved_to: moves::lasting(&fetched.redirects),
        }
    }
}

impl Answer {
    /// The word in metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Fresh { .. } => "fresh",
            Self::Unchanged(_) => "unchanged",
            Self::Throttled(_) => "throttled",
            Self::Gone => "gone",
            Self::Denied(_) | Self::Failed(_) => "failed",
        }
    }
}

/// Asks for what changed since the last answer.
pub(super) async fn ask(client: &Client, feed: &Feed, state: &State, now: Time) -> Answer {
    let mut fetch = Fetch::new(state.address());
    let accept = "application/atom+xml, application/rss+xml, application/feed+json, \
                  application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5";
    fetch.headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    set(&mut fetch.headers, header::IF_NONE_MATCH, state.etag.as_deref());
    set(&mut fetch.headers, header::IF_MODIFIED_SINCE, state.last_modified.as_deref());
    match client.fetch(fetch).await {
        Ok(fetched) => judge(fetched, (feed, state), now).await,
        Err(e @ egress::Error::Refused { .. }) => Answer::Failed(refused(&e)),
        Err(e) => Answer::Failed(short(&chain(&e))),
    }
}

async fn judge(fetched: Fetched, of: (&Feed, &State), now: Time) -> Answer {
    if let Some(wait) = throttled(&fetched, now) {
        return Answer::Throttled(wait);
    }
    match fetched.status.as_u16() {
        200 => read(fetched, of, now).await,
        304 => Answer::Unchanged(Said::of(&fetched, now)),
        410 => Answer::Gone,
        status => {
            let challenge = fetched.headers.contains_key("cf-mitigated");
            let why = if challenge { ": a challenge for browsers" } else { "" };
            let said = format!("the server answered {status}{why}");
            if (400..500).contains(&status) { Answer::Denied(said) } else { Answer::Failed(said) }
        }
    }
}

/// Whether an answer asks for fewer requests, and for how long to leave the host alone if it says
/// so: always with 429, with 503 only where it names a time.
pub(super) fn throttled(fetched: &Fetched, now: Time) -> Option<Option<Duration>> {
    let wait = || {
        let wait = text(&fetched.headers, header::RETRY_AFTER)?;
        schedule::retry_after(&wait, now)
    };
    match fetched.status.as_u16() {
        429 => Some(wait()),
        503 => wait().map(Some),
        _ => None,
    }
}

async fn read(fetched: Fetched, (feed, state): (&Feed, &State), now: Time) -> Answer {
    let said = Said::of(&fetched, now);
    let complete = fetched.complete;
    let charset = charset(&fetched.headers);
    // Reading 16 MB takes long enough to hold up other tasks.
    let reading = tokio::task::spawn_blocking(move || {
        let context = Context { url: Some(&fetched.url), charset: charset.as_deref(), now };
        feed::read_polled(&fetched.body, &context)
    });
    match reading.await {
        Ok(Ok(mut document)) => {
            let mut entries = state.entries.clone();
            entries.recognise(&mut document.entries);
            let (drafts, announced) = if feed.pages {
                to_pages(document.entries, &feed.id)
            } else {
                divide(document.entries, feed.cap, &feed.id)
            };
            let (rhythm, rest) = (document.rhythm, Rest::default());
            Answer::Fresh { drafts, entries, said, rhythm, complete, announced, rest }
        }
        Ok(Err(e)) => Answer::Failed(short(&e.to_string())),
        Err(_) => Answer::Failed("the document cannot be read".to_owned()),
    }
}

pub(super) fn charset(headers: &HeaderMap) -> Option<String> {
    let kind = text(headers, header::CONTENT_TYPE)?;
    charset::label(&kind).map(str::to_owned)
}

/// Writes what an answer means for the next poll into the state. `at` is now and jitter.
pub(super) fn remember(state: &mut State, answer: &Answer, feed: &Feed, at: (Time, f64)) {
    let (now, jitter) = at;
    let interval = feed.interval;
    state.describe(feed);
    let failure = match answer {
        Answer::Fresh { entries, said, rhythm, complete: true, rest, .. } => {
            state.entries.clone_from(entries);
            // Without validators the next poll lists the files that are missing once more.
            if rest.is_nothing() {
                state.etag.clone_from(&said.etag);
                state.last_modified.clone_from(&said.last_modified);
            }
            state.rhythm = rhythm.clone();
            state.fresh_for = said.fresh_for;
            state.moves.saw(said.moved_to.as_deref(), now);
            state.first_poll_done = true;
            None
        }
        Answer::Unchanged(said) => {
            state.etag = said.etag.clone().or(state.etag.take());
            state.last_modified = said.last_modified.clone().or(state.last_modified.take());
            state.fresh_for = said.fresh_for.or(state.fresh_for);
            state.moves.saw(said.moved_to.as_deref(), now);
            None
        }
        // Without validators the next poll brings the rest; a baseline is not done before it is
        // whole.
        Answer::Fresh { .. } => Some("the document broke off on the way".to_owned()),
        Answer::Throttled(_) => Some("the server asks for fewer requests".to_owned()),
        Answer::Gone if state.moves.give_up() => {
            Some("the address that it had moved to is gone; the old one is asked again".to_owned())
        }
        Answer::Gone => {
            state.gone = true;
            Some("the server says that it is gone for good".to_owned())
        }
        Answer::Denied(why) | Answer::Failed(why) => Some(why.clone()),
    };
    match failure {
        None => {
            state.failures = 0;
            state.last_error = None;
            state.last_ok = Some(now);
            state.next_poll = state.next_after_success(feed, now, jitter);
            if let Answer::Fresh { rest, .. } = answer {
                // Missing files are not the index's fault: it is asked at its usual time.
                state.last_error.clone_from(&rest.trouble);
                let soon = interval.min(SOON);
                if rest.more {
                    state.next_poll = schedule::after_success(now, soon, jitter);
                }
                state.next_poll = state.next_poll.max(now.plus(rest.wait));
            }
        }
        Some(why) => {
            state.failures = state.failures.saturating_add(1);
            state.last_error = Some(why);
            let longest = match answer {
                Answer::Denied(_) => schedule::MAX_DENIED,
                _ => schedule::MAX_BACKOFF,
            };
            let wait = schedule::backoff(interval, state.failures, longest);
            state.next_poll = schedule::after_failure(now, wait, jitter);
            if state.failures >= FAILURES_ELSEWHERE {
                state.moves.give_up();
            }
            if let Answer::Throttled(Some(wait)) = answer {
                state.next_poll = state.next_poll.max(now.plus(*wait));
            }
        }
    }
    state.silent_since = state.cadence.silent(now, feed.silent_after);
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|v| HeaderValue::from_str(v).ok()) {
        headers.insert(name, value);
    }
}

pub(super) fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= MAX_VALIDATOR && !value.is_empty()).then(|| value.to_owned())
}

/// The operator's own feed: the operator may know the reason.
pub(super) fn refused(error: &egress::Error) -> String {
    match error {
        egress::Error::Refused { refusal, .. } => {
            format!("address not allowed: {}", refusal.reason())
        }
        other => other.to_string(),
    }
}

pub(super) fn short(text: &str) -> String {
    text.chars().take(MAX_ERROR).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(complete: bool, said: Said) -> Answer {
        let (announced, rest) = (Vec::new(), Rest::default());
        let (drafts, rhythm) = (Vec::new(), Rhythm::default());
        let entries = Entries::default();
        Answer::Fresh { drafts, entries, said, rhythm, complete, announced, rest }
    }

    fn feed(eager: bool) -> Feed {
        Feed {
            id: crate::model::SourceId::new("skylark").unwrap(),
            url: "http://example.net/".to_owned(),
            name: None,
            owner: None,
            official: false,
            lang: None,
            interval: Duration::from_secs(600),
            eager,
            silent_after: None,
            pages: false,
            cap: None,
        }
    }

    #[test]
    fn an_answer_decides_the_next_poll() {
        let now = Time::from_millis(0);
        let feed = feed(false);
        let mut state = State::new(&feed.url, now);
        let mut after = |answer: &Answer| {
            remember(&mut state, answer, &feed, (now, 0.0));
            state.clone()
        };
        let tagged = Said { etag: Some("W/\"1\"".to_owned()), ..Said::default() };
        let broken = after(&fresh(false, tagged.clone()));
        assert!(!broken.first_poll_done && broken.etag.is_none() && broken.failures == 1);
        let read = after(&fresh(true, tagged));
        assert!(read.first_poll_done && read.last_error.is_none() && read.failures == 0);
        let dated = Said { last_modified: Some("x".into()), ..Said::default() };
        let kept = after(&Answer::Unchanged(dated));
        assert_eq!(kept.last_modified.as_deref(), Some("x"));
        assert_eq!(kept.etag.as_deref(), Some("W/\"1\""));
        let wait = |state: State| state.next_poll.since(now);
        assert_eq!(wait(after(&Answer::Failed("no".into()))), feed.interval);
        assert_eq!(wait(after(&Answer::Failed("no".into()))), feed.interval * 2);
        let hours = |n: u64| Duration::from_secs(3_600 * n);
        assert_eq!(wait(after(&Answer::Throttled(Some(hours(5))))), hours(5));
        for _ in 0..20 {
            after(&Answer::Failed("no".into()));
        }
        assert_eq!(wait(after(&Answer::Failed("no".into()))), hours(6));
        assert_eq!(wait(after(&Answer::Denied("no".into()))), hours(24));
        assert!(after(&Answer::Gone).gone);
    }

    #[test]
    fn who_asks_to_be_asked_less_often_is_obeyed_unless_the_settings_insist() {
        let now: Time = "2024-01-10T07:30:00Z".parse().unwrap();
        let said = Said { fresh_for: Some(Duration::from_secs(3_600)), ..Said::default() };
        for (eager, wait) in [(false, 3_600), (true, 540)] {
            let feed = feed(eager);
            let mut state = State::new(&feed.url, now);
            remember(&mut state, &fresh(true, said.clone()), &feed, (now, 0.0));
            assert_eq!(state.next_poll.since(now), Duration::from_secs(wait), "{eager}");
            // An answer without a word keeps the last word.
            remember(&mut state, &Answer::Unchanged(Said::default()), &feed, (now, 0.0));
            assert_eq!(state.next_poll.since(now), Duration::from_secs(wait), "{eager}");
        }
    }

    #[test]
    fn a_feed_that_moved_is_asked_at_home_again_when_its_new_address_fails() {
        let day = |n: i64| Time::from_millis(n * 86_400_000);
        let feed = feed(false);
        let new = "https://new.example/rss";
        let mut state = State::new(&feed.url, day(0));
        let moved = Said { moved_to: Some(new.to_owned()), ..Said::default() };
        for n in 0..5 {
            assert_eq!(state.address(), feed.url);
            remember(&mut state, &fresh(true, moved.clone()), &feed, (day(n), 0.0));
        }
        assert_eq!(state.address(), new);
        let stored = serde_json::to_vec(&state).unwrap();
        let renamed = Feed { url: new.to_owned(), ..feed.clone() };
        let read = State::read(&renamed, Some(&stored), day(9));
        assert!(read.first_poll_done && read.url == new && read.adopted().is_none());
        let other = Feed { url: "https://other.example/".to_owned(), ..feed.clone() };
        assert!(!State::read(&other, Some(&stored), day(9)).first_poll_done);
        for _ in 0..3 {
            remember(&mut state, &Answer::Failed("no".into()), &feed, (day(6), 0.0));
        }
        assert_eq!((state.address(), state.gone), (feed.url.as_str(), false));
        state = State::read(&feed, Some(&stored), day(9));
        remember(&mut state, &Answer::Gone, &feed, (day(6), 0.0));
        assert_eq!((state.address(), state.gone), (feed.url.as_str(), false));
        remember(&mut state, &Answer::Gone, &feed, (day(7), 0.0));
        assert!(state.gone);
    }
}
