//! `sources.yaml`: feeds to poll and folders to watch.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::Lang;
use crate::model::SourceId;
use crate::rules;
use crate::rules::Problem;
use crate::rules::yaml;
use crate::source::Feed;
use crate::source::Folder;
use crate::source::Sources;

/// Least time between two polls of a feed.
const LEAST_INTERVAL: Duration = Duration::from_secs(60);
/// Time between two polls of a feed, if nothing else is said.
const USUAL_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// Time between two looks into a folder.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn load(file: Option<&(String, String)>, problems: &mut Vec<Problem>) -> Sources {
    let mut sources = Sources::default();
    let Some((name, text)) = file else { return sources };
    let source = rules::Source::new(name, text);
    let tree = match yaml::parse(text) {
        Ok(tree) => tree,
        Err(e) => {
            problems.push(source.error((e.at, e.at + 1), "yaml", e.message, e.remedy));
            return sources;
        }
    };
    let mut reader = rules::Reader::new(&source, problems);
    let top = reader.fields(&tree, "sources.yaml", &["version", "sources"]);
    let Some(list) = top.get("sources").filter(|node| !node.is_null()) else { return sources };
    let mut ids = Vec::new();
    for node in reader.list(list, "sources") {
        one(&mut reader, node, &mut sources, &mut ids);
    }
    sources
}

fn one(
    reader: &mut rules::Reader<'_, '_>,
    node: &yaml::Yaml,
    sources: &mut Sources,
    ids: &mut Vec<SourceId>,
) {
    let known = [
        "id",
        "feed",
        "folder",
        "name",
        "owner",
        "official",
        "lang",
        "interval",
        "cap",
        "silent_after",
        "fetch",
    ];
    let fields = reader.fields(node, "a source", &known);
    let Some(id_value) = own_id(reader, (node, fields.get("id")), ids) else { return };
    ids.push(id_value.clone());
    let mut text = |key: &str| fields.get(key).and_then(|n| reader.text(n, key)).map(str::to_owned);
    let (feed, folder, name, owner) = (text("feed"), text("folder"), text("name"), text("owner"));
    let official = fields.get("official").and_then(|n| reader.flag(n, "official")).unwrap_or(false);
    let lang = fields.get("lang").and_then(|n| reader.parsed(n, "lang", Lang::new));
    let interval = fields.get("interval").and_then(|n| reader.duration(n, "interval"));
    if let (Some(given), Some(node)) = (interval, fields.get("interval"))
        && given < LEAST_INTERVAL
    {
        let message = "a feed polled so often would be a burden on its publisher";
        reader.error(node, "bad-value", message, "write 60s or more");
    }
    let silent_after = fields.get("silent_after").and_then(|n| reader.duration(n, "silent_after"));
    let pages = fields.get("fetch").is_some_and(|node| is_page(reader, node));
    let cap = fields.get("cap").and_then(|n| reader.flag(n, "cap"));
    if folder.is_some() {
        refuse_on_folders(reader, &fields);
    }
    match (feed, folder) {
        (Some(url), None) => {
            // Who names an interval means it.
            let (eager, interval) = (interval.is_some(), interval.unwrap_or(USUAL_INTERVAL));
            sources.feeds.push(Feed {
                id: id_value,
                url,
                name,
                owner,
                official,
                lang,
                interval,
                eager,
                silent_after,
                pages,
                cap,
            });
        }
        (None, Some(path)) => {
            let path = PathBuf::from(path);
            let interval = SCAN_INTERVAL;
            let folder = Folder { path, id: id_value, name, owner, official, lang, interval };
            sources.folders.push(folder);
        }
        _ => {
            let message = format!("the source {id_value} needs either feed or folder");
            reader.error(node, "missing", message, "add feed: URL, or folder: PATH");
        }
    }
}

/// The id of a source that is neither taken nor Wirebell's own.
fn own_id(
    reader: &mut rules::Reader<'_, '_>,
    (node, id): (&yaml::Yaml, Option<&yaml::Yaml>),
    ids: &[SourceId],
) -> Option<SourceId> {
    let Some(id) = id else {
        reader.error(node, "missing", "a source has no id", "add id: and a short name");
        return None;
    };
    let value = reader.parsed(id, "id", SourceId::new)?;
    if ids.contains(&value) {
        reader.error(id, "duplicate", format!("the id {value} is taken"), "choose another one");
        return None;
    }
    if value.is_own() {
        let message = format!("the id {value} is Wirebell's own: no source may speak under it");
        reader.error(id, "bad-value", message, format!("choose another one, such as {value}-1"));
        return None;
    }
    Some(value)
}

/// `fetch: page`; `feed`, which is usual, says that its entries are the articles.
fn is_page(reader: &mut rules::Reader<'_, '_>, node: &yaml::Yaml) -> bool {
    match reader.text(node, "fetch") {
        Some("page") => return true,
        Some("feed") | None => {}
        Some(other) => {
            let message = format!("{other:?} is nothing to fetch");
            reader.error(node, "bad-value", message, "write page, or leave it out");
        }
    }
    false
}

/// Keys that are about feeds.
fn refuse_on_folders(reader: &mut rules::Reader<'_, '_>, fields: &rules::Fields<'_>) {
    let cap = "cap is about the links of a feed; files in a folder tell themselves";
    let silent = "silent_after is about feeds; a folder may stay empty";
    let fetch = "fetch is about feeds; a file has the whole article";
    for (key, message) in [("cap", cap), ("silent_after", silent), ("fetch", fetch)] {
        if let Some(node) = fields.get(key) {
            reader.error(node, "no-effect", message, "leave it out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> (Sources, Vec<Problem>) {
        let mut problems = Vec::new();
        let file = ("sources.yaml".to_owned(), text.to_owned());
        let sources = load(Some(&file), &mut problems);
        (sources, problems)
    }

    #[test]
    fn feeds_and_folders_are_read() {
        let text = "sources:\n  - id: skylark\n    feed: https://skylark.example/rss\n    interval: 5m\n    official: true\n    cap: true\n    silent_after: 6h\n    fetch: page\n  - id: desk\n    folder: ./in\n    lang: uk\n";
        let (sources, problems) = sources(text);
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(sources.feeds[0].interval, Duration::from_secs(300));
        assert!(sources.feeds[0].official && sources.feeds[0].cap == Some(true));
        assert!(sources.feeds[0].pages);
        assert!(sources.feeds[0].eager, "who names an interval means it");
        assert_eq!(sources.feeds[0].silent_after, Some(Duration::from_secs(6 * 3600)));
        assert_eq!(sources.folders[0].path, PathBuf::from("./in"));
    }

    #[test]
    fn ids_that_are_wirebells_own_are_refused_with_place_and_remedy() {
        for own in ["push", "operator", "canary"] {
            let text = format!("sources:\n  - id: good\n    feed: x\n  - id: {own}\n    feed: y\n");
            let (sources, problems) = sources(&text);
            assert_eq!(sources.feeds.len(), 1, "{own}");
            let [problem] = &problems[..] else { panic!("{own}: {problems:?}") };
            assert_eq!((problem.line, problem.column, problem.width), (4, 9, own.len() as u32));
            assert!(problem.message.contains(own) && problem.remedy.contains(own), "{problem}");
        }
    }

    #[test]
    fn every_mistake_names_its_place() {
        let text = "sources:\n  - id: push\n    feed: x\n  - feed: y\n  - id: b\n  - id: c\n    feed: z\n    interval: 5s\n    ofical: true\n  - {id: d, folder: in, cap: true, silent_after: 1h, fetch: x}\n";
        let (_, problems) = sources(text);
        let lines: Vec<u32> = problems.iter().map(|p| p.line).collect();
        assert_eq!(lines, [2, 4, 5, 9, 8, 10, 10, 10, 10], "{problems:?}");
    }
}
