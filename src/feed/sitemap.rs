//! Entries of a news sitemap.

use crate::feed::Draft;
use crate::feed::date;
use crate::feed::entry;
use crate::feed::tree::Node;

/// A draft of a `url` with news in it; none where it has none.
pub(super) fn draft(url: &Node) -> Option<Draft> {
    let news = url.elements().find(|node| node.name == "news")?;
    let mut draft = Draft::default();
    let place = value(url, "loc");
    draft.link = entry::web_link(&place, url.base.as_ref());
    if draft.link.is_none() && !place.is_empty() {
        let message = "leads to no http or https address; it was left out";
        draft.problem(format!("the link {place:.100?} {message}"));
    }
    draft.title = news.elements().find(|n| n.name == "title").map(entry::line).unwrap_or_default();
    let paper = news.elements().find(|node| node.name == "publication");
    draft.lang = paper.and_then(|paper| entry::lang(&value(paper, "language")));
    for (text, time) in [
        (value(news, "publication_date"), &mut draft.published_at),
        (value(url, "lastmod"), &mut draft.updated_at),
    ] {
        *time = date::read(&text);
        if time.is_none() && !text.is_empty() {
            draft.problems.push(entry::unread(&text));
        }
    }
    Some(draft)
}

fn value(node: &Node, name: &str) -> String {
    let found = node.elements().find(|inner| inner.name == name);
    found.map(|inner| inner.text().trim().to_owned()).unwrap_or_default()
}
