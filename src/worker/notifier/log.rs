//! Reading the log of events, each with what came before it in its alert.

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
use crate::delivery::Earlier;
use crate::delivery::Facts;
use crate::delivery::Logged;
use crate::model::AlertId;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::names;
use crate::telemetry::metric;

/// Alerts whose facts are kept; beyond, they are read again when they are needed.
const MAX_ALERTS: usize = 20_000;

/// Everything in the log of events.
pub(super) const FILTER: &str = "wb.event.>";

/// Reads events and remembers the facts of alerts it has seen.
pub(super) struct Scribe<B> {
    bus: B,
    /// The number of the newest event seen of an alert, and the list that ends with it.
    seen: HashMap<AlertId, (u32, Earlier)>,
}

/// A stretch of the log.
pub(super) struct Stretch {
    pub(super) from: u64,
    pub(super) events: Vec<Arc<Logged>>,
    /// Everything up to this position is in it.
    pub(super) to: u64,
    /// Alerts opened in it that have closed since, as far as the log tells.
    pub(super) closed: Vec<AlertId>,
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
        let earlier = self.earlier(&event).await?;
        if self.seen.len() > MAX_ALERTS {
            self.seen.clear();
        }
        let (alert, number) = (event.alert.id.clone(), event.number);
        let logged = Logged::new(stored.seq, event, earlier).traced(stored.trace);
        self.seen.insert(alert, (number, logged.with_earlier()));
        Ok(Some(Arc::new(logged)))
    }

    /// What came before an event in its alert.
    async fn earlier(&self, event: &Event) -> Result<Earlier, Error> {
        let alert = &event.alert;
        let before = event.number.saturating_sub(1);
        let (mut number, mut earlier) = match self.seen.get(&alert.id) {
            Some((number, earlier)) if *number <= before => (*number, earlier.clone()),
            _ => (0, Earlier::default()),
        };
        while number < before {
            number += 1;
            let subject = names::event(&alert.topic, &alert.id, number);
            let Some(stored) = self.bus.last(Stream::Events, &subject).await? else { continue };
            if let Ok(event) = serde_json::from_slice::<Event>(&stored.payload) {
                earlier = earlier.with(Facts::of(stored.seq, &event));
            }
        }
        Ok(earlier)
    }

    /// At most `limit` events after `from`.
    pub(super) async fn stretch(&mut self, from: u64, limit: usize) -> Result<Stretch, Error> {
        let end = self.bus.end(Stream::Events).await?;
        let mut stretch = Stretch { from, events: Vec::new(), to: from, closed: Vec::new() };
        if end <= from {
            return Ok(stretch);
        }
        let selection =
            Selection { from: From::After(from), until: Until::End, filter: FILTER.to_owned() };
        let mut reader = self.bus.read(Stream::Events, selection).await?;
        while stretch.events.len() < limit {
            match reader.next().await.transpose()? {
                None => {
                    stretch.to = stretch.to.max(end);
                    break;
                }
                Some(Item::Record(stored)) => {
                    stretch.events.extend(self.read(&stored).await?);
                    stretch.to = stored.seq;
                }
                Some(Item::Overtaken { cursor, first }) => overtaken(cursor, first),
            }
        }
        for logged in stretch.events.iter().filter(|l| l.event.kind == EventKind::Opened) {
            if self.has_closed(&logged.event).await? {
                stretch.closed.push(logged.event.alert.id.clone());
            }
        }
        Ok(stretch)
    }

    /// Whether an alert that opened in the past is closed by now. Its events are numbered without
    /// gaps, and what closes it is the last of them.
    async fn has_closed(&self, opened: &Event) -> Result<bool, Error> {
        let alert = &opened.alert;
        let read = async |number: u32| {
            let subject = names::event(&alert.topic, &alert.id, number);
            self.bus.last(Stream::Events, &subject).await
        };
        let mut last = None;
        let (mut there, mut missing) = (opened.number, None);
        loop {
            let next = match missing {
                None => there.saturating_mul(2),
                Some(missing) if missing - there > 1 => there + (missing - there) / 2,
                Some(_) => break,
            };
            match read(next).await? {
                Some(stored) => (there, last) = (next, Some(stored)),
                None => missing = Some(next),
            }
        }
        let event = last.and_then(|s| serde_json::from_slice::<Event>(&s.payload).ok());
        Ok(event.is_some_and(|event| event.kind.closes()))
    }
}

/// Says that retention took events nobody had read.
pub(super) fn overtaken(cursor: u64, first: u64) {
    tracing::error!(cursor, first, "Events went unread: retention took them");
    metrics::counter!(metric::OVERTAKEN, "worker" => "notifier")
        .increment(first.saturating_sub(cursor + 1));
}
