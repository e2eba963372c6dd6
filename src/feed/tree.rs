//! A small tree of one entry's elements.

use url::Url;

/// An element by its local name in lower case.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// The local name.
    pub(super) name: String,
    /// It belongs to the feed formats themselves and not to an extension such as media or iTunes.
    pub(super) core: bool,
    /// Attributes by local name in lower case.
    pub(super) attributes: Vec<(String, String)>,
    /// What is in it.
    pub(super) children: Vec<Child>,
    /// What links in it are relative to.
    pub(super) base: Option<Url>,
    /// The language that `xml:lang` gives it.
    pub(super) lang: Option<String>,
}

/// A piece of an element.
#[derive(Clone, Debug)]
pub(super) enum Child {
    /// Characters, entities resolved once.
    Text(String),
    /// An element.
    Node(Node),
}

impl Node {
    /// An attribute's value.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.trim())
    }

    /// The elements in it.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Node> {
        self.children.iter().filter_map(|child| match child {
            Child::Node(node) => Some(node),
            Child::Text(_) => None,
        })
    }

    /// The elements of this name in it.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.elements().filter(move |node| node.core && node.name == name)
    }

    /// All characters in it, also those of inner elements.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        self.collect(&mut out);
        out
    }

    /// Its content as HTML: characters as they are where there is nothing else, else markup.
    pub(super) fn html(&self) -> String {
        if self.elements().next().is_none() {
            return self.text();
        }
        let mut out = String::new();
        self.markup(&mut out);
        out
    }

    /// Adds characters behind what is there.
    pub(super) fn push_text(&mut self, text: &str) {
        if let Some(Child::Text(last)) = self.children.last_mut() {
            last.push_str(text);
        } else {
            self.children.push(Child::Text(text.to_owned()));
        }
    }

    fn collect(&self, out: &mut String) {
        for child in &self.children {
            match child {
                Child::Text(text) => out.push_str(text),
                Child::Node(node) => node.collect(out),
            }
        }
    }

    fn markup(&self, out: &mut String) {
        for child in &self.children {
            match child {
                Child::Text(text) => {
                    for c in text.chars() {
                        match c {
                            '<' => out.push_str("&lt;"),
                            '&' => out.push_str("&amp;"),
                            c => out.push(c),
                        }
                    }
                }
                Child::Node(node) => {
                    let name = &node.name;
                    out.push_str(&format!("<{name}>"));
                    node.markup(out);
                    out.push_str(&format!("</{name}>"));
                }
            }
        }
    }
}
