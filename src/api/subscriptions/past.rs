//! The log as one subscription sees it: which events belong to it, and with which sequence.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use axum::http::StatusCode;

use crate::api::App;
use crate::api::history;
use crate::api::problem::Problem;
use crate::api::subscriptions::find;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Selection;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::bus::Until;
use crate::delivery::Delivery;
use crate::delivery::Earlier;
use crate::delivery::Facts;
use crate::delivery::Logged;
use crate::delivery::ledger::Mark;
use crate::delivery::walk;
use crate::delivery::walk::Walk;
use crate::model::AlertId;
use crate::model::Event;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::names;
use crate::model::subscription::Topics;

/// Everything in the log of events.
pub(super) const FILTER: &str = "wb.event.>";
/// Alerts whose past is remembered on one walk; beyond, it is read again when it is needed.
const MAX_ALERTS: usize = 20_000;
/// Subscriptions whose last place is remembered.
const MAX_PULLED: usize = 10_000;

/// A subscription, what is on record of it, and how far the log says what belongs to it.
pub(super) struct View {
    pub(super) subscription: Subscription,
    pub(super) record: Delivery,
    /// Up to here it is decided what belongs to it.
    pub(super) decided: u64,
}

/// Retention took what would have to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// The first position that is left.
    pub(super) first: u64,
}

/// How a walk ended.
pub(super) enum Walked {
    /// It came to its end, where so many had been counted.
    There(Mark),
    /// It was told to stop.
    Stopped,
    /// It looked at as many events as a request may.
    Tired(Mark),
    Lost(Lost),
}

/// How far a walk goes.
#[derive(Clone, Copy)]
pub(super) struct Course {
    pub(super) from: Mark,
    /// The last position looked at.
    pub(super) to: u64,
    /// Most events looked at.
    pub(super) most: usize,
}

/// Where subscribers who pull have got to: who asks for the next page is not counted for from a
/// mark again. What it holds stays true, because what was decided stays decided.
#[derive(Default)]
pub(in crate::api) struct Pulled(Mutex<HashMap<SubscriptionId, Mark>>);

impl Pulled {
    /// The better of two places before a sequence.
    pub(super) fn better(&self, view: &View, sequence: u64) -> Option<Mark> {
        let known = view.record.mark_before(sequence);
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.get(&view.subscription.id).copied();
        let place = place.filter(|mark| mark.sequence < sequence);
        [known, place].into_iter().flatten().max_by_key(|mark| mark.position)
    }

    pub(super) fn note(&self, id: &SubscriptionId, place: Mark) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MAX_PULLED {
            places.clear();
        }
        places.insert(id.clone(), place);
    }
}

impl View {
    pub(super) async fn of<B: Bus>(app: &App<B>, id: &str) -> Result<Self, Problem> {
        // The end is asked for first: a version written after that takes effect beyond it.
        let end = app.bus.end(Stream::Events).await?;
        let (subscription, _) = find(app, id).await?;
        let mut record = history::record(app, &subscription).await?;
        let oldest = subscription.filters.first().map_or(0, |v| v.number);
        record.effective.retain(|e| e.number >= oldest);
        let decided = walk::decided_up_to(&record, &subscription.filters, end);
        Ok(Self { subscription, record, decided })
    }

    /// The first sequence that can be found again, where the log begins at a position.
    pub(super) fn first_sequence(&self, lost: Lost) -> u64 {
        walk::first_sequence(&self.record, lost.first)
    }

    /// The subjects its events can have, as narrowly as one filter says it.
    fn filter(&self) -> String {
        let mut topics = self.subscription.filters.iter().map(|v| &v.filter.topics);
        let one = |topics: &Topics| match topics {
            Topics::Named(names) if names.len() == 1 => names.first().cloned(),
            _ => None,
        };
        let first = topics.next().and_then(one);
        match first.filter(|first| topics.all(|topics| one(topics).as_ref() == Some(first))) {
            Some(topic) => format!("wb.event.{topic}.>"),
            None => FILTER.to_owned(),
        }
    }

    /// Looks at the log from a place on, and hands over each event that belongs to the
    /// subscription with its sequence.
    pub(super) async fn walk<B: Bus>(
        &self,
        app: &App<B>,
        course: Course,
        mut take: impl FnMut(&Logged, u64) -> ControlFlow<()> + Send,
    ) -> Result<Walked, Problem> {
        let Course { from, to, most } = course;
        if from.position >= to {
            return Ok(Walked::There(from));
        }
        let whole = from.position == 0;
        let filter = if whole { FILTER.to_owned() } else { self.filter() };
        let selection = Selection { from: From::After(from.position), until: Until::End, filter };
        let mut reader = app.bus.read(Stream::Events, selection).await?;
        let mut walk = Walk::new(self.record.versions(&self.subscription), from);
        let mut scribe = Scribe::default();
        let mut looked_at = 0;
        while let Some(item) = reader.next().await {
            let stored = match item? {
                Item::Overtaken { first, .. } => return Ok(Walked::Lost(Lost { first })),
                // Nobody has been at the log's beginning before, so nobody is told it is gone.
                Item::Record(stored) if whole && looked_at == 0 && stored.seq > 1 => {
                    return Ok(Walked::Lost(Lost { first: stored.seq }));
                }
                Item::Record(stored) => stored,
            };
            if stored.seq > to {
                break;
            }
            if looked_at >= most {
                return Ok(Walked::Tired(walk.at()));
            }
            looked_at += 1;
            let Some(logged) = scribe.read(app, &stored).await? else { continue };
            if let Some(sequence) = walk.step(&logged)
                && take(&logged, sequence).is_break()
            {
                return Ok(Walked::Stopped);
            }
        }
        Ok(Walked::There(Mark { position: to, ..walk.at() }))
    }

    /// Whether retention took events after a place.
    pub(super) async fn lost<B: Bus>(
        &self,
        app: &App<B>,
        place: Mark,
    ) -> Result<Option<Lost>, Problem> {
        let course = Course { from: place, to: self.record.cursor, most: 1 };
        match self.walk(app, course, |_, _| ControlFlow::Break(())).await? {
            Walked::Lost(lost) => Ok(Some(lost)),
            Walked::There(_) | Walked::Stopped | Walked::Tired(_) => Ok(None),
        }
    }
}

/// Reads events in order, with the past of their alerts where admission asks for it.
#[derive(Default)]
struct Scribe {
    /// The number of the newest event seen of an alert, and its whole past up to there.
    seen: HashMap<AlertId, (u32, Earlier)>,
}

impl Scribe {
    /// None for what cannot be understood: the notifier passes over it too.
    async fn read<B: Bus>(
        &mut self,
        app: &App<B>,
        stored: &Stored,
    ) -> Result<Option<Arc<Logged>>, Problem> {
        let Ok(event) = serde_json::from_slice::<Event>(&stored.payload) else { return Ok(None) };
        let before = event.number.saturating_sub(1);
        let known = self.seen.get(&event.alert.id);
        let (mut number, mut earlier) = match known.filter(|(number, _)| *number <= before) {
            Some((number, earlier)) => (*number, earlier.clone()),
            None => (0, Earlier::default()),
        };
        // Only what takes back or ends asks what came before it.
        if event.kind.follows_the_record() {
            while number < before {
                number += 1;
                let subject = names::event(&event.alert.topic, &event.alert.id, number);
                let stored = app.bus.last(Stream::Events, &subject).await?;
                let event = stored.and_then(|stored| {
                    let event: Event = serde_json::from_slice(&stored.payload).ok()?;
                    Some(Facts::of(stored.seq, &event))
                });
                earlier = event.map_or(earlier.clone(), |facts| earlier.with(facts));
            }
        }
        let whole = number == before;
        let logged = Logged::new(stored.seq, event, earlier);
        if whole {
            if self.seen.len() >= MAX_ALERTS {
                self.seen.clear();
            }
            let past = (logged.event.number, logged.with_earlier());
            self.seen.insert(logged.event.alert.id.clone(), past);
        }
        Ok(Some(Arc::new(logged)))
    }
}

/// So much lies between that counting it would take too long.
pub(super) fn too_far() -> Problem {
    let detail = "too many events lie between that time and what is on record: say from_sequence";
    Problem::new(StatusCode::CONFLICT, detail)
}
