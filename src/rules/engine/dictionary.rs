//! Words and pairs to numbers: an open-addressing table made for looking up every word of a text.
//! The hash is seeded for each process, because feeds may be hostile; no decision depends on it.

use std::hash::BuildHasher;
use std::hash::RandomState;

use crate::text::stream::load;

/// What a word that is not there stands for. Numbers are smaller; the bits above are for tags.
pub(super) const UNKNOWN: u32 = (1 << 29) - 1;
/// Marks a free slot.
const FREE: u32 = UNKNOWN;
/// A word of at most eight bytes is its own key.
const SHORT: u32 = u32::MAX;

/// Slots up to which a quarter of them is filled, beyond which half.
const ROOMY: usize = 1 << 14;

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The word's bytes, or the hash of a longer word.
    key: u64,
    /// What it stands for.
    id: u32,
    /// Where a longer word lies: its length in four bytes, then its own.
    at: u32,
}

/// A map from byte strings without zeros, or from pairs of numbers.
#[derive(Debug)]
pub(super) struct Dictionary {
    slots: Vec<Slot>,
    long: Vec<u8>,
    count: usize,
    seeds: (u64, u64),
    /// Hashes of numbers, as bits: most numbers that are not there end here.
    sieve: Vec<u64>,
}

const EMPTY: Slot = Slot { key: 0, id: FREE, at: SHORT };

#[inline]
fn multiply(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// A short word's bytes; of a longer one its length and the bytes at its ends and in the middle,
/// hashed. Without a branch.
#[inline]
fn key(text: &[u8], start: usize, length: usize, seeds: (u64, u64)) -> u64 {
    let first = load(text, start);
    let beyond = length.saturating_sub(8);
    let middle = load(text, start + beyond / 2);
    let last = load(text, start + beyond);
    let ends = multiply(first ^ seeds.0, last ^ seeds.1.rotate_left(32));
    let long = multiply(ends ^ middle, seeds.0 ^ length as u64);
    let short = first & u64::MAX.checked_shr(64 - 8 * length.min(8) as u32).unwrap_or(0);
    if length > 8 { long } else { short }
}

impl Default for Dictionary {
    fn default() -> Self {
        let random = RandomState::new();
        let seeds = (random.hash_one(0_u8), random.hash_one(1_u8) | 1);
        Self { slots: vec![EMPTY; 16], long: Vec::new(), count: 0, seeds, sieve: Vec::new() }
    }
}

impl Dictionary {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// What a word stands for.
    #[inline]
    pub(super) fn find(&self, word: &[u8]) -> Option<u32> {
        Some(self.find_tagged(word) & UNKNOWN).filter(|id| *id != UNKNOWN)
    }

    /// What a word stands for, or [`UNKNOWN`], with its tags.
    pub(super) fn find_tagged(&self, word: &[u8]) -> u32 {
        let key = key(word, 0, word.len(), self.seeds);
        let is_long = word.len() > 8;
        let mut place = self.home(key);
        loop {
            let slot = self.slots.get(place).copied().unwrap_or(EMPTY);
            let is_same = slot.key == key
                && (slot.at != SHORT) == is_long
                && (!is_long || self.word(slot.at) == word);
            if slot.id == FREE || is_same {
                return slot.id;
            }
            place = (place + 1) & (self.slots.len() - 1);
        }
    }

    /// The same for a part of a text in one look, and whether that was not enough. Written without
    /// a branch: whether a word is long and whether it is known is anybody's guess.
    #[inline]
    pub(super) fn glance(&self, text: &[u8], (start, length): (usize, usize)) -> (u32, bool) {
        let key = key(text, start, length, self.seeds);
        let slot = self.slots.get(self.home(key)).copied().unwrap_or(EMPTY);
        let is_same = slot.key == key;
        let is_sure = is_same & (slot.at == SHORT) & (length <= 8);
        (if is_same { slot.id } else { UNKNOWN }, (slot.id != FREE) & !is_sure)
    }

    /// What a number stands for in one look, and whether that was not enough.
    #[inline]
    pub(super) fn glance_number(&self, key: u64) -> (u32, bool) {
        let slot = self.slots.get(self.home(key)).copied().unwrap_or(EMPTY);
        let is_same = slot.key == key;
        (if is_same { slot.id } else { UNKNOWN }, (slot.id != FREE) & !is_same)
    }

    /// What a number, or a pair of them, stands for.
    #[inline]
    pub(super) fn find_number(&self, key: u64) -> Option<u32> {
        let place = self.home(key);
        let slot = self.slots.get(place).copied().unwrap_or(EMPTY);
        // Without a branch between known and unknown: which of them comes next is anybody's guess.
        if (slot.id == FREE) | ((slot.key == key) & (slot.at == SHORT)) {
            return Some(slot.id).filter(|id| *id != FREE);
        }
        self.find_behind(place, key)
    }

    fn find_behind(&self, place: usize, key: u64) -> Option<u32> {
        let mut place = (place + 1) & (self.slots.len() - 1);
        loop {
            let slot = self.slots.get(place).copied().unwrap_or(EMPTY);
            if slot.id == FREE {
                return None;
            }
            if slot.key == key && slot.at == SHORT {
                return Some(slot.id);
            }
            place = (place + 1) & (self.slots.len() - 1);
        }
    }

    /// Whether a number may be there. Nearly all that are not are told so.
    #[inline]
    pub(super) fn may_have(&self, key: u64) -> bool {
        let (place, bits) = self.sieve_bits(key);
        self.sieve.get(place).copied().unwrap_or(0) & bits == bits
    }

    /// Gives every word its tags, by what it stands for.
    pub(super) fn tag(&mut self, tags: impl Fn(u32) -> u32) {
        for slot in self.slots.iter_mut().filter(|slot| slot.id != FREE) {
            slot.id |= tags(slot.id);
        }
    }

    /// Words of at most eight bytes, as numbers, and what they stand for with its tags.
    pub(super) fn short(&self) -> impl Iterator<Item = (u64, u32)> + use<'_> {
        let used = self.slots.iter().filter(|slot| slot.id != FREE && slot.at == SHORT);
        used.map(|slot| (slot.key, slot.id))
    }

    /// A word of the sieve, and two bits of it.
    #[inline]
    fn sieve_bits(&self, key: u64) -> (usize, u64) {
        let hash = multiply(key ^ self.seeds.0, self.seeds.1);
        let bits = 1 << (hash >> 52 & 63) | 1 << (hash >> 58);
        ((hash >> 8) as usize & self.sieve.len().saturating_sub(1), bits)
    }

    /// Makes ready for [`may_have`](Self::may_have) with twelve bits or more a number.
    pub(super) fn sift(&mut self) {
        self.sieve = vec![0; (self.count * 12).next_power_of_two().max(64) / 64];
        for at in 0..self.slots.len() {
            let Some(slot) = self.slots.get(at).filter(|s| s.id != FREE).copied() else { continue };
            let (place, bits) = self.sieve_bits(slot.key);
            if let Some(word) = self.sieve.get_mut(place) {
                *word |= bits;
            }
        }
    }

    /// Adds a word that is not there.
    pub(super) fn add(&mut self, word: &[u8], id: u32) {
        if word.len() <= 8 {
            self.add_number(load(word, 0), id);
            return;
        }
        let at = u32::try_from(self.long.len()).expect("rules have less than 4 GiB of words");
        let length = u32::try_from(word.len()).expect("a query is limited to a few KiB");
        self.long.extend_from_slice(&length.to_le_bytes());
        self.long.extend_from_slice(word);
        self.insert(Slot { key: key(word, 0, word.len(), self.seeds), id, at });
    }

    /// Adds a number that is not there.
    pub(super) fn add_number(&mut self, key: u64, id: u32) {
        self.insert(Slot { key, id, at: SHORT });
    }

    /// Bytes of its buffers.
    pub(super) fn size(&self) -> usize {
        let sieve = size_of_val(self.sieve.as_slice());
        size_of_val(self.slots.as_slice()) + self.long.len() + sieve
    }

    /// Gives back what growing took too much.
    pub(super) fn shrink(&mut self) {
        self.long.shrink_to_fit();
    }

    fn insert(&mut self, slot: Slot) {
        self.count += 1;
        // A small table stays in the cache anyway and may be emptier.
        let share = if self.slots.len() < ROOMY { 4 } else { 2 };
        if self.count * share > self.slots.len() {
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![EMPTY; old.len() * 2];
            old.into_iter().filter(|s| s.id != FREE).for_each(|s| self.place(s));
        }
        self.place(slot);
    }

    fn place(&mut self, slot: Slot) {
        let mut place = self.home(slot.key);
        while self.slots.get(place).is_some_and(|s| s.id != FREE) {
            place = (place + 1) & (self.slots.len() - 1);
        }
        if let Some(free) = self.slots.get_mut(place) {
            *free = slot;
        }
    }

    #[inline]
    fn home(&self, key: u64) -> usize {
        multiply(key ^ self.seeds.0, self.seeds.1) as usize & (self.slots.len() - 1)
    }

    fn word(&self, at: u32) -> &[u8] {
        let at = at as usize;
        let length = self.long.get(at..).and_then(|b| b.first_chunk::<4>());
        let length = length.map_or(0, |b| u32::from_le_bytes(*b) as usize);
        self.long.get(at + 4..at + 4 + length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_and_others_are_not() {
        let mut dictionary = Dictionary::default();
        let words: Vec<String> = (0..50_000_u64).map(|n| format!("w{}", n * n * n)).collect();
        for (id, word) in (0..).zip(&words) {
            dictionary.add(word.as_bytes(), id);
        }
        dictionary.add(b"", 60_000);
        for (id, word) in (0..).zip(&words) {
            assert_eq!(dictionary.find(word.as_bytes()), Some(id));
            assert_eq!(dictionary.find(format!("{word}x").as_bytes()), None);
        }
        assert_eq!(dictionary.find(b""), Some(60_000));
    }

    #[test]
    fn short_words_spread_well() {
        let mut dictionary = Dictionary::default();
        for n in 0..100_000_u32 {
            dictionary.add(format!("{n:x}").as_bytes(), n);
        }
        let steps = |slot: usize| {
            let home = dictionary.home(dictionary.slots[slot].key);
            (slot + dictionary.slots.len() - home) & (dictionary.slots.len() - 1)
        };
        let used = (0..dictionary.slots.len()).filter(|n| dictionary.slots[*n].id != FREE);
        let total: usize = used.map(steps).sum();
        assert!(total < 100_000, "{total} steps beyond the first slot for 100,000 words");
    }
}
