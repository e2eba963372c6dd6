//! One word of a query, and which words of a text it stands for.

use crate::text::class::Class;
use crate::text::class::class;
use crate::text::class::is_arabic_letter;
use crate::text::class::is_hangul_syllable;
use crate::text::class::is_hebrew_letter;

/// A word of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Its folded form is the text's.
    Plain(String, Prefixes),
    /// Its form with case and marks is the text's.
    Exact(String),
    /// Folded beginning and ending.
    Star(String, String, Prefixes),
}

/// Which little words may be written together with it, in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefixes {
    /// None.
    None,
    /// One to three of ושהכלבמ.
    Hebrew,
    /// Conjunction, preposition and article.
    Arabic,
}

/// Letters a Hebrew or Arabic word needs before prefixes are tried: shorter ones would be found in
/// unrelated words.
const LETTERS_FOR_PREFIXES: usize = 4;

impl Word {
    /// A word from its folded form, in which `*` stands for any letters.
    pub(crate) fn folded(form: &str) -> Self {
        match form.split_once('*') {
            Some((head, tail)) => Self::Star(head.to_owned(), tail.to_owned(), Prefixes::of(head)),
            None => Self::Plain(form.to_owned(), Prefixes::of(form)),
        }
    }

    /// Whether it stands for a word with this folded form. Exact words never do.
    pub(crate) fn accepts_folded(&self, form: &str) -> bool {
        match self {
            Self::Exact(_) => false,
            Self::Plain(_, prefixes) | Self::Star(_, _, prefixes) => {
                self.accepts_bare(form) || prefixes.strip(form).any(|rest| self.accepts_bare(rest))
            }
        }
    }

    /// The same without prefixes.
    pub(crate) fn accepts_bare(&self, form: &str) -> bool {
        match self {
            Self::Exact(_) => false,
            Self::Plain(word, _) => word == form,
            Self::Star(head, tail, _) => {
                form.strip_prefix(head.as_str()).is_some_and(|rest| rest.ends_with(tail.as_str()))
            }
        }
    }
}

impl Prefixes {
    fn of(letters: &str) -> Self {
        let long_enough = |is: fn(char) -> bool| {
            letters.chars().filter(|c| is(*c)).count() >= LETTERS_FOR_PREFIXES
        };
        match letters.chars().next() {
            Some(c) if is_hebrew_letter(c) && long_enough(is_hebrew_letter) => Self::Hebrew,
            Some(c) if is_arabic_letter(c) && long_enough(is_arabic_letter) => Self::Arabic,
            _ => Self::None,
        }
    }

    /// The prefixes that the script of a text word has.
    pub(crate) fn of_script(form: &str) -> Self {
        match form.chars().next() {
            Some(c) if is_hebrew_letter(c) => Self::Hebrew,
            Some(c) if is_arabic_letter(c) => Self::Arabic,
            _ => Self::None,
        }
    }

    /// What is left of a folded text word after each prefix it may have.
    pub(crate) fn strip(self, form: &str) -> impl Iterator<Item = &str> {
        let mut rests = Rests::default();
        match self {
            Self::None => {}
            Self::Hebrew => strip_hebrew(form, &mut rests),
            Self::Arabic => strip_arabic(form, &mut rests),
        }
        rests.list.into_iter().take(rests.count).filter(|rest| !rest.is_empty())
    }
}

/// Most rests of one word: Arabic, a conjunction and seven prefixes with and without it.
const MAX_RESTS: usize = 15;

#[derive(Default)]
struct Rests<'f> {
    list: [&'f str; MAX_RESTS],
    count: usize,
}

impl<'f> Rests<'f> {
    fn push(&mut self, rest: &'f str) {
        if let Some(slot) = self.list.get_mut(self.count) {
            *slot = rest;
            self.count += 1;
        }
    }
}

fn strip_hebrew<'f>(form: &'f str, rests: &mut Rests<'f>) {
    let mut rest = form;
    for _ in 0..3 {
        let Some(shorter) = rest.strip_prefix(['ו', 'ש', 'ה', 'כ', 'ל', 'ב', 'מ']) else {
            break;
        };
        rests.push(shorter);
        rest = shorter;
    }
}

fn strip_arabic<'f>(form: &'f str, rests: &mut Rests<'f>) {
    let after_conjunction = form.strip_prefix(['و', 'ف']);
    after_conjunction.into_iter().for_each(|rest| rests.push(rest));
    for stem in std::iter::once(form).chain(after_conjunction) {
        let prefixes = ["ال", "بال", "كال", "لل", "ب", "ل", "ك"];
        let stripped = prefixes.iter().filter_map(|p| stem.strip_prefix(p));
        stripped.for_each(|rest| rests.push(rest));
    }
}

/// Whether what stands before a `*` is enough: three letters or digits, or two Hangul syllables.
pub(crate) fn may_precede_star(head: &str) -> bool {
    let letters = head.chars().filter(|c| class(*c).starts_word()).count();
    let syllables = head.chars().filter(|c| is_hangul_syllable(*c)).count();
    debug_assert!(head.chars().all(|c| class(c) != Class::Format));
    letters >= 3 || syllables >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_words_in_front_are_tried_on_long_words_only() {
        for (word, text, accepted) in [
            ("משרד", "והמשרד", true),
            ("נמל", "הנמל", false),
            ("משרד", "תמשרד", false),
            ("רציפ*", "ברציפים", true),
            ("ميناء", "والميناء", true),
            ("ميناء", "للميناء", true),
            ("بحر", "البحر", false),
            ("ferr*", "ferr", true),
            ("defen*e", "defene", true),
            ("aba*ba", "aba", false),
        ] {
            assert_eq!(Word::folded(word).accepts_folded(text), accepted, "{word} {text}");
        }
    }
}
