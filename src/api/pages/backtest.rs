//! Edited rules against those in force over the archive: which alerts are gained and lost.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::mpsc;
use url::form_urlencoded;

use crate::api::App;
use crate::api::archive::Heard;
use crate::api::archive::Span;
use crate::api::backtest;
use crate::api::backtest::Run;
use crate::api::backtest::Told;
use crate::api::history::broken;
use crate::api::pages::Frame;
use crate::api::pages::html;
use crate::api::pages::playground::Mistake;
use crate::api::pages::words::Moment;
use crate::api::pages::words::Words;
use crate::api::pages::words::word;
use crate::api::problem::Fault;
use crate::api::problem::Problem;
use crate::bus::Bus;
use crate::model::AlertId;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::Time;
use crate::rules;
use crate::telemetry::logs::chain;

/// Longest period, in days: as long as articles are kept.
const MAX_DAYS: u64 = 30;
/// Alerts remembered of a set; beyond, they are only counted.
const MAX_ALERTS: usize = 10_000;
/// Alerts listed as gained or lost.
const MAX_LISTED: usize = 200;
/// Where the page is cut in two, with the run between the halves.
const HERE: &str = "<!--run-->";
/// Size of the drawing.
const WIDTH: usize = 720;
const HEIGHT: usize = 200;

#[derive(Template)]
#[template(path = "backtest.html", config = "src/api/pages/askama.toml")]
struct Page {
    frame: Frame,
    files: Vec<(String, String)>,
    days: u64,
    mistakes: Vec<Mistake>,
    runs: bool,
}

#[derive(Template)]
#[template(path = "compared.html", config = "src/api/pages/askama.toml")]
struct Compared {
    articles: u64,
    from: Option<Moment>,
    to: Option<Moment>,
    left_out: Option<&'static str>,
    error: Option<Words>,
    bars: Vec<Bar>,
    counts: [u64; 2],
    sides: [Side; 2],
    same: usize,
    full: bool,
}

/// A day of the drawing: opened alerts of the edited rules, and of those in force.
struct Bar {
    x: usize,
    width: usize,
    mine: (usize, usize),
    theirs: (usize, usize),
    label: String,
}

/// What only one of the sets would have opened.
struct Side {
    name: &'static str,
    sign: char,
    total: usize,
    listed: Vec<Listed>,
}

/// An alert that only one of the sets would have opened.
struct Listed {
    title: Words,
    rule: String,
    topic: String,
    key: Words,
    severity: String,
    at: Moment,
}

/// What was heard so far.
struct Hearing {
    now: Time,
    opened: [BTreeMap<AlertId, Event>; 2],
    counts: [u64; 2],
}

/// What is tried, as the form has it.
struct Given {
    files: Vec<(String, String)>,
    days: u64,
}

/// `GET /backtest`
pub(super) async fn show<B: Bus>(
    State(app): State<App<B>>,
    frame: Frame,
) -> Result<Response, Problem> {
    let mut files = app.settings.rules.load().files().to_vec();
    if files.is_empty() {
        files.push(("rules.yaml".to_owned(), "version: 1\nrules: []\n".to_owned()));
    }
    let page = Page { frame, files, days: 7, mistakes: Vec::new(), runs: false };
    Ok(html(&page)?.into_response())
}

/// `POST /backtest`: the page comes at once, then how far the run is, then what it found.
pub(super) async fn run<B: Bus>(
    State(app): State<App<B>>,
    frame: Frame,
    body: Bytes,
) -> Result<Response, Problem> {
    let given = Given::read(&body)?;
    let files = given.files.clone();
    let loading = tokio::task::spawn_blocking(move || rules::load(&files));
    let loaded = loading.await.map_err(|_| broken("loading the rules failed"))?;
    let now = frame.now;
    let mut page =
        Page { frame, files: given.files, days: given.days, mistakes: Vec::new(), runs: true };
    let edited = match loaded {
        Ok(edited) => Arc::new(edited),
        Err(problems) => {
            page.mistakes = problems.iter().map(Mistake::of).collect();
            page.runs = false;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response());
        }
    };
    let turn = backtest::turn(&app)?;
    let since = Duration::from_secs(given.days * 86_400);
    let sets = vec![edited, app.settings.rules.load_full()];
    let (told, run) = backtest::begin(&app, turn, sets, since);
    let whole = html(&page)?.0;
    let (head, tail) = whole.split_once(HERE).unwrap_or((&whole, ""));
    let body = streamed((head.to_owned(), tail.to_owned()), now, (told, run));
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    Ok((kind, body).into_response())
}

impl Given {
    fn read(body: &[u8]) -> Result<Self, Problem> {
        let (mut names, mut texts, mut days) = (Vec::new(), Vec::new(), None);
        for (name, value) in form_urlencoded::parse(body) {
            match &*name {
                "name" => names.push(value.chars().take(200).collect::<String>()),
                "rules" => texts.push(value.replace("\r\n", "\n")),
                "days" => days = value.trim().parse::<u64>().ok(),
                _ => {}
            }
        }
        let days = days.filter(|days| (1..=MAX_DAYS).contains(days)).ok_or_else(|| {
            let message = format!("write a whole number of days from 1 to {MAX_DAYS}");
            Problem::invalid(vec![Fault::new("/days", message)])
        })?;
        if texts.is_empty() || names.len() != texts.len() {
            return Err(Problem::invalid(vec![Fault::new("/rules", "there are no rules to try")]));
        }
        Ok(Self { files: names.into_iter().zip(texts).collect(), days })
    }
}

/// The page as it comes: whoever closes it ends the run.
fn streamed(
    (head, tail): (String, String),
    now: Time,
    (told, run): (mpsc::Receiver<Told>, Run),
) -> Body {
    let opened = [BTreeMap::new(), BTreeMap::new()];
    let hearing = Hearing { now, opened, counts: [0, 0] };
    let begin = stream::iter([Ok::<Bytes, Infallible>(Bytes::from(head))]);
    let state = Some((hearing, told, run, tail));
    let going = stream::unfold(state, |state| async move {
        let (mut hearing, mut told, run, tail) = state?;
        while let Some(one) = told.recv().await {
            match one {
                Told::Heard(Heard::Event(set, event)) => hearing.take(set, *event),
                Told::Heard(Heard::Progress(articles)) => {
                    let line = format!("<p class=\"dim\">{articles} articles so far</p>\n");
                    return Some((Ok(Bytes::from(line)), Some((hearing, told, run, tail))));
                }
                Told::Over(Ok(span)) => {
                    return Some((Ok(hearing.over(span, None, &tail)), None));
                }
                Told::Over(Err(error)) => {
                    let why = chain(&error);
                    return Some((Ok(hearing.over(Span::default(), Some(&why), &tail)), None));
                }
            }
        }
        let why = "the run ended without a word";
        Some((Ok(hearing.over(Span::default(), Some(why), &tail)), None))
    });
    Body::from_stream(begin.chain(going))
}

impl Hearing {
    fn take(&mut self, set: usize, event: Event) {
        if event.kind != EventKind::Opened {
            return;
        }
        let (Some(opened), Some(count)) = (self.opened.get_mut(set), self.counts.get_mut(set))
        else {
            return;
        };
        *count += 1;
        if opened.len() < MAX_ALERTS {
            opened.insert(event.alert.id.clone(), event);
        }
    }

    /// What was found, and the rest of the page.
    fn over(&self, span: Span, error: Option<&str>, tail: &str) -> Bytes {
        let compared = self.compared(span, error);
        let mut text = compared.render().unwrap_or_else(|error| {
            tracing::error!(error = error.to_string(), "A page could not be made");
            "<p>The answer could not be made.</p>".to_owned()
        });
        text.push_str(tail);
        Bytes::from(text)
    }

    fn compared(&self, span: Span, error: Option<&str>) -> Compared {
        let [mine, theirs] = &self.opened;
        let at = |time| Moment::new(time, self.now);
        Compared {
            articles: span.articles,
            from: span.first.map(at),
            to: span.last.map(at),
            left_out: span.left_out,
            error: error.map(Words::plain),
            bars: bars(&days(mine), &days(theirs)),
            counts: self.counts,
            sides: [
                Side::of(("Gained", '+'), (mine, theirs), self.now),
                Side::of(("Lost", '−'), (theirs, mine), self.now),
            ],
            same: mine.keys().filter(|id| theirs.contains_key(*id)).count(),
            full: self.counts.iter().any(|count| *count > MAX_ALERTS as u64),
        }
    }
}

impl Side {
    fn of(
        (name, sign): (&'static str, char),
        (one, other): (&BTreeMap<AlertId, Event>, &BTreeMap<AlertId, Event>),
        now: Time,
    ) -> Self {
        let only = one.iter().filter(|(id, _)| !other.contains_key(*id));
        let mut only: Vec<&Event> = only.map(|(_, event)| event).collect();
        only.sort_by_key(|event| Reverse(event.timestamp));
        let listed = only.iter().take(MAX_LISTED).map(|event| Listed::of(event, now)).collect();
        Self { name, sign, total: only.len(), listed }
    }
}

impl Listed {
    fn of(event: &Event, now: Time) -> Self {
        let alert = &event.alert;
        Self {
            title: Words::plain(&alert.title),
            rule: alert.rule.to_string(),
            topic: alert.topic.to_string(),
            key: Words::plain(alert.key.as_str()),
            severity: word(&alert.severity),
            at: Moment::new(event.timestamp, now),
        }
    }
}

/// Alerts opened a day, by days since 1970.
fn days(opened: &BTreeMap<AlertId, Event>) -> BTreeMap<i64, usize> {
    let mut days = BTreeMap::new();
    for event in opened.values() {
        *days.entry(event.timestamp.seconds().div_euclid(86_400)).or_default() += 1;
    }
    days
}

/// The days from the first to the last as bars, the highest as high as the drawing.
fn bars(mine: &BTreeMap<i64, usize>, theirs: &BTreeMap<i64, usize>) -> Vec<Bar> {
    let all = || mine.keys().chain(theirs.keys()).copied();
    let (Some(first), Some(last)) = (all().min(), all().max()) else { return Vec::new() };
    // An article with a date of long ago opens nothing: the days are few.
    let first = first.max(last - i64::try_from(MAX_DAYS * 2).unwrap_or(60));
    let most = mine.values().chain(theirs.values()).copied().max().unwrap_or(1).max(1);
    let step = WIDTH / usize::try_from(last - first + 1).unwrap_or(1).max(1);
    (first..=last)
        .enumerate()
        .map(|(n, day)| {
            let [mine, theirs] = [mine, theirs].map(|of| of.get(&day).copied().unwrap_or(0));
            let bar = |count: usize| {
                let height = count * (HEIGHT - 20) / most;
                (HEIGHT - height, height)
            };
            let date = Time::from_millis(day * 86_400_000).to_string();
            let date: String = date.chars().take(10).collect();
            let label =
                format!("{date}: {mine} with the edited rules, {theirs} with those in force");
            let width = step.saturating_sub(2).max(1);
            Bar { x: n * step + 1, width, mine: bar(mine), theirs: bar(theirs), label }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_files_and_days() {
        let read = |text: &str| Given::read(text.as_bytes());
        let given = read("days=3&name=a&rules=x%0D%0Ay&name=b&rules=z").unwrap();
        let wanted = [("a", "x\ny"), ("b", "z")].map(|(n, t)| (n.to_owned(), t.to_owned()));
        assert_eq!((given.days, given.files), (3, wanted.to_vec()));
        for bad in
            ["", "days=0&name=a&rules=b", "days=31&name=a&rules=b", "days=3", "days=3&rules=b"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bars_stay_within_the_drawing_and_are_told_in_words() {
        assert!(bars(&BTreeMap::new(), &BTreeMap::new()).is_empty());
        let drawn = bars(&BTreeMap::from([(20_000, 4)]), &BTreeMap::from([(20_002, 2)]));
        assert_eq!(drawn.len(), 3);
        for bar in &drawn {
            assert!(bar.x + bar.width <= WIDTH && bar.mine.0 + bar.mine.1 == HEIGHT);
        }
        assert_eq!(drawn[0].label, "2024-10-04: 4 with the edited rules, 0 with those in force");
        assert!(drawn[0].mine.1 > drawn[2].theirs.1);
    }

    #[test]
    fn what_only_one_set_opens_is_gained_or_lost() {
        let event = |n: char, title: &str| -> Event {
            let id = n.to_string().repeat(26);
            serde_json::from_value(serde_json::json!({"v": 1, "id": format!("evt_{id}"),
                "number": 1, "type": "alert.opened", "timestamp": "2026-01-18T22:05:02.114Z",
                "alert": {"id": format!("alr_{id}"), "rule": "siren", "topic": "siren",
                    "key": "-", "title": title, "severity": "info", "status": "open",
                    "nature": "actual", "confirmation": "unconfirmed", "independent_sources": 1,
                    "opened_at": "2026-01-18T22:05:02.114Z",
                    "updated_at": "2026-01-18T22:05:02.114Z", "ended_at": null},
                "articles": [], "ruleset": "abc"}))
            .unwrap()
        };
        let opened = [BTreeMap::new(), BTreeMap::new()];
        let mut hearing = Hearing { now: Time::from_millis(0), opened, counts: [0, 0] };
        for (set, id, title) in
            [(0, 'a', "both"), (1, 'a', "both"), (0, 'b', "<i>new"), (1, 'c', "old")]
        {
            hearing.take(set, event(id, title));
        }
        let compared = hearing.compared(Span::default(), None);
        let [gained, lost] = &compared.sides;
        assert_eq!((gained.total, lost.total, compared.same), (1, 1, 1));
        let page = compared.render().unwrap();
        assert!(page.contains("&lt;i&gt;new") && page.contains("<svg"), "{page}");
    }
}
