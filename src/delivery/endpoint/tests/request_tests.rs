//! What somebody asks for: pings, everything at once, sending again.

use super::*;

#[test]
fn whoever_resumes_or_pings_has_everything_tried_at_once() {
    for kind in [RequestKind::Resume, RequestKind::Test { id: "ping_a".to_owned() }] {
        let (mut log, mut one) = (Log::default(), endpoint(subscription(4)));
        one.look(&log.opened("a"));
        let (first, _) = sends(&mut one, at(0));
        one.ended(&first, end(Reply::Status(400, None), 0));
        assert_eq!(one.due(at(0)), Due::At(at(1)));
        let requests = vec![Request { number: 1, at: at(0), call: None, kind }];
        one.redefine(Subscription { requests, ..subscription(4) }).unwrap();
        let next = one.next(at(0));
        if let Next::Send(ping @ Work::Ping(_)) = &next {
            one.ended(ping, ok(0));
            let (_, n) = sends(&mut one, at(0));
            assert_eq!(n, 1);
        } else {
            assert!(matches!(next, Next::Send(Work::Event(_, 1))), "{next:?}");
        }
    }
}

#[test]
fn a_ping_waits_for_what_is_under_way_and_asks_for_nothing_meanwhile() {
    let (mut log, mut one) = (Log::default(), endpoint(subscription(4)));
    look_at(&mut one, &mut log, 2);
    let (first, _) = sends(&mut one, at(0));
    let kind = RequestKind::Test { id: "ping_a".to_owned() };
    let requests = vec![Request { number: 1, at: at(0), call: None, kind }];
    one.redefine(Subscription { requests, ..subscription(4) }).unwrap();
    assert_eq!(one.due(at(0)), Due::Idle);
    assert!(matches!(one.next(at(0)), Next::Nothing));
    one.ended(&first, ok(0));
    assert_eq!(one.due(at(0)), Due::Now);
    let ping = work(one.next(at(0)));
    assert!(matches!(ping, Work::Ping(_)), "{ping:?}");
    assert_eq!(one.due(at(0)), Due::Idle);
    one.ended(&ping, ok(0));
    assert_eq!(sends(&mut one, at(0)).1, 2);
}

#[test]
fn a_second_replay_waits_for_the_first_and_asks_for_nothing_meanwhile() {
    let (mut log, mut one) = (Log::default(), endpoint(subscription(1)));
    look_at(&mut one, &mut log, 1);
    let (first, _) = sends(&mut one, at(0));
    one.ended(&first, ok(0));
    one.record();
    let replay = RequestKind::Replay { from_sequence: 1, only_failed: false };
    let asked = |number| Request { number, at: at(0), call: None, kind: replay.clone() };
    one.redefine(Subscription { requests: vec![asked(1), asked(2)], ..subscription(1) }).unwrap();
    for _ in 0..2 {
        assert_eq!(one.due(at(0)), Due::Now);
        assert!(matches!(one.next(at(0)), Next::Nothing), "it is to be read first");
        assert_eq!(one.due(at(0)), Due::Idle);
        one.take_replay(&log.events, 11);
        let (again, sequence) = sends(&mut one, at(0));
        assert!(matches!(again, Work::Replay(..)) && sequence == 1);
        one.ended(&again, ok(0));
    }
    assert_eq!(one.due(at(0)), Due::Idle);
}
