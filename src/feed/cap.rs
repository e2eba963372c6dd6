//! CAP: messages of the Common Alerting Protocol 1.0 to 1.2, read with tolerance. Element names
//! count by their local part, whatever the namespace; values stay as they are written.
//!
//! A message that is invalid but readable is taken and what is wrong with it is said. Nothing that
//! is missing or odd makes a message more severe than it says, and one that does not say that it is
//! meant is stored only.

mod message;
mod parse;
mod references;
mod time;
mod values;

use serde::Serialize;
use url::Url;

use crate::feed::Draft;
use crate::feed::Error;
use crate::feed::Fault;
use crate::feed::MAX_BYTES;
use crate::feed::MAX_PROBLEMS;
use crate::feed::Rejected;
use crate::feed::charset;
use crate::feed::entry;
use crate::feed::mend::mend;
use crate::feed::tree::Node;
use crate::model::ArticleId;
use crate::model::Cap;

/// Most messages taken from one document.
pub const MAX_ALERTS: usize = 5_000;
/// Most `info` blocks of one message.
pub const MAX_INFOS: usize = 100;
/// Most areas of one `info` block, and most values of one repeated element.
pub const MAX_VALUES: usize = 1_000;
/// Most references of one message.
pub const MAX_REFERENCES: usize = 1_000;
/// Most points of one polygon.
pub const MAX_POINTS: usize = 20_000;
/// Longest value of one line, in code points.
pub const MAX_VALUE_CHARS: usize = 1_000;
/// Longest description, instruction or note, in code points.
pub const MAX_TEXT_CHARS: usize = 100_000;
/// How far into a document its root is looked for.
const HEAD: usize = 16_384;

/// A document of CAP messages: one `alert`, or several in whatever they are wrapped in.
#[derive(Clone, Debug, PartialEq)]
pub struct Messages {
    /// The messages in document order.
    pub messages: Vec<Read>,
    /// What was wrong with the document; what was wrong with a message is in its draft.
    pub problems: Vec<String>,
}

/// A message as written, and the article that it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// As written.
    pub alert: Alert,
    /// The article, with what was wrong.
    pub draft: Draft,
}

/// What makes a draft a CAP message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The article's id, from sender, identifier and time: the same from whichever source it comes.
    pub id: ArticleId,
    /// What its own fields say.
    pub cap: Cap,
}

/// An `alert` element, values as written; none where there is no value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// Its sender's name for it.
    pub identifier: Option<String>,
    /// Who sent it.
    pub sender: Option<String>,
    /// When.
    pub sent: Option<String>,
    /// Whether it is meant.
    pub status: Option<String>,
    /// What it does.
    pub msg_type: Option<String>,
    /// Whom it is for.
    pub scope: Option<String>,
    /// The messages it refers to.
    pub references: Vec<Reference>,
    /// What it says, mostly once a language.
    pub infos: Vec<Info>,
    /// Whose word it passes on.
    #[serde(skip)]
    pub source: Option<String>,
    /// What it is for, or why it cancels.
    #[serde(skip)]
    pub note: Option<String>,
    /// The incidents it is about.
    #[serde(skip)]
    pub incidents: Option<String>,
}

/// A message that another one refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reference {
    /// Who sent it.
    pub sender: String,
    /// Its sender's name for it.
    pub identifier: String,
    /// When it was sent.
    pub sent: String,
}

/// An `info` element.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Its language.
    pub language: Option<String>,
    /// What kinds of event it is about.
    pub categories: Vec<String>,
    /// The event.
    pub event: Option<String>,
    /// What people are to do.
    pub response_types: Vec<String>,
    /// How soon one must act.
    pub urgency: Option<String>,
    /// How bad it is.
    pub severity: Option<String>,
    /// How sure the sender is.
    pub certainty: Option<String>,
    /// From when it holds.
    pub effective: Option<String>,
    /// When the event begins.
    pub onset: Option<String>,
    /// Until when it holds.
    pub expires: Option<String>,
    /// A title.
    pub headline: Option<String>,
    /// The text.
    pub description: Option<String>,
    /// The areas it is for.
    pub areas: Vec<Area>,
    /// Whom it is for.
    #[serde(skip)]
    pub audience: Option<String>,
    /// The event in codes.
    #[serde(skip)]
    pub event_codes: Vec<Code>,
    /// The sender's name for people.
    #[serde(skip)]
    pub sender_name: Option<String>,
    /// What people are to do, in words.
    #[serde(skip)]
    pub instruction: Option<String>,
    /// Where more can be read.
    #[serde(skip)]
    pub web: Option<String>,
    /// Whom to ask.
    #[serde(skip)]
    pub contact: Option<String>,
    /// What its system adds.
    #[serde(skip)]
    pub parameters: Vec<Code>,
    /// Files that come with it; they are counted and not read.
    #[serde(skip)]
    pub resources: usize,
}

/// An `area` element.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Area {
    /// The area in words.
    pub description: Option<String>,
    /// Closed lines of points `latitude,longitude`, divided by spaces.
    pub polygons: Vec<String>,
    /// Points and radii in kilometres: `latitude,longitude radius`.
    pub circles: Vec<String>,
    /// The area in codes.
    pub geocodes: Vec<Code>,
    /// Least height, in feet.
    #[serde(skip)]
    pub altitude: Option<String>,
    /// Greatest height, in feet.
    #[serde(skip)]
    pub ceiling: Option<String>,
}

/// A value in some system of codes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Code {
    /// The system.
    pub name: String,
    /// The value.
    pub value: String,
}

/// Reads a document of CAP messages: the charset that its sender named, where it was found.
pub fn read(bytes: &[u8], charset: Option<&str>, url: Option<&Url>) -> Result<Messages, Error> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::TooLarge { size: bytes.len(), most: MAX_BYTES });
    }
    let decoded = charset::decode(bytes, charset);
    let mut read = read_text(&decoded.text, url)?;
    read.problems.extend(decoded.problem());
    read.problems.truncate(MAX_PROBLEMS);
    Ok(read)
}

fn read_text(text: &str, url: Option<&Url>) -> Result<Messages, Error> {
    let start = text.find('<').and_then(|at| text.get(at..));
    parse::read(&mend(start.unwrap_or_default()), url)
}

/// An answer for each message of a file, and one more for each that was lost.
pub(super) fn articles(text: &str) -> Vec<Result<Draft, Rejected>> {
    let refused = |why: String| Err(Rejected { line: None, errors: vec![Fault::new("", why)] });
    match read_text(text, None) {
        Ok(read) => {
            let drafts = read.messages.into_iter().map(|one| Ok(one.draft));
            drafts.chain(read.problems.into_iter().map(refused)).collect()
        }
        Err(e) => vec![refused(e.to_string())],
    }
}

/// Whether a document's root is a CAP message, or the envelope that EDXL puts around some.
pub fn begins(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(HEAD)).unwrap_or(bytes);
    let text = charset::decode(head, None).text;
    text.find('<').and_then(|at| text.get(at..)).is_some_and(is_message)
}

fn is_message(text: &str) -> bool {
    parse::root(text).is_some_and(|root| ["alert", "edxldistribution"].contains(&root.as_str()))
}

/// The messages inside of a feed's entry: as elements, or as the text of one. Where they name no
/// page of their own, the entry's is theirs.
pub(super) fn inside(entry: &Node) -> Vec<Draft> {
    let mut found = Vec::new();
    look(entry, &mut found);
    let link = found.first().and_then(|_| entry::draft(entry).link);
    let linked = |one: Read| Draft { link: one.draft.link.or_else(|| link.clone()), ..one.draft };
    found.into_iter().map(linked).collect()
}

fn look(node: &Node, found: &mut Vec<Read>) {
    for inner in node.elements() {
        if inner.name == "alert" {
            found.push(of_node(inner, None));
            continue;
        }
        look(inner, found);
        // The text of a content element may be markup that was escaped once more.
        if inner.elements().next().is_none() && matches!(&*inner.name, "content" | "description") {
            let text = inner.text();
            let text = text.trim_start();
            if text.starts_with('<') && is_message(text) {
                let read = parse::read(&mend(text), None);
                found.extend(read.into_iter().flat_map(|read| read.messages));
            }
        }
    }
}

fn of_node(node: &Node, url: Option<&Url>) -> Read {
    let (alert, problems) = values::alert(node);
    let draft = message::draft(&alert, problems, url);
    Read { alert, draft }
}

impl Messages {
    /// Everything that was wrong, in order; each message by its number where there are several.
    pub fn all_problems(&self) -> Vec<String> {
        let mut all = self.problems.clone();
        for (number, one) in self.messages.iter().enumerate() {
            let named = |problem: &String| match self.messages.len() {
                1 => problem.clone(),
                _ => format!("alert {}: {problem}", number + 1),
            };
            all.extend(one.draft.problems.iter().map(named));
        }
        all
    }
}

#[cfg(test)]
#[path = "cap_tests.rs"]
mod tests;
