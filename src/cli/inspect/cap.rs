//! CAP messages as Wirebell reads them.

use std::path::Path;

use serde::Serialize;

use crate::cli::Invocation;
use crate::cli::exit::Failure;
use crate::cli::local::read_file;
use crate::feed::cap;
use crate::feed::cap::Alert;
use crate::feed::cap::Area;
use crate::feed::cap::Info;
use crate::feed::cap::Messages;

#[derive(Serialize)]
struct Inspected<'a> {
    alerts: Vec<&'a Alert>,
    problems: Vec<String>,
}

pub(super) fn messages(file: &Path, with: &Invocation) -> Result<(), Failure> {
    let bytes = read_file(file)?;
    let read = cap::read(&bytes, None, None)
        .map_err(|e| Failure::new(1, format!("error: {}: {e}", file.display())))?;
    let alerts = read.messages.iter().map(|one| &one.alert).collect();
    let shown = Inspected { alerts, problems: read.all_problems() };
    with.output.print(&shown, || text(&read, &shown.problems));
    Ok(())
}

fn text(read: &Messages, problems: &[String]) -> String {
    let mut out = String::new();
    for (number, one) in read.messages.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        alert(&one.alert, &mut out);
        let id = one.draft.message.as_ref().map(|message| message.id.as_str());
        line(&mut out, "", "article", id);
        one.alert.infos.iter().for_each(|one| info(one, &mut out));
    }
    for problem in problems {
        line(&mut out, "", "problem", Some(problem));
    }
    out.truncate(out.trim_end().len());
    out
}

fn alert(alert: &Alert, out: &mut String) {
    for (name, value) in [
        ("identifier", &alert.identifier),
        ("sender", &alert.sender),
        ("sent", &alert.sent),
        ("status", &alert.status),
        ("type", &alert.msg_type),
        ("scope", &alert.scope),
        ("source", &alert.source),
        ("incidents", &alert.incidents),
        ("note", &alert.note),
    ] {
        line(out, "", name, value.as_deref());
    }
    for one in &alert.references {
        let text = format!("{} of {}, sent {}", one.identifier, one.sender, one.sent);
        line(out, "", "refers to", Some(&text));
    }
}

fn info(info: &Info, out: &mut String) {
    out.push_str(&format!("info {}\n", info.language.as_deref().unwrap_or("(no language)")));
    let (categories, responses) = (info.categories.join(", "), info.response_types.join(", "));
    let resources = info.resources.to_string();
    for (name, value) in [
        ("event", info.event.as_deref()),
        ("category", Some(categories.as_str())),
        ("response", Some(responses.as_str())),
        ("urgency", info.urgency.as_deref()),
        ("severity", info.severity.as_deref()),
        ("certainty", info.certainty.as_deref()),
        ("audience", info.audience.as_deref()),
        ("effective", info.effective.as_deref()),
        ("onset", info.onset.as_deref()),
        ("expires", info.expires.as_deref()),
        ("by", info.sender_name.as_deref()),
        ("headline", info.headline.as_deref()),
        ("text", info.description.as_deref()),
        ("to do", info.instruction.as_deref()),
        ("web", info.web.as_deref()),
        ("contact", info.contact.as_deref()),
        ("files", Some(resources.as_str()).filter(|_| info.resources > 0)),
    ] {
        line(out, "  ", name, value);
    }
    for code in info.event_codes.iter().chain(&info.parameters) {
        line(out, "  ", &code.name, Some(&code.value));
    }
    info.areas.iter().for_each(|one| area(one, out));
}

fn area(area: &Area, out: &mut String) {
    line(out, "  ", "area", Some(area.description.as_deref().unwrap_or("(no description)")));
    for polygon in &area.polygons {
        let points = polygon.split_whitespace().count();
        line(out, "    ", "polygon", Some(&format!("{points} points")));
    }
    for circle in &area.circles {
        line(out, "    ", "circle", Some(circle));
    }
    for code in &area.geocodes {
        line(out, "    ", &code.name, Some(&code.value));
    }
    line(out, "    ", "from feet", area.altitude.as_deref());
    line(out, "    ", "to feet", area.ceiling.as_deref());
}

/// A line for a value that there is; its own lines are joined.
fn line(out: &mut String, indent: &str, name: &str, value: Option<&str>) {
    let words = value.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    if let Some(text) = words.filter(|text| !text.is_empty()) {
        out.push_str(&format!("{indent}{name:10} {text}\n"));
    }
}
