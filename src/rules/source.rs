//! A rule file's text, and the way from a place in a value back to line and column.

use crate::rules::problem::Level;
use crate::rules::problem::Problem;
use crate::rules::query::Place;
use crate::rules::query::QueryError;
use crate::rules::yaml::Content;
use crate::rules::yaml::ScalarStyle;
use crate::rules::yaml::Yaml;

/// A file with the beginnings of its lines.
pub(crate) struct Source<'t> {
    pub(crate) name: &'t str,
    text: &'t str,
    /// First code point and first byte of each line.
    lines: Vec<(usize, usize)>,
}

/// Longest source of a scalar that is read to place a caret; a query is much shorter.
const MAX_SCALAR: usize = 32 * 1024;

/// Line, column and line text of a code point.
struct Spot<'t> {
    line: u32,
    column: u32,
    text: &'t str,
}

impl<'t> Source<'t> {
    pub(crate) fn new(name: &'t str, text: &'t str) -> Self {
        let mut lines = vec![(0, 0)];
        for (at, (byte, c)) in text.char_indices().enumerate() {
            if c == '\n' {
                lines.push((at + 1, byte + 1));
            }
        }
        Self { name, text, lines }
    }

    fn spot(&self, at: usize) -> Spot<'t> {
        let line = self.lines.partition_point(|(start, _)| *start <= at).max(1);
        let (start, byte) = self.lines.get(line - 1).copied().unwrap_or_default();
        let text = self.text.get(byte..).unwrap_or_default().lines().next().unwrap_or_default();
        Spot { line: narrow(line), column: narrow(at - start + 1), text }
    }

    /// Line and column of a code point, from 1.
    pub(crate) fn position(&self, at: usize) -> (u32, u32) {
        let spot = self.spot(at);
        (spot.line, spot.column)
    }

    /// The code point at a line and column, both from 1.
    pub(crate) fn offset(&self, line: u32, column: u32) -> usize {
        let line = self.lines.get((line as usize).saturating_sub(1)).copied().unwrap_or_default();
        line.0 + (column as usize).saturating_sub(1)
    }

    /// An error at a stretch of code points; only the part on its first line is marked.
    pub(crate) fn error(
        &self,
        (start, end): (usize, usize),
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Problem {
        let spot = self.spot(start);
        let rest = spot.text.trim_end().chars().count() + 1;
        let width = narrow(end.saturating_sub(start)).min(narrow(rest).saturating_sub(spot.column));
        Problem {
            file: self.name.to_owned(),
            line: spot.line,
            column: spot.column,
            level: Level::Error,
            code,
            message: message.into(),
            remedy: remedy.into(),
            snippet: spot.text.to_owned(),
            width: width.max(1),
        }
    }

    /// The same for something that can stay.
    pub(crate) fn warning(
        &self,
        span: (usize, usize),
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Problem {
        Problem { level: Level::Warning, ..self.error(span, code, message, remedy) }
    }

    /// The error of a query that a scalar holds, at its own place inside the scalar.
    pub(crate) fn query_error(&self, node: &Yaml, error: QueryError) -> Problem {
        self.error(self.within(node, error.at), error.code, error.message, error.remedy)
    }

    /// The code points of the file that a stretch of a scalar's value comes from.
    pub(crate) fn within(&self, node: &Yaml, at: Place) -> (usize, usize) {
        let column = at.column as usize - 1;
        let start = self.inside(node, column);
        // Up to the last one: what follows it may stand on another line.
        let last = self.inside(node, column + (at.width as usize).max(1) - 1);
        (start, last.max(start) + 1)
    }

    /// The code point of the file that holds code point `index` of a scalar's value: quotation
    /// marks, escapes, line breaks and indentation lie between.
    fn inside(&self, node: &Yaml, index: usize) -> usize {
        let Content::Text(value, style) = &node.content else { return node.start };
        let (_, byte) = self.line_start(node.start);
        let line = self.spot(node.start);
        let line_text = self.text.get(byte..).unwrap_or_default();
        let chars = line_text.chars().skip(line.column as usize - 1).take(MAX_SCALAR);
        let mut raw = Raw { chars: chars.collect(), at: 0 };
        raw.open(*style);
        for c in value.chars().take(index) {
            raw.pass(c, *style);
        }
        let next = value.chars().nth(index);
        if next.is_some_and(|c| !c.is_whitespace()) {
            raw.skip_to_content(*style);
        }
        node.start + raw.at
    }

    fn line_start(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|(start, _)| *start <= at).max(1);
        self.lines.get(line - 1).copied().unwrap_or_default()
    }
}

/// The source of a scalar, read beside its value.
struct Raw {
    chars: Vec<char>,
    at: usize,
}

impl Raw {
    fn char(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn open(&mut self, style: ScalarStyle) {
        match style {
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => self.at += 1,
            ScalarStyle::Literal | ScalarStyle::Folded
                if matches!(self.char(), Some('|' | '>')) =>
            {
                while self.char().is_some_and(|c| c != '\n') {
                    self.at += 1;
                }
                self.skip_to_content(style);
            }
            _ => self.skip_to_content(style),
        }
    }

    fn skip_to_content(&mut self, style: ScalarStyle) {
        let skips =
            |c: char| c.is_whitespace() && (c == '\n' || style != ScalarStyle::Plain || c == ' ');
        while self.char().is_some_and(skips) {
            self.at += 1;
        }
    }

    /// Moves behind the source of one code point of the value.
    fn pass(&mut self, c: char, style: ScalarStyle) {
        if c.is_whitespace() && self.char() != Some('\\') {
            if !self.char().is_some_and(char::is_whitespace) {
                // Skipped already: line breaks before the content are part of the value.
                return;
            }
            let break_here = matches!(self.char(), Some('\n' | '\r'));
            self.at += 1;
            // A folded line break stands for one space; what indents the next line is no value.
            let mut rest = self.chars.iter().skip(self.at);
            let folds = break_here || rest.find(|c| **c != ' ').is_some_and(|c| *c == '\n');
            if folds && style != ScalarStyle::DoubleQuoted || break_here {
                self.skip_to_content(style);
            }
            return;
        }
        if self.char().is_some_and(char::is_whitespace) {
            self.skip_to_content(style);
        }
        match (style, self.char()) {
            (ScalarStyle::SingleQuoted, Some('\'')) => self.at += 2,
            (ScalarStyle::DoubleQuoted, Some('\\')) => self.escape(),
            _ => self.at += 1,
        }
    }

    fn escape(&mut self) {
        let digits = match self.chars.get(self.at + 1) {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => 0,
        };
        self.at += 2 + digits;
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
