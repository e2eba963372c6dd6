//! One article against a rule set: the engine decides, the rest is told of rules that match.

mod standing;

use std::cell::LazyCell;
use std::cell::OnceCell;

use crate::model::Article;
use crate::model::Cap;
use crate::model::Key;
use crate::model::Lang;
use crate::model::Match;
use crate::model::Nature;
use crate::model::Rule;
use crate::model::RuleId;
use crate::model::article::MAX_BODY_CHARS;
use crate::model::article::MAX_TITLE_CHARS;
use crate::model::id::MAX_TOKEN_BYTES;
use crate::model::matching::Target;
use crate::model::rule::KeyBy;
use crate::rules::engine::Named;
use crate::rules::engine::Scratch;
use crate::rules::eval::Reading;
use crate::rules::evidence;
use crate::rules::evidence::Item;
use crate::rules::page::Page;
use crate::rules::query::Scope;
use crate::rules::rule_read::Matcher;
use crate::rules::set::GivenUp;
use crate::rules::set::MAX_PLACES;
use crate::rules::set::Miss;
use crate::rules::set::Outcome;
use crate::rules::set::RuleSet;
use crate::text::fold;
use crate::text::sentence::lead_end;
use crate::text::tokens::tokenize_within;

pub(crate) use standing::Standing;
pub(crate) use standing::standing;

/// The matches of an article.
pub(crate) fn evaluate(set: &RuleSet, article: &Article, scratch: &mut Scratch) -> Outcome {
    with_run(set, article, |run| {
        if !run.is_engines() {
            return run.outcome_plainly();
        }
        run.decide(scratch);
        let found = std::mem::take(&mut scratch.work.found);
        let outcome = run.outcome(&found, Some(scratch));
        scratch.work.found = found;
        outcome
    })
}

/// Which rules match, left in the buffers.
pub(crate) fn decide(set: &RuleSet, article: &Article, scratch: &mut Scratch) {
    with_run(set, article, |run| run.decide(scratch));
}

/// The matches of an article without the engine.
pub(crate) fn evaluate_plainly(set: &RuleSet, article: &Article) -> Outcome {
    with_run(set, article, |run| run.outcome_plainly())
}

/// Why a rule does not match.
pub(crate) fn miss(set: &RuleSet, place: usize, article: &Article) -> Option<Miss> {
    with_run(set, article, |run| run.first_miss(place))
}

/// The places that the areas of a CAP message name, in gazetteer order.
pub(crate) fn areas(set: &RuleSet, article: &Article) -> Vec<Key> {
    let areas: Vec<&str> = article.cap.iter().flat_map(Cap::areas).collect();
    if areas.is_empty() {
        return Vec::new();
    }
    let (title, body) = (tokenize_within("", 0), areas.join("\n\n"));
    let body = tokenize_within(&body, MAX_BODY_CHARS);
    let reading = Reading::new((Page::new(&title), Page::new(&body)), 0, set.lists().1);
    let named = |spellings: &[Item]| {
        let holds = |item: &Item| reading.evaluate(&item.query, Scope::Anywhere);
        spellings.iter().any(|item| holds(item).is_ok_and(|value| !value.is_empty()))
    };
    let places = set.gazetteer().iter().filter(|(_, spellings)| named(spellings));
    places.map(|(key, _)| key.clone()).take(MAX_PLACES).collect()
}

/// The article is cut into words for evidence only where something asks for it.
pub(crate) fn with_run<T>(
    set: &RuleSet,
    article: &Article,
    work: impl FnOnce(&mut Run<'_, '_>) -> T,
) -> T {
    let tokens = LazyCell::new(|| {
        let title = tokenize_within(&article.title, MAX_TITLE_CHARS);
        (title, tokenize_within(&article.body, MAX_BODY_CHARS))
    });
    let reading = LazyCell::new(|| {
        let pages = (Page::new(&tokens.0), Page::new(&tokens.1));
        Reading::new(pages, lead_end(&article.body), set.lists().1)
    });
    work(&mut Run {
        set,
        article,
        reading: &|| &reading,
        sources: OnceCell::new(),
        places: OnceCell::new(),
        given_up: Vec::new(),
    })
}

/// One article against the set.
pub(crate) struct Run<'a, 't> {
    set: &'a RuleSet,
    article: &'a Article,
    reading: &'a dyn Fn() -> &'a Reading<'t, 'a>,
    /// Source id and name, folded.
    sources: OnceCell<Vec<String>>,
    places: OnceCell<Vec<Key>>,
    given_up: Vec<GivenUp>,
}

impl Run<'_, '_> {
    /// Whether the engine decides: it asks `unless`, which labelled exercises and tests are not
    /// asked.
    fn is_engines(&self) -> bool {
        self.article.nature() == Some(Nature::Actual)
    }

    /// A CAP message says itself what it ends.
    fn supersedes(&self, rule: &Rule) -> bool {
        !rule.opens_alerts() && self.article.cap.is_none()
    }

    /// Leaves the numbers of the rules that match in the buffers.
    fn decide(&mut self, scratch: &mut Scratch) {
        let set = self.set;
        if !self.is_engines() {
            scratch.work.found.clear();
            return self.decide_plainly(&mut scratch.work.found);
        }
        set.engine().decide(&self.article.title, &self.article.body, scratch);
        let work = &mut scratch.work;
        let matcher = |number: u32| set.matchers().get(number as usize);
        work.found.retain(|n| {
            !set.has_filter(*n) || matcher(*n).is_some_and(|m| self.filtered(m).is_none())
        });
        for number in work.unsure.drain(..) {
            if self.first_miss(number as usize).is_none() {
                work.found.push(number);
            }
        }
        work.found.sort_unstable();
    }

    /// Adds the numbers of the rules that match, as the definitions of the language say.
    fn decide_plainly(&mut self, found: &mut Vec<u32>) {
        let numbered = (0_u32..).zip(0..self.set.matchers().len());
        found.extend(numbered.filter(|(_, at)| self.first_miss(*at).is_none()).map(|(n, _)| n));
    }

    fn outcome_plainly(&mut self) -> Outcome {
        let mut found = Vec::new();
        self.decide_plainly(&mut found);
        self.outcome(&found, None)
    }

    fn outcome(&mut self, found: &[u32], mut scratch: Option<&mut Scratch>) -> Outcome {
        let set = self.set;
        let rules = || found.iter().filter_map(|n| set.rules().get(*n as usize));
        let matchers = || found.iter().filter_map(|n| set.matchers().get(*n as usize));
        let superseding: Vec<&Rule> = rules().filter(|rule| self.supersedes(rule)).collect();
        let mut matches = Vec::with_capacity(found.len());
        for rule in rules().zip(matchers()) {
            matches.push(self.matched(rule, &superseding, scratch.as_deref_mut()));
        }
        Outcome { matches, given_up: std::mem::take(&mut self.given_up) }
    }

    /// Why the rule at a place of the file does not match.
    pub(crate) fn first_miss(&mut self, place: usize) -> Option<Miss> {
        let set = self.set;
        let (rule, matcher) = (set.rules().get(place)?, set.matchers().get(place)?);
        if let Some(filter) = self.filtered(matcher) {
            return Some(Miss::Filter(filter));
        }
        let missing = matcher.groups.iter().find_map(|group| self.missing(group, (rule, matcher)));
        missing.or_else(|| self.veto(rule, matcher))
    }

    /// Every reason, for people who ask how near it was.
    pub(crate) fn misses(&mut self, place: usize) -> Vec<Miss> {
        let set = self.set;
        let (Some(rule), Some(matcher)) = (set.rules().get(place), set.matchers().get(place))
        else {
            return Vec::new();
        };
        let mut misses: Vec<Miss> = self.filtered(matcher).map(Miss::Filter).into_iter().collect();
        for group in &matcher.groups {
            misses.extend(self.missing(group, (rule, matcher)));
        }
        misses.extend(self.veto(rule, matcher));
        misses
    }

    /// Whether one of the things that must match does.
    pub(crate) fn has_words(&self, place: usize) -> bool {
        let groups = self.set.matchers().get(place).map(|m| (m.scope, m.groups.iter().flatten()));
        groups.is_some_and(|(scope, mut items)| {
            items.any(|item| {
                let value = (self.reading)().evaluate(&item.query, scope);
                value.is_ok_and(|value| !value.is_empty())
            })
        })
    }

    fn missing(&mut self, group: &[Item], (rule, matcher): (&Rule, &Matcher)) -> Option<Miss> {
        if group.iter().any(|item| self.holds(item, matcher.scope, Some(&rule.id))) {
            return None;
        }
        let term = group.first().map_or("", |item| item.term.as_str());
        Some(Miss::Item(term.to_owned()))
    }

    fn veto(&mut self, rule: &Rule, matcher: &Matcher) -> Option<Miss> {
        // `unless` is there to catch drills that are not labelled as such.
        if !self.is_engines() {
            return None;
        }
        let scope = matcher.unless_scope;
        let rule = Some(&rule.id);
        let veto = matcher.unless.iter().find(|item| self.holds(item, scope, rule))?;
        let places = evidence::collect((self.reading)(), self.set.lists().0, [veto], scope);
        Some(Miss::Unless(veto.term.clone(), places))
    }

    fn filtered(&self, matcher: &Matcher) -> Option<&'static str> {
        let passes = |langs: &[Lang]| {
            let given = self.article.lang.as_ref();
            langs.is_empty() || given.is_some_and(|lang| langs.iter().any(|l| l.covers(lang)))
        };
        let named = |sources: &[String]| {
            !sources.is_empty() && sources.iter().any(|s| self.sources().contains(s))
        };
        if !passes(&matcher.langs) {
            return Some("lang");
        }
        if !matcher.sources.is_empty() && !named(&matcher.sources) {
            return Some("sources");
        }
        named(&matcher.not_sources).then_some("not_sources")
    }

    fn sources(&self) -> &Vec<String> {
        self.sources.get_or_init(|| {
            let article = self.article;
            let names = std::iter::once(article.source.as_str());
            names.chain(article.source_name.as_deref()).map(fold).collect()
        })
    }

    /// Whether a query matches. One that is given up does not, and is noted.
    fn holds(&mut self, item: &Item, scope: Scope, rule: Option<&RuleId>) -> bool {
        match (self.reading)().evaluate(&item.query, scope) {
            Ok(value) => !value.is_empty(),
            Err(_) => {
                let given_up = GivenUp { rule: rule.cloned(), term: item.term.clone() };
                if !self.given_up.contains(&given_up) {
                    self.given_up.push(given_up);
                }
                false
            }
        }
    }

    fn matched(
        &mut self,
        (rule, matcher): (&Rule, &Matcher),
        superseding: &[&Rule],
        scratch: Option<&mut Scratch>,
    ) -> Match {
        let items = matcher.groups.iter().flatten();
        let names = self.set.lists().0;
        let mut evidence = evidence::collect((self.reading)(), names, items, matcher.scope);
        if let Some(cap) = &self.article.cap {
            cap.place(&mut evidence);
        }
        Match {
            rule: rule.id.clone(),
            topic: rule.topic.clone(),
            superseded_by: superseding_rule(&rule.id, superseding),
            evidence,
            targets: self.targets(rule, scratch),
        }
    }

    fn targets(&mut self, rule: &Rule, mut scratch: Option<&mut Scratch>) -> Vec<Target> {
        if rule.opens_alerts() {
            return vec![Target { rule: rule.id.clone(), keys: self.keys(rule.key, scratch) }];
        }
        let set = self.set;
        let named = rule.ends.iter().chain(&rule.retracts);
        let mut places: Vec<usize> = named.filter_map(|id| set.place_of(id)).collect();
        places.sort_unstable();
        places.dedup();
        let mut targets = Vec::with_capacity(places.len());
        for target in places.iter().filter_map(|at| set.rules().get(*at)) {
            let keys = self.keys(target.key, scratch.as_deref_mut());
            targets.push(Target { rule: target.id.clone(), keys });
        }
        targets
    }

    fn keys(&mut self, by: KeyBy, scratch: Option<&mut Scratch>) -> Vec<Key> {
        match by {
            KeyBy::None => vec![Key::unknown()],
            KeyBy::Source => {
                let source = self.article.source.as_str();
                vec![key_of(self.article.owner.as_deref().unwrap_or(source))]
            }
            KeyBy::Place => {
                if let Some(places) = self.places.get() {
                    return places.clone();
                }
                let places = self.find_places(scratch);
                self.places.get_or_init(|| places).clone()
            }
        }
    }

    /// The places named in the title, else in the lead, else the unknown one.
    fn find_places(&mut self, mut scratch: Option<&mut Scratch>) -> Vec<Key> {
        let set = self.set;
        let areas = areas(set, self.article);
        let mut candidates: Vec<u32> = match &scratch {
            Some(scratch) => set.engine().places(scratch).collect(),
            None => (0..u32::try_from(set.gazetteer().len()).unwrap_or(u32::MAX)).collect(),
        };
        if !areas.is_empty() {
            candidates = (0..u32::try_from(set.gazetteer().len()).unwrap_or(u32::MAX)).collect();
        }
        for scope in [Scope::Title, Scope::Lead] {
            let mut keys = Vec::new();
            for number in &candidates {
                let Some((key, spellings)) = set.gazetteer().get(*number as usize) else { break };
                if keys.len() < MAX_PLACES
                    && (areas.contains(key)
                        || self.is_named(*number, spellings, scope, scratch.as_deref_mut()))
                {
                    keys.push(key.clone());
                }
            }
            if !keys.is_empty() {
                return keys;
            }
        }
        vec![Key::unknown()]
    }

    fn is_named(
        &mut self,
        place: u32,
        spellings: &[Item],
        scope: Scope,
        scratch: Option<&mut Scratch>,
    ) -> bool {
        let body = &self.article.body;
        let named = scratch.map(|scratch| self.set.engine().names(place, scope, body, scratch));
        match named.unwrap_or(Named::Unsure) {
            Named::Yes => true,
            Named::No => false,
            Named::Unsure => spellings.iter().any(|spelling| self.holds(spelling, scope, None)),
        }
    }
}

/// The first matching rule, in file order, that takes the rule back, else the first that ends it.
fn superseding_rule(id: &RuleId, found: &[&Rule]) -> Option<RuleId> {
    let by = |names: fn(&Rule) -> &Vec<RuleId>| {
        found.iter().find(|rule| names(rule).contains(id)).map(|rule| rule.id.clone())
    };
    by(|rule| &rule.retracts).or_else(|| by(|rule| &rule.ends))
}

/// An owner's name as a key: without control characters, cut to the length of a key.
fn key_of(owner: &str) -> Key {
    let mut text = String::new();
    for c in owner.chars().filter(|c| !c.is_control()) {
        if text.len() + c.len_utf8() > MAX_TOKEN_BYTES {
            break;
        }
        text.push(c);
    }
    Key::new(text).unwrap_or_else(|_| Key::unknown())
}
