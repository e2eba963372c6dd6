//! stdout is data, stderr is talk. A closed pipe ends quietly.
//!
//! What people read on a terminal is as wide as the terminal is; what goes elsewhere is whole. No
//! character that a terminal obeys comes from outside.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::PoisonError;

use rustix::fs::FileType;
use serde::Serialize;
use terminal_size::Width;

use crate::cli::args::Form;
use crate::cli::table;
use crate::cli::table::Table;

/// Stand around what is marked in a text until it is known how marks are shown. No text has these:
/// they are no characters.
pub(super) const MARKS: [char; 2] = ['\u{fdd0}', '\u{fdd1}'];
/// Width of a terminal that does not say.
const USUAL: usize = 80;

/// Whether a status stands on the terminal. What is written goes where it stood.
static STATUS: Mutex<bool> = Mutex::new(false);

/// How data is printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    form: Form,
    terminal: bool,
    /// What the environment says of the terminal's width.
    columns: Option<usize>,
    colour: bool,
}

impl Output {
    pub(super) fn new(form: Form, env: &BTreeMap<String, String>) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let columns = env.get("COLUMNS").and_then(|text| text.trim().parse().ok());
        let columns = columns.filter(|columns| *columns > 0);
        Self { form, terminal, columns, colour: terminal && !env.contains_key("NO_COLOR") }
    }

    pub(super) fn is_json(self) -> bool {
        self.form == Form::Json
    }

    /// How wide lines are to be; none where nobody looks. A terminal may change while one looks.
    pub(super) fn width(self) -> Option<usize> {
        self.terminal.then(|| self.columns_of(std::io::stdout()))
    }

    fn columns_of(self, terminal: impl AsFd) -> usize {
        let asked = || terminal_size::terminal_size_of(terminal);
        let width = || asked().map_or(USUAL, |(Width(width), _)| usize::from(width));
        self.columns.unwrap_or_else(width)
    }

    /// Whether somebody looks on who reads nothing else there: a program that reads our data may
    /// write to the same terminal.
    pub(super) fn shows_progress(self) -> bool {
        let kind = rustix::fs::fstat(std::io::stdout())
            .map(|found| FileType::from_raw_mode(found.st_mode));
        let read = kind.is_ok_and(|kind| matches!(kind, FileType::Fifo | FileType::Socket));
        std::io::stderr().is_terminal() && !read
    }

    /// Shows a status in place of the one before.
    pub(super) fn status(self, text: &str) {
        // In its last column a terminal may begin a new line.
        let width = self.columns_of(std::io::stderr()).saturating_sub(1);
        let text = table::shortened(text, width);
        let mut stands = STATUS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = std::io::stderr().lock();
        let written = write!(out, "\r{text}\u{1b}[K").and_then(|()| out.flush());
        *stands = written.is_ok();
    }

    /// One object a line with `--output json`, else the text.
    pub(super) fn print<T: Serialize>(self, value: &T, text: impl FnOnce() -> String) {
        if self.is_json() {
            self.json(value);
        } else {
            self.prose(&text());
        }
    }

    /// The same for a text that is to be copied: its lines are not broken.
    pub(super) fn print_whole<T: Serialize>(self, value: &T, text: impl FnOnce() -> String) {
        if self.is_json() {
            self.json(value);
        } else {
            line(&table::harmless_lines(&text()));
        }
    }

    /// Lines for people.
    pub(super) fn prose(self, text: &str) {
        let text = table::harmless_lines(text);
        let text = match self.width() {
            Some(width) => table::wrapped(&text, width),
            None => text.into_owned(),
        };
        let [open, close] = if self.colour { ["\u{1b}[1;33m", "\u{1b}[0m"] } else { ["«", "»"] };
        line(&text.replace(MARKS[0], open).replace(MARKS[1], close));
    }

    /// A row each, or an object each with `--output json`.
    pub(super) fn rows<T: Serialize>(
        self,
        table: &mut Table,
        values: &[T],
        cells: impl Fn(&T) -> Vec<String>,
    ) {
        if self.is_json() {
            values.iter().for_each(|value| self.json(value));
            return;
        }
        let rows = values.iter().map(cells).collect();
        table.lay(rows, self.width()).iter().for_each(|row| line(row));
    }

    /// Bytes of JSON as they are, but for what a terminal would obey.
    pub(super) fn raw_json(self, text: &str) {
        let obeyed = |c: char| ('\u{7f}'..='\u{9f}').contains(&c);
        if !self.terminal || !text.contains(obeyed) {
            return line(text);
        }
        let shown = |c: char| match obeyed(c) {
            true => format!("\\u{:04x}", u32::from(c)),
            false => c.to_string(),
        };
        line(&text.chars().map(shown).collect::<String>());
    }

    fn json<T: Serialize>(self, value: &T) {
        self.raw_json(&serde_json::to_string(value).expect("plain data has a JSON form"));
    }
}

/// Removes a status.
pub(super) fn erase_status() {
    erase(&mut STATUS.lock().unwrap_or_else(PoisonError::into_inner));
}

fn erase(stands: &mut bool) {
    if std::mem::take(stands) {
        let mut out = std::io::stderr().lock();
        let _ = write!(out, "\r\u{1b}[K").and_then(|()| out.flush());
    }
}

/// A line of data.
pub(super) fn line(text: &str) {
    let mut stands = STATUS.lock().unwrap_or_else(PoisonError::into_inner);
    erase(&mut stands);
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        // Nobody reads any more: that is no failure of ours.
        std::process::exit(0);
    }
}

/// A line of talk.
pub(super) fn say(text: &str) {
    let text = table::harmless_lines(text);
    let mut stands = STATUS.lock().unwrap_or_else(PoisonError::into_inner);
    erase(&mut stands);
    // There is nobody left to tell where standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
