use wirebell::bus::Bus;
use wirebell::bus::Expect;
use wirebell::bus::From;
use wirebell::bus::Limits;
use wirebell::bus::Outcome;
use wirebell::bus::Record;
use wirebell::bus::Stored;
use wirebell::bus::Stream;
use wirebell::bus::Until;
use wirebell::model::TraceContext;

use super::Backend;
use super::again;
use super::next_record;
use super::publish;
use super::read_all;
use super::record;
use super::selection;

const EVENTS: Stream = Stream::Events;

fn trace(n: u8) -> TraceContext {
    TraceContext::root([n; 16], [n; 8], n.is_multiple_of(2))
}

/// Every third record belongs to no trace.
fn traced(n: u8) -> (Record, Option<TraceContext>) {
    let trace = (!n.is_multiple_of(3)).then(|| trace(n));
    (record(&format!("wb.event.fire.a.{n}"), &n.to_string()).traced(trace), trace)
}

async fn last(bus: &impl Bus, subject: &str) -> Stored {
    again(|| bus.last(EVENTS, subject)).await.unwrap()
}

pub(crate) async fn a_record_carries_the_trace_of_what_caused_it<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let live = selection(From::Start, Until::Forever, "wb.event.>");
    let mut reader = again(|| bus.read(EVENTS, live.clone())).await;
    for n in 1..4 {
        publish(&bus, EVENTS, traced(n).0, Expect::Absent).await;
    }
    // A few go one by one, many in one commit.
    for group in [4..8, 8..100] {
        let group: Vec<(Record, Expect)> = group.map(|n| (traced(n).0, Expect::Absent)).collect();
        for outcome in again(|| bus.publish_all(EVENTS, group.clone())).await {
            assert!(matches!(outcome, Ok(Outcome::Published(_))), "{outcome:?}");
        }
    }
    let found = read_all(&bus, EVENTS, From::Start, "wb.event.>").await;
    assert_eq!(found.len(), 99);
    for (n, stored) in (1..).zip(found) {
        let wanted = traced(n).1;
        assert_eq!(stored.trace, wanted, "{n}, read");
        assert_eq!(next_record(&mut reader).await.trace, wanted, "{n}, read live");
        assert_eq!(last(&bus, &stored.subject).await.trace, wanted, "{n}, by its subject");
    }
    let one = read_all(&bus, EVENTS, From::After(49), "wb.event.fire.a.50").await;
    assert_eq!(one.iter().map(|stored| stored.trace).collect::<Vec<_>>(), [Some(trace(50))]);
}

pub(crate) async fn a_trace_is_no_part_of_a_records_content<B: Backend>() {
    let Some(backend) = B::start(Limits::default()).await else { return };
    let bus = backend.bus();
    let one = record("wb.event.fire.a.1", "x");
    let first = publish(&bus, EVENTS, one.clone().traced(Some(trace(2))), Expect::Absent).await;
    assert_eq!(first, Outcome::Published(1));
    for again in [None, Some(trace(4))] {
        let repeated = publish(&bus, EVENTS, one.clone().traced(again), Expect::Absent).await;
        assert_eq!(repeated, Outcome::AlreadyThere(1));
        assert_eq!(last(&bus, "wb.event.fire.a.1").await.trace, Some(trace(2)));
    }
}
