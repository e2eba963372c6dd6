//! `kill -9` at each write of a request under a key, and the same request again.
//!
//! The API that dies is this test program, run with orders in its environment.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use wirebell::bus::Limits;

use super::Client;
use super::Home;
use super::JSON;
use super::LINES;
use super::PATH;
use super::definition;
use crate::bus::embedded::open;
use crate::steps::dying::Death;
use crate::steps::dying::Dying;
use crate::support::nats::Server;
use crate::support::nats::connect;
use crate::support::served::Served;

const ORDERS: &str = "WIREBELL_TEST_ONCE";
const EMBEDDED: &str = "once::dying::a_death_makes_nothing_twice_on_the_embedded_store";
const NATS: &str = "once::dying::a_death_makes_nothing_twice_on_nats";
const ADDRESS: &str = "serves at ";
/// What another process waits for follows from it.
const LIMIT: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
struct Orders {
    place: Place,
    death: Option<Death>,
}

#[derive(Clone, Serialize, Deserialize)]
enum Place {
    Folder(PathBuf),
    Nats(String),
}

/// An API in a process of its own; killed when it is dropped.
struct Api {
    child: Child,
    client: Client,
}

impl Orders {
    fn given() -> Option<Self> {
        let text = std::env::var_os(ORDERS)?;
        Some(serde_json::from_slice(text.as_encoded_bytes()).unwrap())
    }

    fn start(&self, test: &str) -> Api {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(ORDERS, serde_json::to_string(self).unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            line.unwrap().split_once(ADDRESS).map(|(_, address)| address.to_owned())
        });
        // It may go on to speak, and be heard by nobody.
        std::thread::spawn(move || lines.map_while(Result::ok).count());
        Api { child, client: Client { address: address.expect("the API says where it is") } }
    }

    /// Serves until it is killed.
    fn follow(self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let served = match self.place {
                Place::Nats(url) => {
                    Served::start(Dying::on(connect(&url).await, self.death), false, LIMIT).await
                }
                Place::Folder(folder) => {
                    let bus = open(folder, Limits::default()).await;
                    Served::start(Dying::on(bus, self.death), true, LIMIT).await
                }
            };
            {
                let mut out = std::io::stdout().lock();
                writeln!(out, "\n{ADDRESS}{}", served.address).unwrap();
                out.flush().unwrap();
            }
            std::future::pending::<()>().await;
        });
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request that makes something.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Making {
    One,
    Many,
    Turn,
}

/// Sends a request to a process that dies, and again to one that lives.
fn die_and_repeat((place, test): (&Place, &str), making: Making, death: Death) {
    let key = format!("{making:?}-{}-{}-{}", death.to, death.at, death.before);
    let start = |death| Orders { place: place.clone(), death }.start(test);
    let (path, kind, body) = match making {
        Making::One => (PATH.to_owned(), JSON, definition(1)),
        Making::Many => (PATH.to_owned(), LINES, [definition(1), definition(2)].join("\n")),
        Making::Turn => {
            let api = start(None);
            let made = api.client.try_post(PATH, &format!("for-{key}"), JSON, &definition(1));
            let id = made.unwrap().body["id"].as_str().unwrap().to_owned();
            (format!("{PATH}/{id}/rotate"), JSON, String::new())
        }
    };
    let mut dying = start(Some(death));
    while let Some(answer) = dying.client.try_post(&path, &key, kind, &body) {
        assert!([409, 503].contains(&answer.status), "{key}: it did not die: {answer:?}");
    }
    dying.child.wait().unwrap();
    let api = start(None);
    // What a process has begun that died is taken over when its time is over.
    let told = loop {
        let answer = api.client.try_post(&path, &key, kind, &body).unwrap();
        if ![409, 503].contains(&answer.status) {
            break answer;
        }
    };
    assert!([200, 201].contains(&told.status), "{key}: {told:?}");
    let again = api.client.try_post(&path, &key, kind, &body).unwrap();
    assert_eq!((&again.body, again.replayed), (&told.body, true), "{key}");
    let listed = api.client.send("GET", &format!("{PATH}?limit=1000"), &[], "").unwrap().body;
    let listed = listed["data"].as_array().unwrap();
    let its: Vec<&Value> = match making {
        Making::One | Making::Turn => vec![&told.body["id"]],
        Making::Many => {
            told.body["created"].as_array().unwrap().iter().map(|one| &one["id"]).collect()
        }
    };
    let made: Vec<&Value> = listed.iter().filter(|one| its.contains(&&one["id"])).collect();
    assert_eq!(made.len(), if making == Making::Many { 2 } else { 1 }, "{key}: {listed:#?}");
    if making == Making::Turn {
        assert_eq!(made[0]["signing"]["keys"], 2, "{key}");
    }
    if matches!(place, Place::Folder(_)) {
        // Nobody else makes anything there.
        assert_eq!(listed.len(), made.len(), "{key}: {listed:#?}");
    }
}

/// Each making, and each write of a request under a key, before and after it.
fn cases() -> Vec<(Making, Death)> {
    let mut cases = Vec::new();
    for making in [Making::One, Making::Many, Making::Turn] {
        for (to, at) in [("calls", 0), ("subscriptions", 0), ("calls", 1)] {
            for before in [true, false] {
                cases.push((making, Death { to: to.to_owned(), at, before }));
            }
        }
    }
    cases
}

#[test]
fn a_death_makes_nothing_twice_on_the_embedded_store() {
    if let Some(orders) = Orders::given() {
        return orders.follow();
    }
    for (making, death) in cases() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().to_owned());
        die_and_repeat((&place, EMBEDDED), making, death);
    }
}

#[test]
fn a_death_makes_nothing_twice_on_nats() {
    if let Some(orders) = Orders::given() {
        return orders.follow();
    }
    let Some(server) = <Server as Home>::new() else { return };
    let place = Place::Nats(server.url());
    // The waits for what has died go side by side.
    std::thread::scope(|scope| {
        for (making, death) in cases() {
            let place = &place;
            scope.spawn(move || die_and_repeat((place, NATS), making, death));
        }
    });
}
