//! One text of an article with an index of its words.

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::rules::query::Phrase;
use crate::rules::value::Budget;
use crate::rules::value::GivenUp;
use crate::rules::value::Interval;
use crate::rules::word::Prefixes;
use crate::rules::word::Word;
use crate::text::Tokens;
use crate::text::tokens::Chain;

/// Bytes that [`Heads`] knows words by.
const HEAD: usize = 4;
/// Numbers of heads; a power of two.
const HEADS: usize = 4096;

type Entry<'t> = (Cow<'t, str>, Interval);

/// A tokenised text; a word is found by binary search.
pub(crate) struct Page<'t> {
    tokens: &'t Tokens,
    /// Folded words and joined words, sorted.
    folded: Vec<Entry<'t>>,
    heads: Heads,
    /// What is left of Hebrew words after each prefix, and of Arabic ones, sorted.
    hebrew: Vec<Entry<'t>>,
    arabic: Vec<Entry<'t>>,
    /// Forms that case and marks count in; made when a rule first asks for one.
    exact: OnceCell<Vec<Entry<'t>>>,
    /// One past the last position of each paragraph, by position.
    paragraph_ends: Vec<u32>,
}

impl<'t> Page<'t> {
    pub(crate) fn new(tokens: &'t Tokens) -> Self {
        let singles = (0_u32..).zip(tokens.words());
        let mut folded: Vec<Entry<'t>> = singles
            .map(|(at, t)| (Cow::Borrowed(t.folded.as_str()), Interval { first: at, last: at }))
            .collect();
        folded.extend(tokens.chains().iter().map(|chain| {
            let interval = Interval { first: chain.first, last: chain.last };
            (Cow::Owned(tokens.joined(*chain)), interval)
        }));
        let bare = |script: Prefixes| {
            let forms = folded.iter().filter(|(form, _)| Prefixes::of_script(form) == script);
            let rests = forms.flat_map(|(form, interval)| {
                script.strip(form).map(|rest| (Cow::Owned(rest.to_owned()), *interval))
            });
            let mut rests: Vec<Entry<'t>> = rests.collect();
            rests.sort_unstable();
            rests
        };
        let (hebrew, arabic) = (bare(Prefixes::Hebrew), bare(Prefixes::Arabic));
        folded.sort_unstable();
        let heads = Heads::of(folded.iter().map(|(form, _)| form.as_ref()));
        let paragraph_ends = paragraph_ends(tokens);
        Self { tokens, folded, heads, hebrew, arabic, exact: OnceCell::new(), paragraph_ends }
    }

    pub(crate) fn tokens(&self) -> &'t Tokens {
        self.tokens
    }

    /// One past the last position of the paragraph that a position stands in.
    pub(crate) fn paragraph_end(&self, position: u32) -> u32 {
        self.paragraph_ends.get(position as usize).copied().unwrap_or(0)
    }

    /// First position of the paragraph that a position stands in.
    pub(crate) fn paragraph_start(&self, position: u32) -> u32 {
        let end = self.paragraph_end(position);
        u32::try_from(self.paragraph_ends.partition_point(|e| *e < end)).unwrap_or(0)
    }

    /// Code points of an interval.
    pub(crate) fn span(&self, interval: Interval) -> (u32, u32) {
        let word = |at: u32| self.tokens.words().get(at as usize);
        let start = word(interval.first).map_or(0, |t| t.start);
        (start, word(interval.last).map_or(0, |t| t.end))
    }

    /// Every place of a phrase, in order.
    pub(crate) fn find(
        &self,
        phrase: &Phrase,
        budget: &mut Budget,
    ) -> Result<Vec<Interval>, GivenUp> {
        let mut found = Vec::new();
        if self.folded.is_empty() {
            return Ok(found);
        }
        for (word, next) in edges(phrase, 0) {
            self.each(word, &mut |interval| {
                if next == phrase.words.len() {
                    found.push(interval);
                    return budget.charge(1);
                }
                let ends = self.follow(phrase, next, interval);
                found.extend(
                    ends.iter().map(|last| Interval { first: interval.first, last: *last }),
                );
                budget.charge(u32::try_from(ends.len()).unwrap_or(u32::MAX))
            })?;
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Last positions of the phrase that begins with `interval` and goes on with its word `next`.
    fn follow(&self, phrase: &Phrase, next: usize, interval: Interval) -> Vec<u32> {
        let limit = self.paragraph_end(interval.first);
        // Each state once: hyphens in query and text open two ways to the same place each time.
        let mut states = vec![(next, interval.last)];
        let mut ends = Vec::new();
        let mut done = 0;
        while let Some((next, last)) = states.get(done).copied() {
            done += 1;
            if next == phrase.words.len() {
                ends.push(last);
                continue;
            }
            let at = last + 1;
            if at >= limit {
                continue;
            }
            let chain = self.tokens.chain_at(at);
            for (word, after) in edges(phrase, next) {
                let single = self.stands_at(word, at).then_some((after, at));
                let joined =
                    chain.filter(|c| self.accepts_chain(word, *c)).map(|c| (after, c.last));
                for state in single.into_iter().chain(joined) {
                    if !states.contains(&state) {
                        states.push(state);
                    }
                }
            }
        }
        ends
    }

    fn stands_at(&self, word: &Word, at: u32) -> bool {
        let Some(token) = self.tokens.words().get(at as usize) else { return false };
        match word {
            Word::Exact(form) => self.tokens.exact(token) == *form,
            _ => word.accepts_folded(&token.folded),
        }
    }

    fn accepts_chain(&self, word: &Word, chain: Chain) -> bool {
        match word {
            Word::Exact(form) => self.tokens.exact_joined(chain) == *form,
            _ => word.accepts_folded(&self.tokens.joined(chain)),
        }
    }

    /// Calls `f` with every place of a word; with a prefix a place may come twice.
    fn each(
        &self,
        word: &Word,
        f: &mut dyn FnMut(Interval) -> Result<(), GivenUp>,
    ) -> Result<(), GivenUp> {
        let (entries, prefixes, head) = match word {
            Word::Exact(form) => (self.exact(), None, form),
            Word::Plain(form, prefixes) => (&self.folded, Some(*prefixes), form),
            Word::Star(head, _, prefixes) => (&self.folded, Some(*prefixes), head),
        };
        let star = matches!(word, Word::Star(..));
        let may_be = prefixes.is_none() || self.heads.may_have(head, star);
        let entries = if may_be { range(entries, head, star) } else { &[] };
        for (form, interval) in entries {
            if prefixes.is_none() || word.accepts_bare(form) {
                f(*interval)?;
            }
        }
        let bare = match prefixes {
            Some(Prefixes::Hebrew) => &self.hebrew[..],
            Some(Prefixes::Arabic) => &self.arabic[..],
            Some(Prefixes::None) | None => &[],
        };
        for (form, interval) in range(bare, head, star) {
            if word.accepts_bare(form) {
                f(*interval)?;
            }
        }
        Ok(())
    }

    fn exact(&self) -> &Vec<Entry<'t>> {
        self.exact.get_or_init(|| {
            let mut forms: Vec<Entry<'t>> = (0_u32..)
                .zip(self.tokens.words())
                .map(|(at, t)| (Cow::Owned(self.tokens.exact(t)), Interval { first: at, last: at }))
                .collect();
            forms.extend(self.tokens.chains().iter().map(|chain| {
                let interval = Interval { first: chain.first, last: chain.last };
                (Cow::Owned(self.tokens.exact_joined(*chain)), interval)
            }));
            forms.sort_unstable();
            forms
        })
    }
}

/// How the words of a text begin: most words that it does not have are known from this, without a
/// search. A rule file asks for thousands of words that no one text has.
struct Heads([u64; HEADS / 64]);

impl Heads {
    fn of<'f>(forms: impl Iterator<Item = &'f str>) -> Self {
        let mut bits = [0; HEADS / 64];
        for form in forms {
            let number = Self::number(form.as_bytes());
            if let Some(word) = bits.get_mut(number / 64) {
                *word |= 1 << (number % 64);
            }
        }
        Self(bits)
    }

    /// False where no word equals `head`, or begins with it.
    fn may_have(&self, head: &str, begins: bool) -> bool {
        let number = Self::number(head.as_bytes());
        let has = self.0.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1);
        has || (begins && head.len() < HEAD)
    }

    /// The number of a word's first bytes, the same for every word that begins with them.
    fn number(word: &[u8]) -> usize {
        let head = word.iter().take(HEAD);
        let number = head.fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        (number.wrapping_mul(0x9E37_79B1) >> (u32::BITS - HEADS.ilog2())) as usize
    }
}

/// The words a phrase may go on with from a position, single and joined, and the position after.
fn edges(phrase: &Phrase, at: usize) -> impl Iterator<Item = (&Word, usize)> {
    let single = phrase.words.get(at).map(|word| (word, at + 1));
    let joined = phrase.joined.iter().filter(move |j| j.first == at);
    single.into_iter().chain(joined.map(|j| (&j.word, j.last + 1)))
}

/// The entries whose form equals `head`, or begins with it.
fn range<'p, 't>(entries: &'p [Entry<'t>], head: &str, begins: bool) -> &'p [Entry<'t>] {
    let start = entries.partition_point(|(form, _)| form.as_ref() < head);
    let rest = entries.get(start..).unwrap_or_default();
    let length =
        rest.partition_point(
            |(form, _)| {
                if begins { form.starts_with(head) } else { form.as_ref() == head }
            },
        );
    rest.get(..length).unwrap_or_default()
}

fn paragraph_ends(tokens: &Tokens) -> Vec<u32> {
    let words = tokens.words();
    let mut ends = vec![0; words.len()];
    let mut end = u32::try_from(words.len()).unwrap_or(u32::MAX);
    let mut paragraph = words.last().map_or(0, |t| t.paragraph);
    for (at, (word, slot)) in words.iter().zip(ends.iter_mut()).enumerate().rev() {
        if word.paragraph != paragraph {
            paragraph = word.paragraph;
            end = u32::try_from(at + 1).unwrap_or(u32::MAX);
        }
        *slot = end;
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_know_every_word_and_every_beginning_of_one() {
        let words = ["a", "at", "sea", "port", "harbour", "мор", "порт", "港口", "ガス"];
        let heads = Heads::of(words.into_iter());
        for word in words {
            assert!(heads.may_have(word, false), "{word}");
            for (end, _) in word.char_indices() {
                let beginning = word.get(..end).unwrap();
                assert!(heads.may_have(beginning, true), "{beginning}*");
            }
        }
        let others = ["sirens", "alarm", "тривога", "警報", "s", "тр"];
        let kept = others.iter().filter(|word| heads.may_have(word, false)).count();
        assert_eq!(kept, 0);
    }
}
