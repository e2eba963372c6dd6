//! `wirebell tap`: what passes, as it is written.

use serde_json::Value;

use crate::cli::Invocation;
use crate::cli::args;
use crate::cli::args::Tapped;
use crate::cli::client::Client;
use crate::cli::exit::Failure;
use crate::cli::remote::marks;
use crate::cli::remote::text;

pub(super) async fn tap(args: args::Tap, with: &Invocation) -> Result<(), Failure> {
    let client = Client::new(args.api.api.as_deref(), with)?;
    let (path, told): (&str, fn(&Value) -> String) = match args.what {
        Tapped::Articles => ("/v1/articles", article),
        Tapped::Events => ("/v1/events?shadow=true", event),
        Tapped::Attempts => ("/v1/attempts", attempt),
    };
    let joint = if path.contains('?') { '&' } else { '?' };
    let after = args.after.map(|after| format!("{joint}after={after}")).unwrap_or_default();
    let path = format!("{path}{after}");
    let heard = client.hear(&path, |data| {
        let Ok(one) = serde_json::from_str::<Value>(data) else { return Ok(()) };
        with.output.print(&one, || told(&one));
        Ok(())
    });
    match heard.await? {}
}

fn article(one: &Value) -> String {
    let revision = match one["revision"].as_u64() {
        Some(revision @ 2..) => format!(" (revision {revision})"),
        _ => String::new(),
    };
    let t = |name| text(one, name);
    format!("{}  {}  {}  {}{revision}", t("received_at"), t("id"), t("source"), t("title"))
}

fn event(one: &Value) -> String {
    let alert = &one["data"]["alert"];
    let t = |name| text(alert, name);
    format!(
        "{}  {:15} {:8} {} ({})  {}{}",
        text(one, "timestamp"),
        text(one, "type"),
        t("severity"),
        t("topic"),
        t("key"),
        t("title"),
        marks(t("nature"), text(one, "mode"))
    )
}

fn attempt(one: &Value) -> String {
    let t = |name| text(one, name);
    let status = one["status"].as_u64().map(|status| format!(" {status}")).unwrap_or_default();
    let remark = one["remark"].as_str().map(|remark| format!("  {remark}")).unwrap_or_default();
    format!(
        "{}  {}  #{} {}  {}{status} in {} ms{remark}",
        t("at"),
        t("subscription"),
        one["sequence"],
        t("type"),
        t("outcome"),
        one["duration_ms"]
    )
}
