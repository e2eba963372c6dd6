//! Rule sets over the archive: the events that they would have made, as they come.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::api::App;
use crate::api::archive;
use crate::api::archive::Heard;
use crate::api::archive::Span;
use crate::api::history::broken;
use crate::api::problem::Fault;
use crate::api::problem::Json;
use crate::api::problem::Problem;
use crate::bus::Bus;
use crate::delivery::body::unaddressed;
use crate::model::Event;
use crate::model::Mode;
use crate::model::Time;
use crate::model::duration;
use crate::rules;
use crate::rules::RuleSet;
use crate::telemetry::logs::chain;

/// Lines that wait for a slow client.
const WAITING_LINES: usize = 256;

/// A rule file: its name and text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) text: String,
}

/// What is asked: a rule set, perhaps another one in the same pass, and how far back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    rules: Vec<File>,
    against: Option<Vec<File>>,
    since: String,
}

/// What a run tells: what it hears in order, and last how it ended.
pub(super) enum Told {
    Heard(Heard),
    Over(Result<Span, archive::Error>),
}

/// A run's tasks: when this is dropped, the run ends.
pub(super) type Run = JoinSet<()>;

/// The right to run: one at a time has it, since a run takes a core.
pub(super) fn turn<B: Bus>(app: &App<B>) -> Result<OwnedSemaphorePermit, Problem> {
    app.backtests.clone().try_acquire_owned().map_err(|_| {
        let detail = "another backtest runs here: try again when it is done";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail)
    })
}

/// Begins a run over the articles since so long ago.
pub(super) fn begin<B: Bus>(
    app: &App<B>,
    turn: OwnedSemaphorePermit,
    sets: Vec<Arc<RuleSet>>,
    since: Duration,
) -> (mpsc::Receiver<Told>, Run) {
    let since = Time::from_millis(app.settings.clock.now_ms()).minus(since);
    let (lines, told) = mpsc::channel(WAITING_LINES);
    let mut run = JoinSet::new();
    let app = app.clone();
    run.spawn(async move {
        let hearing = lines.clone();
        let hear = move |heard| {
            // The turn is over when the last thread of this run is.
            let _turn = &turn;
            hearing.blocking_send(Told::Heard(heard)).is_ok()
        };
        let ran = archive::run(&app.bus, sets, since, app.stop.clone(), hear).await;
        let _ = lines.send(Told::Over(ran)).await;
    });
    (told, run)
}

/// `POST /v1/rules/backtest`: a line of JSON each event, the last line sums up.
pub(super) async fn backtest<B: Bus>(
    State(app): State<App<B>>,
    Json(asked): Json<Asked>,
) -> Result<Response, Problem> {
    let since = duration::parse(&asked.since)
        .map_err(|message| Problem::invalid(vec![Fault::new("/since", message)]))?;
    let turn = turn(&app)?;
    let mut sets = vec![load("/rules", asked.rules).await?];
    if let Some(against) = asked.against {
        sets.push(load("/against", against).await?);
    }
    // The response holds the run: a client that goes away ends it.
    let run = begin(&app, turn, sets, since);
    let body = stream::unfold(run, |(mut told, run)| async move {
        let mut line = line(told.recv().await?).to_string();
        line.push('\n');
        Some((Ok::<Bytes, Infallible>(Bytes::from(line)), (told, run)))
    });
    let mut response = Body::from_stream(body).into_response();
    let lines = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, lines);
    Ok(response)
}

fn line(told: Told) -> Value {
    match told {
        Told::Heard(Heard::Event(set, event)) => {
            let mut line = event_line(&event);
            if let Some(line) = line.as_object_mut() {
                line.insert("set".to_owned(), json!(set));
            }
            line
        }
        Told::Heard(Heard::Progress(articles)) => json!({"progress": {"articles": articles}}),
        Told::Over(Ok(span)) => json!({"summary": span}),
        Told::Over(Err(error)) => json!({"error": chain(&error)}),
    }
}

/// The event as nobody in particular would be told it, and whether it would have been told.
fn event_line(event: &Event) -> Value {
    let mut line = json!(unaddressed(event));
    if event.mode == Mode::Shadow
        && let Some(line) = line.as_object_mut()
    {
        line.insert("mode".to_owned(), json!(event.mode));
    }
    line
}

/// Loads a rule set, off the runtime; what is wrong with it names its places.
pub(super) async fn load(pointer: &'static str, files: Vec<File>) -> Result<Arc<RuleSet>, Problem> {
    let files: Vec<(String, String)> = files.into_iter().map(|f| (f.name, f.text)).collect();
    let loading = tokio::task::spawn_blocking(move || rules::load(&files));
    let loaded = loading.await.map_err(|_| broken("loading the rules failed"))?;
    loaded.map(Arc::new).map_err(|problems| {
        let fault = |p: &rules::Problem| {
            let place = format!("{}:{}:{}", p.file, p.line, p.column);
            Fault::new(pointer, format!("{place}: {}: {}", p.message, p.remedy))
        };
        Problem::invalid(problems.iter().map(fault).collect())
    })
}
