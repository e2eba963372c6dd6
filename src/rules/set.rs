//! A rule set that is ready: from an article to the matches of its rules.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::model::Article;
use crate::model::Found;
use crate::model::Key;
use crate::model::Match;
use crate::model::Rule;
use crate::model::RuleId;
use crate::model::Topic;
use crate::model::rule::Context;
use crate::rules::engine::Engine;
use crate::rules::engine::Scratch;
use crate::rules::engine::Stage;
use crate::rules::evidence::Item;
use crate::rules::query::Node;
use crate::rules::query::QueryError;
use crate::rules::rule_read::Matcher;
use crate::rules::run;
use crate::rules::run::Standing;
use crate::rules::spec::Tests;

/// Most places that one article is about.
pub const MAX_PLACES: usize = 8;

/// Buffers kept for callers that bring none.
const SPARE: usize = 8;
/// Most text of rule files that is kept beside the rules.
const MAX_FILES_BYTES: usize = 512 << 10;

/// Keys of places and their spellings, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gazetteer(pub(crate) Vec<(Key, Vec<Item>)>);

/// A checked rule set.
#[derive(Debug)]
pub struct RuleSet {
    matchers: Vec<Matcher>,
    rules: Vec<Rule>,
    /// Places in the file, in the order of ids.
    by_id: Vec<u32>,
    /// By place: whether a rule lets only some articles through.
    filters: Vec<bool>,
    gazetteer: Gazetteer,
    places: Vec<Key>,
    list_names: Vec<String>,
    lists: Vec<Vec<Node>>,
    digest: String,
    engine: Engine,
    spare: Mutex<Vec<Scratch>>,
    files: Vec<(String, String)>,
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
        rules: Vec<(Rule, Matcher)>,
        gazetteer: Gazetteer,
        (list_names, lists): (Vec<String>, Vec<Vec<Node>>),
        digest: String,
    ) -> Self {
        let (rules, matchers): (Vec<Rule>, Vec<Matcher>) = rules.into_iter().unzip();
        let mut by_id: Vec<u32> = (0_u32..).zip(&rules).map(|(at, _)| at).collect();
        by_id.sort_by_key(|at| rules.get(*at as usize).map(|r| &r.id));
        let places = gazetteer.0.iter().map(|(key, _)| key.clone()).collect();
        let filters = matchers.iter().map(Matcher::has_filter).collect();
        let engine = compile(&matchers, &gazetteer, &lists);
        let spare = Mutex::default();
        Self {
            matchers,
            rules,
            by_id,
            filters,
            gazetteer,
            places,
            list_names,
            lists,
            digest,
            engine,
            spare,
            files: Vec::new(),
        }
    }

    /// Keeps the files that it was read from, unless they are larger than people would edit.
    pub(crate) fn with_files(mut self, files: &[(String, String)]) -> Self {
        if files.iter().map(|(_, text)| text.len()).sum::<usize>() <= MAX_FILES_BYTES {
            self.files = files.to_vec();
        }
        self
    }

    /// Name and text of the files that it was read from; nothing where they are too large to keep.
    pub fn files(&self) -> &[(String, String)] {
        &self.files
    }

    /// A rule set of queries without lists, a rule each, named by number: more than a file may
    /// have, for measuring.
    pub fn of_queries<'q>(queries: impl Iterator<Item = &'q str>) -> Result<Self, QueryError> {
        let rules: Result<Vec<(Rule, Matcher)>, QueryError> =
            queries.enumerate().map(|(number, query)| Matcher::of_query(number, query)).collect();
        Ok(Self::new(rules?, Gazetteer::default(), Default::default(), String::new()))
    }

    /// The rules in file order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules as the life of alerts knows them.
    pub fn context(&self) -> Context<'_> {
        let (rules, by_id) = (&self.rules, &self.by_id);
        Context { rules, by_id, ruleset: &self.digest, places: &self.places }
    }

    /// The rule with an id.
    pub fn rule(&self, id: &RuleId) -> Option<&Rule> {
        self.context().rule(id)
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
        self.matchers.get(self.place_of(id)?)?.budget
    }

    /// The tests of each rule that has some, in file order.
    pub fn tests(&self) -> impl Iterator<Item = (&RuleId, &Tests)> {
        let rules = self.rules.iter().zip(&self.matchers);
        rules.filter_map(|(rule, matcher)| Some((&rule.id, matcher.tests.as_deref()?)))
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
        // What an operator says of an alert is no report, nor is a message that is stored only.
        if article.directive.is_some() || article.nature().is_none() {
            return Found::default();
        }
        Found { matches: self.matches(article), areas: run::areas(self, article) }
    }

    /// The matches of an article, and which queries were given up on it.
    pub fn evaluate(&self, article: &Article) -> Outcome {
        self.with_scratch(|scratch| self.evaluate_with(article, scratch))
    }

    /// How a rule stands to an article; without evidence, and the other rules are looked at only
    /// as far as they matter to this one.
    pub(crate) fn standing(&self, id: &RuleId, article: &Article) -> Standing {
        let Some(place) = self.place_of(id) else { return Standing::Misses };
        self.with_scratch(|scratch| run::standing(self, place, article, scratch))
    }

    /// The same in buffers of the caller, which may have served other rule sets before.
    pub fn evaluate_with(&self, article: &Article, scratch: &mut Scratch) -> Outcome {
        run::evaluate(self, article, scratch)
    }

    /// Which rules match an article, by place in [`rules`](Self::rules), superseded ones included.
    /// Once the buffers have grown to the size of articles, this takes no memory, unless a query
    /// might have to be given up.
    pub fn decide<'s>(&self, article: &Article, scratch: &'s mut Scratch) -> &'s [u32] {
        run::decide(self, article, scratch);
        scratch.found()
    }

    /// The matches of an article and the queries given up, as the definitions of the language say,
    /// one by one: slow, to compare with.
    pub fn evaluate_plainly(&self, article: &Article) -> Outcome {
        run::evaluate_plainly(self, article)
    }

    /// The first reason why a rule does not match an article; none where it does, or is not known.
    pub fn miss(&self, id: &RuleId, article: &Article) -> Option<Miss> {
        run::miss(self, self.place_of(id)?, article)
    }

    /// Rules that no word leads to: they are evaluated on every article.
    pub fn without_anchor(&self) -> impl Iterator<Item = &Rule> {
        self.engine.always().iter().filter_map(|at| self.rules.get(*at as usize))
    }

    /// Takes an article up to a stage, for measuring.
    pub fn decide_until(&self, stage: Stage, article: &Article, scratch: &mut Scratch) {
        self.engine.decide_until(stage, (&article.title, &article.body), scratch);
    }

    /// Compiles the engine once more and gives its size in bytes, for measuring.
    pub fn compile_again(&self) -> usize {
        compile(&self.matchers, &self.gazetteer, &self.lists).size()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a rule lets only some articles through.
    pub(crate) fn has_filter(&self, place: u32) -> bool {
        self.filters.get(place as usize).copied().unwrap_or(false)
    }

    pub(crate) fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    pub(crate) fn lists(&self) -> (&[String], &[Vec<Node>]) {
        (&self.list_names, &self.lists)
    }

    pub(crate) fn gazetteer(&self) -> &[(Key, Vec<Item>)] {
        &self.gazetteer.0
    }

    /// The place of a rule in the file.
    pub(crate) fn place_of(&self, id: &RuleId) -> Option<usize> {
        self.context().place(id)
    }

    fn with_scratch<T>(&self, work: impl FnOnce(&mut Scratch) -> T) -> T {
        let mut scratch = self.spare().pop().unwrap_or_default();
        let done = work(&mut scratch);
        let mut spare = self.spare();
        if spare.len() < SPARE {
            spare.push(scratch);
        }
        done
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn compile(matchers: &[Matcher], gazetteer: &Gazetteer, lists: &[Vec<Node>]) -> Engine {
    let spellings: Vec<&[Item]> = gazetteer.0.iter().map(|(_, s)| s.as_slice()).collect();
    Engine::new(matchers, &spellings, lists)
}
