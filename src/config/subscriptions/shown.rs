//! Problems without the secrets that stand beside them.

use crate::rules;
use crate::rules::Problem;
use crate::rules::yaml::Content;
use crate::rules::yaml::Yaml;

/// Stretches of the file, in code points, that nobody is shown.
#[derive(Debug, Default)]
pub(super) struct Hidden(Vec<(usize, usize)>);

impl Hidden {
    /// Hides the scalars of a value; the name of a file is no secret.
    pub(super) fn add(&mut self, node: &Yaml, is_file: bool) {
        match &node.content {
            Content::Text(..) if is_file => {}
            Content::Text(..) => self.0.push((node.start, node.end)),
            Content::List(items) => items.iter().for_each(|item| self.add(item, is_file)),
            Content::Map(entries) => {
                for (key, value) in entries.iter() {
                    let is_file = key.scalar().is_some_and(|key| key.ends_with(super::FILE));
                    self.add(value, is_file);
                }
            }
        }
    }

    /// A problem whose line shows stars in their place.
    pub(super) fn out_of(&self, problem: Problem, source: &rules::Source<'_>) -> Problem {
        let start = source.offset(problem.line, 1);
        let is_hidden = |at: usize| self.0.iter().any(|(from, to)| (*from..*to).contains(&at));
        let star = |(n, c): (usize, char)| if is_hidden(start + n) { '*' } else { c };
        let snippet = problem.snippet.chars().enumerate().map(star).collect();
        Problem { snippet, ..problem }
    }
}

/// A problem of a file that cannot be read as YAML: what in its line is a secret is not known.
pub(super) fn without_value(problem: Problem) -> Problem {
    let mut after = false;
    let star = |c: char| {
        let shown = if after && !c.is_whitespace() { '*' } else { c };
        after |= c == ':';
        shown
    };
    let snippet = problem.snippet.chars().map(star).collect();
    Problem { snippet, ..problem }
}
