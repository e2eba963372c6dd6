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
use crate::model::Time;
use crate::source::poll::Announced;
use crate::source::poll::Feed;
use crate::source::poll::Rest;
use crate::source::poll::State;
use crate::source::poll::index::divide;
use crate::source::poll::schedule;
use crate::telemetry::logs::chain;

/// Longest validator kept.
const MAX_VALIDATOR: usize = 1_024;
/// Longest error text kept.
const MAX_ERROR: usize = 300;
/// Longest wait where one poll did not get through all files.
const SOON: Duration = Duration::from_secs(60);

/// What a feed's server answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A document.
    Fresh {
        /// Its entries.
        drafts: Vec<Draft>,
        /// Validator, verbatim.
        etag: Option<String>,
        /// Validator, verbatim.
        last_modified: Option<String>,
        /// It did not break off on the way.
        complete: bool,
        /// Its entries that announce CAP files.
        announced: Vec<Announced>,
        /// What of these could not be read.
        rest: Rest,
    },
    /// Nothing new, perhaps with other validators.
    Unchanged {
        /// Validator, verbatim.
        etag: Option<String>,
        /// Validator, verbatim.
        last_modified: Option<String>,
    },
    /// Too many requests, or no capacity: how long to leave the host alone, if it says so.
    Throttled(Option<Duration>),
    /// Gone for good.
    Gone,
    /// Anything else.
    Failed(String),
}

impl Answer {
    /// The word in metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Fresh { .. } => "fresh",
            Self::Unchanged { .. } => "unchanged",
            Self::Throttled(_) => "throttled",
            Self::Gone => "gone",
            Self::Failed(_) => "failed",
        }
    }
}

/// Asks for what changed since the last answer.
pub(super) async fn ask(client: &Client, feed: &Feed, state: &State, now: Time) -> Answer {
    let mut fetch = Fetch::new(feed.url.as_str());
    let accept = "application/atom+xml, application/rss+xml, application/feed+json, \
                  application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5";
    fetch.headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    set(&mut fetch.headers, header::IF_NONE_MATCH, state.etag.as_deref());
    set(&mut fetch.headers, header::IF_MODIFIED_SINCE, state.last_modified.as_deref());
    match client.fetch(fetch).await {
        Ok(fetched) => judge(fetched, feed, now).await,
        Err(e @ egress::Error::Refused { .. }) => Answer::Failed(refused(&e)),
        Err(e) => Answer::Failed(short(&chain(&e))),
    }
}

async fn judge(fetched: Fetched, feed: &Feed, now: Time) -> Answer {
    match fetched.status.as_u16() {
        200 => read(fetched, feed, now).await,
        304 => Answer::Unchanged {
            etag: text(&fetched.headers, header::ETAG),
            last_modified: text(&fetched.headers, header::LAST_MODIFIED),
        },
        410 => Answer::Gone,
        status @ (429 | 503) => {
            let wait = text(&fetched.headers, header::RETRY_AFTER);
            let wait = wait.and_then(|text| schedule::retry_after(&text, now));
            match (status, wait) {
                (503, None) => Answer::Failed("the server answered 503".to_owned()),
                (_, wait) => Answer::Throttled(wait),
            }
        }
        status => {
            let challenge = fetched.headers.contains_key("cf-mitigated");
            let why = if challenge { ": a challenge for browsers" } else { "" };
            Answer::Failed(format!("the server answered {status}{why}"))
        }
    }
}

async fn read(fetched: Fetched, feed: &Feed, now: Time) -> Answer {
    let etag = text(&fetched.headers, header::ETAG);
    let last_modified = text(&fetched.headers, header::LAST_MODIFIED);
    let complete = fetched.complete;
    let charset = charset(&fetched.headers);
    // Reading 16 MB takes long enough to hold up other tasks.
    let reading = tokio::task::spawn_blocking(move || {
        let context = Context { url: Some(&fetched.url), charset: charset.as_deref(), now };
        feed::read_polled(&fetched.body, &context)
    });
    match reading.await {
        Ok(Ok(document)) => {
            let (drafts, announced) = divide(document.entries, feed.cap, &feed.id);
            let rest = Rest::default();
            Answer::Fresh { drafts, etag, last_modified, complete, announced, rest }
        }
        Ok(Err(e)) => Answer::Failed(short(&e.to_string())),
        Err(_) => Answer::Failed("the document cannot be read".to_owned()),
    }
}

pub(super) fn charset(headers: &HeaderMap) -> Option<String> {
    let kind = text(headers, header::CONTENT_TYPE).unwrap_or_default();
    kind.split(';').find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().to_owned())
    })
}

/// Writes what an answer means for the next poll into the state. `at` is now and jitter.
pub(super) fn remember(state: &mut State, answer: &Answer, interval: Duration, at: (Time, f64)) {
    let (now, jitter) = at;
    let failure = match answer {
        Answer::Fresh { etag, last_modified, complete: true, rest, .. } => {
            // Without validators the next poll lists the files that are missing once more.
            if rest.is_nothing() {
                state.etag.clone_from(etag);
                state.last_modified.clone_from(last_modified);
            }
            state.first_poll_done = true;
            None
        }
        Answer::Unchanged { etag, last_modified } => {
            state.etag = etag.clone().or(state.etag.take());
            state.last_modified = last_modified.clone().or(state.last_modified.take());
            None
        }
        // Without validators the next poll brings the rest; a baseline is not done before it is
        // whole.
        Answer::Fresh { .. } => Some("the document broke off on the way".to_owned()),
        Answer::Throttled(_) => Some("the server asks for fewer requests".to_owned()),
        Answer::Gone => {
            state.gone = true;
            Some("the server says that it is gone for good".to_owned())
        }
        Answer::Failed(why) => Some(why.clone()),
    };
    match failure {
        None => {
            state.failures = 0;
            state.last_error = None;
            state.last_ok = Some(now);
            state.next_poll = schedule::after_success(now, interval, jitter);
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
            state.next_poll = schedule::after_failure(now, interval, state.failures, jitter);
            if let Answer::Throttled(Some(wait)) = answer {
                state.next_poll = state.next_poll.max(now.plus(*wait));
            }
        }
    }
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

    fn fresh(complete: bool) -> Answer {
        let etag = Some("W/\"1\"".to_owned());
        let (announced, rest) = (Vec::new(), Rest::default());
        Answer::Fresh { drafts: Vec::new(), etag, last_modified: None, complete, announced, rest }
    }

    #[test]
    fn an_answer_decides_the_next_poll() {
        let now = Time::from_millis(0);
        let interval = Duration::from_secs(600);
        let mut state = State::new("http://example.net/", now);
        let mut after = |answer: &Answer| {
            remember(&mut state, answer, interval, (now, 0.0));
            state.clone()
        };
        let broken = after(&fresh(false));
        assert!(!broken.first_poll_done && broken.etag.is_none() && broken.failures == 1);
        let read = after(&fresh(true));
        assert!(read.first_poll_done && read.last_error.is_none() && read.failures == 0);
        let kept = after(&Answer::Unchanged { etag: None, last_modified: Some("x".into()) });
        assert_eq!(kept.last_modified.as_deref(), Some("x"));
        assert_eq!(kept.etag.as_deref(), Some("W/\"1\""));
        let failed = after(&Answer::Failed("no".into()));
        assert_eq!(failed.next_poll.since(now), interval);
        assert_eq!(after(&Answer::Failed("no".into())).next_poll.since(now), interval * 2);
        let hour = Duration::from_secs(3_600 * 5);
        assert_eq!(after(&Answer::Throttled(Some(hour))).next_poll.since(now), hour);
        assert!(after(&Answer::Gone).gone);
    }
}
