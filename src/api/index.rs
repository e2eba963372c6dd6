//! The newest alerts, held in memory and filled from the log of events.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::bus::Bus;
use crate::bus::Error;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Selection;
use crate::bus::Stream;
use crate::bus::Until;
use crate::model::AlertId;
use crate::model::Event;
use crate::model::Mode;
use crate::model::Topic;
use crate::model::event::AlertView;
use crate::telemetry::Board;
use crate::telemetry::Health;
use crate::telemetry::logs::chain;

/// Most alerts listed; older ones are found by id while the index knows their topic.
const MAX_ALERTS: usize = 10_000;
/// Pause after the bus failed.
const RETRY: Duration = Duration::from_millis(500);

/// An alert as its newest event shows it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) view: AlertView,
    pub(super) mode: Mode,
    pub(super) events: u32,
    /// Position of its first event: alerts are listed by it, newest first.
    pub(super) position: u64,
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<AlertId, u64>,
    by_position: BTreeMap<u64, Known>,
    cursor: u64,
}

/// The list of alerts. Cheap to clone; every clone is the same list.
#[derive(Clone, Debug, Default)]
pub struct Index(Arc<Mutex<Inner>>);

impl Index {
    /// Alerts before a position, newest first.
    pub(super) fn before(&self, position: u64) -> Vec<Known> {
        self.lock().by_position.range(..position).rev().map(|(_, known)| known.clone()).collect()
    }

    /// Topic and number of events of an alert.
    pub(super) fn find(&self, id: &AlertId) -> Option<(Topic, u32)> {
        let inner = self.lock();
        let known = inner.by_position.get(inner.by_id.get(id)?)?;
        Some((known.view.topic.clone(), known.events))
    }

    /// Follows the log until it fails for good.
    pub(super) async fn fill<B: Bus>(&self, bus: &B, board: &Board) -> Error {
        board.set("alert list", Health::NotReady("filling".to_owned()));
        let mut filled = false;
        loop {
            match self.follow(bus, board, &mut filled).await {
                Err(error) if !error.is_temporary() => return error,
                Err(error) => {
                    let text = chain(&error);
                    // What was never filled shows nothing at all.
                    let health = if filled { Health::Degraded } else { Health::NotReady };
                    if board.set("alert list", health(text.clone())) {
                        tracing::warn!(error = text, "List of alerts waits for the bus");
                    }
                }
                Ok(()) => {}
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn follow<B: Bus>(&self, bus: &B, board: &Board, filled: &mut bool) -> Result<(), Error> {
        let end = bus.end(Stream::Events).await?;
        let from = From::After(self.lock().cursor);
        if self.lock().cursor >= end {
            *filled = true;
            board.set("alert list", Health::Ready);
        }
        let filter = "wb.event.>".to_owned();
        let selection = Selection { from, until: Until::Forever, filter };
        let mut reader = bus.read(Stream::Events, selection).await?;
        while let Some(item) = reader.next().await {
            let Item::Record(stored) = item? else { continue };
            if let Ok(event) = serde_json::from_slice::<Event>(&stored.payload) {
                self.note(stored.seq, event);
            }
            self.lock().cursor = stored.seq;
            if stored.seq >= end {
                *filled = true;
                board.set("alert list", Health::Ready);
            }
        }
        Ok(())
    }

    fn note(&self, seq: u64, event: Event) {
        let mut inner = self.lock();
        let position = *inner.by_id.entry(event.alert.id.clone()).or_insert(seq);
        let known = Known { view: event.alert, mode: event.mode, events: event.number, position };
        inner.by_position.insert(position, known);
        while inner.by_position.len() > MAX_ALERTS
            && let Some((_, oldest)) = inner.by_position.pop_first()
        {
            inner.by_id.remove(&oldest.view.id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
