//! Ingest killed with −9 while feeds grow and files appear: every article is published and rings
//! exactly once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use serde_json::Value;
use serde_json::json;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Embedded;
use wirebell::bus::EmbeddedSettings;
use wirebell::bus::From;
use wirebell::bus::Limits;
use wirebell::bus::Put;
use wirebell::bus::Selection;
use wirebell::bus::Stream;
use wirebell::bus::Until;

use crate::bus::again;
use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::RULES;
use crate::e2e::Receiver;
use crate::e2e::flow::leases_taken;
use crate::e2e::subscribe;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use crate::support::nats::Server;
use crate::support::nats::connect;

const KILLS: usize = 24;
const FEEDS: usize = 4;
/// Entries a feed has more each time it is asked.
const GROWTH: usize = 3;
/// Files that appear before each start, and articles in each.
const FILES: usize = 4;
const ARTICLES: usize = 3;

/// A feed's server: it grows whenever it is asked, and knows what is unchanged.
#[derive(Clone)]
struct Feed(Arc<Mutex<Printed>>);

struct Printed {
    id: String,
    entries: usize,
    asked: usize,
    grows: bool,
}

/// Feeds and a watched folder.
struct Press {
    feeds: Vec<Feed>,
    folder: PathBuf,
    /// Titles of the articles in files.
    filed: BTreeSet<String>,
}

impl Feed {
    /// On an address of its own: one host is asked once a second only.
    async fn start(number: usize) -> (Self, String) {
        let id = format!("paper-{number}");
        let printed = Printed { id, entries: 0, asked: 0, grows: false };
        let feed = Self(Arc::new(Mutex::new(printed)));
        let address = format!("127.0.0.{}:0", number + 1);
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}/feed", listener.local_addr().unwrap());
        let router = Router::new().fallback(any(answer)).with_state(feed.clone());
        let serving = async move { axum::serve(listener, router).await.unwrap() };
        tokio::runtime::Handle::current().spawn(serving);
        (feed, url)
    }

    fn titles(&self) -> Vec<String> {
        let printed = self.0.lock().unwrap();
        (0..printed.entries).map(|n| printed.title(n)).collect()
    }
}

impl Printed {
    fn title(&self, n: usize) -> String {
        format!("The siren of {} and day {n}", self.id)
    }
}

async fn answer(State(feed): State<Feed>, headers: HeaderMap) -> Response {
    let mut printed = feed.0.lock().unwrap();
    printed.asked += 1;
    if printed.grows {
        printed.entries += GROWTH;
    }
    let etag = format!("\"{}\"", printed.entries);
    if headers.get("if-none-match").is_some_and(|known| known == etag.as_str()) {
        return (StatusCode::NOT_MODIFIED, [("etag", etag)]).into_response();
    }
    let items: Vec<Value> = (0..printed.entries)
        .rev()
        .map(|n| json!({"id": n.to_string(), "title": printed.title(n), "content_text": "Heard."}))
        .collect();
    let feed = json!({
        "version": "https://jsonfeed.org/version/1.1", "title": printed.id, "items": items,
    });
    ([("content-type", "application/feed+json"), ("etag", &etag)], feed.to_string()).into_response()
}

impl Press {
    /// Starts the feeds and names them and the folder in the desk's sources.
    async fn start(desk: &Desk) -> Self {
        let folder = desk.path().join("in");
        std::fs::create_dir(&folder).unwrap();
        let mut sources = "version: 1\nsources:\n  - {id: desk, folder: ./in}\n".to_owned();
        let mut feeds = Vec::new();
        for number in 0..FEEDS {
            let (feed, url) = Feed::start(number).await;
            sources
                .push_str(&format!("  - {{id: paper-{number}, feed: '{url}', interval: 60s}}\n"));
            feeds.push(feed);
        }
        std::fs::write(desk.path().join("config/sources.yaml"), sources).unwrap();
        Self { feeds, folder, filed: BTreeSet::new() }
    }

    /// From now on there is news. The first poll of a feed rings nobody, so it is over.
    fn begin(&self) {
        self.feeds.iter().for_each(|feed| feed.0.lock().unwrap().grows = true);
    }

    fn end(&self) {
        self.feeds.iter().for_each(|feed| feed.0.lock().unwrap().grows = false);
    }

    fn file(&mut self, round: usize) {
        for n in 0..FILES {
            let lines: Vec<String> = (0..ARTICLES)
                .map(|article| {
                    let title = format!("The siren of file {round}-{n} and line {article}");
                    let line =
                        json!({"title": title, "body": "Heard.", "source": format!("desk-{n}")});
                    self.filed.insert(title);
                    line.to_string()
                })
                .collect();
            let unfinished = self.folder.join(format!("{round}-{n}.tmp"));
            std::fs::write(&unfinished, lines.join("\n")).unwrap();
            std::fs::rename(&unfinished, unfinished.with_extension("jsonl")).unwrap();
        }
    }

    /// Requests that feeds have answered.
    fn asked(&self) -> usize {
        self.feeds.iter().map(|feed| feed.0.lock().unwrap().asked).sum()
    }

    /// Files that were taken.
    fn taken(&self) -> usize {
        std::fs::read_dir(self.folder.join("done")).map_or(0, |files| files.count())
    }

    fn titles(&self) -> BTreeSet<String> {
        let printed = self.feeds.iter().flat_map(Feed::titles);
        printed.chain(self.filed.iter().cloned()).collect()
    }
}

/// Kills a process while feeds are read in one round, while files are taken in the next. A feed
/// is not asked again within a minute: `age` lets that minute pass while nobody runs.
async fn kill_again_and_again(
    press: &mut Press,
    mut process: Process,
    start: impl Fn() -> Process,
    age: impl AsyncFn(),
) -> Process {
    press.begin();
    for round in 0..KILLS {
        process.kill();
        press.file(round);
        age().await;
        let (asked, taken) = (press.asked(), press.taken());
        process = start();
        let some = 1 + fastrand::usize(0..FEEDS.min(FILES));
        wait_for("feeds to be asked and files to be taken", || {
            let feeds = round % 2 == 0 && press.asked() >= asked + some;
            (feeds || press.taken() >= taken + some).then_some(())
        });
        // Some time in which it is in the middle of something.
        std::thread::sleep(Duration::from_millis(fastrand::u64(0..40)));
    }
    process.kill();
    press.end();
    age().await;
    start()
}

/// Makes every feed due.
async fn make_due<B: Bus>(bus: &B) {
    let listing = again(|| bus.list(Bucket::Feeds, "")).await;
    assert_eq!(listing.entries.len(), FEEDS);
    for entry in listing.entries {
        let mut state: Value = serde_json::from_slice(&entry.value.unwrap()).unwrap();
        state["next_poll"] = json!("2024-01-10T07:00:00.000Z");
        let value = Bytes::from(serde_json::to_vec(&state).unwrap());
        let put = Put { key: entry.key, value, expect: Some(entry.revision) };
        again(|| bus.put(Bucket::Feeds, put.clone())).await;
    }
}

/// Records of a stream, from its start.
async fn records<B: Bus>(bus: &B, stream: Stream) -> Vec<Value> {
    let filter = format!("{}>", stream.prefix());
    let selection = Selection { from: From::Start, until: Until::End, filter };
    let reader = again(|| bus.read(stream, selection.clone())).await;
    let records = reader.records().await.unwrap();
    records.iter().map(|stored| serde_json::from_slice(&stored.payload).unwrap()).collect()
}

fn title(article: &Value) -> String {
    article["title"].as_str().unwrap().to_owned()
}

/// What the receiver got: the article that caused each event, by the event's id.
fn told(receiver: &Receiver, count: usize) -> BTreeMap<String, String> {
    let hooks = receiver.wait_for(count);
    let cause = |body: &Value| title(body["data"]["articles"].as_array().unwrap().last().unwrap());
    hooks
        .values()
        .map(|repeats| {
            let body = repeats[0].json();
            (body["data"]["event"]["id"].as_str().unwrap().to_owned(), cause(&body))
        })
        .collect()
}

/// Every article is in the log once, and caused one event, which the receiver got.
async fn check<B: Bus>(bus: &B, press: &Press, told: &BTreeMap<String, String>) {
    let titles = press.titles();
    let articles = records(bus, Stream::Articles).await;
    assert!(articles.iter().all(|article| article["revision"] == 1), "a second revision");
    let published: BTreeSet<String> = articles.iter().map(title).collect();
    assert_eq!((articles.len(), &published), (titles.len(), &titles));
    let events = records(bus, Stream::Events).await;
    let ids: BTreeSet<String> =
        events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(events.len(), titles.len());
    assert_eq!(ids, told.keys().cloned().collect());
    assert_eq!(titles, told.values().cloned().collect());
}

async fn open(desk: &Desk) -> Embedded {
    let settings = EmbeddedSettings { folder: desk.path().join("data"), limits: Limits::default() };
    Embedded::open(settings).await.unwrap()
}

/// Waits for the first poll of every feed to be remembered.
fn first_polls_done(ingest: &Process) {
    wait_for("the first poll of every feed", || {
        let done = ingest.log().matches("Feed is read for the first time").count();
        (done == FEEDS).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_killed_while_it_reads_feeds_and_files_loses_and_doubles_nothing() {
    let _alone = crate::e2e::HEAVY.lock().await;
    let desk = Desk::new(RULES);
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let mut press = Press::start(&desk).await;
    let process = desk.run();
    wait_ready(&process.api());
    subscribe(&process.api(), &url);
    first_polls_done(&process);
    let age = async || {
        let bus = open(&desk).await;
        make_due(&bus).await;
        bus.close().await;
    };
    let mut process = kill_again_and_again(&mut press, process, || desk.run(), age).await;
    let told = told(&receiver, press.titles().len());
    assert_eq!(process.stop(), Some(0), "{}", process.log());
    check(&open(&desk).await, &press, &told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ingest_worker_killed_while_it_reads_feeds_and_files_loses_and_doubles_nothing() {
    let _alone = crate::e2e::HEAVY.lock().await;
    let Some(nats) = Server::start() else { return };
    let desk = Desk::new(RULES);
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let mut press = Press::start(&desk).await;
    let workers = ["api", "rules", "notifier"].map(|which| desk.worker(which, &nats.url()));
    wait_ready(&workers[0].api());
    leases_taken(&workers[1]);
    subscribe(&workers[0].api(), &url);
    let ingest = desk.worker("ingest", &nats.url());
    first_polls_done(&ingest);
    let bus = connect(&nats.url()).await;
    let start = || desk.worker("ingest", &nats.url());
    let age = async || make_due(&bus).await;
    let _ingest = kill_again_and_again(&mut press, ingest, start, age).await;
    let told = told(&receiver, press.titles().len());
    check(&bus, &press, &told).await;
}
