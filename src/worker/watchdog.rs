//! Readers that stand still before what is unread.

use std::time::Duration;

use tokio::time::Instant;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// What was seen of a reader when it was last looked at.
#[derive(Debug)]
pub(super) struct Watchdog {
    at: Instant,
    /// It had read up to here.
    position: u64,
    /// The stream went up to here.
    end: u64,
}

impl Watchdog {
    /// A reader that begins.
    pub(super) fn new() -> Self {
        Self { at: Instant::now(), position: 0, end: 0 }
    }

    /// Whether it is time to look.
    pub(super) fn is_due(&self) -> bool {
        self.at.elapsed() >= EVERY
    }

    /// Whether a reader at this position stands still: it has not moved since the last look, and
    /// was behind the end then. What came after that look may be on its way.
    pub(super) fn look(&mut self, position: u64, end: u64) -> bool {
        let stands = position == self.position && position < self.end;
        *self = Self { at: Instant::now(), position, end };
        stands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_unread_at_the_last_look_makes_a_standstill() {
        let mut watchdog = Watchdog::new();
        let mut look = |position, end| watchdog.look(position, end);
        assert!(!look(7, 7));
        assert!(!look(7, 9), "they came since, and may be on their way");
        assert!(look(7, 9), "nothing of it was read");
        assert!(look(7, 12), "nor now");
        assert!(!look(8, 12), "it goes on");
        assert!(!look(12, 12));
        assert!(!look(12, 12), "there is nothing to read");
    }
}
