//! Texts of others made fit to stand in a message: cleaned, isolated, shortened, escaped.

use unicode_properties::GeneralCategoryGroup;
use unicode_properties::UnicodeGeneralCategory;
use unicode_segmentation::UnicodeSegmentation;
use url::Url;

use crate::model::Time;

/// Begins a stretch whose direction is its own.
const ISOLATE: char = '\u{2068}';
/// Ends it.
const RELEASE: char = '\u{2069}';
/// Breaks a word for machines and not for the eye.
const JOINER: char = '\u{2060}';
/// Marks on one letter that are kept: no script needs more.
const MAX_MARKS: usize = 8;
/// Characters read for each that is kept: more than that are not all shown.
const READ: usize = 16;
/// Longest address that becomes a link.
const MAX_LINK: usize = 1_500;

/// How a text is written for a service; it works character by character, so that a text can be cut
/// anywhere before it is escaped.
pub type Escape = fn(&str) -> String;
/// How a service counts.
pub type Measure = fn(&str) -> usize;

/// Without what would break lines, reorder the text around it or pile up on it; runs of blanks
/// become one.
pub fn clean(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut marks = 0_usize;
    for c in text.chars() {
        let group = c.general_category_group();
        marks = if group == GeneralCategoryGroup::Mark { marks + 1 } else { 0 };
        if c.is_whitespace() || c.is_control() {
            if !kept.is_empty() && !kept.ends_with(' ') {
                kept.push(' ');
            }
        } else if !is_hidden(c) && marks <= MAX_MARKS {
            kept.push(c);
        }
    }
    kept.truncate(kept.trim_end().len());
    kept
}

/// Characters that move others or that nobody sees; the joiners that letters and emoji need are
/// not among them.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{FEFF}'
        | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E007F}')
}

/// The text as it may stand in a sentence of another direction.
pub fn isolated(text: &str) -> String {
    if text.chars().any(is_right_to_left) {
        format!("{ISOLATE}{text}{RELEASE}")
    } else {
        text.to_owned()
    }
}

fn is_right_to_left(c: char) -> bool {
    matches!(c,
        '\u{0590}'..='\u{08FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFE}'
        | '\u{10800}'..='\u{10FFF}' | '\u{1E800}'..='\u{1EFFF}')
}

/// The text, escaped and at most `most` long as the service counts. It is cut between graphemes
/// with an ellipsis, and what is isolated is released before the end.
pub fn fit(text: &str, most: usize, escape: Escape, measure: Measure) -> String {
    let whole = escape(text);
    if measure(&whole) <= most {
        return whole;
    }
    let (mut kept, mut used, mut open) = (String::new(), measure("…"), 0_usize);
    for grapheme in text.graphemes(true) {
        let opens = grapheme.matches(ISOLATE).count();
        let next = (open + opens).saturating_sub(grapheme.matches(RELEASE).count());
        let piece = escape(grapheme);
        let length = measure(&piece);
        if used + length + next * RELEASE.len_utf8() > most {
            break;
        }
        kept.push_str(&piece);
        used += length;
        open = next;
    }
    if most >= measure("…") {
        kept.push('…');
    }
    kept.extend(std::iter::repeat_n(RELEASE, open));
    kept
}

/// A cleaned text of at most so many UTF-16 units. Of a very long one only the beginning is read.
pub fn short(text: &str, most: usize) -> String {
    let read = most.saturating_mul(READ);
    let beginning: String = text.chars().take(read).collect();
    fit(&clean(&beginning), most, plain, utf16)
}

/// As it is.
pub fn plain(text: &str) -> String {
    text.to_owned()
}

/// For Slack's markup: no tags, and no mentions where somebody links names.
pub fn slack(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '@' => escaped.extend(['@', JOINER]),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// For Markdown: signs that could mean something within a line are themselves, mentions are none.
/// What means something only where a line begins is kept from there by whoever writes the line.
pub fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '@' => escaped.extend(['\\', '@', JOINER]),
            // Two braces would begin a function of Adaptive Cards.
            '{' => escaped.extend(['\\', '{', JOINER]),
            '\\' | '`' | '*' | '_' | '~' | '|' | '[' | ']' | '(' | ')' | '<' | '>' | '#' => {
                escaped.extend(['\\', c]);
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

/// For text without markup in which braces and mentions still mean something.
pub fn defused(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        escaped.push(c);
        if matches!(c, '@' | '{' | '<') {
            escaped.push(JOINER);
        }
    }
    escaped
}

/// Length as services that count characters count it at most.
pub fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Length in bytes.
pub fn bytes(text: &str) -> usize {
    text.len()
}

/// An address that may become a link: http or https, not too long, and free of signs that would
/// end a link in any markup.
pub fn link(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() {
        return None;
    }
    let mut link = String::with_capacity(address.len());
    for c in url.as_str().chars() {
        match c {
            '(' => link.push_str("%28"),
            ')' => link.push_str("%29"),
            '<' => link.push_str("%3C"),
            '>' => link.push_str("%3E"),
            '|' => link.push_str("%7C"),
            '*' => link.push_str("%2A"),
            '\\' => link.push_str("%5C"),
            '`' => link.push_str("%60"),
            '{' => link.push_str("%7B"),
            '}' => link.push_str("%7D"),
            _ => link.push(c),
        }
    }
    (link.len() <= MAX_LINK).then_some(link)
}

/// A time as people read it.
pub fn when(at: Time) -> String {
    let text = at.to_string();
    let minute: String = text.chars().take(16).collect();
    format!("{} UTC", minute.replace('T', " "))
}

/// `1 report`, `2 reports`.
pub fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reorders_hides_or_breaks_lines_is_taken_out() {
        for (name, text, cleaned) in [
            ("overrides", "a\u{202E}b\u{2066}c\u{2069}\u{200F}d", "abcd"),
            ("lines", "  a\r\n\tb\u{2028}c\u{0}", "a b c"),
            ("tags", "flag\u{E0067}\u{E007F}", "flag"),
            ("joiners stay", "न\u{200D}म می\u{200C}شود", "न\u{200D}म می\u{200C}شود"),
            ("marks", "e\u{301}", "e\u{301}"),
        ] {
            assert_eq!(clean(text), cleaned, "{name}");
        }
        let piled = format!("e{}", "\u{301}".repeat(500));
        assert_eq!(clean(&piled).chars().count(), 1 + MAX_MARKS);
    }

    #[test]
    fn a_cut_falls_between_graphemes_and_releases_what_is_isolated() {
        let family = "👨\u{200D}👩\u{200D}👧";
        let units = utf16(family);
        assert_eq!(fit(&family.repeat(3), units + 1, plain, utf16), format!("{family}…"));
        assert_eq!(fit(&family.repeat(3), 2 * units, plain, utf16), format!("{family}…"));
        assert_eq!(fit("short", 5, plain, utf16), "short");
        assert_eq!(fit("too long", 0, plain, utf16), "");
        let sentence = format!("“{}” is over", isolated(&"א".repeat(50)));
        for most in 2..60 {
            let cut = fit(&sentence, most, plain, utf16);
            assert_eq!(cut.matches(ISOLATE).count(), cut.matches(RELEASE).count(), "{cut}");
            assert!(utf16(&cut) <= most, "{most}: {cut}");
        }
    }

    #[test]
    fn escapes_count_towards_the_limit_and_are_never_cut_in_two() {
        for most in 0..30 {
            let cut = fit("a<b>&<c>", most, slack, bytes);
            assert!(cut.len() <= most, "{most}: {cut}");
            let rest = cut.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            assert!(!rest.contains('&'), "{cut}");
        }
    }

    #[test]
    fn only_web_addresses_become_links() {
        for address in ["javascript:alert(1)", "data:text/html,x", "ftp://a.example/", "x", ""] {
            assert_eq!(link(address), None, "{address}");
        }
        assert_eq!(link("https://desk:pw@a.example/"), None);
        assert_eq!(link(&format!("https://a.example/{}", "x".repeat(MAX_LINK))), None);
        let odd = link("https://a.example/a)b|c>d<e*f?g={h}").unwrap();
        assert!(!odd.contains(['(', ')', '|', '<', '>', '*', '{', '}', ' ']), "{odd}");
    }

    #[test]
    fn markup_and_mentions_mean_nothing_once_escaped() {
        assert_eq!(slack("<!channel> & @here"), "&lt;!channel&gt; &amp; @\u{2060}here");
        assert_eq!(markdown("*a* [b](c) <@1>"), "\\*a\\* \\[b\\]\\(c\\) \\<\\@\u{2060}1\\>");
        assert_eq!(defused("{{DATE(x)}}"), "{\u{2060}{\u{2060}DATE(x)}}");
    }
}
