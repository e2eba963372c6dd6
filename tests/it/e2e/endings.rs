//! Who is told of an end: whoever was, or may have been, told of the alert, and nobody else, while
//! filters change, endpoints fail and hang, subscriptions go and the process is killed.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::any;
use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::Process;
use crate::e2e::ask;
use crate::e2e::chaos::Shown;
use crate::e2e::flow::push_all;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;

const RULES: &str = "version: 1
rules:
  - {id: siren, any: [siren sounds], key: source}
  - {id: siren-over, ends: siren, any: [siren silent], key: source}
  - {id: quake, any: [quake felt], key: source}
  - {id: quake-over, ends: quake, any: [quake past], key: source}
";
const SETTINGS: &str = "egress: {allow: [127.0.0.0/8]}\nlease: 3s\ndelivery: {timeout: 1s}\n";
const ROUNDS: usize = 12;
/// Alerts opened in each round.
const ALERTS: usize = 4;

/// What a path answers now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Takes,
    Fails,
    Hangs,
}

/// Notes what comes by path, and answers as it is told to.
#[derive(Clone, Default)]
struct Paths(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    manners: BTreeMap<String, Manner>,
    /// By path: alerts told of, and alerts whose end was told.
    told: BTreeMap<String, BTreeSet<String>>,
    ended: BTreeMap<String, BTreeSet<String>>,
}

impl Paths {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        self.serve(listener);
        url
    }

    fn serve(&self, listener: tokio::net::TcpListener) {
        let router = Router::new().fallback(any(take)).with_state(self.clone());
        let serving = async move { axum::serve(listener, router).await.unwrap() };
        tokio::runtime::Handle::current().spawn(serving);
    }

    fn set(&self, path: &str, manner: Manner) {
        self.0.lock().unwrap().manners.insert(path.to_owned(), manner);
    }

    /// Alerts told of and alerts ended, at a path.
    fn seen(&self, path: &str) -> (BTreeSet<String>, BTreeSet<String>) {
        let noted = self.0.lock().unwrap();
        let of = |map: &BTreeMap<String, BTreeSet<String>>| map.get(path).cloned();
        (of(&noted.told).unwrap_or_default(), of(&noted.ended).unwrap_or_default())
    }
}

async fn take(State(paths): State<Paths>, uri: http::Uri, body: Bytes) -> StatusCode {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let Some(alert) = body["data"]["alert"]["id"].as_str().map(str::to_owned) else {
        return StatusCode::NO_CONTENT;
    };
    let path = uri.path().to_owned();
    let manner = {
        let mut noted = paths.0.lock().unwrap();
        let manner = noted.manners.get(&path).copied().unwrap_or(Manner::Takes);
        let ending = body["type"] == "alert.ended";
        let noted = if ending { &mut noted.ended } else { &mut noted.told };
        noted.entry(path).or_default().insert(alert);
        manner
    };
    match manner {
        Manner::Takes => StatusCode::NO_CONTENT,
        Manner::Fails => StatusCode::INTERNAL_SERVER_ERROR,
        Manner::Hangs => std::future::pending().await,
    }
}

/// Makes a subscription; answers its address in the API.
fn subscribe(api: &str, wanted: &Value) -> String {
    let path = format!("{api}/v1/subscriptions");
    let body = wanted.to_string();
    let (status, made) = ask("POST", &path, "application/json", body.as_bytes()).unwrap();
    assert_eq!(status, 201, "{made}");
    format!("/v1/subscriptions/{}", made["id"].as_str().unwrap())
}

fn article(round: usize, n: usize, ends: bool) -> Value {
    let topic = if n.is_multiple_of(2) { "siren" } else { "quake" };
    let words = match (topic, ends) {
        ("siren", false) => "siren sounds",
        ("siren", true) => "siren silent",
        (_, false) => "quake felt",
        (_, true) => "quake past",
    };
    json!({
        "id": format!("{round}-{n}-{ends}"),
        "title": format!("The {words} in town {round} {n}"),
        "body": "So the mayor says.",
        "source": format!("paper-{round}-{n}"),
    })
}

fn push(process: &Process, round: usize, ends: bool) {
    let articles: Vec<Value> = (0..ALERTS).map(|n| article(round, n, ends)).collect();
    push_all(|| process.api(), &articles, ALERTS);
}

/// Has a subscription tried at once, and waits until it has nothing before it.
fn settled(api: &str, address: &str) {
    let (status, _) = ask("POST", &format!("{api}{address}/test"), "", b"").unwrap();
    assert_eq!(status, 202);
    wait_for("a settled subscription", || {
        let (_, shown) = ask("GET", &format!("{api}{address}"), "", b"")?;
        shown["delivery"]["outstanding"].as_array()?.is_empty().then_some(())
    });
}

/// Waits until so many alerts have ended.
fn ended(api: &str, count: usize) {
    wait_for("every alert to end", || {
        let (_, alerts) = ask("GET", &format!("{api}/v1/alerts?limit=1000"), "", b"")?;
        let alerts = alerts["data"].as_array()?;
        let over = alerts.iter().filter(|alert| alert["status"] == "ended").count();
        (over == count).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_told_to_whoever_was_or_may_have_been_told_and_to_nobody_else() {
    let _alone = crate::e2e::HEAVY.lock().await;
    let desk = Desk::with_settings(RULES, SETTINGS);
    let mut process = desk.run();
    let paths = Paths::default();
    let hook = paths.start().await;
    let api = process.api();
    wait_ready(&api);
    let of = |path: &str| json!({"url": format!("{hook}{path}"), "topics": ["*"]});
    let steady = subscribe(&api, &of("/steady"));
    let edited = subscribe(&api, &of("/edited"));
    let troubled = subscribe(&api, &of("/troubled"));
    let mut wide = of("/wide");
    wide["max_in_flight"] = json!(8);
    let wide = subscribe(&api, &wide);
    let leaving = subscribe(&api, &of("/leaving"));
    let filters = [json!(["*"]), json!(["siren"]), json!(["quake"])];
    let manners = [Manner::Takes, Manner::Fails, Manner::Hangs];
    for round in 1..=ROUNDS {
        let topics = json!({"topics": filters[fastrand::usize(..3)]}).to_string();
        let manner = manners[fastrand::usize(..3)];
        paths.set("/troubled", manner);
        paths.set("/wide", manners[fastrand::usize(..3)]);
        wait_for("a changed filter", || {
            let address = format!("{}{edited}", process.api());
            ask("PATCH", &address, "application/json", topics.as_bytes())
                .filter(|(status, _)| *status == 200)
        });
        push(&process, round, false);
        if round.is_multiple_of(3) {
            std::thread::sleep(std::time::Duration::from_millis(fastrand::u64(0..300)));
            process.kill();
            process = desk.run();
        }
        if round == ROUNDS / 2 {
            wait_for("a removed subscription", || {
                ask("DELETE", &format!("{}{leaving}", process.api()), "", b"")
                    .filter(|(status, _)| *status == 204 || *status == 404)
            });
        }
        push(&process, round, true);
    }
    for path in ["/troubled", "/wide"] {
        paths.set(path, Manner::Takes);
    }
    let api = process.api();
    let _shown = Shown(api.clone());
    let all = ROUNDS * ALERTS;
    ended(&api, all);
    for address in [&steady, &edited, &troubled, &wide] {
        settled(&api, address);
    }
    for path in ["/steady", "/edited", "/troubled", "/wide"] {
        // An end overtakes an opening that may have arrived: then that comes after it.
        wait_for(&format!("every end, and what it ends, at {path}"), || {
            let (told, ended) = paths.seen(path);
            (told == ended).then_some(())
        });
    }
    assert_eq!(paths.seen("/steady").0.len(), all, "the steady one was told of each");
    let (told, ended) = paths.seen("/leaving");
    assert!(ended.is_subset(&told) && told.len() < all, "{} of {all}", told.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_taken_back_where_nothing_was_told() {
    let desk = Desk::with_settings(RULES, SETTINGS);
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    // Nobody listens there: openings are given up unsent before they end.
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let wanted = json!({"url": format!("http://{dead}/"), "topics": ["*"], "ttl": "1s"});
    let address = subscribe(&api, &wanted);
    let standing = |name: &str| {
        let (_, shown) = ask("GET", &format!("{api}{address}"), "", b"")?;
        shown["delivery"][name].as_u64()
    };
    push(&process, 0, false);
    let alerts = u64::try_from(ALERTS).unwrap();
    wait_for("openings given up", || standing("given_up").filter(|n| *n == alerts));
    let paths = Paths::default();
    let listener = tokio::net::TcpListener::bind(dead).await.unwrap();
    paths.serve(listener);
    push(&process, 0, true);
    wait_for("endings withheld", || standing("given_up").filter(|n| *n == 2 * alerts));
    assert_eq!(paths.seen("/"), (BTreeSet::new(), BTreeSet::new()));
}
