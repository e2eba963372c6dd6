//! Requests out, and their ends in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::bus::Bus;
use crate::delivery::breaker::Alarm;
use crate::delivery::credentials;
use crate::delivery::endpoint::End;
use crate::delivery::endpoint::GaveUp;
use crate::delivery::endpoint::Next;
use crate::delivery::endpoint::SLOW;
use crate::delivery::endpoint::Work;
use crate::delivery::format::Style;
use crate::delivery::lanes::Host;
use crate::delivery::lanes::Lane;
use crate::model::EventKind;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::attempt::Outcome;
use crate::telemetry::metric;
use crate::worker::notifier::attempts::Told;
use crate::worker::notifier::desk::Desk;
use crate::worker::notifier::run::Run;
use crate::worker::notifier::send;
use crate::worker::notifier::send::Done;
use crate::worker::notifier::send::Order;
use crate::worker::notifier::send::Sent;
use crate::worker::notifier::send::Telling;

/// Where a request counts.
type Place = (u32, Host, Lane);

/// Most requests of a run.
const RUN: usize = 64;
/// How often it is looked at what runs have done; it is written at once.
const LOOK: Duration = Duration::from_millis(18);

/// A run under way.
pub(super) struct UnderWay {
    run: Arc<Run>,
    place: u32,
    serial: u64,
    subscription: SubscriptionId,
    host: Host,
    lane: Lane,
}

impl<B: Bus> Desk<'_, B> {
    /// Starts what is ready while there is room and the leases are trusted.
    pub(super) fn start_requests(&mut self) {
        while let Some((place, host, lane)) = self.lanes.take() {
            let now = self.now();
            let keeper = self.parts.keeper.clone();
            let Some(slot) = self.slot(place).filter(|slot| keeper.is_held(slot.shard)) else {
                // A lease that is not renewed in time is lost, and said so; until then it waits.
                self.lanes.ended(host, lane);
                self.untrusted.push(place);
                continue;
            };
            match slot.endpoint.next(now) {
                Next::Send(work) => {
                    let run = slot.endpoint.run(now, RUN - 1);
                    self.start((place, host, lane), std::iter::once(work).chain(run));
                }
                Next::Nothing | Next::Wait(_) => self.lanes.ended(host, lane),
            }
            self.log_given_up(place, now);
            self.place(place);
        }
    }

    fn start(&mut self, (place, host, lane): Place, works: impl Iterator<Item = Work>) {
        self.serial += 1;
        let number = self.serial;
        let tellings: VecDeque<Telling> = works.map(|work| self.telling(work)).collect();
        let settings = &self.parts.settings;
        let (public_url, timeout) = (settings.public_url.clone(), settings.timeout);
        let Some(slot) = self.slots.get_mut(place as usize).and_then(Option::as_mut) else {
            return;
        };
        let order = Order {
            number,
            subscription: slot.id.clone(),
            target: slot.target.clone(),
            keys: slot.endpoint.keys().to_vec(),
            headers: credentials::headers(&slot.endpoint.wanted().credentials),
            style: Style::of(slot.endpoint.wanted()),
            public_url,
            timeout,
            tracer: settings.tracer.clone(),
        };
        let run = Arc::new(Run::default());
        if tellings.len() > 1 {
            slot.run = Some(run.clone());
            self.runs.insert(number);
            self.look_at.get_or_insert_with(|| Instant::now() + LOOK);
        }
        let (serial, subscription) = (slot.serial, slot.id.clone());
        let way = UnderWay { run: run.clone(), place, serial, subscription, host, lane };
        self.under_way.insert(number, way);
        if lane == Lane::Fast {
            self.young.push_back((Instant::now(), number));
        }
        let clock = settings.clock.clone();
        self.sends.spawn(send::send(self.parts.client.clone(), clock, (order, tellings, run)));
    }

    fn telling(&self, work: Work) -> Telling {
        let (late, over) = match &work {
            Work::Event(logged, _) | Work::Replay(logged, _) => {
                let over = self.closed.contains(&logged.event.alert.id);
                (over && logged.event.kind == EventKind::Opened, over)
            }
            Work::Ping(_) => (false, false),
        };
        Telling { work, late, over }
    }

    pub(super) fn take_sent(&mut self, sent: Sent) {
        let Some(way) = self.under_way.remove(&sent.number) else { return };
        self.runs.remove(&sent.number);
        self.lanes.ended(way.host, way.lane);
        let done = way.run.take().0;
        self.take_done((way.place, way.serial), &way.subscription, done);
        if let Some(slot) = self.slot(way.place).filter(|slot| slot.serial == way.serial) {
            sent.untried.iter().for_each(|telling| slot.endpoint.untried(&telling.work));
            slot.run = None;
            self.place(way.place);
        }
    }

    /// Takes what runs have done that are not over, so that it is on record soon. Where others wait
    /// for their place, runs that had their share are over.
    pub(super) fn look_at_runs(&mut self) {
        if self.look_at.is_none_or(|at| at > Instant::now()) {
            return;
        }
        let others_wait = self.lanes.waiting() > 0;
        let mut over = Vec::new();
        for number in std::mem::take(&mut self.runs) {
            let Some(way) = self.under_way.get(&number) else { continue };
            let (place, serial, id) = (way.place, way.serial, way.subscription.clone());
            let (done, last) = way.run.take();
            if others_wait {
                way.run.stop();
            }
            self.take_done((place, serial), &id, done);
            self.place(place);
            // The last request may take long, and is told with the end of the run.
            if !last && !others_wait {
                over.push(number);
            }
        }
        self.runs.extend(over);
        self.write_now();
        self.look_at = (!self.runs.is_empty()).then(|| Instant::now() + LOOK);
    }

    fn take_done(&mut self, (place, serial): (u32, u64), id: &SubscriptionId, done: Vec<Done>) {
        let now = self.now();
        let mut told = Vec::with_capacity(done.len());
        for done in done {
            let outcome = self.take_end((place, serial), id, (&done, now));
            told.push(Told::Sent(done, outcome));
        }
        if !told.is_empty() {
            self.write_soon();
        }
        self.parts.attempts.note(id, told);
    }

    /// What one request means for its subscription, and how its attempt is told.
    fn take_end(
        &mut self,
        (place, serial): (u32, u64),
        id: &SubscriptionId,
        (done, now): (&Done, Time),
    ) -> Outcome {
        let mut outcome = done.reply.outcome();
        let found = self.slot(place).filter(|slot| slot.serial == serial);
        let Some(slot) = found else { return outcome };
        let (took, jitter) = (done.took, fastrand::f64());
        let paused = slot.endpoint.is_held();
        let end = End { reply: done.reply, now, took, jitter };
        let alarm = slot.endpoint.ended(&done.work, end);
        let given_up = slot.endpoint.take_given_up();
        let pauses = !paused && slot.endpoint.is_held();
        // What is given up with its last try is told with that try.
        let sequence = send::sequence(&done.work);
        for gave_up in given_up {
            if gave_up.sequence == sequence {
                outcome = gave_up.outcome;
            } else {
                self.note_given_up(id, vec![gave_up], now);
            }
        }
        self.tell(id, alarm, (pauses, done.reply.outcome()));
        outcome
    }

    fn tell(&self, id: &SubscriptionId, alarm: Alarm, (pauses, outcome): (bool, Outcome)) {
        if let Alarm::Warn(lasts) = alarm {
            metrics::counter!(metric::DELIVERY_WARNINGS).increment(1);
            let hours = lasts.as_secs() / 3600;
            tracing::warn!(subscription.id = %id, hours, "Endpoint takes nothing");
        }
        if pauses {
            let reason = if outcome == Outcome::Gone { "gone" } else { "failing" };
            metrics::counter!(metric::DELIVERY_PAUSED, "reason" => reason).increment(1);
            tracing::error!(subscription.id = %id, reason, "Subscription paused, everything is kept");
        }
    }

    fn log_given_up(&mut self, place: u32, now: Time) {
        let Some(slot) = self.slot(place) else { return };
        let given_up = slot.endpoint.take_given_up();
        if given_up.is_empty() {
            return;
        }
        let id = slot.id.clone();
        self.note_given_up(&id, given_up, now);
        self.write_soon();
    }

    fn note_given_up(&self, id: &SubscriptionId, given_up: Vec<GaveUp>, now: Time) {
        for gave_up in &given_up {
            let reason = gave_up.outcome.as_str();
            metrics::counter!(metric::GIVEN_UP, "reason" => reason).increment(1);
        }
        let told = given_up.into_iter().map(|gave_up| Told::GivenUp(gave_up, now));
        self.parts.attempts.note(id, told.collect());
    }

    /// Requests of the fast lane that have taken too long count as slow.
    pub(super) fn move_slow(&mut self) {
        let now = Instant::now();
        while let Some((began, number)) = self.young.front().copied()
            && (now.duration_since(began) >= SLOW || !self.under_way.contains_key(&number))
        {
            self.young.pop_front();
            if let Some(way) = self.under_way.get_mut(&number) {
                way.lane = Lane::Slow;
                self.lanes.slowed(way.host);
            }
        }
    }

    /// When the next request of the fast lane will have taken too long.
    pub(super) fn slow_at(&self) -> Option<Instant> {
        self.young.front().map(|(began, _)| *began + SLOW)
    }

    /// Requests under way end by their own timeout; what they did is written while we may.
    pub(super) async fn wind_up(&mut self) {
        while let Some(sent) = self.sends.join_next().await {
            self.take_sent(super::unpanicked(sent));
        }
        self.reads.shutdown().await;
        self.openings.shutdown().await;
        self.write_everything().await;
    }
}
