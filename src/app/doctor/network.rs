//! Whether the names that feeds are at can be resolved and may be called.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use crate::app::doctor::Finding;
use crate::app::doctor::Level;
use crate::config::Config;
use crate::egress::Client;
use crate::egress::Error;
use crate::telemetry::logs::chain;

/// Most names that are looked up.
const MOST: usize = 200;
/// Looked up at once.
const AT_ONCE: usize = 16;
/// Longest time for one.
const WAIT: Duration = Duration::from_secs(5);
/// Most names told.
const NAMED: usize = 5;

/// Looks up the hosts of the configured feeds, a host once. Nothing is called.
pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let client = Client::with(config.settings.egress());
    let mut hosts = BTreeSet::new();
    let urls: Vec<&String> = config
        .sources
        .feeds
        .iter()
        .map(|feed| &feed.url)
        .filter(|url| {
            let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
            host.is_some_and(|host| hosts.insert(host))
        })
        .take(MOST)
        .collect();
    if urls.is_empty() {
        return Vec::new();
    }
    let count = urls.len();
    let looking = urls.into_iter().map(|url| look_up(&client, url));
    let found: Vec<Option<Trouble>> = stream::iter(looking).buffered(AT_ONCE).collect().await;
    let troubles: Vec<Trouble> = found.into_iter().flatten().collect();
    let of = |refused: bool| -> Vec<&str> {
        let all = troubles.iter().filter(|one| one.refused == refused);
        all.map(|one| one.text.as_str()).take(NAMED).collect()
    };
    let (refused, unresolved) = (of(true), of(false));
    let mut findings = Vec::new();
    if !unresolved.is_empty() {
        let remedy =
            "mend the resolver in /etc/resolv.conf, or the addresses in config/sources.yaml";
        let level = if unresolved.len() == count { Level::Bad } else { Level::Warning };
        findings.push(Finding::new("dns", level, unresolved.join("; "), remedy));
    }
    if !refused.is_empty() {
        let remedy = "name what is meant to be called in `egress.allow`";
        findings.push(Finding::new("egress", Level::Warning, refused.join("; "), remedy));
    }
    if findings.is_empty() {
        let detail = format!("the hosts of feeds are found and may be called: {count}");
        findings.push(Finding::new("dns", Level::Good, detail, ""));
    }
    findings
}

/// A host that would not be called.
struct Trouble {
    /// Not for want of an answer: the policy forbids it.
    refused: bool,
    text: String,
}

async fn look_up(client: &Client, url: &str) -> Option<Trouble> {
    let target = match client.judge(url) {
        Ok(target) => target,
        Err(refusal) => {
            return Some(Trouble { refused: true, text: format!("{url}: {}", refusal.reason()) });
        }
    };
    match tokio::time::timeout(WAIT, client.vet(&target)).await {
        Ok(Ok(_)) => None,
        Ok(Err(Error::Refused { host, refusal })) => {
            Some(Trouble { refused: true, text: format!("{host}: {}", refusal.reason()) })
        }
        Ok(Err(error)) => Some(Trouble { refused: false, text: chain(&error) }),
        Err(_) => Some(Trouble { refused: false, text: format!("{url}: no answer in time") }),
    }
}
