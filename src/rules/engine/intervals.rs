//! Sets of intervals, for what stands near what. They lie on one stack: each query leaves its own
//! on top, sorted and each once.

use crate::rules::engine::article::Seen;
use crate::rules::engine::code;
use crate::rules::engine::code::At;
use crate::rules::engine::code::nearness_of;
use crate::rules::engine::code::scope_of;
use crate::rules::engine::judge::Judge;
use crate::rules::query::Nearness;
use crate::rules::query::Scope;
use crate::rules::value::Interval;

impl Judge<'_> {
    /// Puts the intervals of a query on the stack. AND and NOT do not stand below a distance.
    fn intervals(&mut self, at: At, scope: Scope) {
        let engine = self.engine;
        let start = self.work.stack.len();
        let (kind, end) = engine.code.node(at);
        match kind {
            code::TERM => {
                let (from, to) = self.range(scope);
                let places = self.seen.places(engine.code.get(at + 1));
                let inside = places.filter(|at| from <= at.first && at.last < to);
                self.work.stack.extend(inside);
            }
            code::ANY => {
                let (from, to) = self.range(scope);
                for term in engine.code.slice(at + 1, end) {
                    let places = self.seen.places(*term);
                    let inside = places.filter(|at| from <= at.first && at.last < to);
                    self.work.stack.extend(inside);
                }
            }
            code::PHRASE => self.words(engine.code.slice(at + 3, end), &[], scope),
            code::PATH => self.path(engine.code.slice(at + 1, end), scope),
            code::LIST => {
                self.list(engine.code.get(at + 1), scope);
                return;
            }
            code::NEAR => {
                self.near(at, scope);
                return;
            }
            code::FIELD => {
                let scope = scope_of(engine.code.get(at + 1));
                self.intervals(at + 2, scope);
                return;
            }
            _ => {
                let mut part = at + 1;
                while part < end {
                    self.intervals(part, scope);
                    part = engine.code.node(part).1;
                }
            }
        }
        self.sort(start);
    }

    /// Sorts what lies above a place of the stack, each interval once.
    fn sort(&mut self, start: usize) {
        let stack = &mut self.work.stack;
        let top = stack.get_mut(start..).unwrap_or_default();
        if top.is_sorted_by(|a, b| a < b) {
            return;
        }
        top.sort_unstable();
        let mut kept = start;
        for at in start..stack.len() {
            if at == start || stack.get(at) != stack.get(kept - 1) {
                stack.swap(at, kept);
                kept += 1;
            }
        }
        stack.truncate(kept);
    }

    /// The intervals of a list, computed once an article and scope.
    fn list(&mut self, list: u32, scope: Scope) {
        if !self.is_list_seen(list) {
            return;
        }
        let place = list as usize * 4 + code::scope_number(scope) as usize;
        if let Some((from, to)) = self.work.list_ranges.get(place).copied().flatten() {
            let known = self.work.list_values.get(from..to).unwrap_or_default();
            self.work.stack.extend_from_slice(known);
            return;
        }
        let start = self.work.stack.len();
        let mut next = self.first_entry(list);
        while let Some((at, after)) = self.entry(next) {
            self.intervals(at, scope);
            next = after;
        }
        self.sort(start);
        let from = self.work.list_values.len();
        let value = self.work.stack.get(start..).unwrap_or_default();
        self.work.list_values.extend_from_slice(value);
        if let Some(slot) = self.work.list_ranges.get_mut(place) {
            *slot = Some((from, self.work.list_values.len()));
        }
    }

    /// The intervals of a phrase with hyphens.
    pub(super) fn path(&mut self, path: &[u32], scope: Scope) {
        let [words, joined, rest @ ..] = path else { return };
        let Some((terms, joints)) = rest.split_at_checked(*words as usize) else { return };
        let joints = joints.get(..*joined as usize * 3).unwrap_or_default();
        let start = self.work.stack.len();
        self.words(terms, joints, scope);
        self.sort(start);
    }

    /// Every place of words side by side, on the stack.
    pub(super) fn words(&mut self, terms: &[u32], joints: &[u32], scope: Scope) {
        let (from, to) = self.range(scope);
        let seen = self.seen;
        for (term, next) in edges(terms, joints, 0) {
            for first in seen.places(term).filter(|at| from <= at.first) {
                self.follow((terms, joints), next, first, to);
            }
        }
    }

    /// The ways on from the first word of a phrase. Each state once: hyphens in query and text
    /// open two ways to the same place each time.
    fn follow(&mut self, phrase: (&[u32], &[u32]), next: usize, first: Interval, to: u32) {
        let (terms, joints) = phrase;
        let mut states = std::mem::take(&mut self.work.states);
        states.clear();
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        states.push((narrow(next), first.last));
        let mut done = 0;
        while let Some((next, last)) = states.get(done).copied() {
            done += 1;
            if next as usize == terms.len() {
                if last < to {
                    self.work.stack.push(Interval { first: first.first, last });
                }
                continue;
            }
            let at = last + 1;
            let chain = self.seen.chain_at(at);
            for (term, after) in edges(terms, joints, next as usize) {
                let single = self.seen.stands_at(term, at).then_some((narrow(after), at));
                let joined = chain.filter(|(_, number)| self.seen.chain_stands(term, *number));
                let joined = joined.map(|(last, _)| (narrow(after), last));
                for state in single.into_iter().chain(joined) {
                    if !states.contains(&state) {
                        states.push(state);
                    }
                }
            }
        }
        self.work.states = states;
    }

    /// The intervals of two sides at a distance.
    pub(super) fn near(&mut self, at: At, scope: Scope) {
        let code = &self.engine.code;
        let (nearness, distance) = (nearness_of(code.get(at + 1)), code.get(at + 2));
        let left_at = at + 3;
        let right_at = code.node(left_at).1;
        let left = self.work.stack.len();
        self.intervals(left_at, scope);
        let right = self.work.stack.len();
        if right == left {
            return;
        }
        self.intervals(right_at, scope);
        let end = self.work.stack.len();
        let seen = self.seen;
        if nearness == Nearness::NotNear {
            self.not_near((left, right, end), distance);
            return;
        }
        before(seen, &mut self.work.stack, (left..right, right..end), distance);
        if nearness == Nearness::Near {
            before(seen, &mut self.work.stack, (right..end, left..right), distance);
        }
        self.drop_below(left, end);
        self.sort(left);
    }

    /// Moves what lies above `end` down to `start`.
    fn drop_below(&mut self, start: usize, end: usize) {
        let stack = &mut self.work.stack;
        let length = stack.len() - end;
        stack.copy_within(end.., start);
        stack.truncate(start + length);
    }

    /// Keeps of the left side what the right one is not near.
    fn not_near(&mut self, (left, right, end): (usize, usize, usize), distance: u32) {
        // Largest end among the first n: one look tells whether any of them comes near.
        self.work.reach.clear();
        let mut most = 0;
        for interval in self.work.stack.get(right..end).unwrap_or_default() {
            most = most.max(interval.last);
            self.work.reach.push(most);
        }
        for at in left..right {
            let Some(a) = self.work.stack.get(at).copied() else { return };
            let b = self.work.stack.get(right..end).unwrap_or_default();
            let limit = self.seen.paragraph_end(a.first).min(a.last + distance + 2);
            let count = b.partition_point(|b| b.first < limit);
            let start = self.seen.paragraph_start(a.first);
            let floor = a.first.saturating_sub(distance + 1).max(start);
            let nearest = count.checked_sub(1).and_then(|n| self.work.reach.get(n));
            if nearest.is_none_or(|last| *last < floor) {
                self.work.stack.push(a);
            }
        }
        self.drop_below(left, end);
    }
}

/// Puts the intervals from an `a` to a `b` behind it on the stack.
fn before(
    seen: &Seen,
    stack: &mut Vec<Interval>,
    (a, b): (std::ops::Range<usize>, std::ops::Range<usize>),
    distance: u32,
) {
    for at in a {
        let Some(left) = stack.get(at).copied() else { return };
        let right = stack.get(b.clone()).unwrap_or_default();
        let start = b.start + right.partition_point(|right| right.first <= left.last);
        let far = left.last + distance + 2;
        let mut limit = None;
        for at in start..b.end {
            let Some(right) = stack.get(at).copied() else { return };
            let limit = *limit.get_or_insert_with(|| seen.paragraph_end(left.first).min(far));
            if right.first >= limit {
                break;
            }
            stack.push(Interval { first: left.first, last: right.last });
        }
    }
}

/// The words a phrase may go on with from a position, single and joined, and the position after.
fn edges<'c>(
    terms: &'c [u32],
    joints: &'c [u32],
    at: usize,
) -> impl Iterator<Item = (u32, usize)> + use<'c> {
    let single = terms.get(at).map(|term| (*term, at + 1));
    let joined = joints.as_chunks::<3>().0.iter();
    let joined = joined.filter(move |[first, ..]| *first as usize == at);
    single.into_iter().chain(joined.map(|[_, last, term]| (*term, *last as usize + 1)))
}
