//! An article that kills whoever takes it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Notify;
use wirebell::alerts::run::story_start;
use wirebell::bus::Bus;
use wirebell::bus::Limits;
use wirebell::bus::Stream;
use wirebell::clock::Clock;
use wirebell::model::Article;
use wirebell::model::ArticleId;
use wirebell::model::Event;
use wirebell::model::SourceId;

use crate::bus::Backend;
use crate::bus::embedded::Folder;
use crate::bus::nats::Remote;
use crate::rule_files::loaded;
use crate::support::spied::Spied;
use crate::support::spied::Spy;
use crate::workers::Office;
use crate::workers::records;
use crate::workers::wait_for_cursors;
use crate::workers::wait_until;
use crate::workers::write_down;

const RULES: &str = "version: 1
rules:
  - {id: siren, any: [siren], key: source}
  - {id: bridge, any: [bridge], key: source}
";
const CULPRIT: &str = "The siren that no worker survives";
/// Its place among the articles.
const PLACE: usize = 20;

/// Who would write what the culprit did to an alert gets no further. Burials are counted.
#[derive(Clone, Default)]
struct Deadly {
    hit: Arc<Notify>,
    burials: Arc<AtomicUsize>,
}

impl Spy for Deadly {
    async fn before(&self, to: &str, payloads: Vec<Bytes>) -> usize {
        let names = |payload: &Bytes| String::from_utf8_lossy(payload).contains(CULPRIT);
        if to == "alerts" && payloads.iter().any(names) {
            self.hit.notify_one();
            std::future::pending::<()>().await;
        }
        if to == "buried" {
            self.burials.fetch_add(1, Ordering::AcqRel);
        }
        0
    }
}

/// The culprit in the midst of articles that each open an alert.
fn log() -> Vec<Article> {
    let title = |n: usize| match n {
        PLACE => CULPRIT.to_owned(),
        _ if n.is_multiple_of(2) => format!("Siren {n}"),
        _ => format!("Bridge {n}"),
    };
    (0..2 * PLACE)
        .map(|n| {
            let source = SourceId::new(format!("paper-{n}")).unwrap();
            let id = ArticleId::of(&source, "1");
            let received = story_start().plus(Duration::from_secs(n as u64));
            Article::first(id, source, (title(n), String::new()), received)
        })
        .collect()
}

async fn bury<H: Backend>() {
    let _alone = crate::e2e::HEAVY.lock().await;
    let Some(home) = H::start(Limits::default()).await else { return };
    let (bus, log) = (home.bus(), log());
    let rules = Arc::new(ArcSwap::from_pointee(loaded(RULES)));
    let office = Office { rules, clock: Clock::manual(story_start().millis()) };
    let told = async || records::<_, Event>(&bus, Stream::Events).await.len();
    let before = office.hire(bus.clone(), true);
    wait_for_cursors(&bus).await;
    write_down(&bus, &log[..PLACE]).await;
    wait_until("the events before it", async || told().await == PLACE).await;
    before.leave().await;
    write_down(&bus, &log[PLACE..]).await;

    let deadly = Deadly::default();
    let mut deaths = 0;
    let worker = loop {
        let worker = office.hire(Spied(bus.clone(), deadly.clone()), true);
        tokio::select! {
            () = deadly.hit.notified() => {}
            () = wait_until("the other events", async || told().await == log.len() - 1) => {
                break worker;
            }
        }
        worker.die().await;
        deaths += 1;
    };
    worker.leave().await;
    assert_eq!((deaths, deadly.burials.load(Ordering::Acquire)), (5, 1), "deaths, burials");
    let buried: Vec<Value> = records(&bus, Stream::Buried).await;
    assert_eq!(buried.len(), 1, "{buried:?}");
    assert_eq!(buried[0]["reason"], "killed_its_owners");
    let record: Article = serde_json::from_str(buried[0]["record"].as_str().unwrap()).unwrap();
    assert_eq!(record, log[PLACE], "whole");
    let events: Vec<Event> = records(&bus, Stream::Events).await;
    let told: BTreeSet<&ArticleId> = events.iter().map(|e| &e.articles[0].id).collect();
    let others = log.iter().filter(|article| **article != log[PLACE]);
    assert_eq!(told, others.map(|article| &article.id).collect(), "its neighbours are told");
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_article_whose_owners_die_is_buried_on_the_embedded_store() {
    bury::<Folder>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_article_whose_owners_die_is_buried_on_nats() {
    bury::<Remote>().await;
}
