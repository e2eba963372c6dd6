//! The pages that a feed's entries link to: fetched where robots rules allow it, and read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use http::HeaderValue;
use http::header;
use texting_robots::Robot;
use url::Url;

use crate::egress::Client;
use crate::egress::Fetch;
use crate::egress::Fetched;
use crate::feed::Context;
use crate::feed::Draft;
use crate::feed::page;
use crate::model::Time;
use crate::source::poll::ask;
use crate::source::poll::files::Came;
use crate::source::poll::files::Turns;
use crate::source::poll::files::failed;
use crate::source::poll::files::refused;
use crate::source::poll::host_of;

/// Who we are in robots rules.
const AGENT: &str = "Wirebell";
/// Largest robots rules read.
const MAX_RULES: usize = 500 << 10;
/// How long robots rules are remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// Sites whose rules are remembered before all are forgotten.
const MANY_SITES: usize = 1_000;

/// What sites want to be asked for, for a day.
#[derive(Clone, Default)]
pub(super) struct Robots(Arc<Mutex<HashMap<String, (Time, Rules)>>>);

/// None where a site has no rules.
type Rules = Option<Arc<Robot>>;

impl std::fmt::Debug for Robots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Robots")
    }
}

impl Robots {
    fn known(&self, site: &str, now: Time) -> Option<Rules> {
        let sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sites
            .get(site)
            .filter(|(at, _)| now.since(*at) < REMEMBERED)
            .map(|(_, rules)| rules.clone())
    }

    fn note(&self, site: &str, now: Time, rules: Rules) {
        let mut sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sites.len() >= MANY_SITES {
            sites.clear();
        }
        sites.insert(site.to_owned(), (now, rules));
    }
}

/// The article of an entry, with the text of its page; what the feed says of it where the page
/// has no more, or its site asks not to read it.
pub(super) async fn read(client: &Client, turns: &Turns, url: &str, stub: &Draft) -> Came {
    let kept = || Came::Drafts(vec![stub.clone()]);
    let Ok(address) = Url::parse(url) else { return kept() };
    match rules(client, turns, &address).await {
        Ok(Some(rules)) if !rules.allowed(url) => {
            tracing::debug!(host = address.host_str(), "Robots rules ask not to read a page");
            return kept();
        }
        Ok(_) => {}
        Err(missed) => return missed,
    }
    let mut fetch = Fetch::new(url);
    fetch.cap = page::MAX_BYTES;
    let accept = "text/html, application/xhtml+xml;q=0.9, */*;q=0.1";
    fetch.headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    let fetched = match turns.take(&host_of(url), client.fetch(fetch)).await {
        Ok(fetched) => fetched,
        Err(e) => return failed(&e),
    };
    match fetched.status.as_u16() {
        200 if fetched.complete => extend(fetched, stub.clone(), turns.now()).await,
        200 => Came::Missed { why: "the page broke off on the way".into(), is_denied: false },
        _ => refused(&fetched, turns.now()),
    }
}

/// The rules of a site, from it or from memory. One that cannot be asked is not read from.
async fn rules(client: &Client, turns: &Turns, address: &Url) -> Result<Rules, Came> {
    let site = address.origin().ascii_serialization();
    if let Some(rules) = turns.robots.known(&site, turns.now()) {
        return Ok(rules);
    }
    let mut fetch = Fetch::new(format!("{site}/robots.txt"));
    fetch.cap = MAX_RULES;
    let answer = turns.take(&host_of(address.as_str()), client.fetch(fetch)).await;
    let fetched = answer.map_err(|e| failed(&e))?;
    let rules = match fetched.status.as_u16() {
        200..=299 => Robot::new(AGENT, &fetched.body).ok().map(Arc::new),
        429 => return Err(refused(&fetched, turns.now())),
        400..=499 => None,
        _ => return Err(refused(&fetched, turns.now())),
    };
    turns.robots.note(&site, turns.now(), rules.clone());
    Ok(rules)
}

async fn extend(fetched: Fetched, stub: Draft, now: Time) -> Came {
    // A large page takes long enough to hold up other tasks, and a reader that fails fails alone.
    let kept = stub.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let charset = ask::charset(&fetched.headers);
        let context = Context { url: Some(&fetched.url), charset: charset.as_deref(), now };
        match page::read(&fetched.body, &context) {
            Ok(page) if page.text.len() > stub.body.len() => extended(stub, page),
            _ => stub,
        }
    });
    Came::Drafts(vec![reading.await.unwrap_or(kept)])
}

/// The entry with its page's text. What the feed itself says of the article stays.
fn extended(stub: Draft, page: page::Page) -> Draft {
    Draft {
        title: if stub.title.is_empty() { page.title } else { stub.title },
        body: page.text,
        lang: stub.lang.or(page.lang),
        author: stub.author.or(page.author),
        published_at: stub.published_at.or(page.published_at),
        updated_at: stub.updated_at.or(page.updated_at),
        ..stub
    }
}
