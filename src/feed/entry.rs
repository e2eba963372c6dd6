//! One entry of an XML feed to a draft.

use url::Url;

use crate::feed::Draft;
use crate::feed::clean;
use crate::feed::date;
use crate::feed::html;
use crate::feed::tree::Node;
use crate::model::Lang;
use crate::model::Time;

/// Longest address taken.
const MAX_LINK: usize = 4_096;

/// Makes a draft of an `item` or `entry`; none if there is nothing in it.
pub(super) fn draft(entry: &Node) -> Option<Draft> {
    let mut draft = Draft::default();
    if entry.name == "deleted-entry" {
        draft.id = entry.attribute("ref").filter(|id| !id.is_empty()).map(str::to_owned);
        draft.updated_at = entry.attribute("when").and_then(date::read);
        draft.withdrawn = true;
        return draft.id.is_some().then_some(draft);
    }
    draft.title = first(entry, &["title"], |n| Some(line(n))).unwrap_or_default();
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
    let nothing = draft.is_empty() && draft.id.is_none() && draft.link.is_none();
    (!nothing).then_some(draft)
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
        TextForm::Html => html::to_line(&node.html()),
    }
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

/// The fullest form there is: content before summary.
fn body(entry: &Node) -> String {
    let names = ["encoded", "content", "body", "fulltext", "description", "summary", "tagline"];
    let text = first(entry, &names, |node| {
        let text = match form(node) {
            TextForm::Plain => clean::joined(&node.text()),
            TextForm::Html => html::to_text(&node.html()),
        };
        (!text.is_empty()).then_some(text)
    });
    text.unwrap_or_default()
}

fn id(entry: &Node) -> Option<String> {
    let own = first(entry, &["id", "guid", "identifier"], |n| Some(n.text().trim().to_owned()));
    let about = || entry.attribute("about").map(str::to_owned);
    own.filter(|id| !id.is_empty()).or_else(about).filter(|id| !id.is_empty())
}

/// The best link: alternate before others, then an id that is an address.
fn link(entry: &Node, problems: &mut Vec<String>) -> Option<String> {
    let alternate =
        |n: &&Node| n.attribute("rel").is_none_or(|r| r.eq_ignore_ascii_case("alternate"));
    let mut relative = None;
    let mut resolve = |text: &str, base: Option<&Url>| {
        let link = web_link(text, base);
        if link.is_none() && !text.trim().is_empty() {
            relative = Some(text.trim().chars().take(100).collect::<String>());
        }
        link
    };
    for node in entry.named("link").filter(alternate) {
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
    let mut unread = None;
    for node in names.iter().flat_map(|name| entry.named(name)) {
        let text = node.text();
        if let Some(at) = date::read(&text) {
            return Some(at);
        }
        unread = Some(text).filter(|t| !t.trim().is_empty()).or(unread);
    }
    if let Some(text) = unread {
        draft.problem(format!("the date {:.60?} cannot be read and was left out", text.trim()));
    }
    None
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
