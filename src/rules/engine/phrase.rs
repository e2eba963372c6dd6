//! Compiles phrases: their terms, and the pair or term they are anchored by.

use crate::rules::engine::NONE;
use crate::rules::engine::anchor::Anchor;
use crate::rules::engine::anchor::Key;
use crate::rules::engine::anchor::Post;
use crate::rules::engine::bound::Bound;
use crate::rules::engine::code;
use crate::rules::engine::compile::Compiler;
use crate::rules::engine::compile::Part;
use crate::rules::query::Node;
use crate::rules::query::Phrase;

/// Tags of terms: it begins or ends a pair that anchors something.
pub(super) const FIRST: u32 = 1 << 31;
pub(super) const SECOND: u32 = 1 << 30;
/// Something asks for the term by itself, not only for the pairs it is part of.
pub(super) const LIVE: u32 = 1 << 29;
/// Marks a pair among terms.
pub(super) const PAIRED: u32 = 1 << 31;

/// How much rarer a pair is than its rarer word.
const PAIR: f32 = 0.1;

/// Gives every word of a query its term, and counts its uses.
pub(super) fn count(node: &Node, compiler: &mut Compiler<'_>) {
    match node {
        Node::Phrase(phrase) => {
            let words = phrase.words.iter().chain(phrase.joined.iter().map(|j| &j.word));
            for word in words {
                let term = compiler.engine.terms.intern(word, &mut compiler.reading);
                if let Some(uses) = compiler.reading.uses.get_mut(term as usize) {
                    *uses += 1;
                }
            }
        }
        Node::List(_) => {}
        Node::Or(parts) | Node::And(parts) => parts.iter().for_each(|part| count(part, compiler)),
        Node::Not(left, right) => {
            count(left, compiler);
            count(right, compiler);
        }
        Node::Near(near) => {
            count(&near.left, compiler);
            count(&near.right, compiler);
        }
        Node::Field(_, inner) => count(inner, compiler),
    }
}

/// Compiles a phrase.
pub(super) fn compile(phrase: &Phrase, compiler: &mut Compiler<'_>) -> Part {
    let mut intern = |word| compiler.engine.terms.intern(word, &mut compiler.reading);
    let terms: Vec<u32> = phrase.words.iter().map(&mut intern).collect();
    let joined: Vec<(usize, usize, u32)> =
        phrase.joined.iter().map(|j| (j.first, j.last, intern(&j.word))).collect();
    let bound = Bound::phrase(phrase, terms.first().copied());
    if let ([term], []) = (terms.as_slice(), joined.as_slice()) {
        let at = compiler.begin(code::TERM);
        compiler.engine.code.push(*term);
        compiler.engine.code.end(at);
        compiler.enliven(&terms);
        let anchor = Anchor::one(Key::Term(*term), None, compiler.cost(*term), true);
        return Part { anchor, bound };
    }
    if joined.is_empty() {
        return Part { anchor: plain(&terms, compiler), bound };
    }
    compiler.enliven(&terms);
    joined.iter().for_each(|(_, _, term)| compiler.enliven(&[*term]));
    let narrow = |n: usize| u32::try_from(n).unwrap_or(0);
    let at = compiler.begin(code::PATH);
    compiler.engine.code.push(narrow(terms.len()));
    compiler.engine.code.push(narrow(joined.len()));
    terms.iter().for_each(|term| compiler.engine.code.push(*term));
    for (first, last, term) in &joined {
        [narrow(*first), narrow(*last), *term]
            .into_iter()
            .for_each(|n| compiler.engine.code.push(n));
    }
    compiler.engine.code.end(at);
    Part { anchor: path_anchor(&terms, &joined, compiler), bound }
}

/// Compiles a phrase without hyphens. It is looked for where its rarest pair of words stands, and
/// anchored by that and the next rarest pair. Words found by more than their form make no pairs:
/// then by its rarest words.
fn plain(terms: &[u32], compiler: &mut Compiler<'_>) -> Anchor {
    let is_plain = terms.iter().all(|term| compiler.engine.terms.is_plain(*term));
    if !is_plain || compiler.has_places {
        compiler.enliven(terms);
    }
    let (key, at, anchor) = match is_plain {
        true => by_pairs(terms, compiler),
        false => by_words(terms, compiler),
    };
    let start = compiler.begin(code::PHRASE);
    let code = &mut compiler.engine.code;
    code.push(key);
    code.push(u32::try_from(at).unwrap_or(0));
    terms.iter().for_each(|term| code.push(*term));
    code.end(start);
    anchor
}

/// The key of a phrase's code, its place among the words, and the anchor.
fn by_pairs(terms: &[u32], compiler: &mut Compiler<'_>) -> (u32, usize, Anchor) {
    let pairs: Vec<(u32, u32)> = terms.windows(2).map(|w| (w[0], w[1])).collect();
    let rarest = |compiler: &Compiler<'_>, without: Option<usize>| {
        let cost = |(a, b): (u32, u32)| compiler.cost(a) * compiler.cost(b);
        let pairs = pairs.iter().copied().enumerate().filter(|(at, _)| Some(*at) != without);
        pairs.min_by(|(_, a), (_, b)| cost(*a).total_cmp(&cost(*b)))
    };
    let Some((at, pair)) = rarest(compiler, None) else { return (NONE, 0, Anchor::default()) };
    let number = compiler.pair(pair);
    let second = rarest(compiler, Some(at)).map(|(_, other)| Key::Pair(compiler.pair(other)));
    let cost = PAIR * compiler.cost(pair.0).min(compiler.cost(pair.1));
    let anchor = Anchor::one(Key::Pair(number), second, cost, terms.len() == 2);
    (PAIRED | number, at, anchor)
}

fn by_words(terms: &[u32], compiler: &mut Compiler<'_>) -> (u32, usize, Anchor) {
    let all = || terms.iter().copied().enumerate();
    let Some((at, term)) = compiler.rarest(all()) else { return (NONE, 0, Anchor::default()) };
    let others = all().filter(|(n, _)| *n != at);
    let second = compiler.rarest(others).map(|(_, term)| Key::Term(term));
    let anchor = Anchor::one(Key::Term(term), second, compiler.cost(term), false);
    (term, at, anchor)
}

/// A word that every path goes through, or for one of the hyphened words its rarest part and its
/// joined form.
fn path_anchor(
    terms: &[u32],
    joined: &[(usize, usize, u32)],
    compiler: &mut Compiler<'_>,
) -> Anchor {
    let is_free = |at: usize| !joined.iter().any(|(first, last, _)| (*first..=*last).contains(&at));
    let all = || terms.iter().copied().enumerate();
    let free = compiler.rarest(all().filter(|(at, _)| is_free(*at)));
    let mut best = free.map(|(place, term)| {
        let others = all().filter(|(at, _)| is_free(*at) && *at != place);
        let second = compiler.rarest(others).map(|(_, term)| Key::Term(term));
        Anchor::one(Key::Term(term), second, compiler.cost(term), false)
    });
    let second = free.map(|(_, term)| Key::Term(term));
    for (first, last, whole) in joined {
        let inside = all().filter(|(at, _)| (*first..=*last).contains(at));
        let Some((_, part)) = compiler.rarest(inside) else { continue };
        let cost = compiler.cost(part) + compiler.cost(*whole);
        if best.as_ref().is_none_or(|b| cost < b.cost) {
            let posts = [part, *whole].map(|term| Post { key: Key::Term(term), second });
            best = Some(Anchor { cost, posts: posts.into(), exact: false });
        }
    }
    best.unwrap_or_default()
}

impl Compiler<'_> {
    /// How many articles of one are taken to have a term: what many rules ask for is frequent.
    pub(super) fn cost(&self, term: u32) -> f32 {
        self.reading.costs.get(term as usize).copied().unwrap_or(1.0)
    }

    /// Notes that something asks for terms by themselves.
    pub(super) fn enliven(&mut self, terms: &[u32]) {
        for term in terms {
            if let Some(tags) = self.reading.tags.get_mut(*term as usize) {
                *tags |= LIVE;
            }
        }
    }

    fn rarest(&self, terms: impl Iterator<Item = (usize, u32)>) -> Option<(usize, u32)> {
        terms.min_by(|(_, a), (_, b)| self.cost(*a).total_cmp(&self.cost(*b)))
    }

    /// The number of a pair.
    fn pair(&mut self, (first, second): (u32, u32)) -> u32 {
        let key = pair_key(first, second);
        if let Some(number) = self.engine.pairs.find_number(key) {
            return number;
        }
        let number = self.engine.pair_count;
        self.engine.pair_count += 1;
        self.engine.pairs.add_number(key, number);
        for (end, term) in [(FIRST, first), (SECOND, second)] {
            if let Some(tags) = self.reading.tags.get_mut(term as usize) {
                *tags |= end;
            }
        }
        number
    }
}

/// Two terms as one number.
#[inline]
pub(super) fn pair_key(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}
