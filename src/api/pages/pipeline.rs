//! The road from article to webhook: how much passes each stage, and what waits before it.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use serde::Deserialize;

use crate::api::App;
use crate::api::pages::Frame;
use crate::api::pages::html;
use crate::api::pages::words::Length;
use crate::api::pages::words::Moment;
use crate::api::pages::words::Words;
use crate::api::problem::Problem;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Selection;
use crate::bus::Stream;
use crate::bus::Until;
use crate::delivery::Delivery;
use crate::model::Attempt;
use crate::model::Time;
use crate::telemetry::Board;
use crate::telemetry::Health;
use crate::telemetry::Stage as Where;

/// What counts as just now.
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// Most attempts of the last hour that are counted by outcome.
const MAX_ATTEMPTS: usize = 10_000;

/// A log of the road.
struct Stage {
    name: &'static str,
    minute: u64,
    hour: u64,
    end: u64,
}

/// What lies between a stage and the next.
struct Behind {
    name: &'static str,
    detail: String,
    good: bool,
}

/// The last canary.
struct Canary {
    sent: Option<Moment>,
    next: Moment,
    arrived: Option<(Moment, Length)>,
    state: String,
    good: bool,
}

/// How files of the configuration were last read.
struct Reload {
    files: &'static str,
    taken: Moment,
    refused: Option<(Moment, Words)>,
}

/// What the leases of a worker say.
#[derive(Default)]
struct Shards {
    owned: usize,
    known: usize,
    slowest: Option<u64>,
}

/// The part of a lease that is shown.
#[derive(Deserialize)]
struct Lease {
    owner: Option<String>,
    cursor: Option<u64>,
}

#[derive(Template)]
#[template(path = "pipeline.html", config = "src/api/pages/askama.toml")]
struct Page {
    frame: Frame,
    stages: Vec<Stage>,
    behind: Vec<Behind>,
    oldest: Option<Moment>,
    outcomes: Vec<(String, u64)>,
    more_attempts: bool,
    ready: bool,
    parts: Vec<(&'static str, &'static str, Option<Words>)>,
    canary: Option<Canary>,
    reloads: Vec<Reload>,
    ruleset: String,
    rules: usize,
    topics: usize,
}

/// `GET /pipeline`
pub(super) async fn show<B: Bus>(
    State(app): State<App<B>>,
    frame: Frame,
) -> Result<Html<String>, Problem> {
    let mut stages = Vec::new();
    for (name, stream) in [
        ("Articles received", Stream::Articles),
        ("Events decided", Stream::Events),
        ("Records of attempts", Stream::Attempts),
        ("Set aside", Stream::Buried),
    ] {
        stages.push(stage(&app, (name, stream), frame.now).await?);
    }
    let end = |at: usize| stages.get(at).map_or(0, |stage| stage.end);
    let rules = shards(&app, "rules").await?;
    let (waiting, oldest) = waiting(&app, end(1)).await?;
    let (outcomes, more_attempts) = outcomes(&app, frame.now).await?;
    let (set, board) = (app.settings.rules.load(), &app.settings.board);
    let page = Page {
        behind: vec![rules.behind(end(0)), waiting],
        oldest: oldest.map(|at| Moment::new(at, frame.now)),
        stages,
        outcomes,
        more_attempts,
        ready: board.is_ready(),
        parts: board.parts().into_iter().map(part).collect(),
        canary: canary(board, frame.now),
        reloads: reloads(board, frame.now),
        ruleset: set.digest().to_owned(),
        rules: set.rules().len(),
        topics: set.topics().len(),
        frame,
    };
    html(&page)
}

fn part((name, health): (&'static str, Health)) -> (&'static str, &'static str, Option<Words>) {
    match health {
        Health::Ready => (name, "ready", None),
        Health::Degraded(why) => (name, "degraded", Some(Words::plain(&why))),
        Health::NotReady(why) => (name, "not ready", Some(Words::plain(&why))),
    }
}

fn canary(board: &Board, now: Time) -> Option<Canary> {
    let said = board.canary()?;
    let moment = |ms| Moment::new(Time::from_millis(ms), now);
    let (begins, ends) = if said.late { ("late: it", "hangs") } else { ("it", "is") };
    let state = match said.stage {
        Where::Nowhere => "none has flown yet".to_owned(),
        Where::Home => "it arrived everywhere".to_owned(),
        Where::Log => format!("{begins} {ends} before the log of articles"),
        Where::Rules => format!("{begins} {ends} at the rules: no event came of it"),
        Where::Notifier(1) => format!("{begins} {ends} at the notifier: 1 endpoint has not got it"),
        Where::Notifier(count) => {
            format!("{begins} {ends} at the notifier: {count} endpoints have not got it")
        }
    };
    Some(Canary {
        sent: said.sent_ms.map(moment),
        next: moment(said.next_ms),
        arrived: said.arrived_ms.map(|(at, took)| (moment(at), Length(took))),
        state,
        good: !said.late,
    })
}

fn reloads(board: &Board, now: Time) -> Vec<Reload> {
    let moment = |ms| Moment::new(Time::from_millis(ms), now);
    let reload = |(files, said): (&'static str, crate::telemetry::Reload)| Reload {
        files,
        taken: moment(said.taken_ms),
        refused: said.refused.map(|(at, why)| (moment(at), Words::plain(&why))),
    };
    board.reloads().into_iter().map(reload).collect()
}

async fn stage<B: Bus>(
    app: &App<B>,
    (name, stream): (&'static str, Stream),
    now: Time,
) -> Result<Stage, Problem> {
    let end = app.bus.end(stream).await?;
    let minute = since(app, (stream, end), now.minus(MINUTE)).await?;
    let hour = since(app, (stream, end), now.minus(HOUR)).await?;
    Ok(Stage { name, minute, hour, end })
}

/// Positions written since a time: the first of them tells, the others are not read.
async fn since<B: Bus>(
    app: &App<B>,
    (stream, end): (Stream, u64),
    at: Time,
) -> Result<u64, Problem> {
    let filter = format!("{}>", stream.prefix());
    let selection = Selection { from: From::Time(at), until: Until::End, filter };
    let mut reader = app.bus.read(stream, selection).await?;
    while let Some(item) = reader.next().await {
        if let Item::Record(first) = item? {
            return Ok(end.saturating_add(1).saturating_sub(first.seq));
        }
    }
    Ok(0)
}

async fn shards<B: Bus>(app: &App<B>, worker: &str) -> Result<Shards, Problem> {
    let mut shards = Shards::default();
    let entries = app.bus.list(Bucket::Leases, worker).await?.entries;
    // Processes that are there have a record, too, and it is no share.
    for entry in entries.into_iter().filter(|entry| !entry.key.contains("/_")) {
        let lease = entry.value.and_then(|value| serde_json::from_slice::<Lease>(&value).ok());
        // What has no cursor is no share: workers are listed there too.
        let Some((owner, cursor)) = lease.and_then(|lease| Some((lease.owner, lease.cursor?)))
        else {
            continue;
        };
        shards.known += 1;
        shards.owned += usize::from(owner.is_some());
        shards.slowest = Some(shards.slowest.map_or(cursor, |slowest| slowest.min(cursor)));
    }
    Ok(shards)
}

impl Shards {
    fn behind(&self, end: u64) -> Behind {
        let Self { owned, known, slowest } = self;
        let lag = end.saturating_sub(slowest.unwrap_or(0));
        let detail = match slowest {
            None => "no worker has taken a share of the rules yet".to_owned(),
            Some(_) => format!(
                "the slowest share is {lag} articles behind; {owned} of {known} shares have a worker"
            ),
        };
        Behind { name: "Rules", detail, good: slowest.is_some() && owned == known }
    }
}

/// Subscriptions with something to send, and since when the oldest of it waits.
async fn waiting<B: Bus>(app: &App<B>, end: u64) -> Result<(Behind, Option<Time>), Problem> {
    let (mut all, mut behind, mut paused, mut trying) = (0, 0, 0, 0);
    let mut slowest: Option<u64> = None;
    for entry in app.bus.list(Bucket::Deliveries, "").await?.entries {
        let record = entry.value.and_then(|value| serde_json::from_slice::<Delivery>(&value).ok());
        let Some(record) = record else { continue };
        all += 1;
        trying += record.outstanding.len();
        if record.paused.is_some() {
            paused += 1;
        } else if record.cursor < end {
            behind += 1;
            slowest = Some(slowest.map_or(record.cursor, |slowest| slowest.min(record.cursor)));
        }
    }
    let oldest = match slowest {
        Some(cursor) => written_after(app, cursor).await?,
        None => None,
    };
    let detail = format!(
        "{behind} of {all} subscriptions are behind the log, {trying} events are being tried, \
         {paused} are paused by Wirebell"
    );
    Ok((Behind { name: "Notifier", detail, good: behind == 0 && paused == 0 }, oldest))
}

/// When the first event after a position was written.
async fn written_after<B: Bus>(app: &App<B>, cursor: u64) -> Result<Option<Time>, Problem> {
    let filter = format!("{}>", Stream::Events.prefix());
    let selection = Selection { from: From::After(cursor), until: Until::End, filter };
    let mut reader = app.bus.read(Stream::Events, selection).await?;
    while let Some(item) = reader.next().await {
        if let Item::Record(first) = item? {
            return Ok(Some(first.time));
        }
    }
    Ok(None)
}

/// The attempts of the last hour by outcome, and whether there were more than are counted.
async fn outcomes<B: Bus>(app: &App<B>, now: Time) -> Result<(Vec<(String, u64)>, bool), Problem> {
    let filter = format!("{}>", Stream::Attempts.prefix());
    let from = From::Time(now.minus(HOUR));
    let selection = Selection { from, until: Until::End, filter };
    let mut reader = app.bus.read(Stream::Attempts, selection).await?;
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut looked_at = 0;
    while let Some(item) = reader.next().await {
        let Item::Record(stored) = item? else { continue };
        if looked_at >= MAX_ATTEMPTS {
            break;
        }
        let mut attempts = Attempt::of_record(&stored.payload);
        attempts.truncate(MAX_ATTEMPTS - looked_at);
        looked_at += attempts.len().max(1);
        for attempt in attempts {
            *counts.entry(attempt.outcome.as_str()).or_default() += 1;
        }
    }
    let counts = counts.into_iter().map(|(name, count)| (name.replace('_', " "), count));
    Ok((counts.collect(), looked_at >= MAX_ATTEMPTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_share_of_the_rules_is_told_and_whether_somebody_has_each() {
        let shards = |owned, slowest| Shards { owned, known: 64, slowest };
        let all = shards(64, Some(90)).behind(100);
        assert!(all.good && all.detail.contains("10 articles behind"), "{}", all.detail);
        assert!(!shards(63, Some(100)).behind(100).good);
        assert!(!Shards::default().behind(0).good);
        assert!(shards(64, Some(100)).behind(90).detail.contains("is 0 articles"));
    }
}
