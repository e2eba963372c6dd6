//! Whether an endpoint is sent to freely, tried now and then, or led back to full speed.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::model::Time;

/// Consecutive failures that open it.
const OPENS_AFTER: u32 = 5;
/// Outcomes remembered: half of them failures opens it too.
const RECENT: u32 = 20;
/// Requests a second at which an in-order subscription is back at full speed.
const FULL_RATE: u32 = 256;
/// A step of the ramp of an in-order subscription lasts so long.
const RAMP_STEP: Duration = Duration::from_secs(1);
/// Failing so long, an endpoint's owner is warned: once each.
const WARNINGS: [Duration; 3] =
    [Duration::from_secs(3600), Duration::from_secs(24 * 3600), Duration::from_secs(4 * 24 * 3600)];
/// Failing so long …
const PAUSES_AFTER: Duration = Duration::from_secs(5 * 24 * 3600);
/// … in at least so many attempts, it is paused.
const PAUSES_AFTER_ATTEMPTS: u32 = 20;

/// How freely requests go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// As fast as the endpoint takes them.
    #[default]
    Closed,
    /// One at a time, after waiting.
    Open,
    /// 1, 2, 4, 8 … at a time; of an in-order subscription, a second.
    Ramp {
        /// How often it was doubled, where order is not kept.
        step: u32,
        /// When the endpoint first answered again: with order kept, the rate doubles each second.
        since: Time,
        /// Successes at this step.
        good: u32,
    },
}

/// Since when an endpoint takes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// The first failure.
    pub since: Time,
    /// Attempts that failed.
    pub attempts: u32,
    /// How many warnings were given.
    pub warned: u32,
}

/// The breaker of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// How freely requests go.
    #[serde(default)]
    pub phase: Phase,
    /// Consecutive failures.
    #[serde(default)]
    pub failures: u32,
    /// Since when nothing succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// The last outcomes, a bit each, the newest lowest; ones are failures.
    #[serde(default)]
    recent: u32,
    /// How many of them there are.
    #[serde(default)]
    seen: u32,
}

/// What a failure means beyond itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// Nothing yet.
    None,
    /// The endpoint has failed for this long: its owner is warned.
    Warn(Duration),
    /// The endpoint has failed so long and so often that it is paused.
    Pause,
}

impl Breaker {
    /// Takes a success. `cap` is the endpoint's limit of requests under way; 1 keeps order.
    pub fn succeeded(&mut self, now: Time, cap: u32) {
        self.failures = 0;
        self.failing = None;
        self.remember(false);
        self.phase = match self.phase {
            Phase::Closed => Phase::Closed,
            Phase::Open => Phase::Ramp { step: 0, since: now, good: 0 },
            Phase::Ramp { step, since, good } => {
                let allowed = 1_u32.checked_shl(step).unwrap_or(u32::MAX);
                let over = good.saturating_add(1) >= allowed;
                match over {
                    _ if cap == 1 && ramp_rate(since, now) >= FULL_RATE => Phase::Closed,
                    _ if cap == 1 => self.phase,
                    true if allowed.saturating_mul(2) >= cap => Phase::Closed,
                    true => Phase::Ramp { step: step + 1, since, good: 0 },
                    false => Phase::Ramp { step, since, good: good.saturating_add(1) },
                }
            }
        };
    }

    /// Takes a failure. Where the address itself is not allowed, nothing was tried: it is never a
    /// reason to pause.
    pub fn failed(&mut self, now: Time, tried: bool) -> Alarm {
        self.failures = self.failures.saturating_add(1);
        self.remember(true);
        let half = self.seen >= RECENT && self.failures_lately() * 2 >= RECENT;
        if self.failures >= OPENS_AFTER || half || self.phase != Phase::Closed {
            self.phase = Phase::Open;
        }
        let failing = self.failing.get_or_insert(Failing { since: now, attempts: 0, warned: 0 });
        failing.attempts = failing.attempts.saturating_add(u32::from(tried));
        let lasts = now.since(failing.since);
        if lasts >= PAUSES_AFTER && failing.attempts >= PAUSES_AFTER_ATTEMPTS {
            return Alarm::Pause;
        }
        let due = WARNINGS.iter().filter(|after| lasts >= **after).count();
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        if due > failing.warned {
            failing.warned = due;
            return Alarm::Warn(lasts);
        }
        Alarm::None
    }

    /// Forgets failures: a pause ended, or the endpoint is another one.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Requests that may be under way at once, of at most `cap`.
    pub fn in_flight(&self, cap: u32) -> u32 {
        match self.phase {
            Phase::Closed => cap,
            Phase::Open => 1,
            Phase::Ramp { step, .. } => 1_u32.checked_shl(step).unwrap_or(u32::MAX).min(cap),
        }
    }

    /// Requests a second that a subscription in order may make, until it is led back.
    pub fn rate(&self, now: Time) -> Option<f64> {
        match self.phase {
            Phase::Closed => None,
            Phase::Open => Some(1.0),
            Phase::Ramp { since, .. } => Some(f64::from(ramp_rate(since, now))),
        }
    }

    /// Whether requests go freely.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    fn remember(&mut self, failure: bool) {
        self.recent = (self.recent << 1 | u32::from(failure)) & ((1 << RECENT) - 1);
        self.seen = (self.seen + 1).min(RECENT);
    }

    fn failures_lately(&self) -> u32 {
        self.recent.count_ones()
    }
}

/// 1, 2, 4, 8 … a second, doubled each second.
fn ramp_rate(since: Time, now: Time) -> u32 {
    let steps = now.since(since).as_secs() / RAMP_STEP.as_secs();
    u32::try_from(steps).ok().and_then(|steps| 1_u32.checked_shl(steps)).unwrap_or(FULL_RATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    fn fail(breaker: &mut Breaker, times: u32) {
        for _ in 0..times {
            breaker.failed(at(0), true);
        }
    }

    #[test]
    fn five_failures_in_a_row_or_half_of_twenty_open_it() {
        let mut breaker = Breaker::default();
        fail(&mut breaker, 4);
        assert!(breaker.is_closed());
        breaker.failed(at(0), true);
        assert_eq!((breaker.phase, breaker.in_flight(8)), (Phase::Open, 1));
        let mut flaky = Breaker::default();
        for n in 0..19 {
            if n % 2 == 0 {
                flaky.failed(at(0), true);
            } else {
                flaky.succeeded(at(0), 8);
            }
            assert!(flaky.is_closed(), "{n}");
        }
        flaky.failed(at(0), true);
        assert_eq!(flaky.phase, Phase::Open);
    }

    #[test]
    fn a_recovering_endpoint_gets_1_2_4_8_at_a_time() {
        let mut breaker = Breaker::default();
        fail(&mut breaker, 5);
        let mut allowed = Vec::new();
        for _ in 0..16 {
            breaker.succeeded(at(1), 16);
            allowed.push(breaker.in_flight(16));
        }
        assert_eq!(allowed, [1, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 8, 8, 8, 8, 16]);
        assert!(breaker.is_closed());
        assert_eq!(breaker.rate(at(1)), None);
    }

    #[test]
    fn in_order_the_ramp_is_the_rate_and_doubles_each_second() {
        let mut breaker = Breaker::default();
        fail(&mut breaker, 5);
        let mut rates = Vec::new();
        for half_seconds in 0..18 {
            let now = Time::from_millis(half_seconds * 500);
            breaker.succeeded(now, 1);
            rates.push(breaker.rate(now));
        }
        let wanted = [1, 1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 32, 64, 64, 128, 128, 0, 0];
        let wanted = wanted.map(|r| (r > 0).then_some(f64::from(r)));
        assert_eq!(rates, wanted);
    }

    #[test]
    fn a_failure_on_the_ramp_opens_it_again() {
        let mut breaker = Breaker::default();
        fail(&mut breaker, 5);
        breaker.succeeded(at(1), 4);
        breaker.failed(at(2), true);
        assert_eq!((breaker.phase, breaker.failures), (Phase::Open, 1));
    }

    #[test]
    fn it_warns_three_times_and_pauses_after_five_days_and_twenty_attempts() {
        let hour = 3600;
        let mut breaker = Breaker::default();
        let mut told = Vec::new();
        for hours in (0..130).step_by(5) {
            match breaker.failed(at(hours * hour), true) {
                Alarm::None => {}
                alarm => told.push((hours, alarm)),
            }
        }
        let warn = |hours: u64| Alarm::Warn(Duration::from_secs(hours * 3600));
        let wanted = [
            (5, warn(5)),
            (25, warn(25)),
            (100, warn(100)),
            (120, Alarm::Pause),
            (125, Alarm::Pause),
        ];
        assert_eq!(told, wanted);
        let mut rare = Breaker::default();
        for days in 0..19 {
            assert_ne!(rare.failed(at(days * 24 * hour), true), Alarm::Pause, "{days}");
        }
        assert_eq!(rare.failed(at(19 * 24 * hour), true), Alarm::Pause);
        let mut forbidden = Breaker::default();
        for days in 0..40 {
            assert_ne!(forbidden.failed(at(days * 24 * hour), false), Alarm::Pause, "{days}");
        }
    }
}
