//! Words and their positions.

use crate::text::class::Class;
use crate::text::class::class;
use crate::text::class::is_apostrophe;
use crate::text::class::is_cyrillic_letter;
use crate::text::class::is_hebrew_letter;
use crate::text::class::is_hebrew_quote;
use crate::text::class::is_hyphen;
use crate::text::class::is_spaceless;
use crate::text::class::is_voicing;
use crate::text::fold;

/// One position of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its folded form.
    pub folded: String,
    /// First code point.
    pub start: u32,
    /// One past the last code point; a final `'s` and format characters are left out.
    pub end: u32,
    /// Number of its paragraph. Nothing is found across paragraphs.
    pub paragraph: u32,
    /// Whether it is a character of a script without spaces.
    pub spaceless: bool,
}

/// Words joined by single hyphens: besides its parts also one joined word over all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// First position.
    pub first: u32,
    /// Last position.
    pub last: u32,
}

/// A text cut into positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    chars: Vec<char>,
    words: Vec<Token>,
    chains: Vec<Chain>,
}

/// Cuts a text into words. A paragraph ends at an empty line.
pub fn tokenize(text: &str) -> Tokens {
    Scan::new(text.chars().collect(), false).run()
}

/// The same for at most `limit` code points of the text.
pub fn tokenize_within(text: &str, limit: usize) -> Tokens {
    Scan::new(text.chars().take(limit).collect(), false).run()
}

/// Cuts a text in which `*` stands for letters: it is part of its word, also in the folded form.
pub fn tokenize_pattern(text: &str) -> Tokens {
    Scan::new(text.chars().collect(), true).run()
}

impl Tokens {
    /// The positions in order.
    pub fn words(&self) -> &[Token] {
        &self.words
    }

    /// The chains in order of their first position.
    pub fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// The chain that begins at a position.
    pub fn chain_at(&self, first: u32) -> Option<Chain> {
        let at = self.chains.binary_search_by_key(&first, |c| c.first).ok()?;
        self.chains.get(at).copied()
    }

    /// The folded joined word of a chain.
    pub fn joined(&self, chain: Chain) -> String {
        self.between(chain).map(|t| t.folded.as_str()).collect()
    }

    /// The form of a position that case and marks count in.
    pub fn exact(&self, token: &Token) -> String {
        fold::exact(&self.bare(token.start, token.end))
    }

    /// The same for a chain.
    pub fn exact_joined(&self, chain: Chain) -> String {
        self.between(chain).map(|t| self.exact(t)).collect()
    }

    /// The text between two code points.
    pub fn quote(&self, start: u32, end: u32) -> String {
        self.chars.get(start as usize..end as usize).unwrap_or_default().iter().collect()
    }

    fn between(&self, chain: Chain) -> impl Iterator<Item = &Token> {
        self.words.get(chain.first as usize..=chain.last as usize).unwrap_or_default().iter()
    }

    /// A word without the punctuation kept inside it.
    fn bare(&self, start: u32, end: u32) -> String {
        let chars = self.chars.get(start as usize..end as usize).unwrap_or_default();
        chars.iter().filter(|c| is_kept(**c)).collect()
    }

    /// The folded form of a word.
    fn folded(&self, start: u32, end: u32) -> String {
        let chars = self.chars.get(start as usize..end as usize).unwrap_or_default();
        // Most words; they are not looked at character by character.
        if chars.iter().all(char::is_ascii_alphanumeric) {
            return chars.iter().map(char::to_ascii_lowercase).collect();
        }
        fold(&self.bare(start, end))
    }
}

pub(crate) fn is_kept(c: char) -> bool {
    c == '*' || (class(c) != Class::Other && !is_apostrophe(c))
}

struct Scan {
    classes: Vec<Class>,
    out: Tokens,
    paragraph: u32,
}

impl Scan {
    fn new(chars: Vec<char>, stars: bool) -> Self {
        let classes =
            chars.iter().map(|c| if stars && *c == '*' { Class::Letter } else { class(*c) });
        let classes = classes.collect();
        Self { classes, out: Tokens { chars, ..Tokens::default() }, paragraph: 0 }
    }

    fn run(mut self) -> Tokens {
        let mut at = 0;
        while at < self.classes.len() {
            if self.starts_spaced(at) {
                at = self.chain(at);
            } else if self.class(at).starts_word() && is_spaceless(self.char(at)) {
                at = self.character(at);
            } else {
                if self.char(at) == '\n' && at > 0 && self.char(at - 1) == '\n' {
                    self.paragraph += 1;
                }
                at += 1;
            }
        }
        self.out
    }

    /// A character of a script without spaces and its marks; gives the end.
    fn character(&mut self, start: usize) -> usize {
        let mut end = start + 1;
        while matches!(self.class(end), Class::Mark | Class::Format) || is_voicing(self.char(end)) {
            end += 1;
        }
        self.push(start, end, true);
        end
    }

    /// One word, or several joined by hyphens; gives the end.
    fn chain(&mut self, start: usize) -> usize {
        let first = self.out.words.len();
        let mut at = self.word(start);
        while is_hyphen(self.char(at)) && self.starts_spaced(at + 1) {
            at = self.word(at + 1);
        }
        let last = self.out.words.len() - 1;
        if last > first {
            self.out.chains.push(Chain { first: narrow(first), last: narrow(last) });
        }
        at
    }

    /// One word with its final `'s`; gives the end.
    fn word(&mut self, start: usize) -> usize {
        let mut end = start;
        loop {
            if self.starts_spaced(end) || matches!(self.class(end), Class::Mark | Class::Format) {
                end += 1;
            } else if let Some(next) = self.joint(start, end) {
                end = next;
            } else {
                break;
            }
        }
        self.push(start, end, false);
        self.possessive(end).unwrap_or(end)
    }

    fn push(&mut self, start: usize, end: usize, spaceless: bool) {
        let mut seen = end;
        while seen > start + 1 && self.class(seen - 1) == Class::Format {
            seen -= 1;
        }
        let (start, end) = (narrow(start), narrow(seen));
        let folded = self.out.folded(start, end);
        let paragraph = self.paragraph;
        self.out.words.push(Token { folded, start, end, paragraph, spaceless });
    }

    /// Where the word goes on after punctuation at `at` that belongs to it.
    fn joint(&self, start: usize, at: usize) -> Option<usize> {
        let c = self.char(at);
        let next = self.after_format(at + 1);
        let (before, after) = (self.base_before(start, at), self.char(next));
        let inside = (is_apostrophe(c) && is_cyrillic_letter(before) && is_cyrillic_letter(after))
            || (is_hebrew_quote(c) && is_hebrew_letter(before) && is_hebrew_letter(after))
            || (matches!(c, ',' | '.') && self.is_thousands(start, at))
            || (c == '.' && self.is_dotted(start, at));
        inside.then_some(next)
    }

    fn is_thousands(&self, start: usize, at: usize) -> bool {
        let before =
            (start..at).rev().take(4).take_while(|i| self.class(*i) == Class::Digit).count();
        let after = (at + 1..).take(4).take_while(|i| self.class(*i) == Class::Digit).count();
        (1..=3).contains(&before) && after == 3
    }

    /// Whether the full stop stands between single letters.
    fn is_dotted(&self, start: usize, at: usize) -> bool {
        let Some(base) = (start..at).rev().find(|i| self.is_base(*i)) else { return false };
        let single = base == start || self.char(base - 1) == '.';
        let next = at + 1;
        if !single || self.class(base) != Class::Letter || self.class(next) != Class::Letter {
            return false;
        }
        self.starts_spaced(next) && !self.starts_spaced(self.after_marks(next + 1))
    }

    /// The end of an `'s` that ends the word before `at`.
    fn possessive(&self, at: usize) -> Option<usize> {
        if !is_apostrophe(self.char(at)) || !matches!(self.char(at + 1), 's' | 'S') {
            return None;
        }
        let end = self.after_format(at + 2);
        let goes_on = self.starts_spaced(end) || self.class(end) == Class::Mark;
        (!goes_on).then_some(end)
    }

    fn base_before(&self, start: usize, at: usize) -> char {
        (start..at).rev().find(|i| self.is_base(*i)).map_or('\0', |i| self.char(i))
    }

    fn is_base(&self, at: usize) -> bool {
        !matches!(self.class(at), Class::Mark | Class::Format)
    }

    fn after_format(&self, mut at: usize) -> usize {
        while self.class(at) == Class::Format {
            at += 1;
        }
        at
    }

    fn after_marks(&self, mut at: usize) -> usize {
        while matches!(self.class(at), Class::Mark | Class::Format) {
            at += 1;
        }
        at
    }

    fn starts_spaced(&self, at: usize) -> bool {
        let c = self.char(at);
        self.class(at).starts_word() && !is_spaceless(c) && !is_apostrophe(c)
    }

    fn class(&self, at: usize) -> Class {
        self.classes.get(at).copied().unwrap_or(Class::Other)
    }

    fn char(&self, at: usize) -> char {
        self.out.chars.get(at).copied().unwrap_or('\0')
    }
}

/// Offsets are 32 bits wide: a text of more code points does not fit into a record.
fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> Vec<String> {
        let tokens = tokenize(text);
        let joined = tokens.chains().iter().map(|c| format!("+{}", tokens.joined(*c)));
        tokens.words().iter().map(|t| t.folded.clone()).chain(joined).collect()
    }

    #[test]
    fn a_text_falls_into_words_as_readers_see_them() {
        for (text, words) in [
            ("the U.N. envoy", "the un envoy"),
            ("J.Smith and J. Smith", "j smith and j smith"),
            ("U.S.A.-led", "usa led"),
            ("12,000 1,234,567 12.000 3.5 2014,300", "12000 1234567 12000 3 5 2014 300"),
            ("п'ять п’ять пʼять l’armée", "пять пять пять l armee"),
            ("Cardiff’s O'Hara's don't", "cardiff o hara don t"),
            ("מנכ\"ל מנכ״ל ג'ירפה", "מנכל מנכל גירפה"),
            ("LNG船 港、口 ｶﾞｽ", "lng 船 港 口 ガ ス"),
            ("ท่าเรือ", "ท่ า เ รื อ"),
            ("sea-wall sea--wall sea-\nwall", "sea wall sea wall sea wall +seawall"),
            ("London's-based", "london based +londonbased"),
            ("O'Brien-Hall", "o brien hall +brienhall"),
            ("F-35A-機", "f 35a 機 +f35a"),
            ("— … 🚢⚠️ ' -", ""),
            ("ʼtis", "tis"),
        ] {
            assert_eq!(folded(text).join(" "), words, "{text}");
        }
    }

    #[test]
    fn spans_leave_out_what_is_not_the_word() {
        for (text, spans) in [
            ("Cardiff's", vec![(0, 7)]),
            ("harbour\u{200F} wall", vec![(0, 7), (9, 13)]),
            ("\u{200E}harbour", vec![(1, 8)]),
            ("W.H.O.", vec![(0, 5)]),
            ("ｶﾞｽ", vec![(0, 2), (2, 3)]),
        ] {
            let tokens = tokenize(text);
            let seen: Vec<_> = tokens.words().iter().map(|t| (t.start, t.end)).collect();
            assert_eq!(seen, spans, "{text}");
        }
    }

    #[test]
    fn an_empty_line_begins_a_paragraph() {
        let tokens = tokenize("a\nb\n\nc\n\n\nd");
        let paragraphs: Vec<_> = tokens.words().iter().map(|t| t.paragraph).collect();
        assert!(paragraphs[0] == paragraphs[1] && paragraphs[1] < paragraphs[2]);
        assert!(paragraphs[2] < paragraphs[3]);
    }

    proptest! {
        #[test]
        fn positions_are_in_order_and_within_the_text(text in "\\PC{0,60}|[a-z'’.,\\-0-9א\"п \n]{0,40}") {
            let tokens = tokenize(&text);
            let length = u32::try_from(text.chars().count()).unwrap();
            let mut last = 0;
            for token in tokens.words() {
                prop_assert!(last <= token.start && token.start < token.end && token.end <= length);
                last = token.end;
            }
        }

        #[test]
        fn a_word_alone_is_the_same_word(text in "\\PC{0,40}") {
            let tokens = tokenize(&text);
            for token in tokens.words() {
                let alone = tokenize(&tokens.quote(token.start, token.end));
                let words: Vec<_> = alone.words().iter().map(|t| t.folded.as_str()).collect();
                prop_assert_eq!(words, vec![token.folded.as_str()]);
            }
        }
    }
}
