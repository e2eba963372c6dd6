//! How many intervals a query can make at most, for each position of an article. Where that stays
//! below the limit of the language, nothing is given up and the engine's short cuts are exact.

use std::collections::HashMap;

use crate::rules::query::Near;
use crate::rules::query::Nearness;
use crate::rules::query::Phrase;
use crate::rules::value::MAX_INTERVALS;
use crate::rules::word::Prefixes;
use crate::rules::word::Word;

/// Ways that a Hebrew or Arabic word may be found at one place: itself, or behind a prefix.
const WAYS: u64 = 17;
/// Unions of more parts are looked at closely.
const FEW: usize = 8;

/// Limits of a query's intervals.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bound {
    /// Intervals made on the way, for each position and chain of the article.
    cost: u64,
    /// Intervals of the value that begin at one position.
    width: u64,
    /// The first word of a phrase that each place can match only once.
    first: Option<u32>,
}

impl Bound {
    /// Of a phrase whose words' numbers are given.
    pub(super) fn phrase(phrase: &Phrase, first: Option<u32>) -> Self {
        let length = phrase.words.len();
        let is_plain = phrase.joined.is_empty() && !phrase.words.iter().any(is_ambiguous);
        // A path takes single words and whole chains of the text. With p of them passed and q words
        // into the next chain its end is known, and neither p nor q exceeds the phrase's length.
        let width = match (is_plain, length) {
            (true, _) => 1,
            (false, 0 | 1) => 2,
            (false, _) => (length as u64 + 1).pow(2),
        };
        let cost = |word: &Word, end: usize| {
            let ways = if has_prefixes(word) { WAYS } else { 1 };
            ways * if end >= length { 1 } else { width }
        };
        let single = phrase.words.first().map_or(0, |word| cost(word, 1));
        let joined = phrase.joined.iter().filter(|j| j.first == 0);
        let joined: u64 = joined.map(|j| cost(&j.word, j.last + 1)).sum();
        Self { cost: single + joined, width, first: first.filter(|_| is_plain) }
    }

    /// Of parts that are all evaluated.
    pub(super) fn sum(parts: &[Self]) -> Self {
        if parts.len() <= FEW {
            let cost = parts.iter().fold(0_u64, |sum, b| sum.saturating_add(b.cost));
            let width = parts.iter().fold(0_u64, |sum, b| sum.saturating_add(b.width));
            return Self { cost, width, first: None };
        }
        // A word of the text begins those phrases only that begin with it; at each position there
        // are one word and one chain.
        let mut groups: HashMap<u32, u64> = HashMap::new();
        let mut sum = Self::default();
        for part in parts {
            match part.first {
                Some(first) => *groups.entry(first).or_default() += 1,
                None => {
                    sum.cost = sum.cost.saturating_add(part.cost);
                    sum.width = sum.width.saturating_add(part.width);
                }
            }
        }
        let most = groups.into_values().max().unwrap_or(0);
        Self {
            cost: sum.cost.saturating_add(most),
            width: sum.width.saturating_add(2 * most),
            first: None,
        }
    }

    /// Of a NOT, or what is only searched for in addition.
    pub(super) fn beside(self, other: Self) -> Self {
        Self { cost: self.cost.saturating_add(other.cost), width: self.width, first: None }
    }

    /// Of two sides at a distance.
    pub(super) fn near(near: &Near, left: Self, right: Self) -> Self {
        let ways = match near.nearness {
            Nearness::NotNear => return left.beside(right),
            Nearness::Near => 2,
            Nearness::Before => 1,
        };
        let places = ways * (u64::from(near.distance) + 1);
        let pairs = left.width.saturating_mul(right.width).saturating_mul(places);
        let cost = left.cost.saturating_add(right.cost).saturating_add(pairs);
        Self { cost, width: pairs, first: None }
    }

    /// The larger of two queries that are evaluated each on its own.
    pub(super) fn or_larger(self, other: Self) -> Self {
        Self { cost: self.cost.max(other.cost), width: self.width.max(other.width), first: None }
    }

    /// Most positions and chains of an article on which no limit can be reached.
    pub(super) fn max_positions(self) -> u32 {
        u32::try_from(u64::from(MAX_INTERVALS) / self.cost.max(1)).unwrap_or(u32::MAX)
    }
}

fn has_prefixes(word: &Word) -> bool {
    match word {
        Word::Plain(_, prefixes) | Word::Star(_, _, prefixes) => *prefixes != Prefixes::None,
        Word::Exact(_) => false,
    }
}

/// Whether a word may stand for a single word and a chain that begin at one place.
fn is_ambiguous(word: &Word) -> bool {
    matches!(word, Word::Star(..)) || has_prefixes(word)
}
