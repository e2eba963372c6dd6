//! What comes in: events of the log's end, and definitions.

use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Entry;
use crate::bus::Error;
use crate::bus::Item;
use crate::bus::Stream;
use crate::delivery::Logged;
use crate::delivery::endpoint::Looked;
use crate::delivery::format;
use crate::model::AlertId;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::id::shard_of;
use crate::worker::notifier::desk::Desk;
use crate::worker::notifier::desk::LAZY;
use crate::worker::notifier::desk::MAX_CLOSED;
use crate::worker::notifier::log;

/// Tries of removing a record that changes meanwhile.
const MAX_RACES: usize = 8;

impl<B: Bus> Desk<'_, B> {
    pub(super) async fn take_item(&mut self, item: Item) -> Result<(), Error> {
        let stored = match item {
            Item::Record(stored) => stored,
            Item::Overtaken { cursor, first } => {
                log::overtaken(cursor, first);
                return Ok(());
            }
        };
        let logged = self.scribe.read(&stored).await?;
        let before = self.tail;
        self.tail = stored.seq;
        if let Some(logged) = logged {
            self.note_closed(&logged);
            let now = self.now();
            for place in self.topics.of(&logged.facts.topic) {
                let Some(slot) = self.slot(place) else { continue };
                let touched = if slot.endpoint.is_level() {
                    // What lies between is not for it: it would have been told.
                    slot.endpoint.reached(before, true);
                    slot.endpoint.look(&logged) != Looked::Passed
                } else {
                    slot.endpoint.saw_fresh(&logged, now)
                };
                if touched {
                    self.place(place);
                }
            }
        }
        if before / LAZY != self.tail / LAZY {
            self.write_laggards();
        }
        Ok(())
    }

    /// The cursors of subscriptions that get nothing move too, now and then.
    fn write_laggards(&mut self) {
        let tail = self.tail;
        for (place, slot) in (0_u32..).zip(&mut self.slots) {
            let Some(slot) = slot else { continue };
            if slot.endpoint.lags(tail) >= LAZY && !slot.dirty {
                slot.dirty = true;
                self.dirty.push_back(place);
            }
        }
    }

    fn note_closed(&mut self, logged: &Logged) {
        if logged.event.kind.closes() {
            self.note_closed_alert(&logged.event.alert.id);
        }
    }

    pub(super) fn note_closed_alert(&mut self, alert: &AlertId) {
        if self.closed.insert(alert.clone()) {
            self.closed_order.push_back(alert.clone());
            if self.closed_order.len() > MAX_CLOSED
                && let Some(oldest) = self.closed_order.pop_front()
            {
                self.closed.remove(&oldest);
            }
        }
    }

    /// A subscription that is new, changed or gone.
    pub(super) async fn take_definition(&mut self, entry: Entry) -> Result<(), Error> {
        let Ok(id) = SubscriptionId::new(entry.key.clone()) else {
            tracing::error!(key = entry.key, "Subscription has no valid id");
            return Ok(());
        };
        let Some(shard) = self.shards.get_mut(&shard_of(id.as_str())) else { return Ok(()) };
        if shard.defer(&entry) {
            return Ok(());
        }
        let Some(value) = &entry.value else {
            self.remove(&id, entry.revision);
            return Ok(());
        };
        let wanted: Subscription = match serde_json::from_slice(value) {
            Ok(wanted) => wanted,
            Err(error) => {
                tracing::error!(subscription.id = %id, %error, "Subscription not understood");
                return Ok(());
            }
        };
        let mut place = self.places.get(&id).copied();
        if let Some(old) = place
            && self.slot(old).is_some_and(|s| s.endpoint.wanted().created_at != wanted.created_at)
        {
            // It was removed and made anew, and nobody told us of its end.
            self.drop_slot(old);
            place = None;
        }
        match place {
            None => self.insert((wanted, entry.revision), None, false),
            Some(place) => self.redefine(place, wanted, entry.revision),
        }
        let Some(place) = self.places.get(&id).copied() else { return Ok(()) };
        let lacks = self.slot(place).is_some_and(|slot| slot.endpoint.lacks_versions());
        if lacks {
            // Asked for after the change was seen: nothing before can have been decided by it.
            let end = self.parts.bus.end(Stream::Events).await?;
            if let Some(slot) = self.slot(place) {
                slot.endpoint.take_versions(end);
            }
        }
        self.place(place);
        Ok(())
    }

    fn redefine(&mut self, place: u32, wanted: Subscription, revision: u64) {
        let client = &self.parts.client;
        let Some(slot) = self.slots.get_mut(place as usize).and_then(Option::as_mut) else {
            return;
        };
        if revision <= slot.defined {
            return;
        }
        slot.defined = revision;
        slot.stop_run();
        self.topics.enter(place, &wanted);
        let called = |one: &Subscription| format::called(one.format, &one.url).into_owned();
        if called(slot.endpoint.wanted()) != called(&wanted) {
            slot.target = super::shards::judged(client, &wanted);
            self.lanes.withdraw(place);
            self.lanes.leave(slot.host);
            slot.host = self.lanes.enter(&super::shards::host(slot.target.as_ref()));
        }
        let id = wanted.id.clone();
        if let Err(error) = slot.endpoint.redefine(wanted) {
            tracing::error!(subscription.id = %id, %error, "Signing key unusable");
            self.drop_slot(place);
        }
    }

    fn remove(&mut self, id: &SubscriptionId, revision: u64) {
        if let Some(place) = self.places.get(id).copied() {
            if self.slot(place).is_some_and(|slot| slot.defined >= revision) {
                return;
            }
            self.drop_slot(place);
        }
        self.remove_record(id.clone());
    }

    /// Removes the record of a subscription that is gone.
    pub(super) fn remove_record(&mut self, id: SubscriptionId) {
        let bus = self.parts.bus.clone();
        self.removals.spawn(async move {
            for _ in 0..MAX_RACES {
                let Some(entry) = bus.get(Bucket::Deliveries, id.as_str()).await? else { break };
                bus.delete(Bucket::Deliveries, id.as_str(), entry.revision).await?;
            }
            Ok(())
        });
    }
}
