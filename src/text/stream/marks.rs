//! Where ASCII letters and digits stand in a text, as bits, and their small forms: 64 bytes at a
//! time, without a branch on any of them.

const BLOCK: usize = 64;
const ONES: u64 = 0x0101_0101_0101_0101;

/// What is known of a text's bytes.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// By block: ASCII letters and digits.
    words: Vec<u64>,
    /// By block: those, line ends, and what is not ASCII.
    stops: Vec<u64>,
    /// Where runs of ASCII letters and digits begin and end, in turn.
    edges: Vec<u32>,
    /// The bytes with small letters, and zeros behind them. Nothing is said of other characters.
    small: Vec<u8>,
    length: usize,
}

impl Marks {
    /// Reads a text.
    pub(super) fn read(&mut self, text: &[u8]) {
        self.length = text.len();
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        let mut last = [0; BLOCK];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        // A look at a place may reach into the block behind.
        let count = blocks.len() + 2;
        self.words.resize(count, 0);
        self.stops.resize(count, 0);
        self.small.resize(count * BLOCK, 0);
        let places = self.small.as_chunks_mut::<BLOCK>().0.iter_mut();
        let bits = self.words.iter_mut().zip(&mut self.stops);
        let behind = [[0; BLOCK]];
        let blocks = blocks.iter().chain([&last]).chain(&behind);
        for ((block, small), (word, stop)) in blocks.zip(places).zip(bits) {
            (*word, *stop) = read_block(block, small);
        }
        self.edges.clear();
        self.find_edges();
    }

    fn find_edges(&mut self) {
        let mut before = 0;
        for (number, word) in (0_u32..).zip(&self.words) {
            let mut edges = word ^ (word << 1 | before);
            before = word >> (BLOCK - 1);
            while edges != 0 {
                self.edges.push(number * 64 + edges.trailing_zeros());
                edges &= edges - 1;
            }
        }
    }

    /// The next place from `at` on where something may begin, or the text's end or beyond.
    #[inline]
    pub(super) fn next(&self, mut at: usize) -> usize {
        while at < self.length {
            let window = window(&self.stops, at);
            if window != 0 {
                return at + window.trailing_zeros() as usize;
            }
            at += BLOCK;
        }
        at
    }

    /// How many ASCII letters and digits stand from a place on, at most 64.
    #[inline]
    pub(super) fn run(&self, at: usize) -> usize {
        (!window(&self.words, at)).trailing_zeros() as usize
    }

    /// Where the run of ASCII letters and digits of a number lies; none behind the last.
    #[inline]
    pub(super) fn edge(&self, number: usize) -> Option<(usize, usize)> {
        let pair = self.edges.get(2 * number..)?.first_chunk::<2>()?;
        Some((pair[0] as usize, pair[1] as usize))
    }

    /// Whether two runs are words of their own with nothing but their small forms to know of: some
    /// ASCII characters between them, or one space. A hyphen, comma or apostrophe says something
    /// only right before a letter, digit or what is not ASCII.
    #[inline]
    pub(super) fn are_apart(&self, end: usize, next: usize) -> bool {
        let plain = window(&self.stops, end).trailing_zeros() as usize == next - end;
        plain & ((next - end > 1) | (self.small.get(end) == Some(&b' ')))
    }

    /// Sixteen bytes from a place on, with small letters.
    #[inline]
    pub(super) fn sixteen(&self, at: usize) -> [u8; 16] {
        let chunk = self.small.get(at..).and_then(|rest| rest.first_chunk::<16>());
        chunk.copied().unwrap_or_default()
    }
}

/// Small forms of a block; its letters and digits, and those with what else may begin something.
#[inline]
fn read_block(block: &[u8; BLOCK], small: &mut [u8; BLOCK]) -> (u64, u64) {
    let mut word = [0; BLOCK];
    let mut stop = [0; BLOCK];
    for at in 0..BLOCK {
        let byte = block[at];
        let is_upper = byte.wrapping_sub(b'A') < 26;
        let low = byte | (u8::from(is_upper) << 5);
        let is_word = (low.wrapping_sub(b'a') < 26) | (byte.wrapping_sub(b'0') < 10);
        small[at] = low;
        word[at] = u8::from(is_word);
        stop[at] = u8::from(is_word | (byte == b'\n') | (byte >= 0x80));
    }
    (bits(&word), bits(&stop))
}

/// The 64 bits from a place on.
#[inline]
fn window(bits: &[u64], at: usize) -> u64 {
    let Some([low, high]) = bits.get(at / BLOCK..).and_then(|rest| rest.first_chunk::<2>()) else {
        return 0;
    };
    let shift = at % BLOCK;
    // Two steps, because a shift by 64 is none.
    low >> shift | high << 1 << (BLOCK - 1 - shift)
}

/// The lowest bit of each byte.
fn bits(bytes: &[u8; BLOCK]) -> u64 {
    let mut all = 0;
    for (number, eight) in bytes.as_chunks::<8>().0.iter().enumerate() {
        let eight = u64::from_le_bytes(*eight) & ONES;
        // Each product moves one bit to the top byte.
        all |= (eight.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * number);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_tell_each_byte_of_texts_of_any_length() {
        let text: Vec<u8> = (0..=255).cycle().skip(30).take(700).collect();
        let mut marks = Marks::default();
        for length in 0..text.len() {
            let text = &text[..length];
            marks.read(text);
            let is_stop = |b: &u8| b.is_ascii_alphanumeric() || *b == b'\n' || !b.is_ascii();
            for at in 0..length {
                let rest = &text[at..];
                let run = rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
                assert_eq!(marks.run(at), run.min(64), "{length} {at}");
                let next = rest.iter().position(is_stop);
                assert_eq!(marks.next(at).min(length), next.map_or(length, |n| at + n));
                let small = marks.sixteen(at);
                for (byte, small) in rest.iter().zip(small).take(run) {
                    assert_eq!(byte.to_ascii_lowercase(), small);
                }
            }
        }
    }
}
