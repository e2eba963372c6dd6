//! `wirebell tap`: what passes, as it is written.

use serde_json::Value;

use crate::cli::Invocation;
use crate::cli::args;
use crate::cli::args::Tapped;
use crate::cli::client::Client;
use crate::cli::exit::Failure;
use crate::cli::remote::marks;
use crate::cli::remote::subject;
use crate::cli::remote::text;
use crate::cli::table::Shape;
use crate::cli::table::Table;
use crate::cli::table::column;
use crate::cli::table::least;
use crate::cli::table::number;

/// What a line of a log has in its columns.
type Cells = fn(&Value) -> Vec<String>;

/// When, id, source, title.
const ARTICLES: Shape =
    Shape { columns: &[column(); 4], steps: &[(3, 24), (2, 8), (0, 17), (2, 0), (0, 0)] };
/// When, type, severity, topic and key, title, marks.
const EVENTS: Shape = Shape {
    columns: &[least(24), least(15), least(8), column(), column(), column()],
    steps: &[(4, 24), (2, 0), (3, 16), (1, 8), (4, 12), (3, 8), (0, 17), (3, 0)],
};
/// When, subscription, sequence, type, outcome, time, remark.
const ATTEMPTS: Shape = Shape {
    columns: &[least(24), column(), number(6), least(15), least(13), number(9), column()],
    steps: &[(6, 12), (5, 0), (3, 8), (6, 0), (3, 0), (0, 17), (4, 9), (2, 0), (0, 0)],
};

pub(super) async fn tap(args: args::Tap, with: &Invocation) -> Result<(), Failure> {
    let client = Client::new(args.api.api.as_deref(), with)?;
    let (path, shape, cells): (&str, Shape, Cells) = match args.what {
        Tapped::Articles => ("/v1/articles", ARTICLES, article),
        Tapped::Events => ("/v1/events?shadow=true", EVENTS, event),
        Tapped::Attempts => ("/v1/attempts", ATTEMPTS, attempt),
    };
    let joint = if path.contains('?') { '&' } else { '?' };
    let after = args.after.map(|after| format!("{joint}after={after}")).unwrap_or_default();
    let path = format!("{path}{after}");
    let mut table = Table::new(shape);
    let heard = client.hear(&path, |data| {
        let Ok(one) = serde_json::from_str::<Value>(data) else { return Ok(()) };
        with.output.rows(&mut table, &[one], cells);
        Ok(())
    });
    match heard.await? {}
}

fn article(one: &Value) -> Vec<String> {
    let revision = match one["revision"].as_u64() {
        Some(revision @ 2..) => format!(" (revision {revision})"),
        _ => String::new(),
    };
    let t = |name| text(one, name).to_owned();
    vec![t("received_at"), t("id"), t("source"), t("title") + &revision]
}

fn event(one: &Value) -> Vec<String> {
    let alert = &one["data"]["alert"];
    vec![
        text(one, "timestamp").to_owned(),
        text(one, "type").to_owned(),
        text(alert, "severity").to_owned(),
        subject(alert),
        text(alert, "title").to_owned(),
        marks(text(alert, "nature"), text(one, "mode")),
    ]
}

fn attempt(one: &Value) -> Vec<String> {
    let t = |name| text(one, name).to_owned();
    let status = one["status"].as_u64().map(|status| format!(" {status}")).unwrap_or_default();
    vec![
        t("at"),
        t("subscription"),
        format!("#{}", one["sequence"]),
        t("type"),
        t("outcome") + &status,
        format!("{} ms", one["duration_ms"]),
        t("remark"),
    ]
}
