//! One entry of an XML feed to a draft.

use url::Url;

use crate::feed::Draft;
use crate::feed::clean;
use crate::feed::date;
use crate::feed::html;
use crate::feed::tree::Node;
use crate::feed::withdrawn;
use crate::model::Lang;
use crate::model::Time;

/// Most links of an entry looked at.
const MAX_LINKS: usize = 50;
/// Longest address taken.
const MAX_LINK: usize = 4_096;

/// Makes a draft of an `item` or `entry`.
pub(super) fn draft(entry: &Node) -> Draft {
    let mut draft = Draft::default();
    if entry.name == "deleted-entry" {
        draft.id = entry.attribute("ref").filter(|id| !id.is_empty()).map(str::to_owned);
        draft.updated_at = entry.attribute("when").and_then(date::read);
        draft.withdrawn = true;
        return draft;
    }
    draft.title = title(entry);
    draft.body = body(entry);
    draft.id = id(entry);
    draft.link = link(entry, &mut draft.problems);
    draft.announces = announced(entry);
    draft.published_at =
        time(entry, &["published", "pubdate", "issued", "created", "date"], &mut draft);
    draft.updated_at = time(entry, &["updated", "modified"], &mut draft);
    draft.author = first(entry, &["author", "creator"], author);
    let language = first(entry, &["language"], |n| Some(n.text()));
    draft.lang = language.or_else(|| entry.lang.clone()).as_deref().and_then(lang);
    draft.withdrawn = entry.elements().filter(|node| node.name == "pubstatus").any(|node| {
        let status = node.attribute("qcode").map_or_else(|| node.text(), str::to_owned);
        withdrawn::by_status(&status)
    });
    draft.heed_title();
    draft
}

/// An absolute http or https address, resolved against `base`.
pub(super) fn web_link(text: &str, base: Option<&Url>) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_LINK {
        return None;
    }
    let url = match base {
        Some(base) => base.join(text).ok()?,
        None => Url::parse(text).ok()?,
    };
    let is_web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    is_web.then(|| url.to_string())
}

/// A language tag as feeds write it.
pub(super) fn lang(text: &str) -> Option<Lang> {
    Lang::new(text.trim().replace('_', "-")).ok()
}

/// The text of a title or name on one line.
pub(super) fn line(node: &Node) -> String {
    match form(node) {
        TextForm::Plain => clean::squeezed(&node.text()),
        TextForm::Html => html::to_line(&content(node)),
    }
}

/// The markup in an element, also where that is written in base64.
fn content(node: &Node) -> String {
    let mode = node.attribute("mode").unwrap_or_default();
    let kind = node.attribute("type").unwrap_or_default();
    if mode.eq_ignore_ascii_case("base64") || kind == "application/octet-stream" {
        let text: String = node.text().split_whitespace().collect();
        let bytes = data_encoding::BASE64.decode(text.as_bytes()).ok();
        if let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
            return text;
        }
    }
    node.html()
}

enum TextForm {
    Plain,
    Html,
}

/// Text that says it is plain is plain; everything else may hold markup.
fn form(node: &Node) -> TextForm {
    let kind = node.attribute("type").map(str::to_ascii_lowercase);
    let inline = node.elements().next().is_some();
    match kind.as_deref() {
        Some("text" | "text/plain") if !inline => TextForm::Plain,
        _ => TextForm::Html,
    }
}

fn first<T>(entry: &Node, names: &[&str], read: impl Fn(&Node) -> Option<T>) -> Option<T> {
    names.iter().find_map(|name| entry.named(name).find_map(&read))
}

/// The feed formats' own title before those of extensions.
fn title(entry: &Node) -> String {
    let read = |node: &Node| Some(line(node)).filter(|title| !title.is_empty());
    let own = first(entry, &["title"], read);
    own.or_else(|| extra(entry, &["title"], read)).unwrap_or_default()
}

/// What extensions have under one of these names, also in a group of media.
fn extra<T>(entry: &Node, names: &[&str], read: impl Fn(&Node) -> Option<T>) -> Option<T> {
    let groups = entry.elements().filter(|node| node.name == "group").flat_map(Node::elements);
    let mut all = entry.elements().chain(groups).filter(|n| names.contains(&n.name.as_str()));
    all.find_map(read)
}

/// The fullest form there is: content before summary, the feed formats before extensions.
fn body(entry: &Node) -> String {
    let names = ["encoded", "content", "body", "fulltext", "description", "summary", "tagline"];
    let read = |node: &Node| {
        let text = match form(node) {
            TextForm::Plain => clean::joined(&node.text()),
            TextForm::Html => html::to_text(&content(node)),
        };
        (!text.is_empty()).then_some(text)
    };
    let others = ["fullitem", "description", "summary", "abstract"];
    first(entry, &names, read).or_else(|| extra(entry, &others, read)).unwrap_or_default()
}

fn id(entry: &Node) -> Option<String> {
    let own = first(entry, &["id", "guid", "identifier"], |n| Some(n.text().trim().to_owned()));
    let about = || entry.attribute("about").map(str::to_owned);
    own.filter(|id| !id.is_empty()).or_else(about).filter(|id| !id.is_empty())
}

/// The best link: alternate before others, then an id that is an address.
fn link(entry: &Node, problems: &mut Vec<String>) -> Option<String> {
    let alternate = |n: &&Node| {
        let rel = n.attribute("rel").map(str::to_ascii_lowercase);
        rel.is_none_or(|r| r.is_empty() || r == "alternate" || r.ends_with("/alternate"))
    };
    // A page before its other forms.
    let form = |n: &&Node| n.attribute("type").is_none_or(|kind| kind.contains("html"));
    let mut relative = None;
    let mut resolve = |text: &str, base: Option<&Url>| {
        let link = web_link(text, base);
        if link.is_none() && !text.trim().is_empty() {
            relative = Some(text.trim().chars().take(100).collect::<String>());
        }
        link
    };
    let links = || entry.named("link").filter(alternate);
    for node in links().filter(form).chain(links().filter(|n| !form(n))).take(MAX_LINKS) {
        let text = node.attribute("href").map_or_else(|| node.text(), str::to_owned);
        if let Some(link) = resolve(&text, node.base.as_ref()) {
            return Some(link);
        }
    }
    for node in entry.named("guid").chain(entry.named("id")) {
        let permanent =
            node.attribute("ispermalink").is_none_or(|p| !p.eq_ignore_ascii_case("false"));
        // Only a whole address is one here: an id such as "4711" is no relative link.
        if let Some(link) = permanent.then(|| web_link(&node.text(), None)).flatten() {
            return Some(link);
        }
    }
    if let Some(link) = entry.attribute("about").and_then(|about| web_link(about, None)) {
        return Some(link);
    }
    if let Some(text) = relative {
        problems
            .push(format!("the link {text:?} leads to no http or https address; it was left out"));
    }
    None
}

/// The CAP file that a link, an enclosure or a content element says it leads to, or an element
/// named so.
fn announced(entry: &Node) -> Option<String> {
    entry.elements().find_map(|node| {
        if node.name == "cap" {
            return web_link(&node.text(), node.base.as_ref());
        }
        let kind = node.attribute("type").map(str::to_ascii_lowercase).unwrap_or_default();
        let target = match node.name.as_str() {
            "link" => node.attribute("href").map_or_else(|| node.text(), str::to_owned),
            "enclosure" => node.attribute("url")?.to_owned(),
            "content" => node.attribute("src")?.to_owned(),
            _ => return None,
        };
        kind.starts_with("application/cap+xml").then(|| web_link(&target, node.base.as_ref()))?
    })
}

fn time(entry: &Node, names: &[&str], draft: &mut Draft) -> Option<Time> {
    let mut other = None;
    for node in names.iter().flat_map(|name| entry.named(name)) {
        let text = node.text();
        if let Some(at) = date::read(&text) {
            return Some(at);
        }
        other = Some(text).filter(|t| !t.trim().is_empty()).or(other);
    }
    if let Some(text) = other {
        draft.problem(unread(&text));
    }
    None
}

/// What is said of a date that cannot be read.
pub(super) fn unread(text: &str) -> String {
    format!("the date {:.60?} cannot be read and was left out", text.trim())
}

/// `Name`, `mail (Name)`, or an element with a `name` in it.
fn author(node: &Node) -> Option<String> {
    let named = node.named("name").map(line).find(|n| !n.is_empty());
    let text = named.unwrap_or_else(|| line(node));
    let bracketed = text.split_once('(').and_then(|(_, name)| name.strip_suffix(')'));
    let name = match bracketed {
        Some(name) if text.contains('@') => name.trim().to_owned(),
        _ => text,
    };
    (!name.is_empty()).then_some(name)
}
