//! Processes killed with −9 under load: nothing is lost, nothing has a second id.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use crate::e2e::Desk;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::e2e::flow::events;
use crate::e2e::flow::load;
use crate::e2e::flow::push_all;
use crate::support::nats::Server;
use crate::support::running::Running;

/// Kills of each kind of process.
#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by hand")]
fn kills() -> usize {
    std::env::var("WIREBELL_TEST_KILLS").map_or(20, |n| n.parse().unwrap())
}

/// Enough to push for as long as processes are killed.
fn articles() -> usize {
    150 * kills()
}

fn ringing() -> usize {
    15 * kills()
}

/// Pushes in the background, over and over until all is accepted, however often the api dies.
struct Pusher {
    api: Arc<Mutex<String>>,
    thread: std::thread::JoinHandle<()>,
}

impl Pusher {
    fn start(api: String) -> Self {
        let api = Arc::new(Mutex::new(api));
        let target = api.clone();
        let thread = std::thread::spawn(move || {
            push_all(|| target.lock().unwrap().clone(), &load(articles(), ringing()), 5);
        });
        Self { api, thread }
    }

    fn moved(&self, api: String) {
        *self.api.lock().unwrap() = api;
    }
}

/// What one process makes of the load, undisturbed.
async fn undisturbed() -> BTreeSet<(String, u64, String)> {
    let running = Running::alone(Desk::new(RULES)).await;
    push_all(|| running.api.clone(), &load(articles(), ringing()), 50);
    events(&running.receiver, ringing())
}

/// Some time in which the process is in the middle of something.
fn pause() {
    std::thread::sleep(Duration::from_millis(fastrand::u64(30..400)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_killed_again_and_again_loses_nothing() {
    let _alone = crate::e2e::HEAVY.lock().await;
    let expected = undisturbed().await;
    let Running { desk, receiver, mut workers, api, .. } = Running::alone(Desk::new(RULES)).await;
    let pusher = Pusher::start(api);
    for _ in 0..kills() {
        pause();
        workers[0].kill();
        workers[0] = desk.run();
        pusher.moved(workers[0].api());
    }
    pusher.thread.join().unwrap();
    let _shown = Shown(workers[0].api());
    assert_eq!(events(&receiver, ringing()), expected);
    let (all, events) = (receiver.hooks().len(), ringing());
    println!("{} kills of each: {events} events, {} requests again", kills(), all - events);
}

/// Where everything stands, if the test fails.
pub(super) struct Shown(pub(super) String);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for path in ["readyz?verbose", "v1/subscriptions", "v1/alerts?limit=1000"] {
                println!("{path}: {:?}", ask("GET", &format!("{}/{path}", self.0), "", b""));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_and_the_server_killed_again_and_again_lose_nothing() {
    let _alone = crate::e2e::HEAVY.lock().await;
    let Some(mut nats) = Server::start() else { return };
    let expected = undisturbed().await;
    let kinds = ["api", "rules", "rules", "notifier", "notifier", "ingest"];
    let Running { desk, receiver, mut workers, api, .. } =
        Running::divided(Desk::new(RULES), &kinds, &nats).await;
    let pusher = Pusher::start(api);
    for round in 0..kills() {
        for place in [0, 1 + round % 2, 3 + round % 2, 5] {
            pause();
            workers[place].kill();
            workers[place] = desk.worker(kinds[place], &nats.url());
            if place == 0 {
                pusher.moved(workers[0].api());
            }
        }
        pause();
        nats.kill();
        nats.run();
    }
    pusher.thread.join().unwrap();
    let _shown = Shown(workers[0].api());
    assert_eq!(events(&receiver, ringing()), expected);
    let (all, events) = (receiver.hooks().len(), ringing());
    println!("{} kills of each: {events} events, {} requests again", kills(), all - events);
}
