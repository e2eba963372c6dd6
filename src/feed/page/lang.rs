//! Which language a text is in, as far as its letters and words tell.

use whatlang::Lang as Found;

use crate::model::Lang;

/// Characters that are looked at.
const LOOKED_AT: usize = 2_000;
/// Letters below which nothing is said.
const FEWEST: usize = 12;

/// The language of a text; none where that is a guess.
///
/// Languages that share the Cyrillic script are told apart by letters that only some of them have
/// before words are looked at: that holds for headlines, too.
pub fn detect(text: &str) -> Option<Lang> {
    let text: String = text.chars().take(LOOKED_AT).collect();
    if text.chars().filter(|c| c.is_alphabetic()).count() < FEWEST {
        return None;
    }
    if let Some(code) = by_letters(&text) {
        return Lang::new(code).ok();
    }
    let found = whatlang::detect(&text)?;
    let code = code(found.lang())?;
    // Cyrillic without any letter of its neighbours is settled above or is a guess.
    (found.is_reliable() || found.confidence() > 0.5).then(|| Lang::new(code).ok()).flatten()
}

fn by_letters(text: &str) -> Option<&'static str> {
    let count = |letters: &[char]| text.chars().filter(|c| letters.contains(c)).count();
    // A few signs of Japanese stand in Chinese names, and the other way round.
    let between =
        |first: char, last: char| text.chars().filter(|c| (first..=last).contains(c)).count();
    if between('\u{3041}', '\u{30FA}') > 2 {
        return Some("ja");
    }
    if between('\u{AC00}', '\u{D7A3}') > 2 {
        return Some("ko");
    }
    let belarusian = count(&['ў', 'Ў']);
    let ukrainian = count(&['ї', 'Ї', 'є', 'Є', 'ґ', 'Ґ']);
    let russian = count(&['ы', 'Ы', 'э', 'Э', 'ё', 'Ё', 'ъ', 'Ъ']);
    let dotted = count(&['і', 'І']);
    match () {
        () if belarusian > 0 && belarusian >= ukrainian => Some("be"),
        () if ukrainian + dotted > russian => Some("uk"),
        () if russian > 0 && ukrainian + dotted == 0 => Some("ru"),
        () => None,
    }
}

/// The two-letter code of the languages that are told apart well.
fn code(lang: Found) -> Option<&'static str> {
    Some(match lang {
        Found::Eng => "en",
        Found::Ukr => "uk",
        Found::Rus => "ru",
        Found::Bel => "be",
        Found::Bul => "bg",
        Found::Srp => "sr",
        Found::Deu => "de",
        Found::Fra => "fr",
        Found::Spa => "es",
        Found::Por => "pt",
        Found::Ita => "it",
        Found::Pol => "pl",
        Found::Ces => "cs",
        Found::Slk => "sk",
        Found::Ron => "ro",
        Found::Hun => "hu",
        Found::Nld => "nl",
        Found::Swe => "sv",
        Found::Dan => "da",
        Found::Nob => "no",
        Found::Fin => "fi",
        Found::Est => "et",
        Found::Lav => "lv",
        Found::Lit => "lt",
        Found::Tur => "tr",
        Found::Ell => "el",
        Found::Heb => "he",
        Found::Ara => "ar",
        Found::Pes => "fa",
        Found::Hin => "hi",
        Found::Cmn => "zh",
        Found::Jpn => "ja",
        Found::Kor => "ko",
        Found::Kat => "ka",
        Found::Hye => "hy",
        Found::Vie => "vi",
        Found::Tha => "th",
        Found::Ind => "id",
        _ => return None,
    })
}
