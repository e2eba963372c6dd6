//! The canary: now and then a test alert goes the whole way, from an article to every endpoint that
//! asked for tests, and whoever runs Wirebell is told when it does not arrive.
//!
//! Every ingest worker has one. A canary follows from its time, so they all send the same one, and each
//! watches it. Whoever dies on the way leaves an open alert, which the next canary ends before it flies.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Error;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Reader;
use crate::bus::Selection;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::bus::Until;
use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::delivery::Facts;
use crate::delivery::admission::wants;
use crate::delivery::breaker::Breaker;
use crate::model::Attempt;
use crate::model::Event;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::attempt::Outcome;
use crate::source::canary::Canary;
use crate::source::canary::Says;
use crate::telemetry::Board;
use crate::telemetry::Health;
use crate::telemetry::Stage;
use crate::telemetry::logs::chain;
use crate::telemetry::metric;

/// Longest sleep, so that a clock that was set is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(1);
/// How often the records of endpoints are looked at, beside the attempts as they come.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Most endpoints named in an alarm.
const NAMED: usize = 5;

/// When one flies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// From one to the next.
    pub every: Duration,
    /// It arrives within this, or the alarm is raised.
    pub within: Duration,
}

impl Schedule {
    fn every_ms(self) -> i64 {
        i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX).max(1)
    }

    /// The last one due at a time.
    pub fn last(self, now: Time) -> Canary {
        let every = self.every_ms();
        Canary(Time::from_millis(now.millis().div_euclid(every) * every))
    }

    /// The one before.
    pub fn before(self, canary: Canary) -> Canary {
        Canary(Time::from_millis(canary.0.millis() - self.every_ms()))
    }

    fn next(self, now: Time) -> Canary {
        Canary(Time::from_millis(self.last(now).0.millis() + self.every_ms()))
    }
}

/// What the canary works with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// When one flies.
    pub schedule: Schedule,
    /// The wall clock.
    pub clock: Clock,
    /// Where it says how it went.
    pub board: Board,
}

/// How far one came.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Flight {
    /// To every endpoint that asked for it, in this time.
    Arrived(usize, Duration),
    /// No alert came of the article.
    NoEvent,
    /// Not to these endpoints, of so many, each with what is known of it.
    Missing(BTreeMap<SubscriptionId, String>, usize),
}

/// Sends and watches until `stop`. A bus that is away is part of what it tells.
pub async fn run<B: Bus>(bus: B, settings: Settings, stop: CancellationToken) -> Result<(), Error> {
    let now = || Time::from_millis(settings.clock.now_ms());
    metrics::gauge!(metric::CANARY_EVERY).set(settings.schedule.every.as_secs_f64());
    let mut next = settings.schedule.next(now());
    let board = &settings.board;
    loop {
        board.tell_canary(|canary| canary.next_ms = next.0.millis());
        let left = next.0.since(now()).min(MAX_SLEEP);
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(left) => {}
        }
        if now() < next.0 {
            continue;
        }
        // After a pause of this process only the newest one flies.
        let canary = settings.schedule.last(now());
        let flown = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            flown = fly(&bus, (settings.schedule, board), canary) => flown,
        };
        match flown {
            Ok(flight) => tell(board, &flight, now()),
            Err(error) if error.is_temporary() => {
                alarm(board, format!("it could not be sent: {}", chain(&error)), 1);
            }
            Err(error) => return Err(error),
        }
        next = settings.schedule.next(canary.0.max(now()));
    }
}

/// One flight. Every worker watches it, whoever sent it, so that each has the same to say.
async fn fly<B: Bus>(
    bus: &B,
    (schedule, board): (Schedule, &Board),
    canary: Canary,
) -> Result<Flight, Error> {
    board.tell_canary(|said| (said.stage, said.late) = (Stage::Log, false));
    let before = schedule.before(canary);
    if before.was_sent(bus).await? {
        before.publish(bus, Says::Ends).await?;
    }
    let events = after_end(bus, Stream::Events, canary.event_subject()).await?;
    let all = format!("{}>", Stream::Attempts.prefix());
    let mut attempts = after_end(bus, Stream::Attempts, all).await?;
    let (begun, deadline) = (Instant::now(), Instant::now() + schedule.within);
    canary.publish(bus, Says::Opens).await?;
    metrics::gauge!(metric::CANARY_SENT).set(seconds(canary.0));
    board.tell_canary(|said| {
        (said.sent_ms, said.stage) = (Some(canary.0.millis()), Stage::Rules);
    });
    let flight = match opening(bus, canary, events, deadline).await? {
        None => Flight::NoEvent,
        Some((seq, event)) => {
            let mut waiting = endpoints(bus, &Facts::of(seq, &event)).await?;
            let asked = waiting.len();
            board.tell_canary(|said| said.stage = Stage::Notifier(asked));
            while !waiting.is_empty() && Instant::now() < deadline {
                let pause = deadline.min(Instant::now() + LOOK_EVERY);
                arrivals(&mut attempts, canary, &mut waiting, pause).await?;
                waiting = not_on_record(bus, waiting, seq).await?;
                board.tell_canary(|said| said.stage = Stage::Notifier(waiting.len()));
            }
            if waiting.is_empty() {
                Flight::Arrived(asked, begun.elapsed())
            } else {
                Flight::Missing(waiting, asked)
            }
        }
    };
    canary.publish(bus, Says::Ends).await?;
    Ok(flight)
}

/// As metrics have it.
fn seconds(at: Time) -> f64 {
    Duration::from_millis(u64::try_from(at.millis()).unwrap_or(0)).as_secs_f64()
}

/// Reads what comes after the end of a stream.
async fn after_end<B: Bus>(bus: &B, stream: Stream, filter: String) -> Result<Reader, Error> {
    let from = From::After(bus.end(stream).await?);
    bus.read(stream, Selection { from, until: Until::Forever, filter }).await
}

/// The next record before the deadline.
async fn next(reader: &mut Reader, deadline: Instant) -> Result<Option<Stored>, Error> {
    loop {
        match tokio::time::timeout_at(deadline, reader.next()).await {
            Ok(Some(Ok(Item::Record(stored)))) => return Ok(Some(stored)),
            Ok(Some(Ok(Item::Overtaken { .. }))) => {}
            Ok(Some(Err(error))) => return Err(error),
            Ok(None) | Err(_) => return Ok(None),
        }
    }
}

/// The event of its opening, with its position; none where there is none before the deadline.
async fn opening<B: Bus>(
    bus: &B,
    canary: Canary,
    mut events: Reader,
    deadline: Instant,
) -> Result<Option<(u64, Event)>, Error> {
    // Another worker may have sent it before this one began to read.
    let mut found = bus.last(Stream::Events, &canary.event_subject()).await?;
    loop {
        let stored = match found.take() {
            Some(stored) => stored,
            None => match next(&mut events, deadline).await? {
                Some(stored) => stored,
                None => return Ok(None),
            },
        };
        if let Ok(event) = serde_json::from_slice(&stored.payload) {
            return Ok(Some((stored.seq, event)));
        }
    }
}

/// Who asked for it: every endpoint that its owner has not paused.
async fn endpoints<B: Bus>(
    bus: &B,
    facts: &Facts,
) -> Result<BTreeMap<SubscriptionId, String>, Error> {
    let listing = bus.list(Bucket::Subscriptions, "").await?;
    let wanted = listing
        .entries
        .iter()
        .filter_map(|entry| serde_json::from_slice::<Subscription>(entry.value.as_ref()?).ok());
    let asks = |one: &Subscription| {
        !one.paused && one.filters.last().is_some_and(|version| wants(&version.filter, facts))
    };
    Ok(wanted.filter(asks).map(|one| (one.id, "not tried: see the notifier".to_owned())).collect())
}

/// Takes out whom it reached before a time; of the others it notes what was tried last.
async fn arrivals(
    attempts: &mut Reader,
    canary: Canary,
    waiting: &mut BTreeMap<SubscriptionId, String>,
    until: Instant,
) -> Result<(), Error> {
    let event = canary.event().to_string();
    while !waiting.is_empty()
        && let Some(stored) = next(attempts, until).await?
    {
        for attempt in Attempt::of_record(&stored.payload) {
            if attempt.event != event {
                continue;
            }
            if attempt.outcome == Outcome::Delivered {
                waiting.remove(&attempt.subscription);
            } else if let Some(known) = waiting.get_mut(&attempt.subscription) {
                let status = attempt.status.map(|status| format!(" with {status}"));
                *known = format!("{}{}", attempt.outcome.as_str(), status.unwrap_or_default());
            }
        }
    }
    Ok(())
}

/// Attempts are history, and some are not written or were before this worker looked: what the record
/// says counts, too.
async fn not_on_record<B: Bus>(
    bus: &B,
    waiting: BTreeMap<SubscriptionId, String>,
    seq: u64,
) -> Result<BTreeMap<SubscriptionId, String>, Error> {
    let mut missing = BTreeMap::new();
    for (id, known) in waiting {
        let entry = bus.get(Bucket::Deliveries, id.as_str()).await?;
        let record =
            entry.and_then(|entry| serde_json::from_slice::<Delivery>(entry.value.as_ref()?).ok());
        match record {
            Some(record) if record.paused.is_some() => {
                missing.insert(id, "paused for its failures".to_owned());
            }
            Some(record) if record.cursor >= seq => {}
            Some(Delivery { breaker: Breaker { failing: Some(failing), .. }, .. }) => {
                let (since, attempts) = (failing.since, failing.attempts);
                let text = format!("it has taken nothing since {since}, in {attempts} attempts");
                missing.insert(id, text);
            }
            _ => drop(missing.insert(id, known)),
        }
    }
    Ok(missing)
}

fn tell(board: &Board, flight: &Flight, now: Time) {
    match flight {
        Flight::Arrived(endpoints, took) => {
            metrics::gauge!(metric::CANARY_ARRIVED).set(seconds(now));
            metrics::gauge!(metric::CANARY_MISSING).set(0.0);
            metrics::histogram!(metric::CANARY_SECONDS).record(took.as_secs_f64());
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            board.tell_canary(|said| {
                (said.arrived_ms, said.stage) = (Some((now.millis(), took_ms)), Stage::Home);
            });
            if board.set("canary", Health::Ready) {
                tracing::info!(endpoints, took_ms, "Canary arrives");
            }
        }
        Flight::NoEvent => {
            let text = "no alert came of its article: see that a rules worker runs and keeps up";
            alarm(board, text.to_owned(), 1);
        }
        Flight::Missing(missing, asked) => {
            let named = missing.iter().take(NAMED).map(|(id, known)| format!("{id}: {known}"));
            let named: Vec<String> = named.collect();
            let (count, more) = (missing.len(), missing.len().saturating_sub(NAMED));
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            let text = format!(
                "it did not reach {count} of {asked} endpoints ({}{more})",
                named.join(", ")
            );
            alarm(board, text, count);
        }
    }
}

fn alarm(board: &Board, text: String, missing: usize) {
    let missing = u32::try_from(missing).unwrap_or(u32::MAX);
    metrics::gauge!(metric::CANARY_MISSING).set(f64::from(missing));
    board.tell_canary(|said| said.late = true);
    if board.set("canary", Health::Degraded(text.clone())) {
        tracing::error!(reason = text, "Canary did not arrive");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canaries_are_due_at_times_that_all_workers_agree_on() {
        let schedule =
            Schedule { every: Duration::from_secs(3600), within: Duration::from_secs(60) };
        let at = |seconds: i64| Time::from_millis(seconds * 1000);
        assert_eq!(schedule.last(at(7_199)), Canary(at(3_600)));
        assert_eq!(schedule.last(at(7_200)), Canary(at(7_200)));
        assert_eq!(schedule.next(at(7_200)), Canary(at(10_800)));
        assert_eq!(schedule.before(Canary(at(7_200))), Canary(at(3_600)));
    }

    #[test]
    fn an_alarm_names_the_first_endpoints_and_is_told_once() {
        let board = Board::default();
        let ids = (0..7).map(|n| SubscriptionId::from_random([n; 16]));
        let missing: BTreeMap<_, _> = ids.map(|id| (id, "rejected with 500".to_owned())).collect();
        tell(&board, &Flight::Missing(missing, 9), Time::from_millis(0));
        let parts = board.parts();
        let [("canary", Health::Degraded(text))] = &parts[..] else { panic!("{parts:?}") };
        assert!(text.starts_with("it did not reach 7 of 9 endpoints (sub_"), "{text}");
        assert!(text.ends_with("rejected with 500, and 2 more)"), "{text}");
        assert!(board.is_ready());
        assert!(board.canary().unwrap().late);
        tell(&board, &Flight::Arrived(9, Duration::from_millis(7)), Time::from_millis(5));
        assert_eq!(board.parts(), [("canary", Health::Ready)]);
        let said = board.canary().unwrap();
        assert_eq!((said.arrived_ms, said.stage), (Some((5, 7)), Stage::Home));
    }
}
