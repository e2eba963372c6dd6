//! Servers of feeds that note every request: hosts are addresses of loopback, many feeds on each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use wirebell::clock::Clock;
use wirebell::model::Time;

/// Feeds on one host.
pub(super) const A_HOST: usize = 4;
/// A feed has news this often.
pub(super) const NEWS_EVERY: i64 = 3_600_000;
/// One feed of so many answers with an error for two hours, from the third hour on.
pub(super) const FAILS: usize = 11;
/// One of so many asks for fewer requests once an hour.
pub(super) const THROTTLES: usize = 13;
/// One of so many has no more news after the tenth hour.
pub(super) const DIES: usize = 17;
/// How long who is asked for fewer requests has to wait.
pub(super) const PAUSE: i64 = 1_800_000;

/// The loopback address that a feed is on.
pub(super) fn host(n: usize) -> String {
    let host = n / A_HOST;
    format!("127.{}.{}.{}", 1 + host / 62_500, host / 250 % 250, 1 + host % 250)
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) at: i64,
    pub(super) feed: usize,
    pub(super) status: u16,
    /// Which news the feed had then.
    pub(super) story: i64,
}

/// Every paper.
#[derive(Clone)]
pub(super) struct Papers(Arc<Inner>);

struct Inner {
    clock: Clock,
    began: i64,
    /// Shortest time between two requests to a host.
    gap: i64,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    asked: Vec<Asked>,
    open: BTreeMap<String, u32>,
    /// When each host was last asked.
    last: BTreeMap<String, i64>,
    /// Until when a host wants to be left alone.
    paused: BTreeMap<String, i64>,
    wrong: Vec<String>,
}

impl Papers {
    /// Serves every address of loopback until dropped with its tasks.
    pub(super) async fn open(clock: Clock, gap: i64, tasks: &mut JoinSet<()>) -> (Self, u16) {
        let began = clock.now_ms();
        let inner = Inner { clock, began, gap, noted: Mutex::default() };
        let papers = Self(Arc::new(inner));
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route("/{feed}", get(answer)).with_state(papers.clone());
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tasks.spawn(async move { axum::serve(listener, service).await.unwrap() });
        (papers, port)
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.0.noted.lock().unwrap().asked.clone()
    }

    /// What was asked against the rules.
    pub(super) fn wrong(&self) -> Vec<String> {
        self.0.noted.lock().unwrap().wrong.clone()
    }

    fn came(&self, feed: usize, headers: &HeaderMap) -> Response {
        let now = self.0.clock.now_ms();
        let since = now - self.0.began;
        let host = host(feed);
        let status = status(feed, since);
        // Feeds have their news at different minutes.
        let story = (since.min(dies(feed)) + (feed as i64 * 7_919) % NEWS_EVERY) / NEWS_EVERY;
        let tag = format!("\"{feed}-{story}\"");
        let known = headers.get("if-none-match").map(|tag| tag.to_str().unwrap().to_owned());
        let mut noted = self.0.noted.lock().unwrap();
        let before = noted.last.get(&host).copied();
        if before.is_some_and(|before| now < before + self.0.gap) {
            noted.wrong.push(format!("{host} was asked again too soon: feed {feed}"));
        }
        if noted.paused.get(&host).is_some_and(|until| now < *until) {
            noted.wrong.push(format!("{host} was not left alone: feed {feed}"));
        }
        noted.last.insert(host.clone(), now);
        let (status, response) = match status {
            200 if known.as_deref() == Some(&tag) => {
                (304, StatusCode::NOT_MODIFIED.into_response())
            }
            200 => {
                let date = Time::from_millis(now - 60_000).to_string();
                let body = format!(
                    "<feed><title>Paper {feed}</title><entry><id>{feed}-{story}</id>\
                     <title>Note {story} of paper {feed}</title><updated>{date}</updated>\
                     <content>Nothing rings.</content></entry></feed>"
                );
                (200, ([("etag", tag)], body).into_response())
            }
            429 => {
                noted.paused.insert(host, now + PAUSE);
                let wait = (PAUSE / 1_000).to_string();
                (429, (StatusCode::TOO_MANY_REQUESTS, [("retry-after", wait)]).into_response())
            }
            other => (other, StatusCode::from_u16(other).unwrap().into_response()),
        };
        noted.asked.push(Asked { at: since, feed, status, story });
        response
    }
}

/// When a feed has its last news.
fn dies(feed: usize) -> i64 {
    if feed % DIES == 3 { 10 * NEWS_EVERY } else { i64::MAX }
}

fn status(feed: usize, since: i64) -> u16 {
    let hour = since / 3_600_000;
    if feed % FAILS == 5 && (3..5).contains(&hour) {
        return 500;
    }
    // The first quarter of each sixth hour.
    if feed % THROTTLES == 6 && hour % 6 == 2 && since % 3_600_000 < 900_000 { 429 } else { 200 }
}

async fn answer(
    State(papers): State<Papers>,
    ConnectInfo(_): ConnectInfo<SocketAddr>,
    Path(feed): Path<usize>,
    headers: HeaderMap,
) -> Response {
    let _open = Open::new(&papers, host(feed));
    // Whoever asks at the same time has a chance to be seen.
    tokio::task::yield_now().await;
    papers.came(feed, &headers)
}

/// A request under way. It ends also where whoever asked has died, and the answer is never made.
struct Open {
    papers: Papers,
    host: String,
}

impl Open {
    fn new(papers: &Papers, host: String) -> Self {
        let mut noted = papers.0.noted.lock().unwrap();
        let open = noted.open.entry(host.clone()).or_default();
        *open += 1;
        if *open > 1 {
            noted.wrong.push(format!("{host} saw two requests at once"));
        }
        Self { papers: papers.clone(), host }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut noted = self.papers.0.noted.lock().unwrap();
        *noted.open.entry(std::mem::take(&mut self.host)).or_default() -= 1;
    }
}
