//! Lint: what a rule set may hold and its author hardly wants. Warnings, each with a remedy.
//!
//! It reads the files again beside the checked set, because the set has forgotten where things
//! stand. It runs only where there are no errors. Every check looks at an entry a bounded number of
//! times, so that 100,000 rules or a list of 10,000 entries take no longer than loading them does.

mod cover;
mod han;
mod han_pairs;
mod keys;
mod script;
mod sheet;
mod spelling;
mod used;

use std::collections::HashMap;

use crate::rules::load::Part;
use crate::rules::problem::Problem;
use crate::rules::query::Place;
use crate::rules::set::RuleSet;
use crate::rules::source::Source;
use crate::rules::yaml::Yaml;

use sheet::Query;
use sheet::Sheet;

/// The kinds of warnings, for programs.
pub(crate) mod code {
    /// A word mixes Latin and Cyrillic letters.
    pub(crate) const MIXED_SCRIPTS: &str = "mixed-scripts";
    /// An entry is covered by another of its list.
    pub(crate) const COVERED: &str = "covered";
    /// A rule has no `should_not_match`.
    pub(crate) const NO_COUNTEREXAMPLE: &str = "no-counterexample";
    /// A word of one or two letters is enough for a match.
    pub(crate) const SHORT_WORD: &str = "short-word";
    /// A Han word in one of its two forms only.
    pub(crate) const ONE_HAN_FORM: &str = "one-han-form";
    /// An `unless` hits the rule's own `should_match`.
    pub(crate) const UNLESS_HITS: &str = "unless-hits";
    /// A list that nothing uses.
    pub(crate) const UNUSED_LIST: &str = "unused-list";
    /// Places that no rule has alerts for.
    pub(crate) const UNUSED_PLACE: &str = "unused-place";
    /// A spelling that two places have.
    pub(crate) const SHARED_SPELLING: &str = "shared-spelling";
    /// An operator in small letters.
    pub(crate) const SMALL_OPERATOR: &str = "small-operator";
    /// A key that changes nothing.
    pub(crate) const NO_EFFECT: &str = "no-effect";
    /// A `lang` that excludes every script the words use.
    pub(crate) const LANG_EXCLUDES: &str = "lang-excludes";
}

/// Every kind of warning with the sentence that says what it is about.
pub const CODES: [(&str, &str); 12] = [
    (code::MIXED_SCRIPTS, "A word mixes Latin and Cyrillic letters"),
    (code::COVERED, "An entry is covered by another of its list"),
    (code::NO_COUNTEREXAMPLE, "A rule has no should_not_match"),
    (code::SHORT_WORD, "A word of one or two letters is enough for a match"),
    (code::ONE_HAN_FORM, "A Han word stands in one of its two forms only"),
    (code::UNLESS_HITS, "An unless hits the rule's own should_match"),
    (code::UNUSED_LIST, "A list is never used"),
    (code::UNUSED_PLACE, "Places are never used"),
    (code::SHARED_SPELLING, "Two places have one spelling"),
    (code::SMALL_OPERATOR, "An operator stands in small letters between words"),
    (code::NO_EFFECT, "A key has no effect"),
    (code::LANG_EXCLUDES, "A lang filter excludes every script the words use"),
];

/// Most warnings of one kind; the last one says how many more there are.
const MAX_OF_A_KIND: usize = 100;

/// The warnings found so far.
#[derive(Default)]
pub(crate) struct Warnings {
    found: Vec<Problem>,
    /// By kind: how many, and the number of the last one kept.
    kinds: HashMap<&'static str, (usize, usize)>,
}

impl Warnings {
    fn at(
        &mut self,
        (source, node): (&Source<'_>, &Yaml),
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(source, (node.start, node.end), code, (message.into(), remedy.into()));
    }

    /// At a stretch of a query.
    fn inside(
        &mut self,
        (source, query, at): (&Source<'_>, &Query<'_>, Place),
        code: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if self.kinds.get(code).is_none_or(|(count, _)| *count < MAX_OF_A_KIND) {
            let span = source.within(query.node, at);
            self.add(source, span, code, (message.into(), remedy.into()));
        } else {
            self.add(source, (0, 1), code, (String::new(), String::new()));
        }
    }

    fn add(
        &mut self,
        source: &Source<'_>,
        span: (usize, usize),
        code: &'static str,
        (message, remedy): (String, String),
    ) {
        let (count, last) = self.kinds.entry(code).or_default();
        *count += 1;
        if *count <= MAX_OF_A_KIND {
            *last = self.found.len();
            self.found.push(source.warning(span, code, message, remedy));
        }
    }

    fn finish(mut self, sources: &[Source<'_>]) -> Vec<Problem> {
        for (count, last) in self.kinds.values() {
            let more = count.saturating_sub(MAX_OF_A_KIND);
            if let (1.., Some(problem)) = (more, self.found.get_mut(*last)) {
                problem.message.push_str(&format!(" (and {more} more of this kind)"));
            }
        }
        crate::rules::load::in_order(&mut self.found, sources);
        self.found
    }
}

/// All warnings of a rule set without errors, in the order of the files.
pub(crate) fn lint(parts: &[Part<'_, '_>], set: &RuleSet, sources: &[Source<'_>]) -> Vec<Problem> {
    let mut warnings = Warnings::default();
    let sheet = Sheet::read(parts);
    let mut usage = used::Usage::new(&sheet);
    let scripts = script::of_lists(&sheet);
    for list in &sheet.lists {
        spelling::check(&list.queries, list.source, &mut warnings);
        let all: Vec<&Query<'_>> = list.queries.iter().collect();
        han::check(&all, list.source, false, &mut warnings);
    }
    // A check for rules without anything that must be present would stand here; the grammar does
    // not let one be written so far.
    let checked = set.rules().iter().zip(set.matchers());
    for (rule, (known, matcher)) in sheet.rules.iter().zip(checked) {
        let groups = rule.groups(&sheet.ids);
        usage.rule(rule, &groups);
        keys::check(rule, &mut warnings);
        if let Some(tests) = &matcher.tests {
            keys::check_unless(rule, (&known.id, tests), set, &mut warnings);
        }
        script::check((rule, &groups), &sheet, &scripts, &mut warnings);
        for group in &groups {
            spelling::check(&group.queries, rule.source, &mut warnings);
            spelling::check_short(&group.queries, rule.source, &mut warnings);
            cover::check((&group.name, &group.queries), rule.source, false, &mut warnings);
        }
        if han::needs_both(rule) {
            let all: Vec<&Query<'_>> = groups.iter().flat_map(|group| &group.queries).collect();
            let kana = script::has_kana(&groups, &sheet, &scripts);
            han::check(&all, rule.source, kana, &mut warnings);
        }
    }
    used::places(&sheet, &usage, &mut warnings);
    for place in &sheet.places {
        usage.place(place);
        let name = format!("the place {}", place.name);
        spelling::check(&place.queries, place.source, &mut warnings);
        spelling::check_short(&place.queries, place.source, &mut warnings);
        cover::check((&name, &place.queries), place.source, false, &mut warnings);
        let all: Vec<&Query<'_>> = place.queries.iter().collect();
        han::check(&all, place.source, false, &mut warnings);
    }
    usage.spread(&sheet);
    for (list, used) in sheet.lists.iter().zip(&usage.lists) {
        if !used.near {
            spelling::check_short(&list.queries, list.source, &mut warnings);
        }
        let name = format!("the list {}", list.name);
        cover::check((&name, &list.queries), list.source, used.near, &mut warnings);
    }
    used::lists(&sheet, &usage, &mut warnings);
    warnings.finish(sources)
}
