//! What happens without an article: alerts are updated, closed and forgotten at their time.

use std::time::Duration;

use crate::bus::Bus;
use crate::bus::Error;
use crate::bus::Stream;
use crate::telemetry::metric;
use crate::worker::rules::MAX_TIMER_WAIT;
use crate::worker::rules::Worker;
use crate::worker::rules::shard;
use crate::worker::rules::trails;
use crate::worker::rules::write;

impl<B: Bus> Worker<B> {
    /// Timers run on the clock of the log: never ahead of an unread article.
    pub(super) async fn fire_timers(&mut self) -> Result<(), Error> {
        let now = self.now();
        let due = self.shards.values().any(|s| s.next_due.is_some_and(|due| due <= now));
        if !due && !self.watchdog.is_due() {
            return Ok(());
        }
        let end = self.bus.end(Stream::Articles).await?;
        self.look_at_reader(end);
        if !due || self.position < end {
            return self.open_reader().await;
        }
        shard::drop_unheld(&mut self.shards, &self.keeper);
        let rules = self.settings.rules.load_full();
        let mut group = write::Group::default();
        for (number, shard) in &mut self.shards {
            shard.advance(*number, now, &rules, &mut group);
        }
        let begun = self.trails.of_timers(&self.settings.tracer, &mut group.events);
        let done = self.write(group).await;
        trails::end(begun, &done);
        done
    }

    /// A reader that has stood still before unread articles for a while is opened anew.
    pub(super) fn look_at_reader(&mut self, end: u64) {
        if !self.watchdog.is_due() {
            return;
        }
        metric::lag("rules", end.saturating_sub(self.position));
        if self.watchdog.look(self.position, end) && self.reader.is_some() {
            tracing::warn!(position = self.position, end, "Reader of articles stood still");
            self.reader = None;
        }
    }

    pub(super) fn until_timer(&self) -> Duration {
        let due = self.shards.values().filter_map(|s| s.next_due).min();
        let wait = due.map_or(MAX_TIMER_WAIT, |due| due.since(self.now()));
        wait.clamp(Duration::from_millis(20), MAX_TIMER_WAIT)
    }
}
