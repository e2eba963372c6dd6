//! How large and deep a template may be, judged before the engine reads it.
//!
//! The engine's parser follows chains such as `x|upper|upper|…` or `1+1+…` by calling itself, so a
//! long one would exhaust the stack and end the process: so a tag has few words. And a list that
//! holds another one several times, and so on, is written in a few words and takes for ever to be
//! written out, which no fuel pays for: so new lists hold constants only, and nothing is multiplied
//! or added. A slice walks through a whole text for the price of one step: so there are none.

use crate::delivery::format::template::MAX_TEXT;
use crate::delivery::format::template::Refusal;
use crate::delivery::format::template::position;

/// Most words, numbers, texts and signs of one tag.
const MAX_WORDS: usize = 200;
/// Most tags.
const MAX_TAGS: usize = 300;
/// Words after which a bracket begins something of its own.
const KEYWORDS: [&str; 12] =
    ["if", "elif", "else", "for", "in", "is", "not", "and", "or", "set", "with", "recursive"];
/// Words that are constants.
const CONSTANTS: [&str; 6] = ["true", "false", "none", "True", "False", "None"];

/// What an opening bracket begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Call,
    Group,
    Index,
    List,
}

/// Where a walk through a tag stands.
#[derive(Default)]
struct Tag {
    words: usize,
    word: String,
    /// What came last is a value, which can be called and indexed.
    value: bool,
    open: Vec<Bracket>,
    first: String,
    /// The `in` of a loop was seen.
    within: bool,
    wrong: Option<&'static str>,
}

/// Walks through a template as the engine's lexer does.
struct Walk<'a> {
    text: &'a str,
    chars: std::iter::Peekable<std::str::CharIndices<'a>>,
}

/// Refuses what is too long, has too many tags, or too much in one of them.
pub(super) fn judge(text: &str) -> Result<(), Refusal> {
    if text.len() > MAX_TEXT {
        let message = format!("a template has at most {} KiB", MAX_TEXT >> 10);
        return Err(Refusal { line: None, column: None, message });
    }
    let mut walk = Walk { text, chars: text.char_indices().peekable() };
    let mut tags = 0_usize;
    while let Some((at, c)) = walk.chars.next() {
        if c != '{' {
            continue;
        }
        match walk.chars.peek().map(|(_, next)| *next) {
            Some('#') => walk.comment(),
            Some(next @ ('{' | '%')) => {
                walk.chars.next();
                tags += 1;
                let tag = walk.tag(if next == '{' { '}' } else { '%' });
                if tag.words > MAX_WORDS {
                    let what = format!("this tag has more than {MAX_WORDS} words: divide it");
                    return Err(walk.refusal(at, what));
                }
                if let Some(wrong) = tag.wrong {
                    return Err(walk.refusal(at, wrong.to_owned()));
                }
                if tags > MAX_TAGS {
                    let what = format!("a template has at most {MAX_TAGS} tags: use loops");
                    return Err(walk.refusal(at, what));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

impl Walk<'_> {
    fn refusal(&self, at: usize, message: String) -> Refusal {
        let (line, column) = position(self.text, at);
        Refusal { line: Some(line), column: Some(column), message }
    }

    fn comment(&mut self) {
        let mut before = ' ';
        for (_, c) in self.chars.by_ref().skip(1) {
            if before == '#' && c == '}' {
                return;
            }
            before = c;
        }
    }

    /// To the end of a tag, which comes only where all brackets are closed.
    fn tag(&mut self, end: char) -> Tag {
        let mut tag = Tag::default();
        while let Some((_, c)) = self.chars.next() {
            let next = self.chars.peek().map(|(_, next)| *next);
            if c == end && tag.open.is_empty() && next == Some('}') {
                self.chars.next();
                break;
            }
            if c.is_alphanumeric() || c == '_' {
                tag.word.push(c);
                continue;
            }
            tag.end_word();
            if !c.is_whitespace() {
                tag.words += 1;
                tag.sign(c);
            }
            if matches!(c, '"' | '\'') {
                self.literal(c);
            }
        }
        tag.end_word();
        tag
    }

    fn literal(&mut self, quote: char) {
        while let Some((_, c)) = self.chars.next() {
            if c == '\\' {
                self.chars.next();
            } else if c == quote {
                return;
            }
        }
    }
}

impl Tag {
    fn refuse(&mut self, wrong: &'static str) {
        self.wrong.get_or_insert(wrong);
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        let word = std::mem::take(&mut self.word);
        self.words += 1;
        let is_number = word.starts_with(|c: char| c.is_ascii_digit());
        if self.open.last() == Some(&Bracket::List)
            && !is_number
            && !CONSTANTS.contains(&word.as_str())
        {
            self.refuse("a list holds constants only, such as ['alert.opened', 'alert.ended']");
        }
        if word == "raw" && self.first.is_empty() {
            self.refuse("raw is not known here: write {{ '{{' }} for two braces");
        }
        self.within |= word == "in";
        self.value = !KEYWORDS.contains(&word.as_str());
        if self.first.is_empty() {
            self.first = word;
        }
    }

    fn sign(&mut self, c: char) {
        let in_list = self.open.last() == Some(&Bracket::List);
        let is_value = self.value;
        self.value = matches!(c, ')' | ']' | '"' | '\'');
        match c {
            '(' | '[' if in_list => self.refuse("a list holds constants only: no lists in it"),
            '(' => self.open.push(if is_value { Bracket::Call } else { Bracket::Group }),
            '[' => self.open.push(if is_value { Bracket::Index } else { Bracket::List }),
            ')' | ']' => {
                self.open.pop();
            }
            '{' => self.refuse("a template makes no maps: write JSON outside of the tags"),
            ':' => self.refuse(
                "nothing is sliced: truncate(20) shortens a text, loop.index counts in a list",
            ),
            '+' | '*' => self.refuse("nothing is added or multiplied: ~ joins texts"),
            '|' | '~' | '.' if in_list => self.refuse("a list holds constants only"),
            ',' => match self.open.last() {
                Some(Bracket::Call | Bracket::List) => {}
                None if self.first == "for" && !self.within => {}
                _ => self.refuse("values beside each other make a list: write them one by one"),
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_refused_however_they_are_hidden() {
        let chain = "~1".repeat(MAX_WORDS);
        for (name, text) in [
            ("plain", format!("{{{{ 1{chain} }}}}")),
            ("after an end in a text", format!("{{{{ '}}}}'{chain} }}}}")),
            ("after an end in brackets", format!("{{{{ ('}}}}'){chain} }}}}")),
            ("after a quoted quote", format!("{{{{ '\\''{chain} }}}}")),
            ("after a comment", format!("{{# {{{{ ' #}}{{{{ 1{chain} }}}}")),
            ("after an apostrophe", format!("it's {{{{ 1{chain} }}}}")),
            ("in a block", format!("{{%- if 1{chain} %}}{{% endif %}}")),
            ("not ended", format!("{{{{ 1{chain}")),
            ("after raw", format!("{{%- raw %}}{{{{ '{{% endraw %}}{{{{ 1{chain} }}}}'")),
            ("many tags", "{{ 1 }}".repeat(MAX_TAGS + 1)),
            ("long", "x".repeat(MAX_TEXT + 1)),
        ] {
            assert!(judge(&text).is_err(), "{name}");
        }
        let text = format!("{{{{ 1{} }}}}", "~1".repeat(MAX_WORDS / 2 - 1));
        judge(&text.repeat(3)).unwrap();
    }

    #[test]
    fn lists_that_hold_others_are_refused_and_what_people_write_is_not() {
        for text in [
            "{{ [a] }}",
            "{% set x = [x, x] %}",
            "{% set x = (x, x) %}",
            "{% set x = x, x %}",
            "{% for x in (a, a) %}",
            "{% for x in a, a %}",
            "{{ [[1]] }}",
            "{{ [1] * 9 }}",
            "{{ x + x }}",
            "{{ {'a': a} }}",
            "{{ x [a, a] }}",
            "{{ f(x)[1, 2] }}",
            "{{ f((a, a)) }}",
            "{{ [1 .x] }}",
            "{{ ['a'|list] }}",
            "{% if [a] %}",
            "{{ x[:9] }}",
            "{{ x[9:][0] }}",
            "{% set y = x [::2] %}",
        ] {
            assert!(judge(text).is_err(), "{text}");
        }
        for text in [
            "{ } {{ '#}' }} {# it's: #}: { % raw %}",
            "{% for k, v in alert|items %}{{ k ~ ': ' ~ v }}{% endfor %}",
            "{% if type in ['alert.opened', \"alert.ended\", 1, -2, none] %}",
            "{{ articles[0].evidence[-1].text|replace('a', 'b')|truncate(20) }}",
            "{{ '*' if (a and (b or not c)) else '[x, y]' }}",
            "{% for n in range(1, 3) %}{{ loop.cycle('a', 'b') }}{% endfor %}",
        ] {
            judge(text).unwrap();
        }
    }
}
