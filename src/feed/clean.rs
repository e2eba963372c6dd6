//! Plain text in the shape that articles have.

use std::borrow::Cow;

/// One line: line breaks and tabs become spaces, control characters go, ends are trimmed. What is
/// inside keeps its places, so that evidence points into the text as it was given.
pub(super) fn line(text: &str) -> String {
    let spaced = text.chars().map(|c| if is_break(c) || c == '\t' { ' ' } else { c });
    let kept: String = spaced.filter(|c| !c.is_control()).collect();
    kept.trim().to_owned()
}

/// One line with every run of white space as one space.
pub(super) fn squeezed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !word.is_empty() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(word);
        }
    }
    out
}

/// Paragraphs separated by exactly one empty line; single line breaks stay.
pub(super) fn paragraphs(text: &str) -> String {
    build(text, '\n')
}

/// Paragraphs separated by exactly one empty line; single line breaks become a space.
pub(super) fn joined(text: &str) -> String {
    build(text, ' ')
}

/// Lines with `\n` as the only line break and without control characters.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let all = rest?;
        let (raw, tail) = match all.find(is_break) {
            None => (all, None),
            Some(at) => {
                let (raw, tail) = all.split_at(at);
                let after = tail.strip_prefix("\r\n").or_else(|| {
                    let mut chars = tail.chars();
                    chars.next();
                    Some(chars.as_str())
                });
                (raw, after)
            }
        };
        rest = tail;
        let gone = |c: &char| c.is_control() && *c != '\t';
        if !raw.chars().any(|c| gone(&c)) {
            return Some(Cow::Borrowed(raw.trim_end()));
        }
        let kept: String = raw.chars().filter(|c| !gone(c)).collect();
        Some(Cow::Owned(kept.trim_end().to_owned()))
    })
}

/// Cuts the text to so many code points; answers whether it was longer.
pub(super) fn cut(text: &mut String, most: usize) -> bool {
    // No character is longer than its bytes, so short texts need no counting.
    if text.len() <= most {
        return false;
    }
    match text.char_indices().nth(most) {
        None => false,
        Some((at, _)) => {
            text.truncate(at);
            text.truncate(text.trim_end().len());
            true
        }
    }
}

fn build(text: &str, between: char) -> String {
    let mut out = String::with_capacity(text.len());
    let mut empty = 0_usize;
    for line in lines(text) {
        if line.trim().is_empty() {
            empty += 1;
            continue;
        }
        if out.is_empty() {
            out.push_str(line.trim_start());
        } else if empty > 0 {
            out.push_str("\n\n");
            out.push_str(&line);
        } else {
            out.push(between);
            out.push_str(if between == ' ' { line.trim_start() } else { &line });
        }
        empty = 0;
    }
    out
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_break_divides_and_empty_lines_make_paragraphs() {
        for (text, want) in [
            ("a\r\nb\rc\nd", "a b c d"),
            ("a\n\n\n \t\nb", "a\n\nb"),
            ("  a  \n  b  ", "a b"),
            ("\u{0}a\u{0}\n\u{0}\nb", "a\n\nb"),
            ("“a”\u{2029}\u{2029}'b'", "“a”\n\n'b'"),
            ("", ""),
            ("\n\n", ""),
        ] {
            assert_eq!(joined(text), want, "{text:?}");
        }
        assert_eq!(paragraphs("a\r\nb\r\n\r\n\r\nc\n"), "a\nb\n\nc");
        assert_eq!(line(" a\tb\r\nc\u{7} "), "a b  c");
        assert_eq!(squeezed(" a \u{A0} b\n"), "a b");
    }

    #[test]
    fn a_text_is_cut_at_code_points() {
        let mut text = "жжжж".to_owned();
        assert!(!cut(&mut text, 4));
        assert!(cut(&mut text, 3));
        assert_eq!(text, "жжж");
    }
}
