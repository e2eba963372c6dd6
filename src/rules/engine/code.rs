//! Queries as numbers side by side. Each node begins with its kind and length, so that a part is
//! skipped in one step.

use crate::rules::query::Nearness;
use crate::rules::query::Scope;

/// Kinds of nodes and what follows the first number.
///
/// `TERM term` · `PHRASE key place terms…` · `PATH words joined terms… (first last term)…` ·
/// `LIST number` · `OR`, `AND`, `NOT` nodes… · `NEAR nearness distance left right` ·
/// `FIELD scope node` · `ANY terms…`
pub(super) const TERM: u32 = 0;
pub(super) const PHRASE: u32 = 1;
pub(super) const PATH: u32 = 2;
pub(super) const LIST: u32 = 3;
pub(super) const OR: u32 = 4;
pub(super) const AND: u32 = 5;
pub(super) const NOT: u32 = 6;
pub(super) const NEAR: u32 = 7;
pub(super) const FIELD: u32 = 8;
pub(super) const ANY: u32 = 9;

const KIND_BITS: u32 = 4;

/// Queries one behind another.
#[derive(Debug, Default)]
pub(super) struct Code(Vec<u32>);

/// Where a node begins.
pub(super) type At = u32;

impl Code {
    pub(super) fn next(&self) -> At {
        u32::try_from(self.0.len()).expect("rules are limited to far less")
    }

    /// Begins a node whose length is not known yet.
    pub(super) fn begin(&mut self, kind: u32) -> At {
        let at = self.next();
        self.0.push(kind);
        at
    }

    pub(super) fn push(&mut self, number: u32) {
        self.0.push(number);
    }

    /// Ends the node that began at a place.
    pub(super) fn end(&mut self, at: At) {
        let length = self.next() - at;
        if let Some(head) = self.0.get_mut(at as usize) {
            *head |= length << KIND_BITS;
        }
    }

    /// Ends the OR that began at a place. One of nothing but terms becomes ANY.
    pub(super) fn end_or(&mut self, at: At) {
        let parts = self.slice(at + 1, self.next());
        let (terms, rest) = parts.as_chunks::<2>();
        let term = TERM | 2 << KIND_BITS;
        if !terms.is_empty() && rest.is_empty() && terms.iter().all(|[head, _]| *head == term) {
            let terms: Vec<u32> = terms.iter().map(|[_, term]| *term).collect();
            self.0.truncate(at as usize);
            self.0.push(ANY);
            self.0.extend(terms);
        }
        self.end(at);
    }

    /// Bytes of its buffer.
    pub(super) fn size(&self) -> usize {
        size_of_val(self.0.as_slice())
    }

    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }

    #[inline]
    pub(super) fn get(&self, at: At) -> u32 {
        self.0.get(at as usize).copied().unwrap_or(0)
    }

    /// Kind of a node, and where the next one begins.
    #[inline]
    pub(super) fn node(&self, at: At) -> (u32, At) {
        let head = self.get(at);
        (head & ((1 << KIND_BITS) - 1), at + (head >> KIND_BITS))
    }

    #[inline]
    pub(super) fn slice(&self, from: At, to: At) -> &[u32] {
        self.0.get(from as usize..to as usize).unwrap_or_default()
    }
}

pub(super) fn scope_number(scope: Scope) -> u32 {
    match scope {
        Scope::Anywhere => 0,
        Scope::Title => 1,
        Scope::Lead => 2,
        Scope::Body => 3,
    }
}

pub(super) fn scope_of(number: u32) -> Scope {
    match number {
        1 => Scope::Title,
        2 => Scope::Lead,
        3 => Scope::Body,
        _ => Scope::Anywhere,
    }
}

pub(super) fn nearness_number(nearness: Nearness) -> u32 {
    match nearness {
        Nearness::Near => 0,
        Nearness::Before => 1,
        Nearness::NotNear => 2,
    }
}

pub(super) fn nearness_of(number: u32) -> Nearness {
    match number {
        1 => Nearness::Before,
        2 => Nearness::NotNear,
        _ => Nearness::Near,
    }
}
