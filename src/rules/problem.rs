//! What is wrong with a rule file: place, words, remedy.

use std::fmt;

use serde::Serialize;
use unicode_properties::GeneralCategory;
use unicode_properties::UnicodeGeneralCategory;

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

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        writeln!(f, "{level}: {}", self.message)?;
        writeln!(f, "  --> {}:{}:{}", self.file, self.line, self.column)?;
        let number = self.line.to_string();
        let before = (self.column as usize).saturating_sub(1);
        let skipped = before.saturating_sub(MAX_SNIPPET * 3 / 4);
        let shown: String = self.snippet.chars().skip(skipped).take(MAX_SNIPPET).collect();
        writeln!(f, "{number} | {shown}")?;
        let gap: String = shown.chars().take(before - skipped).map(blank).collect();
        let rest = shown.chars().skip(before - skipped).take(self.width as usize);
        let carets: String = rest.map(caret).collect();
        let carets = if carets.is_empty() { "^".to_owned() } else { carets };
        write!(f, "{} | {gap}{carets} {}", " ".repeat(number.len()), self.remedy)
    }
}

/// White space as wide as a character is on a terminal.
fn blank(c: char) -> &'static str {
    match c {
        '\t' => "\t",
        _ if is_zero_width(c) => "",
        _ if is_wide(c) => "  ",
        _ => " ",
    }
}

fn caret(c: char) -> &'static str {
    match c {
        _ if is_zero_width(c) => "",
        _ if is_wide(c) => "^^",
        _ => "^",
    }
}

/// What a terminal draws over the character before it, or not at all.
fn is_zero_width(c: char) -> bool {
    matches!(
        c.general_category(),
        GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark | GeneralCategory::Format
    )
}

fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115F}' | '\u{2E80}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7A3}'
        | '\u{F900}'..='\u{FAFF}' | '\u{FE30}'..='\u{FE6F}' | '\u{FF00}'..='\u{FF60}'
        | '\u{FFE0}'..='\u{FFE6}' | '\u{1F300}'..='\u{1FAFF}' | '\u{20000}'..='\u{3FFFD}')
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
}
