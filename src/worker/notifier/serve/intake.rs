//! What comes in: events of the log, stretches of it, definitions.

use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Entry;
use crate::bus::Error;
use crate::bus::Item;
use crate::bus::Stream;
use crate::delivery::Delivery;
use crate::delivery::Logged;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::worker::notifier::log;
use crate::worker::notifier::log::Stretch;
use crate::worker::notifier::serve::Desk;
use crate::worker::notifier::serve::MAX_CLOSED;
use crate::worker::notifier::served::Served;

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
        if let Some(logged) = &logged {
            self.note_closed(logged);
        }
        let before = self.tail;
        self.tail = stored.seq;
        let now = self.now();
        let mut ready = Vec::new();
        for (id, served) in &mut self.served {
            if served.is_level_with(before) {
                let looked = logged.as_ref().is_none_or(|logged| served.look(logged));
                if looked {
                    served.passed(stored.seq);
                }
            }
            if served.has_waiting()
                && !served.busy
                && served.record.next_attempt.is_none_or(|t| t <= now)
            {
                ready.push(id.clone());
            }
            if served.lags() {
                self.dirty.insert(id.clone());
            }
        }
        ready.into_iter().for_each(|id| self.enqueue(id));
        Ok(())
    }

    /// Has a subscription looked at, once however often it is asked.
    pub(super) fn enqueue(&mut self, id: SubscriptionId) {
        if let Some(served) = self.served.get_mut(&id)
            && !std::mem::replace(&mut served.queued, true)
        {
            self.ready.push_back(id);
        }
    }

    pub(super) fn note_closed(&mut self, logged: &Logged) {
        if logged.event.kind.closes() && self.closed.insert(logged.event.alert.id.clone()) {
            self.closed_order.push_back(logged.event.alert.id.clone());
            if self.closed_order.len() > MAX_CLOSED
                && let Some(oldest) = self.closed_order.pop_front()
            {
                self.closed.remove(&oldest);
            }
        }
    }

    pub(super) fn take_stretch(&mut self, id: &SubscriptionId, stretch: Stretch) {
        for logged in &stretch.events {
            self.note_closed(logged);
        }
        let Some(served) = self.served.get_mut(id) else { return };
        served.refilling = false;
        if stretch.events.iter().all(|logged| served.look(logged)) {
            served.passed(stretch.to);
        }
        self.enqueue(id.clone());
    }

    /// A subscription that is new, changed or gone.
    pub(super) async fn take_definition(
        &mut self,
        entry: &Entry,
        stored: Option<(Delivery, u64)>,
    ) -> Result<(), Error> {
        let Ok(id) = SubscriptionId::new(entry.key.clone()) else {
            tracing::error!(key = entry.key, "Subscription has no valid id");
            return Ok(());
        };
        let Some(value) = &entry.value else { return self.remove(&id).await };
        let wanted: Subscription = match serde_json::from_slice(value) {
            Ok(wanted) => wanted,
            Err(error) => {
                tracing::error!(subscription.id = %id, %error, "Subscription not understood");
                return Ok(());
            }
        };
        let served = match self.served.remove(&id) {
            Some(mut known) => {
                known.take_definition(wanted);
                known
            }
            None => Served::new(wanted, stored),
        };
        let served = self.with_versions(served).await?;
        if served.revision.is_none() || served.barrier.is_some() {
            self.dirty.insert(id.clone());
        }
        self.served.insert(id.clone(), served);
        self.enqueue(id);
        Ok(())
    }

    /// New filter versions take effect where the log ends now; nothing beyond is sent before the
    /// record says so.
    async fn with_versions(&self, mut served: Served) -> Result<Served, Error> {
        if served.record.lacks_versions(&served.wanted.filters) {
            let end = self.parts.bus.end(Stream::Events).await?;
            let end = end.max(served.scan);
            served.record.take_versions(&served.wanted.filters, end);
            served.barrier = served.record.effective.last().map(|e| e.after);
        }
        Ok(served)
    }

    async fn remove(&mut self, id: &SubscriptionId) -> Result<(), Error> {
        if self.served.remove(id).is_some() {
            self.dirty.remove(id);
            if let Some(entry) = self.parts.bus.get(Bucket::Deliveries, id.as_str()).await? {
                let bus = &self.parts.bus;
                bus.delete(Bucket::Deliveries, id.as_str(), entry.revision).await?;
            }
        }
        Ok(())
    }
}
