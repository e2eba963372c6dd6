//! Notifiers in this process, on either backend, against receivers of every kind.

mod canary;
mod hook;
mod recovery;
mod sharing;
mod standing;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Expect;
use wirebell::bus::Put;
use wirebell::bus::Record;
use wirebell::bus::Stream;
use wirebell::clock::Clock;
use wirebell::delivery::Delivery;
use wirebell::delivery::endpoint::Ttls;
use wirebell::delivery::signature;
use wirebell::egress::Client;
use wirebell::egress::Policy;
use wirebell::egress::Resolver;
use wirebell::model::AlertId;
use wirebell::model::ArticleId;
use wirebell::model::Event;
use wirebell::model::EventId;
use wirebell::model::Key;
use wirebell::model::Nature;
use wirebell::model::RuleId;
use wirebell::model::SourceId;
use wirebell::model::SubscriptionId;
use wirebell::model::Time;
use wirebell::model::names;
use wirebell::spans::Tracer;
use wirebell::telemetry::Board;
use wirebell::worker::lease;
use wirebell::worker::lease::Lease;
use wirebell::worker::notifier;

use crate::bus::again;
use crate::workers::Worker;

const SHARDS: u16 = 64;
/// Long enough for a machine that is busy with other tests.
const LEASE: Duration = Duration::from_secs(2);

/// A notifier, by the name in its leases.
struct Notifier {
    owner: String,
    worker: Worker,
}

impl Notifier {
    fn start<B: Bus>(bus: B, sole: bool) -> Self {
        let owner = format!("owner-{:016x}", fastrand::u64(..));
        let leases = lease::Settings::new("notifier", SHARDS, owner.clone(), LEASE);
        let settings = notifier::Settings {
            leases: lease::Settings { sole, ..leases },
            clock: Clock::System,
            board: Board::default(),
            tracer: Tracer::default(),
            timeout: Duration::from_secs(10),
            max_in_flight: 64,
            host_in_flight: 64,
            ttls: Ttls::default(),
            public_url: "http://127.0.0.1:8080".to_owned(),
        };
        let client = Client::new(Policy::new(&["127.0.0.0/8"]).unwrap(), Resolver::system());
        let worker = Worker::start(|stop| notifier::run(bus, client, settings, stop));
        Self { owner, worker }
    }
}

/// Subscribes a URL to everything from here on.
async fn subscribe<B: Bus>(bus: &B, url: &str, more: serde_json::Value) -> SubscriptionId {
    let id = SubscriptionId::from_random(std::array::from_fn(|_| fastrand::u8(..)));
    let now = Time::from_millis(Clock::System.now_ms());
    let secret = signature::secret_from_random([7; 32]);
    let mut wanted = json!({
        "v": 1, "id": id, "url": url, "keys": [{"secret": secret.expose()}],
        "filters": [{
            "number": 1,
            "effective_after": again(|| bus.end(Stream::Events)).await,
            "filter": {"topics": ["*"]},
        }],
        "created_at": now, "updated_at": now,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        wanted[name] = value.clone();
    }
    let value = Bytes::from(serde_json::to_vec(&wanted).unwrap());
    let put = Put { key: id.to_string(), value, expect: None };
    again(|| bus.put(Bucket::Subscriptions, put.clone())).await;
    id
}

/// Publishes so many openings, each of an alert of its own; answers their ids.
async fn publish<B: Bus>(bus: &B, run: &str, count: usize) -> Vec<EventId> {
    let events: Vec<Event> = (0..count).map(|n| opening(&format!("{run}-{n}"))).collect();
    for group in events.chunks(500) {
        let group: Vec<(Record, Expect)> = group
            .iter()
            .map(|event| {
                let subject = names::event(&event.alert.topic, &event.alert.id, event.number);
                let payload = Bytes::from(serde_json::to_vec(event).unwrap());
                (Record::new(subject, payload), Expect::Absent)
            })
            .collect();
        for outcome in again(|| bus.publish_all(Stream::Events, group.clone())).await {
            outcome.unwrap();
        }
    }
    events.into_iter().map(|event| event.id).collect()
}

fn opening(name: &str) -> Event {
    let rule = RuleId::new("siren").unwrap();
    let article = ArticleId::of(&SourceId::push(), name);
    let alert = AlertId::of(&rule, &Key::unknown(), Nature::Actual, (&article, 1));
    let now = Time::from_millis(Clock::System.now_ms());
    serde_json::from_value(json!({
        "v": 1, "id": EventId::of(&alert, 1), "number": 1, "type": "alert.opened",
        "timestamp": now, "late": false, "possible_end": false,
        "alert": {
            "id": alert, "rule": "siren", "topic": "siren", "key": "-", "title": name,
            "severity": "warning", "status": "open", "nature": "actual",
            "confirmation": "unconfirmed", "independent_sources": 1,
            "opened_at": now, "updated_at": now, "ended_at": null,
        },
        "articles": [], "more_articles": 0, "reason": null, "ruleset": "sha256:0", "mode": "live",
    }))
    .unwrap()
}

async fn record<B: Bus>(bus: &B, id: &SubscriptionId) -> Option<Delivery> {
    let entry = again(|| bus.get(Bucket::Deliveries, id.as_str())).await?;
    serde_json::from_slice(entry.value.as_deref()?).ok()
}

/// How many shards each owner has.
async fn owners<B: Bus>(bus: &B) -> BTreeMap<String, usize> {
    let mut owners = BTreeMap::new();
    for entry in again(|| bus.list(Bucket::Leases, "notifier")).await.entries {
        let name = entry.key.rsplit('/').next().unwrap_or_default().to_owned();
        let lease = entry.value.and_then(|value| serde_json::from_slice::<Lease>(&value).ok());
        let owner = lease.and_then(|lease| lease.owner);
        if let Some(owner) = owner.filter(|_| name.parse::<u16>().is_ok()) {
            *owners.entry(owner).or_default() += 1;
        }
    }
    owners
}
