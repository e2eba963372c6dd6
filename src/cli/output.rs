//! stdout is data, stderr is talk. A closed pipe ends quietly.

use std::io::Write;

use serde::Serialize;

use crate::cli::args::Form;

/// How data is printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output(Form);

impl Output {
    pub(super) fn new(form: Form) -> Self {
        Self(form)
    }

    pub(super) fn is_json(self) -> bool {
        self.0 == Form::Json
    }

    /// One object a line with `--output json`, else the text.
    pub(super) fn print<T: Serialize>(self, value: &T, text: impl FnOnce() -> String) {
        if self.is_json() {
            line(&serde_json::to_string(value).expect("plain data has a JSON form"));
        } else {
            line(&text());
        }
    }
}

/// A line of data.
pub(super) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        // Nobody reads any more: that is no failure of ours.
        std::process::exit(0);
    }
}

/// A line of talk.
pub(super) fn say(text: &str) {
    // There is nobody left to tell where standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
