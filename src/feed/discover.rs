//! What a document is that is no feed, and where an HTML page says its feed is.

use quick_xml::events::BytesStart;
use url::Url;

use crate::feed::entry::web_link;
use crate::feed::html;
use crate::feed::names;

/// How far a tag is read.
const MAX_TAG: usize = 4_096;
/// Most feeds named.
const MAX_FEEDS: usize = 5;

/// Types of the links that lead to a feed.
const TYPES: [&str; 4] =
    ["application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml"];
/// Elements that a piece of HTML may begin with.
const HTML: [&str; 14] = [
    "html", "head", "body", "meta", "script", "div", "p", "table", "center", "h1", "b", "br", "a",
    "font",
];

/// Says what the document is, by its first element.
pub(super) fn instead(root: &str, text: &str, base: Option<&Url>) -> String {
    match root {
        "alert" => return "it is a CAP alert".to_owned(),
        "" => return "it has no element".to_owned(),
        "sitemapindex" => {
            return "it is an index of sitemaps; give the address of a news sitemap".to_owned();
        }
        "urlset" => {
            return "it is a sitemap that names no news; give the address of a news sitemap"
                .to_owned();
        }
        _ => {}
    }
    let doctype = text.get(..14).is_some_and(|head| head.eq_ignore_ascii_case("<!doctype html"));
    if !doctype && !HTML.contains(&root) {
        return format!("its root element is {root:.60?}");
    }
    match feeds(text, base)[..] {
        [] => "it is an HTML page that names no feed; give the address of its feed".to_owned(),
        [ref one] => format!("it is an HTML page; its feed is {one}"),
        ref many => format!("it is an HTML page; its feeds are {}", many.join(" and ")),
    }
}

/// The feeds that the page names, in its order.
fn feeds(page: &str, base: Option<&Url>) -> Vec<String> {
    let mut base = base.cloned();
    let mut found = Vec::new();
    let mut quotes_count = true;
    let mut rest = page;
    while let Some((_, tail)) = rest.split_once('<') {
        rest = tail;
        if let Some(comment) = tail.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let is = |name: &str| tail.get(..name.len()).is_some_and(|t| t.eq_ignore_ascii_case(name));
        let name = ["link", "base"].into_iter().find(|name| is(name));
        let Some(name) = name else { continue };
        let end = html::tag_end(tail, &mut quotes_count).filter(|end| *end <= MAX_TAG);
        let Some(tag) = end.and_then(|at| tail.get(..at)) else { continue };
        let [href, rel, kind] = attributes(tag, name.len());
        if name == "base" {
            base = web_link(&href, base.as_ref()).and_then(|l| Url::parse(&l).ok()).or(base);
        } else if rel.split_whitespace().any(|r| r == "alternate" || r == "feed")
            && TYPES.iter().any(|t| kind.trim_start().starts_with(t))
            && let Some(link) = web_link(&href, base.as_ref())
            && !found.contains(&link)
        {
            found.push(link);
        }
        if found.len() == MAX_FEEDS {
            break;
        }
    }
    found
}

/// `href` as written, `rel` and `type` in lower case.
fn attributes(tag: &str, name: usize) -> [String; 3] {
    let mut values: [String; 3] = Default::default();
    let tag = BytesStart::from_content(tag.trim_end_matches('/'), name);
    for (key, value) in names::attributes(&tag) {
        match key.as_str() {
            "href" => values[0] = value,
            "rel" => values[1] = value.to_ascii_lowercase(),
            "type" => values[2] = value.to_ascii_lowercase(),
            _ => {}
        }
    }
    values
}
