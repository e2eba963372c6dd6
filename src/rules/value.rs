//! Sets of intervals: the value of a query.

use crate::rules::page::Page;

/// Most intervals a query may make on one article.
pub(crate) const MAX_INTERVALS: u32 = 1_000_000;

/// Positions of one field, both ends included, within one paragraph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Interval {
    pub(crate) first: u32,
    pub(crate) last: u32,
}

/// A query made too many intervals on this article.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GivenUp;

/// What a query may still spend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget(u32);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_INTERVALS)
    }
}

impl Budget {
    pub(crate) fn charge(&mut self, intervals: u32) -> Result<(), GivenUp> {
        self.0 = self.0.checked_sub(intervals).ok_or(GivenUp)?;
        Ok(())
    }

    pub(crate) fn spent(&self) -> u32 {
        MAX_INTERVALS - self.0
    }
}

/// The value of a query: intervals of each field, sorted, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) title: Vec<Interval>,
    pub(crate) body: Vec<Interval>,
}

impl Value {
    pub(crate) fn is_empty(&self) -> bool {
        self.title.is_empty() && self.body.is_empty()
    }

    /// Everything of both.
    pub(crate) fn unite(&mut self, other: &Value) {
        unite(&mut self.title, &other.title);
        unite(&mut self.body, &other.body);
    }
}

fn unite(set: &mut Vec<Interval>, more: &[Interval]) {
    if more.is_empty() {
        return;
    }
    set.extend_from_slice(more);
    set.sort_unstable();
    set.dedup();
}

/// Intervals from an `a` to a `b` behind it in the same paragraph, at most `distance` positions
/// between them.
pub(crate) fn before(
    page: &Page<'_>,
    (a, b): (&[Interval], &[Interval]),
    distance: u32,
    budget: &mut Budget,
) -> Result<Vec<Interval>, GivenUp> {
    let mut found = Vec::new();
    for left in a {
        let start = b.partition_point(|right| right.first <= left.last);
        let limit = page.paragraph_end(left.first).min(left.last + distance + 2);
        for right in b.iter().skip(start).take_while(|right| right.first < limit) {
            budget.charge(1)?;
            found.push(Interval { first: left.first, last: right.last });
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Those `a` that no `b` of the same paragraph overlaps or comes nearer than `distance` positions.
pub(crate) fn not_near(
    page: &Page<'_>,
    a: &[Interval],
    b: &[Interval],
    distance: u32,
) -> Vec<Interval> {
    // Largest end among the first n of `b`: one look tells whether any of them comes near.
    let mut reach = Vec::with_capacity(b.len());
    for right in b {
        let before = reach.last().copied().unwrap_or(0);
        reach.push(right.last.max(before));
    }
    let free = |left: &&Interval| {
        let limit = page.paragraph_end(left.first).min(left.last + distance + 2);
        let count = b.partition_point(|right| right.first < limit);
        let floor = left.first.saturating_sub(distance + 1).max(page.paragraph_start(left.first));
        let nearest = count.checked_sub(1).and_then(|at| reach.get(at));
        nearest.is_none_or(|last| *last < floor)
    };
    a.iter().filter(free).copied().collect()
}

/// The intervals that contain no other one of the set.
pub(crate) fn minimal(set: &[Interval]) -> Vec<Interval> {
    let mut kept: Vec<Interval> = Vec::new();
    // From the right: of those that begin here or later, the smallest end so far decides.
    let mut least_end = u32::MAX;
    for interval in set.iter().rev() {
        if interval.last < least_end {
            least_end = interval.last;
            if kept.last().is_some_and(|longer| longer.first == interval.first) {
                kept.pop();
            }
            kept.push(*interval);
        }
    }
    kept.reverse();
    kept
}
