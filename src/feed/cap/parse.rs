//! Markup to the elements of messages, with recovery inside a message and without any DOCTYPE.

use std::ops::ControlFlow;

use quick_xml::Reader;
use quick_xml::events::BytesStart;
use quick_xml::events::Event;
use url::Url;

use crate::feed::Error;
use crate::feed::MAX_PROBLEMS;
use crate::feed::cap::MAX_ALERTS;
use crate::feed::cap::Messages;
use crate::feed::cap::Read;
use crate::feed::cap::of_node;
use crate::feed::markup::Piece;
use crate::feed::markup::pieces;
use crate::feed::names::local;
use crate::feed::tree::Child;
use crate::feed::tree::Node;

/// Deepest nesting kept in a message; CAP itself has five levels.
const MAX_DEPTH: usize = 16;
/// Most elements kept of one message.
const MAX_NODES: usize = 100_000;
/// Elements that are closed whatever was left open in them.
const FRAMES: [&str; 4] = ["alert", "info", "area", "resource"];

/// Reads all messages of a document.
pub(super) fn read(text: &str, url: Option<&Url>) -> Result<Messages, Error> {
    let mut parser = Parser::default();
    parser.run(text, url)?;
    if parser.messages.is_empty() {
        let why = match parser.root.as_deref() {
            _ if !parser.problems.is_empty() => parser.problems.swap_remove(0),
            Some("html") => "it is an HTML page".to_owned(),
            Some(root) => format!("its root element is {root:.60?} and no alert is in it"),
            None => "it has no element".to_owned(),
        };
        return Err(Error::NotAMessage(why));
    }
    Ok(Messages { messages: parser.messages, problems: parser.problems })
}

/// The local name of a document's first element, in lower case.
pub(super) fn root(text: &str) -> Option<String> {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => return Some(local(tag.name().0)),
            Ok(Event::Eof) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

#[derive(Default)]
struct Parser {
    root: Option<String>,
    /// Open elements of the message being read, the alert first.
    open: Vec<Node>,
    /// Open elements that are not kept.
    skipped: usize,
    /// Elements of the message so far.
    nodes: usize,
    /// What is wrong with the markup of the message being read.
    faults: Vec<String>,
    messages: Vec<Read>,
    problems: Vec<String>,
}

impl Parser {
    /// Reads to the end, to where the markup breaks, or to the limit.
    fn run(&mut self, text: &str, url: Option<&Url>) -> Result<(), Error> {
        let mut has_doctype = false;
        let broken = pieces(text, |piece, _| {
            match piece {
                Piece::Start(tag) => self.start(tag),
                Piece::End(name) => self.end(&local(name), url),
                Piece::Text(text) => self.text(text),
                Piece::Doctype => has_doctype = true,
            }
            let enough = has_doctype || self.messages.len() >= MAX_ALERTS;
            if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if has_doctype {
            let why = "it has a DOCTYPE, which CAP does not allow; leave it out";
            return Err(Error::NotAMessage(why.to_owned()));
        }
        if self.messages.len() >= MAX_ALERTS {
            self.problem(format!("only the first {MAX_ALERTS} messages were read"));
            return Ok(());
        }
        if let Some(problem) = broken {
            self.problem(problem);
        }
        if !self.open.is_empty() {
            let what = if self.messages.is_empty() { "it" } else { "the document" };
            self.problem(format!("{what} ends inside an alert, which was left out"));
        }
        Ok(())
    }

    fn problem(&mut self, text: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(text);
        }
    }

    fn fault(&mut self, text: String) {
        if self.faults.len() < MAX_PROBLEMS && self.faults.last() != Some(&text) {
            self.faults.push(text);
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) {
        let name = local(tag.name().0);
        if self.root.is_none() {
            self.root = Some(name.clone());
        }
        if self.open.is_empty() {
            if name == "alert" {
                self.nodes = 0;
                self.open.push(Node { name, ..Node::default() });
            }
            return;
        }
        self.nodes += 1;
        let inside_file = self.open.last().is_some_and(|node| node.name == "resource");
        let is_kept = self.open.len() < MAX_DEPTH && self.nodes <= MAX_NODES;
        if self.skipped > 0 || inside_file || !is_kept {
            self.skipped += 1;
            if !is_kept && !inside_file {
                self.fault(format!(
                    "more than {MAX_NODES} elements or {MAX_DEPTH} levels: the rest was left out"
                ));
            }
        } else {
            self.open.push(Node { name, ..Node::default() });
        }
    }

    fn end(&mut self, name: &str, url: Option<&Url>) {
        if self.open.is_empty() {
            return;
        }
        let is_open = self.open.iter().rposition(|node| node.name == name);
        if self.skipped > 0 {
            self.skipped -= 1;
            // What was left open inside of what is not kept ends with its frame at the latest.
            if !FRAMES.contains(&name) || is_open.is_none() {
                return;
            }
            let counted = self.skipped;
            self.skipped = 0;
            if counted > 0 {
                self.fault(format!("elements in {name:.60?} are not closed"));
            }
        }
        let Some(at) = is_open else {
            self.fault(format!("the end of {name:.60?} has no beginning"));
            return;
        };
        if self.open.len() > at + 1 {
            let left = self.open.last().map(|node| node.name.clone()).unwrap_or_default();
            self.fault(format!("the element {left:.60?} is not closed"));
        }
        while self.open.len() > at {
            self.close(url);
        }
    }

    /// Closes the innermost element.
    fn close(&mut self, url: Option<&Url>) {
        let Some(node) = self.open.pop() else { return };
        if let Some(parent) = self.open.last_mut() {
            parent.children.push(Child::Node(node));
            return;
        }
        let mut read = of_node(&node, url);
        for fault in std::mem::take(&mut self.faults) {
            read.draft.problem(fault);
        }
        self.messages.push(read);
    }

    fn text(&mut self, text: &str) {
        let Some(node) = self.open.last_mut().filter(|_| self.skipped == 0) else { return };
        let continues = matches!(node.children.last(), Some(Child::Text(_)));
        // Files are not read, and what stands between elements says nothing.
        if node.name != "resource" && (continues || !text.trim().is_empty()) {
            node.push_text(text);
        }
    }
}
