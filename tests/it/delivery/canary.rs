//! The canary flies from an article to those who asked for tests, and says where it stuck.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::Value;
use serde_json::json;
use tokio::task::JoinSet;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Limits;
use wirebell::bus::Stream;
use wirebell::clock::Clock;
use wirebell::config;
use wirebell::model::Article;
use wirebell::spans::Tracer;
use wirebell::telemetry::Board;
use wirebell::telemetry::Health;
use wirebell::telemetry::Stage;
use wirebell::worker::canary;
use wirebell::worker::canary::Schedule;
use wirebell::worker::lease;
use wirebell::worker::rules;

use crate::bus::Backend;
use crate::bus::again;
use crate::bus::embedded::Folder;
use crate::bus::nats::Remote;
use crate::delivery::LEASE;
use crate::delivery::Notifier;
use crate::delivery::SHARDS;
use crate::delivery::hook::Hook;
use crate::delivery::subscribe;
use crate::workers::Worker;
use crate::workers::records;
use crate::workers::wait_for_cursors;
use crate::workers::wait_until;

const SCHEDULE: Schedule =
    Schedule { every: Duration::from_secs(3), within: Duration::from_millis(2_500) };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_flies_or_says_where_it_stuck_on_the_embedded_store() {
    fly::<Folder>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_flies_or_says_where_it_stuck_on_nats() {
    fly::<Remote>().await;
}

fn rules_worker<B: Bus>(bus: B) -> Worker {
    let owner = format!("owner-{}", fastrand::u64(..));
    let set = config::load_rules(&[], true).unwrap();
    let settings = rules::Settings {
        leases: lease::Settings::new("rules", SHARDS, owner, LEASE),
        rules: Arc::new(ArcSwap::from_pointee(set)),
        clock: Clock::System,
        board: Board::default(),
        tracer: Tracer::default(),
    };
    Worker::start(|stop| rules::run(bus, settings, stop))
}

fn canary_worker<B: Bus>(bus: B) -> (Worker, Board) {
    let board = Board::default();
    let settings =
        canary::Settings { schedule: SCHEDULE, clock: Clock::System, board: board.clone() };
    (Worker::start(|stop| canary::run(bus, settings, stop)), board)
}

/// Waits until every worker says that it stuck, with these words, or that it arrives.
async fn said(boards: &[&Board], stuck: Option<&str>) {
    wait_until(&format!("word of {stuck:?}"), async || {
        boards.iter().all(|board| match (&board.parts()[..], stuck) {
            ([(_, Health::Degraded(text))], Some(words)) => text.contains(words),
            ([(_, health)], None) => *health == Health::Ready,
            _ => false,
        })
    })
    .await;
    assert!(boards.iter().all(|board| board.is_ready()), "no reason to restart anything");
}

/// Waits until every worker has told of a canary that hangs there beyond its time.
async fn hangs(boards: &[&Board], stage: Stage) {
    wait_until(&format!("one that hangs at {stage:?}"), async || {
        let late = |board: &&Board| board.canary().is_some_and(|c| c.late && c.stage == stage);
        boards.iter().all(late)
    })
    .await;
}

/// Types and natures of what came at a path.
fn came(hook: &Hook, path: &str) -> Vec<(String, String)> {
    let of_path = hook.came().into_iter().filter(|came| came.path == path);
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let bodies = of_path.map(|came| serde_json::from_slice::<Value>(&came.body).unwrap());
    bodies.map(|body| (word(&body["type"]), word(&body["data"]["alert"]["nature"]))).collect()
}

async fn fly<T: Backend>() {
    let Some(backend) = T::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let (hook, mut tasks) = (Hook::default(), JoinSet::new());
    let address = hook.serve("127.0.0.1:0".parse().unwrap(), &mut tasks).await;
    let tests = json!({"filters": [{
        "number": 1, "effective_after": 0, "filter": {"topics": ["*"], "natures": ["actual", "test"]},
    }]});
    subscribe(&bus, &format!("http://{address}/asked"), tests.clone()).await;
    subscribe(&bus, &format!("http://{address}/other"), json!({})).await;
    let (matching, notifier) = (rules_worker(bus.clone()), Notifier::start(bus.clone(), false));
    wait_for_cursors(&bus).await;
    let ((one, first), (two, second)) = (canary_worker(bus.clone()), canary_worker(bus.clone()));
    let boards = [&first, &second];
    said(&boards, None).await;
    for board in boards {
        let said = board.canary().unwrap();
        assert!(said.sent_ms.is_some() && said.arrived_ms.is_some(), "{said:?}");
    }
    wait_until("an end", async || came(&hook, "/asked").len() >= 2).await;
    let test = |kind: &str| (kind.to_owned(), "test".to_owned());
    let all = came(&hook, "/asked");
    assert_eq!(all[..2], [test("alert.opened"), test("alert.ended")]);
    assert_eq!(came(&hook, "/other"), []);

    matching.die().await;
    said(&boards, Some("see that a rules worker runs")).await;
    hangs(&boards, Stage::Rules).await;
    let matching = rules_worker(bus.clone());
    said(&boards, None).await;

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = subscribe(&bus, &format!("http://{nobody}/"), tests).await;
    said(
        &boards,
        Some(&format!("it did not reach 1 of 2 endpoints ({dead}: it has taken nothing")),
    )
    .await;
    hangs(&boards, Stage::Notifier(1)).await;
    let entry = again(|| bus.get(Bucket::Subscriptions, dead.as_str())).await.unwrap();
    again(|| bus.delete(Bucket::Subscriptions, dead.as_str(), entry.revision)).await;
    said(&boards, None).await;

    notifier.worker.die().await;
    said(&boards, Some("not tried: see the notifier")).await;
    let notifier = Notifier::start(bus.clone(), false);
    said(&boards, None).await;

    for worker in [one, two, matching, notifier.worker] {
        worker.leave().await;
    }
    let articles: Vec<Article> = records(&bus, Stream::Articles).await;
    let ids: BTreeSet<_> = articles.iter().map(|article| &article.id).collect();
    assert_eq!(ids.len(), articles.len(), "two workers send one canary");
}
