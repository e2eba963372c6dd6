//! Compiles phrases: their terms, and the pair or term they are anchored by.

use crate::rules::engine::anchor::Anchor;
use crate::rules::engine::anchor::Key;
use crate::rules::engine::anchor::Post;
use crate::rules::engine::bound::Bound;
use crate::rules::engine::code;
use crate::rules::engine::compile::Compiler;
use crate::rules::engine::compile::Part;
use crate::rules::query::Node;
use crate::rules::query::Phrase;

/// A term begins or ends a pair that anchors something.
pub(super) const FIRST: u8 = 1;
const SECOND: u8 = 2;

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
        let anchor = Anchor::one(Key::Term(*term), None, compiler.cost(*term), true);
        return Part { anchor, bound };
    }
    if joined.is_empty() {
        let rarest = compiler.rarest(terms.iter().copied().enumerate()).map_or(0, |(at, _)| at);
        let at = compiler.begin(code::PHRASE);
        compiler.engine.code.push(u32::try_from(rarest).unwrap_or(0));
        terms.iter().for_each(|term| compiler.engine.code.push(*term));
        compiler.engine.code.end(at);
        return Part { anchor: plain_anchor(&terms, compiler), bound };
    }
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

/// The rarest pair of plain words, else the rarest word.
fn plain_anchor(terms: &[u32], compiler: &mut Compiler<'_>) -> Anchor {
    let pairs = terms.windows(2).enumerate().filter_map(|(at, pair)| {
        let [a, b] = pair else { return None };
        let plain = compiler.engine.terms.is_plain(*a) && compiler.engine.terms.is_plain(*b);
        plain.then(|| (at, (*a, *b), compiler.cost(*a) * compiler.cost(*b)))
    });
    let rarest = pairs.min_by(|(_, _, a), (_, _, b)| a.total_cmp(b));
    let Some((at, pair, _)) = rarest else {
        let Some((place, term)) = compiler.rarest(terms.iter().copied().enumerate()) else {
            return Anchor::default();
        };
        let others = terms.iter().copied().enumerate().filter(|(n, _)| *n != place);
        let second = compiler.rarest(others).map(|(_, term)| Key::Term(term));
        return Anchor::one(Key::Term(term), second, compiler.cost(term), false);
    };
    let others = terms.iter().copied().enumerate().filter(|(n, _)| *n != at && *n != at + 1);
    let second = compiler.rarest(others).map(|(_, term)| Key::Term(term));
    let key = Key::Pair(compiler.pair(pair));
    let cost = PAIR * compiler.cost(pair.0).min(compiler.cost(pair.1));
    Anchor::one(key, second, cost, terms.len() == 2)
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
        self.engine.pair_ends.resize(self.engine.terms.len(), 0);
        for (end, term) in [(FIRST, first), (SECOND, second)] {
            if let Some(ends) = self.engine.pair_ends.get_mut(term as usize) {
                *ends |= end;
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
