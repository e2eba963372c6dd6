//! From what is seen in an article to the rules that match.

use crate::rules::engine::Engine;
use crate::rules::engine::Goal;
use crate::rules::engine::LONG_ARTICLE;
use crate::rules::engine::NONE;
use crate::rules::engine::RuleCode;
use crate::rules::engine::article::Seen;
use crate::rules::engine::bits::Bits;
use crate::rules::engine::code;
use crate::rules::engine::code::At;
use crate::rules::engine::code::scope_of;
use crate::rules::engine::phrase::PAIRED;
use crate::rules::query::Scope;
use crate::rules::value::Interval;
use crate::text::sentence::lead_end;

/// Scopes that a list is remembered by.
const SCOPES: usize = 4;

/// Numbers of code that are fetched at once.
const LINE: u32 = 16;

/// Which rules are looked at, and what is known so far.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) found: Vec<u32>,
    pub(crate) unsure: Vec<u32>,
    candidates: Bits,
    sure: Bits,
    numbers: Vec<u32>,
    pub(super) queue: Vec<(u32, RuleCode)>,
    /// Means nothing: it is there to have code fetched.
    touched: u32,
    ranges: Vec<(u32, u32)>,
    /// Entries that may match: a chain for each list.
    entries: Bits,
    entry_heads: Vec<u32>,
    entry_next: Vec<u32>,
    lists: Vec<u32>,
    /// Whether a list holds, by list and scope.
    holds: Vec<Option<bool>>,
    /// Intervals of lists, by list and scope, and where each one's lie.
    pub(super) list_values: Vec<Interval>,
    pub(super) list_ranges: Vec<Option<(usize, usize)>>,
    /// One past the last position of the lead.
    lead: Option<u32>,
    /// Intervals under way, and helpers of their evaluation.
    pub(super) stack: Vec<Interval>,
    pub(super) reach: Vec<u32>,
    pub(super) states: Vec<(u32, u32)>,
}

impl Work {
    pub(super) fn clear(&mut self, engine: &Engine) {
        self.found.clear();
        self.unsure.clear();
        self.candidates.clear();
        self.candidates.fit(engine.rules.len());
        self.sure.clear();
        self.sure.fit(engine.rules.len());
        self.entries.clear();
        self.entries.fit(engine.entries.len());
        self.entry_next.resize(engine.entries.len(), NONE);
        for list in self.lists.drain(..) {
            let range = list as usize * SCOPES..(list as usize + 1) * SCOPES;
            self.holds.get_mut(range.clone()).unwrap_or_default().fill(None);
            self.list_ranges.get_mut(range).unwrap_or_default().fill(None);
        }
        let lists = engine.list_count as usize;
        self.entry_heads.resize(lists, NONE);
        self.holds.resize(lists * SCOPES, None);
        self.list_ranges.resize(lists * SCOPES, None);
        self.list_values.clear();
        self.stack.clear();
        self.lead = None;
    }

    /// Follows the anchors that are seen.
    pub(super) fn collect(&mut self, engine: &Engine, seen: &mut Seen) {
        let is_long = seen.is_beyond(LONG_ARTICLE);
        engine.always.iter().for_each(|rule| {
            self.candidates.add(*rule);
        });
        // Lists are seen on the way.
        let mut done = 0;
        while done < seen.active.len() {
            self.list_ranges_of(engine, seen.active.get(done..).unwrap_or_default());
            done = seen.active.len();
            for number in 0..self.ranges.len() {
                let Some((from, to)) = self.ranges.get(number).copied() else { break };
                self.follow(engine, (from, to, is_long), seen);
            }
        }
    }

    /// Where the postings of keys lie, where there are some: all first, so that the memory they lie
    /// in is fetched side by side.
    fn list_ranges_of(&mut self, engine: &Engine, keys: &[u32]) {
        self.ranges.clear();
        self.ranges.resize(keys.len(), (0, 0));
        let mut count = 0;
        for key in keys {
            let range = engine.posting_range(*key);
            if let Some(slot) = self.ranges.get_mut(count) {
                *slot = range;
            }
            count += usize::from(range.0 != range.1);
        }
        self.ranges.truncate(count);
        for (from, _) in &self.ranges {
            self.touched ^= engine.postings.get(*from as usize).map_or(0, |p| p.goal);
        }
    }

    fn follow(&mut self, engine: &Engine, (from, to, is_long): (u32, u32, bool), seen: &mut Seen) {
        let postings = engine.postings.get(from as usize..to as usize).unwrap_or_default();
        for posting in postings {
            if posting.second != NONE && !seen.keys.has(posting.second) {
                continue;
            }
            match Goal::of(posting.goal) {
                Goal::Rule(rule) => {
                    self.candidates.put(rule);
                }
                Goal::Sure(rule) => {
                    self.candidates.put(rule);
                    if !is_long {
                        self.sure.put(rule);
                    }
                }
                Goal::Entry(entry) => self.enter(engine, entry, seen),
            }
        }
    }

    /// Notes that an entry may match. The first of its list makes the list seen.
    fn enter(&mut self, engine: &Engine, entry: u32, seen: &mut Seen) {
        if !self.entries.add(entry) {
            return;
        }
        let Some(list) = engine.entries.get(entry as usize).map(|e| e.list) else { return };
        let key = engine.first_list + list;
        let (Some(head), Some(next)) =
            (self.entry_heads.get_mut(list as usize), self.entry_next.get_mut(entry as usize))
        else {
            return;
        };
        if seen.keys.add(key) {
            seen.active.push(key);
            self.lists.push(list);
            *head = NONE;
        }
        *next = *head;
        *head = entry;
    }
}

/// An article before the rules.
pub(super) struct Judge<'a> {
    pub(super) engine: &'a Engine,
    pub(super) seen: &'a Seen,
    pub(super) work: &'a mut Work,
    body: &'a str,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        seen: &'a Seen,
        work: &'a mut Work,
        body: &'a str,
    ) -> Self {
        Self { engine, seen, work, body }
    }

    /// Decides every candidate.
    pub(super) fn run(&mut self) {
        let work = &mut *self.work;
        work.numbers.clear();
        work.candidates.list(&mut work.numbers);
        // All heads and the beginnings of all code first: the memory they lie in is fetched side by
        // side.
        work.queue.clear();
        for number in &work.numbers {
            if work.sure.has(*number) {
                work.found.push(*number);
            } else if let Some(rule) = self.engine.rules.get(*number as usize) {
                work.queue.push((*number, *rule));
            }
        }
        for (_, rule) in &work.queue {
            let code = &self.engine.code;
            work.touched ^= code.get(rule.code) ^ code.get(rule.code.saturating_add(LINE));
        }
        for at in 0..self.work.queue.len() {
            let Some((number, rule)) = self.work.queue.get(at).copied() else { return };
            if self.seen.is_beyond(rule.limit) {
                self.work.unsure.push(number);
            } else if self.holds(rule.code, rule.scope)
                && (rule.unless == NONE || !self.holds(rule.unless, rule.unless_scope))
            {
                self.work.found.push(number);
            }
        }
    }

    /// Whether a query matches.
    pub(super) fn holds(&mut self, at: At, scope: Scope) -> bool {
        let engine = self.engine;
        let (kind, end) = engine.code.node(at);
        match kind {
            code::TERM => self.term_holds(engine.code.get(at + 1), scope),
            code::PHRASE => self.phrase_holds(engine.code.slice(at + 1, end), scope),
            code::PATH => {
                let start = self.work.stack.len();
                self.path(engine.code.slice(at + 1, end), scope);
                let holds = self.work.stack.len() > start;
                self.work.stack.truncate(start);
                holds
            }
            code::LIST => self.list_holds(engine.code.get(at + 1), scope),
            code::ANY => self.any_holds(engine.code.slice(at + 1, end), scope),
            code::OR => self.each(at + 1, end, |s, part| s.holds(part, scope)),
            code::AND => !self.each(at + 1, end, |s, part| !s.holds(part, scope)),
            code::NOT => {
                let right = engine.code.node(at + 1).1;
                self.holds(at + 1, scope) && !self.holds(right, scope)
            }
            code::NEAR => {
                let start = self.work.stack.len();
                self.near(at, scope);
                let holds = self.work.stack.len() > start;
                self.work.stack.truncate(start);
                holds
            }
            _ => self.holds(at + 2, scope_of(engine.code.get(at + 1))),
        }
    }

    /// Whether some part of a node has a quality.
    fn each(&mut self, from: At, to: At, quality: impl Fn(&mut Self, At) -> bool) -> bool {
        let mut part = from;
        while part < to {
            if quality(self, part) {
                return true;
            }
            part = self.engine.code.node(part).1;
        }
        false
    }

    /// Positions of a scope: from the first to before the second.
    pub(super) fn range(&mut self, scope: Scope) -> (u32, u32) {
        let body = self.seen.body_start;
        match scope {
            Scope::Anywhere => (0, u32::MAX),
            Scope::Title => (0, body),
            Scope::Body => (body, u32::MAX),
            Scope::Lead => (0, self.lead()),
        }
    }

    fn lead(&mut self) -> u32 {
        if let Some(lead) = self.work.lead {
            return lead;
        }
        let end = self.body.char_indices().nth(lead_end(self.body));
        let end = end.map_or(self.body.len(), |(at, _)| at);
        let pieces = self.seen.stream.pieces();
        let start = self.seen.body_start;
        let inside = pieces.iter().skip(start as usize).enumerate();
        let inside = inside.filter(|(_, piece)| !piece.is_gap());
        let last = inside.take_while(|(_, piece)| piece.to as usize <= end).last();
        let lead = last.map_or(start, |(n, _)| start + u32::try_from(n).unwrap_or(0) + 1);
        self.work.lead = Some(lead);
        lead
    }

    fn term_holds(&mut self, term: u32, scope: Scope) -> bool {
        if !self.seen.keys.has(term) {
            return false;
        }
        if scope == Scope::Anywhere {
            return true;
        }
        let (from, to) = self.range(scope);
        self.seen.places(term).any(|at| from <= at.first && at.last < to)
    }

    fn any_holds(&mut self, terms: &[u32], scope: Scope) -> bool {
        if scope != Scope::Anywhere {
            return terms.iter().any(|term| self.term_holds(*term, scope));
        }
        // Without a branch on each one.
        terms.iter().fold(false, |any, term| any | self.seen.keys.has(*term))
    }

    /// Whether words stand side by side. All places of the rarest pair or word are tried.
    fn phrase_holds(&mut self, phrase: &[u32], scope: Scope) -> bool {
        let [key, place, terms @ ..] = phrase else { return false };
        let is_paired = *key & PAIRED != 0;
        let key = if is_paired { self.engine.first_pair + (*key & !PAIRED) } else { *key };
        if !self.seen.keys.has(key) {
            return false;
        }
        let (from, to) = self.range(scope);
        let length = u32::try_from(terms.len()).unwrap_or(0);
        let stands = |start: u32| {
            from <= start
                && start + length <= to
                && (start..).zip(terms).all(|(at, term)| self.seen.stands_at(*term, at))
        };
        let mut starts = self.seen.places(key).filter_map(|at| at.first.checked_sub(*place));
        if starts.any(stands) {
            return true;
        }
        let may_be_chain = match is_paired {
            true => self.seen.has_plain_chains(),
            false => self.seen.has_chains(),
        };
        if !may_be_chain {
            return false;
        }
        let start = self.work.stack.len();
        self.words(terms, &[], scope);
        let holds = self.work.stack.len() > start;
        self.work.stack.truncate(start);
        holds
    }

    /// Whether any entry of a list matches.
    pub(super) fn list_holds(&mut self, list: u32, scope: Scope) -> bool {
        if !self.is_list_seen(list) {
            return false;
        }
        let exact = self.engine.exact_lists.get(list as usize).copied().unwrap_or(false);
        if exact && scope == Scope::Anywhere {
            return true;
        }
        let place = list as usize * SCOPES + code::scope_number(scope) as usize;
        if let Some(known) = self.work.holds.get(place).copied().flatten() {
            return known;
        }
        let mut next = self.first_entry(list);
        let mut holds = false;
        while let Some((at, after)) = self.entry(next) {
            if self.holds(at, scope) {
                holds = true;
                break;
            }
            next = after;
        }
        if let Some(slot) = self.work.holds.get_mut(place) {
            *slot = Some(holds);
        }
        holds
    }

    /// Whether some entry of a list may match. Of others nothing is remembered.
    pub(super) fn is_list_seen(&self, list: u32) -> bool {
        self.seen.keys.has(self.engine.first_list + list)
    }

    /// The first entry that may match of a list that is seen.
    pub(super) fn first_entry(&self, list: u32) -> u32 {
        self.work.entry_heads.get(list as usize).copied().unwrap_or(NONE)
    }

    /// Code of an entry, and the next entry.
    pub(super) fn entry(&self, entry: u32) -> Option<(At, u32)> {
        let code = self.engine.entries.get(entry as usize)?.code;
        let next = self.work.entry_next.get(entry as usize).copied().unwrap_or(NONE);
        Some((code, next))
    }
}
