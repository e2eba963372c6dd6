//! In which scripts a rule's words are written, and whether its languages are.

use crate::rules::lexer::Kind;
use crate::rules::lint::Warnings;
use crate::rules::lint::code;
use crate::rules::lint::sheet::Group;
use crate::rules::lint::sheet::Query;
use crate::rules::lint::sheet::Rule;
use crate::rules::lint::sheet::Sheet;
use crate::rules::lint::spelling::written;
use crate::text::class::class;
use crate::text::class::is_arabic_letter;
use crate::text::class::is_cyrillic_letter;
use crate::text::class::is_hangul_syllable;
use crate::text::class::is_hebrew_letter;

/// A set of scripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scripts(u16);

const NAMES: [(u16, &str); 10] = [
    (LATIN, "Latin"),
    (CYRILLIC, "Cyrillic"),
    (GREEK, "Greek"),
    (HEBREW, "Hebrew"),
    (ARABIC, "Arabic"),
    (HAN, "Han"),
    (KANA, "kana"),
    (HANGUL, "Hangul"),
    (THAI, "Thai"),
    (DEVANAGARI, "Devanagari"),
];
const LATIN: u16 = 1;
const CYRILLIC: u16 = 2;
const GREEK: u16 = 4;
const HEBREW: u16 = 8;
const ARABIC: u16 = 16;
const HAN: u16 = 32;
const KANA: u16 = 64;
const HANGUL: u16 = 128;
const THAI: u16 = 256;
const DEVANAGARI: u16 = 512;
/// Any other letter: nothing is said of rules with such.
const OTHER: u16 = 1024;

pub(super) fn is_latin_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
        || matches!(c, '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}') && class(c).starts_word()
}

pub(super) fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}' | '々')
}

pub(super) fn is_kana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}' | '\u{FF66}'..='\u{FF9F}')
}

fn script(c: char) -> u16 {
    match c {
        _ if !class(c).starts_word() || c.is_numeric() => 0,
        _ if is_latin_letter(c) => LATIN,
        _ if is_cyrillic_letter(c) => CYRILLIC,
        '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}' => GREEK,
        _ if is_hebrew_letter(c) => HEBREW,
        _ if is_arabic_letter(c) => ARABIC,
        _ if is_kana(c) => KANA,
        _ if is_han(c) => HAN,
        _ if is_hangul_syllable(c) => HANGUL,
        '\u{E00}'..='\u{E7F}' => THAI,
        '\u{900}'..='\u{97F}' => DEVANAGARI,
        _ => OTHER,
    }
}

/// The scripts a language is written in; none where that is not known here.
fn of_language(tag: &str) -> Option<u16> {
    let primary = tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let scripts = match primary.as_str() {
        "uk" | "ru" | "be" | "bg" | "mk" | "ky" | "tg" | "mn" => CYRILLIC,
        "sr" | "kk" | "uz" => CYRILLIC | LATIN,
        "el" => GREEK,
        "he" | "iw" | "yi" => HEBREW,
        "ar" | "fa" | "ur" | "ps" | "ug" | "sd" => ARABIC,
        "zh" | "yue" | "wuu" => HAN,
        "ja" => HAN | KANA,
        "ko" => HANGUL | HAN,
        "th" => THAI,
        "hi" | "mr" | "ne" => DEVANAGARI,
        "af" | "bs" | "ca" | "cs" | "cy" | "da" | "de" | "en" | "es" | "et" | "eu" | "fi"
        | "fr" | "ga" | "gl" | "hr" | "hu" | "id" | "is" | "it" | "lt" | "lv" | "ms" | "nb"
        | "nl" | "nn" | "no" | "pl" | "pt" | "ro" | "sk" | "sl" | "so" | "sq" | "sv" | "sw"
        | "tl" | "tr" | "vi" | "zu" => LATIN,
        _ => return None,
    };
    Some(scripts)
}

/// The scripts of each list's words, those of the lists it uses included.
pub(super) fn of_lists(sheet: &Sheet<'_, '_>) -> Vec<Scripts> {
    let mut scripts = vec![Scripts::default(); sheet.lists.len()];
    loop {
        let next: Vec<Scripts> =
            sheet.lists.iter().map(|list| of_queries(&list.queries, sheet, &scripts)).collect();
        if next == scripts {
            return scripts;
        }
        scripts = next;
    }
}

fn of_queries(queries: &[Query<'_>], sheet: &Sheet<'_, '_>, lists: &[Scripts]) -> Scripts {
    Scripts(queries.iter().fold(0, |all, query| all | of_query(query, sheet, lists)))
}

fn of_query(query: &Query<'_>, sheet: &Sheet<'_, '_>, lists: &[Scripts]) -> u16 {
    let of_piece = |kind: &Kind, text: String| match kind {
        Kind::Words(_) => text.chars().fold(0, |all, c| all | script(c)),
        Kind::List(name) => {
            sheet.ids.get(name).and_then(|id| lists.get(*id)).map_or(0, |scripts| scripts.0)
        }
        _ => 0,
    };
    query.pieces.iter().fold(0, |all, p| all | of_piece(&p.kind, written(query, p.at)))
}

/// Whether some of the words are Japanese.
pub(super) fn has_kana(groups: &[Group<'_>], sheet: &Sheet<'_, '_>, lists: &[Scripts]) -> bool {
    groups.iter().any(|group| of_queries(&group.queries, sheet, lists).0 & KANA != 0)
}

/// Warns where no article of the languages asked for is written in any script of the words.
pub(super) fn check(
    (rule, groups): (&Rule<'_, '_>, &[Group<'_>]),
    sheet: &Sheet<'_, '_>,
    lists: &[Scripts],
    warnings: &mut Warnings,
) {
    let Some(node) = rule.get("lang") else { return };
    let languages = rule.texts("lang");
    let wanted = languages.iter().map(|(_, tag)| of_language(tag));
    let Some(wanted) = wanted.collect::<Option<Vec<u16>>>() else { return };
    let wanted = wanted.into_iter().fold(0, |all, scripts| all | scripts);
    let positive = groups.iter().filter(|group| !group.forbids());
    let used = positive.fold(0, |all, g| all | of_queries(&g.queries, sheet, lists).0);
    // Words without letters, such as 911, are written alike everywhere.
    if used == 0 || used & (wanted | OTHER) != 0 {
        return;
    }
    let tags: Vec<&str> = languages.iter().map(|(_, tag)| *tag).collect();
    let message = format!(
        "lang {} lets no article through that could hold these words: they are written in {}",
        tags.join(", "),
        names(used, " and ")
    );
    let remedy = format!("add words in {}, or change lang", names(wanted, " or "));
    warnings.at((rule.source, node), code::LANG_EXCLUDES, message, remedy);
}

fn names(scripts: u16, between: &str) -> String {
    let names: Vec<&str> =
        NAMES.iter().filter(|(bit, _)| scripts & bit != 0).map(|(_, name)| *name).collect();
    names.join(between)
}
