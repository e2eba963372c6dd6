//! Which counted articles are one source: those of one owner, and copies of one text.

use std::collections::BTreeMap;

use crate::alerts::state::Alert;
use crate::alerts::state::Counted;
use crate::alerts::state::owner_of;
use crate::model::Article;
use crate::model::Time;
use crate::text::shingles;
use crate::text::shingles::MIN_POSITIONS;
use crate::text::shingles::Shingles;

/// Most different texts kept of one alert; later ones are told apart by owner alone.
pub(super) const MAX_TEXTS: usize = 100;

impl Alert {
    /// The kept texts that this article copies. A text that copies none is kept and is the answer.
    pub(super) fn note_text(&mut self, article: &Article) -> Vec<u16> {
        let text = shingles::of(&article.title, &article.body);
        let mut copied = self.copied_by(&text);
        if copied.is_empty()
            && text.positions > 0
            && self.texts.len() < MAX_TEXTS
            && let Ok(place) = u16::try_from(self.texts.len())
        {
            self.texts.push(text);
            copied.push(place);
        }
        copied
    }

    /// Whether the article copies counted articles, and only ones of other owners: syndication
    /// repeats a story late, while a desk that repeats its own wording reports anew.
    pub(super) fn is_repeated_by(&self, article: &Article) -> bool {
        let text = shingles::of(&article.title, &article.body);
        if text.positions < MIN_POSITIONS {
            return false;
        }
        let copied = self.copied_by(&text);
        let owner = owner_of(article);
        let mut originals =
            self.counted.iter().filter(|c| c.texts.iter().any(|t| copied.contains(t))).peekable();
        originals.peek().is_some() && originals.all(|c| c.owner != owner)
    }

    /// Independent sources of the alert.
    pub(super) fn independent(&self) -> u32 {
        self.independent_since(Time::from_millis(i64::MIN))
    }

    /// Groups of counted articles received at or after `from`: articles of one owner or with one
    /// text are in one group.
    pub(super) fn independent_since(&self, from: Time) -> u32 {
        let counted: Vec<&Counted> = self.counted.iter().filter(|c| c.received >= from).collect();
        let mut groups = Groups { parents: (0..counted.len()).collect() };
        let mut owners = BTreeMap::new();
        let mut texts = BTreeMap::new();
        for (place, one) in counted.iter().enumerate() {
            groups.join(place, *owners.entry(&one.owner).or_insert(place));
            for text in &one.texts {
                groups.join(place, *texts.entry(*text).or_insert(place));
            }
        }
        let heads = (0..counted.len()).filter(|place| groups.head(*place) == *place).count();
        u32::try_from(heads).unwrap_or(u32::MAX)
    }

    fn copied_by(&self, text: &Shingles) -> Vec<u16> {
        let copied = self.texts.iter().enumerate().filter(|(_, t)| shingles::is_copy(t, text));
        copied.filter_map(|(place, _)| u16::try_from(place).ok()).collect()
    }
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
