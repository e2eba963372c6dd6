//! Looks up the words of an article, and the pairs they stand in.

use crate::rules::engine::Engine;
use crate::rules::engine::NONE;
use crate::rules::engine::article::Seen;
use crate::rules::engine::dictionary::Dictionary;
use crate::rules::engine::dictionary::UNKNOWN;
use crate::rules::engine::phrase::FIRST;
use crate::rules::engine::phrase::LIVE;
use crate::rules::engine::phrase::SECOND;
use crate::rules::engine::phrase::pair_key;
use crate::rules::engine::terms::Terms;
use crate::rules::value::Interval;

impl Seen {
    /// Finds the term of each position, and lists terms that matter by themselves and positions
    /// that may end a pair; gives how many of each.
    pub(super) fn find_terms(&mut self, engine: &Engine) -> (usize, usize) {
        self.terms.resize(self.stream.len(), UNKNOWN);
        for list in [&mut self.known, &mut self.pairs] {
            list.resize(list.len().max(self.stream.len()), 0);
        }
        let again = match engine.terms.characters() {
            None => self.glance(&engine.terms, |_| None),
            // Characters come in runs: whether a position is one is guessed well.
            Some(characters) => self.glance(&engine.terms, |code| match code {
                0 => None,
                _ => Some(characters.find(code)),
            }),
        };
        self.look_again(&engine.terms, again);
        if engine.terms.characters().is_none() {
            let is_pair = |first, second| (first & FIRST != 0) & (second & SECOND != 0);
            let (known, pairs) = self.sort_out(is_pair);
            return (known, self.sift(&engine.pairs, pairs));
        }
        // Nearly all characters begin or end some pair: their tags would spare little.
        let key = |first: u32, second: u32| pair_key(first & UNKNOWN, second & UNKNOWN);
        self.sort_out(|first, second| engine.pairs.may_have(key(first, second)))
    }

    /// Looks at each position once, and lists those for which that is not enough; gives how many.
    /// The terms have their tags.
    #[inline]
    fn glance(&mut self, terms: &Terms, character: impl Fn(u16) -> Option<u32>) -> usize {
        let (mut again, mut at) = (0, 0);
        let open = self.known.as_mut_slice();
        for (piece, term) in self.stream.pieces().iter().zip(&mut self.terms) {
            *term = character(piece.code).unwrap_or_else(|| {
                let (found, is_open) = terms.glance(self.stream.folded(), piece.form());
                if let Some(slot) = open.get_mut(again) {
                    *slot = at;
                }
                again += usize::from(is_open);
                if piece.is_gap() { UNKNOWN } else { found }
            });
            at += 1;
        }
        again
    }

    /// Looks up words that are listed because one look was not enough.
    fn look_again(&mut self, terms: &Terms, listed: usize) {
        let pieces = self.stream.pieces();
        for at in self.known.iter().take(listed) {
            let at = *at as usize;
            if let Some(term) = self.terms.get_mut(at)
                && !pieces.get(at).is_none_or(|piece| piece.is_gap())
            {
                *term = terms.find_tagged(self.stream.form(at, at));
            }
        }
    }

    /// Takes the tags off, and lists what they ask for: terms that matter, and words that may end a
    /// pair; gives how many of each. Written without a branch on which ones do.
    #[inline]
    fn sort_out(&mut self, is_pair: impl Fn(u32, u32) -> bool) -> (usize, usize) {
        // A phrase over a chain is looked for from any of its words.
        let all = self.has_plain_chains;
        let (mut known, mut pairs, mut before, mut at) = (0, 0, UNKNOWN, 0);
        let (known_at, pairs_at) = (self.known.as_mut_slice(), self.pairs.as_mut_slice());
        for place in &mut self.terms {
            let tagged = *place;
            let term = tagged & UNKNOWN;
            *place = term;
            if let Some(slot) = known_at.get_mut(known) {
                *slot = at;
            }
            known += usize::from((tagged & LIVE != 0) | (all & (term != UNKNOWN)));
            if let Some(slot) = pairs_at.get_mut(pairs) {
                *slot = at;
            }
            pairs += usize::from(is_pair(before, tagged));
            before = tagged;
            at += 1;
        }
        (known, pairs)
    }

    /// Keeps of the positions listed those that may end a pair; gives how many.
    fn sift(&mut self, pairs: &Dictionary, listed: usize) -> usize {
        let mut count = 0;
        for number in 0..listed {
            let Some(at) = self.pairs.get(number).copied() else { break };
            if let Some(slot) = self.pairs.get_mut(count) {
                *slot = at;
            }
            count += usize::from(pairs.may_have(pair_before(&self.terms, at)));
        }
        count
    }

    /// Finds the pairs that anchor something among those listed.
    pub(super) fn pair_up(&mut self, engine: &Engine, listed: usize) {
        self.found.clear();
        self.found.extend(self.pairs.iter().take(listed).map(|at| {
            let (pair, is_open) = engine.pairs.glance_number(pair_before(&self.terms, *at));
            if is_open { NONE } else { pair }
        }));
        for number in 0..listed {
            let (Some(at), Some(pair)) = (self.pairs.get(number), self.found.get(number)) else {
                break;
            };
            let (at, mut pair) = (*at, *pair);
            if pair == NONE {
                pair = engine.pairs.find_number(pair_before(&self.terms, at)).unwrap_or(UNKNOWN);
            }
            if pair != UNKNOWN {
                self.hit(engine.first_pair + pair, Interval { first: at - 1, last: at });
            }
        }
        self.found.clear();
    }
}

/// The two terms that end at a position, as one number.
#[inline]
fn pair_before(terms: &[u32], at: u32) -> u64 {
    let at = at as usize;
    let pair = terms.get(at.wrapping_sub(1)..=at).and_then(|p| p.first_chunk::<2>());
    pair.map_or(u64::MAX, |[first, second]| pair_key(*first, *second))
}
