//! A set of small numbers that is emptied in the time of what it holds.

/// Numbers below a size. A summary tells which words of bits are not zero.
#[derive(Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    summary: Vec<u64>,
}

impl Bits {
    /// Room for numbers below `size`. The set is empty before.
    pub(super) fn fit(&mut self, size: usize) {
        let words = size.div_ceil(64);
        if self.words.len() != words {
            self.words.clear();
            self.words.resize(words, 0);
            self.summary.clear();
            self.summary.resize(words.div_ceil(64), 0);
        }
    }

    #[inline]
    pub(super) fn has(&self, n: u32) -> bool {
        self.words.get(n as usize / 64).is_some_and(|word| word >> (n % 64) & 1 == 1)
    }

    /// Adds a number; whether it is new.
    #[inline]
    pub(super) fn add(&mut self, n: u32) -> bool {
        let at = n as usize / 64;
        let Some(word) = self.words.get_mut(at) else { return false };
        let bit = 1 << (n % 64);
        if *word & bit != 0 {
            return false;
        }
        *word |= bit;
        if let Some(summary) = self.summary.get_mut(at / 64) {
            *summary |= 1 << (at % 64);
        }
        true
    }

    /// The same without a branch on that.
    #[inline]
    pub(super) fn put(&mut self, n: u32) -> bool {
        let at = n as usize / 64;
        let Some(word) = self.words.get_mut(at) else { return false };
        let bit = 1 << (n % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        if let Some(summary) = self.summary.get_mut(at / 64) {
            *summary |= 1 << (at % 64);
        }
        is_new
    }

    pub(super) fn clear(&mut self) {
        for (number, summary) in self.summary.iter_mut().enumerate() {
            let mut rest = std::mem::take(summary);
            while rest != 0 {
                let at = number * 64 + rest.trailing_zeros() as usize;
                if let Some(word) = self.words.get_mut(at) {
                    *word = 0;
                }
                rest &= rest - 1;
            }
        }
    }

    /// Adds the numbers in order to a list.
    pub(super) fn list(&self, out: &mut Vec<u32>) {
        for (number, summary) in self.summary.iter().enumerate() {
            let mut places = *summary;
            while places != 0 {
                let at = number * 64 + places.trailing_zeros() as usize;
                places &= places - 1;
                let mut rest = self.words.get(at).copied().unwrap_or(0);
                while rest != 0 {
                    let n = at * 64 + rest.trailing_zeros() as usize;
                    out.push(u32::try_from(n).unwrap_or(u32::MAX));
                    rest &= rest - 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_lists_what_was_added_in_order_and_is_empty_again() {
        let mut bits = Bits::default();
        bits.fit(10_000);
        for n in [9_999, 0, 63, 64, 4_096, 64] {
            bits.add(n);
        }
        let mut listed = Vec::new();
        bits.list(&mut listed);
        assert_eq!(listed, [0, 63, 64, 4_096, 9_999]);
        assert!(bits.has(64) && !bits.has(65) && !bits.has(20_000) && !bits.add(20_000));
        bits.clear();
        listed.clear();
        bits.list(&mut listed);
        assert!(listed.is_empty() && bits.add(64));
    }
}
