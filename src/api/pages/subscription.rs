//! One subscription: where it stands, what was tried, and what its owner can do.

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::attempts;
use crate::api::backward::Look;
use crate::api::history::broken;
use crate::api::once::Once;
use crate::api::pages::Frame;
use crate::api::pages::alert::Try;
use crate::api::pages::html;
use crate::api::pages::subscriptions::Secret;
use crate::api::pages::subscriptions::Standing;
use crate::api::pages::subscriptions::Success;
use crate::api::pages::words::Length;
use crate::api::pages::words::Moment;
use crate::api::pages::words::Words;
use crate::api::pages::words::choice;
use crate::api::pages::words::word;
use crate::api::problem::Form;
use crate::api::problem::Json;
use crate::api::problem::Optional;
use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::api::subscriptions;
use crate::api::subscriptions::Shown;
use crate::api::subscriptions::replay;
use crate::api::subscriptions::requests;
use crate::api::subscriptions::rotate;
use crate::bus::Bus;
use crate::bus::Stream;
use crate::delivery::ledger::Outstanding;
use crate::model::attempt::Outcome;
use crate::model::names;

/// Attempts of a page.
const PAGE: usize = 50;
/// Newest attempts that success is counted over.
const LOOKED_AT: usize = 200;
/// What an attempt can come to, for the filter.
const OUTCOMES: [Outcome; 11] = [
    Outcome::Delivered,
    Outcome::Rejected,
    Outcome::Throttled,
    Outcome::NotSent,
    Outcome::Unknown,
    Outcome::Refused,
    Outcome::Gone,
    Outcome::Unacceptable,
    Outcome::Outdated,
    Outcome::Failed,
    Outcome::Withheld,
];

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ShowQuery {
    outcome: String,
    cursor: Option<String>,
    /// What was just asked for.
    done: Option<String>,
}

/// What is to be sent again.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Again {
    since: String,
    only_failed: Option<String>,
    /// It was counted, and is wanted.
    sure: Option<String>,
}

/// What would be sent again.
struct Counted {
    since: String,
    only_failed: bool,
    events: u64,
    first: u64,
    last: u64,
}

#[derive(Template)]
#[template(path = "subscription.html", config = "src/api/pages/askama.toml")]
struct Page {
    frame: Frame,
    id: String,
    about: Words,
    url: Words,
    facts: Vec<(&'static str, Words)>,
    created: Moment,
    standing: Standing,
    paused: bool,
    managed: Option<Words>,
    rate: Option<String>,
    p95: Option<Length>,
    behind: u64,
    sequence: u64,
    waiting: Vec<Waiting>,
    gaps: Vec<(u64, u64)>,
    given_up: u64,
    replay: Option<String>,
    requested: String,
    next_attempt: Option<Moment>,
    attempts: Vec<Try>,
    outcomes: Vec<(String, String, bool)>,
    next: Option<String>,
    counted: Option<Counted>,
    done: Option<&'static str>,
}

/// An event that is being tried.
struct Waiting {
    sequence: u64,
    sends: u32,
    last: Option<String>,
    status: Option<u16>,
    next: Option<Moment>,
}

/// `GET /subscriptions/{id}`
pub(super) async fn show<B: Bus>(
    State(app): State<App<B>>,
    frame: Frame,
    Path(id): Path,
    Query(query): Query<ShowQuery>,
) -> Result<Html<String>, Problem> {
    html(&page(&app, frame, &id, query).await?)
}

/// `POST /subscriptions/{id}/test`
pub(super) async fn test<B: Bus>(
    state: State<App<B>>,
    Path(id): Path,
) -> Result<Redirect, Problem> {
    let _ = requests::test(state, Path(id.clone()), Once(None)).await?;
    Ok(back(&id, "test"))
}

/// `POST /subscriptions/{id}/pause`
pub(super) async fn pause<B: Bus>(
    state: State<App<B>>,
    Path(id): Path,
) -> Result<Redirect, Problem> {
    let _ = requests::pause(state, Path(id.clone())).await?;
    Ok(back(&id, "pause"))
}

/// `POST /subscriptions/{id}/resume`
pub(super) async fn resume<B: Bus>(
    state: State<App<B>>,
    Path(id): Path,
) -> Result<Redirect, Problem> {
    let _ = requests::resume(state, Path(id.clone())).await?;
    Ok(back(&id, "resume"))
}

/// `POST /subscriptions/{id}/rotate`: the new secret is on the page that answers, and never again.
pub(super) async fn rotate<B: Bus>(
    state: State<App<B>>,
    frame: Frame,
    Path(id): Path,
) -> Result<Html<String>, Problem> {
    let usual = Optional(rotate::Wanted::default());
    let (_, axum::Json(answer)) =
        rotate::rotate(state, Path(id.clone()), Once(None), usual).await?;
    let secret = answer["secret"].as_str().map(str::to_owned);
    let secret = secret.ok_or_else(|| broken("the key was turned and its secret is not known"))?;
    html(&Secret { frame, id, secret, turned: true })
}

/// `POST /subscriptions/{id}/replay`: counts first, and sends where that was seen.
pub(super) async fn again<B: Bus>(
    State(app): State<App<B>>,
    frame: Frame,
    Path(id): Path,
    Form(again): Form<Again>,
) -> Result<Response, Problem> {
    let sure = again.sure.is_some();
    let asked = serde_json::from_value::<replay::Written>(again.written());
    let asked = asked.map_err(|_| broken("the form could not be read"))?;
    let answered =
        replay::replay(State(app.clone()), Path(id.clone()), Once(None), Json(asked)).await;
    let (_, axum::Json(answer)) = answered?;
    if sure {
        return Ok(back(&id, "replay").into_response());
    }
    let counted = Counted {
        since: again.since,
        only_failed: again.only_failed.is_some(),
        events: answer.events,
        first: answer.from_sequence,
        last: answer.to_sequence,
    };
    let page = page(&app, frame, &id, ShowQuery::default()).await?;
    Ok(html(&Page { counted: Some(counted), ..page })?.into_response())
}

impl Again {
    /// As the API takes it: a number is a sequence, else it is a time.
    fn written(&self) -> Value {
        let since = self.since.trim();
        let mut written = Map::new();
        match since.parse::<u64>() {
            Ok(sequence) => written.insert("from_sequence".to_owned(), json!(sequence)),
            Err(_) => written.insert("since".to_owned(), json!(since)),
        };
        written.insert("only_failed".to_owned(), json!(self.only_failed.is_some()));
        written.insert("dry_run".to_owned(), json!(self.sure.is_none()));
        Value::Object(written)
    }
}

fn back(id: &str, done: &str) -> Redirect {
    Redirect::to(&format!("/subscriptions/{id}?done={done}"))
}

async fn page<B: Bus>(
    app: &App<B>,
    frame: Frame,
    id: &str,
    query: ShowQuery,
) -> Result<Page, Problem> {
    let (subscription, _) = subscriptions::find(app, id).await?;
    let record = subscriptions::record_of(app, &subscription).await?;
    let shown = subscriptions::shown(&subscription, record, frame.now);
    let subject = names::attempt(&subscription.id);
    let newest = Look::new(Stream::Attempts, subject.clone(), None, Some(LOOKED_AT))?;
    let mut success = Success::default();
    newest
        .page(app, |stored| attempts::of(stored, None))
        .await?
        .found
        .iter()
        .for_each(|attempt| success.count(attempt));
    let outcome = choice::<Outcome>("?outcome", &query.outcome)?;
    let look = Look::new(Stream::Attempts, subject, query.cursor.as_deref(), Some(PAGE))?;
    let listed = look.page(app, |stored| attempts::of(stored, outcome)).await?;
    let end = app.bus.end(Stream::Events).await?;
    let now = frame.now;
    let next = listed
        .next
        .map(|cursor| format!("/subscriptions/{id}?outcome={}&cursor={cursor}", query.outcome));
    let page = Page::of(&shown, frame, end);
    Ok(Page {
        rate: success.rate(),
        p95: success.p95(),
        attempts: listed.found.into_iter().map(|attempt| Try::of(attempt, now)).collect(),
        outcomes: outcomes(outcome),
        next,
        done: query.done.as_deref().and_then(said),
        ..page
    })
}

fn outcomes(chosen: Option<Outcome>) -> Vec<(String, String, bool)> {
    let one =
        |outcome: &Outcome| (outcome.as_str().to_owned(), word(outcome), chosen == Some(*outcome));
    OUTCOMES.iter().map(one).collect()
}

/// What was done, in words.
fn said(done: &str) -> Option<&'static str> {
    match done {
        "test" => Some("A test.ping is on its way: reload to see how it went."),
        "pause" => Some("Paused: nothing is sent, everything is kept."),
        "resume" => Some("Resumed: what waits is sent in order."),
        "replay" => Some("It is sent again, in order."),
        _ => None,
    }
}

impl Page {
    fn of(shown: &Shown, frame: Frame, end: u64) -> Self {
        let at = |time| Moment::new(time, frame.now);
        let delivery = shown.delivery.as_ref();
        let waiting = delivery.map(|delivery| {
            let one = |one: &Outstanding| Waiting {
                sequence: one.sequence,
                sends: one.sends,
                last: one.last.as_ref().map(word),
                status: one.status,
                next: one.next_attempt.map(at),
            };
            delivery.outstanding.iter().map(one).collect()
        });
        let replay = delivery.and_then(|delivery| delivery.replay.as_ref());
        Self {
            id: shown.id.to_string(),
            about: Words::plain(shown.description.as_deref().unwrap_or_default()),
            url: Words::plain(&shown.url),
            facts: facts(shown),
            created: at(shown.created_at),
            standing: Standing::of(shown, &frame),
            paused: shown.paused || delivery.is_some_and(|delivery| delivery.why.is_some()),
            managed: shown.name.as_ref().map(|name| Words::plain(name.as_str())),
            rate: None,
            p95: None,
            behind: delivery.map_or(0, |delivery| end.saturating_sub(delivery.cursor)),
            sequence: delivery.map_or(0, |delivery| delivery.sequence),
            waiting: waiting.unwrap_or_default(),
            gaps: delivery.map(|delivery| delivery.gaps.clone()).unwrap_or_default(),
            given_up: delivery.map_or(0, |delivery| delivery.given_up),
            replay: replay
                .map(|one| format!("{} of {} to {}", one.done, one.from_sequence, one.to_sequence)),
            requested: shown.requested.join(", "),
            next_attempt: delivery.and_then(|delivery| delivery.next_attempt).map(at),
            attempts: Vec::new(),
            outcomes: Vec::new(),
            next: None,
            counted: None,
            done: None,
            frame,
        }
    }
}

fn facts(shown: &Shown) -> Vec<(&'static str, Words)> {
    let filter = &shown.filter;
    let list = |all: Vec<String>, none: &str| {
        Words::plain(&if all.is_empty() { none.to_owned() } else { all.join(", ") })
    };
    let topics = Vec::<String>::from(filter.topics.clone());
    let keys = filter.keys.iter().map(ToString::to_string).collect();
    let langs = filter.langs.iter().map(ToString::to_string).collect();
    let least = filter.min_severity.as_ref().map(word);
    vec![
        ("Topics", list(topics, "")),
        ("Least severity", Words::plain(least.as_deref().unwrap_or("any"))),
        ("Keys", list(keys, "all")),
        ("Languages", list(langs, "all")),
        ("At once", Words::plain(&shown.max_in_flight.get().to_string())),
        ("Time to live", Words::plain(shown.ttl.as_deref().unwrap_or("by severity"))),
        ("Headers", list(shown.headers.clone(), "none")),
        ("Login", Words::plain(shown.auth.unwrap_or("none"))),
        ("Signing keys", Words::plain(&shown.signing.keys.to_string())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_counted_before_it_is_made() {
        for (since, sure, wanted) in [
            ("2h", None, json!({"since": "2h", "only_failed": false, "dry_run": true})),
            (" 17 ", None, json!({"from_sequence": 17, "only_failed": false, "dry_run": true})),
            (
                "17",
                Some("yes"),
                json!({"from_sequence": 17, "only_failed": false, "dry_run": false}),
            ),
        ] {
            let sure = sure.map(str::to_owned);
            let again = Again { since: since.to_owned(), only_failed: None, sure };
            assert_eq!(again.written(), wanted, "{since}");
        }
    }

    #[test]
    fn nothing_of_an_address_is_told_as_done_but_what_can_be() {
        assert!(said("pause").is_some());
        assert_eq!(said("<b>everything</b>"), None);
    }
}
