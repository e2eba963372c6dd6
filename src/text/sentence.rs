//! Sentences, and the lead that ends with the second one.

/// Most code points of the body that belong to the lead.
pub const MAX_LEAD_CHARS: usize = 400;

/// One past the last code point of the body that belongs to the lead: its first two sentences,
/// but no more than [`MAX_LEAD_CHARS`].
pub fn lead_end(body: &str) -> usize {
    // Looking a little further tells whether a full stop at the limit ends a sentence; it makes no
    // difference to the limit itself.
    let mut chars = ['\0'; MAX_LEAD_CHARS + 32];
    let length = chars.iter_mut().zip(body.chars()).map(|(slot, c)| *slot = c).count();
    let chars = chars.get(..length).unwrap_or_default();
    let second = Ends { chars, at: 0 }.nth(1).unwrap_or(length);
    second.min(MAX_LEAD_CHARS)
}

/// The first sentences of a text that fit into `limit` code points, or that many of the text.
pub fn excerpt(text: &str, limit: usize) -> String {
    let chars: Vec<char> = text.chars().take(limit + 32).collect();
    if chars.len() <= limit {
        return chars.iter().collect();
    }
    let ends = Ends { chars: &chars, at: 0 }.take_while(|end| *end <= limit);
    let end = ends.last().unwrap_or(limit);
    chars.iter().take(end).collect()
}

/// One past each sentence end.
struct Ends<'a> {
    chars: &'a [char],
    at: usize,
}

impl Iterator for Ends<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while let Some(c) = self.char(self.at) {
            let stop = self.at;
            self.at += 1;
            if is_wide_stop(c) {
                self.skip(|c| is_wide_stop(c) || is_closer(c));
                return Some(self.at);
            }
            if is_stop(c) && !(c == '.' && self.is_initial(stop)) {
                self.skip(is_closer);
                if self.char(self.at).is_none_or(char::is_whitespace) {
                    return Some(self.at);
                }
                self.at = stop + 1;
            }
        }
        None
    }
}

impl Ends<'_> {
    fn char(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    fn skip(&mut self, wanted: fn(char) -> bool) {
        while self.char(self.at).is_some_and(wanted) {
            self.at += 1;
        }
    }

    /// Whether the full stop follows a single letter, as in `U.N. envoy`.
    fn is_initial(&self, stop: usize) -> bool {
        let letter =
            |at: Option<usize>| at.and_then(|at| self.char(at)).is_some_and(char::is_alphabetic);
        letter(stop.checked_sub(1)) && !letter(stop.checked_sub(2))
    }
}

fn is_stop(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '؟' | '۔' | '।')
}

fn is_wide_stop(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '｡')
}

fn is_closer(c: char) -> bool {
    matches!(
        c,
        '"' | '\''
            | '”'
            | '’'
            | '“'
            | '‘'
            | '»'
            | '«'
            | '›'
            | '‹'
            | ')'
            | ']'
            | '}'
            | '」'
            | '』'
            | '）'
            | '】'
            | '〉'
            | '》'
            | '］'
            | '｣'
            | '〕'
            | '＂'
            | '＇'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(body: &str) -> String {
        body.chars().take(lead_end(body)).collect()
    }

    #[test]
    fn the_lead_is_the_first_two_sentences() {
        for (body, expected) in [
            ("The ferry left. The crew waved! The dog barked.", "The ferry left. The crew waved!"),
            ("The U.N. envoy left. The dog barked. Rain.", "The U.N. envoy left. The dog barked."),
            ("“Stop.” He ran. The dog barked.", "“Stop.” He ran."),
            ("Up 3.5 points today. It rained. Then", "Up 3.5 points today. It rained."),
            ("Wait... What?! Yes.", "Wait... What?!"),
            ("船走了。人來了。狗叫。", "船走了。人來了。"),
            ("「走！」他說。狗叫。", "「走！」他說。"),
            ("no end", "no end"),
            ("", ""),
        ] {
            assert_eq!(lead(body), expected);
        }
    }

    #[test]
    fn a_lead_never_exceeds_its_limit() {
        assert_eq!(lead_end(&"word ".repeat(1000)), MAX_LEAD_CHARS);
        assert_eq!(lead_end(&"早".repeat(399)), 399);
    }

    #[test]
    fn an_excerpt_ends_with_a_sentence_where_one_ends() {
        assert_eq!(excerpt("One two. Three four. Five", 12), "One two.");
        assert_eq!(excerpt("One two three four", 7), "One two");
        assert_eq!(excerpt("One.", 7), "One.");
    }
}
