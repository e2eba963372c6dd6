//! An hour without rules workers, and the news of that hour in the log: when workers come back,
//! timers act between the articles that waited, as they would have done.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use wirebell::alerts::Run;
use wirebell::alerts::StateKey;
use wirebell::alerts::run::story_start;
use wirebell::bus::Bus;
use wirebell::bus::Limits;
use wirebell::bus::Selection;
use wirebell::bus::Stream;
use wirebell::clock::Clock;
use wirebell::model::Article;
use wirebell::model::ArticleId;
use wirebell::model::Cap;
use wirebell::model::Event;
use wirebell::model::SourceId;
use wirebell::model::Time;
use wirebell::model::cap::Block;
use wirebell::model::cap::CapStatus;
use wirebell::model::cap::MsgType;
use wirebell::model::cap::Scope;
use wirebell::model::id::shard_of;
use wirebell::rules::RuleSet;

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
  - {id: clear, ends: siren, any: [all clear]}
  - {id: siren, any: [siren], key: source, close_after: 20m, update_every: 10m}
  - {id: bridge, any: [bridge shut], close_after: 45m, update_every: 5m, max_age: 30m,
     confirm: {distinct_sources: 2, within: 15m}}
  - {id: dock, any: [dock flooded], close_after: 10m, update_every: never}
  - {id: storm, any: [storm warning], close_after: 6h}
";

/// Minute, source and title. The workers stand still from minute 2 on.
const NEWS: [(u64, &str, &str); 16] = [
    (0, "skylark", "A siren is heard"),
    (1, "skylark", "The bridge shut"),
    // Told at minute 10, when the cooldown is over.
    (5, "skylark", "The siren is still heard"),
    (8, "harbour", "Police keep the bridge shut"),
    (12, "skylark", "The dock flooded"),
    (16, "harbour", "The bridge shut to lorries, too"),
    (21, "harbour", "A siren in the west"),
    // The alert of minute 12 expired a minute ago.
    (23, "harbour", "Once more the dock flooded"),
    // That of minute 0, joined at minute 5, did so a minute ago, too.
    (26, "skylark", "A siren again"),
    (30, "skylark", "The all clear is given"),
    (31, "borough", "The bridge shut for good"),
    (32, "borough", "The dock flooded and is dry again"),
    // The timer of minute 41 acts before the article of that minute.
    (41, "harbour", "And another siren in the west"),
    (49, "skylark", "The dock flooded for a fourth time"),
    (62, "harbour", "The all clear in the west"),
    (65, "skylark", "A last siren"),
];
const STANDSTILL: u64 = 2;
/// When the workers come back.
const RETURN: u64 = 110;
/// Articles of each minute that match nothing.
const NOISE: u64 = 3;

fn at(minute: u64) -> Time {
    story_start().plus(Duration::from_secs(60 * minute))
}

fn article(received: Time, source: &str, title: &str) -> Article {
    let source = SourceId::new(source).unwrap();
    let id = ArticleId::of(&source, &format!("{title} {received}"));
    Article::first(id, source, (title.to_owned(), String::new()), received)
}

/// A message that is in force until a minute, and perhaps replaces another.
fn message(minute: u64, number: u32, until: u64, references: Vec<ArticleId>) -> Article {
    let title = format!("Storm warning {number}");
    let chars = u32::try_from(title.chars().count()).unwrap();
    let block = Block { title: (0, chars), expires: Some(at(until)), ..Block::default() };
    let msg_type = if references.is_empty() { MsgType::Alert } else { MsgType::Update };
    let mut article = article(at(minute), "weather", &title);
    article.cap = Some(Cap {
        identifier: format!("m{number}"),
        sender: "weather".to_owned(),
        status: CapStatus::Actual,
        msg_type,
        scope: Scope::Public,
        references,
        replaced: false,
        blocks: vec![block],
    });
    article
}

/// The log: news of an hour, one of them too old, and what matches nothing.
fn log() -> Vec<Article> {
    let mut log: Vec<Article> =
        NEWS.iter().map(|(minute, source, title)| article(at(*minute), source, title)).collect();
    let mut old = article(at(55), "harbour", "The bridge shut the day before");
    old.published_at = Some(at(55).minus(Duration::from_secs(31 * 60)));
    log.push(old);
    let first = message(15, 1, 50, Vec::new());
    // It comes when the first is no longer in force: a message of its own.
    let second = message(52, 2, 70, vec![first.id.clone()]);
    let third = message(60, 3, 100, vec![second.id.clone()]);
    log.extend([first, second, third]);
    for minute in 0..=66 {
        for n in 0..NOISE {
            let seconds = Duration::from_secs(60 * n / NOISE + 1);
            log.push(article(at(minute).plus(seconds), "borough", &format!("Market {minute}:{n}")));
        }
    }
    log.sort_by_key(|article| article.received_at);
    log
}

/// The events of each alert key when every timer acts at its time.
fn undisturbed(rules: &RuleSet, log: &[Article]) -> BTreeMap<StateKey, Vec<Event>> {
    let minute = Duration::from_secs(60);
    let mut run = Run::new(rules.context(), |article| rules.found(article), story_start());
    let mut events = Vec::new();
    for article in log {
        while run.now().plus(minute) <= article.received_at {
            events.extend(run.wait(minute));
        }
        events.extend(run.take(article.clone()).events);
    }
    while run.now() < at(RETURN) {
        events.extend(run.wait(minute));
    }
    by_key(events)
}

fn by_key(events: Vec<Event>) -> BTreeMap<StateKey, Vec<Event>> {
    let mut all: BTreeMap<StateKey, Vec<Event>> = BTreeMap::new();
    for event in events {
        let alert = &event.alert;
        let key =
            StateKey { rule: alert.rule.clone(), key: alert.key.clone(), nature: alert.nature };
        all.entry(key).or_default().push(event);
    }
    all
}

/// Gives readers of articles nothing to read, and counts how often the worker's timers look
/// whether an article waits.
#[derive(Clone, Default)]
struct Silence(Arc<AtomicUsize>);

impl Spy for Silence {
    fn reads(&self, stream: Stream, selection: Selection) -> Selection {
        match stream {
            Stream::Articles => Selection { filter: "wb.article.nobody.>".to_owned(), ..selection },
            _ => selection,
        }
    }

    fn asks_for_end(&self, stream: Stream) {
        if stream == Stream::Articles {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }
}

async fn wait_for_events<B: Bus>(bus: &B, count: usize) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    wait_until(&format!("{count} events"), async || {
        events = records(bus, Stream::Events).await;
        events.len() >= count
    })
    .await;
    events
}

async fn stand_still<H: Backend>() {
    let _alone = crate::e2e::HEAVY.lock().await;
    let Some(home) = H::start(Limits::default()).await else { return };
    let (bus, rules, log) = (home.bus(), loaded(RULES), log());
    let shards: BTreeSet<u16> = rules.rules().iter().map(|r| shard_of(r.id.as_str())).collect();
    assert_eq!(shards.len(), rules.rules().len(), "rules share a shard: {shards:?}");
    let wanted = undisturbed(&rules, &log);
    let count: usize = wanted.values().map(Vec::len).sum();
    let split = log.partition_point(|article| article.received_at < at(STANDSTILL));
    let clock = Clock::manual(at(0).millis());
    let office = Office { rules: Arc::new(ArcSwap::from_pointee(rules)), clock: clock.clone() };

    let first = office.hire(bus.clone(), true);
    wait_for_cursors(&bus).await;
    write_down(&bus, &log[..split]).await;
    let before = wait_for_events(&bus, 2).await;
    first.die().await;
    write_down(&bus, &log[split..]).await;
    clock.set(at(RETURN).millis());

    // Its timers are long due, and it sees that articles wait before it has read any of them.
    let silence = Silence::default();
    let second = office.hire(Spied(bus.clone(), silence.clone()), true);
    let looks = || silence.0.load(Ordering::Acquire);
    wait_until("timers that look at the log", async || looks() > 10).await;
    second.die().await;
    assert_eq!(records::<_, Event>(&bus, Stream::Events).await, before, "ahead of what waits");

    let (third, fourth) = (office.hire(bus.clone(), false), office.hire(bus.clone(), false));
    wait_for_events(&bus, before.len() + 1).await;
    third.die().await;
    let fifth = office.hire(bus.clone(), false);
    wait_for_events(&bus, count).await;
    fourth.leave().await;
    fifth.leave().await;
    let found = by_key(records(&bus, Stream::Events).await);
    for (key, events) in &wanted {
        assert_eq!(found.get(key), Some(events), "{key:?}");
    }
    assert_eq!(found.len(), wanted.len());
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_without_workers_changes_no_event_on_the_embedded_store() {
    Box::pin(stand_still::<Folder>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_without_workers_changes_no_event_on_nats() {
    Box::pin(stand_still::<Remote>()).await;
}

#[test]
fn the_hour_has_each_kind_of_timer_between_its_articles() {
    let wanted = undisturbed(&loaded(RULES), &log());
    let told = |rule: &str, key: &str| -> Vec<(u64, &str)> {
        let of = wanted.iter().find(|(at, _)| at.rule.as_str() == rule && at.key.as_str() == key);
        let minute = |e: &Event| e.timestamp.since(at(0)).as_secs() / 60;
        of.unwrap().1.iter().map(|e| (minute(e), e.kind.as_str())).collect()
    };
    let (opened, updated) = ("alert.opened", "alert.updated");
    let (ended, expired) = ("alert.ended", "alert.expired");
    let skylark = [
        (0, opened),
        (10, updated),
        (25, expired),
        (26, opened),
        (30, ended),
        (65, opened),
        (85, expired),
    ];
    assert_eq!(told("siren", "skylark"), skylark);
    let harbour = [(21, opened), (41, expired), (41, opened), (61, expired), (62, ended)];
    assert_eq!(told("siren", "harbour"), harbour);
    let bridge = [(1, opened), (8, "alert.confirmed"), (16, updated), (31, updated), (76, expired)];
    assert_eq!(told("bridge", "-"), bridge);
    let dock =
        [(12, opened), (22, expired), (23, opened), (42, expired), (49, opened), (59, expired)];
    assert_eq!(told("dock", "-"), dock);
    let storm = [(15, opened), (50, expired), (52, opened), (62, updated), (100, expired)];
    assert_eq!(told("storm", "-"), storm);
}
