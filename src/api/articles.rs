//! Articles in, and what became of them.

use std::collections::BTreeSet;

use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::backward::Look;
use crate::api::condition::Tag;
use crate::api::history;
use crate::api::live;
use crate::api::problem::Fault;
use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::api::problem::body;
use crate::api::problem::content_type;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::feed;
use crate::feed::Draft;
use crate::feed::Form;
use crate::feed::Rejected;
use crate::feed::charset;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::SourceId;
use crate::model::Time;
use crate::model::TraceContext;
use crate::model::Verdict;
use crate::model::id::SHARDS;
use crate::model::id::shard_of;
use crate::model::names;
use crate::model::trace::TRACEPARENT;
use crate::source;
use crate::source::Origin;
use crate::telemetry::traces::Kind;
use crate::text::sentence::excerpt;

/// Most articles of one request.
const MAX_ARTICLES: usize = 10_000;
/// Longest excerpt in the list.
const EXCERPT_CHARS: usize = 280;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PushQuery {
    #[serde(default)]
    as_new: bool,
}

/// `POST /v1/articles`: what is accepted is durable.
pub(super) async fn push<B: Bus>(
    State(app): State<App<B>>,
    Query(query): Query<PushQuery>,
    request: Request,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let incoming = trace(request.headers());
    let mut span = app.settings.tracer.begin(Kind::Server, "POST /v1/articles", incoming);
    let origin = Origin { trace: span.context(), ..Origin::push(query.as_new) };
    let answer = take(&app, &origin, request).await;
    span.note(|span| {
        let status = match &answer {
            Ok((status, _)) => *status,
            Err(problem) => problem.status(),
        };
        span.text("http.request.method", "POST");
        span.text("http.route", "/v1/articles");
        span.text("url.path", "/v1/articles");
        span.text("url.scheme", "http");
        span.number("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.text("error.type", status.as_str());
            span.error = Some("the articles were not taken".to_owned());
        }
    });
    span.end();
    answer
}

async fn take<B: Bus>(
    app: &App<B>,
    origin: &Origin,
    request: Request,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let read = drafts(app, request).await?;
    if read.len() > MAX_ARTICLES {
        let detail = format!("at most {MAX_ARTICLES} articles a request: send them in parts");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let (mut drafts, mut places, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
    for (index, one) in read.into_iter().enumerate() {
        match one {
            Ok(draft) => {
                drafts.push(draft);
                places.push(index);
            }
            Err(refused) => {
                let errors: Vec<Value> = refused
                    .errors
                    .iter()
                    .map(|e| json!({"pointer": e.pointer, "message": e.message}))
                    .collect();
                rejected.push(json!({"index": index, "line": refused.line, "errors": errors}));
            }
        }
    }
    let now = Time::from_millis(app.settings.clock.now_ms());
    let answers = source::publish_all(&app.bus, origin, drafts, now).await?;
    let mut accepted = Vec::new();
    for (index, answer) in places.into_iter().zip(answers) {
        match answer {
            Ok(taken) => accepted.push(json!({
                "id": taken.id, "revision": taken.revision, "status": taken.status.as_str(),
            })),
            Err(reason) => rejected.push(json!({
                "index": index, "errors": [{"pointer": "", "message": reason.to_string()}],
            })),
        }
    }
    let nothing = accepted.is_empty() && !rejected.is_empty();
    let status = if nothing { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::ACCEPTED };
    Ok((status, axum::Json(json!({"accepted": accepted, "rejected": rejected}))))
}

/// The trace that a request belongs to, where it says so once and as the standard has it.
fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let mut given = headers.get_all(TRACEPARENT).iter();
    let one = given.next().filter(|_| given.next().is_none())?;
    one.to_str().ok()?.parse().ok()
}

async fn drafts<B: Bus>(
    app: &App<B>,
    request: Request,
) -> Result<Vec<Result<Draft, Rejected>>, Problem> {
    let form = form(&request)?;
    let charset = charset(&request);
    let bytes = body(request, app).await?;
    let read = move || feed::read_articles(&bytes, form, charset.as_deref());
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "reading the articles failed"))
}

/// The one article that a request holds.
pub(super) async fn one_draft<B: Bus>(app: &App<B>, request: Request) -> Result<Draft, Problem> {
    let mut read = drafts(app, request).await?;
    let wrong = |message: String| Problem::invalid(vec![Fault::new("", message)]);
    match (read.pop(), read.is_empty()) {
        (Some(Ok(draft)), true) => Ok(draft),
        (Some(Err(refused)), true) => Err(wrong(refused.to_string())),
        _ => Err(wrong("send exactly one article".to_owned())),
    }
}

fn form(request: &Request) -> Result<Form, Problem> {
    let kind = content_type(request.headers()).unwrap_or_default();
    match kind.as_str() {
        "text/plain" => Ok(Form::Text),
        "application/cap+xml" => Ok(Form::Cap),
        "application/json"
        | "application/x-ndjson"
        | "application/jsonl"
        | "application/ndjson" => Ok(Form::Json),
        other => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!(
                "{other:?} is not taken: send application/json, application/x-ndjson, text/plain or application/cap+xml"
            ),
        )),
    }
}

fn charset(request: &Request) -> Option<String> {
    let value = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    charset::label(value).map(str::to_owned)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    source: Option<SourceId>,
    /// For those who listen: the last position that is known.
    after: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

/// `GET /v1/articles`: revisions, the last received first, without their bodies; or with `Accept:
/// text/event-stream` live.
pub(super) async fn list<B: Bus>(
    State(app): State<App<B>>,
    headers: HeaderMap,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let source = query.source.map_or_else(|| "*".to_owned(), |s| names::encode(s.as_str()));
    let filter = format!("wb.article.{source}.*");
    let after = live::position(&app, Stream::Articles, &headers, query.after.as_deref()).await?;
    if live::wanted(&headers) {
        let tell = |stored: &Stored| Some(("article", listed(stored)?));
        return live::listen(&app, (Stream::Articles, filter), after, tell).await;
    }
    let look = Look::new(Stream::Articles, filter, query.cursor.as_deref(), query.limit)?;
    Ok(look.page(&app, listed).await?.json().into_response())
}

fn listed(stored: &Stored) -> Option<Value> {
    let article = serde_json::from_slice::<Article>(&stored.payload).ok()?;
    let excerpt = excerpt(&article.body, EXCERPT_CHARS);
    let mut shown = json!(article);
    let fields = shown.as_object_mut()?;
    fields.remove("body");
    fields.insert("excerpt".to_owned(), json!(excerpt));
    Some(shown)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowQuery {
    #[serde(default)]
    explain: bool,
}

/// `GET /v1/articles/{id}`
pub(super) async fn show<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
    Query(query): Query<ShowQuery>,
) -> Result<Response, Problem> {
    let unknown = || Problem::not_found("article", &id);
    let id = ArticleId::new(id.clone()).map_err(|_| unknown())?;
    let stored =
        history::read(&app, Stream::Articles, From::Start, format!("wb.article.*.{id}")).await?;
    let revisions: Vec<(u64, Article)> = stored
        .iter()
        .filter_map(|s| Some((s.seq, serde_json::from_slice(&s.payload).ok()?)))
        .collect();
    let Some((seq, article)) = revisions.last() else { return Err(unknown()) };
    let first = revisions.first().map_or(0, |(seq, _)| *seq);
    let mut shown = json!(article);
    if let Some(shown) = shown.as_object_mut() {
        let all: Vec<&Article> = revisions.iter().map(|(_, article)| article).collect();
        shown.insert("revisions".to_owned(), json!(all));
        if query.explain {
            let (matches, decisions, shards) = explain(&app, &id, article.revision).await?;
            // A CAP message moves the alerts that it refers to, whatever matches in it.
            let is_known = article.cap.is_none() && moved(&app, article).is_subset(&shards);
            let explained = is_known || rules_have_read(&app, *seq).await?;
            shown.insert("explained".to_owned(), json!(explained));
            shown.insert("matches".to_owned(), json!(matches));
            shown.insert("decisions".to_owned(), json!(decisions));
        }
    }
    if query.explain {
        return Ok(axum::Json(shown).into_response());
    }
    // Revisions are added at one end and go at the other.
    let tag = Tag::of_numbers(&[*seq, first]);
    Ok((tag.header(), axum::Json(shown)).into_response())
}

async fn explain<B: Bus>(
    app: &App<B>,
    id: &ArticleId,
    revision: u32,
) -> Result<(Vec<Value>, Vec<Value>, BTreeSet<u16>), Problem> {
    let (mut matches, mut decisions, mut shards) = (Vec::new(), Vec::new(), BTreeSet::new());
    let filter = format!("wb.verdict.{id}.{revision}.*");
    for stored in history::read(app, Stream::Verdicts, From::Start, filter).await? {
        let Ok(verdict) = serde_json::from_slice::<Verdict>(&stored.payload) else { continue };
        matches.extend(verdict.matches.iter().map(|m| json!(m)));
        decisions.extend(verdict.decisions.iter().map(|d| json!(d)));
        shards.extend(stored.subject.rsplit('.').next().and_then(|n| n.parse::<u16>().ok()));
    }
    Ok((matches, decisions, shards))
}

/// The shards whose alerts an article moves: each writes a verdict of its own.
fn moved<B: Bus>(app: &App<B>, article: &Article) -> BTreeSet<u16> {
    let matches = app.settings.rules.load().matches(article);
    let targets = matches.iter().flat_map(|m| &m.targets);
    targets.map(|target| shard_of(target.rule.as_str())).collect()
}

/// Whether every rules shard has gone past a position, by the cursors in the leases.
pub(super) async fn rules_have_read<B: Bus>(app: &App<B>, seq: u64) -> Result<bool, Problem> {
    let leases = app.bus.list(Bucket::Leases, "rules").await?;
    let cursor = |value: &[u8]| {
        let lease: Value = serde_json::from_slice(value).ok()?;
        lease["cursor"].as_u64()
    };
    let cursors: Vec<u64> =
        leases.entries.iter().filter_map(|e| cursor(e.value.as_ref()?)).collect();
    Ok(cursors.len() >= usize::from(SHARDS) && cursors.iter().all(|c| *c >= seq))
}
