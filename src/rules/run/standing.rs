//! One rule before an article: for tests, which ask about one rule at a time.

use crate::model::Article;
use crate::model::Rule;
use crate::model::RuleId;
use crate::rules::engine::Scratch;
use crate::rules::run::Run;
use crate::rules::run::superseding_rule;
use crate::rules::run::with_run;
use crate::rules::set::RuleSet;

/// How a rule stands to an article.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It does not match.
    Misses,
    /// It matches.
    Matches,
    /// It matches, and so does this rule that ends or retracts its alerts.
    Superseded(RuleId),
}

/// Whether the rule at a place matches, and the rule that supersedes it then.
pub(crate) fn standing(
    set: &RuleSet,
    place: usize,
    article: &Article,
    scratch: &mut Scratch,
) -> Standing {
    with_run(set, article, |run| {
        if run.is_engines() {
            set.engine().decide(&article.title, &article.body, scratch);
        }
        match set.rules().get(place).filter(|_| run.matches(place, scratch)) {
            Some(rule) => run.standing(rule, scratch),
            None => Standing::Misses,
        }
    })
}

impl Run<'_, '_> {
    /// How a rule stands that matches.
    fn standing(&mut self, rule: &Rule, scratch: &Scratch) -> Standing {
        let rules = (0..).zip(self.set.rules());
        let superseding = rules.filter(|(place, other)| {
            let names = other.retracts.contains(&rule.id) || other.ends.contains(&rule.id);
            names && self.supersedes(other) && self.matches(*place, scratch)
        });
        let superseding: Vec<&Rule> = superseding.map(|(_, other)| other).collect();
        superseding_rule(&rule.id, &superseding).map_or(Standing::Matches, Standing::Superseded)
    }

    /// Whether the rule at a place matches; the engine has looked at the article if it is its.
    fn matches(&mut self, place: usize, scratch: &Scratch) -> bool {
        let Ok(number) = u32::try_from(place) else { return false };
        let work = &scratch.work;
        if self.is_engines() && !work.unsure.contains(&number) {
            let matcher = self.set.matchers().get(place);
            return work.found.contains(&number)
                && matcher.is_some_and(|matcher| self.filtered(matcher).is_none());
        }
        self.first_miss(place).is_none()
    }
}
