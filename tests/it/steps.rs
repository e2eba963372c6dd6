//! `kill -9` at each step between publish, state, event, cursor, send and state.
//!
//! Each test starts itself as a process of its own: with orders in its environment it is the
//! publisher, rules worker or notifier that dies at one write, or the process that lives after it.

mod child;
pub(crate) mod dying;
mod receiver;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;

use bytes::Bytes;
use serde_json::Value;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wirebell::bus::Bucket;
use wirebell::bus::Bus;
use wirebell::bus::Embedded;
use wirebell::bus::Entry;
use wirebell::bus::From;
use wirebell::bus::Nats;
use wirebell::bus::Put;
use wirebell::bus::Selection;
use wirebell::bus::Stream;
use wirebell::bus::Until;
use wirebell::clock::Clock;
use wirebell::delivery::signature;
use wirebell::model::Subscription;
use wirebell::model::SubscriptionId;
use wirebell::model::Time;
use wirebell::model::Version;
use wirebell::model::subscription::Credentials;
use wirebell::model::subscription::FilterVersion;
use wirebell::model::subscription::Format;
use wirebell::model::subscription::InFlight;
use wirebell::model::subscription::SigningKey;

use crate::support::nats::Server;
use crate::support::nats::connect;
use child::Orders;
use child::Place;
use child::Work;
use child::runtime;
use dying::Death;
use dying::LAST_WORDS;
use receiver::Hook;
use receiver::Moment;
use receiver::Receiver;

const EMBEDDED: &str = "steps::a_kill_at_any_step_on_the_embedded_store_loses_and_doubles_nothing";
const NATS: &str = "steps::a_kill_at_any_step_on_nats_loses_and_doubles_nothing";

/// What a process that is killed has to have written to, before and after a death, for the steps
/// to be all of them.
const STEPS: [(Work, &[&str]); 3] = [
    (Work::Publish, &["articles"]),
    (Work::Rules, &["leases", "alerts", "events", "verdicts"]),
    (Work::Notifier, &["leases", "deliveries", "attempts"]),
];

/// A backend that outlives the processes that use it.
trait Home {
    type Bus: Bus;

    fn new() -> Self;
    fn place(&self) -> Place;
    fn open(&self) -> impl Future<Output = Self::Bus>;
}

impl Home for tempfile::TempDir {
    type Bus = Embedded;

    fn new() -> Self {
        tempfile::tempdir().unwrap()
    }

    fn place(&self) -> Place {
        Place::Folder(self.path().to_owned())
    }

    async fn open(&self) -> Embedded {
        child::embedded(self.path().to_owned()).await
    }
}

impl Home for Server {
    type Bus = Nats;

    fn new() -> Self {
        Self::start().expect("NATS tests are on")
    }

    fn place(&self) -> Place {
        Place::Nats(self.url())
    }

    async fn open(&self) -> Nats {
        connect(&self.url()).await
    }
}

/// How the work is cut off.
#[derive(Clone, Debug)]
enum Cut {
    Write(Work, Death),
    Send { at: usize, when: Moment },
}

/// How the process that was to die ended.
enum Ended {
    /// By its own hand or the receiver's, where it was to be.
    Killed,
    /// It had done everything before.
    Alive,
}

impl Cut {
    fn work(&self) -> Work {
        match self {
            Self::Write(work, _) => *work,
            Self::Send { .. } => Work::Notifier,
        }
    }

    /// Runs the process to its end.
    fn run(&self, test: &str, place: Place, receiver: &Receiver) -> Ended {
        let death = match self {
            Self::Write(_, death) => Some(death.clone()),
            Self::Send { .. } => None,
        };
        let orders = Orders { place, work: self.work(), death };
        let child = match self {
            Self::Write(..) => orders.start(test),
            Self::Send { at, when } => receiver.kill(|| orders.start(test), *at, *when),
        };
        let (signal, said) = outcome(child);
        let last = said.lines().find_map(|line| line.strip_prefix(LAST_WORDS));
        match (self, last) {
            (Self::Write(_, death), Some(place)) if signal == Some(9) && place == death.to => {
                Ended::Killed
            }
            (Self::Write(..), None) if signal.is_none() => Ended::Alive,
            (Self::Send { .. }, None) if signal == Some(9) => Ended::Killed,
            _ => panic!("{self:?}: signal {signal:?}, {said}"),
        }
    }
}

/// The signal that ended a process, none if it did what it was to do; and what it said.
fn outcome(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success() || status.signal().is_some(), "{status}: {said}");
    assert!(status.signal().is_some() || said.contains("1 passed"), "no such test: {said}");
    (status.signal(), said)
}

/// A first-ever cursor starts at the end of the log: cursors first, then articles. What comes
/// before the work that is cut off is done, too.
async fn prepare<B: Bus>(bus: &B, url: &str, work: Work) -> SubscriptionId {
    let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
    let mut leases = bus.watch(Bucket::Leases, "rules", 0).await.unwrap();
    child::start_rules(bus, &mut tasks, &stop);
    let mut cursors = BTreeSet::new();
    while cursors.len() < 64 {
        let entry = leases.next().await.unwrap().unwrap();
        if has_cursor(&entry) {
            cursors.insert(entry.key);
        }
    }
    let id = subscribe(bus, url).await;
    if work == Work::Notifier {
        child::publish(bus).await;
        child::wait_for_records(bus, Stream::Events, 2).await;
    }
    child::end(tasks, &stop).await;
    if work == Work::Rules {
        child::publish(bus).await;
    }
    id
}

fn has_cursor(entry: &Entry) -> bool {
    let lease = entry.value.as_ref().map(|v| serde_json::from_slice::<Value>(v).unwrap());
    lease.is_some_and(|lease| lease["cursor"].is_u64())
}

async fn subscribe<B: Bus>(bus: &B, url: &str) -> SubscriptionId {
    let id = SubscriptionId::from_random(std::array::from_fn(|_| fastrand::u8(..)));
    let now = Time::from_millis(Clock::System.now_ms());
    let secret = signature::secret_from_random([7; 32]);
    let subscription = Subscription {
        v: Version,
        id: id.clone(),
        url: url.to_owned(),
        description: None,
        format: Format::Wirebell,
        routing_key: None,
        template: None,
        keys: vec![SigningKey::new(secret, None)],
        credentials: Credentials::default(),
        filters: vec![FilterVersion {
            number: 1,
            effective_after: 0,
            filter: serde_json::from_str(r#"{"topics":["*"]}"#).unwrap(),
        }],
        ttl: None,
        max_in_flight: InFlight::default(),
        rate: None,
        paused: false,
        requests: Vec::new(),
        name: None,
        created_at: now,
        updated_at: now,
    };
    let value = Bytes::from(serde_json::to_vec(&subscription).unwrap());
    let put = Put { key: id.to_string(), value, expect: None };
    bus.put(Bucket::Subscriptions, put).await.unwrap();
    id
}

/// Every record of a stream, from its start.
async fn records<B: Bus>(bus: &B, stream: Stream) -> Vec<Value> {
    let filter = format!("{}>", stream.prefix());
    let selection = Selection { from: From::Start, until: Until::End, filter };
    let reader = bus.read(stream, selection).await.unwrap();
    let records = reader.records().await.unwrap();
    records.iter().map(|stored| serde_json::from_slice(&stored.payload).unwrap()).collect()
}

/// A body without what may differ between tries: an opening that comes after its end is late.
fn timeless(hook: &Hook) -> Value {
    let mut body = hook.body.clone();
    body["data"]["event"]["late"] = Value::Null;
    body
}

/// Each webhook came, in order, and a repeat is the same under the same id.
fn check_hooks(hooks: &[Hook], events: &[Value], id: &SubscriptionId) {
    let want: Vec<String> =
        events.iter().map(|e| format!("{}-{id}", e["id"].as_str().unwrap())).collect();
    let mut first: BTreeMap<&str, Value> = BTreeMap::new();
    let mut order = Vec::new();
    for hook in hooks {
        let body = timeless(hook);
        if let Some(known) = first.get(hook.id.as_str()) {
            assert_eq!(*known, body, "a repeat differs");
        } else {
            order.push((hook.id.clone(), body["data"]["event"]["sequence"].clone()));
            first.insert(&hook.id, body);
        }
    }
    let want: Vec<(String, Value)> = want.into_iter().zip([json!(1), json!(2)]).collect();
    assert_eq!(order, want);
}

async fn check<B: Bus>(bus: &B, hooks: &[Hook], id: &SubscriptionId) {
    let articles = records(bus, Stream::Articles).await;
    let revisions: Vec<&Value> = articles.iter().map(|a| &a["revision"]).collect();
    assert_eq!(revisions, [1, 1]);
    let events = records(bus, Stream::Events).await;
    let kinds: Vec<&Value> = events.iter().map(|e| &e["type"]).collect();
    assert_eq!(kinds, ["alert.opened", "alert.ended"]);
    assert_eq!(records(bus, Stream::Verdicts).await.len(), 2);
    check_hooks(hooks, &events, id);
    let record = bus.get(Bucket::Deliveries, id.as_str()).await.unwrap();
    let record: Value = serde_json::from_slice(&record.unwrap().value.unwrap()).unwrap();
    assert_eq!((&record["sequence"], record.get("outstanding")), (&json!(2), None));
}

/// Cuts the work off, and lets another process do it to its end.
fn cut_off<H: Home>(test: &str, cut: Cut) -> Ended {
    println!("{cut:?}");
    let home = H::new();
    let receiver = Receiver::default();
    let url = receiver.start();
    let runtime = runtime();
    let id = runtime.block_on(async {
        let bus = home.open().await;
        let id = prepare(&bus, &url, cut.work()).await;
        bus.close().await;
        id
    });
    let ended = cut.run(test, home.place(), &receiver);
    // At once: nothing of the dead process may be in the way.
    let living = Orders { place: home.place(), work: Work::All, death: None }.start(test);
    assert_eq!(outcome(living).0, None, "{cut:?}");
    let hooks = receiver.hooks();
    runtime.block_on(async {
        let bus = home.open().await;
        check(&bus, &hooks, &id).await;
        bus.close().await;
    });
    ended
}

fn cut_off_everywhere<H: Home>(test: &str) {
    let _alone = crate::e2e::HEAVY.blocking_lock();
    for (work, places) in STEPS {
        for before in [true, false] {
            for to in places {
                let death = |at| Death { to: (*to).to_owned(), at, before };
                let cut = |at: &usize| cut_off::<H>(test, Cut::Write(work, death(*at)));
                let killed = (0..100).take_while(|at| matches!(cut(at), Ended::Killed)).count();
                assert!((1..100).contains(&killed), "{work:?}, {to}: {killed} deaths");
            }
        }
    }
    for at in [0, 1] {
        for when in [Moment::Sending, Moment::Received] {
            let ended = cut_off::<H>(test, Cut::Send { at, when });
            assert!(matches!(ended, Ended::Killed));
        }
    }
}

#[test]
fn a_kill_at_any_step_on_the_embedded_store_loses_and_doubles_nothing() {
    match Orders::given() {
        Some(orders) => orders.follow(),
        None => cut_off_everywhere::<tempfile::TempDir>(EMBEDDED),
    }
}

#[test]
fn a_kill_at_any_step_on_nats_loses_and_doubles_nothing() {
    match Orders::given() {
        Some(orders) => orders.follow(),
        None if crate::support::nats::is_off() => {}
        None => cut_off_everywhere::<Server>(NATS),
    }
}
