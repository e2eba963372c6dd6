//! Rules that nearly match an article, and what kept them from it.

use std::fmt;

use crate::model::Article;
use crate::model::Rule;
use crate::model::RuleId;
use crate::rules::run;
use crate::rules::set::Miss;
use crate::rules::set::RuleSet;

/// Most near misses told of one article.
const MAX_TOLD: usize = 20;

/// A rule some of whose words an article has, and that does not match it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The rule.
    pub rule: RuleId,
    /// What kept it from matching.
    pub miss: Miss,
}

/// The rule that an article came nearest to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearest {
    /// The rule.
    pub rule: RuleId,
    /// Everything that kept it from matching; nothing where it does match.
    pub misses: Vec<Miss>,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(filter) => write!(f, "{filter} keeps the article out"),
            Self::Item(term) if term.starts_with("any") => f.write_str("nothing of any matches"),
            Self::Item(term) if term.starts_with("all") => {
                let end = term.find(']').map_or(term.len(), |at| at + 1);
                write!(f, "nothing of {} matches", term.get(..end).unwrap_or(term))
            }
            Self::Item(term) => write!(f, "{term} does not match"),
            Self::Unless(term, _) => write!(f, "{term} forbids it"),
        }
    }
}

impl RuleSet {
    /// The rule that fails fewest clauses of those some of whose words the article has, one that
    /// is `preferred` before any other. For people, as [`RuleSet::near_misses`] is.
    pub fn nearest(&self, article: &Article, preferred: impl Fn(&Rule) -> bool) -> Option<Nearest> {
        run::with_run(self, article, |run| {
            let opening = self.rules().iter().enumerate().filter(|(_, rule)| rule.opens_alerts());
            opening
                .filter_map(|(at, rule)| {
                    let misses = run.has_words(at).then(|| run.misses(at))?;
                    Some((rule, Nearest { rule: rule.id.clone(), misses }))
                })
                .min_by_key(|(rule, near)| (!preferred(rule), near.misses.len()))
                .map(|(_, near)| near)
        })
    }

    /// The first near misses in file order. Every rule is looked at one by one: this is for people
    /// who ask why, not for the data path.
    pub fn near_misses(&self, article: &Article) -> Vec<NearMiss> {
        run::with_run(self, article, |run| {
            let misses = self.rules().iter().enumerate().filter_map(|(at, rule)| {
                let near = run.has_words(at).then(|| run.first_miss(at))?;
                near.map(|miss| NearMiss { rule: rule.id.clone(), miss })
            });
            misses.take(MAX_TOLD).collect()
        })
    }
}
