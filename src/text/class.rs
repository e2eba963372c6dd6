//! What a character is to a word.

use unicode_properties::GeneralCategory;
use unicode_properties::GeneralCategoryGroup;
use unicode_properties::UnicodeGeneralCategory;

/// The part a character plays in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A letter (category L).
    Letter,
    /// A decimal digit (Nd).
    Digit,
    /// Another number (Nl, No).
    Number,
    /// A mark (M).
    Mark,
    /// A format character (Cf): invisible, never part of a folded word.
    Format,
    /// Everything else: it separates words.
    Other,
}

impl Class {
    /// Whether a word may begin with it.
    pub fn starts_word(self) -> bool {
        matches!(self, Self::Letter | Self::Digit | Self::Number)
    }
}

/// The class of a character. The frequent blocks are decided without the table.
pub fn class(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' => Class::Letter,
        '0'..='9' => Class::Digit,
        _ if c.is_ascii() => Class::Other,
        '\u{400}'..='\u{481}' | '\u{5D0}'..='\u{5EA}' => Class::Letter,
        '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}' => Class::Letter,
        '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FA}' => Class::Letter,
        _ => match c.general_category_group() {
            GeneralCategoryGroup::Letter => Class::Letter,
            GeneralCategoryGroup::Mark => Class::Mark,
            GeneralCategoryGroup::Number => match c.general_category() {
                GeneralCategory::DecimalNumber => Class::Digit,
                _ => Class::Number,
            },
            _ if c.general_category() == GeneralCategory::Format => Class::Format,
            _ => Class::Other,
        },
    }
}

/// Whether a character changes the direction in which those after it are read.
pub fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether the character belongs to a script that is written from right to left.
pub fn is_from_right(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fdff}'
        | '\u{fe70}'..='\u{fefe}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

/// Whether the character belongs to a script that writes no spaces: each of its letters takes a
/// position of its own.
pub fn is_spaceless(c: char) -> bool {
    matches!(c,
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '々' | '〇' | '\u{3040}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF66}'..='\u{FF9F}'
        | '\u{20000}'..='\u{323AF}')
}

/// The half-width voicing marks: letters to Unicode, marks of the kana before them to a reader.
pub fn is_voicing(c: char) -> bool {
    matches!(c, '\u{FF9E}' | '\u{FF9F}')
}

/// Every character that is written for an apostrophe, though some of them are letters to Unicode.
pub fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’' | 'ʼ' | '‘' | '`' | 'ʹ' | '＇' | '′')
}

/// The hyphens that join words to a chain, maqaf included.
pub fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}' | '\u{2011}' | '\u{2012}' | '\u{2013}' | '\u{5BE}')
}

/// What stands between two Hebrew letters of one word.
pub fn is_hebrew_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '\u{5F3}' | '\u{5F4}')
}

/// Whether it is a Hebrew letter.
pub fn is_hebrew_letter(c: char) -> bool {
    matches!(c, '\u{5D0}'..='\u{5EA}' | '\u{5EF}'..='\u{5F2}' | '\u{FB1D}'..='\u{FB4F}')
        && class(c) == Class::Letter
}

/// Whether it is a letter of the Arabic script.
pub fn is_arabic_letter(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{6FF}' | '\u{750}'..='\u{77F}' | '\u{870}'..='\u{8FF}'
        | '\u{FB50}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}')
        && class(c) == Class::Letter
}

/// Whether it is a Cyrillic letter.
pub fn is_cyrillic_letter(c: char) -> bool {
    matches!(c, '\u{400}'..='\u{52F}' | '\u{1C80}'..='\u{1C8F}' | '\u{2DE0}'..='\u{2DFF}'
        | '\u{A640}'..='\u{A69F}')
        && class(c) == Class::Letter
}

/// Whether it is a Hangul syllable.
pub fn is_hangul_syllable(c: char) -> bool {
    matches!(c, '\u{AC00}'..='\u{D7A3}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_cuts_agree_with_the_table() {
        for c in (0..0x32000_u32).filter_map(char::from_u32) {
            let table = match c.general_category() {
                GeneralCategory::DecimalNumber => Class::Digit,
                GeneralCategory::Format => Class::Format,
                _ => match c.general_category_group() {
                    GeneralCategoryGroup::Letter => Class::Letter,
                    GeneralCategoryGroup::Mark => Class::Mark,
                    GeneralCategoryGroup::Number => Class::Number,
                    _ => Class::Other,
                },
            };
            assert_eq!(class(c), table, "{c:?}");
        }
    }
}
