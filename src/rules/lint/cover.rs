//! Entries that add nothing, because another entry of their list finds all they find.

use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::rules::lint::Warnings;
use crate::rules::lint::code;
use crate::rules::lint::sheet::Query;
use crate::rules::query::Node;
use crate::rules::query::Phrase;
use crate::rules::source::Source;
use crate::rules::word::Prefixes;
use crate::rules::word::Word;
use crate::text::fold;

/// Most ways through the hyphens of a phrase that are looked at.
const MAX_PATHS: usize = 16;
/// Most entries compared for one word: entries that share their rarest word are few.
const MAX_COMPARED: usize = 64;
/// Shortest beginning before a `*`: two Hangul syllables.
const SHORTEST_HEAD: usize = 2;

/// A way through the words of a phrase, single and joined.
type Path<'q> = Vec<&'q Word>;

/// One phrase of an entry that is phrases with OR between them.
struct Alternative<'q> {
    entry: usize,
    paths: Vec<Path<'q>>,
}

/// Where a path is looked up: its alternative, its number there, its rarest word.
type Anchor = (usize, usize, usize);

/// Warns of each entry of a list that another one covers. Where the list is a side of NEAR, only
/// an entry as long as the other is covered: a longer one begins nearer to the other side.
pub(super) fn check(
    (name, queries): (&str, &[Query<'_>]),
    source: &Source<'_>,
    near: bool,
    warnings: &mut Warnings,
) {
    if queries.len() < 2 {
        return;
    }
    for (entry, other) in covered(queries, near) {
        let (Some(entry), Some(other)) = (queries.get(entry), queries.get(other)) else { continue };
        let message = if entry.text == other.text {
            format!("{} stands in {name} a second time", entry.text)
        } else {
            format!("{} adds nothing: {} of {name} finds it too", entry.text, other.text)
        };
        let remedy = "leave it out, or make the other one narrower";
        warnings.at((source, entry.node), code::COVERED, message, remedy);
    }
}

/// Each covered entry with one that covers it.
fn covered(queries: &[Query<'_>], near: bool) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut texts: HashMap<&str, usize> = HashMap::new();
    let mut alternatives = Vec::new();
    // Alternatives of each entry; none where it is more than phrases.
    let mut spans: Vec<std::ops::Range<usize>> = Vec::new();
    for (entry, query) in queries.iter().enumerate() {
        let start = alternatives.len();
        let first = *texts.entry(query.text.trim()).or_insert(entry);
        if first != entry {
            found.push((entry, first));
        } else if let Some(phrases) = phrases(&query.tree) {
            let paths = phrases.into_iter().map(|p| Alternative { entry, paths: paths(p) });
            alternatives.extend(paths);
        }
        spans.push(start..alternatives.len());
    }
    let index = Index::new(&alternatives);
    for (entry, span) in spans.into_iter().enumerate() {
        let own = alternatives.get(span).unwrap_or_default();
        let covers: Option<Vec<usize>> = own.iter().map(|a| index.covering(a, near)).collect();
        if let Some(other) = covers.and_then(|covers| covers.first().copied()) {
            found.push((entry, other));
        }
    }
    found
}

fn phrases(tree: &Node) -> Option<Vec<&Phrase>> {
    match tree {
        Node::Phrase(phrase) => Some(vec![phrase]),
        Node::Or(parts) => {
            let phrases = parts.iter().map(|part| match part {
                Node::Phrase(phrase) => Some(phrase),
                _ => None,
            });
            phrases.collect()
        }
        _ => None,
    }
}

fn paths(phrase: &Phrase) -> Vec<Path<'_>> {
    let mut paths = Vec::new();
    let mut open: Vec<(usize, Path<'_>)> = vec![(0, Vec::new())];
    while let Some((at, path)) = open.pop() {
        let Some(word) = phrase.words.get(at) else {
            paths.push(path);
            continue;
        };
        if paths.len() + open.len() >= MAX_PATHS {
            // Too many ways to look at: such a phrase is covered by nothing and covers nothing.
            return Vec::new();
        }
        for joined in phrase.joined.iter().filter(|joined| joined.first == at) {
            let mut longer = path.clone();
            longer.push(&joined.word);
            open.push((joined.last + 1, longer));
        }
        let mut longer = path;
        longer.push(word);
        open.push((at + 1, longer));
    }
    paths
}

/// The paths of a list by their rarest word.
struct Index<'q, 'a> {
    alternatives: &'a [Alternative<'q>],
    anchors: HashMap<(Kind, &'q str), Vec<Anchor>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Plain,
    Exact,
    Star,
}

fn key(word: &Word) -> (Kind, &str) {
    match word {
        Word::Plain(form, _) => (Kind::Plain, form),
        Word::Exact(form) => (Kind::Exact, form),
        Word::Star(head, ..) => (Kind::Star, head),
    }
}

impl<'q, 'a> Index<'q, 'a> {
    fn new(alternatives: &'a [Alternative<'q>]) -> Self {
        let mut frequency: HashMap<(Kind, &str), usize> = HashMap::new();
        let paths = || {
            alternatives.iter().enumerate().flat_map(|(n, a)| a.paths.iter().map(move |p| (n, p)))
        };
        for word in paths().flat_map(|(_, path)| path) {
            *frequency.entry(key(word)).or_default() += 1;
        }
        let mut anchors: HashMap<(Kind, &str), Vec<Anchor>> = HashMap::new();
        for (number, alternative) in alternatives.iter().enumerate() {
            for (way, path) in alternative.paths.iter().enumerate() {
                let rarest =
                    path.iter().enumerate().min_by_key(|(_, word)| frequency.get(&key(word)));
                if let Some((at, word)) = rarest {
                    anchors.entry(key(word)).or_default().push((number, way, at));
                }
            }
        }
        Self { alternatives, anchors }
    }

    /// An entry that finds all that an alternative of another entry finds.
    fn covering(&self, alternative: &Alternative<'q>, near: bool) -> Option<usize> {
        let mut paths = alternative.paths.iter();
        let mut common = self.covering_path(alternative, paths.next()?, near);
        for path in paths {
            let more = self.covering_path(alternative, path, near);
            common.retain(|number| more.contains(number));
        }
        let number = common.first().copied()?;
        self.alternatives.get(number).map(|a| a.entry)
    }

    fn covering_path(&self, own: &Alternative<'q>, path: &Path<'q>, near: bool) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        for (at, word) in path.iter().enumerate() {
            self.lookup(word, &mut |(number, way, anchor)| {
                let Some(other) = self.alternatives.get(number) else { return };
                // Of two that are equal the first one stays.
                if other.entry == own.entry || other.entry > own.entry && other.paths == own.paths {
                    return;
                }
                let (Some(cover), Some(start)) = (other.paths.get(way), at.checked_sub(anchor))
                else {
                    return;
                };
                if near && cover.len() != path.len() {
                    return;
                }
                let part = path.get(start..start + cover.len());
                if part.is_some_and(|part| part.iter().zip(cover).all(|(b, a)| covers(a, b))) {
                    found.insert(number);
                }
            });
        }
        found
    }

    /// Calls `f` with every anchor whose word may cover this one.
    fn lookup(&self, word: &Word, f: &mut dyn FnMut(Anchor)) {
        let mut at = |kind: Kind, form: &str| {
            let anchors = self.anchors.get(&(kind, form)).map_or(&[][..], Vec::as_slice);
            anchors.iter().take(MAX_COMPARED).for_each(|anchor| f(*anchor));
        };
        let heads = |form: &str, at: &mut dyn FnMut(Kind, &str)| {
            let ends = form.char_indices().map(|(byte, c)| byte + c.len_utf8());
            for head in ends.skip(SHORTEST_HEAD - 1).filter_map(|end| form.get(..end)) {
                at(Kind::Star, head);
            }
        };
        match word {
            Word::Plain(form, _) => {
                at(Kind::Plain, form);
                heads(form, &mut at);
            }
            Word::Exact(form) => {
                let folded = fold(form);
                at(Kind::Exact, form);
                at(Kind::Plain, &folded);
                heads(&folded, &mut at);
            }
            Word::Star(head, ..) => heads(head, &mut at),
        }
    }
}

/// Whether `a` stands for every word that `b` stands for.
fn covers(a: &Word, b: &Word) -> bool {
    match (a, b) {
        (Word::Exact(a), Word::Exact(b)) => a == b,
        (Word::Exact(_), _) => false,
        (_, Word::Exact(form)) => a.accepts_folded(&fold(form)),
        (Word::Plain(a, _), Word::Plain(b, _)) => a == b,
        (Word::Plain(..), Word::Star(..)) => false,
        (Word::Star(head, tail, prefixes), Word::Plain(form, own)) => {
            let rest = form.strip_prefix(head.as_str());
            rest.is_some_and(|rest| rest.ends_with(tail.as_str())) && takes(*prefixes, *own)
        }
        (Word::Star(head, tail, prefixes), Word::Star(longer, end, own)) => {
            longer.starts_with(head.as_str())
                && end.ends_with(tail.as_str())
                && takes(*prefixes, *own)
        }
    }
}

/// Whether a word with `prefixes` is found wherever one with `own` is, as far as they decide.
fn takes(prefixes: Prefixes, own: Prefixes) -> bool {
    own == Prefixes::None || own == prefixes
}
