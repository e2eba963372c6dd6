//! A parsed query, and what is wrong with one that is none.

use crate::rules::word::Word;

/// Longest query, in bytes.
pub(crate) const MAX_BYTES: usize = 4096;
/// Most levels of parentheses and prefixes.
pub(crate) const MAX_DEPTH: usize = 32;
/// Most positions of one phrase.
pub(crate) const MAX_PHRASE: usize = 64;
/// Largest distance of NEAR and BEFORE.
pub(crate) const MAX_DISTANCE: u32 = 100;

/// Where a query looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Title and body.
    #[default]
    Anywhere,
    /// The title.
    Title,
    /// The title and the beginning of the body.
    Lead,
    /// The body.
    Body,
}

/// How two sides stand to one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nearness {
    /// Either first.
    Near,
    /// The left one first.
    Before,
    /// The left one, where the right one is not near it.
    NotNear,
}

/// Words side by side. A query path over single words and joined ones must equal some path of the
/// text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Phrase {
    /// The words, one a position.
    pub(crate) words: Vec<Word>,
    /// Joined words of hyphenated ones, by first position.
    pub(crate) joined: Vec<Joined>,
}

/// A hyphenated word of a phrase written as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    /// Its first position in the phrase.
    pub(crate) first: usize,
    /// Its last position in the phrase.
    pub(crate) last: usize,
    /// The word.
    pub(crate) word: Word,
}

/// A query or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Words.
    Phrase(Phrase),
    /// Any entry of the list with this number.
    List(usize),
    /// Any of these.
    Or(Vec<Node>),
    /// All of these.
    And(Vec<Node>),
    /// The first, where the second matches nowhere.
    Not(Box<Node>, Box<Node>),
    /// Two sides at a distance.
    Near(Box<Near>),
    /// The same within a field.
    Field(Scope, Box<Node>),
}

/// Two sides at a distance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Near {
    /// How they stand.
    pub(crate) nearness: Nearness,
    /// Most positions between them.
    pub(crate) distance: u32,
    /// Where the operator, or the right side where there is none, stands in the query.
    pub(crate) at: Place,
    /// The left side.
    pub(crate) left: Node,
    /// The right side.
    pub(crate) right: Node,
}

/// A stretch of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// First code point, counted from 1.
    pub column: u32,
    /// Number of code points, at least 1.
    pub width: u32,
}

/// Why a text is no query, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {}: {message}: {remedy}", at.column)]
pub struct QueryError {
    /// Where.
    pub at: Place,
    /// The kind of problem, for programs.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl QueryError {
    pub(crate) fn new(at: Place, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { at, code: "query", message: message.into(), remedy: remedy.into() }
    }
}

/// Refuses AND and NOT inside NEAR: they speak about the whole article. `speaks` says it of lists.
pub(crate) fn check_near(node: &Node, speaks: &dyn Fn(usize) -> bool) -> Result<(), QueryError> {
    match node {
        Node::Phrase(_) | Node::List(_) => Ok(()),
        Node::Or(parts) | Node::And(parts) => parts.iter().try_for_each(|p| check_near(p, speaks)),
        Node::Not(left, right) => check_near(left, speaks).and_then(|()| check_near(right, speaks)),
        Node::Field(_, inner) => check_near(inner, speaks),
        Node::Near(near) => {
            check_near(&near.left, speaks)?;
            check_near(&near.right, speaks)?;
            if speaks_of_article(&near.left, speaks) || speaks_of_article(&near.right, speaks) {
                let through_list = |node: &Node| matches!(node, Node::List(id) if speaks(*id));
                let message = if through_list(&near.left) || through_list(&near.right) {
                    "this list has an entry with AND or NOT, which speak about the whole article, and NEAR speaks about places in it"
                } else {
                    "AND and NOT speak about the whole article, NEAR about places in it"
                };
                return Err(QueryError::new(
                    near.at,
                    message,
                    "write (a NEAR/3 c) AND (b NEAR/3 c) for (a AND b) NEAR/3 c",
                ));
            }
            Ok(())
        }
    }
}

/// Which lists hold an entry with AND or NOT, be it through other lists.
pub(crate) fn speaking(lists: &[Vec<Node>]) -> Vec<bool> {
    let mut speaking = vec![false; lists.len()];
    loop {
        let speaks = |id: usize| speaking.get(id).copied().unwrap_or(false);
        let of = |entries: &Vec<Node>| entries.iter().any(|e| speaks_of_article(e, &speaks));
        let next: Vec<bool> = lists.iter().map(of).collect();
        if next == speaking {
            return speaking;
        }
        speaking = next;
    }
}

/// Whether the value depends on more than places: AND, NOT, or a list with such an entry.
pub(crate) fn speaks_of_article(node: &Node, speaks: &dyn Fn(usize) -> bool) -> bool {
    match node {
        Node::And(_) | Node::Not(..) => true,
        Node::Phrase(_) | Node::Near(_) => false,
        Node::List(id) => speaks(*id),
        Node::Or(parts) => parts.iter().any(|p| speaks_of_article(p, speaks)),
        Node::Field(_, inner) => speaks_of_article(inner, speaks),
    }
}

/// The lists a query names.
pub(crate) fn lists_of(node: &Node, out: &mut Vec<usize>) {
    match node {
        Node::Phrase(_) => {}
        Node::List(id) => out.push(*id),
        Node::Or(parts) | Node::And(parts) => parts.iter().for_each(|p| lists_of(p, out)),
        Node::Not(left, right) => {
            lists_of(left, out);
            lists_of(right, out);
        }
        Node::Near(near) => {
            lists_of(&near.left, out);
            lists_of(&near.right, out);
        }
        Node::Field(_, inner) => lists_of(inner, out),
    }
}
