//! The past of one alert: its events, who belongs to them, and what was tried for whom.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::StatusCode;
use serde::Serialize;

use crate::api::App;
use crate::api::problem::Problem;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Selection;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::bus::Until;
use crate::delivery::Delivery;
use crate::delivery::Earlier;
use crate::delivery::Logged;
use crate::delivery::admission::admits;
use crate::delivery::admission::wants;
use crate::model::AlertId;
use crate::model::Attempt;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::Mode;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::event::AlertView;
use crate::model::names;

/// Most events of one alert that are looked at.
const MAX_EVENTS: usize = 10_000;
/// Most attempts of one subscription that are looked at.
const MAX_ATTEMPTS: usize = 10_000;
/// Newest attempts shown of one event.
const SHOWN_ATTEMPTS: usize = 20;
/// How far the clocks of two machines are thought to differ.
pub(super) const SKEW: Duration = Duration::from_secs(300);

/// A subscription and the events of the alert that belong to it.
pub(super) struct Told {
    pub(super) subscription: Subscription,
    pub(super) record: Delivery,
    /// Places in the alert's history.
    pub(super) admitted: Vec<usize>,
}

/// How far an event is on its way to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Way {
    /// Sent, or given up.
    Settled,
    /// Being tried.
    Trying,
    /// Waiting for its turn.
    Waiting,
}

impl Told {
    pub(super) fn way(&self, seq: u64) -> Way {
        if seq <= self.record.cursor {
            Way::Settled
        } else if self.record.outstanding.iter().any(|one| one.seq == seq) {
            Way::Trying
        } else {
            Way::Waiting
        }
    }
}

/// An alert as its last event shows it, and all of its events in order.
pub(super) struct Past {
    pub(super) view: AlertView,
    pub(super) mode: Mode,
    pub(super) events: Vec<Logged>,
}

/// The past of the alert that a request names.
pub(super) async fn past<B: Bus>(app: &App<B>, id: &str) -> Result<Past, Problem> {
    let unknown = || Problem::not_found("alert", id);
    let alert = AlertId::new(id.to_owned()).map_err(|_| unknown())?;
    let events = events(app, &alert).await?;
    let last = &events.last().ok_or_else(unknown)?.event;
    Ok(Past { view: last.alert.clone(), mode: last.mode, events })
}

/// Types of the events at these places.
pub(super) fn kinds(events: &[Logged], places: impl Iterator<Item = usize>) -> Vec<&'static str> {
    places.filter_map(|at| events.get(at)).map(|l| l.event.kind).map(EventKind::as_str).collect()
}

/// The events of an alert in order, at most [`MAX_EVENTS`]; empty where there is no such alert.
pub(super) async fn events<B: Bus>(app: &App<B>, alert: &AlertId) -> Result<Vec<Logged>, Problem> {
    let topic = app.index.find(alert).map_or_else(|| "*".to_owned(), |(t, _)| t.to_string());
    let filter = format!("wb.event.{topic}.{alert}.*");
    let selection = Selection { from: From::Start, until: Until::End, filter };
    let mut reader = app.bus.read(Stream::Events, selection).await?;
    let mut events: Vec<Logged> = Vec::new();
    let mut earlier = Earlier::default();
    while let Some(item) = reader.next().await {
        let Item::Record(stored) = item? else { continue };
        let Ok(event) = serde_json::from_slice::<Event>(&stored.payload) else { continue };
        let logged = Logged::new(stored.seq, event, earlier);
        earlier = logged.with_earlier();
        events.push(logged);
        if events.len() >= MAX_EVENTS {
            break;
        }
    }
    Ok(events)
}

/// Who was told, and whether there are more than `most`. It follows from the filters and cursors:
/// it is computed, not stored.
pub(super) async fn told<B: Bus>(
    app: &App<B>,
    events: &[Logged],
    most: usize,
) -> Result<(Vec<Told>, bool), Problem> {
    let facts: Vec<_> =
        events.iter().map(|l| &l.facts).filter(|f| !f.kind.follows_the_record()).collect();
    let mut told = Vec::new();
    for entry in app.bus.list(Bucket::Subscriptions, "").await?.entries {
        let subscription =
            entry.value.and_then(|v| serde_json::from_slice::<Subscription>(&v).ok());
        let Some(subscription) = subscription else { continue };
        // What no version of its filter asks for is not worth a look at its record.
        let ever = |fact| subscription.filters.iter().any(|v| wants(&v.filter, fact));
        if !facts.iter().copied().any(ever) {
            continue;
        }
        let record = record(app, &subscription).await?;
        let versions = record.versions(&subscription);
        let admitted = events.iter().enumerate().filter(|(_, logged)| admits(versions, logged));
        let admitted: Vec<usize> = admitted.map(|(at, _)| at).collect();
        if admitted.is_empty() {
            continue;
        }
        if told.len() >= most {
            return Ok((told, true));
        }
        told.push(Told { subscription, record, admitted });
    }
    Ok((told, false))
}

/// What the notifier has done for a subscription.
pub(super) async fn record<B: Bus>(
    app: &App<B>,
    subscription: &Subscription,
) -> Result<Delivery, Problem> {
    let entry = app.bus.get(Bucket::Deliveries, subscription.id.as_str()).await?;
    let record: Option<Delivery> =
        entry.and_then(|e| serde_json::from_slice(e.value.as_ref()?).ok());
    let record = record.filter(|record| record.is_of(subscription));
    Ok(record.unwrap_or_else(|| Delivery::new(subscription)))
}

/// The newest attempts of these events for one subscription, by event.
pub(super) async fn attempts<B: Bus>(
    app: &App<B>,
    subscription: &SubscriptionId,
    events: &[&Logged],
) -> Result<BTreeMap<String, Vec<Attempt>>, Problem> {
    let wanted: BTreeSet<&str> = events.iter().map(|l| l.event.id.as_str()).collect();
    let first = events.iter().map(|l| l.event.timestamp).min();
    let mut found: BTreeMap<String, Vec<Attempt>> = BTreeMap::new();
    let Some(first) = first else { return Ok(found) };
    let selection = Selection {
        from: From::Time(first.minus(SKEW)),
        until: Until::End,
        filter: names::attempt(subscription),
    };
    let mut reader = app.bus.read(Stream::Attempts, selection).await?;
    let mut looked_at = 0;
    while let Some(item) = reader.next().await {
        let Item::Record(stored) = item? else { continue };
        let attempts = Attempt::of_record(&stored.payload);
        looked_at += attempts.len().max(1);
        for attempt in attempts {
            if !wanted.contains(attempt.event.as_str()) {
                continue;
            }
            let of = found.entry(attempt.event.clone()).or_default();
            if of.len() >= SHOWN_ATTEMPTS {
                of.remove(0);
            }
            of.push(attempt);
        }
        if looked_at >= MAX_ATTEMPTS {
            break;
        }
    }
    Ok(found)
}

/// Every record under a filter from a time on; for filters that few records fit.
pub(super) async fn read<B: Bus>(
    app: &App<B>,
    stream: Stream,
    from: From,
    filter: String,
) -> Result<Vec<Stored>, Problem> {
    let selection = Selection { from, until: Until::End, filter };
    Ok(app.bus.read(stream, selection).await?.records().await?)
}

/// Something of ours failed.
pub(super) fn broken(what: &str) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, what)
}
