//! Dates ahead, missing, unreadable and long past, a first poll and a poll after three days: no
//! alert opens for old news, and nothing is dated now for want of a date.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::routing::any;
use bytes::Bytes;
use serde_json::Value;
use serde_json::json;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Embedded;
use wirebell::bus::EmbeddedSettings;
use wirebell::bus::Limits;
use wirebell::bus::Put;
use wirebell::model::ArticleId;
use wirebell::model::SourceId;
use wirebell::model::Time;
use wirebell::source::poll;

use crate::e2e::Desk;
use crate::e2e::Receiver;
use crate::e2e::ask;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::running::Running;

const MINUTE: u64 = 60;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// What is written as the date of an item.
#[derive(Clone, Copy)]
enum Dated {
    Ago(u64),
    Ahead(u64),
    /// Further ahead than any clock is wrong.
    FarAhead,
    Never,
    Someday,
}

/// What becomes of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Rings,
    Late,
}

/// About a place of its own.
type Item = (&'static str, Dated, Fate);

const FIRST_POLL: [Item; 3] = [
    ("aby", Dated::Ago(MINUTE), Fate::Late),
    ("bex", Dated::Never, Fate::Late),
    ("cob", Dated::FarAhead, Fate::Late),
];
const SOON_AFTER: [Item; 6] = [
    ("dun", Dated::Ago(MINUTE), Fate::Rings),
    ("eck", Dated::Ahead(2 * HOUR), Fate::Rings),
    ("fen", Dated::FarAhead, Fate::Rings),
    ("gap", Dated::Never, Fate::Rings),
    ("hob", Dated::Someday, Fate::Rings),
    ("ivy", Dated::Ago(6 * 365 * DAY), Fate::Late),
];
const AFTER_THREE_DAYS: [Item; 5] = [
    ("jam", Dated::Ago(2 * DAY), Fate::Late),
    ("kit", Dated::Ago(5 * MINUTE), Fate::Rings),
    ("lud", Dated::Never, Fate::Late),
    ("moy", Dated::Someday, Fate::Late),
    ("nye", Dated::FarAhead, Fate::Late),
];
const THEN: [Item; 1] = [("oss", Dated::Never, Fate::Rings)];

impl Dated {
    fn at(self, now: Time) -> Option<Time> {
        let seconds = Duration::from_secs;
        match self {
            Self::Ago(ago) => Some(now.minus(seconds(ago))),
            Self::Ahead(ahead) => Some(now.plus(seconds(ahead))),
            Self::FarAhead => Some(now.plus(seconds(3 * DAY))),
            Self::Never | Self::Someday => None,
        }
    }

    /// What is to be stored of it.
    fn kept(self, now: Time) -> Value {
        if matches!(self, Self::FarAhead) { Value::Null } else { json!(self.at(now)) }
    }

    fn written(self, tag: &str, form: impl Fn(Time) -> String, now: Time) -> String {
        let text = match self {
            Self::Never => return String::new(),
            Self::Someday => "the day before the fair".to_owned(),
            dated => dated.at(now).map(form).unwrap_or_default(),
        };
        format!("<{tag}>{text}</{tag}>")
    }
}

/// A whole second: the dates of RSS have no finer ones.
fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Time::from_millis(i64::try_from(since.as_secs()).unwrap() * 1_000)
}

fn title(place: &str) -> String {
    format!("A siren is heard in {place}")
}

/// Rules by source, so that each opens alerts of its own.
fn rules() -> String {
    let all = [&FIRST_POLL[..], &SOON_AFTER, &AFTER_THREE_DAYS, &THEN].concat();
    let places: Vec<String> = all.iter().map(|(place, ..)| format!("{place}: [{place}]")).collect();
    let rule = |source| format!("  - {{id: {source}, any: [siren], sources: {source}}}\n");
    let rules: String = ["rss", "atom", "push"].map(rule).concat();
    format!("version: 1\nplaces: {{{}}}\nrules:\n{rules}", places.join(", "))
}

/// The same news as RSS and as Atom, growing.
#[derive(Clone, Default)]
struct Press {
    rss: Arc<Mutex<String>>,
    atom: Arc<Mutex<String>>,
}

impl Press {
    /// Serves both, each on an address of its own: one host is asked once a second only.
    async fn start(&self, desk: &Desk) {
        let mut sources = "sources:\n".to_owned();
        for (number, (id, page)) in [("rss", &self.rss), ("atom", &self.atom)].iter().enumerate() {
            let address = format!("127.0.0.{}:0", number + 1);
            let listener = tokio::net::TcpListener::bind(address).await.unwrap();
            let url = format!("http://{}/feed", listener.local_addr().unwrap());
            sources.push_str(&format!("  - {{id: {id}, feed: '{url}', interval: 60s}}\n"));
            let router = Router::new().fallback(any(answer)).with_state(Arc::clone(page));
            let serving = async move { axum::serve(listener, router).await.unwrap() };
            tokio::runtime::Handle::current().spawn(serving);
        }
        std::fs::write(desk.path().join("config/sources.yaml"), sources).unwrap();
    }

    fn print(&self, items: &[Item], now: Time) {
        let rfc_2822 = |at: Time| {
            let since = Duration::from_millis(u64::try_from(at.millis()).unwrap());
            httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)
        };
        for (place, dated, _) in items {
            let (title, date) = (title(place), dated.written("pubDate", rfc_2822, now));
            let item = format!("<item><guid>{place}</guid><title>{title}</title>{date}</item>");
            self.rss.lock().unwrap().push_str(&item);
            let date = dated.written("published", |at| at.to_string(), now);
            let entry = format!("<entry><id>{place}</id><title>{title}</title>{date}</entry>");
            self.atom.lock().unwrap().push_str(&entry);
        }
    }
}

async fn answer(State(items): State<Arc<Mutex<String>>>) -> String {
    let items = items.lock().unwrap();
    if items.contains("<entry>") {
        format!("<feed xmlns='http://www.w3.org/2005/Atom'>{items}</feed>")
    } else {
        format!("<rss version='2.0'><channel>{items}</channel></rss>")
    }
}

/// An article with what came of it, once every rule has read it.
fn explained(api: &str, source: &str, place: &str) -> Value {
    let id = ArticleId::of(&SourceId::new(source).unwrap(), place);
    wait_for("the rules to read it", || {
        let (_, article) = ask("GET", &format!("{api}/v1/articles/{id}?explain=true"), "", b"")?;
        (article["explained"] == true).then_some(article)
    })
}

/// Each item is dated as it says or not at all, and rings or is late.
fn check(api: &str, source: &str, items: &[Item], begun: Time) {
    for (place, dated, fate) in items {
        let article = explained(api, source, place);
        assert_eq!(article["published_at"], dated.kept(begun), "{source}, {place}: {article}");
        let seen: Time = serde_json::from_value(article["first_seen_at"].clone()).unwrap();
        assert!(begun <= seen && article["received_at"] == json!(seen), "{article}");
        let effect = match fate {
            Fate::Rings => json!({"event": "alert.opened"}),
            Fate::Late => json!("late"),
        };
        assert_eq!(article["decisions"][0]["effect"], effect, "{source}, {place}: {article}");
    }
}

/// The rules and places of the alerts there are.
fn alerts(api: &str) -> BTreeSet<(String, String)> {
    let (_, alerts) = ask("GET", &format!("{api}/v1/alerts?limit=1000"), "", b"").unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = alerts["data"].as_array().unwrap().iter();
    all.map(|alert| (text(&alert["rule"]), text(&alert["key"]))).collect()
}

fn ringing(sources: &[&str], items: &[Item]) -> BTreeSet<(String, String)> {
    let ring = items.iter().filter(|(_, _, fate)| *fate == Fate::Rings);
    ring.flat_map(|(place, ..)| sources.iter().map(|s| ((*s).to_owned(), (*place).to_owned())))
        .collect()
}

/// Makes the last polls of the feeds lie so much further back; nobody may be running.
async fn let_pass(desk: &Desk, time: Duration) {
    let settings = EmbeddedSettings { folder: desk.path().join("data"), limits: Limits::default() };
    let bus = Embedded::open(settings).await.unwrap();
    for entry in bus.list(Bucket::Feeds, "").await.unwrap().entries {
        let mut state: poll::State = serde_json::from_slice(&entry.value.unwrap()).unwrap();
        state.next_poll = state.next_poll.minus(time);
        state.last_ok = state.last_ok.map(|at| at.minus(time));
        let value = Bytes::from(serde_json::to_vec(&state).unwrap());
        bus.put(Bucket::Feeds, Put { key: entry.key, value, expect: Some(entry.revision) })
            .await
            .unwrap();
    }
    bus.close().await;
}

/// The stage that stopped an article, and the words.
fn why_not(running: &Running, api: &str, source: &str, place: &str) -> String {
    let id = ArticleId::of(&SourceId::new(source).unwrap(), place);
    let subscription = &running.subscription;
    let url = format!("{api}/v1/why-not?article={id}&subscription={subscription}");
    wait_for("a last stage", || {
        let (_, said) = ask("GET", &url, "", b"")?;
        let text = |name: &str| said[name].as_str().map(str::to_owned);
        Some(format!("{}: {}", text("stage")?, text("detail")?))
            .filter(|said| !said.starts_with("unread"))
    })
}

/// Every webhook shows the date that was kept.
fn check_hooks(receiver: &Receiver, count: usize) {
    for hook in receiver.wait_for(count).values().flatten() {
        let body = hook.json();
        let dated = &body["data"]["articles"][0]["published_at"];
        let key = body["data"]["alert"]["key"].as_str().unwrap();
        let undated = ["fen", "gap", "hob", "oss"].contains(&key);
        assert_eq!(dated.is_null(), undated, "{body}");
    }
    assert_eq!(receiver.hooks().len(), count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_poll_and_a_poll_after_three_days_ring_for_no_old_news() {
    let mut running = Running::alone(Desk::new(&rules())).await;
    let press = Press::default();
    let mut begun = now();
    press.print(&FIRST_POLL, begun);
    // Only now: what comes before a first worker has its cursors is before its time.
    press.start(&running.desk).await;
    let feeds = ["rss", "atom"];
    feeds.iter().for_each(|feed| check(&running.api, feed, &FIRST_POLL, begun));
    assert_eq!(alerts(&running.api), BTreeSet::new());
    let mut wanted = BTreeSet::new();
    for (pause, items) in
        [(5 * MINUTE, &SOON_AFTER[..]), (3 * DAY, &AFTER_THREE_DAYS), (5 * MINUTE, &THEN)]
    {
        running.stop();
        let_pass(&running.desk, Duration::from_secs(pause)).await;
        begun = now();
        press.print(items, begun);
        let process = running.desk.run();
        let api = process.api();
        running.workers = vec![process];
        wait_ready(&api);
        feeds.iter().for_each(|feed| check(&api, feed, items, begun));
        wanted.extend(ringing(&feeds, items));
        assert_eq!(alerts(&api), wanted);
        running.api = api;
    }
    check_hooks(&running.receiver, wanted.len());
    let why_not = |place| why_not(&running, &running.api, "rss", place);
    for (place, words) in [
        ("aby", "it came with the first poll of its feed"),
        ("ivy", "it is dated longer before its receipt than the rule's max_age"),
        ("lud", "without a date after more than six hours without a poll"),
    ] {
        assert!(why_not(place).contains(words), "{}", why_not(place));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pushed_article_rings_by_its_date_and_without_one_by_its_receipt() {
    let running = Running::alone(Desk::new(&rules())).await;
    let Running { receiver, api, .. } = &running;
    let begun = now();
    let articles: Vec<Value> = SOON_AFTER
        .iter()
        .map(|(place, dated, _)| {
            let mut article = json!({"id": place, "title": title(place), "body": ""});
            match dated {
                Dated::Never => {}
                Dated::Someday => article["published_at"] = json!("the day before the fair"),
                dated => article["published_at"] = json!(dated.at(begun)),
            }
            article
        })
        .collect();
    let body = json!(articles).to_string();
    let url = format!("{api}/v1/articles");
    let (status, said) = ask("POST", &url, "application/json", body.as_bytes()).unwrap();
    assert_eq!((status, said["rejected"].as_array().unwrap().len()), (202, 0), "{said}");
    check(api, "push", &SOON_AFTER, begun);
    let wanted = ringing(&["push"], &SOON_AFTER);
    assert_eq!(alerts(api), wanted);
    check_hooks(receiver, wanted.len());
    let said = why_not(&running, api, "push", "ivy");
    assert!(said.contains("it is dated longer before its receipt"), "{said}");
}
