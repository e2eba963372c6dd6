//! What is wrong with a rule file: place, words, remedy.

use std::fmt;

use serde::Serialize;
use unicode_width::UnicodeWidthChar;

/// Whether the rule set can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It cannot.
    Error,
    /// It can.
    Warning,
}

/// Every kind of error with the sentence that says what it is about. `test` comes from whoever
/// runs the tests.
pub const ERRORS: [(&str, &str); 12] = [
    ("yaml", "The file is no YAML"),
    ("unknown-key", "A key is not known here"),
    ("wrong-type", "A value is of the wrong type"),
    ("missing", "Something is missing"),
    ("duplicate", "A name is defined a second time"),
    ("bad-value", "A value is not one of those allowed"),
    ("query", "A query cannot be read"),
    ("unknown-list", "A list that is named does not exist"),
    ("unknown-rule", "A rule that is named does not exist or has no alerts"),
    ("circle", "Lists use one another in a circle"),
    ("limit", "Something is larger than allowed"),
    ("test", "A test of a rule fails"),
];

/// One problem of a rule file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file's name.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in code points, from 1.
    pub column: u32,
    /// Error or warning.
    #[serde(rename = "severity")]
    pub level: Level,
    /// The kind of problem, for programs.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// The line itself.
    #[serde(skip)]
    pub snippet: String,
    /// Code points that are marked.
    #[serde(skip)]
    pub width: u32,
}

/// Longest part of a line shown.
const MAX_SNIPPET: usize = 160;
/// Least part of a line shown, however narrow the place.
const MIN_SNIPPET: usize = 12;

/// The line with what stands below it.
struct Snippet {
    line: String,
    gap: String,
    carets: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        let number = self.line.to_string();
        let Snippet { line, gap, carets } = self.snippet(MAX_SNIPPET, |_| 1);
        writeln!(f, "{number} | {line}")?;
        write!(f, "{} | {gap}{carets} {}", " ".repeat(number.len()), self.remedy)
    }
}

impl Problem {
    /// The same for a place that is so many characters of a terminal wide: of the line the part that
    /// fits, and the remedy on a line of its own where it would stick out.
    pub fn fitted(&self, width: usize) -> String {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let room = width.saturating_sub(number.len() + 3).clamp(MIN_SNIPPET, MAX_SNIPPET);
        let Snippet { line, gap, carets } = self.snippet(room, places);
        let mut out = String::new();
        // Writing into a text does not fail.
        let _ = self.head(&mut out);
        let taken: usize = format!("{gap}{carets} {}", self.remedy).chars().map(places).sum();
        let turn = if taken > room { format!("\n{margin} |") } else { String::new() };
        out.push_str(&format!("{number} | {line}\n{margin} | {gap}{carets}{turn} {}", self.remedy));
        out
    }

    fn head(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        writeln!(f, "{level}: {}", self.message)?;
        writeln!(f, "  --> {}:{}:{}", self.file, self.line, self.column)
    }

    /// The part of the line around what is marked that has room, where a character takes so much.
    fn snippet(&self, room: usize, takes: fn(char) -> usize) -> Snippet {
        let chars: Vec<char> = self.snippet.chars().collect();
        let at = (self.column as usize).saturating_sub(1);
        let before = chars.get(..at).unwrap_or(&chars);
        let kept = fitting(before.iter().rev(), room * 3 / 4, takes);
        let rest = chars.get(before.len() - kept..).unwrap_or_default();
        let shown = rest.get(..fitting(rest.iter(), room, takes)).unwrap_or_default();
        let gap = shown.iter().take(kept).map(|c| blank(*c)).collect();
        let rest = shown.iter().skip(kept).take(self.width as usize);
        let carets: String = rest.map(|c| caret(*c)).collect();
        let carets = if carets.is_empty() { "^".to_owned() } else { carets };
        Snippet { line: shown.iter().collect(), gap, carets }
    }
}

/// How many of the first characters have room.
fn fitting<'c>(
    chars: impl Iterator<Item = &'c char>,
    room: usize,
    takes: fn(char) -> usize,
) -> usize {
    let taken = chars.scan(0, |taken, c| {
        *taken += takes(*c);
        Some(*taken)
    });
    taken.take_while(|taken| *taken <= room).count()
}

/// Places of a terminal that a character takes.
fn places(c: char) -> usize {
    match c {
        '\t' => 4,
        _ => c.width().unwrap_or(0),
    }
}

/// White space as wide as a character is on a terminal.
fn blank(c: char) -> &'static str {
    match c {
        '\t' => "\t",
        _ => ["", " ", "  "][places(c).min(2)],
    }
}

fn caret(c: char) -> &'static str {
    match c {
        '\t' => "^",
        _ => ["", "^", "^^"][places(c).min(2)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_its_line_with_a_caret_and_the_remedy() {
        let problem = Problem {
            file: "config/rules.yaml".to_owned(),
            line: 9,
            column: 26,
            level: Level::Error,
            code: "query",
            message: "OR beside AND needs parentheses".to_owned(),
            remedy: "write (ferry AND quay) OR pier, or ferry AND (quay OR pier)".to_owned(),
            snippet: "    when: ferry AND quay OR pier".to_owned(),
            width: 2,
        };
        let expected = "\
error: OR beside AND needs parentheses
  --> config/rules.yaml:9:26
9 |     when: ferry AND quay OR pier
  |                          ^^ write (ferry AND quay) OR pier, or ferry AND (quay OR pier)";
        assert_eq!(problem.to_string(), expected);
    }
    #[test]
    fn a_problem_fits_its_place_and_marks_what_it_is_about() {
        let problem = |snippet: &str, column: u32| Problem {
            file: "r.yaml".to_owned(),
            line: 9,
            column,
            level: Level::Warning,
            code: "query",
            message: "odd".to_owned(),
            remedy: "write (ferry AND quay) OR pier".to_owned(),
            snippet: snippet.to_owned(),
            width: 2,
        };
        let head = "warning: odd\n  --> r.yaml:9:";
        for (name, snippet, column, width, wanted) in [
            ("it fits", "a OR b", 3, 60, "3\n9 | a OR b\n  |   ^^ write (ferry AND quay) OR pier"),
            (
                "narrow",
                "a OR b",
                3,
                30,
                "3\n9 | a OR b\n  |   ^^\n  | write (ferry AND quay) OR pier",
            ),
            (
                "wide characters",
                "渡輪停航港口關閉 OR b",
                10,
                20,
                "10\n9 | 航港口關閉 OR b\n  |            ^^\n  | write (ferry AND quay) OR pier",
            ),
        ] {
            let fitted = problem(snippet, column).fitted(width);
            assert_eq!(fitted, format!("{head}{wanted}"), "{name}");
        }
    }
}
