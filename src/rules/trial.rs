//! One query on one text: to see what it finds before it goes into a rule.

use std::collections::HashMap;

use crate::model::Evidence;
use crate::model::article::MAX_BODY_CHARS;
use crate::model::article::MAX_TITLE_CHARS;
use crate::rules::eval::Reading;
use crate::rules::evidence;
use crate::rules::evidence::Item;
use crate::rules::page::Page;
use crate::rules::parser;
use crate::rules::problem::Problem;
use crate::rules::query;
use crate::rules::query::Nearness;
use crate::rules::query::Node;
use crate::rules::query::QueryError;
use crate::rules::query::Scope;
use crate::rules::set::RuleSet;
use crate::rules::source::Source;
use crate::rules::value;
use crate::text::sentence::lead_end;
use crate::text::tokens::tokenize_within;

/// Why a query could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum TryError {
    /// It is no query.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// It makes too many intervals on this text.
    #[error(
        "the query makes more than {} intervals on this text: use rarer words or smaller distances",
        value::MAX_INTERVALS
    )]
    GivenUp,
}

/// What a query finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// Its places; empty where it does not match.
    pub evidence: Vec<Evidence>,
    /// Where it does not match and has sides: what each side finds by itself.
    pub sides: Vec<Side>,
}

/// One side of the operator that a query is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// Such as `side 1 of AND`.
    pub name: String,
    /// Its places.
    pub evidence: Vec<Evidence>,
}

/// Searches a title and a body for one query that uses no lists.
pub fn try_query(query: &str, title: &str, body: &str) -> Result<Vec<Evidence>, TryError> {
    Ok(Lists::default().try_query(query, title, body)?.evidence)
}

/// The error of a query as a problem of the file that it is.
pub fn query_problem(query: &str, error: &QueryError) -> Problem {
    let start = error.at.column as usize - 1;
    let span = (start, start + error.at.width as usize);
    Source::new("query", query).error(span, error.code, &error.message, &error.remedy)
}

impl RuleSet {
    /// Searches a title and a body for one query, which may use the lists of the rule set.
    pub fn try_query(&self, query: &str, title: &str, body: &str) -> Result<Trial, TryError> {
        let (names, lists) = self.lists();
        Lists { names, lists }.try_query(query, title, body)
    }
}

#[derive(Clone, Copy, Default)]
struct Lists<'r> {
    names: &'r [String],
    lists: &'r [Vec<Node>],
}

impl Lists<'_> {
    fn try_query(self, query: &str, title: &str, body: &str) -> Result<Trial, TryError> {
        let ids: HashMap<String, usize> =
            self.names.iter().enumerate().map(|(id, name)| (name.clone(), id)).collect();
        let node = parser::parse(query, &ids)?;
        let speaking = query::speaking(self.lists);
        query::check_near(&node, &|id| speaking.get(id).copied().unwrap_or(false))?;
        let title = tokenize_within(title, MAX_TITLE_CHARS);
        let lead = lead_end(body);
        let body = tokenize_within(body, MAX_BODY_CHARS);
        let pages = (Page::new(&title), Page::new(&body));
        let reading = Reading::new(pages, lead, self.lists);
        let scope = Scope::default();
        if reading.evaluate(&node, scope).is_err() {
            return Err(TryError::GivenUp);
        }
        let sides = sides(&node);
        let find = |term: &str, query: Node| {
            let item = Item { term: term.to_owned(), query };
            evidence::collect(&reading, self.names, [&item], scope)
        };
        let evidence = find("query", node);
        let sides = sides.into_iter().filter(|_| evidence.is_empty());
        let sides = sides.map(|(name, node)| Side { evidence: find(&name, node), name }).collect();
        Ok(Trial { evidence, sides })
    }
}

/// The sides of the outermost operator with their names; none for words, a list and OR.
fn sides(node: &Node) -> Vec<(String, Node)> {
    match node {
        Node::And(parts) => {
            let name = |number| format!("side {} of AND", number + 1);
            parts.iter().enumerate().map(|(n, part)| (name(n), part.clone())).collect()
        }
        Node::Not(left, right) => {
            let named = [("before NOT", left), ("after NOT", right)];
            named.into_iter().map(|(name, n)| (name.to_owned(), Node::clone(n))).collect()
        }
        Node::Near(near) => {
            let operator = match near.nearness {
                Nearness::Near => "NEAR",
                Nearness::Before => "BEFORE",
                Nearness::NotNear => "NOT NEAR",
            };
            let name = |number: u8| format!("side {number} of {operator}/{}", near.distance);
            vec![(name(1), near.left.clone()), (name(2), near.right.clone())]
        }
        Node::Field(scope, inner) => {
            let inside = |node| Node::Field(*scope, Box::new(node));
            sides(inner).into_iter().map(|(name, node)| (name, inside(node))).collect()
        }
        Node::Phrase(_) | Node::List(_) | Node::Or(_) => Vec::new(),
    }
}
