//! Exit codes: 0 ok, 1 failed, 2 usage, 75 try later, 78 bad configuration.

use crate::app;
use crate::cli::output::say;
use crate::rules::Problem;

/// Why a command failed, and the code it ends with.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: u8,
    text: String,
}

impl Failure {
    pub(super) fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::new(2, text)
    }

    /// The command has said what there is to say.
    pub(super) fn silent(code: u8) -> Self {
        Self::new(code, "")
    }

    pub(super) fn problems(problems: &[Problem]) -> Self {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Self::new(78, all.join("\n\n"))
    }

    pub(super) fn print(&self) {
        if !self.text.is_empty() {
            say(&self.text);
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let code = match app::ending(&error) {
            app::Ending::Failed => 1,
            app::Ending::TryLater => 75,
            app::Ending::BadSettings => 78,
        };
        Self::new(code, format!("error: {error:#}"))
    }
}
