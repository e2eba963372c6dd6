//! From checked rules to the engine.

use crate::rules::engine::Engine;
use crate::rules::engine::Entry;
use crate::rules::engine::Goal;
use crate::rules::engine::NONE;
use crate::rules::engine::Posting;
use crate::rules::engine::RuleCode;
use crate::rules::engine::anchor::Anchor;
use crate::rules::engine::anchor::Key;
use crate::rules::engine::bound::Bound;
use crate::rules::engine::code;
use crate::rules::engine::code::At;
use crate::rules::engine::code::nearness_number;
use crate::rules::engine::code::scope_number;
use crate::rules::engine::phrase;
use crate::rules::engine::terms::Reading;
use crate::rules::evidence::Item;
use crate::rules::query::Node;
use crate::rules::query::Phrase;
use crate::rules::query::Scope;
use crate::rules::query::lists_of;
use crate::rules::rule_read::Matcher;

/// A group of more queries becomes a list: only those whose anchors are seen are looked at.
const MANY: usize = 16;
/// Articles of more positions are decided without short cuts.
pub(super) const LONG_ARTICLE: u32 = 50_000;

/// What is known of a compiled part.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) anchor: Anchor,
    pub(super) bound: Bound,
}

/// A list that is compiled.
#[derive(Clone, Debug, Default)]
struct List {
    number: u32,
    cost: f32,
    exact: bool,
    bound: Bound,
}

pub(super) struct Compiler<'n> {
    pub(super) engine: Engine,
    pub(super) reading: Reading,
    /// Lists of the rule files, by number, and those compiled.
    lists: &'n [Vec<Node>],
    done: Vec<Option<List>>,
    /// What each anchor leads to.
    posts: Vec<(Key, Goal, Option<Key>)>,
    /// Whether it is asked where the words stand that are compiled, not only whether they do.
    pub(super) has_places: bool,
}

impl<'n> Compiler<'n> {
    pub(super) fn new(lists: &'n [Vec<Node>]) -> Self {
        Self {
            engine: Engine::default(),
            reading: Reading::default(),
            lists,
            done: vec![None; lists.len()],
            posts: Vec::new(),
            has_places: false,
        }
    }

    pub(super) fn run(mut self, matchers: &[Matcher], places: &[&[Item]]) -> Engine {
        for matcher in matchers {
            let items = matcher.groups.iter().flatten().chain(&matcher.unless);
            items.for_each(|item| phrase::count(&item.query, &mut self));
        }
        places.iter().flat_map(|p| *p).for_each(|item| phrase::count(&item.query, &mut self));
        self.lists.iter().flatten().for_each(|entry| phrase::count(entry, &mut self));
        // A list may stand at a distance from something.
        self.has_places = true;
        (0..self.lists.len()).for_each(|list| self.list(list));
        self.has_places = false;
        for (number, matcher) in (0..).zip(matchers) {
            self.rule(number, matcher);
        }
        self.engine.first_place = self.engine.list_count;
        for spellings in places {
            let list = self.items(spellings);
            self.engine.place_limits.push(list.bound.max_positions());
        }
        self.finish()
    }

    /// Compiles a list of the files after those it names.
    fn list(&mut self, list: usize) {
        if self.done.get(list).is_none_or(Option::is_some) {
            return;
        }
        let entries = self.lists.get(list).map_or(&[][..], Vec::as_slice);
        let mut used = Vec::new();
        entries.iter().for_each(|entry| lists_of(entry, &mut used));
        if let Some(done) = self.done.get_mut(list) {
            *done = Some(List::default());
        }
        used.into_iter().for_each(|inner| self.list(inner));
        let (compiled, bounds) = self.entries(entries.iter());
        if let Some(done) = self.done.get_mut(list) {
            *done = Some(List { bound: Bound::sum(&bounds), ..compiled });
        }
    }

    /// Makes a list of queries; each is looked at when one of its own anchors is seen.
    fn entries<'q>(&mut self, queries: impl Iterator<Item = &'q Node>) -> (List, Vec<Bound>) {
        let number = self.engine.list_count;
        self.engine.list_count += 1;
        let mut list = List { number, exact: true, ..List::default() };
        let mut bounds = Vec::new();
        for query in queries {
            let at = self.engine.code.next();
            let part = self.node(query);
            let entry = u32::try_from(self.engine.entries.len()).unwrap_or(NONE);
            self.engine.entries.push(Entry { list: number, code: at });
            list.cost += part.anchor.cost;
            list.exact &= part.anchor.exact;
            bounds.push(part.bound);
            let goal = Goal::Entry(entry);
            self.posts.extend(part.anchor.posts.iter().map(|p| (p.key, goal, p.second)));
        }
        self.engine.exact_lists.push(list.exact);
        (list, bounds)
    }

    fn rule(&mut self, number: u32, matcher: &Matcher) {
        let mut bound = Bound::default();
        let mut groups = Vec::new();
        for group in &matcher.groups {
            groups.push((group.len() > MANY).then(|| self.items(group)));
        }
        let unless_list = (matcher.unless.len() > MANY).then(|| self.items(&matcher.unless));
        let at = self.engine.code.next();
        let is_one = matcher.groups.len() == 1;
        if !is_one {
            self.engine.code.begin(code::AND);
        }
        let mut anchors = Vec::new();
        for (group, list) in matcher.groups.iter().zip(&groups) {
            let part = self.group(group, list.as_ref());
            bound = bound.or_larger(part.bound);
            anchors.push(part.anchor);
        }
        if !is_one {
            self.engine.code.end(at);
        }
        let mut unless = NONE;
        if !matcher.unless.is_empty() {
            unless = self.engine.code.next();
            let part = self.group(&matcher.unless, unless_list.as_ref());
            bound = bound.or_larger(part.bound);
        }
        let anchor = Anchor::all(anchors);
        let limit = bound.max_positions();
        self.engine.rules.push(RuleCode {
            code: at,
            unless,
            limit,
            scope: matcher.scope,
            unless_scope: matcher.unless_scope,
        });
        if matcher.groups.is_empty() {
            self.engine.always.push(number);
        }
        let sure = anchor.exact
            && matcher.scope == Scope::Anywhere
            && unless == NONE
            && limit >= LONG_ARTICLE;
        let goal = if sure { Goal::Sure(number) } else { Goal::Rule(number) };
        self.posts.extend(anchor.posts.iter().map(|p| (p.key, goal, p.second)));
    }

    /// A group as a list. Each query has a limit of its own.
    fn items(&mut self, group: &[Item]) -> List {
        let (list, bounds) = self.entries(group.iter().map(|item| &item.query));
        let bound = bounds.into_iter().fold(Bound::default(), Bound::or_larger);
        List { bound, ..list }
    }

    /// One of several queries.
    fn group(&mut self, group: &[Item], list: Option<&List>) -> Part {
        if let Some(list) = list {
            return self.list_node(list);
        }
        if let [item] = group {
            return self.node(&item.query);
        }
        let at = self.engine.code.begin(code::OR);
        let parts: Vec<Part> = group.iter().map(|item| self.node(&item.query)).collect();
        self.engine.code.end_or(at);
        let bound = parts.iter().fold(Bound::default(), |b, part| b.or_larger(part.bound));
        Part { anchor: Anchor::any(parts.into_iter().map(|p| p.anchor)), bound }
    }

    fn list_node(&mut self, list: &List) -> Part {
        let at = self.engine.code.begin(code::LIST);
        self.engine.code.push(list.number);
        self.engine.code.end(at);
        let anchor = Anchor::one(Key::List(list.number), None, list.cost, list.exact);
        Part { anchor, bound: list.bound }
    }

    fn node(&mut self, node: &Node) -> Part {
        match node {
            Node::Phrase(phrase) => self.phrase(phrase),
            Node::List(id) => match self.done.get(*id).cloned().flatten() {
                Some(list) => self.list_node(&list),
                None => self.some(code::OR, &[]).1,
            },
            Node::Or(nodes) => {
                let (parts, mut part) = self.some(code::OR, nodes);
                part.anchor = Anchor::any(parts.into_iter().map(|p| p.anchor));
                part
            }
            Node::And(nodes) => {
                let (parts, mut part) = self.some(code::AND, nodes);
                part.anchor = Anchor::all(parts.into_iter().map(|p| p.anchor).collect());
                part
            }
            Node::Not(left, right) => {
                let at = self.engine.code.begin(code::NOT);
                let left = self.node(left);
                let right = self.node(right);
                self.engine.code.end(at);
                Part { anchor: left.anchor.inexact(), bound: left.bound.beside(right.bound) }
            }
            Node::Near(near) => {
                let at = self.engine.code.begin(code::NEAR);
                self.engine.code.push(nearness_number(near.nearness));
                self.engine.code.push(near.distance);
                let outer = std::mem::replace(&mut self.has_places, true);
                let (left, right) = (self.node(&near.left), self.node(&near.right));
                self.has_places = outer;
                self.engine.code.end(at);
                let bound = Bound::near(near, left.bound, right.bound);
                let anchor = match near.nearness {
                    crate::rules::query::Nearness::NotNear => left.anchor,
                    _ => Anchor::all(vec![left.anchor, right.anchor]),
                };
                Part { anchor: anchor.inexact(), bound }
            }
            Node::Field(scope, inner) => {
                let at = self.engine.code.begin(code::FIELD);
                self.engine.code.push(scope_number(*scope));
                let part = self.node(inner);
                self.engine.code.end(at);
                Part { anchor: part.anchor.inexact(), bound: part.bound }
            }
        }
    }

    fn some(&mut self, kind: u32, nodes: &[Node]) -> (Vec<Part>, Part) {
        let at = self.engine.code.begin(kind);
        let parts: Vec<Part> = nodes.iter().map(|node| self.node(node)).collect();
        match kind {
            code::OR => self.engine.code.end_or(at),
            _ => self.engine.code.end(at),
        }
        let bounds: Vec<Bound> = parts.iter().map(|p| p.bound).collect();
        (parts, Part { anchor: Anchor::default(), bound: Bound::sum(&bounds) })
    }

    fn phrase(&mut self, phrase: &Phrase) -> Part {
        phrase::compile(phrase, self)
    }

    /// Sorts what anchors lead to by anchor: one stretch for each.
    fn finish(mut self) -> Engine {
        let posts = std::mem::take(&mut self.posts);
        for (key, _, second) in &posts {
            for key in [Some(*key), *second].into_iter().flatten() {
                if let Key::Term(term) = key {
                    self.enliven(&[term]);
                }
            }
        }
        let tags = &self.reading.tags;
        self.engine.terms.tag(|term| tags.get(term as usize).copied().unwrap_or(0));
        let engine = &mut self.engine;
        let terms = u32::try_from(engine.terms.len()).unwrap_or(NONE);
        engine.first_pair = terms;
        engine.first_list = terms + engine.pair_count;
        let (pair, list) = (engine.first_pair, engine.first_list);
        let number = |key: Key| match key {
            Key::Term(n) => n,
            Key::Pair(n) => pair + n,
            Key::List(n) => list + n,
        };
        let keys = (engine.first_list + engine.list_count) as usize;
        let mut starts = vec![0_u32; keys + 1];
        for (key, ..) in &posts {
            if let Some(count) = starts.get_mut(number(*key) as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        let mut next = starts.clone();
        let empty = Posting { goal: NONE, second: NONE };
        engine.postings = vec![empty; posts.len()];
        for (key, goal, second) in &posts {
            let Some(place) = next.get_mut(number(*key) as usize) else { continue };
            if let Some(slot) = engine.postings.get_mut(*place as usize) {
                *slot = Posting { goal: goal.packed(), second: second.map_or(NONE, number) };
            }
            *place += 1;
        }
        engine.posting_starts = starts;
        engine.shrink();
        self.engine
    }

    /// Begins a node; for the compiler of phrases.
    pub(super) fn begin(&mut self, kind: u32) -> At {
        self.engine.code.begin(kind)
    }
}
