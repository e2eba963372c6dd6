//! HTML to plain text: tags go, blocks become paragraphs, entities become characters. Linear in
//! the input, whatever the markup.

use crate::feed::clean;

/// How far a tag with quotes is followed; beyond that quotes count for nothing.
const MAX_TAG: usize = 2_048;
/// Longest entity name.
const MAX_ENTITY: usize = 40;

/// Elements that begin and end a paragraph.
const BLOCKS: [&str; 38] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "center",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "option",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tbody",
    "tr",
    "ul",
    "video",
];

/// Elements whose content is not for readers.
const HIDDEN: [&str; 8] =
    ["script", "style", "template", "noembed", "noframes", "object", "svg", "textarea"];

/// The text of a piece of HTML, paragraphs separated by one empty line.
pub fn to_text(html: &str) -> String {
    if !html.contains('<') {
        let text = clean::joined(&unescape(html));
        return text.split("\n\n").map(clean::squeezed).collect::<Vec<_>>().join("\n\n");
    }
    let mut writer = Writer::default();
    let mut quotes_count = true;
    // Hidden elements that the rest of the text does not close: looked for once each.
    let mut left_open: Vec<String> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (text, tail) = rest.split_at(at);
        writer.text(&unescape(text));
        match Piece::read(tail, &mut quotes_count) {
            Piece::Text(text, after) => {
                writer.text(text);
                rest = after;
            }
            Piece::Tag(name, after) => {
                rest = after;
                match name.strip_prefix('/') {
                    None if HIDDEN.contains(&name.as_str()) && !left_open.contains(&name) => {
                        match behind(after, &name) {
                            Some(after) => rest = after,
                            // What follows a script is a script; what follows others is text.
                            None if matches!(name.as_str(), "script" | "style") => rest = "",
                            None => left_open.push(name),
                        }
                    }
                    inner => writer.tag(inner.unwrap_or(&name)),
                }
            }
            Piece::Nothing(after) => rest = after,
        }
    }
    writer.text(&unescape(rest));
    writer.out
}

/// The text of a piece of HTML on one line.
pub fn to_line(html: &str) -> String {
    clean::squeezed(&to_text(html))
}

/// Entities as characters; what is no entity stays as written.
pub fn unescape(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let name = tail.char_indices().take(MAX_ENTITY).find(|(_, c)| *c == ';');
        let found = name.and_then(|(end, _)| {
            let name = tail.get(1..end)?;
            Some((entity(name)?, tail.get(end + 1..)?))
        });
        match found {
            Some((character, after)) => {
                out.push_str(&character);
                rest = after;
            }
            None => {
                out.push('&');
                rest = tail.strip_prefix('&').unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out.into()
}

/// What the name between `&` and `;` stands for.
pub(super) fn entity(name: &str) -> Option<String> {
    let Some(number) = name.strip_prefix('#') else {
        return quick_xml::escape::resolve_html5_entity(name).map(str::to_owned);
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    match char::from_u32(code)? {
        '\0' => Some(String::new()),
        // Pages written for windows-1252 number their quotes and dashes so.
        c @ '\u{80}'..='\u{9F}' => Some(meant(c).map(String::from).unwrap_or_default()),
        c => Some(c.into()),
    }
}

/// The character of windows-1252 that a control character stands for, if there is one.
pub(super) fn meant(c: char) -> Option<char> {
    let byte = u8::try_from(c).ok().filter(|b| (0x80..0xA0).contains(b))?;
    encoding_rs::WINDOWS_1252.decode(&[byte]).0.chars().next().filter(|c| !c.is_control())
}

enum Piece<'a> {
    /// Characters to be taken as they are.
    Text(&'a str, &'a str),
    /// A tag by its lower-case name, with `/` before it if it closes.
    Tag(String, &'a str),
    /// A comment, declaration or instruction.
    Nothing(&'a str),
}

impl<'a> Piece<'a> {
    /// Reads what begins with this `<`.
    fn read(tail: &'a str, quotes_count: &mut bool) -> Self {
        if let Some(comment) = tail.strip_prefix("<!--") {
            return Self::Nothing(comment.split_once("-->").map_or("", |(_, after)| after));
        }
        if let Some(raw) = tail.strip_prefix("<![CDATA[") {
            let (text, after) = raw.split_once("]]>").unwrap_or((raw, ""));
            return Self::Text(text, after);
        }
        let inside = tail.strip_prefix('<').unwrap_or_default();
        let name = inside.strip_prefix('/').unwrap_or(inside);
        let is_markup = inside.starts_with(['!', '?']);
        if !is_markup && !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Self::Text("<", inside);
        }
        let Some(end) = tag_end(inside, quotes_count) else {
            return Self::Text(tail, "");
        };
        let (tag, after) = inside.split_at(end);
        let after = after.strip_prefix('>').unwrap_or_default();
        if is_markup {
            return Self::Nothing(after);
        }
        let closes = if tag.starts_with('/') { "/" } else { "" };
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        Self::Tag(format!("{closes}{name}"), after)
    }
}

/// Where the `>` of a tag is. Once a quote was not closed in time, quotes count no more: otherwise
/// every tag could look through the rest of the document.
pub(super) fn tag_end(inside: &str, quotes_count: &mut bool) -> Option<usize> {
    if *quotes_count {
        let mut quote = None;
        for (at, b) in inside.bytes().take(MAX_TAG).enumerate() {
            match (quote, b) {
                (None, b'>') => return Some(at),
                (None, b'"' | b'\'') => quote = Some(b),
                (Some(open), b) if open == b => quote = None,
                _ => {}
            }
        }
        *quotes_count = false;
    }
    inside.find('>')
}

/// What follows the closing tag of `name`.
fn behind<'a>(mut rest: &'a str, name: &str) -> Option<&'a str> {
    while let Some((_, tail)) = rest.split_once("</") {
        let found = tail.split_at_checked(name.len());
        if let Some((_, after)) = found.filter(|(tag, _)| tag.eq_ignore_ascii_case(name)) {
            return Some(after.split_once('>').map_or("", |(_, after)| after));
        }
        rest = tail;
    }
    None
}

#[derive(Clone, Copy, Default, PartialEq, PartialOrd)]
enum Gap {
    #[default]
    None,
    Space,
    Line,
    Paragraph,
}

/// Collects text and the largest gap since the last character.
#[derive(Default)]
struct Writer {
    out: String,
    gap: Gap,
}

impl Writer {
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.widen(Gap::Space);
            } else if !c.is_control() {
                if !self.out.is_empty() {
                    self.out.push_str(match self.gap {
                        Gap::None => "",
                        Gap::Space | Gap::Line => " ",
                        Gap::Paragraph => "\n\n",
                    });
                }
                self.gap = Gap::None;
                self.out.push(c);
            }
        }
    }

    fn tag(&mut self, name: &str) {
        match name {
            // Two line breaks in a row are how many pages write a paragraph.
            "br" if self.gap == Gap::Line => self.widen(Gap::Paragraph),
            "br" => self.widen(Gap::Line),
            "td" | "th" | "img" | "iframe" => self.widen(Gap::Space),
            _ if BLOCKS.contains(&name) => self.widen(Gap::Paragraph),
            _ => {}
        }
    }

    fn widen(&mut self, gap: Gap) {
        if gap > self.gap {
            self.gap = gap;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_paragraphs() {
        for (html, want) in [
            ("<p>One <b>two</b>.</p><p>Three</p>", "One two.\n\nThree"),
            ("a<br>b<br/><br>c", "a b\n\nc"),
            ("a&nbsp;&mdash; &#39;b&#x27; &#150; &unknown; AT&T", "a — 'b' – &unknown; AT&T"),
            ("1 < 2 <3 <p>x", "1 < 2 <3\n\nx"),
            ("<script>if (a<b) '</p>'</script>x<style>y</style>", "x"),
            ("<a title=\"a > b\" href='x'>link</a> text", "link text"),
            ("<!-- no --><![CDATA[raw]]> <?php x ?>z", "raw z"),
            ("plain\ntext\n\nsecond &amp; last", "plain text\n\nsecond & last"),
            ("<ul><li>a<li>b</ul>", "a\n\nb"),
            ("<img src=\"a", "<img src=\"a"),
            ("<object data='x'>Sirens<object><svg>sound", "Sirenssound"),
            ("a<object data='x'>b</object>c<script>d", "ac"),
            ("<!-- open", ""),
            ("", ""),
        ] {
            assert_eq!(to_text(html), want, "{html}");
        }
        assert_eq!(to_line("<i>Sirens</i>\n in <br>town"), "Sirens in town");
    }

    #[test]
    fn hostile_markup_is_read_in_linear_time() {
        for piece in [
            "<a \"",
            "<a",
            "<script>",
            "<svg>",
            "<object><svg>",
            "&",
            "<!--",
            "<![CDATA[",
            "</",
            "<p '>",
            "&#",
        ] {
            let html = piece.repeat(200_000);
            assert!(to_text(&html).len() <= html.len(), "{piece}");
        }
    }
}
