//! Clients of the API: push, alerts, healthcheck.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::cli::Invocation;
use crate::cli::args;
use crate::cli::client::Client;
use crate::cli::exit::Failure;
use crate::cli::local::read_file;
use crate::cli::progress;
use crate::cli::table::Shape;
use crate::cli::table::Table;
use crate::cli::table::column;
use crate::feed::cap;
use crate::telemetry::Progress;

/// How long `push` waits for what the rules make of an article.
const VERDICT_WAIT: Duration = Duration::from_secs(10);
const VERDICT_PAUSE: Duration = Duration::from_millis(50);
/// Id, status, severity, topic and key, title, marks.
const ALERTS: Shape = Shape {
    columns: &[column(); 6],
    steps: &[(4, 24), (2, 0), (3, 16), (4, 12), (3, 8), (4, 8), (3, 0)],
};

pub(super) async fn push(args: args::Push, with: &Invocation) -> Result<(), Failure> {
    let client = Client::new(args.api.api.as_deref(), with)?;
    let path = if args.as_new { "/v1/articles?as_new=true" } else { "/v1/articles" };
    let mut refused = false;
    let progress = Progress::default();
    progress.expect(args.files.len());
    let _shown = progress::show(&progress, "files", with.output);
    for file in &args.files {
        let bytes = read_file(file)?;
        let body = Some((content_type(file, &bytes), Bytes::from(bytes)));
        let answer = client.ask(Method::POST, path, body).await?.json()?;
        for one in list(&answer, "accepted") {
            let became = became(&client, one, args.no_wait).await?;
            with.output.print(&became, || told(file, &became));
        }
        for one in list(&answer, "rejected") {
            refused = true;
            with.output.print(one, || {
                let errors: Vec<String> = list(one, "errors")
                    .iter()
                    .map(|e| format!("{} {}", text(e, "pointer"), text(e, "message")))
                    .collect();
                format!("{} #{}: refused: {}", file.display(), one["index"], errors.join("; "))
            });
        }
        progress.step(1);
    }
    if refused { Err(Failure::silent(1)) } else { Ok(()) }
}

/// What the rules made of an accepted article, once they have read it.
async fn became(client: &Client, accepted: &Value, no_wait: bool) -> Result<Value, Failure> {
    let mut became = accepted.clone();
    if no_wait || text(accepted, "status") == "known" {
        return Ok(became);
    }
    let path = format!("/v1/articles/{}?explain=true", text(accepted, "id"));
    let until = Instant::now() + VERDICT_WAIT;
    loop {
        let article = client.json(Method::GET, &path, None).await?;
        if article["explained"] == json!(true) || Instant::now() >= until {
            for part in ["explained", "decisions"] {
                became[part] = article[part].clone();
            }
            return Ok(became);
        }
        tokio::time::sleep(VERDICT_PAUSE).await;
    }
}

fn told(file: &Path, became: &Value) -> String {
    let mut line = format!("{}: {} {}", file.display(), text(became, "status"), text(became, "id"));
    if became["explained"] == json!(false) {
        line.push_str(", not yet read by the rules");
    }
    for decision in list(became, "decisions") {
        let effect = match &decision["effect"] {
            Value::String(word) => word.clone(),
            other => text(other, "event").trim_start_matches("alert.").to_owned(),
        };
        line.push_str(&format!(
            ", {effect} {} ({})",
            text(decision, "rule"),
            text(decision, "key")
        ));
    }
    line
}

pub(super) fn content_type(file: &Path, bytes: &[u8]) -> &'static str {
    match file.extension().and_then(|e| e.to_str()) {
        Some("jsonl" | "ndjson") => "application/x-ndjson",
        Some("json") => "application/json",
        Some("txt") => "text/plain",
        Some("cap" | "xml") => "application/cap+xml",
        _ if cap::begins(bytes) => "application/cap+xml",
        _ => match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
            Some(b'{') => "application/x-ndjson",
            Some(b'[') => "application/json",
            _ => "text/plain",
        },
    }
}

pub(super) async fn alerts(args: args::Alerts, with: &Invocation) -> Result<(), Failure> {
    let client = Client::new(args.api.api.as_deref(), with)?;
    match args.action {
        args::AlertsAction::List { topic, status } => {
            let mut path = "/v1/alerts?limit=1000".to_owned();
            for (name, value) in [("topic", topic), ("status", status)] {
                if let Some(value) = value {
                    let mut pair = url::form_urlencoded::Serializer::new(String::new());
                    path.push_str(&format!("&{}", pair.append_pair(name, &value).finish()));
                }
            }
            let all = client.json(Method::GET, &path, None).await?;
            with.output.rows(&mut Table::new(ALERTS), list(&all, "data"), alert_cells);
        }
        args::AlertsAction::Show { id } => {
            let one = client.json(Method::GET, &format!("/v1/alerts/{id}"), None).await?;
            with.output.print(&one, || alert_text(&one));
        }
        args::AlertsAction::End(decision) => decide(&client, "end", &decision, with).await?,
        args::AlertsAction::Retract(decision) => {
            decide(&client, "retract", &decision, with).await?;
        }
    }
    Ok(())
}

async fn decide(
    client: &Client,
    what: &str,
    decision: &args::Decision,
    with: &Invocation,
) -> Result<(), Failure> {
    let id = &decision.id;
    let by = decision.by.clone().or_else(|| with.env.get("USER").cloned());
    let body = json!({"reason": decision.reason, "by": by});
    let path = format!("/v1/alerts/{id}/{what}");
    let said = client.json(Method::POST, &path, Some(&body)).await?;
    with.output
        .print(&said, || format!("{what} of {id} is recorded as {}", text(&said, "article")));
    Ok(())
}

fn alert_cells(one: &Value) -> Vec<String> {
    let t = |name| text(one, name).to_owned();
    let marks = marks(text(one, "nature"), text(one, "mode"));
    vec![t("id"), t("status"), t("severity"), subject(one), t("title"), marks]
}

/// Topic and key of an alert.
pub(super) fn subject(alert: &Value) -> String {
    format!("{} ({})", text(alert, "topic"), text(alert, "key"))
}

/// An alert as the first line of what there is to say of it.
pub(super) fn alert_line(one: &Value) -> String {
    let mut cells = alert_cells(one);
    cells.retain(|cell| !cell.is_empty());
    cells.join("  ")
}

/// What sets an alert apart from one that is meant and told.
pub(super) fn marks(nature: &str, mode: &str) -> String {
    let unusual = [(nature, "actual"), (mode, "live")].into_iter();
    let unusual = unusual.filter(|(word, usual)| !word.is_empty() && word != usual);
    let marks: Vec<String> = unusual.map(|(word, _)| format!("[{word}]")).collect();
    marks.join("  ")
}

/// A line with marks at its end.
pub(super) fn marked(line: String, marks: &str) -> String {
    if marks.is_empty() { line } else { format!("{line}  {marks}") }
}

/// The words that were found, each on a line of its own.
pub(super) fn evidence_text(of: &Value, indent: usize) -> String {
    let mut out = String::new();
    for evidence in list(of, "evidence") {
        let (field, quote) = (text(evidence, "field"), text(evidence, "text"));
        let term = text(evidence, "term");
        out.push_str(&format!("\n{:indent$}{field} \"{quote}\" by {term}", ""));
        if let Some(lang) = evidence["lang"].as_str() {
            out.push_str(&format!(" in its text in {lang}"));
        }
    }
    out
}

/// The languages of a message in which nothing was found, where something was in another.
pub(super) fn silence_text(article: &Value) -> String {
    let silent = list(article, "silent_langs").iter().filter_map(Value::as_str);
    let silent: Vec<&str> = silent.collect();
    if silent.is_empty() {
        return String::new();
    }
    format!("\n      nothing was found in its text in {}", silent.join(", "))
}

fn alert_text(one: &Value) -> String {
    let mode = list(one, "events").first().map(|event| text(event, "mode")).unwrap_or_default();
    let mut out = marked(alert_line(&one["alert"]), &marks("", mode));
    for event in list(one, "events") {
        let kind = text(event, "type");
        out.push_str(&format!("\n  {} {kind} #{}", text(event, "timestamp"), event["number"]));
        if let Some(reason) = event["reason"].as_str() {
            out.push_str(&format!(" ({reason})"));
        }
        for article in list(event, "articles") {
            out.push_str(&format!("\n    {}: {}", text(article, "source"), text(article, "title")));
            out.push_str(&evidence_text(article, 6));
            out.push_str(&silence_text(article));
        }
    }
    for told in list(one, "told") {
        let count = |name| list(told, name).len();
        out.push_str(&format!(
            "\n  {}: {} told, {} waiting",
            text(told, "subscription"),
            count("settled"),
            count("waiting")
        ));
    }
    out
}

pub(super) async fn healthcheck(args: args::Healthcheck, with: &Invocation) -> Result<(), Failure> {
    let client = Client::new(args.api.as_deref(), with)?;
    let answer = client.ask(Method::GET, "/readyz?verbose", None).await?;
    with.output.raw_json(String::from_utf8_lossy(&answer.body).trim_end());
    if answer.status.is_success() { Ok(()) } else { Err(Failure::silent(1)) }
}

pub(super) fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
