//! Clients of the API: subscribe, subscriptions.

mod credentials;
mod standing;
mod trial;

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;
use serde_json::value::RawValue;

use crate::cli::Invocation;
use crate::cli::args::subscriptions as args;
use crate::cli::client::Client;
use crate::cli::exit::Failure;
use crate::cli::local::read_file;
use crate::cli::output::say;
use crate::cli::remote::list;
use crate::cli::remote::subject;
use crate::cli::remote::text;
use crate::cli::subscriptions::standing::standing_text;
use crate::cli::subscriptions::standing::state_text;
use crate::cli::table::Column;
use crate::cli::table::Shape;
use crate::cli::table::Table;
use crate::cli::table::column;
use crate::cli::table::least;
use crate::cli::table::number;

/// Largest page asked for.
const PAGE: usize = 1_000;
/// Id, how it stands, topics, URL.
const LIST: Shape = Shape {
    columns: &[column(); 4],
    steps: &[(3, 20), (2, 8), (1, 16), (3, 10), (2, 0), (1, 9), (3, 0)],
};
const ATTEMPT_NAMES: [&str; 7] = ["at", "sequence", "type", "outcome", "status", "ms", "remark"];
const ATTEMPT_COLUMNS: [Column; 7] =
    [column(), number(0), column(), column(), number(0), number(0), column()];
/// As `ATTEMPT_NAMES` has them.
const ATTEMPTS: Shape =
    Shape { columns: &ATTEMPT_COLUMNS, steps: &[(6, 12), (2, 8), (6, 0), (0, 17), (2, 0), (3, 9)] };
/// Sequence, time, type, severity, topic and key, title.
const EVENTS: Shape = Shape {
    columns: &[number(8), column(), least(15), least(8), column(), column()],
    steps: &[(5, 24), (3, 0), (4, 16), (2, 8), (5, 12), (4, 8), (1, 17), (4, 0)],
};

pub(super) async fn subscribe(args: args::Subscribe, with: &Invocation) -> Result<(), Failure> {
    let client = Client::new(args.api.api.as_deref(), with)?;
    let mut body = json!({"url": args.url, "topics": args.topics});
    if !args.keys.is_empty() {
        body["keys"] = json!(args.keys);
    }
    if !args.natures.is_empty() {
        body["natures"] = json!(args.natures);
    }
    if args.expired {
        body["expired"] = json!(true);
    }
    let template = args.template_file.as_deref().map(template_text).transpose()?;
    let optional = [
        ("format", args.format.map(Value::from)),
        ("template", template.map(Value::from)),
        ("template_content_type", args.template_content_type.map(Value::from)),
        ("routing_key", args.routing_key.map(Value::from)),
        ("min_severity", args.min_severity.map(Value::from)),
        ("ttl", args.ttl.map(Value::from)),
        ("max_in_flight", args.max_in_flight.map(Value::from)),
        ("rate", args.rate.map(Value::from)),
        ("description", args.description.map(Value::from)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    credentials::add(&args.credentials, &mut body)?;
    let mut made = client.json(Method::POST, "/v1/subscriptions", Some(&body)).await?;
    if let Some(path) = &args.secret_to {
        write_secret(path, text(&made, "secret"))?;
        made["secret"] = json!(null);
        let id = text(&made, "id").to_owned();
        with.output.print(&made, || format!("{id}\nsecret written to {}", path.display()));
        return Ok(());
    }
    with.output.print(&made, || {
        format!(
            "{}\nsecret {}  (shown this once: give it to the receiver)",
            text(&made, "id"),
            text(&made, "secret")
        )
    });
    Ok(())
}

fn template_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read_file(path)?).map_err(|_| {
        Failure::new(1, format!("error: {} is no UTF-8 text: save it as UTF-8", path.display()))
    })
}

/// Writes a secret so that only its owner can read it.
fn write_secret(path: &Path, secret: &str) -> Result<(), Failure> {
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(secret.as_bytes()));
    written.map_err(|e| Failure::new(1, format!("error: cannot write {}: {e}", path.display())))
}

pub(super) async fn subscriptions(
    args: args::Subscriptions,
    with: &Invocation,
) -> Result<(), Failure> {
    let client = Client::new(args.api.api.as_deref(), with)?;
    match args.action {
        args::Action::List => all(&client, with).await?,
        args::Action::Create { file } => create(&client, &file, with).await?,
        args::Action::Show { id } => {
            let one = client.json(Method::GET, &path(&id, ""), None).await?;
            with.output.print(&one, || standing_text(&one));
        }
        args::Action::Remove { id } => {
            client.json(Method::DELETE, &path(&id, ""), None).await?;
            with.output.print(&json!({"removed": id}), || format!("removed {id}"));
        }
        args::Action::Test(args) => trial::test(&client, &args, with).await?,
        args::Action::Pause { id } => {
            let one = client.json(Method::POST, &path(&id, "/pause"), Some(&json!({}))).await?;
            with.output.print(&one, || {
                format!("paused {id}: everything is kept until `subscriptions resume`")
            });
        }
        args::Action::Resume { id } => {
            let one = client.json(Method::POST, &path(&id, "/resume"), Some(&json!({}))).await?;
            with.output.print(&one, || format!("resumed {id}: what waits is tried at once"));
        }
        args::Action::Rotate(args) => credentials::rotate(&client, &args, with).await?,
        args::Action::Replay(args) => replay(&client, &args, with).await?,
        args::Action::Attempts(args) => attempts(&client, &args, with).await?,
        args::Action::Events(args) => events(&client, &args, with).await?,
    }
    Ok(())
}

fn path(id: &str, rest: &str) -> String {
    format!("/v1/subscriptions/{id}{rest}")
}

async fn all(client: &Client, with: &Invocation) -> Result<(), Failure> {
    let (mut cursor, mut table) = (String::new(), Table::new(LIST));
    loop {
        let path = format!("/v1/subscriptions?limit={PAGE}{cursor}");
        let page = client.json(Method::GET, &path, None).await?;
        with.output.rows(&mut table, list(&page, "data"), subscription_cells);
        let Some(next) = page["next_cursor"].as_str() else { return Ok(()) };
        cursor = format!("&cursor={next}");
    }
}

fn subscription_cells(one: &Value) -> Vec<String> {
    let topics: Vec<&str> = list(one, "topics").iter().filter_map(Value::as_str).collect();
    let delivery = &one["delivery"];
    let failing = match delivery["failures"].as_u64() {
        Some(n) if n > 0 => format!(", {n} failures, next try {}", text(delivery, "next_attempt")),
        _ => String::new(),
    };
    let sequence = delivery["sequence"].as_u64().unwrap_or(0);
    let standing = format!("{}, {sequence} settled{failing}", state_text(one));
    vec![text(one, "id").to_owned(), standing, topics.join(","), text(one, "url").to_owned()]
}

async fn create(client: &Client, file: &Path, with: &Invocation) -> Result<(), Failure> {
    let body = Some(("application/x-ndjson", Bytes::from(read_file(file)?)));
    let answer = client.ask(Method::POST, "/v1/subscriptions", body).await?;
    let told = serde_json::from_slice::<Value>(&answer.body).ok();
    // Where every line was refused, the answer says why of each.
    let told = match told.filter(|told| told["rejected"].is_array()) {
        Some(told) => told,
        None => answer.json()?,
    };
    for one in list(&told, "created") {
        with.output.print(one, || {
            format!("#{}  {}  secret {}", one["index"], text(one, "id"), text(one, "secret"))
        });
    }
    let rejected = list(&told, "rejected");
    for one in rejected {
        with.output.print(one, || {
            let fault = |e: &Value| format!("{} {}", text(e, "pointer"), text(e, "message"));
            let faults: Vec<String> = list(one, "errors").iter().map(fault).collect();
            format!("#{}  refused: {}", one["index"], faults.join("; "))
        });
    }
    if rejected.is_empty() { Ok(()) } else { Err(Failure::silent(1)) }
}

async fn replay(client: &Client, args: &args::Replay, with: &Invocation) -> Result<(), Failure> {
    let mut body = json!({"only_failed": args.only_failed, "dry_run": args.dry_run});
    if let Some(since) = &args.since {
        body["since"] = json!(since);
    }
    if let Some(sequence) = args.from_sequence {
        body["from_sequence"] = json!(sequence);
    }
    let said = client.json(Method::POST, &path(&args.id, "/replay"), Some(&body)).await?;
    with.output.print(&said, || {
        let verb = if args.dry_run { "would be sent again" } else { "are sent again" };
        match said["events"].as_u64() {
            Some(0) => "nothing to send again".to_owned(),
            _ => format!(
                "{} events {verb}, from sequence {} to {}",
                said["events"], said["from_sequence"], said["to_sequence"]
            ),
        }
    });
    Ok(())
}

async fn attempts(
    client: &Client,
    args: &args::Attempts,
    with: &Invocation,
) -> Result<(), Failure> {
    let mut cursor: Option<String> = None;
    let mut left = args.limit;
    let mut table = Table::new(ATTEMPTS).with_head(&ATTEMPT_NAMES);
    while left > 0 {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &left.min(PAGE).to_string());
        let optional = [("outcome", args.outcome.as_ref()), ("cursor", cursor.as_ref())];
        for (name, value) in optional {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let path = path(&args.id, &format!("/attempts?{}", query.finish()));
        let page = client.json(Method::GET, &path, None).await?;
        with.output.rows(&mut table, list(&page, "data"), attempt_cells);
        left = left.saturating_sub(list(&page, "data").len());
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    Ok(())
}

fn attempt_cells(one: &Value) -> Vec<String> {
    let number = |name: &str| one[name].as_u64().map_or_else(|| "-".to_owned(), |n| n.to_string());
    let replay = if one["replay"] == json!(true) { "replay; " } else { "" };
    let remark = format!("{replay}{}", text(one, "remark"));
    vec![
        text(one, "at").to_owned(),
        number("sequence"),
        text(one, "type").to_owned(),
        text(one, "outcome").to_owned(),
        number("status"),
        number("duration_ms"),
        remark,
    ]
}

/// A page of bodies exactly as they are sent.
#[derive(Deserialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    next_cursor: Option<u64>,
}

async fn events(client: &Client, args: &args::Events, with: &Invocation) -> Result<(), Failure> {
    let (mut after, mut left) = (args.after, args.limit.unwrap_or(usize::MAX));
    let mut table = Table::new(EVENTS);
    while left > 0 {
        let path = path(&args.id, &format!("/events?after={after}&limit={}", left.min(PAGE)));
        let answer = client.ask(Method::GET, &path, None).await?;
        answer.json()?;
        let page: Page = serde_json::from_slice(&answer.body)
            .map_err(|e| Failure::new(1, format!("error: the answer is no page: {e}")))?;
        if with.output.is_json() {
            page.data.iter().for_each(|body| with.output.raw_json(body.get()));
        } else {
            with.output.rows(&mut table, &page.data, |body| event_cells(body));
        }
        left = left.saturating_sub(page.data.len());
        let Some(next) = page.next_cursor else { break };
        after = next;
    }
    if !with.output.is_json() {
        say("--output json prints the bodies as they are sent");
    }
    Ok(())
}

fn event_cells(body: &RawValue) -> Vec<String> {
    let body: Value = serde_json::from_str(body.get()).unwrap_or(Value::Null);
    let (event, alert) = (&body["data"]["event"], &body["data"]["alert"]);
    vec![
        event["sequence"].as_u64().unwrap_or(0).to_string(),
        text(&body, "timestamp").to_owned(),
        text(&body, "type").to_owned(),
        text(alert, "severity").to_owned(),
        subject(alert),
        text(alert, "title").to_owned(),
    ]
}
