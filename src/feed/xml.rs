//! RSS, RDF and Atom, read with recovery: first in one pass, then, where the markup breaks, entry
//! by entry.

use std::ops::ControlFlow;

use quick_xml::events::BytesStart;
use url::Url;

use crate::feed::Context;
use crate::feed::Document;
use crate::feed::Draft;
use crate::feed::Error;
use crate::feed::MAX_ENTRIES;
use crate::feed::MAX_PROBLEMS;
use crate::feed::Rhythm;
use crate::feed::cap;
use crate::feed::discover;
use crate::feed::entry;
use crate::feed::markup::Piece;
use crate::feed::markup::pieces;
use crate::feed::mend::mend;
use crate::feed::mend::slices;
use crate::feed::names::Namespaces;
use crate::feed::names::attributes;
use crate::feed::names::is_entry;
use crate::feed::names::local;
use crate::feed::sitemap;
use crate::feed::tree::Child;
use crate::feed::tree::Node;
use crate::model::Lang;

/// Deepest nesting kept; what is deeper lends its text to the last element kept.
const MAX_DEPTH: usize = 64;
/// Most elements kept in one entry.
const MAX_NODES: usize = 20_000;
/// Longest `xml:base` and language heeded: every element in it holds its own.
const MAX_BASE: usize = 1_024;
const MAX_LANG: usize = 50;

/// Elements of an entry that never hold other elements of an entry: a tag left open is closed by
/// the next one.
const LEAVES: [&str; 6] = ["title", "link", "guid", "pubdate", "id", "published"];

/// Reads a feed in XML.
pub(super) fn read(text: &str, context: &Context<'_>) -> Result<Document, Error> {
    let text = mend(text);
    let mut parser = Parser::new(context.url.cloned());
    let broken = parser.run(&text);
    let mut salvaged = 0;
    if let Some(problem) = broken {
        parser.problem(problem);
        salvaged = parser.salvage(&text);
    }
    match parser.other() {
        Some(root) => Err(Error::NotAFeed(discover::instead(&root, &text, context.url))),
        None => Ok(parser.finish(salvaged)),
    }
}

struct Parser {
    /// What `xml:base` is relative to at the root.
    base: Option<Url>,
    namespaces: Namespaces,
    /// Open elements, the root first.
    open: Vec<Node>,
    /// Open elements beyond [`MAX_DEPTH`].
    deeper: usize,
    /// Elements in the entry being read.
    nodes: usize,
    kind: Option<&'static str>,
    root: Option<String>,
    title: Option<String>,
    lang: Option<Lang>,
    rhythm: Rhythm,
    entries: Vec<Draft>,
    /// Addresses of a sitemap without news.
    newsless: usize,
    problems: Vec<String>,
    /// Where the last whole entry ended.
    read_to: usize,
}

impl Parser {
    fn new(base: Option<Url>) -> Self {
        Self {
            base,
            namespaces: Namespaces::default(),
            open: Vec::new(),
            deeper: 0,
            nodes: 0,
            kind: None,
            root: None,
            title: None,
            lang: None,
            rhythm: Rhythm::default(),
            entries: Vec::new(),
            newsless: 0,
            problems: Vec::new(),
            read_to: 0,
        }
    }

    /// Reads to the end; answers what is wrong if the markup breaks before that.
    fn run(&mut self, text: &str) -> Option<String> {
        let broken = pieces(text, |piece, position| {
            match piece {
                Piece::Start(tag) => self.start(tag),
                Piece::End(name) => self.end(&self.known(name), position),
                Piece::Text(text) => self.text(text),
                Piece::Doctype => {}
            }
            if self.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if self.is_full() {
            self.problem(format!("only the first {MAX_ENTRIES} entries were read"));
            return None;
        }
        if broken.is_some() {
            return broken;
        }
        if self.open.iter().any(|node| is_entry(&node.name)) {
            self.problem("the document ends inside an entry, which was left out".to_owned());
        }
        None
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= MAX_ENTRIES
    }

    fn problem(&mut self, text: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(text);
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) {
        let full = tag.name().0.to_owned();
        self.namespaces.declare(tag);
        let name = self.known(&full);
        self.root(&name);
        if is_entry(&name) {
            self.close_entry(self.read_to);
            self.nodes = 0;
        }
        self.close_leaf(&name);
        self.nodes += 1;
        if self.open.len() >= MAX_DEPTH || self.nodes > MAX_NODES {
            self.deeper += 1;
            return;
        }
        let parent = self.open.last();
        let mut node = Node {
            name,
            base: parent.map_or_else(|| self.base.clone(), |p| p.base.clone()),
            lang: parent.and_then(|p| p.lang.clone()),
            ..Node::default()
        };
        for (key, value) in attributes(tag) {
            match key.as_str() {
                "xml:base" => node.base = resolve(node.base.as_ref(), &value).or(node.base),
                "xml:lang" => node.lang = Some(value).filter(|lang| lang.len() <= MAX_LANG),
                _ => node.attributes.push((local(&key), value)),
            }
        }
        if self.open.is_empty() {
            self.namespaces.trust(&full);
        }
        node.core = self.namespaces.is_core(&full);
        self.open.push(node);
    }

    /// The local name; an extension's element that is called like an entry keeps its prefix.
    fn known(&self, full: &str) -> String {
        let name = local(full);
        if self.kind == Some("sitemap") && name == "url" {
            return "entry".to_owned();
        }
        if matches!(name.as_str(), "item" | "entry") && self.namespaces.is_foreign(full) {
            return full.to_ascii_lowercase();
        }
        name
    }

    /// The first element is the root, or the first of a feed where other markup stands before it.
    /// What a whole page has inside is no feed.
    fn root(&mut self, name: &str) {
        let kind = match name {
            "rss" | "channel" => Some("rss"),
            "rdf" => Some("rdf"),
            "feed" | "entry" => Some("atom"),
            "urlset" => Some("sitemap"),
            _ => None,
        };
        let page = self.root.as_deref() == Some("html");
        let late = kind.is_some() && !page && !matches!(name, "channel" | "entry");
        if self.root.is_none() || (late && self.kind.is_none() && self.entries.is_empty()) {
            self.open.clear();
            self.root = Some(name.to_owned());
            self.kind = kind;
        }
    }

    /// Closes an element left open that cannot hold the one that begins.
    fn close_leaf(&mut self, name: &str) {
        if matches!(name, "guid" | "pubdate") && self.deeper == 0 {
            let entry = self.open.iter().rposition(|n| is_entry(&n.name));
            while entry.is_some_and(|entry| self.open.len() > entry + 1) {
                self.close();
            }
        }
        let depth = self.open.len();
        let in_entry = depth > 1 && self.open.get(depth - 2).is_some_and(|n| is_entry(&n.name));
        let leaf = self.open.last().is_some_and(|n| LEAVES.contains(&n.name.as_str()));
        let sibling = LEAVES.contains(&name) || name == "description" || name == "summary";
        if self.deeper == 0 && in_entry && leaf && sibling {
            self.close();
        }
    }

    fn end(&mut self, name: &str, position: usize) {
        if self.deeper > 0 && !is_entry(name) {
            self.deeper -= 1;
            return;
        }
        let entry = self.open.iter().rposition(|n| is_entry(&n.name));
        let Some(at) = self.open.iter().rposition(|n| n.name == name) else { return };
        // Inside an entry only its own elements and the document's may be closed.
        if entry.is_some_and(|entry| at < entry)
            && !matches!(name, "channel" | "rss" | "feed" | "rdf" | "urlset")
        {
            return;
        }
        if entry.is_some_and(|entry| at <= entry) {
            self.deeper = 0;
            self.close_entry(position);
        }
        while self.open.len() > at {
            self.close();
        }
    }

    /// Closes the entry being read, with everything open in it.
    fn close_entry(&mut self, position: usize) {
        let Some(at) = self.open.iter().rposition(|n| is_entry(&n.name)) else { return };
        while self.open.len() > at + 1 {
            self.close();
        }
        self.deeper = 0;
        if let Some(entry) = self.open.pop() {
            self.read_to = self.read_to.max(position);
            let messages = cap::inside(&entry);
            if !messages.is_empty() {
                self.entries.extend(messages);
            } else if self.kind != Some("sitemap") {
                self.entries.push(entry::draft(&entry));
            } else if let Some(draft) = sitemap::draft(&entry) {
                self.entries.push(draft);
            } else {
                self.newsless += 1;
            }
        }
    }

    /// Closes the innermost element.
    fn close(&mut self) {
        let Some(node) = self.open.pop() else { return };
        let Some(parent) = self.open.last_mut() else { return };
        let entry = is_entry(&parent.name) || self.open.iter().any(|n| is_entry(&n.name));
        let depth = self.open.len();
        if entry {
            if let Some(parent) = self.open.last_mut() {
                parent.children.push(Child::Node(node));
            }
            return;
        }
        // Outside entries only the feed's own title, language and rhythm are kept.
        if depth <= 3 {
            let parent = self.open.last().map(|parent| parent.name.as_str()).unwrap_or_default();
            self.rhythm.take(parent, &node.name, &node.text());
        }
        if depth <= 2 && node.core {
            match node.name.as_str() {
                "title" if self.title.is_none() => {
                    self.title = Some(entry::line(&node)).filter(|t| !t.is_empty());
                }
                "language" => self.lang = self.lang.take().or_else(|| entry::lang(&node.text())),
                _ => {}
            }
        }
    }

    fn text(&mut self, text: &str) {
        let keeps = self.open.len() > 1;
        if let Some(node) = self.open.last_mut().filter(|_| keeps) {
            node.push_text(text);
        }
    }

    /// Reads the entries behind the break one by one; answers how many that gave.
    fn salvage(&mut self, text: &str) -> usize {
        let outer = self.open.iter().take_while(|n| !is_entry(&n.name)).last();
        let outer =
            outer.map(|n| Node { base: n.base.clone(), lang: n.lang.clone(), ..Node::default() });
        let outer = outer.unwrap_or_else(|| Node { base: self.base.clone(), ..Node::default() });
        self.open.clear();
        let before = self.entries.len();
        let rest = text.get(self.read_to..).unwrap_or_default();
        for slice in slices(rest, self.kind == Some("sitemap")) {
            if self.is_full() {
                break;
            }
            let mut one = Self::new(self.base.clone());
            one.namespaces = self.namespaces.clone();
            (one.root, one.kind) = (Some(String::new()), self.kind.or(Some("rss")));
            // An entry lies in its feed, whose own element is not part of the slice.
            one.open.push(outer.clone());
            let broken = one.run(slice);
            if let (Some(problem), true) = (broken, one.entries.is_empty()) {
                self.problem(format!("an entry was lost: {problem}"));
            }
            self.entries.append(&mut one.entries);
            self.newsless += one.newsless;
        }
        self.entries.len() - before
    }

    /// The root of a document that is no feed.
    fn other(&self) -> Option<String> {
        let root = self.root.as_deref().unwrap_or_default();
        let is_feed = match self.kind {
            Some("sitemap") => !self.entries.is_empty() || self.newsless == 0,
            Some(_) => true,
            None => !self.entries.is_empty() && root != "html",
        };
        (!is_feed).then(|| root.to_owned())
    }

    fn finish(mut self, salvaged: usize) -> Document {
        if self.newsless > 0 {
            self.problem(format!("{} addresses without news were left out", self.newsless));
        }
        for draft in &mut self.entries {
            if draft.lang.is_none() {
                draft.lang = self.lang.clone();
            }
        }
        Document {
            title: self.title,
            kind: self.kind.unwrap_or("rss"),
            rhythm: self.rhythm,
            entries: self.entries,
            salvaged,
            problems: self.problems,
        }
    }
}

fn resolve(base: Option<&Url>, text: &str) -> Option<Url> {
    let url = match base {
        Some(base) => base.join(text.trim()).ok(),
        None => Url::parse(text.trim()).ok(),
    };
    url.filter(|url| url.as_str().len() <= MAX_BASE)
}

#[cfg(test)]
#[path = "xml_tests.rs"]
mod tests;
