//! Feeds, folders and pushed articles into the log of the embedded bus.

mod links;
mod notices;
mod polite;

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Embedded;
use wirebell::bus::EmbeddedSettings;
use wirebell::bus::Item;
use wirebell::bus::Limits;
use wirebell::bus::Selection;
use wirebell::bus::Stream;
use wirebell::bus::Until;
use wirebell::clock::Clock;
use wirebell::egress::Client;
use wirebell::egress::Policy;
use wirebell::egress::Resolver;
use wirebell::feed::Draft;
use wirebell::feed::Form;
use wirebell::feed::read_articles;
use wirebell::model::Article;
use wirebell::model::SourceId;
use wirebell::model::Time;
use wirebell::source;
use wirebell::source::Accepted;
use wirebell::source::Feed;
use wirebell::source::Folder;
use wirebell::source::Origin;
use wirebell::source::Reason;
use wirebell::source::Status;
use wirebell::source::poll::State;
use wirebell::spans::Tracer;
use wirebell::telemetry::Board;
use wirebell::telemetry::Health;
use wiremock::Mock;
use wiremock::MockServer;
use wiremock::ResponseTemplate;
use wiremock::matchers::any;
use wiremock::matchers::header;

/// Longest wait for anything: a test that waits longer fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Desk {
    _data: tempfile::TempDir,
    pub(crate) bus: Embedded,
    board: Board,
    stop: CancellationToken,
    tasks: JoinSet<Result<(), source::Error>>,
}

impl Desk {
    pub(crate) async fn open() -> Self {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().to_owned();
        let settings = EmbeddedSettings { folder, limits: Limits::default() };
        let bus = Embedded::open(settings).await.unwrap();
        let (board, stop) = (Board::default(), CancellationToken::new());
        Self { _data: data, bus, board, stop, tasks: JoinSet::new() }
    }

    pub(crate) fn run(&mut self, feeds: Vec<Feed>, folders: Vec<Folder>) {
        let host_gap = Duration::from_millis(1);
        let settings = source::Settings {
            sources: source::Sources { feeds, folders, host_gap },
            share: source::Share::all(),
            clock: Clock::System,
            board: self.board.clone(),
            tracer: Tracer::default(),
        };
        let policy = Policy::new(&["127.0.0.0/8"]).unwrap();
        let client = Client::new(policy, Resolver::table(&[]));
        let (bus, stop) = (self.bus.clone(), self.stop.clone());
        self.tasks.spawn(async move { source::run(settings, bus, client, stop).await });
    }

    /// The next articles of the log after this position.
    pub(crate) async fn articles(&self, after: u64, count: usize) -> Vec<(u64, Article)> {
        let from = wirebell::bus::From::After(after);
        let filter = "wb.article.>".to_owned();
        let selection = Selection { from, until: Until::Forever, filter };
        let mut reader = self.bus.read(Stream::Articles, selection).await.unwrap();
        let mut read = Vec::new();
        while read.len() < count {
            let item = tokio::time::timeout(PATIENCE, reader.next()).await.expect("an article");
            let Item::Record(record) = item.unwrap().unwrap() else { panic!("overtaken") };
            read.push((record.seq, serde_json::from_slice(&record.payload).unwrap()));
        }
        read
    }

    /// The first state of the feed that fulfils the condition.
    pub(crate) async fn state(&self, id: &str, wanted: impl Fn(&State) -> bool) -> State {
        let mut watch = self.bus.watch(Bucket::Feeds, "", 0).await.unwrap();
        loop {
            let entry = tokio::time::timeout(PATIENCE, watch.next()).await.expect("a state");
            let entry = entry.unwrap().unwrap();
            let Some(value) = entry.value.filter(|_| entry.key == id) else { continue };
            let state: State = serde_json::from_slice(&value).unwrap();
            if wanted(&state) {
                return state;
            }
        }
    }

    pub(crate) async fn close(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

pub(crate) fn feed(id: &str, url: String) -> Feed {
    Feed {
        id: SourceId::new(id).unwrap(),
        url,
        name: None,
        owner: Some("owner".into()),
        official: true,
        lang: None,
        interval: Duration::from_millis(20),
        eager: true,
        silent_after: None,
        pages: false,
        cap: None,
    }
}

fn document(titles: &[&str]) -> String {
    let items: Vec<String> = titles
        .iter()
        .map(|t| {
            format!("<item><title>{t}</title><guid>{t}</guid><description>x</description></item>")
        })
        .collect();
    format!("<rss><channel>{}</channel></rss>", items.concat())
}

fn draft(id: &str, body: &str) -> Draft {
    Draft { id: Some(id.into()), title: "Sirens".into(), body: body.into(), ..Draft::default() }
}

fn statuses(answers: &[Result<Accepted, Reason>]) -> Vec<(Status, u32)> {
    answers.iter().map(|a| a.as_ref().map(|a| (a.status, a.revision)).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_gives_each_article_its_answer_and_a_repeat_changes_nothing() {
    let desk = Desk::open().await;
    let origin = Origin::push(false);
    let now = Time::from_millis(1_704_900_000_000);
    let drafts = vec![
        draft("a", "one"),
        draft("a", "two"),
        draft("b", "one"),
        draft("a", "two"),
        Draft::default(),
        draft("a", "one"),
    ];
    let answers = source::publish_all(&desk.bus, &origin, drafts.clone(), now).await.unwrap();
    assert_eq!(answers[4], Err(Reason::Empty));
    let good: Vec<_> = answers.into_iter().filter(Result::is_ok).collect();
    let (new, revised, known) = (Status::New, Status::Revised, Status::Known);
    assert_eq!(statuses(&good), [(new, 1), (revised, 2), (new, 1), (known, 2), (known, 1)]);
    let end = desk.bus.end(Stream::Articles).await.unwrap();
    assert_eq!(end, 3);
    let later = now.plus(Duration::from_secs(60));
    let again = source::publish_all(&desk.bus, &origin, drafts, later).await.unwrap();
    assert!(again.iter().flatten().all(|a| a.status == Status::Known));
    assert_eq!(desk.bus.end(Stream::Articles).await.unwrap(), end);
    let mut changed = draft("a", "one");
    changed.updated_at = Some(later);
    let answer = source::publish(&desk.bus, &origin, changed, later).await.unwrap().unwrap();
    assert_eq!((answer.status, answer.revision), (Status::Revised, 3));
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_that_race_make_one_new_article_and_a_revision_each() {
    let desk = Desk::open().await;
    let mut racing = JoinSet::new();
    for n in 0..4 {
        let bus = desk.bus.clone();
        racing.spawn(async move {
            let now = Time::from_millis(n);
            let text = draft("a", &format!("text {n}"));
            source::publish(&bus, &Origin::push(false), text, now).await.unwrap().unwrap().revision
        });
    }
    let mut revisions = racing.join_all().await;
    revisions.sort_unstable();
    assert_eq!(revisions, [1, 2, 3, 4]);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_articles_are_taken_in_one_call() {
    let desk = Desk::open().await;
    let body = "Сирени ".repeat(4_000);
    let drafts: Vec<Draft> = (0..600).map(|n| draft(&n.to_string(), &body)).collect();
    let now = Time::from_millis(0);
    let answers = source::publish_all(&desk.bus, &Origin::push(false), drafts, now).await.unwrap();
    assert!(answers.iter().all(|a| a.as_ref().is_ok_and(|a| a.status == Status::New)));
    assert_eq!(desk.bus.end(Stream::Articles).await.unwrap(), 600);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_poll_is_a_baseline_and_later_ones_are_conditional() {
    let server = MockServer::start().await;
    let first = ResponseTemplate::new(200)
        .insert_header("etag", "W/\"one\"")
        .insert_header("last-modified", "some day as written")
        .set_body_string(document(&["A", "B"]));
    let second = ResponseTemplate::new(200)
        .insert_header("etag", "\"two\"")
        .set_body_string(document(&["C", "A", "B"]));
    Mock::given(header("if-none-match", "W/\"one\""))
        .and(header("if-modified-since", "some day as written"))
        .respond_with(second)
        .mount(&server)
        .await;
    Mock::given(header("if-none-match", "\"two\""))
        .respond_with(ResponseTemplate::new(304))
        .mount(&server)
        .await;
    Mock::given(any()).respond_with(first).with_priority(9).mount(&server).await;
    let mut desk = Desk::open().await;
    desk.run(vec![feed("skylark", server.uri())], Vec::new());
    let read = desk.articles(0, 3).await;
    let found: Vec<(&str, bool)> =
        read.iter().map(|(_, a)| (a.title.as_str(), a.first_poll)).collect();
    assert_eq!(found, [("A", true), ("B", true), ("C", false)]);
    let article = &read[0].1;
    assert_eq!((article.source.as_str(), article.official), ("skylark", true));
    assert_eq!(article.owner.as_deref(), Some("owner"));
    assert_eq!(article.published_at, None);
    let state = desk.state("skylark", |s| s.etag.as_deref() == Some("\"two\"")).await;
    assert!(state.first_poll_done && state.last_ok.is_some() && state.failures == 0);
    assert_eq!(desk.bus.end(Stream::Articles).await.unwrap(), 3);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_fails_is_shown_and_recovers_and_one_that_is_gone_stops() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(500))
        .up_to_n_times(3)
        .mount(&server)
        .await;
    let good = ResponseTemplate::new(200).set_body_string(document(&["A"]));
    Mock::given(any()).respond_with(good).up_to_n_times(1).mount(&server).await;
    Mock::given(any()).respond_with(ResponseTemplate::new(410)).mount(&server).await;
    let mut desk = Desk::open().await;
    desk.run(vec![feed("skylark", server.uri())], Vec::new());
    assert_eq!(desk.articles(0, 1).await[0].1.title, "A");
    let state = desk.state("skylark", |s| s.gone).await;
    assert!(state.first_poll_done && state.last_error.is_some());
    assert_eq!(server.received_requests().await.unwrap().len(), 5);
    let health = async {
        loop {
            let parts = desk.board.parts();
            let shown = parts
                .iter()
                .any(|(_, h)| matches!(h, Health::Degraded(t) if t.contains("skylark")));
            if shown {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, health).await.expect("the board shows the feed");
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_asks_for_a_pause_gets_it_for_all_its_feeds() {
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "3600");
    Mock::given(any()).respond_with(busy).mount(&server).await;
    let mut desk = Desk::open().await;
    let one = feed("one", format!("{}/1", server.uri()));
    let two = feed("two", format!("{}/2", server.uri()));
    desk.run(vec![one, two], Vec::new());
    let state = desk.state("one", |s| s.failures == 1).await;
    let wait = state.next_poll.since(Time::from_millis(Clock::System.now_ms()));
    assert!(wait > Duration::from_secs(3_000), "{wait:?}");
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_feed_is_an_error_that_says_so_and_a_new_address_starts_anew() {
    let server = MockServer::start().await;
    let page = ResponseTemplate::new(200).set_body_string("<html><body>News</body></html>");
    Mock::given(any()).respond_with(page).mount(&server).await;
    let mut desk = Desk::open().await;
    desk.run(vec![feed("skylark", server.uri())], Vec::new());
    let state = desk.state("skylark", |s| s.failures > 0).await;
    assert!(state.last_error.unwrap().contains("HTML page"));
    desk.stop.cancel();
    while desk.tasks.join_next().await.is_some() {}
    let moved = MockServer::start().await;
    let good = ResponseTemplate::new(200).set_body_string(document(&["A"]));
    Mock::given(any()).respond_with(good).mount(&moved).await;
    desk.stop = CancellationToken::new();
    desk.run(vec![feed("skylark", moved.uri())], Vec::new());
    assert!(desk.articles(0, 1).await[0].1.first_poll);
    desk.close().await;
}

pub(crate) fn folder(path: &Path) -> Folder {
    Folder {
        path: path.to_owned(),
        id: SourceId::new("desk").unwrap(),
        name: None,
        owner: None,
        official: false,
        lang: None,
        interval: Duration::from_millis(20),
    }
}

pub(crate) async fn appears(path: PathBuf) {
    let waiting = async {
        while !path.exists() {
            tokio::task::yield_now().await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(seen.is_ok(), "{} never appears", path.display());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_in_a_folder_are_published_and_moved_and_a_bad_one_fails_alone() {
    let inbox = tempfile::tempdir().unwrap();
    let root = inbox.path();
    std::fs::write(root.join("good.txt"), "date 2024-01-10 Sirens\n\nOne.\n\nTwo.").unwrap();
    let lines =
        "{\"title\":\"A\",\"body\":\"b\"}\n{\"title\":7}\n{\"title\":\"C\",\"body\":\"d\"}\n";
    std::fs::write(root.join("mixed.jsonl"), lines).unwrap();
    std::fs::write(root.join("empty.json"), "").unwrap();
    std::fs::write(root.join(".hidden"), "x").unwrap();
    std::fs::write(root.join("growing.part"), "x").unwrap();
    let mut desk = Desk::open().await;
    desk.run(Vec::new(), vec![folder(root)]);
    appears(root.join("done/good.txt")).await;
    appears(root.join("failed/mixed.jsonl")).await;
    appears(root.join("failed/empty.json")).await;
    let told = std::fs::read_to_string(root.join("failed/mixed.jsonl.error.txt")).unwrap();
    assert!(
        told.starts_with("2 articles were taken, 1 were not:\nline 2: title is a number"),
        "{told}"
    );
    let mut titles: Vec<String> =
        desk.articles(0, 3).await.into_iter().map(|(_, a)| a.title).collect();
    titles.sort_unstable();
    assert_eq!(titles, ["A", "C", "Sirens"]);
    std::fs::write(root.join("good.txt"), "date 2024-01-10 Sirens\n\nOne.\n\nTwo.").unwrap();
    appears(root.join("done/good.txt.1")).await;
    assert_eq!(desk.bus.end(Stream::Articles).await.unwrap(), 3);
    assert!(root.join(".hidden").exists() && root.join("growing.part").exists());
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_article_at_its_size_limit_is_taken_whole() {
    let desk = Desk::open().await;
    let text = format!("Sirens\n\n{}", "警".repeat(1_000_000));
    let drafts: Vec<Draft> =
        read_articles(text.as_bytes(), Form::Text, None).into_iter().flatten().collect();
    let now = Time::from_millis(0);
    let answers = source::publish_all(&desk.bus, &Origin::push(false), drafts, now).await.unwrap();
    assert_eq!(statuses(&answers), [(Status::New, 1)]);
    let read = desk.articles(0, 1).await;
    assert_eq!(read[0].1.body.chars().count(), 1_000_000);
    desk.close().await;
}

/// Id, address, headline, text and minute of an item.
type Printed<'a> = (&'a str, &'a str, &'a str, &'a str, u32);

fn edition(items: &[Printed<'_>]) -> String {
    let item = |(id, link, title, text, minute): &Printed<'_>| {
        format!(
            "<item><guid>{id}</guid><link>https://paper.example/{link}</link><title>{title}</title>\
             <pubDate>Wed, 10 Jan 2024 07:{minute:02}:00 GMT</pubDate><description>{text}</description></item>"
        )
    };
    let items: String = items.iter().map(item).collect();
    format!("<rss><channel><title>Paper</title>{items}</channel></rss>")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_edited_item_by_item_gives_revisions_and_no_second_article() {
    let first: Vec<Printed<'_>> = vec![
        ("typo", "a", "Crane stays", "It staid.", 1),
        ("headline", "b", "Ship leaves", "At noon.", 2),
        ("meaning", "c", "Bridge opens", "It opens.", 3),
        ("address", "d", "Market day", "On Friday.", 4),
        ("date", "e", "Choir sings", "In church.", 5),
        ("id", "f", "School closes", "For snow.", 6),
        ("gone", "g", "Lamp broken", "In the yard.", 7),
        ("same", "h", "Tide low", "All day.", 8),
    ];
    let second: Vec<Printed<'_>> = vec![
        ("typo", "a", "Crane stays", "It stayed.", 1),
        ("headline", "b", "Ship leaves late", "At noon.", 2),
        ("meaning", "c", "Bridge does not open", "It stays closed.", 3),
        ("address", "d2", "Market day", "On Friday, rain or shine.", 4),
        ("date", "e", "Choir sings", "In church, at eight.", 55),
        ("id-2", "f", "School closes", "For snow and ice.", 6),
        ("same", "h", "Tide low", "All day.", 8),
        ("new", "i", "Ferry runs", "Again.", 9),
    ];
    let server = MockServer::start().await;
    let serve = async |body: String| {
        server.reset().await;
        Mock::given(any())
            .respond_with(ResponseTemplate::new(200).set_body_string(body))
            .mount(&server)
            .await;
    };
    serve(edition(&first)).await;
    let mut desk = Desk::open().await;
    desk.run(vec![feed("paper", format!("{}/feed", server.uri()))], Vec::new());
    let before = desk.articles(0, first.len()).await;
    serve(edition(&second)).await;
    let after = desk.articles(before.last().unwrap().0, 7).await;
    let id = |title: &str| before.iter().find(|(_, a)| a.title == title).unwrap().1.id.clone();
    let told: Vec<(&str, u32)> =
        after.iter().map(|(_, a)| (a.title.as_str(), a.revision)).collect();
    assert_eq!(
        told,
        [
            ("Crane stays", 2),
            ("Ship leaves late", 2),
            ("Bridge does not open", 2),
            ("Market day", 2),
            ("Choir sings", 2),
            ("School closes", 2),
            ("Ferry runs", 1),
        ]
    );
    let as_before = [
        "Crane stays",
        "Ship leaves",
        "Bridge opens",
        "Market day",
        "Choir sings",
        "School closes",
    ];
    for ((_, article), title) in after.iter().zip(as_before) {
        assert_eq!(article.id, id(title), "{title}");
    }
    // The same document again is nothing new, under the new id too.
    let end = desk.bus.end(Stream::Articles).await.unwrap();
    let polled = desk.state("paper", |_| true).await.next_poll;
    desk.state("paper", |state| state.next_poll > polled && state.failures == 0).await;
    assert_eq!(desk.bus.end(Stream::Articles).await.unwrap(), end);
    desk.close().await;
}
