//! `wirebell subscriptions test`: a `test.ping` and what became of it, or what would be sent.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::cli::Invocation;
use crate::cli::args::subscriptions as args;
use crate::cli::client::Client;
use crate::cli::exit::Failure;
use crate::cli::output::say;
use crate::cli::remote::list;
use crate::cli::remote::text;
use crate::cli::subscriptions::path;
use crate::cli::subscriptions::standing::state_text;
use crate::model::duration;

/// How long an end is waited for, if nothing else is said: longer than a request may take.
const WAIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);
/// Attempts looked through for the one that is waited for: others may have come since.
const LOOK: usize = 50;
/// Longest answer of a receiver that is shown.
const SHOWN: usize = 300;

pub(super) async fn test(
    client: &Client,
    args: &args::Test,
    with: &Invocation,
) -> Result<(), Failure> {
    if args.dry_run {
        return rehearse(client, args, with).await;
    }
    let wait = match &args.wait {
        Some(text) => {
            duration::parse(text).map_err(|e| Failure::usage(format!("error: --wait: {e}")))?
        }
        None => WAIT,
    };
    let asked = client.json(Method::POST, &path(&args.id, "/test"), Some(&json!({}))).await?;
    let ping = text(&asked, "id");
    if args.no_wait {
        with.output.print(&asked, || format!("test.ping {ping} is on its way"));
        return Ok(());
    }
    let until = Instant::now() + wait;
    let attempt = loop {
        let path = path(&args.id, &format!("/attempts?limit={LOOK}"));
        let page = client.json(Method::GET, &path, None).await?;
        if let Some(found) = list(&page, "data").iter().find(|one| text(one, "event") == ping) {
            break found.clone();
        }
        if Instant::now() >= until {
            let one = client.json(Method::GET, &self::path(&args.id, ""), None).await?;
            return Err(missed(&asked, &one, wait, with));
        }
        tokio::time::sleep(PAUSE).await;
    };
    with.output.print(&attempt, || came_of_it(&attempt));
    if text(&attempt, "outcome") == "delivered" { Ok(()) } else { Err(Failure::silent(1)) }
}

/// Nothing is known of it yet: it may still be sent.
fn missed(asked: &Value, one: &Value, wait: Duration, with: &Invocation) -> Failure {
    if with.output.is_json() {
        with.output.print(&json!({"event": asked["id"], "outcome": null}), String::new);
    }
    let why = match (one["delivery"].is_null(), list(one, "requested").contains(&json!("test"))) {
        (true, _) => "no notifier has looked at the subscription yet: is one running?",
        (_, true) => {
            "the notifier has not carried it out: a request before it may still be under way, or no \
             notifier is running"
        }
        _ => "it was carried out, and its attempt is not in the log yet",
    };
    let (state, seconds) = (state_text(one), wait.as_secs_f64());
    Failure::new(
        1,
        format!(
            "error: nothing is known of the test.ping after {seconds} s: {why}; the subscription is \
             {state}; `subscriptions attempts` shows it once it was sent"
        ),
    )
}

/// An attempt in words: what it was, what to do, what the receiver said.
fn came_of_it(attempt: &Value) -> String {
    let (outcome, ms) = (text(attempt, "outcome"), &attempt["duration_ms"]);
    let status = match attempt["status"].as_u64() {
        Some(status) => format!(" with status {status}"),
        None => String::new(),
    };
    let mut out = format!("{}{status} after {ms} ms", outcome.replace('_', " "));
    if outcome == "delivered" {
        return out;
    }
    if let Some(remark) = attempt["remark"].as_str() {
        out.push_str(&format!("\n  {remark}"));
    }
    if let Some(remedy) = remedy(outcome, attempt["status"].as_u64()) {
        out.push_str(&format!("\n  {remedy}"));
    }
    if let Some(answer) = attempt["answer"].as_str() {
        let said = if status.is_empty() { "why" } else { "it answered" };
        let answer = answer.split_whitespace().collect::<Vec<_>>().join(" ");
        out.push_str(&format!("\n  {said}: {}", answer.chars().take(SHOWN).collect::<String>()));
    }
    out
}

/// What to do about it; none where the attempt's own remark says so.
fn remedy(outcome: &str, status: Option<u64>) -> Option<&'static str> {
    Some(match (outcome, status) {
        (_, Some(401 | 403)) => {
            "it does not trust the request: its secret may be an old one, or it asks for a header or \
             a login; `wirebell listen` with the same secret at the same address says what is wrong"
        }
        (_, Some(404 | 405)) => "nothing takes a POST at that path: check the URL",
        (_, Some(413)) => "it takes no body of this size: allow 256 KiB",
        ("throttled", _) => {
            "it asks for less, or is not up behind its proxy: events are tried again by themselves"
        }
        ("rejected", Some(300..=399)) | ("refused" | "unacceptable", _) => return None,
        ("gone", _) => "`subscriptions resume` goes on when it is back",
        ("rejected", Some(500..)) => "it failed: its own log says why; events are tried again",
        ("rejected", _) => "it refuses the request: its own log says why; events are tried again",
        ("not_sent", _) => "nothing reached it: is it running, and are name and port right?",
        ("unknown", _) => {
            "it took the request and did not answer in time: answer first, then work; it may have it"
        }
        _ => return None,
    })
}

async fn rehearse(client: &Client, args: &args::Test, with: &Invocation) -> Result<(), Failure> {
    let mut body = json!({"dry_run": true});
    if let Some(kind) = &args.kind {
        body["type"] = json!(kind);
    }
    let shown = client.json(Method::POST, &path(&args.id, "/test"), Some(&body)).await?;
    with.output.print_whole(&shown, || text(&shown, "curl").to_owned());
    if with.output.is_json() {
        return Ok(());
    }
    say("\nnothing was sent; the signature holds for 300 s; *** stands for what is not shown");
    if args.kind.as_deref().is_some_and(|kind| kind != "test.ping") {
        say(
            "the event is invented: its nature is test and its sequence 0, which real ones never are",
        );
    }
    match shown["address"]["reason"].as_str() {
        None => say("the address may be called"),
        Some(reason) => say(&format!("the address would not be called: {reason}")),
    }
    say("what an answer means:");
    for (answer, meaning) in shown["answers"].as_object().into_iter().flatten() {
        say(&format!("  {answer}: {}", meaning.as_str().unwrap_or_default()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_told_with_what_to_do() {
        for (outcome, status, remark, answer, said) in [
            ("delivered", Some(204), None, None, "delivered with status 204 after 7 ms"),
            ("rejected", Some(401), None, Some("no\n key"), "its secret may be an old one"),
            ("rejected", Some(404), None, None, "check the URL"),
            ("rejected", Some(302), Some("update the URL"), None, "\n  update the URL"),
            ("rejected", Some(500), None, Some("oops"), "it answered: oops"),
            ("throttled", Some(503), None, None, "tried again by themselves"),
            ("not_sent", None, None, Some("connection refused"), "why: connection refused"),
            ("unknown", None, None, None, "answer first"),
            ("refused", None, Some("egress.allow"), None, "egress.allow"),
            ("gone", Some(410), Some("it is gone"), None, "subscriptions resume"),
        ] {
            let one = json!({"outcome": outcome, "status": status, "remark": remark,
                "answer": answer, "duration_ms": 7});
            let told = came_of_it(&one);
            assert!(told.contains(said), "{told}");
            assert!(outcome == "delivered" || told.lines().count() > 1, "no remedy: {told}");
        }
    }
}
