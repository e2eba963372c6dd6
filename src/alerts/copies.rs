//! Which counted articles are one source: those of one owner, and copies of one text.

use std::cell::OnceCell;
use std::collections::HashMap;

use crate::alerts::state::Alert;
use crate::alerts::state::owner_of;
use crate::model::Article;
use crate::model::Time;
use crate::text::shingles;
use crate::text::shingles::MIN_POSITIONS;
use crate::text::shingles::Probe;
use crate::text::shingles::Shingles;

/// Most different texts kept of one alert; later ones are told apart by owner alone.
pub(super) const MAX_TEXTS: usize = 100;

/// An article whose text may be compared. It is cut into shingles once, for all alerts that ask.
#[derive(Debug)]
pub(super) struct Wording<'a> {
    pub(super) article: &'a Article,
    probe: OnceCell<Probe>,
}

/// Articles that counted, gathered one by one: only what tells copies apart is held of each.
#[derive(Debug, Default)]
pub struct Witnesses {
    texts: Vec<Shingles>,
    seen: Vec<(String, Vec<u16>)>,
}

/// What an article is beside those that counted before it, by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The first article that is one source with it; itself where there is none before.
    pub source: usize,
    /// The first article whose text it copies.
    pub copy_of: Option<usize>,
}

impl<'a> Wording<'a> {
    pub(super) fn of(article: &'a Article) -> Self {
        Self { article, probe: OnceCell::new() }
    }

    fn probe(&self) -> &Probe {
        let article = self.article;
        self.probe.get_or_init(|| Probe::new(shingles::of(&article.title, &article.body)))
    }
}

impl Alert {
    /// The kept texts that this article copies. A text that copies none is kept and is the answer.
    pub(super) fn note_text(&mut self, wording: &Wording<'_>) -> Vec<u16> {
        note(&mut self.texts, wording)
    }

    /// Whether the article copies counted articles, and only ones of other owners: syndication
    /// repeats a story late, while a desk that repeats its own wording reports anew.
    pub(super) fn is_repeated_by(&self, wording: &Wording<'_>) -> bool {
        let probe = wording.probe();
        if probe.text().positions < MIN_POSITIONS {
            return false;
        }
        let copied = copied_by(&self.texts, probe);
        let owner = owner_of(wording.article);
        let mut originals =
            self.counted.iter().filter(|c| c.texts.iter().any(|t| copied.contains(t))).peekable();
        originals.peek().is_some() && originals.all(|c| c.owner != owner)
    }

    /// Independent sources of the alert.
    pub(super) fn independent(&self) -> u32 {
        self.independent_since(Time::from_millis(i64::MIN))
    }

    /// The same where `before` were independent without the article that was counted last: all are
    /// grouped anew only where it may join groups.
    pub(super) fn independent_with_last(&self, before: u32) -> u32 {
        let Some((last, others)) = self.counted.split_last() else { return 0 };
        let same_owner = others.iter().any(|c| c.owner == last.owner);
        let copies = others.iter().any(|c| c.texts.iter().any(|t| last.texts.contains(t)));
        match (same_owner, copies, last.texts.len()) {
            (true, false, _) | (false, true, 1) => before,
            (_, true, _) if before == 1 => before,
            (false, false, _) => before.saturating_add(1),
            _ => self.independent(),
        }
    }

    /// Groups of counted articles received at or after `from`: articles of one owner or with one
    /// text are in one group.
    pub(super) fn independent_since(&self, from: Time) -> u32 {
        let counted = self.counted.iter().filter(|c| c.received >= from);
        let heads = heads(counted.map(|c| (c.owner.as_str(), c.texts.as_slice())));
        let groups = heads.iter().enumerate().filter(|(place, head)| place == *head).count();
        u32::try_from(groups).unwrap_or(u32::MAX)
    }
}

impl Witnesses {
    /// Takes the next article that counted.
    pub fn add(&mut self, article: &Article) {
        let texts = note(&mut self.texts, &Wording::of(article));
        self.seen.push((owner_of(article), texts));
    }

    /// What each is, in the order taken.
    pub fn standings(&self) -> Vec<Standing> {
        let heads =
            heads(self.seen.iter().map(|(owner, texts)| (owner.as_str(), texts.as_slice())));
        let copy_of = |place: usize| {
            let (_, texts) = self.seen.get(place)?;
            let mut before = self.seen.iter().take(place);
            before.position(|(_, other)| other.iter().any(|t| texts.contains(t)))
        };
        let all = heads.into_iter().enumerate();
        all.map(|(place, source)| Standing { source, copy_of: copy_of(place) }).collect()
    }
}

/// Which of the texts the article copies. A text that copies none is kept and is the answer.
fn note(texts: &mut Vec<Shingles>, wording: &Wording<'_>) -> Vec<u16> {
    let probe = wording.probe();
    let mut copied = copied_by(texts, probe);
    if copied.is_empty()
        && probe.text().positions > 0
        && texts.len() < MAX_TEXTS
        && let Ok(place) = u16::try_from(texts.len())
    {
        texts.push(probe.text().clone());
        copied.push(place);
    }
    copied
}

fn copied_by(texts: &[Shingles], probe: &Probe) -> Vec<u16> {
    let copied = texts.iter().enumerate().filter(|(_, text)| probe.is_copy_of(text));
    copied.filter_map(|(place, _)| u16::try_from(place).ok()).collect()
}

/// For each of these, the first one that is one source with it.
fn heads<'a>(counted: impl Iterator<Item = (&'a str, &'a [u16])>) -> Vec<usize> {
    let counted: Vec<_> = counted.collect();
    let mut groups = Groups { parents: (0..counted.len()).collect() };
    let mut owners = HashMap::new();
    let mut shared = [usize::MAX; MAX_TEXTS];
    for (place, (owner, texts)) in counted.iter().enumerate() {
        groups.join(place, *owners.entry(*owner).or_insert(place));
        for text in *texts {
            let Some(first) = shared.get_mut(usize::from(*text)) else { continue };
            *first = (*first).min(place);
            groups.join(place, *first);
        }
    }
    (0..counted.len()).map(|place| groups.head(place)).collect()
}

/// Disjoint groups of places; a group is known by its head.
struct Groups {
    parents: Vec<usize>,
}

impl Groups {
    fn head(&self, mut place: usize) -> usize {
        while let Some(parent) = self.parents.get(place).filter(|parent| **parent != place) {
            place = *parent;
        }
        place
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.head(a), self.head(b));
        if let Some(parent) = self.parents.get_mut(a.max(b)) {
            *parent = a.min(b);
        }
    }
}
