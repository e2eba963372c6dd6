//! What the fast reader of texts knows of each character: its part in a word, and its folded form
//! where neighbours cannot change it. Everything here is asked from [`class`] and [`fold_whole`]
//! once a character, so rules and texts cannot differ.

use std::sync::OnceLock;

use caseless::Caseless;
use unicode_normalization::IsNormalized;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::is_nfc_quick;

use crate::text::class::Class;
use crate::text::class::class;
use crate::text::class::is_apostrophe;
use crate::text::class::is_cyrillic_letter;
use crate::text::class::is_hebrew_letter;
use crate::text::class::is_hebrew_quote;
use crate::text::class::is_hyphen;
use crate::text::class::is_spaceless;
use crate::text::class::is_voicing;
use crate::text::fold::fold_whole;
use crate::text::fold::is_invisible;

/// Characters to a page of the table.
const PAGE: u32 = 256;
/// Pages that are kept: up to the last letter of Unicode. Beyond are private use and selectors.
const PAGES: usize = 0x340;

static TABLE: [OnceLock<Box<[Letter]>>; PAGES] = [const { OnceLock::new() }; PAGES];

/// A character as a word sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Bytes of its folded form, first byte lowest.
    out: u64,
    flags: u16,
    /// Number of those bytes.
    len: u8,
    /// Combining classes of its decomposition's ends: marks out of order are sorted when folded.
    leading: u8,
    trailing: u8,
}

const STARTS: u16 = 1;
const MARK: u16 = 1 << 1;
const FORMAT: u16 = 1 << 2;
const SPACELESS: u16 = 1 << 3;
const VOICING: u16 = 1 << 4;
const APOSTROPHE: u16 = 1 << 5;
const HYPHEN: u16 = 1 << 6;
const CYRILLIC: u16 = 1 << 7;
const HEBREW: u16 = 1 << 8;
const QUOTE: u16 = 1 << 9;
const LETTER: u16 = 1 << 10;
const DIGIT: u16 = 1 << 11;
const OTHER: u16 = 1 << 12;
const INVISIBLE: u16 = 1 << 13;
/// Its folded form depends on its neighbours.
const BOUND: u16 = 1 << 14;
/// It stands for a word of its own.
const CHARACTER: u16 = 1 << 15;

/// The entry of a code point.
#[inline]
pub(crate) fn letter(code: u32) -> Letter {
    if let 0x4E00..=0x9FFF = code {
        return Letter::han(code);
    }
    match page(code / PAGE) {
        [] => Letter::of(code),
        entries => entries.get((code % PAGE) as usize).copied().unwrap_or_default(),
    }
}

/// The folded form of a word put together from those of its characters; none where neighbours
/// change one of them, or one is not part of words.
pub(crate) fn folded(word: &str) -> Option<String> {
    let mut out = Vec::with_capacity(word.len());
    let mut class = 0;
    for c in word.chars() {
        let letter = letter(u32::from(c));
        let (bytes, length, after) = letter.folded(class).filter(|_| letter.is_kept())?;
        out.extend_from_slice(bytes.to_le_bytes().get(..length)?);
        class = after;
    }
    String::from_utf8(out).ok()
}

/// The entries of a page of the table; none beyond it.
#[inline]
pub(crate) fn page(page: u32) -> &'static [Letter] {
    let Some(slot) = TABLE.get(page as usize) else { return &[] };
    slot.get_or_init(|| (page * PAGE..(page + 1) * PAGE).map(Letter::of).collect())
}

impl Letter {
    /// What stands before the beginning and behind the end of a text.
    pub(crate) const NOTHING: Self = Self { out: 0, flags: OTHER, len: 0, leading: 0, trailing: 0 };

    /// The entry of a frequent Han character, without the table: it would not stay in the cache.
    #[inline]
    pub(crate) fn han(code: u32) -> Self {
        let utf8 = 0x80_80E0 | code >> 12 | (code >> 6 & 0x3F) << 8 | (code & 0x3F) << 16;
        let flags = SPACELESS | CHARACTER | LETTER;
        Self { out: u64::from(utf8), flags, len: 3, leading: 0, trailing: 0 }
    }

    fn of(code: u32) -> Self {
        let Some(c) = char::from_u32(code) else { return Self::NOTHING };
        let mut letter = Self { flags: flags(c), ..Self::default() };
        if letter.is(OTHER | INVISIBLE) {
            return letter;
        }
        if is_plain(c) {
            let mut utf8 = [0; 8];
            letter.len = u8::try_from(c.encode_utf8(&mut utf8).len()).unwrap_or(0);
            letter.out = u64::from_le_bytes(utf8);
            return letter;
        }
        let compatible: String = std::iter::once(c).nfkc().collect();
        let caseless: String = compatible.chars().default_case_fold().nfkc().collect();
        let out = fold_whole(c.encode_utf8(&mut [0; 4]));
        // What does not begin with something that goes together with what stands before.
        let alone = |s: &str| is_nfc_quick(s.chars().take(1)) == IsNormalized::Yes;
        if out.len() > 8 || !(alone(&compatible) && alone(&caseless) && alone(&out)) {
            letter.flags |= BOUND;
            return letter;
        }
        for text in [compatible, caseless] {
            let first = text.nfkd().next().map_or(0, canonical_combining_class);
            let last = text.nfkd().last().map_or(0, canonical_combining_class);
            letter.leading = letter.leading.max(first);
            letter.trailing = letter.trailing.max(last);
        }
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(out.bytes()) {
            *to = from;
        }
        letter.out = u64::from_le_bytes(bytes);
        letter.len = u8::try_from(out.len()).unwrap_or(0);
        letter
    }

    fn is(self, flags: u16) -> bool {
        self.flags & flags != 0
    }

    /// Whether a word of a script with spaces begins or goes on with it.
    pub(crate) fn starts(self) -> bool {
        self.is(STARTS)
    }

    /// Whether it takes a position of its own.
    pub(crate) fn is_character(self) -> bool {
        self.is(CHARACTER)
    }

    pub(crate) fn is_mark(self) -> bool {
        self.is(MARK)
    }

    pub(crate) fn is_format(self) -> bool {
        self.is(FORMAT)
    }

    /// Whether it belongs to the letter before it.
    pub(crate) fn is_attached(self) -> bool {
        self.is(MARK | FORMAT)
    }

    pub(crate) fn is_voicing(self) -> bool {
        self.is(VOICING)
    }

    pub(crate) fn is_apostrophe(self) -> bool {
        self.is(APOSTROPHE)
    }

    pub(crate) fn is_hyphen(self) -> bool {
        self.is(HYPHEN)
    }

    pub(crate) fn is_letter(self) -> bool {
        self.is(LETTER)
    }

    pub(crate) fn is_digit(self) -> bool {
        self.is(DIGIT)
    }

    /// Whether it is left of a word without the punctuation inside it.
    pub(crate) fn is_kept(self) -> bool {
        !self.is(OTHER | APOSTROPHE)
    }

    /// Whether it stays inside a word between these two.
    pub(crate) fn joins(self, before: Self, after: Self) -> bool {
        (self.is(APOSTROPHE) && before.is(CYRILLIC) && after.is(CYRILLIC))
            || (self.is(QUOTE) && before.is(HEBREW) && after.is(HEBREW))
    }

    /// Whether it may stay inside a word at all.
    pub(crate) fn may_join(self) -> bool {
        self.is(APOSTROPHE | QUOTE)
    }

    /// Bytes of its folded form, the first one lowest, their number, and the combining class that
    /// the word then ends with. `before` is the class that it ends with so far; none where the form
    /// depends on neighbours, and the word must be folded as a whole.
    #[inline]
    pub(crate) fn folded(self, before: u8) -> Option<(u64, usize, u8)> {
        if self.is(BOUND) || (self.leading != 0 && before > self.leading) {
            return None;
        }
        if self.is(INVISIBLE) {
            return Some((0, 0, before));
        }
        Some((self.out, usize::from(self.len), self.trailing))
    }
}

/// Blocks whose characters fold to themselves and go together with nothing. Much of a text in
/// them would otherwise fill the table slowly.
fn is_plain(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}'
        | '\u{20000}'..='\u{2A6DF}')
}

fn flags(c: char) -> u16 {
    let class = class(c);
    let starts = class.starts_word();
    [
        (starts && !is_spaceless(c) && !is_apostrophe(c), STARTS),
        (starts && is_spaceless(c), CHARACTER),
        (class == Class::Mark, MARK),
        (class == Class::Format, FORMAT),
        (is_spaceless(c), SPACELESS),
        (is_voicing(c), VOICING),
        (is_apostrophe(c), APOSTROPHE),
        (is_hyphen(c), HYPHEN),
        (is_cyrillic_letter(c), CYRILLIC),
        (is_hebrew_letter(c), HEBREW),
        (is_hebrew_quote(c), QUOTE),
        (class == Class::Letter, LETTER),
        (class == Class::Digit, DIGIT),
        (class == Class::Other, OTHER),
        (is_invisible(c), INVISIBLE),
    ]
    .into_iter()
    .filter_map(|(holds, flag)| holds.then_some(flag))
    .fold(0, |flags, flag| flags | flag)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(c: &char) -> bool {
        letter(u32::from(*c)).is_kept()
    }

    #[test]
    fn each_character_alone_folds_as_the_function_says() {
        for c in (0..0x34000_u32).filter_map(char::from_u32).filter(kept) {
            if let Some(form) = folded(&c.to_string()) {
                assert_eq!(form, fold_whole(&c.to_string()), "{c:?}");
            }
        }
    }

    #[test]
    fn no_neighbour_changes_a_character_that_is_not_bound() {
        let near = "aéßİıǅώϓяйїёאשׁﬡأىةکカｶ한ᄀ가힣กำ\u{E34}\u{E48}က\u{102F}क़ক\u{301}\u{316}\u{327}\u{5B0}\u{5BC}\u{64B}\u{651}\u{654}\u{3099}\u{FF9E}\u{1161}\u{11A8}ᅡﾡ\u{200D}\u{640}\u{FE0F}\u{345}ﷺﬀ①２";
        let common = (0..0x3100_u32).chain(0xA640..0xABFF).chain(0xF900..0x10000);
        for c in common.filter_map(char::from_u32).filter(kept) {
            for other in near.chars() {
                for word in [format!("{c}{other}"), format!("{other}{c}"), format!("a{other}{c}b")]
                {
                    if let Some(form) = folded(&word) {
                        assert_eq!(form, fold_whole(&word), "{word:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_short_cut_agrees_with_the_function() {
        for c in (0x3400..0x2FA20_u32).filter_map(char::from_u32).filter(|c| is_plain(*c)) {
            if letter(u32::from(c)).is_kept() {
                let text = c.to_string();
                assert!(
                    fold_whole(&text) == text && is_nfc_quick(text.chars()) == IsNormalized::Yes
                );
            }
        }
    }

    #[test]
    fn han_characters_are_what_the_table_would_say() {
        for code in 0x4E00..=0x9FFF {
            assert_eq!(letter(code), Letter::of(code), "{code:x}");
        }
    }

    #[test]
    fn usual_words_need_no_whole_folding() {
        for word in [
            "Łódź",
            "Straße",
            "İstanbul",
            "Київ",
            "Ёлка",
            "Αθήνα",
            "שלום",
            "ميناء",
            "港口",
            "ガス",
            "서울",
            "เรือ",
        ] {
            assert_eq!(folded(word), Some(fold_whole(word)), "{word}");
        }
        assert_eq!(folded("e\u{301}"), None);
        assert_eq!(folded("é’s"), None);
    }

    proptest! {
        #[test]
        fn words_of_free_characters_fold_alike(
            word in "([a-zéñüßøæÅа-яїґёὈώא-ת\u{5B0}-\u{5C7}ء-ي\u{64B}-\u{65F}ก-๛က-႟ក-៩ぁ-んｦ-ﾟ가-힣अ-ॿ\u{300}-\u{345}\u{200D}\u{AD}]|\\PC){0,8}"
        ) {
            let word: String = word.chars().filter(kept).collect();
            if let Some(form) = folded(&word) {
                prop_assert_eq!(form, fold_whole(&word));
            }
        }
    }
}
