//! No rules worker alive for a while, and the news of that while.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use wirebell::bus::Stream;
use wirebell::model::AlertId;
use wirebell::model::Event;

use crate::e2e::Desk;
use crate::e2e::ask;
use crate::support::nats::Server;
use crate::support::nats::connect;
use crate::support::running::Running;
use crate::workers::records;
use crate::workers::wait_until;

/// In four shards.
const TOPICS: [&str; 4] = ["siren", "bridge", "dock", "storm"];
/// More than a cooldown and a `close_after`.
const PAUSE: Duration = Duration::from_millis(2_200);
const WORKERS: [&str; 2] = ["api", "rules"];

fn rules() -> String {
    let pair = |topic: &&str| {
        format!(
            "  - {{id: {topic}, any: [{topic}], close_after: 2s, update_every: 1s}}\n  \
             - {{id: {topic}-over, ends: {topic}, any: [{topic} over]}}\n"
        )
    };
    format!("version: 1\nrules:\n{}", TOPICS.iter().map(pair).collect::<String>())
}

/// Pushes articles about each topic, of one moment.
fn push(running: &Running, titles: &[&str]) {
    let all = titles.iter().flat_map(|title| TOPICS.map(|topic| title.replace("it", topic)));
    let articles: Vec<_> = all.map(|title| json!({"title": title, "body": "x"})).collect();
    let body = json!(articles).to_string();
    let url = format!("{}/v1/articles", running.api);
    let (status, said) = ask("POST", &url, "application/json", body.as_bytes()).unwrap();
    assert_eq!(status, 202, "{said}");
}

/// The events of each alert, without the moments: number, type and the articles told.
async fn told(nats: &Server) -> BTreeMap<AlertId, Vec<(u32, &'static str, Vec<String>)>> {
    let bus = connect(&nats.url()).await;
    let mut events: Vec<Event> = Vec::new();
    // Opened, updated and expired; opened, expired and ended; opened and expired.
    wait_until("all events", async || {
        events = records(&bus, Stream::Events).await;
        events.len() >= 8 * TOPICS.len()
    })
    .await;
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in events {
        let titles = event.articles.into_iter().map(|article| article.title).collect();
        let one = (event.number, event.kind.as_str(), titles);
        all.entry(event.alert.id).or_default().push(one);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_for_dead_workers_becomes_the_events_of_live_ones() {
    let _alone = crate::e2e::HEAVY.lock().await;
    let (Some(one), Some(other)) = (Server::start(), Server::start()) else { return };
    let live = Running::divided(Desk::new(&rules()), &WORKERS, &one).await;
    let mut dead = Running::divided(Desk::new(&rules()), &WORKERS, &other).await;
    dead.workers[1].kill();
    for titles in [&["Here it is", "More of it"][..], &["Back it is"], &["it over"]] {
        push(&live, titles);
        push(&dead, titles);
        tokio::time::sleep(PAUSE).await;
    }
    push(&live, &["Third: it came"]);
    push(&dead, &["Third: it came"]);
    let again = [1, 2].map(|_| dead.desk.worker("rules", &other.url()));
    assert_eq!(told(&other).await, told(&one).await);
    drop(again);
}
