//! How quickly an endpoint answers.

use std::time::Duration;

/// Answers remembered.
const KEPT: usize = 20;

/// The time that the last answers took.
#[derive(Clone, Debug)]
pub struct Latency {
    /// Milliseconds, in a ring.
    answers: [u32; KEPT],
    count: usize,
    at: usize,
}

impl Latency {
    /// Nothing known but what was on record.
    pub fn new(p95_ms: Option<u32>) -> Self {
        let mut new = Self { answers: [0; KEPT], count: 0, at: 0 };
        if let Some(ms) = p95_ms {
            new.note(Duration::from_millis(u64::from(ms)));
        }
        new
    }

    /// Notes a request that ended after so long.
    pub fn note(&mut self, took: Duration) {
        if let Some(place) = self.answers.get_mut(self.at) {
            *place = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
        }
        self.at = (self.at + 1) % KEPT;
        self.count = (self.count + 1).min(KEPT);
    }

    /// What 19 of 20 took at most; none where nothing is known.
    pub fn p95_ms(&self) -> Option<u32> {
        let mut known = self.answers;
        let known = known.get_mut(..self.count)?;
        known.sort_unstable();
        let place = (self.count * 19).div_ceil(20);
        known.get(place.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_answer_of_twenty_is_borne() {
        let mut latency = Latency::new(None);
        assert_eq!(latency.p95_ms(), None);
        latency.note(Duration::from_secs(9));
        assert_eq!(latency.p95_ms(), Some(9000));
        (0..19).for_each(|_| latency.note(Duration::from_millis(3)));
        assert_eq!(latency.p95_ms(), Some(3));
        (0..2).for_each(|_| latency.note(Duration::from_secs(9)));
        assert_eq!(latency.p95_ms(), Some(9000));
        assert_eq!(Latency::new(Some(7)).p95_ms(), Some(7));
    }
}
