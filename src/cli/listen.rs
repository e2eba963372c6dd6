//! `wirebell listen`: a receiver that says what it makes of each request.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::receiver::Answers;
use crate::app::receiver::Place;
use crate::app::receiver::Received;
use crate::app::receiver::Receiver;
use crate::cli::Invocation;
use crate::cli::args;
use crate::cli::exit::Failure;
use crate::cli::output::Output;
use crate::cli::output::say;
use crate::cli::remote::marked;
use crate::cli::remote::marks;
use crate::cli::service::until_signal;
use crate::delivery::Key;
use crate::model::subscription::Secret;

/// How long it waits for the file with its secret.
const SECRET_WAIT: Duration = Duration::from_secs(120);
/// Most secrets: as many as a subscription may sign with.
const MAX_SECRETS: usize = 5;
/// Most ranges of missing numbers that are named.
const NAMED: usize = 8;

pub(super) async fn listen(args: args::Listen, with: &Invocation) -> Result<(), Failure> {
    let written = match &args.secret_file {
        Some(path) => wait_for_secret(path).await?,
        None if !args.secrets.is_empty() => args.secrets.join(" "),
        None => with.env.get("WIREBELL_SECRET").cloned().unwrap_or_default(),
    };
    let keys = keys(&written)?;
    let addr = args.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], args.port)));
    let listener = TcpListener::bind(addr)
        .await
        .map_err(|e| Failure::new(1, format!("error: cannot listen on {addr}: {e}")))?;
    say(&format!("listening on http://{}", listener.local_addr().unwrap_or(addr)));
    let count = keys.len();
    let (receiver, mut requests) = Receiver::new(keys, answers(&args)?);
    let stop = CancellationToken::new();
    let output = with.output;
    let work = async {
        let serve = receiver.serve(listener, stop.clone());
        tokio::pin!(serve);
        loop {
            tokio::select! {
                biased;
                served = &mut serve => return served.map_err(anyhow::Error::from),
                Some(received) = requests.recv() => show(output, &received, count),
            }
        }
    };
    until_signal(stop.clone(), work).await
}

fn keys(written: &str) -> Result<Vec<Key>, Failure> {
    let secrets: Vec<&str> = written.split_whitespace().collect();
    if secrets.is_empty() {
        let words = "error: say the secret with --secret, --secret-file or WIREBELL_SECRET";
        return Err(Failure::usage(words));
    }
    if secrets.len() > MAX_SECRETS {
        let words = format!("error: at most {MAX_SECRETS} secrets sign at once: give fewer");
        return Err(Failure::usage(words));
    }
    let key = |(n, secret): (usize, &str)| {
        Key::parse(&Secret::new(secret.to_owned()))
            .map_err(|e| Failure::usage(format!("error: secret {}: {e}", n + 1)))
    };
    secrets.into_iter().enumerate().map(key).collect()
}

fn answers(args: &args::Listen) -> Result<Answers, Failure> {
    let status = match (args.answer, args.fail) {
        (None, None) => return Ok(Answers::default()),
        (status, _) => status.unwrap_or(503),
    };
    let status = StatusCode::from_u16(status)
        .map_err(|_| Failure::usage(format!("error: --answer: {status} is no status")))?;
    Ok(Answers { status, first: args.fail })
}

/// The secret may be written after the receiver started: a subscription needs a receiver first.
async fn wait_for_secret(path: &Path) -> Result<String, Failure> {
    let waited = tokio::time::timeout(SECRET_WAIT, async {
        loop {
            match std::fs::read_to_string(path) {
                Ok(text) if !text.trim().is_empty() => return text,
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    });
    waited
        .await
        .map_err(|_| Failure::new(1, format!("error: no secret appeared in {}", path.display())))
}

fn show(output: Output, received: &Received, secrets: usize) {
    let place = &received.place;
    let shown = json!({
        "id": received.id,
        "verified": received.verdict.is_ok(),
        "secret": received.verdict.as_ref().ok().map(|key| key + 1),
        "problem": received.verdict.as_ref().err().map(ToString::to_string),
        "answered": received.answered,
        "repeat": place.repeat,
        "expected_sequence": place.expected,
        "fills_gap": place.fills,
        "missing": place.missing,
        "pull": pull(received).map(|(path, _)| path),
        "body": received.body,
    });
    output.print(&shown, || told(received, secrets));
}

/// What a receiver does about the first numbers that are missing: the call, and the command.
fn pull(received: &Received) -> Option<(String, String)> {
    let (first, last) = received.place.missing.first()?;
    let subscription = received.body["data"]["event"]["subscription"].as_str()?;
    let (after, limit) = (first.saturating_sub(1), last - first + 1);
    Some((
        format!("/v1/subscriptions/{subscription}/events?after={after}&limit={limit}"),
        format!("wirebell subscriptions events {subscription} --after {after} --limit {limit}"),
    ))
}

/// A request in a line, with the word `verified`, or why not; then what is missing.
fn told(received: &Received, secrets: usize) -> String {
    let key = match &received.verdict {
        Ok(key) => key + 1,
        Err(finding) => return format!("NOT VERIFIED {}: {finding}", received.id),
    };
    let data = &received.body["data"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = format!(
        "verified {} #{} {} {}",
        text(&received.body["type"]),
        data["event"]["sequence"],
        text(&data["alert"]["topic"]),
        text(&data["alert"]["title"])
    );
    let mut line = marked(line, &marks(&text(&data["alert"]["nature"]), ""));
    if secrets > 1 {
        line.push_str(&format!(" (secret {key} of {secrets})"));
    }
    if !(200..300).contains(&received.answered) {
        line.push_str(&format!(" (answered {}: it comes again)", received.answered));
    }
    line.push_str(&ordered(&received.place));
    if let Some((_, command)) = pull(received).filter(|_| !received.place.repeat) {
        let missing = ranges(&received.place.missing);
        line.push_str(&format!("\n  missing {missing}: pull what does not come with\n  {command}"));
    }
    line
}

fn ordered(place: &Place) -> String {
    match (place.repeat, place.expected, place.fills) {
        (true, _, _) => " (repeat, dropped)".to_owned(),
        (_, _, true) => " (it was missing)".to_owned(),
        (_, Some(expected), _) => format!(" (expected #{expected})"),
        _ => String::new(),
    }
}

fn ranges(missing: &[(u64, u64)]) -> String {
    let one = |(first, last): &(u64, u64)| match first == last {
        true => format!("#{first}"),
        false => format!("#{first} to #{last}"),
    };
    let mut named: Vec<String> = missing.iter().take(NAMED).map(one).collect();
    if missing.len() > NAMED {
        named.push(format!("{} more", missing.len() - NAMED));
    }
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::diagnosis::Finding;
    use crate::delivery::example;
    use crate::model::EventKind;

    fn received(place: Place) -> Received {
        let body = serde_json::from_slice(&example::body(EventKind::Opened, "http://x")).unwrap();
        Received { id: "evt_a".to_owned(), verdict: Ok(0), place, answered: 204, body }
    }

    #[test]
    fn what_is_missing_is_named_with_the_command_that_reads_it() {
        let place =
            Place { expected: Some(15), missing: vec![(12, 12), (15, 16)], ..Place::default() };
        let said = told(&received(place), 1);
        let id = example::subscription();
        for part in [
            "verified alert.opened #17 air-raid-alert Air raid sirens sound in Odesa (expected #15)",
            "missing #12, #15 to #16: pull",
            &format!("wirebell subscriptions events {id} --after 11 --limit 1"),
        ] {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn a_line_says_which_secret_fits_and_how_it_was_answered() {
        let one = Received { verdict: Ok(1), answered: 503, ..received(Place::default()) };
        let said = told(&one, 2);
        assert!(said.ends_with("(secret 2 of 2) (answered 503: it comes again)"), "{said}");
        let one = Received { verdict: Err(Finding::Clock(400)), ..received(Place::default()) };
        assert!(told(&one, 1).starts_with("NOT VERIFIED evt_a: the signature fits, but"));
    }

    #[test]
    fn secrets_are_read_and_never_repeated() {
        let good = "whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLW9sZCE=";
        assert_eq!(keys(&format!(" {good}\n{good} ")).unwrap().len(), 2);
        for bad in ["", "hidden", &format!("{good} whsec_hidden"), &[good; 6].join(" ")] {
            let failure = keys(bad).unwrap_err();
            assert!(failure.code == 2 && !format!("{failure:?}").contains("hidden"), "{failure:?}");
        }
    }
}
