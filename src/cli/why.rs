//! Commands that explain the past: why, why-not.

use std::path::Path;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use crate::cli::Invocation;
use crate::cli::args;
use crate::cli::client::Client;
use crate::cli::exit::Failure;
use crate::cli::local::read_file;
use crate::cli::remote::alert_line;
use crate::cli::remote::content_type;
use crate::cli::remote::evidence_text;
use crate::cli::remote::list;
use crate::cli::remote::marked;
use crate::cli::remote::marks;
use crate::cli::remote::silence_text;
use crate::cli::remote::text;

pub(super) async fn why(args: args::Why, with: &Invocation) -> Result<(), Failure> {
    let client = Client::new(args.api.api.as_deref(), with)?;
    let path = format!("/v1/alerts/{}/why", args.alert);
    let why = client.json(Method::GET, &path, None).await?;
    with.output.print(&why, || why_text(&why));
    Ok(())
}

/// A file is compared with what is there; a text that is no file is an id or a URL.
pub(super) async fn why_not(args: args::WhyNot, with: &Invocation) -> Result<(), Failure> {
    let client = Client::new(args.api.api.as_deref(), with)?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("subscription", &args.subscription);
    let file = Path::new(&args.article);
    let answer = if args.article == "-" || file.is_file() {
        let path = format!("/v1/why-not?{}", query.finish());
        let bytes = read_file(file)?;
        let body = Some((content_type(file, &bytes), Bytes::from(bytes)));
        client.ask(Method::POST, &path, body).await?.json()?
    } else {
        let path = format!("/v1/why-not?{}", query.append_pair("article", &args.article).finish());
        client.json(Method::GET, &path, None).await?
    };
    with.output.print(&answer, || why_not_text(&answer));
    Ok(())
}

fn why_not_text(answer: &Value) -> String {
    let article = &answer["article"];
    let mut out = String::new();
    if article.is_object() {
        out = format!(
            "{} revision {}  {}: {}\n  received {}\n",
            text(article, "id"),
            article["revision"],
            text(article, "source"),
            text(article, "title"),
            text(article, "received_at")
        );
    }
    let stage = text(answer, "stage").replace('_', " ");
    out.push_str(&format!("{stage}: {}", text(answer, "detail")));
    if let Some(event) = answer["event"].as_str() {
        out.push_str(&format!("\n  event {event}"));
    }
    out
}

fn why_text(why: &Value) -> String {
    let alert = &why["alert"];
    let mode = marks("", text(why, "mode"));
    let mut out = format!("{}\n\nEvents", marked(alert_line(alert), &mode));
    for event in list(why, "events") {
        out.push_str(&event_text(event));
    }
    out.push_str("\n\nArticles");
    for article in list(why, "articles") {
        out.push_str(&article_text(article));
    }
    match why["more_articles"].as_u64() {
        Some(more) if more > 0 => out.push_str(&format!("\n  and {more} more")),
        _ => {}
    }
    if why["complete"] == Value::Bool(false) {
        out.push_str("\n  and perhaps more: not every verdict was looked at");
    }
    out.push_str("\n\nIndependent sources");
    for (number, source) in list(why, "sources").iter().enumerate() {
        out.push_str(&source_text(number + 1, source));
    }
    out.push_str("\n\nDeliveries");
    if list(why, "deliveries").is_empty() {
        out.push_str("\n  none");
    }
    for delivery in list(why, "deliveries") {
        out.push_str(&format!("\n  {}", text(delivery, "subscription")));
        for event in list(delivery, "events") {
            out.push_str(&delivery_text(event));
        }
    }
    if why["more_deliveries"] == Value::Bool(true) {
        out.push_str("\n  and more");
    }
    out
}

fn event_text(event: &Value) -> String {
    let mut out = format!(
        "\n  {}  #{:<3} {:16} {:8} {}, {} independent",
        text(event, "timestamp"),
        event["number"].to_string(),
        text(event, "type"),
        text(event, "severity"),
        text(event, "confirmation"),
        event["independent_sources"]
    );
    for (name, word) in [("late", "late"), ("possible_end", "possible end")] {
        if event[name] == Value::Bool(true) {
            out.push_str(&format!(", {word}"));
        }
    }
    if let Some(reason) = event["reason"].as_str() {
        out.push_str(&format!("\n      {reason}"));
    }
    out
}

fn article_text(article: &Value) -> String {
    let at = ["received_at", "published_at"].into_iter().find_map(|n| article[n].as_str());
    let mut out = format!(
        "\n  {:24}  {:10} {}: {}\n      {} revision {}",
        at.unwrap_or("-"),
        effect(article),
        text(article, "source"),
        text(article, "title"),
        text(article, "id"),
        article["revision"]
    );
    if let Some(event) = article["event"].as_u64() {
        out.push_str(&format!(", told with #{event}"));
    }
    if article["counted"] == Value::Bool(false) {
        out.push_str(", does not count");
    }
    if let Some(url) = article["url"].as_str() {
        out.push_str(&format!("\n      {url}"));
    }
    for clause in list(article, "matches") {
        out.push_str(&clause_text(clause));
    }
    out.push_str(&silence_text(article));
    for (name, words) in [("copy_of", "copies"), ("same_source_as", "one source with")] {
        if let Some(other) = article[name].as_str() {
            out.push_str(&format!("\n      {words} {other}"));
            break;
        }
    }
    out
}

/// What the article was to the alert, in a word or two.
fn effect(article: &Value) -> String {
    let made = text(&article["effect"], "event").trim_start_matches("alert.");
    let word = article["effect"].as_str().unwrap_or(made);
    match text(article, "role") {
        "doubtful" if !matches!(word, "ended" | "retracted") => format!("{word}, doubtful"),
        _ if word.is_empty() => "told".to_owned(),
        _ => word.to_owned(),
    }
}

fn clause_text(clause: &Value) -> String {
    let mut out = format!("\n      {}", text(clause, "rule"));
    if let Some(by) = clause["superseded_by"].as_str() {
        out.push_str(&format!(", superseded by {by}"));
    }
    out.push_str(&evidence_text(clause, 8));
    out
}

fn source_text(number: usize, source: &Value) -> String {
    let owners: Vec<&str> = list(source, "owners").iter().filter_map(Value::as_str).collect();
    let articles = list(source, "articles").len();
    let plural = if articles == 1 { "" } else { "s" };
    let copies = match source["copies"].as_u64() {
        Some(n) if n > 0 => format!(", {n} of them copied"),
        _ => String::new(),
    };
    format!("\n  {number}. {}: {articles} article{plural}{copies}", owners.join(", "))
}

fn delivery_text(event: &Value) -> String {
    let attempts = list(event, "attempts");
    let (number, kind) = (event["number"].to_string(), text(event, "type"));
    let mut out = format!("\n    #{number:<3} {kind:16} {}", text(event, "state"));
    if attempts.is_empty() && text(event, "state") == "settled" {
        out.push_str(", no attempt is on record");
    }
    for attempt in attempts {
        let status = attempt["status"].as_u64().map(|s| format!(" {s}")).unwrap_or_default();
        out.push_str(&format!(
            "\n         {}  {}{status} in {} ms",
            text(attempt, "at"),
            text(attempt, "outcome"),
            attempt["duration_ms"]
        ));
        if let Some(remark) = attempt["remark"].as_str() {
            out.push_str(&format!("  ({remark})"));
        }
    }
    out
}
