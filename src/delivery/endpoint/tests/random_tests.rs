//! Random lives of a subscription: whoever was, or may have been, told of an alert is told of its
//! end, and nobody else, whatever happens in between.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::*;
use crate::delivery::admission::Versions;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// An event of one of few alerts: 0 opens or updates, 1 ends.
    Event(u8, bool),
    /// What may go is sent; the answers are drawn from these. In between, 6 asks for a ping, 7
    /// for everything to be tried at once, 8 for what failed to be sent again.
    Send(Vec<u8>),
    /// The filter changes.
    Edit(u8),
    /// Its owner pauses it or lets it go on.
    Pause(bool),
    /// Time passes.
    Wait(u16),
    /// The record is written.
    Write,
    /// The process dies; `true`: it was asked to stop, and wrote everything.
    Restart(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u8..4, any::<bool>()).prop_map(|(n, end)| Step::Event(n, end)),
        5 => prop::collection::vec(0u8..9, 1..6).prop_map(Step::Send),
        1 => (0u8..4).prop_map(Step::Edit),
        1 => any::<bool>().prop_map(Step::Pause),
        2 => (0u16..300).prop_map(Step::Wait),
        3 => Just(Step::Write),
        1 => any::<bool>().prop_map(Step::Restart),
    ]
}

const FILTERS: [&str; 4] = [
    r#"{"topics":["*"]}"#,
    r#"{"topics":["t0","t1"]}"#,
    r#"{"topics":["t2"]}"#,
    r#"{"topics":["*"],"min_severity":"critical"}"#,
];

struct World {
    wanted: Subscription,
    log: Log,
    one: Endpoint,
    stored: Delivery,
    now: i64,
    looked: usize,
    crashed: bool,
    /// Alerts of which something but an ending left and may have arrived.
    told: BTreeSet<String>,
    /// Alerts whose ending left.
    ended: BTreeSet<String>,
    sequences: BTreeMap<u64, u64>,
    delivered: BTreeMap<u64, u32>,
    open: BTreeMap<u8, u32>,
}

impl World {
    fn new(max_in_flight: u8) -> Self {
        let ttl = Some(Duration::from_secs(120));
        let wanted = Subscription { ttl, ..subscription(max_in_flight) };
        let mut one = endpoint(wanted.clone());
        let stored = one.record().clone();
        one.wrote(0, 1);
        Self {
            wanted,
            log: Log::default(),
            one,
            stored,
            now: 0,
            looked: 0,
            crashed: false,
            told: BTreeSet::new(),
            ended: BTreeSet::new(),
            sequences: BTreeMap::new(),
            delivered: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Event(n, end) => self.event(n, end),
            Step::Send(answers) => self.send(&answers),
            Step::Edit(n) => self.edit(n),
            Step::Pause(paused) => {
                self.wanted.paused = paused;
                self.one.redefine(self.wanted.clone()).unwrap();
            }
            Step::Wait(seconds) => self.now += i64::from(seconds),
            Step::Write => self.write(),
            Step::Restart(clean) => self.restart(clean),
        }
    }

    fn event(&mut self, n: u8, end: bool) {
        let kind = match (self.open.get(&n), end) {
            (None, _) => EventKind::Opened,
            (Some(_), false) => EventKind::Updated,
            (Some(_), true) => EventKind::Ended,
        };
        let life = self.open.entry(n).or_default();
        let topic = format!("t{n}");
        if kind == EventKind::Ended {
            self.open.remove(&n);
            self.log.add(&topic, kind, self.now);
            // The next alert of the topic is another one.
            self.log.close(&topic);
        } else {
            *life += 1;
            self.log.add(&topic, kind, self.now);
        }
        self.look();
    }

    fn look(&mut self) {
        // What was shed is read again.
        self.looked = usize::try_from(self.one.scan() - 10).unwrap();
        while let Some(logged) = self.log.events.get(self.looked) {
            if self.one.look(logged) == Looked::Full {
                return;
            }
            self.looked += 1;
        }
        self.one.reached(10 + u64::try_from(self.looked).unwrap(), true);
    }

    fn edit(&mut self, n: u8) {
        let end = 10 + u64::try_from(self.log.events.len()).unwrap();
        let number = self.wanted.filters.last().unwrap().number + 1;
        self.wanted.filters.push(version(number, end, FILTERS[usize::from(n)]));
        self.one.redefine(self.wanted.clone()).unwrap();
        self.one.take_versions(end);
    }

    fn write(&mut self) {
        self.stored = self.one.record().clone();
        let version = self.stored.effective.last().unwrap().number;
        self.one.wrote(self.stored.sequence, version);
    }

    fn restart(&mut self, clean: bool) {
        if clean {
            self.write();
        } else {
            self.crashed = true;
        }
        let (wanted, stored) = (self.wanted.clone(), Some(self.stored.clone()));
        self.one = Endpoint::new(wanted, stored, !clean, Ttls::default()).unwrap();
        self.one.take_versions(10 + u64::try_from(self.log.events.len()).unwrap());
        self.look();
    }

    fn send(&mut self, answers: &[u8]) {
        let (mut begun, mut in_run) = (Vec::new(), false);
        for answer in answers {
            self.look();
            self.ask(*answer);
            let due = self.one.due(at(self.now));
            let next = self.one.next(at(self.now));
            let after = self.one.due(at(self.now));
            match (due, &next) {
                (Due::Now, Next::Send(_)) => {}
                (Due::Idle | Due::At(_), Next::Send(_)) => panic!("sent, and {due:?} before"),
                // What was not to be sent may have gone meanwhile, and its time with it.
                (_, Next::Wait(found)) => assert_eq!(after, Due::At(*found), "{due:?} before"),
                (_, Next::Nothing) => assert_eq!(after, Due::Idle, "{due:?} before"),
            }
            let Next::Send(work) = next else { break };
            begun.push((work, *answer));
            let rest = answers.get(begun.len()..).unwrap_or_default();
            let run = self.one.run(at(self.now), rest.len());
            in_run = !run.is_empty();
            if in_run {
                assert_eq!(self.one.due(at(self.now)), Due::Idle, "a run goes alone");
                begun.extend(run.into_iter().zip(rest.iter().copied()));
                break;
            }
        }
        let mut broken = false;
        for (work, answer) in begun {
            if in_run && broken {
                self.one.untried(&work);
                continue;
            }
            let reply = match answer {
                0 | 1 | 6.. => Reply::Status(200, None),
                2 => Reply::Unknown,
                3 => Reply::NotSent,
                4 => Reply::Status(500, None),
                _ => Reply::Status(503, None),
            };
            broken = reply.outcome() != Outcome::Delivered;
            self.note(&work, reply);
            self.one.ended(&work, end(reply, self.now));
        }
    }

    fn ask(&mut self, what: u8) {
        let kind = match what {
            6 => RequestKind::Test { id: "ping_a".to_owned() },
            7 => RequestKind::Resume,
            8 => RequestKind::Replay { from_sequence: 1, only_failed: true },
            _ => return,
        };
        let number = self.wanted.requests.last().map_or(1, |last| last.number + 1);
        self.wanted.requests.push(Request { number, at: at(self.now), call: None, kind });
        self.one.redefine(self.wanted.clone()).unwrap();
    }

    fn note(&mut self, work: &Work, reply: Reply) {
        let Work::Event(logged, sequence) = work else { return };
        let known = self.sequences.insert(*sequence, logged.seq);
        assert!(known.is_none_or(|seq| seq == logged.seq), "a sequence means one event");
        let alert = format!("{}{}", logged.event.alert.topic, first(logged));
        if logged.facts.kind.follows_the_record() {
            assert!(self.told.contains(&alert) || self.crashed, "{alert} was never told");
            self.ended.insert(alert);
        } else if reply.outcome().may_have_arrived() {
            self.told.insert(alert);
        }
        if reply.outcome() == Outcome::Delivered {
            *self.delivered.entry(*sequence).or_default() += 1;
        }
    }

    /// Everything that waits goes out, to an endpoint that takes it.
    fn finish(&mut self) {
        self.wanted.paused = false;
        self.one.redefine(self.wanted.clone()).unwrap();
        for _ in 0..20_000 {
            self.write();
            self.look();
            match self.one.next(at(self.now)) {
                Next::Send(work) => {
                    self.note(&work, Reply::Status(200, None));
                    self.one.ended(&work, ok(self.now));
                }
                Next::Wait(until) => self.now = until.seconds() + 1,
                Next::Nothing if self.one.waiting() == 0 && self.one.is_level() => return,
                Next::Nothing => {}
            }
        }
        panic!("it comes to no end: {:?}", self.one);
    }
}

/// The position of an alert's first event: alerts of a topic follow each other.
fn first(logged: &Logged) -> u64 {
    logged.earlier.iter().last().map_or(logged.seq, |facts| facts.seq)
}

impl Log {
    fn close(&mut self, topic: &str) {
        self.closed.push(topic.to_owned());
    }
}

/// The next try waits, and what would be tried is outdated: there is nothing to wait for.
#[test]
fn what_is_outdated_before_its_next_try_waits_for_nothing() {
    let mut world = World::new(4);
    for step in [
        Step::Event(2, false),
        Step::Event(0, false),
        Step::Edit(0),
        Step::Event(1, false),
        Step::Event(0, false),
        Step::Send(vec![4, 4]),
        Step::Wait(1),
        Step::Edit(2),
        Step::Send(vec![2, 2]),
        Step::Write,
        Step::Wait(120),
        Step::Event(2, false),
        Step::Send(vec![2]),
        Step::Wait(121),
        Step::Send(vec![0]),
        Step::Send(vec![0]),
    ] {
        world.take(step);
    }
    world.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn an_ending_goes_to_whoever_was_or_may_have_been_told(
        cap in prop_oneof![Just(1u8), Just(4u8)],
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut world = World::new(cap);
        steps.into_iter().for_each(|step| world.take(step));
        world.finish();
        let record = world.one.record().clone();
        // Sequences follow from the log and the versions alone.
        let versions = Versions { filters: &world.wanted.filters, effective: &record.effective };
        let admitted: Vec<&Arc<Logged>> =
            world.log.events.iter().filter(|l| admits(versions, l)).collect();
        prop_assert_eq!(record.sequence, u64::try_from(admitted.len()).unwrap());
        for (sequence, seq) in &world.sequences {
            let place = usize::try_from(*sequence).unwrap() - 1;
            prop_assert_eq!(admitted[place].seq, *seq);
        }
        for logged in admitted.iter().filter(|l| l.facts.kind.follows_the_record()) {
            let alert = format!("{}{}", logged.event.alert.topic, first(logged));
            if world.told.contains(&alert) {
                prop_assert!(world.ended.contains(&alert), "{} was not told of its end", alert);
            }
        }
        if !world.crashed {
            prop_assert!(world.delivered.values().all(|n| *n == 1), "{:?}", world.delivered);
        }
    }
}
