//! The distinct words of all queries, and which of them a word of a text stands for.

use std::collections::HashMap;

use crate::rules::engine::characters::Characters;
use crate::rules::engine::dictionary::Dictionary;
use crate::rules::word::Prefixes;
use crate::rules::word::Word;
use crate::text::stream::load;

/// Words of queries, each with a number.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// Folded forms of plain words.
    plain: Dictionary,
    /// Those of them that are one character of a script without spaces, if any are, once they are
    /// tagged.
    characters: Option<Characters>,
    /// Forms that case and marks count in.
    exact: Dictionary,
    /// Beginnings of words with a star.
    heads: Dictionary,
    /// Stars by the number of their beginning.
    stars: Vec<Vec<Star>>,
    /// Beginnings of beginnings: three bytes, hashed.
    starts: Vec<u64>,
    /// Lengths that beginnings have, in bytes, each once.
    lengths: Vec<usize>,
    /// Of each term.
    kinds: Vec<Kind>,
    has_prefixes: bool,
}

#[derive(Debug)]
struct Star {
    tail: Box<[u8]>,
    term: u32,
    prefixes: Prefixes,
}

/// How a term is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// By its form alone.
    Plain,
    /// By its form, alone or behind prefixes.
    Prefixed(Prefixes),
    /// By a star or an exact form.
    Pattern,
}

/// What is only needed while rules are read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    stars: HashMap<(Box<str>, Box<str>), u32>,
    /// How rare each term is taken to be, without its uses.
    pub(super) costs: Vec<f32>,
    /// Number of phrases that each term stands in.
    pub(super) uses: Vec<u32>,
    /// Of each term.
    pub(super) tags: Vec<u32>,
}

const START_BITS: u32 = 16;

impl Terms {
    /// Number of terms.
    pub(super) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether a term's every place is a word or chain with just its form.
    #[inline]
    pub(super) fn is_plain(&self, term: u32) -> bool {
        self.kinds.get(term as usize) == Some(&Kind::Plain)
    }

    /// Whether some terms are found by more than their form.
    pub(super) fn has_patterns(&self) -> bool {
        self.has_prefixes || !self.heads.is_empty() || !self.exact.is_empty()
    }

    pub(super) fn has_exact(&self) -> bool {
        !self.exact.is_empty()
    }

    /// The term with a folded form.
    #[inline]
    pub(super) fn find(&self, form: &[u8]) -> Option<u32> {
        self.plain.find(form)
    }

    /// Terms that are one character; none where there are no such terms.
    #[inline]
    pub(super) fn characters(&self) -> Option<&Characters> {
        self.characters.as_ref()
    }

    /// The term with a folded form, with its tags, and whether one look was not enough.
    #[inline]
    pub(super) fn glance(&self, text: &[u8], form: (usize, usize)) -> (u32, bool) {
        self.plain.glance(text, form)
    }

    /// The term with a folded form, with its tags.
    pub(super) fn find_tagged(&self, form: &[u8]) -> u32 {
        self.plain.find_tagged(form)
    }

    /// Gives terms their tags.
    pub(super) fn tag(&mut self, tags: impl Fn(u32) -> u32) {
        self.plain.tag(tags);
        self.characters = Characters::among(self.plain.short());
    }

    /// The term of a query's word, which may be new.
    pub(super) fn intern(&mut self, word: &Word, reading: &mut Reading) -> u32 {
        let next = u32::try_from(self.kinds.len()).unwrap_or(u32::MAX);
        let known = match word {
            Word::Plain(form, _) => self.plain.find(form.as_bytes()),
            Word::Exact(form) => self.exact.find(form.as_bytes()),
            Word::Star(head, tail, _) => {
                reading.stars.get(&(head.as_str().into(), tail.as_str().into())).copied()
            }
        };
        if let Some(term) = known {
            return term;
        }
        let kind = match word {
            Word::Plain(form, prefixes) => {
                self.plain.add(form.as_bytes(), next);
                self.has_prefixes |= *prefixes != Prefixes::None;
                if *prefixes == Prefixes::None { Kind::Plain } else { Kind::Prefixed(*prefixes) }
            }
            Word::Exact(form) => {
                self.exact.add(form.as_bytes(), next);
                Kind::Pattern
            }
            Word::Star(head, tail, prefixes) => {
                self.add_star((head, tail), *prefixes, next);
                reading.stars.insert((head.as_str().into(), tail.as_str().into()), next);
                Kind::Pattern
            }
        };
        self.kinds.push(kind);
        reading.costs.push(rarity(word));
        reading.uses.push(0);
        reading.tags.push(0);
        next
    }

    /// Bytes of its buffers, those of stars aside.
    pub(super) fn size(&self) -> usize {
        let words = self.plain.size() + self.exact.size() + self.heads.size();
        words + self.characters.as_ref().map_or(0, Characters::size) + self.kinds.len()
    }

    pub(super) fn shrink(&mut self) {
        self.plain.shrink();
        self.kinds.shrink_to_fit();
    }

    fn add_star(&mut self, (head, tail): (&str, &str), prefixes: Prefixes, term: u32) {
        let number = match self.heads.find(head.as_bytes()) {
            Some(number) => number,
            None => {
                let number = u32::try_from(self.stars.len()).unwrap_or(u32::MAX);
                self.heads.add(head.as_bytes(), number);
                self.stars.push(Vec::new());
                if !self.lengths.contains(&head.len()) {
                    self.lengths.push(head.len());
                    self.lengths.sort_unstable();
                }
                number
            }
        };
        let star = Star { tail: tail.as_bytes().into(), term, prefixes };
        if let Some(stars) = self.stars.get_mut(number as usize) {
            stars.push(star);
        }
        self.starts.resize((1 << START_BITS) / 64, 0);
        let start = start(load(head.as_bytes(), 0));
        if let Some(word) = self.starts.get_mut(start / 64) {
            *word |= 1 << (start % 64);
        }
    }

    /// Adds the terms with a star or prefix that a folded form stands for, beside its own.
    #[inline]
    pub(super) fn patterns(&self, key: u64, form: &[u8], out: &mut Vec<u32>) {
        if !self.starts.is_empty() {
            self.by_start(key, form, None, out);
        }
        if self.has_prefixes && form.first().is_some_and(|b| !b.is_ascii()) {
            self.behind_prefixes(form, out);
        }
    }

    fn by_start(&self, key: u64, form: &[u8], script: Option<Prefixes>, out: &mut Vec<u32>) {
        let start = start(key);
        if self.starts.get(start / 64).is_some_and(|word| word >> (start % 64) & 1 == 0) {
            return;
        }
        for length in &self.lengths {
            let Some((head, rest)) = form.split_at_checked(*length) else { return };
            let Some(number) = self.heads.find(head) else { continue };
            let stars = self.stars.get(number as usize).map_or(&[][..], Vec::as_slice);
            let fits = stars.iter().filter(|star| {
                script.is_none_or(|s| s == star.prefixes) && rest.ends_with(&star.tail)
            });
            out.extend(fits.map(|star| star.term));
        }
    }

    #[cold]
    fn behind_prefixes(&self, form: &[u8], out: &mut Vec<u32>) {
        let Ok(form) = std::str::from_utf8(form) else { return };
        let script = Prefixes::of_script(form);
        for rest in script.strip(form) {
            let rest = rest.as_bytes();
            if let Some(term) = self.plain.find(rest)
                && self.kinds.get(term as usize) == Some(&Kind::Prefixed(script))
            {
                out.push(term);
            }
            if !self.starts.is_empty() {
                self.by_start(load(rest, 0), rest, Some(script), out);
            }
        }
    }

    /// The term with a form that case and marks count in.
    pub(super) fn exact(&self, form: &str) -> Option<u32> {
        self.exact.find(form.as_bytes())
    }
}

/// The first three bytes, hashed.
fn start(key: u64) -> usize {
    ((key & 0xFF_FFFF).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - START_BITS)) as usize
}

/// The part of articles that is taken to have a word, by its length: nothing else is known of it.
fn rarity(word: &Word) -> f32 {
    let by_length = |form: &str| match form.chars().count() {
        0..=2 => 0.5,
        3 => 0.3,
        4 => 0.15,
        5 => 0.08,
        6 => 0.05,
        7 => 0.035,
        8 => 0.025,
        9..=11 => 0.02,
        _ => 0.015,
    };
    match word {
        Word::Plain(form, Prefixes::None) => by_length(form),
        Word::Plain(form, _) => 2.0 * by_length(form),
        Word::Exact(form) => 0.5 * by_length(form),
        Word::Star(head, _, _) => 2.0 * by_length(head),
    }
}
