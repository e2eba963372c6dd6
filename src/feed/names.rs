//! Names of elements and attributes, and which of them belong to the feed formats.

use std::collections::HashMap;

use quick_xml::events::BytesStart;

use crate::feed::html;

/// Longest attribute kept.
const MAX_ATTRIBUTE: usize = 8_192;
/// Most prefixes that a document may declare.
const MAX_PREFIXES: usize = 200;

/// Parts of a namespace's address that mark the feed formats themselves.
const CORE: [&str; 8] = [
    "purl.org/dc",
    "purl.org/rss",
    "purl.org/atom",
    "w3.org/2005/atom",
    "netscape.com/rdf",
    "backend.userland.com",
    "blogs.law.harvard.edu",
    "w3.org/1999/xhtml",
];
/// The usual prefixes of the same, for feeds that forget to declare them.
const PREFIXES: [&str; 9] =
    ["atom", "atom10", "a10", "rss", "dc", "dcterms", "content", "rdf", "xhtml"];

/// Prefixes, and whether they belong to the feed formats.
#[derive(Clone)]
pub(super) struct Namespaces(HashMap<String, bool>);

impl Default for Namespaces {
    fn default() -> Self {
        Self(PREFIXES.iter().map(|p| ((*p).to_owned(), true)).collect())
    }
}

impl Namespaces {
    /// Takes up what a tag declares.
    pub(super) fn declare(&mut self, tag: &BytesStart<'_>) {
        if !tag.contains("xmlns:") && !tag.contains("XMLNS:") {
            return;
        }
        for (key, value) in attributes(tag) {
            if let Some(prefix) = key.strip_prefix("xmlns:")
                && self.0.len() < MAX_PREFIXES
            {
                let namespace = value.to_ascii_lowercase();
                let core = CORE.iter().any(|part| namespace.contains(part));
                self.0.insert(prefix.to_owned(), core);
            }
        }
    }

    /// Takes the prefix of a root for one of the feed formats, whatever it is.
    pub(super) fn trust(&mut self, full: &str) {
        if let Some(prefix) = prefix(full) {
            self.0.insert(prefix, true);
        }
    }

    /// Whether the name belongs to the feed formats.
    pub(super) fn is_core(&self, full: &str) -> bool {
        prefix(full).is_none_or(|prefix| self.0.get(&prefix) == Some(&true))
    }

    /// Whether the name is declared to be an extension's.
    pub(super) fn is_foreign(&self, full: &str) -> bool {
        prefix(full).is_some_and(|prefix| self.0.get(&prefix) == Some(&false))
    }
}

/// Whether an element of this local name is an entry.
pub(super) fn is_entry(name: &str) -> bool {
    matches!(name, "item" | "entry" | "deleted-entry")
}

/// The name without its prefix, in lower case.
pub(super) fn local(name: &str) -> String {
    name.rsplit_once(':').map_or(name, |(_, local)| local).to_ascii_lowercase()
}

/// Attributes by name in lower case, entities resolved.
pub(super) fn attributes(tag: &BytesStart<'_>) -> Vec<(String, String)> {
    let mut all = tag.html_attributes();
    let read = all.with_checks(false).flatten().map(|attribute| {
        let value = attribute.value.get(..attribute.value.len().min(MAX_ATTRIBUTE));
        let value = html::unescape(value.unwrap_or_default()).into_owned();
        (attribute.key.0.to_ascii_lowercase(), value)
    });
    read.collect()
}

fn prefix(full: &str) -> Option<String> {
    full.split_once(':').map(|(prefix, _)| prefix.to_ascii_lowercase())
}
