//! Rules that nearly match an article, and what kept them from it.

use std::fmt;

use crate::model::Article;
use crate::model::Rule;
use crate::model::RuleId;
use crate::model::article::MAX_BODY_CHARS;
use crate::model::article::MAX_TITLE_CHARS;
use crate::rules::eval::Reading;
use crate::rules::page::Page;
use crate::rules::rule_read::Matcher;
use crate::rules::run;
use crate::rules::set::Miss;
use crate::rules::set::RuleSet;
use crate::text::sentence::lead_end;
use crate::text::tokens::tokenize_within;

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
        let title = tokenize_within(&article.title, MAX_TITLE_CHARS);
        let body = tokenize_within(&article.body, MAX_BODY_CHARS);
        let pages = (Page::new(&title), Page::new(&body));
        let reading = Reading::new(pages, lead_end(&article.body), self.lists().1);
        let all = self.rules().iter().zip(self.matchers()).enumerate();
        let near = all.filter(|(_, (rule, _))| rule.opens_alerts());
        near.filter(|(_, (_, matcher))| has_words(matcher, &reading))
            .map(|(place, (rule, _))| {
                let misses = run::misses(self, place, article);
                (rule, Nearest { rule: rule.id.clone(), misses })
            })
            .min_by_key(|(rule, near)| (!preferred(rule), near.misses.len()))
            .map(|(_, near)| near)
    }

    /// The first near misses in file order. Every rule is looked at one by one: this is for people
    /// who ask why, not for the data path.
    pub fn near_misses(&self, article: &Article) -> Vec<NearMiss> {
        let title = tokenize_within(&article.title, MAX_TITLE_CHARS);
        let body = tokenize_within(&article.body, MAX_BODY_CHARS);
        let pages = (Page::new(&title), Page::new(&body));
        let reading = Reading::new(pages, lead_end(&article.body), self.lists().1);
        let all = self.rules().iter().zip(self.matchers());
        let near = all.filter(|(_, matcher)| has_words(matcher, &reading));
        let misses = near.filter_map(|(rule, _)| {
            let miss = self.miss(&rule.id, article)?;
            Some(NearMiss { rule: rule.id.clone(), miss })
        });
        misses.take(MAX_TOLD).collect()
    }
}

/// Whether one of the things that must match does.
fn has_words(matcher: &Matcher, reading: &Reading<'_, '_>) -> bool {
    let mut items = matcher.groups.iter().flatten();
    items.any(|item| {
        let value = reading.evaluate(&item.query, matcher.scope);
        value.is_ok_and(|value| !value.is_empty())
    })
}
