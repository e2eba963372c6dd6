//! Reads typed values out of a YAML tree and notes every problem on the way.

use std::time::Duration;

use crate::rules::nearest::nearest;
use crate::rules::problem::Problem;
use crate::rules::source::Source;
use crate::rules::yaml::Content;
use crate::rules::yaml::Yaml;

/// Longest duration in a rule file.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(30 * 24 * 3600);

/// Most problems reported at once; beyond it a file is wrong as a whole.
const MAX_PROBLEMS: usize = 200;

/// Reads one file; problems of all files end up in one list.
pub(crate) struct Reader<'s, 'p> {
    pub(crate) source: &'s Source<'s>,
    problems: &'p mut Vec<Problem>,
}

/// A map's entries by name.
pub(crate) struct Fields<'y> {
    entries: Vec<(&'y str, &'y Yaml, &'y Yaml)>,
    /// Whether it has no key that is not known: else what is missing may only be mistyped.
    pub(crate) is_plain: bool,
}

impl<'y> Fields<'y> {
    pub(crate) fn get(&self, name: &str) -> Option<&'y Yaml> {
        self.entries.iter().find(|(key, ..)| *key == name).map(|(.., value)| *value)
    }

    /// The node of the key itself.
    pub(crate) fn key(&self, name: &str) -> Option<&'y Yaml> {
        self.entries.iter().find(|(key, ..)| *key == name).map(|(_, key, _)| *key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'y str, &'y Yaml, &'y Yaml)> {
        self.entries.iter().copied()
    }
}

impl<'s, 'p> Reader<'s, 'p> {
    pub(crate) fn new(source: &'s Source<'s>, problems: &'p mut Vec<Problem>) -> Self {
        Self { source, problems }
    }

    pub(crate) fn problem(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    pub(crate) fn error(
        &mut self,
        node: &Yaml,
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let problem = self.source.error((node.start, node.end), code, message, remedy);
        self.problem(problem);
    }

    fn wrong_type(&mut self, node: &Yaml, what: &str, wanted: &str) {
        let remedy = match &node.content {
            Content::Map(_) if wanted.contains("text") => {
                format!("write {wanted}; a text with a colon and a space needs single quotes")
            }
            _ if wanted == "a map" => "write it as lines of key: value".to_owned(),
            _ => format!("write {wanted}"),
        };
        self.error(node, "wrong-type", format!("{what} is {}, not {wanted}", node.kind()), remedy);
    }

    /// A map's entries with known keys; `known` empty means that any name will do.
    pub(crate) fn fields<'y>(&mut self, node: &'y Yaml, what: &str, known: &[&str]) -> Fields<'y> {
        let mut entries: Vec<(&str, &Yaml, &Yaml)> = Vec::new();
        let Content::Map(pairs) = &node.content else {
            self.wrong_type(node, what, "a map");
            return Fields { entries, is_plain: false };
        };
        let mut seen = std::collections::HashSet::new();
        let mut is_plain = true;
        for (key, value) in pairs.iter() {
            let Content::Text(name, _) = &key.content else {
                self.wrong_type(key, "the key", "a text");
                continue;
            };
            if !known.is_empty() && !known.contains(&name.as_str()) {
                is_plain = false;
                self.unknown_key(key, name, what, known);
            } else if !seen.insert(name.as_str()) {
                let message = format!("{name} stands here a second time");
                self.error(key, "duplicate", message, "keep one of them");
            } else {
                entries.push((name, key, value));
            }
        }
        Fields { entries, is_plain }
    }

    fn unknown_key(&mut self, key: &Yaml, name: &str, what: &str, known: &[&str]) {
        let remedy = match nearest(name, known.iter().copied()) {
            _ if name == "<<" => "keys are not merged here: write them out".to_owned(),
            Some(near) => format!("did you mean {near}?"),
            None => format!("known here: {}", known.join(", ")),
        };
        let name = short(name);
        self.error(key, "unknown-key", format!("{what} has no key {name}"), remedy);
    }

    pub(crate) fn text<'y>(&mut self, node: &'y Yaml, what: &str) -> Option<&'y str> {
        match &node.content {
            Content::Text(text, _) if !node.is_null() => Some(text),
            _ => {
                self.wrong_type(node, what, "a text");
                None
            }
        }
    }

    /// A list's entries; anything else is a list of one.
    pub(crate) fn list<'y>(&mut self, node: &'y Yaml, what: &str) -> &'y [Yaml] {
        match &node.content {
            Content::List(items) => items,
            _ if node.is_null() => {
                self.wrong_type(node, what, "a text or a list of texts");
                &[]
            }
            _ => std::slice::from_ref(node),
        }
    }

    /// A text or a list of texts.
    pub(crate) fn texts<'y>(&mut self, node: &'y Yaml, what: &str) -> Vec<(&'y Yaml, &'y str)> {
        let mut texts = Vec::new();
        for item in self.list(node, what) {
            match &item.content {
                Content::Text(text, _) if !item.is_null() => texts.push((item, text.as_str())),
                _ => self.wrong_type(item, what, "a text or a list of texts"),
            }
        }
        texts
    }

    /// A text that a constructor checks; where a spelling close to it passes, that is the remedy.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &mut self,
        node: &Yaml,
        what: &str,
        parse: impl Fn(String) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(node, what)?;
        match parse(text.to_owned()) {
            Ok(value) => Some(value),
            Err(e) => {
                let close = [text.replace('_', "-"), slug(text)];
                let remedy = match close.into_iter().find(|text| parse(text.clone()).is_ok()) {
                    Some(close) => format!("write {close}"),
                    None => format!("write another {what}"),
                };
                self.error(node, "bad-value", e.to_string(), remedy);
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        node: &Yaml,
        what: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.text(node, what)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let remedy = match nearest(text, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("write {}", one_of(&names)),
        };
        self.error(node, "bad-value", format!("{what} cannot be {}", short(text)), remedy);
        None
    }

    pub(crate) fn flag(&mut self, node: &Yaml, what: &str) -> Option<bool> {
        self.choice(node, what, &[("true", true), ("false", false)])
    }

    /// A whole number within a range.
    pub(crate) fn number(
        &mut self,
        node: &Yaml,
        what: &str,
        (min, max): (u32, u32),
    ) -> Option<u32> {
        let text = self.text(node, what)?;
        match text.parse::<u32>() {
            Ok(n) if (min..=max).contains(&n) => Some(n),
            _ => {
                let message = format!("{what} cannot be {}", short(text));
                let remedy = match max {
                    u32::MAX => format!("write a number, {min} or more"),
                    _ => format!("write a number from {min} to {max}"),
                };
                self.error(node, "bad-value", message, remedy);
                None
            }
        }
    }

    pub(crate) fn duration(&mut self, node: &Yaml, what: &str) -> Option<Duration> {
        let text = self.text(node, what)?;
        match duration(text) {
            Some(d) if d <= MAX_DURATION => Some(d),
            parsed => {
                let text = short(text);
                if parsed.is_some() {
                    let message = format!("{what} of {text} is longer than 30 days");
                    self.error(node, "limit", message, "write 30d or less");
                } else {
                    let message = format!("{what} cannot be {text}: it is a duration");
                    self.error(node, "bad-value", message, "write 30s, 10m, 6h or 2d");
                }
                None
            }
        }
    }
}

/// `30s`, `10m`, `6h`, `2d`, also one after the other as in `5h30m`.
fn duration(text: &str) -> Option<Duration> {
    let mut seconds = 0_u64;
    let mut number: Option<u64> = None;
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u64::from(digit))?);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 24 * 3600,
            _ => return None,
        };
        seconds = seconds.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    (number.is_none() && !text.is_empty()).then_some(Duration::from_secs(seconds))
}

/// A text as messages show it.
fn short(text: &str) -> String {
    let mut shown: String =
        text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > 60 {
        shown.push('…');
    }
    if shown.is_empty() { "empty".to_owned() } else { shown }
}

/// A text in the shape of an id.
pub(crate) fn slug(text: &str) -> String {
    let small = text.trim().to_lowercase();
    let parts = small.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-")
}

fn one_of(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_units() {
        for (text, seconds) in [
            ("30s", 30),
            ("10m", 600),
            ("6h", 21_600),
            ("2d", 172_800),
            ("5h59m", 21_540),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "m", "5 m", "1.5h", "6 hours", "99999999999999999999s", "5M"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
