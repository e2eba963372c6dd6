//! From the pieces of a query to its tree. Its messages are the product: whoever writes a rule
//! knows other query languages and is told what this one says instead.

use std::collections::HashMap;

use crate::rules::lexer::Kind;
use crate::rules::lexer::Lexeme;
use crate::rules::lexer::lex;
use crate::rules::lexer::nothing;
use crate::rules::nearest::nearest;
use crate::rules::query::MAX_BYTES;
use crate::rules::query::MAX_DEPTH;
use crate::rules::query::MAX_PHRASE;
use crate::rules::query::Near;
use crate::rules::query::Nearness;
use crate::rules::query::Node;
use crate::rules::query::Phrase;
use crate::rules::query::Place;
use crate::rules::query::QueryError;

type Parsed<T> = Result<T, QueryError>;

/// Reads a query; `lists` gives each known list its number. Whether AND or NOT stand inside NEAR
/// is for [`check_near`](crate::rules::query::check_near), once all lists are known.
pub(crate) fn parse(query: &str, lists: &HashMap<String, usize>) -> Parsed<Node> {
    let start = Place { column: 1, width: 1 };
    if query.len() > MAX_BYTES {
        let message =
            format!("the query has {} bytes, at most {MAX_BYTES} are allowed", query.len());
        return Err(QueryError::new(start, message, "write several queries, or a list"));
    }
    let lexemes = lex(query)?;
    if lexemes.is_empty() {
        return Err(nothing(start));
    }
    let length = u32::try_from(query.chars().count()).unwrap_or(u32::MAX);
    let end = Place { column: length + 1, width: 1 };
    let mut parser = Parser { query, lexemes, at: 0, end, depth: 0, lists };
    let node = parser.query()?;
    match parser.peek() {
        None => Ok(node),
        Some(lexeme) => Err(QueryError::new(
            lexeme.at,
            "this ) closes nothing",
            "leave it out, or add the ( that it closes",
        )),
    }
}

struct Parser<'a> {
    query: &'a str,
    lexemes: Vec<Lexeme>,
    at: usize,
    end: Place,
    depth: usize,
    lists: &'a HashMap<String, usize>,
}

/// What has been read of AND, OR and NOT on one level.
struct Level {
    node: Node,
    /// Whether the operators so far are OR; none yet where there was no operator.
    or: Option<bool>,
    /// Number of the piece that the last operand began with, and of the operator before it.
    last: usize,
    operator: Option<usize>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Lexeme> {
        self.lexemes.get(self.at)
    }

    fn kind(&self) -> Option<&Kind> {
        self.peek().map(|l| &l.kind)
    }

    fn here(&self) -> Place {
        self.peek().map_or(self.end, |l| l.at)
    }

    fn query(&mut self) -> Parsed<Node> {
        let first = self.at;
        let node = self.near()?;
        let mut level = Level { node, or: None, last: first, operator: None };
        loop {
            let operator = self.at;
            let or = match self.kind() {
                Some(Kind::Or) => true,
                Some(Kind::And | Kind::Not) => false,
                _ => return Ok(level.node),
            };
            if level.or.is_some_and(|before| before != or) {
                return Err(self.mixed(first, &level));
            }
            let mut negated = matches!(self.kind(), Some(Kind::Not));
            self.at += 1;
            if !or && !negated && matches!(self.kind(), Some(Kind::Not)) {
                negated = true;
                self.at += 1;
            }
            let last = self.at;
            let right = self.near()?;
            let node = join(level.node, right, or, negated);
            level = Level { node, or: Some(or), last, operator: Some(operator) };
        }
    }

    /// The message about OR beside AND or NOT, with both ways to write it.
    fn mixed(&mut self, first: usize, level: &Level) -> QueryError {
        let operator = self.at;
        let here = self.here();
        let before = level.operator.and_then(|at| self.lexemes.get(at)).map(|l| &l.kind);
        let message = match (self.kind(), before) {
            (Some(Kind::Not), _) | (_, Some(Kind::Not)) => "OR beside NOT needs parentheses",
            _ => "OR beside AND needs parentheses",
        };
        while matches!(self.kind(), Some(Kind::And | Kind::Or | Kind::Not)) {
            self.at += 1;
        }
        let right = self.at;
        let remedy = match (self.near(), level.operator) {
            (Ok(_), Some(before)) => {
                let left = self.source(first, before);
                let middle = self.source(level.last, operator);
                let joint = self.source(before, level.last);
                let (second, third) = (self.source(operator, right), self.source(right, self.at));
                format!(
                    "write ({left} {joint} {middle}) {second} {third}, or {left} {joint} ({middle} {second} {third})"
                )
            }
            _ => "add parentheses".to_owned(),
        };
        QueryError::new(here, message, remedy)
    }

    /// The query's own text from one piece up to another.
    fn source(&self, from: usize, to: usize) -> String {
        let pieces = self.lexemes.get(from..to).unwrap_or_default();
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
            return String::new();
        };
        let start = first.at.column as usize - 1;
        let end = (last.at.column + last.at.width) as usize - 1;
        self.query.chars().skip(start).take(end.saturating_sub(start)).collect()
    }

    fn near(&mut self) -> Parsed<Node> {
        let mut left = self.side()?;
        loop {
            let mut negated = false;
            if matches!(self.kind(), Some(Kind::Not))
                && matches!(self.lexemes.get(self.at + 1).map(|l| &l.kind), Some(Kind::Near(..)))
            {
                negated = true;
                self.at += 1;
            }
            let at = self.here();
            let Some(Kind::Near(nearness, distance)) = self.kind().cloned() else {
                return Ok(left);
            };
            let nearness = match (negated, nearness) {
                (false, nearness) => nearness,
                (true, Nearness::Near) => Nearness::NotNear,
                (true, _) => {
                    return Err(QueryError::new(
                        at,
                        "NOT BEFORE is no operator",
                        format!("write NOT NEAR/{distance}"),
                    ));
                }
            };
            self.at += 1;
            let right = self.side()?;
            left = Node::Near(Box::new(Near { nearness, distance, at, left, right }));
        }
    }

    /// Units side by side.
    fn side(&mut self) -> Parsed<Node> {
        let mut side: Option<Node> = None;
        let mut blank: Option<Place> = None;
        loop {
            let at = self.here();
            let unit = match self.kind() {
                Some(Kind::Open | Kind::Field(_) | Kind::List(_)) => self.unit()?,
                Some(Kind::Words(_) | Kind::Blank) => match self.words()? {
                    Some(unit) => unit,
                    None => {
                        blank = blank.or(Some(at));
                        continue;
                    }
                },
                _ => break,
            };
            side = Some(match side {
                None => unit,
                Some(left) => Node::Near(Box::new(Near {
                    nearness: Nearness::Before,
                    distance: 0,
                    at,
                    left,
                    right: unit,
                })),
            });
        }
        side.ok_or_else(|| blank.map_or_else(|| self.missing(), nothing))
    }

    /// Something was needed where the query ends or an operator or `)` stands.
    fn missing(&self) -> QueryError {
        let here = self.here();
        match self.kind() {
            Some(Kind::Not) => QueryError::new(
                here,
                "NOT needs something before it",
                "write a NOT b, or use unless: in the rule",
            ),
            Some(Kind::And | Kind::Or | Kind::Near(..)) => QueryError::new(
                here,
                "this operator needs something before it",
                "add what is missing, or put the word in quotes",
            ),
            _ if self.at > 0 && self.kind().is_none() => QueryError::new(
                here,
                "the query ends after an operator",
                "add what is missing, or put the word in quotes",
            ),
            _ => nothing(here),
        }
    }

    fn unit(&mut self) -> Parsed<Node> {
        let at = self.here();
        match self.kind().cloned() {
            Some(Kind::Open) => {
                self.deepen()?;
                let node = self.query()?;
                if !matches!(self.kind(), Some(Kind::Close)) {
                    return Err(QueryError::new(at, "missing ) for this (", "add the )"));
                }
                self.at += 1;
                self.depth -= 1;
                Ok(node)
            }
            Some(Kind::Field(scope)) => {
                self.deepen()?;
                let at = self.here();
                let inner = match self.kind() {
                    Some(Kind::Words(_) | Kind::Blank) => {
                        self.words()?.ok_or_else(|| nothing(at))?
                    }
                    Some(Kind::Open | Kind::Field(_) | Kind::List(_)) => self.unit()?,
                    _ => return Err(self.missing()),
                };
                self.depth -= 1;
                Ok(Node::Field(scope, Box::new(inner)))
            }
            Some(Kind::List(name)) => {
                self.at += 1;
                self.list(&name, at)
            }
            _ => Err(self.missing()),
        }
    }

    fn list(&self, name: &str, at: Place) -> Parsed<Node> {
        if let Some(id) = self.lists.get(name) {
            return Ok(Node::List(*id));
        }
        let remedy = match nearest(name, self.lists.keys().map(String::as_str)) {
            Some(near) => format!("did you mean ${near}?"),
            None => "define it under words:, or put it in quotes".to_owned(),
        };
        let error = QueryError::new(at, format!("there is no list ${name}"), remedy);
        Err(QueryError { code: "unknown-list", ..error })
    }

    fn deepen(&mut self) -> Parsed<()> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(QueryError::new(
                self.here(),
                format!("more than {MAX_DEPTH} levels of parentheses and prefixes"),
                "use lists, or several entries",
            ));
        }
        Ok(())
    }

    /// Words up to the next operator, parenthesis, prefix or list: one phrase.
    fn words(&mut self) -> Parsed<Option<Node>> {
        let start = self.here();
        let mut phrase = Phrase::default();
        while let Some(Kind::Words(_) | Kind::Blank) = self.kind() {
            if let Some(Kind::Words(more)) = self.kind() {
                let offset = phrase.words.len();
                phrase.words.extend(more.words.iter().cloned());
                phrase.joined.extend(more.joined.iter().cloned().map(|mut joined| {
                    joined.first += offset;
                    joined.last += offset;
                    joined
                }));
            }
            self.at += 1;
        }
        if phrase.words.len() > MAX_PHRASE {
            return Err(QueryError::new(
                start,
                format!(
                    "{} words side by side, at most {MAX_PHRASE} are allowed",
                    phrase.words.len()
                ),
                "use fewer words, or AND",
            ));
        }
        // There may be a million of them.
        phrase.words.shrink_to_fit();
        phrase.joined.shrink_to_fit();
        Ok((!phrase.words.is_empty()).then_some(Node::Phrase(phrase)))
    }
}

fn join(left: Node, right: Node, or: bool, negated: bool) -> Node {
    match (left, or, negated) {
        (left, _, true) => Node::Not(Box::new(left), Box::new(right)),
        (Node::Or(mut parts), true, _) => {
            parts.push(right);
            Node::Or(parts)
        }
        (left, true, _) => Node::Or(vec![left, right]),
        (Node::And(mut parts), false, _) => {
            parts.push(right);
            Node::And(parts)
        }
        (left, false, _) => Node::And(vec![left, right]),
    }
}
