//! Reads a text character by character, or runs of ASCII letters and digits at once.

mod characters;

use crate::text::fold::fold;
use crate::text::letters::Letter;
use crate::text::letters::letter;
use crate::text::stream::Piece;
use crate::text::stream::Stream;
use crate::text::stream::kinds::Kind;
use crate::text::stream::kinds::Kinds;
use crate::text::stream::load;
use crate::text::stream::marks::Marks;
use crate::text::stream::narrow;
use crate::text::tokens::Chain;

/// A text under way into a stream.
pub(super) struct Scan<'t, 's> {
    text: &'t str,
    bytes: &'t [u8],
    marks: &'t Marks,
    kinds: &'static Kinds,
    out: &'s mut Stream,
    /// Whether a paragraph has ended since the last position.
    gap: bool,
    /// Where the text lies as it is among the folded forms, once something asks for that.
    copy: Option<usize>,
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
    pub(super) fn new(text: &'t str, marks: &'t Marks, out: &'s mut Stream) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            marks,
            kinds: Kinds::get(),
            out,
            gap: false,
            copy: None,
        }
    }

    pub(super) fn run(mut self) {
        let mut at = 0;
        let mut number = 0;
        while let Some((start, end)) = self.marks.edge(number) {
            number += 1;
            at = self.until(at, start);
            if at > start {
                continue;
            }
            let next = match self.marks.edge(number) {
                Some((next, _)) if self.marks.are_apart(end, next) => Some(next),
                _ if self.kind(end) != Kind::Other => Some(end),
                _ => None,
            };
            at = match next {
                Some(next) => {
                    self.plain(start, end);
                    next
                }
                None => self.chain(start),
            };
        }
        self.until(at, self.bytes.len());
    }

    /// What begins from a place on and before another; gives the end.
    fn until(&mut self, mut at: usize, end: usize) -> usize {
        while at < end {
            at = self.marks.next(at);
            let Some(byte) = self.bytes.get(at).copied().filter(|_| at < end) else { break };
            if byte == b'\n' {
                self.gap |= at > 0 && self.bytes.get(at - 1) == Some(&b'\n');
                at += 1;
            } else if byte.is_ascii() {
                at = self.chain(at);
            } else {
                at = match self.kind(at) {
                    Kind::Own => self.characters(at),
                    Kind::Between => at + 3,
                    Kind::Other => self.other(at),
                };
            }
        }
        at
    }

    /// What begins with a character that is not ASCII; gives the end.
    fn other(&mut self, at: usize) -> usize {
        let (letter, width) = self.letter(at);
        if letter.starts() {
            self.chain(at)
        } else if letter.is_character() {
            self.character(at)
        } else {
            at + width.max(1)
        }
    }

    /// A word of ASCII letters and digits.
    #[inline]
    fn plain(&mut self, from: usize, to: usize) {
        let start = self.out.end;
        let length = to - from;
        self.out.put(self.marks.sixteen(from), length.min(16));
        let mut done = 16;
        while done < length {
            self.out.put(self.marks.sixteen(from + done), (length - done).min(16));
            done += 16;
        }
        self.piece((from, to), start);
    }

    fn open(&self, from: usize) -> Open {
        Open { from, start: self.out.end, to: from, class: 0, whole: false }
    }

    #[inline]
    fn take(&mut self, open: &mut Open, letter: Letter, end: usize) {
        match letter.folded(open.class) {
            Some((bytes, length, class)) => {
                self.out.put(bytes.to_le_bytes(), length);
                open.class = class;
            }
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
        self.out.has_empty |= self.out.end == open.start;
        self.piece((open.from, open.to), open.start);
    }

    /// Adds a position whose folded form is the last one.
    #[inline]
    fn piece(&mut self, (from, to): (usize, usize), start: usize) {
        self.end_paragraph();
        let (start, end) = (narrow(start), narrow(self.out.end));
        self.out.push(Piece { start, end, from: narrow(from), to: narrow(to), code: 0 });
    }

    /// Adds the gap before the next position, if there must be one.
    #[inline]
    fn end_paragraph(&mut self) {
        if self.gap {
            self.gap = false;
            if self.out.pieces().last().is_some_and(|p| !p.is_gap()) {
                self.out.push_gap();
            }
        }
    }

    #[cold]
    fn fold_whole(&mut self, open: &Open) {
        let out = &mut *self.out;
        out.whole.clear();
        let chars = self.text.get(open.from..open.to).unwrap_or_default().chars();
        out.whole.extend(chars.filter(|c| letter(u32::from(*c)).is_kept()));
        let folded = fold(&out.whole);
        out.end = open.start;
        for chunk in folded.as_bytes().chunks(8) {
            out.put(load(chunk, 0).to_le_bytes(), chunk.len());
        }
    }

    /// What a character is to a run of them.
    #[inline]
    fn kind(&self, at: usize) -> Kind {
        let three = self.bytes.get(at..).and_then(|rest| rest.first_chunk::<3>());
        three.map_or(Kind::Other, |three| self.kinds.of(*three))
    }

    /// One word, or several joined by hyphens; gives the end.
    #[inline]
    fn chain(&mut self, start: usize) -> usize {
        let mut at = self.word(start);
        let first = self.out.count.saturating_sub(1);
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
        let last = self.out.count.saturating_sub(1);
        if last > first {
            self.out.chains.push(Chain { first: narrow(first), last: narrow(last) });
        }
        at
    }

    /// One word with its final `'s`; gives the end.
    #[inline]
    fn word(&mut self, start: usize) -> usize {
        let mut open = self.open(start);
        let at = self.run_of_ascii(start);
        open.to = at;
        let goes_on = match self.bytes.get(at).copied().unwrap_or(b' ') {
            b'\'' | b'`' | 0x80.. => true,
            // Inside a word only before a letter or digit.
            b',' | b'.' => {
                let next = self.bytes.get(at + 1).copied().unwrap_or(b' ');
                !next.is_ascii() || next.is_ascii_alphanumeric()
            }
            _ => false,
        };
        if goes_on {
            return self.word_end(open, at);
        }
        self.close(&open);
        at
    }

    /// Adds the ASCII letters and digits from a place on; gives their end.
    #[inline]
    fn run_of_ascii(&mut self, mut at: usize) -> usize {
        loop {
            let length = self.marks.run(at);
            let mut done = 0;
            while done < length {
                self.out.put(self.marks.sixteen(at + done), (length - done).min(16));
                done += 16;
            }
            at += length;
            if length < 64 {
                return at;
            }
        }
    }

    /// The rest of a word that may go on behind its ASCII beginning.
    fn word_end(&mut self, mut open: Open, mut at: usize) -> usize {
        loop {
            if self.marks.run(at) > 0 {
                at = self.run_of_ascii(at);
                (open.class, open.to) = (0, at);
            }
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
