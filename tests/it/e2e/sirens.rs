//! Alerts that start and end in bursts, decided by four rules workers one of which keeps dying.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::e2e::Desk;
use crate::e2e::flow::push_all;
use crate::support::nats::Server;
use crate::support::running::Running;

const AREAS: usize = 28;
/// Rules, so that more than one shard is at work.
const KINDS: usize = 4;
const SPANS: usize = 600;

fn rules() -> String {
    let places: Vec<String> =
        (0..AREAS).map(|area| format!("area-{area}: [{}]", name(area))).collect();
    let rules: Vec<String> = (0..KINDS)
        .flat_map(|kind| {
            [
                format!("  - {{id: alarm-{kind}, any: [alarm{kind} on], close_after: 2d}}\n"),
                format!("  - {{id: over-{kind}, ends: alarm-{kind}, any: [alarm{kind} off]}}\n"),
            ]
        })
        .collect();
    format!("version: 1\nplaces: {{{}}}\nrules:\n{}", places.join(", "), rules.concat())
}

/// A word that no other area's name contains.
fn name(area: usize) -> String {
    let letter = |n: usize| char::from(b'a' + u8::try_from(n).unwrap());
    format!("Zone{}{}", letter(area / 26), letter(area % 26))
}

/// Starts and ends in the order of their time: up to all areas at once, some of them starting
/// within the same moment, and starting again right after their end.
fn messages(random: &mut fastrand::Rng) -> Vec<Value> {
    let mut open = [false; AREAS];
    let mut left = [SPANS / AREAS + 1; AREAS];
    let mut all = Vec::new();
    while left.iter().any(|n| *n > 0) || open.iter().any(|on| *on) {
        let area = random.usize(0..AREAS);
        let burst = if random.u8(0..40) == 0 { 21 } else { 1 };
        for area in (area..area + burst).map(|n| n % AREAS) {
            if !open[area] && left[area] == 0 {
                continue;
            }
            open[area] = !open[area];
            left[area] -= usize::from(open[area]);
            let word = if open[area] { "on" } else { "off" };
            let title = format!("Alarm{} {word} in {}", area % KINDS, name(area));
            all.push(json!({"id": format!("m{}", all.len()), "title": title, "body": ""}));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_span_opens_once_and_ends_once_while_rules_workers_die() {
    let _alone = crate::e2e::HEAVY.lock().await;
    let Some(nats) = Server::start() else { return };
    let kinds = ["api", "notifier", "rules", "rules", "rules", "rules"];
    let Running { desk, receiver, mut workers, api, .. } =
        Running::divided(Desk::new(&rules()), &kinds, &nats).await;
    let messages = messages(&mut fastrand::Rng::with_seed(7));
    let wanted = messages.len();
    let done = Arc::new(AtomicBool::new(false));
    let pushing = std::thread::spawn({
        let done = done.clone();
        move || {
            push_all(|| api.clone(), &messages, 40);
            done.store(true, Ordering::Release);
        }
    });
    let mut round = 0;
    while !done.load(Ordering::Acquire) || round < 8 {
        std::thread::sleep(Duration::from_millis(fastrand::u64(300..1_500)));
        let place = 2 + round % 4;
        workers[place].kill();
        workers[place] = desk.worker("rules", &nats.url());
        round += 1;
    }
    pushing.join().unwrap();
    let hooks = receiver.wait_for(wanted);
    assert_eq!(hooks.len(), wanted);
    let mut told: BTreeMap<String, Vec<(u64, String, String)>> = BTreeMap::new();
    for hook in hooks.values().map(|repeats| &repeats[0]) {
        let body = hook.json();
        let alert = &body["data"]["alert"];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let sequence = body["data"]["event"]["sequence"].as_u64().unwrap();
        let one = (sequence, text(&body["type"]), text(&alert["id"]));
        told.entry(text(&alert["key"])).or_default().push(one);
    }
    assert_eq!(told.len(), AREAS);
    for (key, mut events) in told {
        events.sort();
        for pair in events.chunks(2) {
            let [opened, ended] = pair else { panic!("{key}: {pair:?}") };
            assert_eq!(
                (opened.1.as_str(), ended.1.as_str()),
                ("alert.opened", "alert.ended"),
                "{key}"
            );
            assert_eq!(opened.2, ended.2, "{key}");
        }
    }
}
