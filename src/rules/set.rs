//! A rule set that is ready: from an article to the matches of its rules.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::model::Article;
use crate::model::Cap;
use crate::model::Found;
use crate::model::Key;
use crate::model::Match;
use crate::model::Nature;
use crate::model::Rule;
use crate::model::RuleId;
use crate::model::Topic;
use crate::model::article::MAX_BODY_CHARS;
use crate::model::article::MAX_TITLE_CHARS;
use crate::model::id::MAX_TOKEN_BYTES;
use crate::model::matching::Target;
use crate::model::rule::KeyBy;
use crate::rules::eval::Reading;
use crate::rules::evidence;
use crate::rules::evidence::Item;
use crate::rules::page::Page;
use crate::rules::query::Node;
use crate::rules::query::Scope;
use crate::rules::rule_read::Matcher;
use crate::rules::spec::Tests;
use crate::text::fold;
use crate::text::sentence::lead_end;
use crate::text::tokens::tokenize_within;

/// Most places that one article is about.
pub const MAX_PLACES: usize = 8;

/// Keys of places and their spellings, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gazetteer(pub(crate) Vec<(Key, Vec<Item>)>);

/// A checked rule set.
#[derive(Debug)]
pub struct RuleSet {
    matchers: Vec<Matcher>,
    rules: Vec<Rule>,
    by_id: HashMap<RuleId, usize>,
    gazetteer: Gazetteer,
    places: Vec<Key>,
    list_names: Vec<String>,
    lists: Vec<Vec<Node>>,
    digest: String,
}

/// What a rule set makes of an article.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Matches in file order, superseded ones included.
    pub matches: Vec<Match>,
    /// Queries that made too many intervals and count as not matching.
    pub given_up: Vec<GivenUp>,
}

/// A query that was given up for an article.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Its rule; none for the spelling of a place.
    pub rule: Option<RuleId>,
    /// The query, as evidence would name it.
    pub term: String,
}

/// Why a rule does not match an article.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// A filter (`lang`, `sources`, `not_sources`) does not let the article through.
    Filter(&'static str),
    /// No query of this item matches.
    Item(String),
    /// A query of `unless` matches; its places.
    Unless(String, Vec<crate::model::Evidence>),
}

impl RuleSet {
    pub(crate) fn new(
        matchers: Vec<Matcher>,
        gazetteer: Gazetteer,
        (list_names, lists): (Vec<String>, Vec<Vec<Node>>),
        digest: String,
    ) -> Self {
        let rules: Vec<Rule> = matchers.iter().map(|m| m.rule.clone()).collect();
        let by_id = rules.iter().enumerate().map(|(at, r)| (r.id.clone(), at)).collect();
        let places = gazetteer.0.iter().map(|(key, _)| key.clone()).collect();
        Self { matchers, rules, by_id, gazetteer, places, list_names, lists, digest }
    }

    /// The rules in file order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The place of each rule in file order.
    pub fn index(&self) -> &HashMap<RuleId, usize> {
        &self.by_id
    }

    /// The rule with an id.
    pub fn rule(&self, id: &RuleId) -> Option<&Rule> {
        self.by_id.get(id).and_then(|at| self.rules.get(*at))
    }

    /// What can be subscribed to: the topics of rules that open alerts.
    pub fn topics(&self) -> BTreeSet<Topic> {
        self.rules.iter().filter(|r| r.opens_alerts()).map(|r| r.topic.clone()).collect()
    }

    /// `sha256:` and the hash of the files' content.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Most alerts a day that a rule may open, where it says so.
    pub fn budget(&self, id: &RuleId) -> Option<u32> {
        self.by_id.get(id).and_then(|at| self.matchers.get(*at)).and_then(|m| m.budget)
    }

    /// The tests of each rule, in file order.
    pub fn tests(&self) -> impl Iterator<Item = (&RuleId, &Tests)> {
        self.matchers.iter().map(|m| (&m.rule.id, &m.tests))
    }

    /// The keys of the gazetteer, in file order.
    pub fn places(&self) -> &[Key] {
        &self.places
    }

    /// The matches of an article in file order.
    pub fn matches(&self, article: &Article) -> Vec<Match> {
        self.evaluate(article).matches
    }

    /// Everything that the life of alerts needs to know of an article.
    pub fn found(&self, article: &Article) -> Found {
        // What an operator says of an alert is no report.
        if article.directive.is_some() {
            return Found::default();
        }
        Found { matches: self.matches(article), areas: self.areas(article) }
    }

    /// The places that the areas of a CAP message name, in gazetteer order.
    fn areas(&self, article: &Article) -> Vec<Key> {
        let areas: Vec<&str> = article.cap.iter().flat_map(Cap::areas).collect();
        if areas.is_empty() {
            return Vec::new();
        }
        let (title, body) = (tokenize_within("", 0), areas.join("\n\n"));
        let body = tokenize_within(&body, MAX_BODY_CHARS);
        let reading = Reading::new((Page::new(&title), Page::new(&body)), 0, &self.lists);
        let named = |spellings: &[Item]| {
            let holds = |item: &Item| reading.evaluate(&item.query, Scope::Anywhere);
            spellings.iter().any(|item| holds(item).is_ok_and(|value| !value.is_empty()))
        };
        let places = self.gazetteer.0.iter().filter(|(_, spellings)| named(spellings));
        places.map(|(key, _)| key.clone()).take(MAX_PLACES).collect()
    }

    /// The matches of an article, and which queries were given up on it.
    pub fn evaluate(&self, article: &Article) -> Outcome {
        self.with_reading(article, |reading| {
            let mut run = Run::new(self, article, reading);
            let found: Vec<&Matcher> =
                self.matchers.iter().filter(|m| run.first_miss(m).is_none()).collect();
            let matches = found.iter().map(|m| run.matched(m, &found)).collect();
            Outcome { matches, given_up: run.given_up }
        })
    }

    /// The first reason why a rule does not match an article; none where it does, or is not known.
    pub fn miss(&self, id: &RuleId, article: &Article) -> Option<Miss> {
        let matcher = self.by_id.get(id).and_then(|at| self.matchers.get(*at))?;
        self.with_reading(article, |reading| Run::new(self, article, reading).first_miss(matcher))
    }

    /// Every reason why a rule does not match what is read.
    pub(crate) fn misses_of(
        &self,
        matcher: &Matcher,
        article: &Article,
        reading: &Reading<'_, '_>,
    ) -> Vec<Miss> {
        Run::new(self, article, reading).misses(matcher)
    }

    pub(crate) fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    pub(crate) fn lists(&self) -> (&[String], &[Vec<Node>]) {
        (&self.list_names, &self.lists)
    }

    fn with_reading<T>(&self, article: &Article, work: impl FnOnce(&Reading<'_, '_>) -> T) -> T {
        let title = tokenize_within(&article.title, MAX_TITLE_CHARS);
        let body = tokenize_within(&article.body, MAX_BODY_CHARS);
        let pages = (Page::new(&title), Page::new(&body));
        work(&Reading::new(pages, lead_end(&article.body), &self.lists))
    }
}

/// One article against the set.
struct Run<'a, 't, 'r> {
    set: &'a RuleSet,
    article: &'a Article,
    reading: &'a Reading<'t, 'r>,
    /// Source id and name, folded.
    sources: Vec<String>,
    places: OnceCell<Vec<Key>>,
    given_up: Vec<GivenUp>,
}

impl<'a, 't, 'r> Run<'a, 't, 'r> {
    fn new(set: &'a RuleSet, article: &'a Article, reading: &'a Reading<'t, 'r>) -> Self {
        let names = std::iter::once(article.source.as_str()).chain(article.source_name.as_deref());
        let sources = names.map(fold).collect();
        Self { set, article, reading, sources, places: OnceCell::new(), given_up: Vec::new() }
    }

    fn first_miss(&mut self, matcher: &Matcher) -> Option<Miss> {
        if let Some(filter) = self.filtered(matcher) {
            return Some(Miss::Filter(filter));
        }
        let rule = Some(&matcher.rule.id);
        for group in &matcher.groups {
            if !group.iter().any(|item| self.holds(item, matcher.scope, rule)) {
                let term = group.first().map_or("", |item| item.term.as_str());
                return Some(Miss::Item(term.to_owned()));
            }
        }
        self.veto(matcher)
    }

    /// Every reason, for people who ask how near it was.
    fn misses(&mut self, matcher: &Matcher) -> Vec<Miss> {
        let mut misses: Vec<Miss> = self.filtered(matcher).map(Miss::Filter).into_iter().collect();
        for group in &matcher.groups {
            let rule = Some(&matcher.rule.id);
            if !group.iter().any(|item| self.holds(item, matcher.scope, rule)) {
                let term = group.first().map_or("", |item| item.term.as_str());
                misses.push(Miss::Item(term.to_owned()));
            }
        }
        misses.extend(self.veto(matcher));
        misses
    }

    fn veto(&mut self, matcher: &Matcher) -> Option<Miss> {
        // `unless` is there to catch drills that are not labelled as such.
        if self.article.nature() != Some(Nature::Actual) {
            return None;
        }
        let rule = Some(&matcher.rule.id);
        let scope = matcher.unless_scope;
        let veto = matcher.unless.iter().find(|item| self.holds(item, scope, rule))?;
        let places = evidence::collect(self.reading, &self.set.list_names, [veto], scope);
        Some(Miss::Unless(veto.term.clone(), places))
    }

    fn filtered(&self, matcher: &Matcher) -> Option<&'static str> {
        let passes = |langs: &[crate::model::Lang]| {
            let given = self.article.lang.as_ref();
            langs.is_empty() || given.is_some_and(|lang| langs.iter().any(|l| l.covers(lang)))
        };
        let named = |sources: &[String]| sources.iter().any(|s| self.sources.contains(s));
        if !passes(&matcher.langs) {
            return Some("lang");
        }
        if !matcher.sources.is_empty() && !named(&matcher.sources) {
            return Some("sources");
        }
        named(&matcher.not_sources).then_some("not_sources")
    }

    /// Whether a query matches. One that is given up does not, and is noted.
    fn holds(&mut self, item: &Item, scope: Scope, rule: Option<&RuleId>) -> bool {
        match self.reading.evaluate(&item.query, scope) {
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

    fn matched(&mut self, matcher: &Matcher, found: &[&Matcher]) -> Match {
        let rule = &matcher.rule;
        let items = matcher.groups.iter().flatten();
        let names = &self.set.list_names;
        let mut evidence = evidence::collect(self.reading, names, items, matcher.scope);
        if let Some(cap) = &self.article.cap {
            cap.place(&mut evidence);
        }
        Match {
            rule: rule.id.clone(),
            topic: rule.topic.clone(),
            superseded_by: self.superseding(&rule.id, found),
            evidence,
            targets: self.targets(rule),
        }
    }

    /// The first matching rule, in file order, that takes the rule back, else the first that ends
    /// it. A CAP message says itself what it ends.
    fn superseding(&self, id: &RuleId, found: &[&Matcher]) -> Option<RuleId> {
        if self.article.cap.is_some() {
            return None;
        }
        let by = |names: fn(&Rule) -> &Vec<RuleId>| {
            let matcher = found.iter().find(|m| names(&m.rule).contains(id))?;
            Some(matcher.rule.id.clone())
        };
        by(|rule| &rule.retracts).or_else(|| by(|rule| &rule.ends))
    }

    fn targets(&mut self, rule: &Rule) -> Vec<Target> {
        if rule.opens_alerts() {
            return vec![Target { rule: rule.id.clone(), keys: self.keys(rule.key) }];
        }
        let set = self.set;
        let named = |r: &&Rule| rule.ends.contains(&r.id) || rule.retracts.contains(&r.id);
        let targets = set.rules.iter().filter(named);
        targets.map(|r| Target { rule: r.id.clone(), keys: self.keys(r.key) }).collect()
    }

    fn keys(&mut self, by: KeyBy) -> Vec<Key> {
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
                let places = self.find_places();
                self.places.get_or_init(|| places).clone()
            }
        }
    }

    /// The places named in the title, else in the lead, else the unknown one.
    fn find_places(&mut self) -> Vec<Key> {
        let set = self.set;
        let areas = set.areas(self.article);
        for scope in [Scope::Title, Scope::Lead] {
            let mut keys = Vec::new();
            for (key, spellings) in &set.gazetteer.0 {
                if keys.len() < MAX_PLACES
                    && (areas.contains(key)
                        || spellings.iter().any(|spelling| self.holds(spelling, scope, None)))
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
