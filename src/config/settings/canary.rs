//! When a canary flies.

use crate::config::settings::Layered;
use crate::worker::canary::Schedule;

impl Layered<'_> {
    /// None where something is wrong; never, where it is empty.
    pub(super) fn canary(&mut self) -> Option<Option<Schedule>> {
        let within = self.duration("canary.within", 5, 3_600)?;
        if self.text("canary.every").is_empty() {
            return Some(None);
        }
        let every = self.duration("canary.every", 60, 7 * 86_400)?;
        if within > every {
            let message = "canary.within is longer than canary.every";
            self.wrong("canary.within", message.to_owned(), "write a shorter time");
            return None;
        }
        Some(Some(Schedule { every, within }))
    }
}
