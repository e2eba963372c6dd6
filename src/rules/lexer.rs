//! Cuts a query into operators, prefixes, list names and words.

use crate::rules::query::MAX_DISTANCE;
use crate::rules::query::Nearness;
use crate::rules::query::Phrase;
use crate::rules::query::Place;
use crate::rules::query::QueryError;
use crate::rules::query::Scope;
use crate::rules::query_words;
use crate::text::class::class;
use crate::text::class::is_hebrew_letter;

/// A piece of a query and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lexeme {
    pub(crate) kind: Kind,
    pub(crate) at: Place,
}

/// What a piece of a query is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Open,
    Close,
    And,
    Or,
    Not,
    Near(Nearness, u32),
    Field(Scope),
    List(String),
    /// One word, a hyphenated one, a run of characters, or what stood in quotes.
    Words(Phrase),
    /// Punctuation only.
    Blank,
}

type Lexed<T> = Result<T, QueryError>;

/// The pieces of a query.
pub(crate) fn lex(query: &str) -> Lexed<Vec<Lexeme>> {
    let mut lexer = Lexer { chars: query.chars().collect(), at: 0, out: Vec::new() };
    while let Some(c) = lexer.char(lexer.at) {
        match c {
            _ if c.is_whitespace() => lexer.at += 1,
            '(' => lexer.push(Kind::Open, 1),
            ')' => {
                lexer.push(Kind::Close, 1);
                lexer.refuse_suffix()?;
            }
            '"' => lexer.quoted()?,
            _ => lexer.chunk()?,
        }
    }
    Ok(lexer.out)
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    out: Vec<Lexeme>,
}

impl Lexer {
    fn char(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    fn text(&self, from: usize, to: usize) -> String {
        self.chars.get(from..to).unwrap_or_default().iter().collect()
    }

    fn push(&mut self, kind: Kind, width: usize) {
        let at = place(self.at, width);
        self.out.push(Lexeme { kind, at });
        self.at += width;
    }

    /// Whether the quotation mark at `at` is a gershayim: it stands between two Hebrew letters.
    fn is_gershayim(&self, at: usize) -> bool {
        let hebrew =
            |at: Option<usize>| at.and_then(|at| self.char(at)).is_some_and(is_hebrew_letter);
        hebrew(at.checked_sub(1)) && hebrew(Some(at + 1))
    }

    fn quoted(&mut self) -> Lexed<()> {
        let open = self.at;
        let close = (open + 1..self.chars.len())
            .find(|at| self.char(*at) == Some('"') && !self.is_gershayim(*at));
        let Some(close) = close else {
            return Err(QueryError::new(
                place(open, 1),
                "this quotation mark is not closed",
                "add the closing \" or leave this one out",
            ));
        };
        let width = close + 1 - open;
        let phrase = self.words(open + 1, close)?;
        if phrase.words.is_empty() {
            return Err(nothing(place(open, width)));
        }
        self.push(Kind::Words(phrase), width);
        self.refuse_suffix()
    }

    /// `"a b"~3` and `"a"^2` of other languages.
    fn refuse_suffix(&self) -> Lexed<()> {
        let here = place(self.at, 1);
        match self.char(self.at) {
            Some('~') => Err(QueryError::new(
                here,
                "~ is no operator",
                "write a NEAR/3 b: at most 3 positions between a and b",
            )),
            Some('^') => {
                Err(QueryError::new(here, "there are no weights", "leave ^ and its number out"))
            }
            _ => Ok(()),
        }
    }

    /// Everything up to white space, a parenthesis or a quotation mark.
    fn chunk(&mut self) -> Lexed<()> {
        if self.field()? || self.list()? {
            return Ok(());
        }
        let (start, end) = (self.at, self.chunk_end());
        let chunk = self.text(start, end);
        let here = place(start, end - start);
        if let Some(kind) = operator(&chunk, here)? {
            self.push(kind, end - start);
            return Ok(());
        }
        self.refuse_foreign(start, end)?;
        let phrase = self.words(start, end)?;
        let kind = if phrase.words.is_empty() { Kind::Blank } else { Kind::Words(phrase) };
        self.push(kind, end - start);
        Ok(())
    }

    fn chunk_end(&self) -> usize {
        let stops = |at: usize| {
            self.char(at).is_none_or(|c| {
                c.is_whitespace()
                    || matches!(c, '(' | ')')
                    || (c == '"' && at > self.at && !self.is_gershayim(at))
            })
        };
        (self.at..=self.chars.len()).find(|at| stops(*at)).unwrap_or(self.chars.len())
    }

    /// A field prefix; or a prefix that is none here.
    fn field(&mut self) -> Lexed<bool> {
        let letters = (self.at..)
            .take_while(|at| self.char(*at).is_some_and(|c| c.is_ascii_alphabetic() || c == '_'));
        let width = letters.count();
        if self.char(self.at + width) != Some(':') {
            return Ok(false);
        }
        let name = self.text(self.at, self.at + width);
        let here = place(self.at, width + 1);
        if matches!(name.as_str(), "lang" | "langs" | "source" | "sources" | "not_sources") {
            return Err(QueryError::new(
                here,
                format!("{name}: is no part of a query"),
                "write lang: or sources: as a key of the rule",
            ));
        }
        let scope = match name.to_ascii_lowercase().as_str() {
            "title" => Scope::Title,
            "lead" => Scope::Lead,
            "body" => Scope::Body,
            _ => return Ok(false),
        };
        let small = name.to_ascii_lowercase();
        let spaced = self.char(self.at + width + 1).is_none_or(char::is_whitespace);
        if spaced && name == small {
            return Err(QueryError::new(
                here,
                format!("{small}: needs what it applies to right after it"),
                format!("write {small}:word without a space, or \"{small}:\" for the word itself"),
            ));
        }
        if name != small && !spaced {
            return Err(QueryError::new(
                here,
                "prefixes are written in small letters",
                format!("write {small}: or put a space after the colon"),
            ));
        }
        if name != small {
            return Ok(false);
        }
        self.push(Kind::Field(scope), width + 1);
        Ok(true)
    }

    fn list(&mut self) -> Lexed<bool> {
        if self.char(self.at) != Some('$') {
            return Ok(false);
        }
        let is_name = |c: char| class(c).starts_word() || matches!(c, '_' | '-');
        let width =
            (self.at + 1..).take_while(|at| self.char(*at).is_some_and(is_name)).count() + 1;
        let here = place(self.at, width);
        if width == 1 {
            return Err(QueryError::new(
                here,
                "$ needs the name of a list right after it",
                "write $name, or \"$\" in quotes for the sign itself",
            ));
        }
        if self.char(self.at + width) == Some('*') {
            return Err(QueryError::new(
                here,
                "a list takes no *",
                "write the * in the entries of the list",
            ));
        }
        let name = self.text(self.at + 1, self.at + width);
        self.push(Kind::List(name), width);
        Ok(true)
    }

    fn refuse_foreign(&self, start: usize, end: usize) -> Lexed<()> {
        let first = self.char(start);
        let next = self.char(start + 1);
        if next.is_some_and(|c| class(c).starts_word() || matches!(c, '"' | '(' | '$' | '=')) {
            match first {
                Some('-') => {
                    return Err(QueryError::new(
                        place(start, 1),
                        "a leading - is no operator",
                        "write a NOT b, or use unless: (quotes make it plain text)",
                    ));
                }
                Some('+') => {
                    return Err(QueryError::new(
                        place(start, 1),
                        "a leading + is no operator",
                        "write a AND b (quotes make it plain text)",
                    ));
                }
                _ => {}
            }
        }
        for at in start..end {
            let (sign, word) = match (self.char(at), self.char(at + 1)) {
                (Some('|'), Some('|')) => ("||", "OR"),
                (Some('&'), Some('&')) => ("&&", "AND"),
                _ => continue,
            };
            let message = format!("{sign} is no operator");
            return Err(QueryError::new(place(at, 2), message, format!("write {word}")));
        }
        Ok(())
    }

    /// The words of a stretch; white space parts them.
    fn words(&self, from: usize, to: usize) -> Lexed<Phrase> {
        let mut phrase = Phrase::default();
        let mut at = from;
        while at < to {
            let gap = |at: &usize| self.char(*at).is_some_and(char::is_whitespace);
            let start = (at..to).find(|at| !gap(at)).unwrap_or(to);
            let end = (start..to).find(gap).unwrap_or(to);
            query_words::read(&self.text(start, end), place(start, end - start), &mut phrase)?;
            at = end;
        }
        Ok(phrase)
    }
}

pub(crate) fn place(at: usize, width: usize) -> Place {
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { column: narrow(at + 1), width: narrow(width.max(1)) }
}

pub(crate) fn nothing(at: Place) -> QueryError {
    QueryError::new(at, "there is nothing to search for", "write a word")
}

fn operator(chunk: &str, here: Place) -> Lexed<Option<Kind>> {
    let kind = match chunk {
        "AND" => Kind::And,
        "OR" => Kind::Or,
        "NOT" => Kind::Not,
        "NEAR" | "BEFORE" => return Err(distance_needed(chunk, here)),
        _ => return distance_operator(chunk, here),
    };
    Ok(Some(kind))
}

fn distance_operator(chunk: &str, here: Place) -> Lexed<Option<Kind>> {
    let Some((head, tail)) = chunk.split_once('/') else { return Ok(None) };
    let numbered = !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit());
    let nearness = match head {
        "NEAR" => Nearness::Near,
        "BEFORE" => Nearness::Before,
        _ if numbered => return refuse_foreign_distance(head, tail, here),
        _ => return Ok(None),
    };
    if !numbered {
        return Err(distance_needed(head, here));
    }
    match tail.parse::<u32>() {
        Ok(n) if n <= MAX_DISTANCE => Ok(Some(Kind::Near(nearness, n))),
        _ => Err(QueryError::new(
            here,
            format!("{tail} is too far: the largest distance is {MAX_DISTANCE}"),
            format!("write {head}/{MAX_DISTANCE}, or AND"),
        )),
    }
}

fn distance_needed(head: &str, here: Place) -> QueryError {
    QueryError::new(
        here,
        format!("{head} needs a distance from 0 to {MAX_DISTANCE}"),
        format!("write {head}/3, or \"{head}\" in quotes for the word"),
    )
}

fn refuse_foreign_distance(head: &str, n: &str, here: Place) -> Lexed<Option<Kind>> {
    let (message, remedy) = match head.to_ascii_uppercase().as_str() {
        "NEAR" => (format!("operators are capitals, {head} is not"), format!("write NEAR/{n}")),
        "BEFORE" => (format!("operators are capitals, {head} is not"), format!("write BEFORE/{n}")),
        "W" | "WITHIN" => (format!("{head} is no operator"), format!("write NEAR/{n}")),
        "ONEAR" | "PRE" => (format!("{head} is no operator"), format!("write BEFORE/{n}")),
        "AFTER" => (
            format!("{head} is no operator"),
            format!("write BEFORE/{n} with the sides swapped: b BEFORE/{n} a"),
        ),
        _ => return Ok(None),
    };
    Err(QueryError::new(here, message, remedy))
}
