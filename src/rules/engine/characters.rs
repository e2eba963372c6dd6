//! Terms that are one character of three bytes, by code point. In Chinese and Japanese nearly every
//! position is one: they are found without hashing, in a table that is small enough for the nearer
//! caches.

use crate::rules::engine::dictionary::UNKNOWN;

/// Code points that take at most three bytes.
const CODES: usize = 1 << 16;

/// What characters stand for, with tags.
#[derive(Debug)]
pub(super) struct Characters(Box<[u32; CODES]>);

/// The character that a word of at most eight bytes is, if it is one of three bytes; the first byte
/// lowest.
fn character(bytes: u64) -> Option<usize> {
    let code = (bytes & 0xF) << 12 | (bytes >> 8 & 0x3F) << 6 | (bytes >> 16 & 0x3F);
    ((bytes >> 24 == 0) & (bytes & 0xF0 == 0xE0)).then_some(code as usize)
}

impl Characters {
    /// Those among words of at most eight bytes; none where there are none.
    pub(super) fn among(words: impl Iterator<Item = (u64, u32)>) -> Option<Self> {
        let mut terms = Vec::new();
        for (bytes, term) in words {
            let Some(code) = character(bytes) else { continue };
            terms.resize(CODES, UNKNOWN);
            if let Some(slot) = terms.get_mut(code) {
                *slot = term;
            }
        }
        terms.into_boxed_slice().try_into().ok().map(Self)
    }

    /// The term that a character stands for, or [`UNKNOWN`], with its tags.
    #[inline]
    pub(super) fn find(&self, code: u16) -> u32 {
        self.0[usize::from(code)]
    }

    /// Bytes of its buffer.
    pub(super) fn size(&self) -> usize {
        size_of_val(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::stream::load;

    #[test]
    fn characters_of_three_bytes_are_found_and_nothing_else() {
        let words = ["港", "口", "ア", "\u{FFFD}", "the", "é", "𠀋", "港口", "", "aé"];
        let numbers = (0..).zip(words).map(|(id, word)| (load(word.as_bytes(), 0), id));
        let characters = Characters::among(numbers).unwrap();
        for (id, word) in (0..).zip(words).take(4) {
            let code = u16::try_from(u32::from(word.chars().next().unwrap())).unwrap();
            assert_eq!(characters.find(code), id, "{word}");
        }
        let known = (0..=u16::MAX).filter(|code| characters.find(*code) != UNKNOWN).count();
        assert_eq!(known, 4);
        assert!(Characters::among([(load(b"the", 0), 1)].into_iter()).is_none());
    }
}
