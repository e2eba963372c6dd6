//! Reading the log again for those who are behind, and for replays.

use std::sync::Arc;

use tokio::time::Instant;

use crate::bus::Bus;
use crate::bus::Error;
use crate::delivery::Logged;
use crate::delivery::endpoint::Due;
use crate::delivery::endpoint::Looked;
use crate::delivery::endpoint::QUEUE;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::telemetry::logs::chain;
use crate::worker::notifier::RETRY;
use crate::worker::notifier::desk::Desk;
use crate::worker::notifier::log::Scribe;
use crate::worker::notifier::log::Stretch;

/// Stretches of the log read at once.
const MAX_READS: usize = 4;
/// Stretches kept for those who come to them a little later.
const MAX_RECENT: usize = 4;

/// A stretch that was read.
pub(super) struct Read {
    whose: Whose,
    stretch: Result<Stretch, Error>,
}

enum Whose {
    /// Of everybody who waits in it, from this position on.
    All(u64),
    /// Of one subscription's replay.
    Replay(SubscriptionId, u64),
}

impl<B: Bus> Desk<'_, B> {
    /// Reads on for those who are furthest behind; all who wait in the same stretch share it.
    pub(super) fn start_reads(&mut self) {
        if self.read_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.read_at = None;
        while self.reads.len() < MAX_READS
            && let Some(from) =
                self.behind.keys().find(|from| !self.reading.contains(from)).copied()
        {
            self.reading.insert(from);
            let bus = self.parts.bus.clone();
            self.reads.spawn(async move {
                let stretch = Scribe::new(bus).stretch(from, QUEUE).await;
                Read { whose: Whose::All(from), stretch }
            });
        }
        while self.reads.len() < MAX_READS
            && let Some(place) = self.replaying.pop_first()
        {
            self.start_replay_read(place);
        }
    }

    /// Reads on for a replay.
    fn start_replay_read(&mut self, place: u32) {
        let bus = self.parts.bus.clone();
        let Some(slot) = self.slot(place) else { return };
        let Some(from) = slot.endpoint.replay_wants().filter(|_| !slot.replay_reads) else {
            return;
        };
        slot.replay_reads = true;
        let whose = Whose::Replay(slot.id.clone(), slot.serial);
        self.reads.spawn(async move {
            let stretch = Scribe::new(bus).stretch(from, QUEUE).await;
            Read { whose, stretch }
        });
    }

    pub(super) fn take_read(&mut self, read: Read) -> Result<(), Error> {
        let stretch = match read.stretch {
            Ok(stretch) => stretch,
            Err(error) if error.is_temporary() => {
                tracing::debug!(error = chain(&error), "Events not read");
                self.read_at = Some(Instant::now() + RETRY);
                self.forget_read(&read.whose);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        stretch.closed.iter().for_each(|alert| self.note_closed_alert(alert));
        match read.whose {
            Whose::All(_) => self.take_stretch(stretch),
            Whose::Replay(id, serial) => {
                let place = self.places.get(&id).copied();
                let Some(place) = place else { return Ok(()) };
                let Some(slot) = self.slot(place).filter(|slot| slot.serial == serial) else {
                    return Ok(());
                };
                slot.replay_reads = false;
                slot.endpoint.take_replay(&stretch.events, stretch.to);
                self.place(place);
            }
        }
        Ok(())
    }

    fn forget_read(&mut self, whose: &Whose) {
        match whose {
            Whose::All(from) => drop(self.reading.remove(from)),
            Whose::Replay(id, serial) => {
                let place = self.places.get(id).copied();
                let slot = place.and_then(|place| self.slot(place));
                if let Some(slot) = slot.filter(|slot| slot.serial == *serial) {
                    slot.replay_reads = false;
                    self.replaying.extend(place);
                }
            }
        }
    }

    fn take_stretch(&mut self, stretch: Stretch) {
        self.reading.remove(&stretch.from);
        let stretch = Arc::new(stretch);
        self.recent.retain(|recent| recent.from != stretch.from);
        self.recent.push_front(stretch.clone());
        self.recent.truncate(MAX_RECENT);
        let places: Vec<(u64, u32)> = self
            .behind
            .range(stretch.from..stretch.to.max(stretch.from + 1))
            .flat_map(|(from, places)| places.iter().map(|place| (*from, *place)))
            .collect();
        for (from, place) in places {
            self.stop_waiting(from, place);
            let Some(slot) = self.slot(place) else { continue };
            slot.reads = None;
            self.look_at(place, &stretch);
            self.place(place);
        }
    }

    /// Has one who is behind look at what was read lately, as far as it takes more.
    pub(super) fn look_at_recent(&mut self, place: u32, now: Time) {
        while let Some(slot) = self.slot(place)
            && slot.reads.is_none()
            && slot.endpoint.wants_more()
            && !matches!(slot.endpoint.due(now), Due::At(_))
        {
            let scan = slot.endpoint.scan();
            let found = self.recent.iter().find(|recent| (recent.from..recent.to).contains(&scan));
            let Some(stretch) = found.cloned() else { return };
            self.look_at(place, &stretch);
        }
    }

    fn look_at(&mut self, place: u32, stretch: &Stretch) {
        let tail = self.tail;
        let Some(slot) = self.slot(place) else { return };
        if look_at_all(&mut slot.endpoint, &stretch.events) {
            slot.endpoint.reached(stretch.to, stretch.to >= tail);
        }
    }

    /// Once nobody is behind, nothing is kept.
    pub(super) fn forget_recent(&mut self) {
        if self.slots.iter().flatten().all(|slot| slot.endpoint.is_level()) {
            self.recent.clear();
        }
    }

    pub(super) fn stop_waiting(&mut self, from: u64, place: u32) {
        if let Some(places) = self.behind.get_mut(&from) {
            places.remove(&place);
            if places.is_empty() {
                self.behind.remove(&from);
            }
        }
    }
}

fn look_at_all(endpoint: &mut crate::delivery::Endpoint, events: &[Arc<Logged>]) -> bool {
    let after = endpoint.scan();
    let first = events.partition_point(|logged| logged.seq <= after);
    events.iter().skip(first).all(|logged| endpoint.look(logged) != Looked::Full)
}
