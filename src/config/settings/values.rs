//! Values of settings: read as what they should be, and refused with what to write instead.

use std::str::FromStr;
use std::time::Duration;

use crate::config::settings::Layered;
use crate::config::settings::Origin;
use crate::model::duration;
use crate::rules::Level;
use crate::rules::Problem;

impl Layered<'_> {
    pub(super) fn list(&self, key: &str) -> Vec<String> {
        self.values.get(key).map(|v| v.texts.clone()).unwrap_or_default()
    }

    pub(super) fn text(&self, key: &str) -> String {
        self.values.get(key).map(|v| v.texts.join(",")).unwrap_or_default()
    }

    pub(super) fn parse<T: FromStr>(&mut self, key: &str, wanted: &str) -> Option<T> {
        let text = self.text(key);
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.wrong(key, format!("{key} is {text:?}"), format!("write {wanted}"));
        }
        parsed
    }

    pub(super) fn number(&mut self, key: &str, min: usize, max: usize) -> Option<usize> {
        let wanted = format!("a number from {min} to {max}");
        let number: usize = self.parse(key, &wanted)?;
        if (min..=max).contains(&number) {
            return Some(number);
        }
        self.wrong(key, format!("{key} is {number}"), format!("write {wanted}"));
        None
    }

    pub(super) fn duration(&mut self, key: &str, min: u64, max: u64) -> Option<Duration> {
        let text = self.text(key);
        let range = Duration::from_secs(min)..=Duration::from_secs(max);
        match duration::parse(&text) {
            Ok(duration) if range.contains(&duration) => Some(duration),
            _ => {
                let remedy = format!("write a duration from {min}s to {max}s, such as 20s");
                self.wrong(key, format!("{key} is {text:?}"), remedy);
                None
            }
        }
    }

    /// A time to live; none where nothing is written.
    pub(super) fn ttl(&mut self, key: &str) -> Option<Option<Duration>> {
        if self.text(key).is_empty() {
            return Some(None);
        }
        self.duration(key, 1, duration::LONGEST.as_secs()).map(Some)
    }

    pub(super) fn wrong(&mut self, key: &str, message: String, remedy: impl Into<String>) {
        let found = match self.values.get(key).map(|v| &v.origin) {
            Some(Origin::File(place)) => (**place).clone(),
            Some(Origin::Variable(name) | Origin::Flag(name)) => place(name),
            None => place(key),
        };
        self.problems.push(Problem { message, remedy: remedy.into(), ..found });
    }

    /// The same for a variable that is no setting.
    pub(super) fn wrong_variable(&mut self, name: &str, message: String, remedy: &str) {
        self.problems.push(Problem { message, remedy: remedy.to_owned(), ..place(name) });
    }
}

/// Where there are no lines.
fn place(file: &str) -> Problem {
    Problem {
        file: file.to_owned(),
        line: 1,
        column: 1,
        level: Level::Error,
        code: "bad-value",
        message: String::new(),
        remedy: String::new(),
        snippet: String::new(),
        width: 1,
    }
}
