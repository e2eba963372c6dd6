use proptest::prelude::*;

use super::*;
use crate::delivery::Earlier;
use crate::delivery::Reply;
use crate::delivery::admission::tests::event;
use crate::delivery::admission::tests::filter;
use crate::delivery::breaker::Alarm;
use crate::model::AlertId;
use crate::model::ArticleId;
use crate::model::EventId;
use crate::model::EventKind;
use crate::model::SourceId;
use crate::model::SubscriptionId;
use crate::model::Version;
use crate::model::subscription::Credentials;
use crate::model::subscription::FilterVersion;
use crate::model::subscription::Format;
use crate::model::subscription::InFlight;
use crate::model::subscription::Rate;
use crate::model::subscription::RequestKind;

mod random_tests;
mod request_tests;

fn subscription(max_in_flight: u8) -> Subscription {
    Subscription {
        v: Version,
        id: SubscriptionId::from_random([3; 16]),
        url: "https://desk.example/in".into(),
        description: None,
        format: Format::Wirebell,
        routing_key: None,
        template: None,
        keys: Vec::new(),
        credentials: Credentials::default(),
        filters: vec![version(1, 10, r#"{"topics":["*"]}"#)],
        ttl: None,
        max_in_flight: InFlight::new(max_in_flight).unwrap(),
        rate: None,
        paused: false,
        requests: Vec::new(),
        name: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn version(number: u32, effective_after: u64, json: &str) -> FilterVersion {
    FilterVersion { number, effective_after, filter: filter(json) }
}

fn endpoint(wanted: Subscription) -> Endpoint {
    Endpoint::new(wanted, None, false, Ttls::default()).unwrap()
}

fn at(seconds: i64) -> Time {
    Time::from_millis(seconds * 1000)
}

/// A log of alerts, each event with what came before it.
#[derive(Default)]
struct Log {
    events: Vec<Arc<Logged>>,
    /// Topics whose alert closed after their last event.
    closed: Vec<String>,
}

impl Log {
    /// Adds an event of an alert on a topic, decided at a time. Positions begin at 11.
    fn add(&mut self, topic: &str, kind: EventKind, seconds: i64) -> Arc<Logged> {
        let closed = self.closed.iter().position(|closed| closed == topic);
        let same = |l: &&Arc<Logged>| l.event.alert.topic.as_str() == topic;
        let last = self.events.iter().rev().find(same).filter(|_| closed.is_none());
        closed.map(|at| self.closed.swap_remove(at));
        let number = last.map_or(1, |l| l.event.number + 1);
        let earlier = last.map_or_else(Earlier::default, |l| l.with_earlier());
        let mut event = event(kind, number, topic, Severity::Warning);
        event.timestamp = at(seconds);
        let seq: u64 = 11 + u64::try_from(self.events.len()).unwrap();
        // Each alert of a topic has an id of its own.
        let first = earlier.iter().last().map_or(seq, |facts| facts.seq);
        let article = ArticleId::of(&SourceId::push(), &first.to_string());
        let (rule, key, nature) = (&event.alert.rule, &event.alert.key, event.alert.nature);
        event.alert.id = AlertId::of(rule, key, nature, (&article, 1));
        event.id = EventId::of(&event.alert.id, number);
        let logged = Arc::new(Logged::new(seq, event, earlier));
        self.events.push(logged.clone());
        logged
    }

    fn opened(&mut self, topic: &str) -> Arc<Logged> {
        self.add(topic, EventKind::Opened, 0)
    }
}

/// So many alerts open.
fn look_at(one: &mut Endpoint, log: &mut Log, count: u8) {
    for n in 0..count {
        one.look(&log.opened(&format!("t{n}")));
    }
}

fn look_again(one: &mut Endpoint, log: &Log) {
    for logged in &log.events {
        one.look(logged);
    }
}

fn work(next: Next) -> Work {
    match next {
        Next::Send(work) => work,
        other => panic!("{other:?}"),
    }
}

/// The sequence of what is sent now.
fn sends(endpoint: &mut Endpoint, now: Time) -> (Work, u64) {
    let work = work(endpoint.next(now));
    let sequence = sequence_of(&work);
    (work, sequence)
}

fn sequence_of(work: &Work) -> u64 {
    match work {
        Work::Event(_, n) | Work::Replay(_, n) => *n,
        Work::Ping(_) => 0,
    }
}

fn end(reply: Reply, seconds: i64) -> End {
    End { reply, now: at(seconds), took: Duration::from_millis(5), jitter: 1.0 }
}

fn ok(seconds: i64) -> End {
    end(Reply::Status(200, None), seconds)
}

/// A subscription that is known to answer fast, with so many events to send.
fn known(wanted: Subscription, count: u8) -> (Endpoint, Log) {
    let (mut log, mut one) = (Log::default(), endpoint(wanted));
    look_at(&mut one, &mut log, 8);
    while one.lane() == Lane::Slow {
        let (work, _) = sends(&mut one, at(0));
        one.ended(&work, ok(0));
    }
    for n in 0..count {
        one.look(&log.opened(&format!("u{n}")));
    }
    (one, log)
}

#[test]
fn a_run_is_what_follows_in_order_and_ends_with_the_first_that_fails() {
    let (mut one, _log) = known(subscription(1), 4);
    let (first, sequence) = sends(&mut one, at(1));
    let run = one.run(at(1), 3);
    let sequences: Vec<u64> = run.iter().map(sequence_of).collect();
    assert_eq!(sequences, [sequence + 1, sequence + 2, sequence + 3]);
    assert_eq!(one.due(at(1)), Due::Idle, "nothing else goes beside it");
    assert!(one.run(at(1), 3).is_empty(), "nor another run");
    one.ended(&first, ok(1));
    assert_eq!(one.due(at(1)), Due::Idle);
    one.ended(&run[0], end(Reply::Unknown, 1));
    run.iter().skip(1).for_each(|work| one.untried(work));
    assert_eq!(one.under_way(), 0);
    let Due::At(again) = one.due(at(1)) else { panic!("{:?}", one.due(at(1))) };
    assert_eq!(sends(&mut one, again).1, sequence + 1, "what failed comes first again");
}

#[test]
fn there_is_no_run_where_requests_are_spaced_unknown_or_several() {
    let rate = Some(Rate::new(50.0).unwrap());
    for wanted in [Subscription { rate, ..subscription(1) }, subscription(2)] {
        let (mut one, _log) = known(wanted, 4);
        sends(&mut one, at(60));
        assert!(one.run(at(60), 3).is_empty());
    }
    let (mut log, mut one) = (Log::default(), endpoint(subscription(1)));
    look_at(&mut one, &mut log, 4);
    sends(&mut one, at(0));
    assert!(one.run(at(0), 3).is_empty(), "nothing is known of it yet");
}

#[test]
fn a_run_stops_before_what_is_not_to_be_sent_and_before_what_must_be_written_first() {
    let ttl = Some(Duration::from_secs(60));
    let (mut one, mut log) = known(Subscription { ttl, ..subscription(1) }, 2);
    one.look(&log.add("v", EventKind::Opened, -100));
    one.look(&log.add("w", EventKind::Opened, 0));
    while one.waiting() > 4 {
        let (work, _) = sends(&mut one, at(1));
        one.ended(&work, ok(1));
    }
    sends(&mut one, at(1));
    assert_eq!(one.run(at(1), 9).len(), 1, "the third is outdated");
    let (mut one, mut log) = known(subscription(1), 0);
    while one.waiting() > 0 {
        let (work, _) = sends(&mut one, at(1));
        one.ended(&work, ok(1));
    }
    let written = one.record().sequence;
    one.wrote(written, 1);
    for n in 0..u8::MAX {
        one.look(&log.opened(&format!("x{n}")));
    }
    one.look(&log.opened("y"));
    sends(&mut one, at(2));
    assert_eq!(one.run(at(2), 1_000).len() as u64 + 1, UNWRITTEN);
}

#[test]
fn in_order_the_next_goes_when_the_one_before_is_answered() {
    let (mut log, mut one) = (Log::default(), endpoint(subscription(1)));
    for topic in ["a", "b"] {
        assert_eq!(one.look(&log.opened(topic)), Looked::Admitted);
    }
    let (first, n) = sends(&mut one, at(1));
    assert_eq!(n, 1);
    assert!(matches!(one.next(at(1)), Next::Nothing));
    one.ended(&first, ok(1));
    assert_eq!((one.record().cursor, one.record().sequence), (11, 1));
    let (second, n) = sends(&mut one, at(1));
    assert_eq!(n, 2);
    one.ended(&second, ok(2));
    one.reached(30, true);
    assert_eq!((one.record().cursor, one.record().sequence), (30, 2));
    assert_eq!(one.lane(), Lane::Fast);
}

#[test]
fn a_failure_keeps_the_event_and_waits_longer_each_time() {
    let (mut log, mut one) = (Log::default(), endpoint(subscription(1)));
    one.look(&log.opened("a"));
    let (first, _) = sends(&mut one, at(10));
    one.ended(&first, end(Reply::NotSent, 10));
    assert!(matches!(one.next(at(10)), Next::Wait(t) if t == at(11)));
    let (first, _) = sends(&mut one, at(11));
    one.ended(&first, end(Reply::Unknown, 11));
    assert_eq!(one.due(at(11)), Due::At(at(16)));
    let record = one.record().clone();
    let outstanding = record.outstanding[0].clone();
    assert_eq!((outstanding.sends, outstanding.told, outstanding.failures), (1, true, 2));
    assert_eq!(record.cursor, 10);
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Delivery>(&text).unwrap(), record);
    let mut again = Endpoint::new(subscription(1), Some(record), false, Ttls::default()).unwrap();
    again.look(&log.events[0]);
    assert_eq!(again.due(at(12)), Due::At(at(16)));
    assert_eq!(again.record().outstanding[0], outstanding);
}

#[test]
fn an_event_fails_only_after_twelve_sends_and_46_hours() {
    let (mut log, mut one) = (Log::default(), endpoint(subscription(1)));
    one.look(&log.opened("a"));
    let mut now = 0;
    for n in 0..40 {
        one.redefine(Subscription { requests: resume(n), ..subscription(1) }).unwrap();
        let (work, _) = sends(&mut one, at(now));
        one.ended(&work, end(Reply::Status(500, None), now));
        now = if n < 20 { now + 1 } else { 46 * 3600 };
        if n == 21 {
            break;
        }
    }
    let given_up = one.take_given_up();
    assert_eq!((given_up[0].outcome, given_up[0].sequence), (Outcome::Failed, 1));
    let record = one.record();
    assert_eq!((record.cursor, record.sequence, record.gaps.count()), (11, 1, 1));
    assert!(record.unsent.is_empty(), "the receiver may have it: an ending is owed");
}

fn resume(number: u64) -> Vec<Request> {
    vec![Request { number: number + 1, at: at(0), call: None, kind: RequestKind::Resume }]
}

#[test]
fn an_ending_is_withheld_where_everything_before_was_given_up_unsent() {
    let wanted = Subscription { ttl: Some(Duration::from_secs(60)), ..subscription(1) };
    let (mut log, mut one) = (Log::default(), endpoint(wanted));
    one.look(&log.opened("a"));
    assert!(matches!(one.next(at(61)), Next::Nothing));
    one.look(&log.add("a", EventKind::Ended, 62));
    assert!(matches!(one.next(at(63)), Next::Nothing));
    let outcomes: Vec<Outcome> = one.take_given_up().iter().map(|g| g.outcome).collect();
    assert_eq!(outcomes, [Outcome::Outdated, Outcome::Withheld]);
    let record = one.record();
    assert_eq!(record.sequence, 2, "what is admitted keeps its sequence");
    assert_eq!(record.unsent[0].closed_at, Some(at(63)));
}

#[test]
fn an_ending_is_owed_where_an_earlier_event_was_sent_however_old_it_is() {
    let wanted = Subscription { ttl: Some(Duration::from_secs(60)), ..subscription(1) };
    let (mut log, mut one) = (Log::default(), endpoint(wanted));
    one.look(&log.opened("a"));
    let (opened, _) = sends(&mut one, at(1));
    one.ended(&opened, ok(1));
    one.look(&log.add("a", EventKind::Updated, 2));
    assert!(matches!(one.next(at(100)), Next::Nothing));
    one.look(&log.add("a", EventKind::Ended, 3));
    let (_, sequence) = sends(&mut one, at(1_000_000));
    assert_eq!(sequence, 3);
}

#[test]
fn what_a_dead_process_may_have_sent_counts_as_told() {
    let wanted = || Subscription { ttl: Some(Duration::from_secs(60)), ..subscription(1) };
    for (abandoned, sent) in [(true, true), (false, false)] {
        let mut log = Log::default();
        let mut one = Endpoint::new(wanted(), None, abandoned, Ttls::default()).unwrap();
        one.look(&log.opened("a"));
        one.look(&log.add("a", EventKind::Ended, 1));
        let next = one.next(at(100));
        assert_eq!(matches!(next, Next::Send(Work::Event(_, 2))), sent, "{abandoned}: {next:?}");
    }
}

#[test]
fn gone_pauses_until_the_url_changes_or_somebody_resumes_and_keeps_everything() {
    let (mut log, mut one) = (Log::default(), endpoint(subscription(1)));
    one.look(&log.opened("a"));
    let (first, _) = sends(&mut one, at(1));
    one.ended(&first, end(Reply::Status(410, None), 1));
    assert!(one.is_held() && matches!(one.next(at(9)), Next::Nothing));
    one.redefine(subscription(1)).unwrap();
    assert!(one.is_held());
    let url = "https://desk.example/new".to_owned();
    one.redefine(Subscription { url, ..subscription(1) }).unwrap();
    let (first, _) = sends(&mut one, at(9));
    one.ended(&first, end(Reply::Status(410, None), 9));
    let url = "https://desk.example/new".to_owned();
    one.redefine(Subscription { url, requests: resume(0), ..subscription(1) }).unwrap();
    let (_, sequence) = sends(&mut one, at(10));
    assert_eq!((sequence, one.record().requests_done), (1, 1));
}

#[test]
fn a_dead_endpoint_is_paused_after_five_days_with_everything_kept() {
    let (mut log, mut one) = (Log::default(), endpoint(subscription(1)));
    one.look(&log.opened("a"));
    let (mut now, mut attempts, mut warnings) = (0, 0, 0);
    while !one.is_held() {
        match one.next(at(now)) {
            Next::Send(work) => {
                attempts += 1;
                let alarm = one.ended(&work, end(Reply::NotSent, now));
                warnings += u32::from(matches!(alarm, Alarm::Warn(_)));
            }
            Next::Wait(until) => now = until.seconds() + 1,
            Next::Nothing => panic!("it waits for nothing"),
        }
    }
    assert!(now >= 5 * 86_400 && attempts >= 20 && warnings == 3, "{now} {attempts} {warnings}");
    assert_eq!((one.record().cursor, one.record().outstanding.len()), (10, 1));
}

#[test]
fn retry_after_holds_for_the_whole_endpoint_whatever_else_is_answered() {
    let (mut log, mut one) = (Log::default(), endpoint(subscription(4)));
    for topic in ["a", "b", "c"] {
        one.look(&log.opened(topic));
    }
    let (first, _) = sends(&mut one, at(0));
    let (second, _) = sends(&mut one, at(0));
    one.ended(&first, end(Reply::Status(429, Some(Duration::from_secs(90))), 1));
    one.ended(&second, ok(2));
    assert_eq!(one.due(at(2)), Due::At(at(91)));
    assert!(one.record().pace.is_some());
}

#[test]
fn an_event_that_is_refused_stops_no_other_unless_order_is_kept() {
    let (mut log, mut one) = (Log::default(), endpoint(subscription(4)));
    look_at(&mut one, &mut log, 12);
    let mut delivered = Vec::new();
    for _ in 0..40 {
        let Next::Send(work) = one.next(at(0)) else { break };
        let Work::Event(_, n) = &work else { panic!() };
        if *n == 1 {
            one.ended(&work, end(Reply::Status(400, None), 0));
        } else {
            delivered.push(*n);
            one.ended(&work, ok(0));
        }
    }
    assert_eq!(delivered, (2..=12).collect::<Vec<_>>());
    let record = one.record();
    assert_eq!((record.cursor, record.sequence), (10, 0));
    assert_eq!(record.ahead.ranges(), [(2, 12)]);
    assert_eq!(record.outstanding[0].next_attempt, Some(at(1)));
    let record = record.clone();
    let mut again = Endpoint::new(subscription(4), Some(record), false, Ttls::default()).unwrap();
    look_again(&mut again, &log);
    again.reached(22, true);
    let (first, n) = sends(&mut again, at(2));
    again.ended(&first, ok(2));
    assert_eq!((n, again.record().cursor, again.record().sequence), (1, 22, 12));
    assert!(again.record().ahead.is_empty());

    let (mut log, mut one) = (Log::default(), endpoint(subscription(1)));
    look_at(&mut one, &mut log, 3);
    let (first, _) = sends(&mut one, at(0));
    one.ended(&first, end(Reply::Status(400, None), 0));
    assert_eq!(one.due(at(0)), Due::At(at(1)), "with order it holds up all others");
}

#[test]
fn endings_overtake_all_but_the_opening_that_nobody_knows_of() {
    let (mut log, mut one) = (Log::default(), endpoint(subscription(2)));
    one.look(&log.opened("a"));
    let (opened, _) = sends(&mut one, at(0));
    one.ended(&opened, ok(0));
    for topic in ["b", "c", "d"] {
        one.look(&log.opened(topic));
    }
    one.look(&log.add("d", EventKind::Ended, 0));
    assert!(one.has_ending());
    one.look(&log.add("a", EventKind::Ended, 0));
    let order: Vec<u64> = (0..5)
        .map(|_| {
            let (work, n) = sends(&mut one, at(0));
            one.ended(&work, ok(0));
            n
        })
        .collect();
    assert_eq!(order, [6, 2, 3, 4, 5]);
}

#[test]
fn a_recovering_endpoint_in_order_is_led_back_second_by_second() {
    let (mut log, mut one) = (Log::default(), endpoint(subscription(1)));
    look_at(&mut one, &mut log, 40);
    let mut now = 0;
    for _ in 0..5 {
        let (work, _) = sends(&mut one, at(now));
        one.ended(&work, end(Reply::NotSent, now));
        now += 1000;
    }
    assert_eq!((one.waiting(), one.lane()), (1, Lane::Slow), "the rest stays in the log");
    look_again(&mut one, &log);
    let start = now * 1000;
    let mut counts = [0; 5];
    for ms in start..start + 5000 {
        if let Next::Send(work) = one.next(Time::from_millis(ms)) {
            one.ended(&work, End { now: Time::from_millis(ms), ..ok(0) });
            counts[usize::try_from((ms - start) / 1000).unwrap()] += 1;
        }
    }
    assert_eq!(counts, [1, 2, 4, 8, 16]);
}

#[test]
fn a_rate_spaces_requests() {
    let rate = Some(Rate::new(2.0).unwrap());
    let (mut log, mut one) = (Log::default(), endpoint(Subscription { rate, ..subscription(1) }));
    look_at(&mut one, &mut log, 4);
    let (mut now, mut sent) = (Time::from_millis(0), Vec::new());
    while sent.len() < 4 {
        match one.next(now) {
            Next::Send(work) => {
                one.ended(&work, End { now, ..ok(0) });
                sent.push(now.millis());
            }
            Next::Wait(at) => now = at,
            Next::Nothing => panic!(),
        }
    }
    assert_eq!(sent, [0, 500, 1000, 1500]);
}

#[test]
fn nothing_is_sent_beyond_a_new_filter_before_the_record_says_where_it_takes_effect() {
    let (mut log, mut one) = (Log::default(), endpoint(subscription(1)));
    let quake = version(2, 10, r#"{"topics":["quake"]}"#);
    let mut wanted = subscription(1);
    wanted.filters.push(quake);
    one.redefine(wanted).unwrap();
    assert!(one.lacks_versions());
    one.take_versions(11);
    for topic in ["siren", "siren2", "quake"] {
        one.look(&log.opened(topic));
    }
    let (first, n) = sends(&mut one, at(0));
    assert_eq!(n, 1);
    one.ended(&first, ok(0));
    assert!(matches!(one.next(at(0)), Next::Nothing));
    let sequence = one.record().sequence;
    assert!(!one.wrote(sequence, 1), "that record knew nothing of it");
    assert!(one.wrote(sequence, 2));
    let (Work::Event(logged, 2), _) = sends(&mut one, at(0)) else { panic!() };
    assert_eq!(logged.event.alert.topic.as_str(), "quake");
}

#[test]
fn a_replay_sends_what_was_settled_again_in_order_behind_what_is_new() {
    let (mut log, mut one) = (Log::default(), endpoint(subscription(1)));
    look_at(&mut one, &mut log, 4);
    for _ in 0..4 {
        let (work, n) = sends(&mut one, at(0));
        let reply = if n == 3 { Reply::Status(415, None) } else { Reply::Status(200, None) };
        one.ended(&work, end(reply, 0));
    }
    one.record();
    let replay = |number, from_sequence, only_failed| {
        let kind = RequestKind::Replay { from_sequence, only_failed };
        let requests = vec![Request { number, at: at(0), call: None, kind }];
        Subscription { requests, ..subscription(1) }
    };
    let run = |one: &mut Endpoint| {
        let mut sent = Vec::new();
        loop {
            match one.next(at(5)) {
                Next::Send(work) => {
                    let (Work::Replay(_, n) | Work::Event(_, n)) = &work else { panic!() };
                    sent.push(*n);
                    one.ended(&work, ok(5));
                }
                _ => match one.replay_wants() {
                    Some(from) => {
                        let after: Vec<_> =
                            log.events.iter().filter(|l| l.seq > from).cloned().collect();
                        one.take_replay(&after, after.last().map_or(14, |l| l.seq));
                    }
                    None => return sent,
                },
            }
        }
    };
    one.redefine(replay(1, 2, false)).unwrap();
    assert_eq!(run(&mut one), [2, 3, 4]);
    assert!(one.record().replay.is_none() && one.record().gaps.is_empty());
    one.redefine(replay(2, 1, true)).unwrap();
    assert_eq!(run(&mut one), Vec::<u64>::new(), "nothing failed any more");
    assert_eq!(one.record().requests_done, 2);
}
