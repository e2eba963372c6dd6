//! What is known at once of characters that take three bytes: those that Chinese and Japanese are
//! written in come in long runs, and nearly all of them stand for themselves.

use std::sync::OnceLock;

use crate::text::letters::Letter;
use crate::text::letters::letter;

/// The part of a character in a run of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// It takes no position and belongs to nothing before it.
    Between,
    /// It takes a position of its own and folds to itself, if no mark follows.
    Own,
    /// Neither, or not known here.
    Other,
}

/// Code points that have their first two bytes in common.
const BLOCK: usize = 64;
/// Pages of 256 code points that are known character by character: general punctuation, kana and
/// the punctuation of East Asia, and forms of another width.
const PAGES: [u32; 3] = [0x20, 0x30, 0xFF];
/// Blocks of which each is kept once: one of nothing known, one of characters that stand for
/// themselves, and those of the pages.
const DISTINCT: usize = 16;

/// Kinds by their three bytes: the first two have a block, the third one a place in it. Both tables
/// are as large as any bytes could ask for; what is read of them is small.
#[derive(Debug)]
pub(super) struct Kinds {
    numbers: [u8; 1 << 14],
    blocks: [Kind; DISTINCT * BLOCK],
}

static KINDS: OnceLock<Box<Kinds>> = OnceLock::new();

impl Kinds {
    pub(super) fn get() -> &'static Self {
        KINDS.get_or_init(|| Box::new(Self::new()))
    }

    fn new() -> Self {
        let mut kinds = Self { numbers: [0; 1 << 14], blocks: [Kind::Other; DISTINCT * BLOCK] };
        let [_, own, others @ ..] = kinds.blocks.as_chunks_mut::<BLOCK>().0 else { return kinds };
        *own = [Kind::Own; BLOCK];
        for code in (0x3400..0x4DC0).chain(0x4E00..0xA000).step_by(BLOCK) {
            kinds.numbers[place(code)] = 1;
        }
        let firsts = PAGES.iter().flat_map(|page| (page * 256..page * 256 + 256).step_by(BLOCK));
        for ((number, block), first) in (2..).zip(others).zip(firsts) {
            kinds.numbers[place(first)] = number;
            block.iter_mut().zip(first..).for_each(|(kind, code)| *kind = Kind::of(code));
        }
        kinds
    }

    /// The kind of a character that begins with three bytes of a text, if it is three bytes long.
    #[inline]
    pub(super) fn of(&self, [first, second, third]: [u8; 3]) -> Kind {
        let number = self.numbers[usize::from(first) << 6 | usize::from(second & 0x3F)];
        self.blocks[(usize::from(number) << 6 | usize::from(third & 0x3F)) & (DISTINCT * BLOCK - 1)]
    }
}

impl Kind {
    fn of(code: u32) -> Self {
        let letter = letter(code);
        if letter.is_character() && !letter.is_voicing() && is_itself(letter, code) {
            return Self::Own;
        }
        let is_between = !letter.starts() && !letter.is_character() && !letter.is_attached();
        // Others mean something behind a word.
        match is_between && !letter.is_voicing() && !letter.is_hyphen() && !letter.may_join() {
            true => Self::Between,
            false => Self::Other,
        }
    }
}

/// Where the number of a character's block lies.
fn place(code: u32) -> usize {
    0xE0 * 64 + code as usize / BLOCK
}

/// Whether its folded form alone is itself.
fn is_itself(letter: Letter, code: u32) -> bool {
    let mut utf8 = [0; 8];
    let length = char::from_u32(code).map_or(0, |c| c.encode_utf8(&mut utf8).len());
    let itself = (u64::from_le_bytes(utf8), length);
    letter.folded(0).is_some_and(|(bytes, length, _)| (bytes, length) == itself)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_say_what_the_letters_say() {
        let kinds = Kinds::get();
        let mut known = 0;
        for c in (0..=0x10FFFF_u32).filter_map(char::from_u32) {
            let mut utf8 = [0x80; 4];
            let length = c.encode_utf8(&mut utf8).len();
            let kind = kinds.of([utf8[0], utf8[1], utf8[2]]);
            if kind != Kind::Other {
                assert!(length == 3 && kind == Kind::of(u32::from(c)), "{c:?}");
                known += 1;
            }
        }
        assert!(known > 28_000, "{known}");
        for (text, kind) in [
            ("港の々ー〇カガぱ", Kind::Own),
            ("、。「・　（！…", Kind::Between),
            ("ｶﾞＡ１’‐–\u{3099}\u{200B}\u{FE0F}\u{309F}한⚓", Kind::Other),
        ] {
            for c in text.chars() {
                let mut utf8 = [0; 3];
                c.encode_utf8(&mut utf8);
                assert_eq!(kinds.of(utf8), kind, "{c:?}");
            }
        }
    }
}
