//! Feeds as Wirebell reads them.

use serde::Serialize;

use crate::cli::Invocation;
use crate::cli::args::inspect;
use crate::cli::exit::Failure;
use crate::feed;
use crate::feed::Document;
use crate::feed::Draft;
use crate::model::Lang;
use crate::model::Time;

#[derive(Serialize)]
struct Inspected<'a> {
    title: Option<&'a str>,
    kind: &'static str,
    entries: Vec<Entry<'a>>,
    salvaged: usize,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: Option<&'a str>,
    title: &'a str,
    url: Option<&'a str>,
    published_at: Option<Time>,
    updated_at: Option<Time>,
    author: Option<&'a str>,
    lang: Option<&'a Lang>,
    text: &'a str,
    withdrawn: bool,
}

pub(super) fn entries(args: &inspect::Fetched, with: &Invocation) -> Result<(), Failure> {
    let (bytes, url) = args.read()?;
    let read = feed::read_feed(&bytes, &args.context(url.as_ref()));
    let read = read.map_err(|e| args.refused(&e))?;
    let shown = inspected(&read);
    with.output.print(&shown, || text(&shown));
    Ok(())
}

fn inspected(read: &Document) -> Inspected<'_> {
    let mut problems = read.problems.clone();
    for (number, draft) in (1..).zip(&read.entries) {
        problems.extend(draft.problems.iter().map(|p| format!("entry {number}: {p}")));
    }
    Inspected {
        title: read.title.as_deref(),
        kind: read.kind,
        entries: read.entries.iter().map(entry).collect(),
        salvaged: read.salvaged,
        problems,
    }
}

fn entry(draft: &Draft) -> Entry<'_> {
    Entry {
        id: draft.id.as_deref(),
        title: &draft.title,
        url: draft.link.as_deref(),
        published_at: draft.published_at,
        updated_at: draft.updated_at,
        author: draft.author.as_deref(),
        lang: draft.lang.as_ref(),
        text: &draft.body,
        withdrawn: draft.withdrawn,
    }
}

fn text(shown: &Inspected<'_>) -> String {
    let count = shown.entries.len();
    let title = shown.title.unwrap_or("(no title)");
    let mut out =
        format!("{title}  {}, {count} entries, {} salvaged\n", shown.kind, shown.salvaged);
    for one in &shown.entries {
        let state = if one.withdrawn { "withdrawn  " } else { "" };
        out.push_str(&format!("\n{state}{}\n", one.title));
        let published = one.published_at.map(|at| at.to_string());
        let updated = one.updated_at.map(|at| at.to_string());
        for (name, value) in [
            ("id", one.id),
            ("url", one.url),
            ("published", published.as_deref()),
            ("updated", updated.as_deref()),
            ("author", one.author),
            ("lang", one.lang.map(Lang::as_str)),
        ] {
            if let Some(value) = value {
                out.push_str(&format!("  {name:10} {value}\n"));
            }
        }
        for line in one.text.lines() {
            out.push_str(&format!("  {line}\n"));
        }
    }
    for problem in &shown.problems {
        out.push_str(&format!("\nproblem    {problem}"));
    }
    out.truncate(out.trim_end().len());
    out
}
