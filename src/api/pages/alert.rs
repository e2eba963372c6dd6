//! One alert: every event with its articles, whose words they are, who was told, and what an operator
//! can do.

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use axum::response::Redirect;
use serde::Deserialize;

use crate::api::App;
use crate::api::alerts;
use crate::api::alerts::Decided;
use crate::api::pages::Frame;
use crate::api::pages::alerts::Quote;
use crate::api::pages::alerts::excerpt;
use crate::api::pages::alerts::quotes;
use crate::api::pages::html;
use crate::api::pages::words::Length;
use crate::api::pages::words::Moment;
use crate::api::pages::words::Words;
use crate::api::pages::words::web;
use crate::api::pages::words::word;
use crate::api::problem::Form;
use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::api::why;
use crate::api::why::Delivered;
use crate::api::why::Report;
use crate::bus::Bus;
use crate::model::Attempt;
use crate::model::DirectiveKind;
use crate::model::Event;
use crate::model::Mode;
use crate::model::Nature;
use crate::model::Time;
use crate::model::attempt::Outcome;
use crate::model::event::EventArticle;
use crate::model::event::Status;
use crate::model::matching::Field;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    /// What was just decided.
    done: Option<String>,
}

/// What an operator says of a decision.
#[derive(Deserialize)]
pub(super) struct Reason {
    reason: String,
}

#[derive(Template)]
#[template(path = "alert.html", config = "src/api/pages/askama.toml")]
struct Page {
    frame: Frame,
    id: String,
    title: Words,
    facts: Vec<(&'static str, String)>,
    key: Words,
    severity: String,
    status: String,
    opened: Moment,
    updated: Moment,
    ended: Option<Moment>,
    nature: Option<&'static str>,
    shadow: bool,
    can_end: bool,
    can_retract: bool,
    decided: bool,
    steps: Vec<Step>,
    articles: Vec<Told>,
    more_articles: usize,
    complete: bool,
    sources: Vec<Source>,
    deliveries: Vec<Delivery>,
    more_deliveries: bool,
}

/// An event.
struct Step {
    number: u32,
    kind: String,
    at: Moment,
    status: String,
    severity: String,
    confirmation: String,
    sources: u32,
    late: bool,
    possible_end: bool,
    reason: Option<Words>,
    ruleset: String,
    articles: Vec<Article>,
    more: u32,
}

/// An article of an event.
struct Article {
    title: Words,
    excerpt: Words,
    source: Words,
    link: Option<String>,
    lang: Option<String>,
    published: Option<Moment>,
    quotes: Vec<Quote>,
}

/// An article as it counted.
struct Told {
    id: String,
    title: Words,
    link: Option<String>,
    source: Words,
    revision: u32,
    received: Option<Moment>,
    role: String,
    event: Option<u32>,
    counted: bool,
    same_source: bool,
    copy: bool,
}

struct Source {
    owners: Vec<Words>,
    articles: usize,
    copies: usize,
}

struct Delivery {
    subscription: String,
    events: Vec<Sent>,
}

struct Sent {
    number: u32,
    kind: String,
    state: String,
    attempts: Vec<Try>,
}

/// An attempt, as pages show it.
pub(super) struct Try {
    pub(super) at: Moment,
    pub(super) outcome: String,
    pub(super) good: bool,
    pub(super) status: Option<u16>,
    pub(super) took: Length,
    pub(super) remark: Option<Words>,
    pub(super) answer: Option<Words>,
    pub(super) kind: String,
    pub(super) sequence: u64,
    pub(super) replay: bool,
}

/// `GET /alerts/{id}`
pub(super) async fn show<B: Bus>(
    State(app): State<App<B>>,
    frame: Frame,
    Path(id): Path,
    Query(query): Query<ShowQuery>,
) -> Result<Html<String>, Problem> {
    let report = why::report(&app, &id).await?;
    html(&Page::of(report, frame, query.done.is_some()))
}

/// `POST /alerts/{id}/end`
pub(super) async fn end<B: Bus>(
    state: State<App<B>>,
    frame: Frame,
    id: Path,
    form: Form<Reason>,
) -> Result<Redirect, Problem> {
    decide((state, id), frame, DirectiveKind::End, form).await
}

/// `POST /alerts/{id}/retract`
pub(super) async fn retract<B: Bus>(
    state: State<App<B>>,
    frame: Frame,
    id: Path,
    form: Form<Reason>,
) -> Result<Redirect, Problem> {
    decide((state, id), frame, DirectiveKind::Retract, form).await
}

async fn decide<B: Bus>(
    (State(app), Path(id)): (State<App<B>>, Path),
    frame: Frame,
    kind: DirectiveKind,
    Form(given): Form<Reason>,
) -> Result<Redirect, Problem> {
    let reason = given.reason.replace("\r\n", "\n");
    let _ = alerts::decide(&app, &id, (kind, None), Decided { reason, by: frame.by() }).await?;
    Ok(Redirect::to(&format!("/alerts/{id}?done=1")))
}

impl Page {
    fn of(report: Report, frame: Frame, decided: bool) -> Self {
        let Report { view, mode, events, gathered, deliveries, more_deliveries } = report;
        let now = frame.now;
        let first = events.first().and_then(|first| first.event.articles.last());
        let evidence = first.filter(|article| article.title == view.title);
        let evidence = evidence.map_or(&[][..], |article| &article.evidence);
        let open = view.status == Status::Open;
        Self {
            frame,
            id: view.id.to_string(),
            title: Words::marked(&view.title, Field::Title, evidence),
            facts: vec![
                ("Topic", view.topic.to_string()),
                ("Rule", view.rule.to_string()),
                ("Confirmation", word(&view.confirmation)),
                ("Independent sources", view.independent_sources.to_string()),
            ],
            key: Words::plain(view.key.as_str()),
            severity: word(&view.severity),
            status: word(&view.status),
            opened: Moment::new(view.opened_at, now),
            updated: Moment::new(view.updated_at, now),
            ended: view.ended_at.map(|at| Moment::new(at, now)),
            nature: (view.nature != Nature::Actual).then(|| view.nature.as_str()),
            shadow: mode == Mode::Shadow,
            can_end: open,
            can_retract: view.status != Status::Retracted,
            decided,
            steps: events.iter().map(|logged| step(&logged.event, now)).collect(),
            articles: gathered.articles.iter().map(|shown| told(shown, now)).collect(),
            more_articles: gathered.more,
            complete: gathered.complete,
            sources: gathered.sources.iter().map(source).collect(),
            deliveries: deliveries.into_iter().map(|one| delivery(one, now)).collect(),
            more_deliveries,
        }
    }
}

fn step(event: &Event, now: Time) -> Step {
    let alert = &event.alert;
    let kind = event.kind.as_str();
    Step {
        number: event.number,
        kind: kind.strip_prefix("alert.").unwrap_or(kind).to_owned(),
        at: Moment::new(event.timestamp, now),
        status: word(&alert.status),
        severity: word(&alert.severity),
        confirmation: word(&alert.confirmation),
        sources: alert.independent_sources,
        late: event.late,
        possible_end: event.possible_end,
        reason: event.reason.as_deref().map(Words::plain),
        ruleset: event.ruleset.trim_start_matches("sha256:").chars().take(12).collect(),
        articles: event.articles.iter().map(|one| article(one, now)).collect(),
        more: event.more_articles,
    }
}

fn article(article: &EventArticle, now: Time) -> Article {
    Article {
        title: Words::marked(&article.title, Field::Title, &article.evidence),
        excerpt: excerpt(article),
        source: Words::plain(article.source.as_str()),
        link: web(article.url.as_deref()),
        lang: article.lang.as_ref().map(ToString::to_string),
        published: article.published_at.map(|at| Moment::new(at, now)),
        quotes: quotes(&article.evidence),
    }
}

fn told(shown: &why::Shown, now: Time) -> Told {
    Told {
        id: shown.id.to_string(),
        title: Words::plain(if shown.title.is_empty() { "no longer kept" } else { &shown.title }),
        link: web(shown.url.as_deref()),
        source: shown.source.as_ref().map(|s| Words::plain(s.as_str())).unwrap_or_default(),
        revision: shown.revision,
        received: shown.received_at.map(|at| Moment::new(at, now)),
        role: shown.role.as_ref().map(word).unwrap_or_default(),
        event: shown.event,
        counted: shown.counted,
        same_source: shown.same_source_as.is_some(),
        copy: shown.copy_of.is_some(),
    }
}

fn source(source: &why::Source) -> Source {
    Source {
        owners: source.owners.iter().map(|owner| Words::plain(owner)).collect(),
        articles: source.articles.len(),
        copies: source.copies,
    }
}

fn delivery(delivered: Delivered, now: Time) -> Delivery {
    let sent = |event: why::DeliveredEvent| Sent {
        number: event.number,
        kind: event.kind.strip_prefix("alert.").unwrap_or(event.kind).to_owned(),
        state: word(&event.state),
        attempts: event.attempts.into_iter().map(|attempt| Try::of(attempt, now)).collect(),
    };
    Delivery {
        subscription: delivered.subscription.to_string(),
        events: delivered.events.into_iter().map(sent).collect(),
    }
}

impl Try {
    pub(super) fn of(attempt: Attempt, now: Time) -> Self {
        Self {
            at: Moment::new(attempt.at, now),
            outcome: attempt.outcome.as_str().replace('_', " "),
            good: attempt.outcome == Outcome::Delivered,
            status: attempt.status,
            took: Length(attempt.duration_ms),
            remark: attempt.remark.as_deref().map(Words::plain),
            answer: attempt.answer.as_deref().map(Words::plain),
            kind: attempt.kind,
            sequence: attempt.sequence,
            replay: attempt.replay,
        }
    }
}
