//! Sending again what was settled.

use std::ops::ControlFlow;
use std::str::FromStr;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::api::App;
use crate::api::history;
use crate::api::once::Call;
use crate::api::once::Once;
use crate::api::problem::Fault;
use crate::api::problem::Json;
use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::api::subscriptions::alter;
use crate::api::subscriptions::now;
use crate::api::subscriptions::past::Course;
use crate::api::subscriptions::past::FILTER;
use crate::api::subscriptions::past::Lost;
use crate::api::subscriptions::past::View;
use crate::api::subscriptions::past::Walked;
use crate::api::subscriptions::past::too_far;
use crate::api::subscriptions::requests;
use crate::api::subscriptions::requests::ask;
use crate::api::subscriptions::requests::waiting;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Selection;
use crate::bus::Stream;
use crate::bus::Until;
use crate::delivery::Delivery;
use crate::delivery::Logged;
use crate::delivery::walk;
use crate::model::Subscription;
use crate::model::Time;
use crate::model::duration;
use crate::model::subscription::RequestKind;

/// Most events of the log looked at to find where a time begins.
const MAX_LOOKED_AT: usize = 1_000_000;

/// What is asked for, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::api) struct Written {
    since: Option<Value>,
    from_sequence: Option<Value>,
    only_failed: Option<Value>,
    dry_run: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    begin: Begin,
    only_failed: bool,
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    Since(Time),
    Sequence(u64),
}

/// What is sent again.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Answer {
    pub(in crate::api) from_sequence: u64,
    pub(in crate::api) to_sequence: u64,
    pub(in crate::api) events: u64,
}

/// `POST /v1/subscriptions/{id}/replay`
pub(in crate::api) async fn replay<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
    Once(call): Once,
    Json(written): Json<Written>,
) -> Result<(StatusCode, axum::Json<Answer>), Problem> {
    let now = now(&app);
    let asked = written.checked(now).map_err(Problem::invalid)?;
    let view = View::of(&app, &id).await?;
    check_idle(&view.subscription, Some(&view.record), call.as_ref())?;
    let from = match asked.begin {
        Begin::Sequence(sequence) => sequence,
        Begin::Since(at) => sequence_since(&app, &view, at).await?,
    };
    let to = view.record.sequence;
    let events = match to.saturating_add(1).saturating_sub(from) {
        0 => 0,
        _ if asked.only_failed => view.record.gaps.between(from, to).count(),
        all => all,
    };
    if events > 0 {
        check_kept(&app, &view, from).await?;
    }
    let answer = axum::Json(Answer { from_sequence: from, to_sequence: to, events });
    if asked.dry_run {
        return Ok((StatusCode::OK, answer));
    }
    if events > 0 {
        let kind = RequestKind::Replay { from_sequence: from, only_failed: asked.only_failed };
        alter(&app, &id, |subscription, record| {
            check_idle(subscription, record, call.as_ref())?;
            let kind = kind.clone();
            ask(subscription, record, requests::Asked { at: now, call: call.as_ref(), kind })
        })
        .await?;
    }
    Ok((StatusCode::ACCEPTED, answer))
}

impl Written {
    fn checked(self, now: Time) -> Result<Asked, Vec<Fault>> {
        let mut faults = Vec::new();
        let begin = match (self.since, self.from_sequence) {
            (Some(_), Some(_)) => Err(Fault::new("", "say since or from_sequence, not both")),
            (None, None) => Err(Fault::new("", "say since when or from_sequence which")),
            (Some(since), None) => time(&since, now).map(Begin::Since),
            (None, Some(sequence)) => match sequence.as_u64() {
                Some(sequence) if sequence > 0 => Ok(Begin::Sequence(sequence)),
                _ => {
                    let message = format!("{sequence} is no sequence: they count from 1");
                    Err(Fault::new("/from_sequence", message))
                }
            },
        };
        let mut flag = |name: &str, value: Option<Value>| match value {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => flag,
            Some(other) => {
                faults
                    .push(Fault::new(format!("/{name}"), format!("{other} is not true or false")));
                false
            }
        };
        let only_failed = flag("only_failed", self.only_failed);
        let dry_run = flag("dry_run", self.dry_run);
        match begin {
            Ok(begin) if faults.is_empty() => Ok(Asked { begin, only_failed, dry_run }),
            Ok(_) => Err(faults),
            Err(fault) => Err([vec![fault], faults].concat()),
        }
    }
}

/// A time, or how long ago.
fn time(value: &Value, now: Time) -> Result<Time, Fault> {
    let text = value.as_str().unwrap_or_default();
    let ago = duration::parse(text).ok().map(|ago| now.minus(ago));
    ago.or_else(|| Time::from_str(text).ok()).ok_or_else(|| {
        let message = format!(
            "{value} is no time: write one such as 2026-01-18T22:05:02Z, or how long ago, such as 2h"
        );
        Fault::new("/since", message)
    })
}

/// Nothing is in the way of a request that has asked before.
fn check_idle(
    subscription: &Subscription,
    record: Option<&Delivery>,
    call: Option<&Call>,
) -> Result<(), Problem> {
    if requests::has_asked(subscription, call) {
        return Ok(());
    }
    let under_way = record.is_some_and(|record| record.replay.is_some());
    let asked = |kind: &RequestKind| matches!(kind, RequestKind::Replay { .. });
    if under_way || waiting(subscription, record).any(|request| asked(&request.kind)) {
        let detail = "a replay is under way: its progress is in the subscription";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    Ok(())
}

/// Whether the notifier can count up to a sequence.
async fn check_kept<B: Bus>(app: &App<B>, view: &View, from: u64) -> Result<(), Problem> {
    match view.record.mark_before(from) {
        None => Err(behind(view, Lost { first: 0 })),
        Some(place) => match view.lost(app, place).await? {
            None => Ok(()),
            Some(lost) => Err(behind(view, lost)),
        },
    }
}

fn behind(view: &View, lost: Lost) -> Problem {
    let first = view.first_sequence(lost);
    let detail = format!(
        "what lies so far back is no longer kept or cannot be found again: the first sequence \
         that can be sent again is {first}"
    );
    Problem::new(StatusCode::CONFLICT, detail)
}

/// The first settled sequence whose event was decided then or later; one beyond them where there
/// is none.
async fn sequence_since<B: Bus>(app: &App<B>, view: &View, at: Time) -> Result<u64, Problem> {
    let record = &view.record;
    let position = position_before(app, at.minus(history::SKEW)).await?;
    let begin = walk::places(record).next().filter(|mark| mark.sequence == 0);
    let place = walk::place_at(record, position).or(begin);
    let from = place.ok_or_else(|| behind(view, Lost { first: 0 }))?;
    let mut found = None;
    let take = |logged: &Logged, sequence: u64| {
        if logged.event.timestamp < at {
            return ControlFlow::Continue(());
        }
        found = Some(sequence);
        ControlFlow::Break(())
    };
    let course = Course { from, to: record.cursor, most: MAX_LOOKED_AT };
    match view.walk(app, course, take).await? {
        Walked::There(_) | Walked::Stopped => {
            Ok(found.unwrap_or(record.sequence.saturating_add(1)))
        }
        Walked::Tired(_) => Err(too_far()),
        Walked::Lost(lost) => Err(behind(view, lost)),
    }
}

/// The last position of the log before a time.
async fn position_before<B: Bus>(app: &App<B>, at: Time) -> Result<u64, Problem> {
    let end = app.bus.end(Stream::Events).await?;
    let filter = FILTER.to_owned();
    let selection = Selection { from: From::Time(at), until: Until::End, filter };
    let mut reader = app.bus.read(Stream::Events, selection).await?;
    while let Some(item) = reader.next().await {
        if let Item::Record(stored) = item? {
            return Ok(stored.seq.saturating_sub(1));
        }
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(json: &str) -> Result<Asked, Vec<String>> {
        let written: Written = serde_json::from_str(json).unwrap();
        let now: Time = "2026-01-18T12:00:00Z".parse().unwrap();
        let pointers = |faults: Vec<Fault>| faults.into_iter().map(|f| f.pointer).collect();
        written.checked(now).map_err(pointers)
    }

    #[test]
    fn a_replay_begins_at_a_sequence_a_time_or_so_long_ago() {
        let time = |text: &str| Begin::Since(text.parse().unwrap());
        for (json, wanted) in [
            (r#"{"from_sequence":1}"#, Begin::Sequence(1)),
            (r#"{"since":"2h"}"#, time("2026-01-18T10:00:00Z")),
            (r#"{"since":"2026-01-18T11:00:00+01:00"}"#, time("2026-01-18T10:00:00Z")),
        ] {
            let wanted = Asked { begin: wanted, only_failed: false, dry_run: false };
            assert_eq!(asked(json), Ok(wanted), "{json}");
        }
        let all = asked(r#"{"from_sequence":7,"only_failed":true,"dry_run":true}"#).unwrap();
        assert!(all.only_failed && all.dry_run);
    }

    #[test]
    fn what_cannot_be_replayed_names_its_place() {
        for (json, pointers) in [
            ("{}", vec![""]),
            (r#"{"since":"1h","from_sequence":1}"#, vec![""]),
            (r#"{"from_sequence":0}"#, vec!["/from_sequence"]),
            (r#"{"from_sequence":-1}"#, vec!["/from_sequence"]),
            (r#"{"from_sequence":"1"}"#, vec!["/from_sequence"]),
            (r#"{"since":"yesterday"}"#, vec!["/since"]),
            (r#"{"since":5}"#, vec!["/since"]),
            (r#"{"since":"1h","only_failed":1,"dry_run":"x"}"#, vec!["/only_failed", "/dry_run"]),
        ] {
            let wanted: Vec<String> = pointers.into_iter().map(str::to_owned).collect();
            assert_eq!(asked(json), Err(wanted), "{json}");
        }
    }
}
