//! What is seen of the rules' words in one article.

mod words;

use unicode_normalization::IsNormalized;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::is_nfkc_quick;

use crate::rules::engine::Engine;
use crate::rules::engine::NONE;
use crate::rules::engine::bits::Bits;
use crate::rules::engine::phrase::pair_key;
use crate::rules::value::Interval;
use crate::text::class::Class;
use crate::text::class::class;
use crate::text::stream::Stream;
use crate::text::stream::load;
use crate::text::tokens::Chain;
use crate::text::tokens::is_kept;

/// A place of a term, and the one found before it.
#[derive(Clone, Copy, Debug)]
struct Occurrence {
    at: Interval,
    next: u32,
}

/// The words of an article and which terms they stand for.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) stream: Stream,
    /// First position of the body.
    pub(super) body_start: u32,
    /// Terms, pairs and lists that are seen, and in which order.
    pub(super) keys: Bits,
    pub(super) active: Vec<u32>,
    /// The plain term of each position and of each chain.
    terms: Vec<u32>,
    chain_terms: Vec<u32>,
    /// Positions whose terms matter by themselves, and those that may end a pair.
    known: Vec<u32>,
    pairs: Vec<u32>,
    /// Whether any chain stands for a term, and whether for one by its form alone.
    has_chains: bool,
    has_plain_chains: bool,
    /// Terms found by more than their form, by position and by chain; sorted.
    extras: Vec<(u32, u32)>,
    chain_extras: Vec<(u32, u32)>,
    /// The last place of each term and pair that is seen.
    heads: Vec<u32>,
    occurrences: Vec<Occurrence>,
    found: Vec<u32>,
    /// Forms that case and marks count in, side by side, and where each position's begins.
    exact: String,
    exact_starts: Vec<usize>,
    bare: String,
}

impl Seen {
    pub(super) fn clear(&mut self, engine: &Engine) {
        self.keys.clear();
        self.keys.fit((engine.first_list + engine.list_count) as usize);
        self.heads.resize(engine.first_list as usize, NONE);
        self.active.clear();
        self.stream.clear();
        self.terms.clear();
        self.chain_terms.clear();
        self.has_chains = false;
        self.has_plain_chains = false;
        self.extras.clear();
        self.chain_extras.clear();
        self.occurrences.clear();
        self.exact.clear();
        self.exact_starts.clear();
    }

    /// Number of positions, gaps included.
    pub(super) fn positions(&self) -> u32 {
        u32::try_from(self.stream.len()).unwrap_or(u32::MAX)
    }

    /// Whether the article has more words than a limit, or some that no limit is known for.
    pub(super) fn is_beyond(&self, limit: u32) -> bool {
        self.stream.has_empty() || self.stream.len() + self.stream.chains().len() > limit as usize
    }

    /// Looks up every word.
    pub(super) fn look_up(&mut self, engine: &Engine, texts: (&str, &str)) {
        for at in 0..self.stream.chains().len() {
            self.look_up_chain(engine, at);
        }
        self.has_plain_chains = self.has_chains;
        let (known, pairs) = self.find_terms(engine);
        for number in 0..known {
            let at = self.known.get(number).copied().unwrap_or(NONE);
            let term = self.terms.get(at as usize).copied().unwrap_or(NONE);
            self.hit(term, Interval { first: at, last: at });
        }
        self.pair_up(engine, pairs);
        if self.has_chains {
            self.pair_chains(engine);
        }
        if engine.terms.has_patterns() {
            self.look_up_patterns(engine, texts);
        }
    }

    fn look_up_chain(&mut self, engine: &Engine, at: usize) {
        let Some(chain) = self.stream.chains().get(at).copied() else { return };
        let form = self.stream.form(chain.first as usize, chain.last as usize);
        let term = engine.terms.find(form).unwrap_or(NONE);
        self.chain_terms.push(term);
        if term != NONE {
            self.has_chains = true;
            self.hit(term, Interval { first: chain.first, last: chain.last });
        }
    }

    /// Notes a place of a term or pair.
    #[inline]
    fn hit(&mut self, key: u32, at: Interval) {
        let Some(head) = self.heads.get_mut(key as usize) else { return };
        let number = u32::try_from(self.occurrences.len()).unwrap_or(NONE);
        let is_new = self.keys.put(key);
        // Pushed in any case: whether a word is new is anybody's guess.
        self.active.push(key);
        self.active.truncate(self.active.len() - usize::from(!is_new));
        let next = if is_new { NONE } else { *head };
        *head = number;
        self.occurrences.push(Occurrence { at, next });
    }

    /// Finds pairs of which one is a chain.
    fn pair_chains(&mut self, engine: &Engine) {
        let term = |s: &Self, at: u32| s.terms.get(at as usize).copied().unwrap_or(NONE);
        let mut before = None;
        for at in 0..self.stream.chains().len() {
            let Some(Chain { first, last }) = self.stream.chains().get(at).copied() else { return };
            let joined = self.chain_terms.get(at).copied().unwrap_or(NONE);
            let left = first.wrapping_sub(1);
            let after = last + 1;
            self.pair(engine, (term(self, left), joined), Interval { first: left, last });
            self.pair(engine, (joined, term(self, after)), Interval { first, last: after });
            if let Some((previous_first, previous_last, previous)) = before
                && previous_last == left
            {
                self.pair(engine, (previous, joined), Interval { first: previous_first, last });
            }
            before = Some((first, last, joined));
        }
    }

    fn pair(&mut self, engine: &Engine, (first, second): (u32, u32), at: Interval) {
        if let Some(pair) = engine.pairs.find_number(pair_key(first, second)) {
            self.hit(engine.first_pair + pair, at);
        }
    }

    fn look_up_patterns(&mut self, engine: &Engine, texts: (&str, &str)) {
        if engine.terms.has_exact() {
            self.read_exact(texts);
        }
        let mut found = std::mem::take(&mut self.found);
        for at in 0..self.stream.len() {
            if self.stream.pieces().get(at).is_none_or(|piece| piece.is_gap()) {
                continue;
            }
            self.patterns(engine, (at, at), &mut found);
            let at = u32::try_from(at).unwrap_or(NONE);
            for term in found.drain(..) {
                self.extras.push((at, term));
                self.hit(term, Interval { first: at, last: at });
            }
        }
        for number in 0..self.stream.chains().len() {
            let Some(chain) = self.stream.chains().get(number).copied() else { break };
            self.patterns(engine, (chain.first as usize, chain.last as usize), &mut found);
            for term in found.drain(..) {
                self.has_chains = true;
                self.chain_extras.push((u32::try_from(number).unwrap_or(NONE), term));
                self.hit(term, Interval { first: chain.first, last: chain.last });
            }
        }
        self.found = found;
    }

    /// The terms that a word or chain stands for by more than its form, sorted.
    #[inline]
    fn patterns(&self, engine: &Engine, (first, last): (usize, usize), out: &mut Vec<u32>) {
        let form = self.stream.form(first, last);
        engine.terms.patterns(load(form, 0), form, out);
        if engine.terms.has_exact() {
            let start = self.exact_starts.get(first).copied().unwrap_or(0);
            let end = self.exact_starts.get(last + 1).copied().unwrap_or(self.exact.len());
            let form = self.exact.get(start..end).unwrap_or_default();
            out.extend(engine.terms.exact(form));
        }
        if out.len() > 1 {
            out.sort_unstable();
            out.dedup();
        }
    }

    /// Reads the forms that case and marks count in.
    fn read_exact(&mut self, (title, body): (&str, &str)) {
        for (at, piece) in self.stream.pieces().iter().enumerate() {
            self.exact_starts.push(self.exact.len());
            if piece.is_gap() {
                continue;
            }
            let text = if at < self.body_start as usize { title } else { body };
            let word = text.get(piece.from as usize..piece.to as usize).unwrap_or_default();
            if word.is_ascii() {
                self.exact.extend(word.chars().filter(char::is_ascii_alphanumeric));
                continue;
            }
            self.bare.clear();
            let kept = |c: &char| is_kept(*c) && class(*c) != Class::Format;
            self.bare.extend(word.chars().filter(kept));
            if is_nfkc_quick(self.bare.chars()) == IsNormalized::Yes {
                self.exact.push_str(&self.bare);
            } else {
                self.exact.extend(self.bare.nfkc());
            }
        }
    }

    /// Whether a position stands for a term.
    #[inline]
    pub(super) fn stands_at(&self, term: u32, at: u32) -> bool {
        self.terms.get(at as usize) == Some(&term)
            || (!self.extras.is_empty() && self.extras.binary_search(&(at, term)).is_ok())
    }

    /// The last position of the chain that begins at a position and stands for some term, and its
    /// number.
    #[inline]
    pub(super) fn chain_at(&self, at: u32) -> Option<(u32, u32)> {
        if !self.has_chains {
            return None;
        }
        let chains = self.stream.chains();
        let number = chains.binary_search_by_key(&at, |chain| chain.first).ok()?;
        let last = chains.get(number)?.last;
        Some((last, u32::try_from(number).unwrap_or(NONE)))
    }

    pub(super) fn chain_stands(&self, term: u32, chain: u32) -> bool {
        self.chain_terms.get(chain as usize) == Some(&term)
            || self.chain_extras.binary_search(&(chain, term)).is_ok()
    }

    /// Whether chains stand for terms by their form alone.
    pub(super) fn has_plain_chains(&self) -> bool {
        self.has_plain_chains
    }

    /// Whether places may be chains.
    pub(super) fn has_chains(&self) -> bool {
        self.has_chains
    }

    /// The places of a term or pair, in no particular order; some may come twice.
    #[inline]
    pub(super) fn places(&self, key: u32) -> impl Iterator<Item = Interval> + use<'_> {
        let mut next = match self.keys.has(key) {
            true => self.heads.get(key as usize).copied().unwrap_or(NONE),
            false => NONE,
        };
        std::iter::from_fn(move || {
            let occurrence = self.occurrences.get(next as usize)?;
            next = occurrence.next;
            Some(occurrence.at)
        })
    }

    /// The position behind a paragraph.
    pub(super) fn paragraph_end(&self, at: u32) -> u32 {
        let breaks = self.stream.breaks();
        let next = breaks.partition_point(|b| *b <= at);
        breaks.get(next).copied().unwrap_or(u32::MAX)
    }

    /// The first position of a paragraph.
    pub(super) fn paragraph_start(&self, at: u32) -> u32 {
        let breaks = self.stream.breaks();
        let next = breaks.partition_point(|b| *b <= at);
        next.checked_sub(1).and_then(|n| breaks.get(n)).map_or(0, |b| b + 1)
    }
}
