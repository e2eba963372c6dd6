//! The newest alerts, and one line of the list for those who look on.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::TryStreamExt;
use futures_util::stream;
use serde::Deserialize;
use url::form_urlencoded;

use crate::api::App;
use crate::api::history;
use crate::api::history::Past;
use crate::api::index::Known;
use crate::api::page;
use crate::api::pages::Frame;
use crate::api::pages::html;
use crate::api::pages::words::Moment;
use crate::api::pages::words::Words;
use crate::api::pages::words::choice;
use crate::api::pages::words::web;
use crate::api::pages::words::word;
use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::bus::Bus;
use crate::bus::Stream;
use crate::model::Event;
use crate::model::Evidence;
use crate::model::Mode;
use crate::model::Nature;
use crate::model::Severity;
use crate::model::Time;
use crate::model::event::AlertView;
use crate::model::event::EventArticle;
use crate::model::event::Status;
use crate::model::matching::Field;
use crate::model::names;

/// Alerts of a page.
const PAGE: usize = 50;
/// Events looked up at once.
const LOOKUPS: usize = 16;

/// What the list is cut down to, as the address has it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ListQuery {
    topic: String,
    status: String,
    severity: String,
    q: String,
    cursor: String,
}

/// The same, checked.
#[derive(Default)]
struct Wanted {
    topic: String,
    status: Option<Status>,
    severity: Option<Severity>,
    /// In small letters.
    text: String,
}

/// What an article was quoted for.
pub(super) struct Quote {
    pub(super) term: String,
    pub(super) words: Words,
}

/// An alert as a line of the list.
pub(super) struct Row {
    id: String,
    title: Words,
    topic: String,
    key: Words,
    rule: String,
    severity: String,
    status: String,
    confirmation: String,
    sources: u32,
    events: u32,
    nature: Option<&'static str>,
    shadow: bool,
    opened: Moment,
    updated: Moment,
    excerpt: Words,
    quotes: Vec<Quote>,
    source: Words,
    link: Option<String>,
}

#[derive(Template)]
#[template(path = "alerts.html", config = "src/api/pages/askama.toml")]
struct Page {
    frame: Frame,
    query: ListQuery,
    topics: Vec<String>,
    rows: Vec<Row>,
    /// Where the next page is.
    next: Option<String>,
    /// Position of the log that the list is true at.
    position: u64,
}

#[derive(Template)]
#[template(path = "row.html", config = "src/api/pages/askama.toml")]
struct Line {
    row: Row,
}

impl Wanted {
    fn read(query: &ListQuery) -> Result<Self, Problem> {
        Ok(Self {
            topic: query.topic.clone(),
            status: choice("?status", &query.status)?,
            severity: choice("?severity", &query.severity)?,
            text: query.q.trim().to_lowercase(),
        })
    }

    fn fits(&self, view: &AlertView) -> bool {
        let says = |text: &str| text.to_lowercase().contains(&self.text);
        (self.topic.is_empty() || self.topic == view.topic.as_str())
            && self.status.is_none_or(|status| status == view.status)
            && self.severity.is_none_or(|least| view.severity >= least)
            && (self.text.is_empty()
                || says(&view.title)
                || says(view.key.as_str())
                || says(view.topic.as_str()))
    }
}

impl ListQuery {
    /// The address of what comes after a position.
    fn after(&self, position: u64) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        let given = [
            ("topic", &self.topic),
            ("status", &self.status),
            ("severity", &self.severity),
            ("q", &self.q),
        ];
        given.into_iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| {
            pairs.append_pair(name, value);
        });
        pairs.append_pair("cursor", &position.to_string());
        format!("/alerts?{}", pairs.finish())
    }
}

/// `GET /alerts`
pub(super) async fn list<B: Bus>(
    State(app): State<App<B>>,
    frame: Frame,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let wanted = Wanted::read(&query)?;
    let before = match query.cursor.as_str() {
        "" => u64::MAX,
        given => given.parse().map_err(|_| page::bad_cursor())?,
    };
    // Taken before the list: what changes in between is told again rather than missed.
    let position = app.bus.end(Stream::Events).await?;
    let fitting = app.index.before(before).into_iter().filter(|known| wanted.fits(&known.view));
    let mut found: Vec<Known> = fitting.take(PAGE + 1).collect();
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let next = found.last().filter(|_| more).map(|last| query.after(last.position));
    let now = frame.now;
    let lookups = found.into_iter().map(|known| look_up(app.clone(), known, now));
    let rows: Vec<Row> = stream::iter(lookups).buffered(LOOKUPS).try_collect().await?;
    let topics = app.settings.rules.load().topics().into_iter().map(String::from).collect();
    let page = Page { frame, query, topics, rows, next, position };
    Ok(html(&page)?.into_response())
}

/// An alert with the article that opened it.
async fn look_up<B: Bus>(app: App<B>, known: Known, now: Time) -> Result<Row, Problem> {
    let subject = names::event(&known.view.topic, &known.view.id, 1);
    let first = app.bus.last(Stream::Events, &subject).await?;
    let first = first.and_then(|stored| serde_json::from_slice::<Event>(&stored.payload).ok());
    let article = first.as_ref().and_then(|event| event.articles.last());
    Ok(Row::of((&known.view, known.mode, known.events), article, now))
}

/// `GET /alerts/{id}/row`: 204 where it is not among what the address asks for.
pub(super) async fn row<B: Bus>(
    State(app): State<App<B>>,
    frame: Frame,
    Path(id): Path,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let wanted = Wanted::read(&query)?;
    let Past { view, mode, events } = history::past(&app, &id).await?;
    if !wanted.fits(&view) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let article = events.first().and_then(|first| first.event.articles.last());
    let number = events.last().map_or(0, |last| last.event.number);
    let row = Row::of((&view, mode, number), article, frame.now);
    Ok(html(&Line { row })?.into_response())
}

impl Row {
    fn of(
        (view, mode, events): (&AlertView, Mode, u32),
        article: Option<&EventArticle>,
        now: Time,
    ) -> Self {
        let evidence = article.map_or(&[][..], |article| &article.evidence);
        let same = article.is_some_and(|article| article.title == view.title);
        Self {
            id: view.id.to_string(),
            title: if same {
                Words::marked(&view.title, Field::Title, evidence)
            } else {
                Words::plain(&view.title)
            },
            topic: view.topic.to_string(),
            key: Words::plain(view.key.as_str()),
            rule: view.rule.to_string(),
            severity: word(&view.severity),
            status: word(&view.status),
            confirmation: word(&view.confirmation),
            sources: view.independent_sources,
            events,
            nature: (view.nature != Nature::Actual).then(|| view.nature.as_str()),
            shadow: mode == Mode::Shadow,
            opened: Moment::new(view.opened_at, now),
            updated: Moment::new(view.updated_at, now),
            excerpt: article.map(excerpt).unwrap_or_default(),
            quotes: quotes(evidence),
            source: article.map(|a| Words::plain(a.source.as_str())).unwrap_or_default(),
            link: article.and_then(|article| web(article.url.as_deref())),
        }
    }
}

/// The beginning of an article's text with its evidence marked.
pub(super) fn excerpt(article: &EventArticle) -> Words {
    Words::marked(&article.excerpt, Field::Body, &article.evidence)
}

/// What was quoted, and for which item of the rule.
pub(super) fn quotes(evidence: &[Evidence]) -> Vec<Quote> {
    let quote = |one: &Evidence| Quote {
        term: one.term.clone(),
        words: Words::marked(
            &one.text,
            one.field,
            &[Evidence { start: 0, end: one.end.saturating_sub(one.start), ..one.clone() }],
        ),
    };
    evidence.iter().map(quote).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> AlertView {
        serde_json::from_value(serde_json::json!({
            "id": format!("alr_{}", "a".repeat(26)), "rule": "siren", "topic": "air-raid-alert",
            "key": "odesa", "title": "Sirens in Odesa", "severity": "warning", "status": "open",
            "nature": "actual", "confirmation": "confirmed", "independent_sources": 2,
            "opened_at": "2026-01-18T22:05:02.114Z", "updated_at": "2026-01-18T22:05:02.114Z",
            "ended_at": null,
        }))
        .unwrap()
    }

    #[test]
    fn the_address_says_which_alerts_are_listed() {
        let query = |text: &str| -> ListQuery { serde_urlencoded(text) };
        for (text, fits) in [
            ("", true),
            ("topic=air-raid-alert&status=open&severity=info&q=SIREN", true),
            ("q=odesa", true),
            ("severity=critical", false),
            ("status=ended", false),
            ("topic=other", false),
            ("q=kyiv", false),
        ] {
            assert_eq!(Wanted::read(&query(text)).unwrap().fits(&view()), fits, "{text}");
        }
        assert!(Wanted::read(&query("status=nothing")).is_err());
        let query = query("topic=a&q=b+%26+c&cursor=9");
        assert_eq!(query.after(4), "/alerts?topic=a&q=b+%26+c&cursor=4");
    }

    fn serde_urlencoded(text: &str) -> ListQuery {
        let uri = format!("/?{text}").parse().unwrap();
        axum::extract::Query::try_from_uri(&uri).unwrap().0
    }

    #[test]
    fn a_line_tells_an_alert_without_its_colour_and_with_its_evidence() {
        let evidence = serde_json::json!([{"field": "title", "start": 0, "end": 6,
            "text": "Sirens", "term": "any[0]"}]);
        let article = serde_json::from_value(serde_json::json!({
            "id": format!("art_{}", "a".repeat(26)), "revision": 1, "source": "harbour-post",
            "url": "javascript:alert(1)", "title": "Sirens in Odesa", "lang": "en",
            "excerpt": "<b>Heard</b>", "published_at": null,
            "first_seen_at": "2026-01-18T22:05:02.114Z", "evidence": evidence,
        }))
        .unwrap();
        let now = view().updated_at;
        let row = Row::of((&view(), Mode::Shadow, 3), Some(&article), now);
        let line = Line { row }.render().unwrap();
        for wanted in ["<mark>Sirens</mark> in Odesa", "&lt;b&gt;Heard", "warning", "shadow"] {
            assert!(line.contains(wanted), "{wanted} in {line}");
        }
        assert!(!line.contains("javascript:"), "{line}");
    }
}
