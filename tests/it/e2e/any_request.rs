//! Requests of every kind, made from the document that the process serves: whatever is asked, the
//! answer is one that the document names.

mod judge;
mod values;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use crate::e2e::Desk;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::e2e::subscribe;
use crate::e2e::wait_for;
use crate::e2e::wait_ready;
use judge::Judge;
use values::Maker;
use wire::Connection;

/// Requests of one run.
const REQUESTS: usize = 10_000;
/// Those who ask at once.
const CLIENTS: usize = 4;
/// A run that takes longer has met something that hangs.
const LONGEST: Duration = Duration::from_secs(90);
/// Takes a seed that a failed run has told.
const SEED: &str = "WIREBELL_TEST_SEED";

/// A call of the document.
#[derive(Clone)]
struct Call {
    method: String,
    path: String,
    operation: Value,
}

/// A request as it is sent.
#[derive(Clone, Default)]
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.method, self.target)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {}", value.escape_ascii())?;
        }
        let shown = self.body.get(..2_000).unwrap_or(&self.body);
        write!(f, "{} bytes: {}", self.body.len(), String::from_utf8_lossy(shown))
    }
}

/// An answer as it came.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// Ids that were answered, by what they are of.
#[derive(Clone, Default)]
struct Ids(Arc<Mutex<BTreeMap<&'static str, Vec<String>>>>);

impl Ids {
    fn note(&self, of: &'static str, id: &str) {
        let mut ids = self.0.lock().unwrap();
        let known = ids.entry(of).or_default();
        if known.len() < 50 && !known.iter().any(|one| one == id) {
            known.push(id.to_owned());
        }
    }

    fn pick(&self, of: &str, rng: &mut fastrand::Rng) -> Option<String> {
        let ids = self.0.lock().unwrap();
        rng.choice(ids.get(of)?).cloned()
    }

    /// Learns the ids in an answer, and forgets one that is gone.
    fn learn(&self, request: &Request, answer: &Answer) {
        let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else { return };
        if answer.status == 201
            && let Some(id) = body["id"].as_str()
        {
            self.note("subscriptions", id);
        }
        if let Some(id) = body["accepted"][0]["id"].as_str() {
            self.note("articles", id);
        }
        if request.target.starts_with("/v1/alerts?")
            && let Some(id) = body["data"][0]["id"].as_str()
        {
            self.note("alerts", id);
        }
    }
}

fn calls(document: &Value) -> Vec<Call> {
    let mut calls = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let (method, path) = (method.to_ascii_uppercase(), path.clone());
            calls.push(Call { method, path, operation: operation.clone() });
        }
    }
    calls
}

/// What a client has met.
#[derive(Default)]
struct Met {
    statuses: BTreeMap<u16, usize>,
    faults: Vec<String>,
}

struct Run<'r> {
    address: &'r str,
    document: &'r Value,
    calls: &'r [Call],
    ids: &'r Ids,
    until: Instant,
}

impl Run<'_> {
    /// One client's share of the requests.
    fn client(&self, seed: u64) -> Met {
        let mut maker = Maker::new(self.document, self.ids.clone(), seed);
        let mut judge = Judge::new(self.document);
        let mut connection = Connection::new(self.address);
        let mut met = Met::default();
        for number in 0..REQUESTS / CLIENTS {
            assert!(Instant::now() < self.until, "seed {seed}: {number} requests in {LONGEST:?}");
            let call = maker.choose(self.calls).clone();
            let request = maker.request(&call, self.address);
            let told = match connection.send(&request) {
                None => Err("there is no answer".to_owned()),
                Some(answer) => {
                    *met.statuses.entry(answer.status).or_default() += 1;
                    self.ids.learn(&request, &answer);
                    judge.check(&call, &request, &answer)
                }
            };
            if let Err(fault) = told {
                met.faults.push(format!("seed {seed}, request {number}: {fault}\n{request}"));
                if met.faults.len() >= 5 {
                    break;
                }
            }
        }
        met
    }
}

#[test]
fn ten_thousand_requests_of_any_kind_are_answered_as_the_document_says() {
    let desk = Desk::new(RULES);
    let process = desk.run();
    let api = process.api();
    wait_ready(&api);
    let (subscription, _) = subscribe(&api, values::ENDPOINT);
    let article = br#"{"title": "Siren in the north", "body": "", "lang": "en"}"#;
    let pushed = ask("POST", &format!("{api}/v1/articles"), "application/json", article).unwrap().1;
    let alert = wait_for("an alert", || {
        let listed = ask("GET", &format!("{api}/v1/alerts"), "", b"")?.1;
        listed["data"][0]["id"].as_str().map(str::to_owned)
    });
    let ids = Ids::default();
    ids.note("subscriptions", &subscription);
    ids.note("alerts", &alert);
    ids.note("articles", pushed["accepted"][0]["id"].as_str().unwrap());
    let document = ask("GET", &format!("{api}/openapi.json"), "", b"").unwrap().1;
    let given = std::env::var_os(SEED).map(|text| text.to_str().unwrap().parse().unwrap());
    let seed: u64 = given.unwrap_or_else(|| fastrand::u64(..));
    let run = Run {
        address: api.strip_prefix("http://").unwrap(),
        document: &document,
        calls: &calls(&document),
        ids: &ids,
        until: Instant::now() + LONGEST,
    };
    let met: Vec<Met> = std::thread::scope(|scope| {
        let of = |n: usize| seed.wrapping_add(u64::try_from(n).unwrap());
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let run = &run;
                scope.spawn(move || run.client(of(n)))
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for one in met {
        for (status, count) in one.statuses {
            *statuses.entry(status).or_default() += count;
        }
        faults.extend(one.faults);
    }
    assert!(faults.is_empty(), "{SEED}={seed}\n{}", faults.join("\n\n"));
    // Both what is taken and what is refused was met.
    let (all, taken): (usize, usize) =
        (statuses.values().sum(), statuses.range(200..300).map(|(_, count)| count).sum());
    assert_eq!(all, REQUESTS, "{statuses:?}");
    println!("{SEED}={seed} {statuses:?}");
    assert!(taken > REQUESTS / 10 && taken < REQUESTS * 9 / 10, "{statuses:?}");
    for status in [201, 202, 400, 404, 409, 412, 415, 422] {
        assert!(statuses.contains_key(&status), "{SEED}={seed}: no {status} in {statuses:?}");
    }
}
