//! Feeds whose articles are on the pages they link to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::any;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use wirebell::source::Feed;

use crate::source::Desk;
use crate::source::feed;

/// What a site serves, and how often each address was asked for.
#[derive(Clone, Default)]
struct Site(Arc<Mutex<Served>>);

#[derive(Default)]
struct Served {
    pages: BTreeMap<String, String>,
    asked: BTreeMap<String, usize>,
}

impl Site {
    fn put(&self, path: &str, body: String) {
        self.0.lock().unwrap().pages.insert(path.to_owned(), body);
    }

    fn asked(&self, path: &str) -> usize {
        self.0.lock().unwrap().asked.get(path).copied().unwrap_or(0)
    }
}

async fn answer(State(site): State<Site>, uri: Uri) -> Response {
    let mut served = site.0.lock().unwrap();
    *served.asked.entry(uri.path().to_owned()).or_default() += 1;
    match served.pages.get(uri.path()) {
        Some(body) => body.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn rss(items: &[(&str, &str)]) -> String {
    let item = |(path, text): &(&str, &str)| {
        format!(
            "<item><guid>{path}</guid><link>/{path}</link><title>Note {path}</title><description>{text}</description></item>"
        )
    };
    let items: String = items.iter().map(item).collect();
    format!("<rss><channel><title>Paper</title>{items}</channel></rss>")
}

fn page(what: &str) -> String {
    let sentence =
        "The harbour council met on Monday evening and spoke about the old crane again. ";
    let paragraph = format!("<p>{what} {}</p>", sentence.repeat(4));
    format!(
        "<html lang=en><body><nav><a href=/>Home</a></nav><article>{}</article></body></html>",
        paragraph.repeat(3)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_is_taken_at_once_and_its_page_revises_it_once() {
    let (site, mut tasks) = (Site::default(), JoinSet::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(any(answer)).with_state(site.clone());
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    site.put("/robots.txt", "User-agent: *\nDisallow: /closed\n".to_owned());
    site.put("/a", page("Of the first."));
    site.put("/closed", page("Of the closed."));
    site.put("/feed", rss(&[("a", "In short."), ("closed", "Closed in short.")]));
    let mut desk = Desk::open().await;
    let pages = Feed { pages: true, ..feed("paper", format!("http://{address}/feed")) };
    desk.run(vec![pages], Vec::new());
    let read = desk.articles(0, 3).await;
    let told: Vec<(&str, u32, &str)> = read
        .iter()
        .map(|(_, a)| (a.title.as_str(), a.revision, a.body.get(..13).unwrap_or(&a.body)))
        .collect();
    assert_eq!(
        told,
        [
            ("Note a", 1, "In short."),
            ("Note closed", 1, "Closed in sho"),
            ("Note a", 2, "Of the first.")
        ]
    );
    let revised = &read[2].1;
    assert_eq!(
        (revised.body.split("\n\n").count(), revised.lang.as_ref().unwrap().as_str()),
        (3, "en")
    );
    assert!(!revised.body.contains("Home") && revised.first_poll, "{revised:?}");
    // The same feed again brings nothing, and asks for nothing.
    let polls = site.asked("/feed");
    let later = polls + 3;
    crate::workers::wait_until("polls", async || site.asked("/feed") >= later).await;
    assert_eq!((site.asked("/a"), site.asked("/closed"), site.asked("/robots.txt")), (1, 0, 1));
    // A changed entry is its page read again, without its short text in between; a new one rings.
    site.put("/a", page("Of the first, corrected."));
    site.put("/b", page("Of the second."));
    site.put(
        "/feed",
        rss(&[("b", "News."), ("a", "In short, corrected."), ("closed", "Closed in short.")]),
    );
    let more = desk.articles(read[2].0, 3).await;
    let told: Vec<(&str, u32, &str)> = more
        .iter()
        .map(|(_, a)| (a.title.as_str(), a.revision, a.body.get(..14).unwrap_or(&a.body)))
        .collect();
    assert_eq!(told[0], ("Note b", 1, "News."));
    let mut pages: Vec<_> = told[1..].to_vec();
    pages.sort_unstable();
    assert_eq!(pages, [("Note a", 3, "Of the first, "), ("Note b", 2, "Of the second.")]);
    assert!(!more[0].1.first_poll);
    desk.close().await;
}
