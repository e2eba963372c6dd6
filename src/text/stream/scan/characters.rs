//! Reads characters of scripts without spaces: each takes a position of its own.

use crate::text::stream::Piece;
use crate::text::stream::kinds::Kind;
use crate::text::stream::narrow;
use crate::text::stream::scan::Scan;

/// Characters of a run that are read at once.
const STRETCH: usize = 32;

impl Scan<'_, '_> {
    /// A run of characters of scripts without spaces, most of which stand for themselves, and what
    /// stands between them; gives the end.
    pub(super) fn characters(&mut self, start: usize) -> usize {
        self.end_paragraph();
        let copy = self.copy.unwrap_or_else(|| self.out.put_all(self.bytes));
        self.copy = Some(copy);
        let mut at = start;
        loop {
            let end = self.stretch(at, copy + at);
            let is_over = end < at + STRETCH * 3;
            at = end;
            if is_over {
                break;
            }
        }
        let is_bound = self.is_marked(at);
        self.out.count -= usize::from(is_bound);
        if is_bound { self.character(at - 3) } else { at }
    }

    /// Whether the last position ends at a place and a mark that belongs to it follows.
    #[inline]
    fn is_marked(&self, at: usize) -> bool {
        if self.bytes.get(at).is_none_or(u8::is_ascii) {
            return false;
        }
        let next = self.letter(at).0;
        (next.is_attached() || next.is_voicing())
            && self.out.pieces().last().is_some_and(|p| p.to as usize == at)
    }

    /// Characters of a run from a place on, whose folded forms lie at `form`; gives the end.
    fn stretch(&mut self, at: usize, form: usize) -> usize {
        let kinds = self.kinds;
        let Some(pieces) = self.out.room::<STRETCH>() else { return at };
        let (mut from, mut start, mut count) = (narrow(at), narrow(form), 0);
        let rest = self.bytes.get(at..).unwrap_or_default();
        for bytes in rest.as_chunks::<3>().0.iter().take(STRETCH) {
            let kind = kinds.of(*bytes);
            if kind == Kind::Other {
                break;
            }
            // Written in any case: what comes next is anybody's guess.
            let code = code_of(*bytes);
            pieces[count % STRETCH] = Piece { start, end: start + 3, from, to: from + 3, code };
            count += usize::from(kind == Kind::Own);
            from += 3;
            start += 3;
        }
        self.out.count += count;
        from as usize
    }

    /// A character of a script without spaces and its marks; gives the end.
    pub(super) fn character(&mut self, start: usize) -> usize {
        let mut open = self.open(start);
        let (mut letter, mut width) = self.letter(start);
        let mut end = start;
        loop {
            end += width;
            self.take(&mut open, letter, end);
            (letter, width) = self.letter(end);
            if !letter.is_attached() && !letter.is_voicing() {
                break;
            }
        }
        self.close(&open);
        end
    }
}

/// The code point of three bytes.
#[inline]
fn code_of([first, second, third]: [u8; 3]) -> u16 {
    u16::from(first & 0x0F) << 12 | u16::from(second & 0x3F) << 6 | u16::from(third & 0x3F)
}
