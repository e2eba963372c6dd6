//! The engine that decides which rules of a set match an article. It is compiled once and never
//! changes; what an article makes of it lives in a [`Scratch`] that is used again.
//!
//! An article is cut into words, each word looked up once. A rule is looked at only where one of
//! its anchors is seen: words or pairs of words without which it cannot match. What is left is
//! evaluated from numbers that lie side by side. Spans are none of its business: for rules that
//! match, [`eval`](crate::rules::eval) computes them from the rule's own tree.
//!
//! It agrees with that evaluator on every article. Where a query might make more intervals than
//! the language allows, the rule is handed back as unsure, and the other one decides.

mod anchor;
mod article;
mod bits;
mod bound;
mod characters;
mod code;
mod compile;
mod dictionary;
mod intervals;
mod judge;
mod phrase;
mod terms;

use crate::model::article::MAX_BODY_CHARS;
use crate::model::article::MAX_TITLE_CHARS;
use crate::rules::engine::article::Seen;
use crate::rules::engine::code::Code;
use crate::rules::engine::compile::Compiler;
use crate::rules::engine::compile::LONG_ARTICLE;
use crate::rules::engine::dictionary::Dictionary;
use crate::rules::engine::judge::Judge;
use crate::rules::engine::judge::Work;
use crate::rules::engine::terms::Terms;
use crate::rules::evidence::Item;
use crate::rules::query::Node;
use crate::rules::query::Scope;
use crate::rules::rule_read::Matcher;

/// No term, no goal, no code.
const NONE: u32 = u32::MAX;

/// Rules made ready for matching.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    terms: Terms,
    /// Pairs of terms side by side that anchor something.
    pairs: Dictionary,
    pair_count: u32,
    code: Code,
    rules: Vec<RuleCode>,
    entries: Vec<Entry>,
    /// By list: whether seeing an entry's anchor means that it matches.
    exact_lists: Vec<bool>,
    list_count: u32,
    /// Numbers of keys: terms first, then pairs, then lists.
    first_pair: u32,
    first_list: u32,
    /// The list of the first place of the gazetteer.
    first_place: u32,
    place_limits: Vec<u32>,
    /// Rules without an anchor.
    always: Vec<u32>,
    postings: Vec<Posting>,
    /// Where the postings of each key begin.
    posting_starts: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct RuleCode {
    code: u32,
    /// Code of what forbids; none where nothing does.
    unless: u32,
    /// Most positions of an article on which no query of the rule can be given up.
    limit: u32,
    scope: Scope,
    unless_scope: Scope,
}

/// An entry of a list.
#[derive(Clone, Copy, Debug)]
struct Entry {
    list: u32,
    code: u32,
}

/// What a key leads to, if `second` is seen too.
#[derive(Clone, Copy, Debug)]
struct Posting {
    goal: u32,
    second: u32,
}

/// What an anchor leads to.
#[derive(Clone, Copy, Debug)]
enum Goal {
    /// A rule to evaluate.
    Rule(u32),
    /// A rule that matches.
    Sure(u32),
    /// An entry of a list, which may match.
    Entry(u32),
}

impl Goal {
    fn packed(self) -> u32 {
        match self {
            Self::Rule(n) => n,
            Self::Sure(n) => 1 << 30 | n,
            Self::Entry(n) => 2 << 30 | n,
        }
    }

    fn of(packed: u32) -> Self {
        let n = packed & ((1 << 30) - 1);
        match packed >> 30 {
            0 => Self::Rule(n),
            1 => Self::Sure(n),
            _ => Self::Entry(n),
        }
    }
}

/// How far an article is taken, for measuring where the time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Folded and cut into words.
    Words,
    /// Every word looked up.
    Terms,
    /// Rules found whose anchors are seen.
    Candidates,
    /// Those rules evaluated.
    Decided,
}

/// Buffers for one article after another. A new one is empty; they grow to what articles need and
/// are not given back.
#[derive(Debug, Default)]
pub struct Scratch {
    seen: Seen,
    pub(crate) work: Work,
}

impl Scratch {
    /// Rules that match, by place in the file; in order once all is decided.
    pub(crate) fn found(&self) -> &[u32] {
        &self.work.found
    }

    /// Number of rules that were evaluated on the article decided last.
    pub fn candidates(&self) -> usize {
        self.work.queue.len()
    }
}

/// Whether a place of the gazetteer is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Yes,
    No,
    /// The other evaluator must decide.
    Unsure,
}

impl Engine {
    /// Compiles rules, the spellings of places and the lists they use; all are checked.
    pub(crate) fn new(matchers: &[Matcher], places: &[&[Item]], lists: &[Vec<Node>]) -> Self {
        Compiler::new(lists).run(matchers, places)
    }

    /// Decides which rules match, filters aside.
    pub(crate) fn decide(&self, title: &str, body: &str, scratch: &mut Scratch) {
        self.decide_until(Stage::Decided, (title, body), scratch);
    }

    /// The same up to a stage.
    pub(crate) fn decide_until(
        &self,
        stage: Stage,
        (title, body): (&str, &str),
        scratch: &mut Scratch,
    ) {
        let Scratch { seen, work } = scratch;
        seen.clear(self);
        work.clear(self);
        seen.stream.read(title, MAX_TITLE_CHARS);
        seen.stream.end_text();
        seen.body_start = seen.positions();
        seen.stream.read(body, MAX_BODY_CHARS);
        if stage >= Stage::Terms {
            seen.look_up(self, (title, body));
        }
        if stage >= Stage::Candidates {
            work.collect(self, seen);
        }
        if stage >= Stage::Decided {
            Judge::new(self, seen, work, body).run();
        }
    }

    /// Places that may be named in the article decided last, in the order of the file.
    pub(crate) fn places<'s>(&self, scratch: &'s Scratch) -> impl Iterator<Item = u32> + use<'s> {
        let first = self.first_list + self.first_place;
        let last = self.first_list + self.list_count;
        (first..last).filter(|key| scratch.seen.keys.has(*key)).map(move |key| key - first)
    }

    /// Whether a place is named in the article decided last.
    pub(crate) fn names(&self, place: u32, scope: Scope, body: &str, s: &mut Scratch) -> Named {
        let limit = self.place_limits.get(place as usize).copied().unwrap_or(0);
        if s.seen.is_beyond(limit) {
            return Named::Unsure;
        }
        let list = self.first_place + place;
        match Judge::new(self, &s.seen, &mut s.work, body).list_holds(list, scope) {
            true => Named::Yes,
            false => Named::No,
        }
    }

    /// Rules that have no anchor, and are evaluated on every article.
    pub(crate) fn always(&self) -> &[u32] {
        &self.always
    }

    /// Bytes of its buffers.
    pub(crate) fn size(&self) -> usize {
        self.terms.size()
            + self.pairs.size()
            + self.code.size()
            + size_of_val(self.rules.as_slice())
            + size_of_val(self.entries.as_slice())
            + size_of_val(self.postings.as_slice())
            + size_of_val(self.posting_starts.as_slice())
    }

    /// Where the postings of a key lie.
    #[inline]
    fn posting_range(&self, key: u32) -> (u32, u32) {
        let starts = self.posting_starts.get(key as usize..).and_then(|s| s.first_chunk::<2>());
        starts.map_or((0, 0), |[from, to]| (*from, *to))
    }

    fn shrink(&mut self) {
        self.terms.shrink();
        self.pairs.sift();
        self.code.shrink();
        self.rules.shrink_to_fit();
        self.entries.shrink_to_fit();
    }
}
