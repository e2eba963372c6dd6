//! Much to send to one endpoint: in order, once, as long as it takes, and every attempt is told.

use serde_json::Value;

use crate::e2e::Desk;
use crate::e2e::Hook;
use crate::e2e::RULES;
use crate::e2e::ask;
use crate::e2e::flow::load;
use crate::e2e::flow::push_all;
use crate::e2e::live::Ear;
use crate::e2e::subscribe;
use crate::e2e::wait_for;
use crate::support::running::Running;
use crate::support::scripted::Scripted;
use crate::support::scripted::sequence;

const COUNT: usize = 300;

fn post(running: &Running, path: &str) {
    let url = format!("{}{path}", running.api);
    let (status, said) = ask("POST", &url, "application/json", b"{}").unwrap();
    assert!(status < 300, "{status} {said}");
}

/// A subscription known to answer, with so many events that wait.
async fn waiting(running: &Running, receiver: &Scripted) -> String {
    let (id, _) = subscribe(&running.api, &receiver.start().await);
    running.said(&["subscriptions", "test", &id]);
    post(running, &format!("/v1/subscriptions/{id}/pause"));
    push_all(|| running.api.clone(), &load(COUNT, COUNT), 100);
    wait_for("the events", || {
        let events = running.get("/v1/events?limit=1000");
        (events["data"].as_array()?.len() == COUNT).then_some(())
    });
    id
}

fn sequences(hooks: &[Hook]) -> Vec<u64> {
    hooks.iter().map(sequence).filter(|sequence| *sequence > 0).collect()
}

/// Every page of a list, the newest first.
fn pages(running: &Running, path: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = running.get(&format!("{path}?limit={limit}{cursor}"));
        let found = page["data"].as_array().unwrap();
        assert!(found.len() <= limit, "{} on a page of {limit}", found.len());
        all.extend(found.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn told(attempts: &[Value]) -> Vec<u64> {
    let sequence = |attempt: &Value| attempt["sequence"].as_u64().unwrap();
    attempts.iter().map(sequence).filter(|sequence| *sequence > 0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_goes_out_in_order_and_every_attempt_is_told_once() {
    let (running, receiver) = (Running::alone(Desk::new(RULES)).await, Scripted::default());
    let id = waiting(&running, &receiver).await;
    // One of them is refused a few times: what follows waits for it.
    receiver.answer(150, Some(500));
    post(&running, &format!("/v1/subscriptions/{id}/resume"));
    wait_for("the refusal", || (!receiver.refused().is_empty()).then_some(()));
    assert_eq!(sequences(&receiver.taken()), (1..150).collect::<Vec<u64>>());
    receiver.answer(150, None);
    let all: Vec<u64> = (1..=COUNT as u64).collect();
    assert_eq!(sequences(&receiver.wait_for(COUNT + 1)), all, "once each, in order");

    let path = format!("/v1/subscriptions/{id}/attempts");
    let refused = receiver.refused().len();
    let attempts = wait_for("the attempts", || {
        let attempts = pages(&running, &path, 1_000);
        (told(&attempts).len() == COUNT + refused).then_some(attempts)
    });
    let delivered: Vec<Value> =
        attempts.iter().filter(|attempt| attempt["outcome"] == "delivered").cloned().collect();
    assert_eq!(told(&delivered).into_iter().rev().collect::<Vec<u64>>(), all);
    for limit in [1, 7, 64] {
        assert_eq!(pages(&running, &path, limit), attempts, "in pages of {limit}");
    }
    let of = |attempt: &Value| attempt["subscription"] == id.as_str();
    let everybody: Vec<Value> =
        pages(&running, "/v1/attempts", 50).into_iter().filter(of).collect();
    assert_eq!(everybody, attempts);
    let mut cursors = (1..COUNT).map(|limit| running.get(&format!("{path}?limit={limit}")));
    let within = |page: Value| page["next_cursor"].as_str().is_some_and(|at| at.contains('.'));
    assert!(cursors.any(within), "nothing went out in one go");

    let mut ear = Ear::open(&running, "/v1/attempts?after=0", None);
    let mut live: Vec<Value> = std::iter::from_fn(|| ear.next().map(|(_, _, attempt)| attempt))
        .filter(of)
        .take(attempts.len())
        .collect();
    live.reverse();
    assert_eq!(live, attempts, "those who listen hear the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_ends_a_run_and_nothing_of_it_is_lost() {
    let (running, receiver) = (Running::alone(Desk::new(RULES)).await, Scripted::default());
    let id = waiting(&running, &receiver).await;
    for _ in 0..5 {
        let before = receiver.taken().len();
        post(&running, &format!("/v1/subscriptions/{id}/resume"));
        wait_for("a webhook", || (receiver.taken().len() > before).then_some(()));
        post(&running, &format!("/v1/subscriptions/{id}/pause"));
    }
    post(&running, &format!("/v1/subscriptions/{id}/resume"));
    let all: Vec<u64> = (1..=COUNT as u64).collect();
    assert_eq!(sequences(&receiver.wait_for(COUNT + 1)), all, "once each, in order");
}
