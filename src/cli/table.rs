//! Rows in columns and prose in lines, as wide as they are shown. Pure: the width is an argument,
//! and none is what a pipe has, where nothing is cut or broken.
//!
//! Widths are those of a terminal: wide characters take two places, marks none. Words of others hold
//! no control characters here, and none that turn the direction of letters: both are shown by their
//! numbers. What is written from right to left is kept apart from what stands beside it.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::text::class;

/// Between two columns.
const GAP: usize = 2;
/// A column that would be narrower says nothing: it is left out.
const LEAST: usize = 4;
/// Narrower than this no terminal is taken to be.
const NARROWEST: usize = 20;
/// Stands for what was cut.
const CUT: &str = "…";
/// Makes what is beside it be read from left to right; takes no place.
const FROM_LEFT: char = '\u{200e}';

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// So wide at least, where rows come one by one and are to stand in line.
    usual: usize,
    right: bool,
}

/// What a table is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) columns: &'static [Column],
    /// Which columns give way, and down to what, one step after the other until the rows fit. What
    /// gives way to 0 may be left out.
    pub(super) steps: &'static [(usize, usize)],
}

/// Rows of one shape, as wide as the widest so far.
#[derive(Debug)]
pub(super) struct Table {
    shape: Shape,
    head: Option<Vec<String>>,
    widths: Vec<usize>,
}

/// A column as wide as what is in it.
pub(super) const fn column() -> Column {
    least(0)
}

/// A column that is `usual` wide, or wider.
pub(super) const fn least(usual: usize) -> Column {
    Column { usual, right: false }
}

/// A column of numbers.
pub(super) const fn number(usual: usize) -> Column {
    Column { usual, right: true }
}

impl Table {
    pub(super) fn new(shape: Shape) -> Self {
        let widths = shape.columns.iter().map(|column| column.usual).collect();
        Self { shape, head: None, widths }
    }

    /// With a first row that names the columns.
    pub(super) fn with_head(self, names: &[&str]) -> Self {
        Self { head: Some(names.iter().map(|name| (*name).to_owned()).collect()), ..self }
    }

    /// Lines for rows. They stand in line with each other and, as far as they fit into the widths of
    /// those, with the rows before.
    pub(super) fn lay(&mut self, rows: Vec<Vec<String>>, width: Option<usize>) -> Vec<String> {
        let head = self.head.take();
        let rows: Vec<Vec<String>> = head
            .into_iter()
            .chain(rows)
            .map(|row| row.iter().map(|cell| one_line(cell).into_owned()).collect())
            .collect();
        for row in &rows {
            for (widest, cell) in self.widths.iter_mut().zip(row) {
                *widest = (*widest).max(width_of(cell));
            }
        }
        let width = width.map(|width| width.max(NARROWEST));
        let widths = match width {
            Some(width) => fitted(&self.widths, self.shape.steps, width),
            None => self.widths.clone(),
        };
        rows.iter().map(|row| self.line(row, &widths, width)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize], width: Option<usize>) -> String {
        let mut line = String::new();
        // Spaces are owed until something follows them, so that no line ends in spaces.
        let mut owed = 0;
        for ((cell, widest), column) in row.iter().zip(widths).zip(self.shape.columns) {
            if *widest == 0 {
                continue;
            }
            let shown = if width.is_some() { shortened(cell, *widest) } else { cell.into() };
            let taken = width_of(&shown);
            let blank = widest.saturating_sub(taken);
            let (before, after) = if column.right { (blank, 0) } else { (0, blank) };
            if taken > 0 {
                line.extend(std::iter::repeat_n(' ', owed + before));
                line.push_str(&if width.is_some() { apart(&shown) } else { shown });
                owed = 0;
            } else {
                owed += before;
            }
            owed += after + GAP;
        }
        match width {
            Some(width) => shortened(&line, width).into_owned(),
            None => line,
        }
    }
}

/// The widths after as many steps as are needed; 0 is a column that is left out.
fn fitted(widths: &[usize], steps: &[(usize, usize)], width: usize) -> Vec<usize> {
    let mut fitted = widths.to_vec();
    for (at, least) in steps {
        let over = total(&fitted).saturating_sub(width);
        if over == 0 {
            break;
        }
        let Some(one) = fitted.get_mut(*at) else { continue };
        let left = one.saturating_sub(over).max((*least).min(*one));
        *one = if left < LEAST && *least == 0 { 0 } else { left };
    }
    // What a column that was left out has freed goes back to those that gave way before.
    for (at, _) in steps.iter().rev() {
        let free = width.saturating_sub(total(&fitted));
        if let (Some(one), Some(wanted)) = (fitted.get_mut(*at), widths.get(*at))
            && *one > 0
        {
            *one = (*one + free).min(*wanted);
        }
    }
    fitted
}

fn total(widths: &[usize]) -> usize {
    let shown = widths.iter().filter(|width| **width > 0).count();
    widths.iter().sum::<usize>() + shown.saturating_sub(1) * GAP
}

/// Places that a text takes.
pub(super) fn width_of(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// The text, or as much of it as fits with a sign that something is missing.
pub(super) fn shortened(text: &str, width: usize) -> Cow<'_, str> {
    if width_of(text) <= width {
        return Cow::Borrowed(text);
    }
    let mut left = width.saturating_sub(width_of(CUT));
    let mut kept = String::new();
    for part in text.graphemes(true) {
        let Some(rest) = left.checked_sub(part.width()) else { break };
        left = rest;
        kept.push_str(part);
    }
    kept.truncate(kept.trim_end().len());
    kept.push_str(CUT);
    Cow::Owned(kept)
}

/// The text so that its direction ends with it.
fn apart(text: &str) -> Cow<'_, str> {
    if text.chars().any(class::is_from_right) {
        Cow::Owned(format!("{FROM_LEFT}{text}{FROM_LEFT}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A text of others in one line, with what a terminal would obey shown by its number.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    harmless(text, |c| c.is_whitespace().then_some(" "))
}

/// A text of several lines, with what a terminal would obey shown by its number.
pub(super) fn harmless_lines(text: &str) -> Cow<'_, str> {
    harmless(text, |c| match c {
        '\n' => Some("\n"),
        '\t' => Some("\t"),
        _ => None,
    })
}

fn harmless(text: &str, passes: impl Fn(char) -> Option<&'static str>) -> Cow<'_, str> {
    let obeyed = |c: char| {
        c.is_control() || class::turns_direction(c) || matches!(c, '\u{2028}' | '\u{2029}')
    };
    if !text.chars().any(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match passes(c) {
            _ if !obeyed(c) => out.push(c),
            Some(instead) => out.push_str(instead),
            None => out.push_str(&format!("[U+{:04X}]", u32::from(c))),
        }
    }
    Cow::Owned(out)
}

/// Prose of harmless lines, each broken where it is too long for the width. What follows a break
/// stands below the last column of its line, or is indented a little. A word that is longer than a line
/// and may be wanted whole, such as an address, stays whole.
pub(super) fn wrapped(text: &str, width: usize) -> String {
    let width = width.max(NARROWEST);
    let lines: Vec<String> = text.split('\n').map(|line| wrapped_line(line, width)).collect();
    lines.join("\n")
}

fn wrapped_line(line: &str, width: usize) -> String {
    let line = line.replace('\t', "    ");
    let start =
        if line.chars().any(class::is_from_right) { FROM_LEFT.to_string() } else { String::new() };
    if width_of(&line) <= width {
        return start + &line;
    }
    let hang = hang(&line, width);
    let mut out = Broken { text: start, column: 0, width, hang };
    let (mut word, mut spaces) = (String::new(), 0);
    for part in line.graphemes(true) {
        let wide = part.width() > 1;
        if part == " " || wide {
            out.word(&std::mem::take(&mut word), &mut spaces);
        }
        match part {
            " " => spaces += 1,
            _ if wide => out.word(part, &mut spaces),
            _ => word.push_str(part),
        }
    }
    out.word(&word, &mut spaces);
    out.text
}

/// Where lines go on below a broken one: at its last column in the first half, if it has columns.
fn hang(line: &str, width: usize) -> usize {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let (mut at, mut spaces, mut found) = (0, 0, indent + GAP);
    for part in line.graphemes(true) {
        if part != " " && spaces >= GAP && at > indent {
            found = at;
        }
        spaces = if part == " " { spaces + 1 } else { 0 };
        at += part.width();
        if at > width / 2 {
            break;
        }
    }
    found.min(width / 2)
}

/// A line that is being broken.
struct Broken {
    text: String,
    column: usize,
    width: usize,
    hang: usize,
}

impl Broken {
    /// Adds a word and the spaces before it.
    fn word(&mut self, word: &str, spaces: &mut usize) {
        if word.is_empty() {
            return;
        }
        let wide = width_of(word);
        if self.column > 0 && self.column + *spaces + wide > self.width {
            self.turn();
        } else {
            self.blank(*spaces);
        }
        *spaces = 0;
        let whole = word.is_ascii() || self.column + wide <= self.width;
        let mut parts = if whole { vec![word] } else { word.graphemes(true).collect() };
        for part in parts.drain(..) {
            if !whole && self.column + part.width() > self.width {
                self.turn();
            }
            self.text.push_str(part);
            self.column += width_of(part);
        }
    }

    fn turn(&mut self) {
        self.text.push('\n');
        self.column = 0;
        self.blank(self.hang);
    }

    fn blank(&mut self, spaces: usize) {
        self.text.extend(std::iter::repeat_n(' ', spaces));
        self.column += spaces;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        columns: &[column(), number(0), column(), column()],
        steps: &[(3, 12), (2, 0), (3, 6)],
    };

    fn lay(rows: &[[&str; 4]], width: Option<usize>) -> Vec<String> {
        let rows = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        Table::new(SHAPE).lay(rows, width)
    }

    #[test]
    fn columns_stand_in_line_by_the_places_they_take() {
        for (name, cell, places) in [
            ("letters", "storm", 5),
            ("wide characters", "警報", 4),
            ("half width", "ｱﾗｰﾄ", 4),
            ("an emoji", "🚨", 2),
            ("a family of emoji", "👩‍👩‍👧", 2),
            ("a flag", "🇺🇦", 2),
            ("a mark", "e\u{301}", 1),
            ("marks of Thai", "ที่", 1),
            ("no place", "\u{200b}", 0),
            ("nothing", "", 0),
        ] {
            assert_eq!(width_of(cell), places, "{name}");
            let lines = lay(&[[cell, "1", "", "x"], ["0123456789", "22", "", "y"]], Some(40));
            let before: Vec<usize> =
                lines.iter().map(|line| width_of(line.rsplit_once(' ').unwrap().0)).collect();
            assert_eq!(before[0], before[1], "{name}: {lines:?}");
        }
    }

    #[test]
    fn the_least_important_column_gives_way_first_and_a_pipe_gets_all() {
        let row = ["alr_1", "7", "critical", "Air raid sirens sound in Odesa"];
        for (width, wanted) in [
            (None, "alr_1  7  critical  Air raid sirens sound in Odesa"),
            (Some(50), "alr_1  7  critical  Air raid sirens sound in Odesa"),
            (Some(40), "alr_1  7  critical  Air raid sirens sou…"),
            (Some(32), "alr_1  7  critical  Air raid si…"),
            (Some(30), "alr_1  7  criti…  Air raid si…"),
            (Some(24), "alr_1  7  Air raid sire…"),
            (Some(20), "alr_1  7  Air raid…"),
            (Some(3), "alr_1  7  Air raid…"),
        ] {
            let lines = lay(&[row], width);
            assert_eq!(lines, [wanted], "{width:?}");
        }
    }

    #[test]
    fn a_row_that_cannot_give_way_is_cut_at_the_edge() {
        let lines = lay(&[[&"x".repeat(60), "1", "", "y"]], Some(30));
        assert_eq!(width_of(&lines[0]), 30, "{lines:?}");
        assert!(lines[0].ends_with('…'), "{lines:?}");
    }

    #[test]
    fn what_is_cut_is_cut_between_characters() {
        for (text, width, wanted) in [
            ("警報警報", 8, "警報警報"),
            ("警報警報", 7, "警報警…"),
            ("警報警報", 6, "警報…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("👩‍👩‍👧👩‍👩‍👧", 3, "👩‍👩‍👧…"),
            ("word word", 6, "word…"),
            ("x", 0, "…"),
        ] {
            assert_eq!(shortened(text, width), wanted, "{text} at {width}");
        }
    }

    #[test]
    fn nothing_of_others_is_obeyed_by_the_terminal() {
        for (text, wanted) in [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{1b}[0m", "[U+001B][31mred[U+001B][0m"),
            ("\u{1b}]0;title\u{7}", "[U+001B]]0;title[U+0007]"),
            ("a\r\nb\tc", "a  b c"),
            ("\u{9b}2J", "[U+009B]2J"),
            ("\u{202e}gpj.exe\u{202c}", "[U+202E]gpj.exe[U+202C]"),
            ("a\u{2028}b", "a b"),
            ("\u{8}\u{7f}\0", "[U+0008][U+007F][U+0000]"),
        ] {
            assert_eq!(one_line(text), wanted, "{text:?}");
        }
        assert_eq!(harmless_lines("a\n\tb\u{1b}[2J\r"), "a\n\tb[U+001B][2J[U+000D]");
    }

    #[test]
    fn what_is_written_from_the_right_stays_in_its_column() {
        let row = ["צבע אדום", "7", "critical", "صفارات الإنذار"];
        let line = &lay(&[row], Some(60))[0];
        assert_eq!(line.matches(FROM_LEFT).count(), 4, "{line:?}");
        assert!(line.contains("\u{200e}צבע אדום\u{200e}  7  critical  \u{200e}"), "{line:?}");
        assert!(!lay(&[row], None)[0].contains(FROM_LEFT), "a pipe gets what there is");
    }

    #[test]
    fn prose_is_broken_between_words_below_its_column() {
        for (name, text, wanted) in [
            ("short", "  all of it", "  all of it"),
            ("words", "  one two three four five", "  one two three four\n    five"),
            ("columns", "good  two three four five six", "good  two three four\n      five six"),
            (
                "an address",
                "see https://bell.example/very/long",
                "see\n  https://bell.example/very/long",
            ),
            ("no spaces", "警報が解除されました。", "警報が解除されました\n  。"),
            ("a long word", &"é".repeat(25), &format!("{}\n  {}", "é".repeat(20), "é".repeat(5))),
            ("two lines", "one\ntwo", "one\ntwo"),
        ] {
            assert_eq!(wrapped(text, 20), wanted, "{name}");
        }
    }

    #[test]
    fn rows_that_come_later_stand_below_those_before() {
        let mut table = Table::new(SHAPE).with_head(&["id", "n", "", "title"]);
        let row =
            |id: &str| vec![vec![id.to_owned(), "1".to_owned(), String::new(), "x".to_owned()]];
        assert_eq!(table.lay(row("long-id"), None), ["id       n  title", "long-id  1  x"]);
        assert_eq!(table.lay(row("a"), None), ["a        1  x"]);
    }
}
