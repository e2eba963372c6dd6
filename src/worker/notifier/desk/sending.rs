//! Requests out, and their ends in.

use tokio::time::Instant;

use crate::bus::Bus;
use crate::delivery::Reply;
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
use crate::model::Attempt;
use crate::model::EventKind;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::Version;
use crate::model::attempt::Outcome;
use crate::telemetry::metric;
use crate::worker::notifier::desk::Desk;
use crate::worker::notifier::send;
use crate::worker::notifier::send::Order;
use crate::worker::notifier::send::Sent;

/// A request under way.
pub(super) struct UnderWay {
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
                Next::Send(work) => self.start((place, host, lane), work),
                Next::Nothing | Next::Wait(_) => self.lanes.ended(host, lane),
            }
            self.log_given_up(place, now);
            self.place(place);
        }
    }

    fn start(&mut self, (place, host, lane): (u32, Host, Lane), work: Work) {
        self.serial += 1;
        let number = self.serial;
        let (late, over) = match &work {
            Work::Event(logged, _) | Work::Replay(logged, _) => {
                let over = self.closed.contains(&logged.event.alert.id);
                (over && logged.event.kind == EventKind::Opened, over)
            }
            Work::Ping(_) => (false, false),
        };
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
            work,
            late,
            over,
            public_url,
            timeout,
            tracer: settings.tracer.clone(),
        };
        let (serial, subscription) = (slot.serial, slot.id.clone());
        self.under_way.insert(number, UnderWay { place, serial, subscription, host, lane });
        if lane == Lane::Fast {
            self.young.push_back((Instant::now(), number));
        }
        let clock = settings.clock.clone();
        self.sends.spawn(send::send(self.parts.client.clone(), clock, order));
    }

    pub(super) fn take_sent(&mut self, sent: Sent) {
        let Some(way) = self.under_way.remove(&sent.number) else { return };
        self.lanes.ended(way.host, way.lane);
        let now = self.now();
        let place = way.place;
        let mut outcome = sent.reply.outcome();
        let found = self.slot(place).filter(|slot| slot.serial == way.serial);
        if let Some(slot) = found {
            let (took, jitter) = (sent.took, fastrand::f64());
            let paused = slot.endpoint.is_held();
            let end = End { reply: sent.reply, now, took, jitter };
            let alarm = slot.endpoint.ended(&sent.work, end);
            let given_up = slot.endpoint.take_given_up();
            let pauses = !paused && slot.endpoint.is_held();
            // What is given up with its last try is told with that try.
            let sequence = send::sequence(&sent.work);
            for gave_up in given_up {
                if gave_up.sequence == sequence {
                    outcome = gave_up.outcome;
                } else {
                    self.note_given_up(&way.subscription, &gave_up, now);
                }
            }
            self.tell(&way.subscription, alarm, (pauses, sent.reply.outcome()));
            self.place(place);
            self.write_soon();
        }
        self.parts.attempts.note(attempt(&way.subscription, sent, outcome));
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
        given_up.iter().for_each(|gave_up| self.note_given_up(&id, gave_up, now));
        self.write_soon();
    }

    fn note_given_up(&self, id: &SubscriptionId, gave_up: &GaveUp, now: Time) {
        let reason = gave_up.outcome.as_str();
        metrics::counter!(metric::GIVEN_UP, "reason" => reason).increment(1);
        let event = &gave_up.logged.event;
        self.parts.attempts.note(Attempt {
            v: Version,
            subscription: id.clone(),
            event: event.id.to_string(),
            kind: event.kind.as_str().to_owned(),
            sequence: gave_up.sequence,
            at: now,
            outcome: gave_up.outcome,
            status: None,
            duration_ms: 0,
            remark: Some(remark(gave_up.outcome).to_owned()),
            replay: false,
            answer: None,
        });
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

fn remark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Outdated => "it waited longer than its time to live",
        Outcome::Withheld => "nothing of this alert was sent, so there is nothing to take back",
        _ => "given up after every try",
    }
}

fn attempt(id: &SubscriptionId, sent: Sent, outcome: Outcome) -> Attempt {
    let status = match sent.reply {
        Reply::Status(status, _) => Some(status),
        _ => None,
    };
    let (event, kind) = send::name(&sent.work);
    Attempt {
        v: Version,
        subscription: id.clone(),
        event,
        kind: kind.to_owned(),
        sequence: send::sequence(&sent.work),
        at: sent.at,
        outcome,
        status,
        duration_ms: u64::try_from(sent.took.as_millis()).unwrap_or(u64::MAX),
        remark: sent.reply.remark().map(str::to_owned),
        replay: matches!(sent.work, Work::Replay(..)),
        answer: sent.answer,
    }
}
