//! Reading the log of events, each with what came before it in its alert.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;

use crate::bus::Bus;
use crate::bus::Error;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Selection;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::bus::Until;
use crate::delivery::Facts;
use crate::delivery::Logged;
use crate::model::AlertId;
use crate::model::Event;
use crate::model::names;
use crate::telemetry::metric;

/// Alerts whose facts are kept; beyond, they are read again when they are needed.
const MAX_ALERTS: usize = 20_000;

/// Everything in the log of events.
pub(super) const FILTER: &str = "wb.event.>";

/// Reads events and remembers the facts of alerts it has seen.
pub(super) struct Scribe<B> {
    bus: B,
    seen: HashMap<AlertId, BTreeMap<u32, Facts>>,
}

/// A stretch of the log.
pub(super) struct Stretch {
    pub(super) events: Vec<Arc<Logged>>,
    /// Everything up to this position is in it.
    pub(super) to: u64,
}

impl<B: Bus> Scribe<B> {
    pub(super) fn new(bus: B) -> Self {
        Self { bus, seen: HashMap::new() }
    }

    /// Reads an event. What cannot be understood is counted, said, and passed over: it stays in
    /// the log for a Wirebell that understands it.
    pub(super) async fn read(&mut self, stored: &Stored) -> Result<Option<Arc<Logged>>, Error> {
        let event: Event = match serde_json::from_slice(&stored.payload) {
            Ok(event) => event,
            Err(error) => {
                tracing::error!(event.seq = stored.seq, %error, "Event not understood");
                metrics::counter!(metric::BURIED, "worker" => "notifier", "reason" => "undecodable")
                    .increment(1);
                return Ok(None);
            }
        };
        let earlier = if event.kind.follows_the_record() {
            self.earlier(&event).await?
        } else {
            Arc::from([])
        };
        if self.seen.len() > MAX_ALERTS {
            self.seen.clear();
        }
        let known = self.seen.entry(event.alert.id.clone()).or_default();
        known.insert(event.number, Facts::of(stored.seq, &event));
        Ok(Some(Arc::new(Logged { seq: stored.seq, event, earlier })))
    }

    async fn earlier(&mut self, event: &Event) -> Result<Arc<[Facts]>, Error> {
        let alert = &event.alert;
        let mut known = self.seen.remove(&alert.id).unwrap_or_default();
        for number in 1..event.number {
            if known.contains_key(&number) {
                continue;
            }
            let subject = names::event(&alert.topic, &alert.id, number);
            let Some(stored) = self.bus.last(Stream::Events, &subject).await? else { continue };
            if let Ok(event) = serde_json::from_slice::<Event>(&stored.payload) {
                known.insert(number, Facts::of(stored.seq, &event));
            }
        }
        let earlier = known.range(..event.number).map(|(_, facts)| facts.clone()).collect();
        self.seen.insert(alert.id.clone(), known);
        Ok(earlier)
    }

    /// At most `limit` events after `from`.
    pub(super) async fn stretch(&mut self, from: u64, limit: usize) -> Result<Stretch, Error> {
        let end = self.bus.end(Stream::Events).await?;
        if end <= from {
            return Ok(Stretch { events: Vec::new(), to: from });
        }
        let selection =
            Selection { from: From::After(from), until: Until::End, filter: FILTER.to_owned() };
        let mut reader = self.bus.read(Stream::Events, selection).await?;
        let mut events = Vec::new();
        let mut to = from;
        while let Some(item) = reader.next().await {
            match item? {
                Item::Record(stored) => {
                    events.extend(self.read(&stored).await?);
                    to = stored.seq;
                }
                Item::Overtaken { cursor, first } => overtaken(cursor, first),
            }
            if events.len() >= limit {
                return Ok(Stretch { events, to });
            }
        }
        Ok(Stretch { events, to: to.max(end) })
    }
}

/// Says that retention took events nobody had read.
pub(super) fn overtaken(cursor: u64, first: u64) {
    tracing::error!(cursor, first, "Events went unread: retention took them");
    metrics::counter!(metric::OVERTAKEN, "worker" => "notifier")
        .increment(first.saturating_sub(cursor + 1));
}
