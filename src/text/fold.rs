//! Folding: what two spellings of one word have in common.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use crate::text::class::Class;
use crate::text::class::class;
use crate::text::letters::folded;

/// The folded form of a word: without case, width, format characters, Latin and Greek marks,
/// Cyrillic stress, Hebrew points and Arabic vowels. Nothing is transliterated or stemmed.
///
/// Folding a folded word changes nothing.
pub fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    folded(word).unwrap_or_else(|| fold_whole(word))
}

/// The folded form, the definition followed step by step.
pub(crate) fn fold_whole(word: &str) -> String {
    let visible: String = word.chars().filter(|c| !is_invisible(*c)).collect();
    let compatible: String = visible.nfkc().default_case_fold().nfkc().collect();
    let mut out = String::with_capacity(compatible.len());
    for c in compatible.chars() {
        fold_char(c, &mut out);
    }
    // What was dropped may have kept two characters apart that compose, such as Hangul letters.
    if out.is_ascii() { out } else { out.nfkc().collect() }
}

/// The form that a `=` word is compared by: case and marks count.
pub fn exact(word: &str) -> String {
    let visible = word.chars().filter(|c| class(*c) != Class::Format);
    visible.nfkc().collect()
}

const TATWEEL: char = '\u{640}';

/// Whether folding drops it before anything else.
pub(crate) fn is_invisible(c: char) -> bool {
    c == TATWEEL || is_variation_selector(c) || class(c) == Class::Format
}

fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}'
        | '\u{180B}'..='\u{180D}' | '\u{180F}')
}

fn fold_char(c: char, out: &mut String) {
    if c.is_ascii() {
        out.push(c);
        return;
    }
    if c == TATWEEL || is_dropped_mark(c) {
        return;
    }
    if let Some(digit) = ascii_digit(c) {
        out.push(digit);
    } else if matches!(c, '\0'..='\u{3FF}' | '\u{1E00}'..='\u{1FFF}') {
        for part in std::iter::once(c).nfd().filter(|p| !is_dropped_mark(*p)) {
            push_letter(part, out);
        }
    } else {
        push_letter(c, out);
    }
}

fn push_letter(c: char, out: &mut String) {
    match c {
        'ı' => out.push('i'),
        'ø' => out.push('o'),
        'đ' | 'ð' => out.push('d'),
        'ł' => out.push('l'),
        'æ' => out.push_str("ae"),
        'œ' => out.push_str("oe"),
        'þ' => out.push_str("th"),
        'ё' => out.push('е'),
        'أ' | 'إ' | 'آ' | 'ٱ' => out.push('ا'),
        'ى' | 'ی' => out.push('ي'),
        'ة' => out.push('ه'),
        'ک' => out.push('ك'),
        _ => out.push(c),
    }
}

fn is_dropped_mark(c: char) -> bool {
    let block = matches!(c, '\u{590}'..='\u{6FF}' | '\u{750}'..='\u{77F}' | '\u{870}'..='\u{8FF}'
        | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}');
    matches!(c, '\u{300}'..='\u{36F}') || (block && class(c) == Class::Mark)
}

/// Decimal digits stand in runs of ten from zero to nine, so the place within the run is the value.
fn ascii_digit(c: char) -> Option<char> {
    if class(c) != Class::Digit {
        return None;
    }
    let mut value = 0_u32;
    let mut before = u32::from(c);
    while let Some(b) = before.checked_sub(1).and_then(char::from_u32) {
        if class(b) != Class::Digit {
            break;
        }
        before = u32::from(b);
        value += 1;
    }
    char::from_digit(value % 10, 10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_word_fold_alike() {
        for (a, b) in [
            ("Łódź", "LODZ"),
            ("Straße", "STRASSE"),
            ("İstanbul", "ISTANBUL"),
            ("ıstanbul", "istanbul"),
            ("Ærøskøbing", "aeroskobing"),
            ("ΑΘΗΝΑ", "Αθήνα"),
            ("ΛΟΓΟΣ", "λόγος"),
            ("ЁЛКА", "елка"),
            ("по́рт", "порт"),
            ("شَ", "ش"),
            ("سفيـــنة", "سفينه"),
            ("٢٠٣١", "2031"),
            ("２０３１", "2031"),
            ("har\u{AD}bour", "HARBOUR"),
            ("oﬃce", "office"),
            ("ｶﾞ", "ガ"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        for (a, b) in [("мой", "мои"), ("Україна", "Украіна"), ("ґ", "г"), ("ガ", "カ")]
        {
            assert_ne!(fold(a), fold(b), "{a} {b}");
        }
    }

    #[test]
    fn every_single_character_folds_to_itself_the_second_time() {
        let unlike_its_neighbours =
            |c: &char| !matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}');
        for c in (0..0x20000_u32).filter_map(char::from_u32).filter(unlike_its_neighbours) {
            let once = fold(&c.to_string());
            assert_eq!(fold(&once), once, "{c:?}");
        }
    }

    #[test]
    fn an_exact_form_keeps_case_and_marks() {
        assert_eq!(exact("Cafe\u{301}"), "Café");
        assert_ne!(exact("WHO"), exact("Who"));
        assert_eq!(exact("ＷＨ\u{200B}Ｏ"), "WHO");
    }

    proptest! {
        #[test]
        fn folding_is_idempotent(s in "\\PC{0,12}") {
            let once = fold(&s);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn folding_marks_and_letters_is_idempotent(
            s in "[a-zа-яא-ת\u{300}-\u{36F}\u{591}-\u{5C7}\u{610}-\u{670}가-힣\u{1100}-\u{1175}が\u{34F}]{0,8}"
        ) {
            let once = fold(&s);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
