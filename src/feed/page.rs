//! Web pages to the text of their article: what navigation, captions and notices surround is cut
//! out, and paragraphs stay paragraphs.

mod data;

use std::collections::HashMap;

use dom_query::Document;
use dom_query::NodeRef;
use dom_smoothie::Config;
use dom_smoothie::Readability;
use serde::Serialize;
use url::Url;

use crate::feed::Context;
use crate::feed::Error;
use crate::feed::MAX_AHEAD;
use crate::feed::charset;
use crate::feed::clean;
use crate::feed::date;
use crate::feed::entry;
use crate::feed::html;
use crate::feed::lang;
use crate::feed::link;
use crate::model::Lang;
use crate::model::Time;
use crate::model::article::MAX_BODY_CHARS;
use crate::model::article::MAX_TITLE_CHARS;
use data::Data;

/// Largest page read, in bytes.
pub const MAX_BYTES: usize = 5 << 20;
/// Most tags of a page that is read: what more has is no article, and would take long.
const MAX_TAGS: usize = 40_000;
/// Deepest nesting of a page that is read.
const MAX_DEPTH: usize = 400;
/// Most elements open at once, as far as tags alone tell: many are never closed.
const MAX_OPEN: usize = 4_000;
/// A text below that is looked for elsewhere, too.
const SHORT: usize = 200;
/// What stands around an article, or in it without belonging to it.
const AROUND: &str = "nav, aside, footer, form, button, figcaption, noscript, dialog, \
    [class*='cookie'], [id*='cookie'], [class*='consent'], [id*='consent'], [class*='newsletter'], \
    [class*='related'], [class*='breadcrumb'], [class*='social'], [class*='share-'], \
    [class*='promo'], [class*='paywall'], [class*='caption'], [class*='byline'], [id*='comments'], \
    [aria-hidden='true'], amp-ad, amp-embed, amp-sticky-ad, amp-sidebar, amp-consent";
/// What a page says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Page {
    /// Its headline, in one line.
    pub title: String,
    /// Its article without the headline; paragraphs separated by one empty line.
    pub text: String,
    /// When it was published; none if that is not said or cannot be read.
    pub published_at: Option<Time>,
    /// When it was last changed.
    pub updated_at: Option<Time>,
    /// Who wrote it.
    pub author: Option<String>,
    /// Its language: as it says, or else as its words look.
    pub lang: Option<Lang>,
    /// The address that it wants to be known by, where that is on its own site.
    pub url: Option<String>,
    /// The site's name.
    pub site: Option<String>,
}

/// Reads a page. What has no text that could be an article is an error.
pub fn read(bytes: &[u8], context: &Context<'_>) -> Result<Page, Error> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::TooLarge { size: bytes.len(), most: MAX_BYTES });
    }
    let decoded = charset::decode(bytes, context.charset);
    let tags = decoded.text.bytes().filter(|b| *b == b'<').count();
    if tags > MAX_TAGS {
        return Err(Error::NotAPage(format!("it has {tags} tags, at most {MAX_TAGS} are read")));
    }
    // Parsing takes longer than linear where much is nested, so what is plainly too deep ends here.
    if opened(&decoded.text) > MAX_OPEN {
        return Err(Error::NotAPage(format!("it is nested more than {MAX_DEPTH} deep")));
    }
    let document = Document::from(decoded.text.as_str());
    if is_too_deep(&document) {
        return Err(Error::NotAPage(format!("it is nested more than {MAX_DEPTH} deep")));
    }
    let metas = metas(&document);
    let data = Data::of(&document);
    let address = context.url.map(Url::as_str);
    let mut page = Page {
        title: title(&document, &metas, &data),
        published_at: published(&document, &metas, &data),
        updated_at: [
            data.modified.as_deref(),
            metas.one(&["article:modified_time", "og:updated_time"]),
        ]
        .into_iter()
        .flatten()
        .find_map(date::read),
        author: author(&metas, &data),
        lang: written_lang(&document, &metas, &data),
        url: canonical(&document, &metas, context.url),
        site: metas
            .one(&["og:site_name", "application-name"])
            .map(clean::squeezed)
            .or(data.publisher.clone()),
        text: String::new(),
    };
    page.text = text(document, address, &page.title);
    if page.text.chars().count() < SHORT {
        let body = data.body.as_deref().map(clean::paragraphs).unwrap_or_default();
        let said = metas.one(&["og:description", "description", "twitter:description"]);
        let said = said.map(clean::squeezed).unwrap_or_default();
        let longest = [body, said].into_iter().max_by_key(String::len).unwrap_or_default();
        if longest.len() > page.text.len() {
            page.text = longest;
        }
    }
    if page.text.is_empty() {
        return Err(Error::NotAPage("it has no text that could be an article".to_owned()));
    }
    clean::cut(&mut page.title, MAX_TITLE_CHARS);
    clean::cut(&mut page.text, MAX_BODY_CHARS);
    let is_past = |at: &Time| *at <= context.now.plus(MAX_AHEAD);
    page.published_at = page.published_at.filter(is_past);
    page.updated_at = page.updated_at.filter(is_past);
    page.lang = lang::settle(page.lang, &format!("{}\n{}", page.title, page.text));
    Ok(page)
}

/// The `meta` elements, by name or property.
struct Metas(HashMap<String, String>);

impl Metas {
    /// The first of these that says something.
    fn one(&self, names: &[&str]) -> Option<&str> {
        let found = names.iter().filter_map(|name| self.0.get(*name));
        found.map(|text| text.trim()).find(|text| !text.is_empty())
    }
}

fn metas(document: &Document) -> Metas {
    let mut metas = HashMap::new();
    for meta in document.select("meta").nodes() {
        let name = ["property", "name", "itemprop"].iter().find_map(|name| meta.attr(name));
        if let (Some(name), Some(content)) = (name, meta.attr("content")) {
            metas.entry(name.to_ascii_lowercase()).or_insert_with(|| content.to_string());
        }
    }
    Metas(metas)
}

/// The most tags that were opened and not closed at one time.
fn opened(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('<') {
        match bytes.get(at + 1) {
            Some(b'/') => open = open.saturating_sub(1),
            Some(next) if next.is_ascii_alphabetic() => open += 1,
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// Whether a tree is deeper than what may be walked through.
fn is_too_deep(document: &Document) -> bool {
    let mut open: Vec<(NodeRef<'_>, usize)> = vec![(document.root(), 0)];
    while let Some((node, depth)) = open.pop() {
        if depth > MAX_DEPTH {
            return true;
        }
        open.extend(node.children_it(false).map(|child| (child, depth + 1)));
    }
    false
}

fn title(document: &Document, metas: &Metas, data: &Data) -> String {
    let named = data.headline.as_deref().or_else(|| metas.one(&["og:title", "twitter:title"]));
    if let Some(title) = named {
        return html::to_line(title);
    }
    let headings = document.select("h1");
    if headings.length() == 1 {
        let heading = clean::squeezed(&headings.text());
        if !heading.is_empty() {
            return heading;
        }
    }
    let title = clean::squeezed(&document.select("head > title").first().text());
    // What follows the last bar is the site.
    let cut = [" | ", " — ", " – ", " - ", " :: "].iter().find_map(|bar| title.rsplit_once(bar));
    match cut {
        Some((before, _)) if before.chars().count() >= 15 => before.trim().to_owned(),
        _ => title,
    }
}

fn published(document: &Document, metas: &Metas, data: &Data) -> Option<Time> {
    let names = ["article:published_time", "og:published_time", "datepublished", "date", "dc.date"];
    let element = document.select("time[datetime]");
    let element = element.nodes().first().and_then(|time| time.attr("datetime"));
    [data.published.as_deref(), metas.one(&names), element.as_deref()]
        .into_iter()
        .flatten()
        .find_map(date::read)
}

fn author(metas: &Metas, data: &Data) -> Option<String> {
    let named = data.author.as_deref().or_else(|| metas.one(&["author", "article:author"]));
    // Some sites name the writer's page instead.
    named.map(clean::squeezed).filter(|name| !name.is_empty() && !name.contains("://"))
}

fn written_lang(document: &Document, metas: &Metas, data: &Data) -> Option<Lang> {
    let element = document.select("html").attr("lang");
    let said = [element.as_deref(), data.lang.as_deref(), metas.one(&["og:locale"])];
    said.into_iter().flatten().find_map(|text| entry::lang(&text.replace('_', "-")))
}

/// The address that a page gives as its own, without what tracks readers. One on another site,
/// and a site's front page, is not believed.
fn canonical(document: &Document, metas: &Metas, base: Option<&Url>) -> Option<String> {
    let named = document.select("link[rel='canonical']").attr("href");
    let said = [named.as_deref(), metas.one(&["og:url"])];
    let resolve = |text: &str| match base {
        Some(base) => base.join(text.trim()).ok(),
        None => Url::parse(text.trim()).ok(),
    };
    let own = said.into_iter().flatten().filter_map(resolve).find(|url| {
        let is_page = matches!(url.scheme(), "http" | "https") && url.path() != "/";
        is_page && base.is_none_or(|base| is_same_site(base, url))
    });
    own.or_else(|| base.cloned()).map(|url| {
        let mut url = link::without_tracking(url);
        url.set_fragment(None);
        url.to_string()
    })
}

fn is_same_site(one: &Url, other: &Url) -> bool {
    let (Some(one), Some(other)) = (one.host_str(), other.host_str()) else { return false };
    let bare = |host: &str| host.strip_prefix("www.").unwrap_or(host).to_owned();
    let (one, other) = (bare(one), bare(other));
    let below =
        |host: &str, of: &str| host.strip_suffix(of).is_some_and(|rest| rest.ends_with('.'));
    one == other || below(&one, &other) || below(&other, &one)
}

/// The article's text, without a headline that stands before it.
fn text(document: Document, address: Option<&str>, title: &str) -> String {
    let whole = document.root().text().len();
    for part in document.select(AROUND).nodes() {
        // A wrapper of everything may carry any name.
        if part.text().len().saturating_mul(3) < whole {
            part.remove_from_parent();
        }
    }
    let config = Config { max_elements_to_parse: MAX_TAGS, ..Config::default() };
    let found = Readability::with_document(document, address, Some(config))
        .and_then(|mut page| page.parse());
    let Ok(found) = found else { return String::new() };
    let text = html::to_text(&found.content);
    let rest =
        text.strip_prefix(title).filter(|rest| !title.is_empty() && rest.starts_with("\n\n"));
    rest.map_or_else(|| text.clone(), |rest| rest.trim_start().to_owned())
}

#[cfg(test)]
mod tests;
