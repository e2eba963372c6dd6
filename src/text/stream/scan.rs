//! Reads a text character by character, or eight ASCII characters at a time.

use crate::text::fold::fold;
use crate::text::letters::Letter;
use crate::text::letters::letter;
use crate::text::stream::GAP;
use crate::text::stream::Piece;
use crate::text::stream::Stream;
use crate::text::stream::load;
use crate::text::stream::narrow;
use crate::text::tokens::Chain;

/// Whether a byte is an ASCII letter or digit.
const IS_WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    table
};

const HIGH: u64 = 0x8080_8080_8080_8080;
const ONES: u64 = 0x0101_0101_0101_0101;

/// Bytes between two ASCII characters, as the high bit of each; all bytes are ASCII.
#[inline]
fn between(x: u64, low: u8, high: u8) -> u64 {
    let from = x + (0x80 - u64::from(low)) * ONES;
    let beyond = x + (0x7F - u64::from(high)) * ONES;
    from & !beyond & HIGH
}

/// The ASCII letters and digits a word begins with: their number and small forms.
#[inline]
fn ascii_run(word: u64) -> (u64, usize) {
    let x = word & !HIGH;
    let upper = between(x, b'A', b'Z');
    let small = x | (upper >> 2);
    let fits = (between(small, b'a', b'z') | between(x, b'0', b'9')) & !(word & HIGH);
    (small, ((!fits & HIGH).trailing_zeros() / 8) as usize)
}

/// A text under way into a stream.
pub(super) struct Scan<'t, 's> {
    text: &'t str,
    bytes: &'t [u8],
    out: &'s mut Stream,
    /// Whether a paragraph has ended since the last position.
    gap: bool,
}

/// A word that is being read.
struct Open {
    /// Where it begins in the text and in the folded forms.
    from: usize,
    start: usize,
    /// One past the last character that is no format character.
    to: usize,
    /// Combining class at the end.
    class: u8,
    /// Whether it must be folded as a whole.
    whole: bool,
}

impl<'t, 's> Scan<'t, 's> {
    pub(super) fn new(text: &'t str, out: &'s mut Stream) -> Self {
        Self { text, bytes: text.as_bytes(), out, gap: false }
    }

    pub(super) fn run(mut self) {
        let mut at = 0;
        while let Some(byte) = self.bytes.get(at).copied() {
            if IS_WORD[usize::from(byte)] {
                at = self.chain(at);
            } else if byte.is_ascii() {
                if byte == b'\n' && at > 0 && self.bytes.get(at - 1) == Some(&b'\n') {
                    self.gap = true;
                }
                at += 1;
            } else {
                let (letter, width) = self.letter(at);
                if letter.starts() {
                    at = self.chain(at);
                } else if letter.is_character() {
                    at = self.characters(at, (letter, width));
                } else {
                    at += width.max(1);
                }
            }
        }
    }

    fn open(&self, from: usize) -> Open {
        Open { from, start: self.out.folded.len(), to: from, class: 0, whole: false }
    }

    #[inline]
    fn take(&mut self, open: &mut Open, letter: Letter, end: usize) {
        match letter.fold_into(&mut self.out.folded, open.class) {
            Some(class) => open.class = class,
            None => open.whole = true,
        }
        if !letter.is_format() {
            open.to = end;
        }
    }

    #[inline]
    fn close(&mut self, open: &Open) {
        if open.whole {
            self.fold_whole(open);
        }
        let start = narrow(open.start);
        let out = &mut *self.out;
        if self.gap {
            self.gap = false;
            if out.pieces.last().is_some_and(|p| !p.is_gap()) {
                out.breaks.push(narrow(out.pieces.len()));
                out.pieces.push(Piece { start, from: GAP, to: GAP });
            }
        }
        out.has_empty |= out.folded.len() == open.start;
        out.pieces.push(Piece { start, from: narrow(open.from), to: narrow(open.to) });
    }

    #[cold]
    fn fold_whole(&mut self, open: &Open) {
        let out = &mut *self.out;
        out.whole.clear();
        let chars = self.text.get(open.from..open.to).unwrap_or_default().chars();
        out.whole.extend(chars.filter(|c| letter(u32::from(*c)).is_kept()));
        let folded = fold(&out.whole);
        out.folded.truncate(open.start);
        out.folded.extend_from_slice(folded.as_bytes());
    }

    /// Characters of scripts without spaces, each with its marks; gives the end.
    fn characters(&mut self, start: usize, first: (Letter, usize)) -> usize {
        let (mut end, mut next) = (start, first);
        while next.0.is_character() {
            let mut open = self.open(end);
            end += next.1;
            self.take(&mut open, next.0, end);
            next = self.letter(end);
            while next.0.is_attached() || next.0.is_voicing() {
                end += next.1;
                self.take(&mut open, next.0, end);
                next = self.letter(end);
            }
            self.close(&open);
        }
        end
    }

    /// One word, or several joined by hyphens; gives the end.
    #[inline]
    fn chain(&mut self, start: usize) -> usize {
        let mut at = self.word(start);
        let first = self.out.pieces.len().saturating_sub(1);
        loop {
            let next = match self.bytes.get(at).copied() {
                Some(b'-') => at + 1,
                Some(byte) if !byte.is_ascii() => match self.letter(at) {
                    (hyphen, width) if hyphen.is_hyphen() => at + width,
                    _ => break,
                },
                _ => break,
            };
            if !self.letter(next).0.starts() {
                break;
            }
            at = self.word(next);
        }
        let last = self.out.pieces.len().saturating_sub(1);
        if last > first {
            self.out.chains.push(Chain { first: narrow(first), last: narrow(last) });
        }
        at
    }

    /// One word with its final `'s`; gives the end.
    #[inline]
    fn word(&mut self, start: usize) -> usize {
        let mut open = self.open(start);
        let mut at = start;
        loop {
            let (small, length) = ascii_run(load(self.bytes, at));
            let end = self.out.folded.len() + length;
            self.out.folded.extend_from_slice(&small.to_le_bytes());
            self.out.folded.truncate(end);
            at += length;
            if length < 8 {
                break;
            }
        }
        open.to = at;
        let goes_on = match self.bytes.get(at).copied().unwrap_or(b' ') {
            b'\'' | b'`' | 0x80.. => true,
            // Inside a word only before a letter or digit.
            b',' | b'.' => {
                let next = self.bytes.get(at + 1).copied().unwrap_or(b' ');
                !next.is_ascii() || IS_WORD[usize::from(next)]
            }
            _ => false,
        };
        if goes_on {
            return self.word_end(open, at);
        }
        self.close(&open);
        at
    }

    /// The rest of a word that may go on behind its ASCII beginning.
    fn word_end(&mut self, mut open: Open, mut at: usize) -> usize {
        loop {
            let (letter, width) = self.letter(at);
            if letter.starts() || letter.is_attached() {
                at += width;
                self.take(&mut open, letter, at);
            } else if let Some(next) = self.joint(open.from, (at, width), letter) {
                open.to = at + width;
                at = next;
            } else {
                break;
            }
        }
        self.close(&open);
        self.possessive(at).unwrap_or(at)
    }

    /// Where the word goes on after punctuation that belongs to it.
    fn joint(&self, start: usize, (at, width): (usize, usize), letter: Letter) -> Option<usize> {
        if letter.may_join() {
            let next = self.after(at + width, Letter::is_format);
            let inside = letter.joins(self.base_before(start, at).0, self.letter(next).0);
            return inside.then_some(next);
        }
        let inside = match self.bytes.get(at).copied() {
            Some(b',') => self.is_thousands(start, at),
            Some(b'.') => self.is_thousands(start, at) || self.is_dotted(start, at),
            _ => false,
        };
        inside.then(|| self.after(at + width, Letter::is_format))
    }

    fn is_thousands(&self, start: usize, at: usize) -> bool {
        let mut next = at + 1;
        let mut after = 0;
        while after < 4 && self.letter(next).0.is_digit() {
            next += self.letter(next).1;
            after += 1;
        }
        if after != 3 {
            return false;
        }
        let mut before = 0;
        let mut place = at;
        while before < 4 && place > start {
            let (letter, begin) = self.before(place);
            if !letter.is_digit() {
                break;
            }
            place = begin;
            before += 1;
        }
        (1..=3).contains(&before)
    }

    /// Whether the full stop stands between single letters.
    fn is_dotted(&self, start: usize, at: usize) -> bool {
        let (next, width) = self.letter(at + 1);
        if !next.is_letter() || !next.starts() {
            return false;
        }
        let (base, begin) = self.base_before(start, at);
        let single = begin == start || self.bytes.get(begin - 1) == Some(&b'.');
        if !single || !base.is_letter() {
            return false;
        }
        let end = self.after(at + 1 + width, Letter::is_attached);
        !self.letter(end).0.starts()
    }

    /// The end of an `'s` that ends the word before `at`.
    fn possessive(&self, at: usize) -> Option<usize> {
        let (letter, width) = self.letter(at);
        if !letter.is_apostrophe() || !matches!(self.bytes.get(at + width), Some(b's' | b'S')) {
            return None;
        }
        let end = self.after(at + width + 1, Letter::is_format);
        let next = self.letter(end).0;
        (!next.starts() && !next.is_mark()).then_some(end)
    }

    /// The last character before `at` that is neither mark nor format character, and its place.
    fn base_before(&self, start: usize, at: usize) -> (Letter, usize) {
        let mut place = at;
        while place > start {
            let (letter, begin) = self.before(place);
            if !letter.is_attached() {
                return (letter, begin);
            }
            place = begin;
        }
        (Letter::NOTHING, start)
    }

    fn after(&self, mut at: usize, skipped: fn(Letter) -> bool) -> usize {
        loop {
            let (letter, width) = self.letter(at);
            if !skipped(letter) {
                return at;
            }
            at += width;
        }
    }

    /// The character that begins at a byte, and its width; nothing behind the end.
    #[inline]
    fn letter(&self, at: usize) -> (Letter, usize) {
        let Some(first) = self.bytes.get(at).copied() else { return (Letter::NOTHING, 0) };
        let more = |n: usize| u32::from(self.bytes.get(at + n).copied().unwrap_or(0) & 0x3F);
        let first = u32::from(first);
        let (code, width) = match first {
            0..0x80 => (first, 1),
            0x80..0xE0 => ((first & 0x1F) << 6 | more(1), 2),
            0xE0..0xF0 => ((first & 0x0F) << 12 | more(1) << 6 | more(2), 3),
            _ => ((first & 0x07) << 18 | more(1) << 12 | more(2) << 6 | more(3), 4),
        };
        (letter(code), width)
    }

    /// The character that ends before a byte, and where it begins.
    fn before(&self, at: usize) -> (Letter, usize) {
        let mut begin = at.saturating_sub(1);
        while begin > 0 && self.bytes.get(begin).is_some_and(|b| b & 0xC0 == 0x80) {
            begin -= 1;
        }
        (self.letter(begin).0, begin)
    }
}
