//! Words of others on a page: escaped, kept apart from their surroundings, with what counted marked.

use std::fmt;
use std::fmt::Write;

use askama::filters::HtmlSafe;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::api::problem::Fault;
use crate::api::problem::Problem;
use crate::model::Evidence;
use crate::model::Time;
use crate::model::matching::Field;
use crate::text::class;

/// A text of others. It is its own HTML: escaped, in an element that keeps its direction to itself,
/// with evidence in `<mark>`. What would turn the direction of letters is shown and not obeyed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    text: String,
    marked: bool,
}

/// An instant, as how long ago it was or is to come. It is its own HTML.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    at: Time,
    now: Time,
}

/// A length of time in milliseconds, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length(pub(super) u64);

impl HtmlSafe for Words {}
impl HtmlSafe for Moment {}

impl Words {
    pub(super) fn plain(text: &str) -> Self {
        Self(vec![Piece { text: text.to_owned(), marked: false }])
    }

    /// A text of an article, or its beginning, with the evidence in it. Evidence that does not quote
    /// what stands there is left out: a mark is a promise.
    pub(super) fn marked(text: &str, field: Field, evidence: &[Evidence]) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let quotes = |one: &&Evidence| {
            let slice = chars.get(one.start as usize..one.end as usize);
            one.field == field && slice.is_some_and(|s| s.iter().copied().eq(one.text.chars()))
        };
        let mut spans: Vec<(usize, usize)> =
            evidence.iter().filter(quotes).map(|e| (e.start as usize, e.end as usize)).collect();
        spans.sort_unstable();
        let (mut pieces, mut at) = (Vec::new(), 0);
        let mut push = |from: usize, to: usize, marked: bool| {
            let text: String = chars.get(from..to).unwrap_or_default().iter().collect();
            if !text.is_empty() {
                pieces.push(Piece { text, marked });
            }
        };
        for (start, end) in spans {
            push(at, start.max(at), false);
            push(start.max(at), end.max(at), true);
            at = at.max(end);
        }
        push(at, chars.len(), false);
        Self(pieces)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|piece| piece.text.is_empty())
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<bdi>")?;
        for piece in &self.0 {
            let (before, after) = if piece.marked { ("<mark>", "</mark>") } else { ("", "") };
            f.write_str(before)?;
            piece.text.chars().try_for_each(|c| character(c, f))?;
            f.write_str(after)?;
        }
        f.write_str("</bdi>")
    }
}

fn character(c: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match c {
        '&' => f.write_str("&amp;"),
        '<' => f.write_str("&lt;"),
        '>' => f.write_str("&gt;"),
        '"' => f.write_str("&quot;"),
        '\'' => f.write_str("&#39;"),
        c if class::turns_direction(c) => write!(f, "[U+{:04X}]", u32::from(c)),
        c if c.is_control() && !c.is_whitespace() => write!(f, "[U+{:04X}]", u32::from(c)),
        c => f.write_char(c),
    }
}

/// The word that an enum has on the wire.
pub(super) fn word(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().replace('_', " ")
}

/// What a form's field or a query says; none where it is empty. `name` is said where it is wrong.
pub(super) fn choice<T: DeserializeOwned>(name: &str, text: &str) -> Result<Option<T>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let value = serde_json::from_value::<T>(text.into());
    value.map(Some).map_err(|error| Problem::invalid(vec![Fault::new(name, error.to_string())]))
}

/// A text as JSON and YAML both read it, in which nothing turns the direction of letters.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        if class::turns_direction(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// An address that a page may lead to.
pub(super) fn web(url: Option<&str>) -> Option<String> {
    let url = Url::parse(url?).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.to_string())
}

impl Moment {
    pub(super) fn new(at: Time, now: Time) -> Self {
        Self { at, now }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, now } = *self;
        let length =
            |d: std::time::Duration| Length(u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        let whole = at.to_string();
        let second = whole.get(..19).unwrap_or(&whole).replace('T', " ");
        write!(f, "<time datetime=\"{whole}\" title=\"{second} UTC\">")?;
        if at > now {
            write!(f, "in {}", length(at.since(now)))?;
        } else if now.since(at).as_secs() < 1 {
            f.write_str("now")?;
        } else {
            write!(f, "{} ago", length(now.since(at)))?;
        }
        f.write_str("</time>")
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        match seconds {
            0 => write!(f, "{} ms", self.0),
            1..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{} min", seconds / 60),
            7_200..172_800 => write!(f, "{} h", seconds / 3_600),
            _ => write!(f, "{} d", seconds / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(field: Field, start: u32, text: &str) -> Evidence {
        let end = start + u32::try_from(text.chars().count()).unwrap();
        Evidence { field, start, end, text: text.to_owned(), term: "any[0]".to_owned(), lang: None }
    }

    #[test]
    fn what_others_write_is_text_whatever_it_is() {
        for (text, shown) in [
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("\"' onload='x", "&quot;&#39; onload=&#39;x"),
            ("a&amp;b", "a&amp;amp;b"),
            ("x\u{202e}gpj.exe", "x[U+202E]gpj.exe"),
            ("\u{2067}a\u{2069}\u{200f}", "[U+2067]a[U+2069][U+200F]"),
            ("a\u{0}b\u{1b}", "a[U+0000]b[U+001B]"),
            ("Київ\nдва", "Київ\nдва"),
        ] {
            assert_eq!(Words::plain(text).to_string(), format!("<bdi>{shown}</bdi>"), "{text:?}");
        }
    }

    #[test]
    fn evidence_is_marked_where_it_stands_and_only_where_it_is_true() {
        let text = "Сирена <b> і сирена";
        for (name, all, shown) in [
            ("none", vec![], "Сирена &lt;b&gt; і сирена"),
            (
                "one",
                vec![evidence(Field::Title, 0, "Сирена")],
                "<mark>Сирена</mark> &lt;b&gt; і сирена",
            ),
            (
                "two that overlap, in any order",
                vec![evidence(Field::Title, 11, "і сирена"), evidence(Field::Title, 13, "сирена")],
                "Сирена &lt;b&gt; <mark>і сирена</mark>",
            ),
            (
                "markup",
                vec![evidence(Field::Title, 7, "<b>")],
                "Сирена <mark>&lt;b&gt;</mark> і сирена",
            ),
            (
                "of another text",
                vec![evidence(Field::Body, 0, "Сирена")],
                "Сирена &lt;b&gt; і сирена",
            ),
            (
                "a wrong quote",
                vec![evidence(Field::Title, 1, "Сирена")],
                "Сирена &lt;b&gt; і сирена",
            ),
            ("beyond the end", vec![evidence(Field::Title, 90, "x")], "Сирена &lt;b&gt; і сирена"),
        ] {
            let marked = Words::marked(text, Field::Title, &all).to_string();
            assert_eq!(marked, format!("<bdi>{shown}</bdi>"), "{name}");
        }
    }

    #[test]
    fn links_lead_to_the_web_or_nowhere() {
        for (url, wanted) in [
            ("https://skylark.example/a?b=c", Some("https://skylark.example/a?b=c")),
            (
                "http://skylark.example/\"><script>",
                Some("http://skylark.example/%22%3E%3Cscript%3E"),
            ),
            ("javascript:alert(1)", None),
            ("JaVaScRiPt:alert(1)", None),
            (" javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("//skylark.example/", None),
            ("/local", None),
            ("", None),
        ] {
            assert_eq!(web(Some(url)).as_deref(), wanted, "{url}");
        }
    }

    #[test]
    fn ages_are_told_in_the_unit_that_fits() {
        let now = Time::from_millis(1_768_773_902_114);
        for (ms, wanted) in [
            (0, "now"),
            (59_000, "59 s ago"),
            (180_000, "3 min ago"),
            (10_800_000, "3 h ago"),
            (864_000_000, "10 d ago"),
            (-300_000, "in 5 min"),
        ] {
            let shown = Moment::new(Time::from_millis(now.millis() - ms), now).to_string();
            assert!(shown.ends_with(&format!(">{wanted}</time>")), "{shown}");
        }
        let shown = Moment::new(now, now).to_string();
        assert!(shown.contains("title=\"2026-01-18 22:05:02 UTC\""), "{shown}");
        assert_eq!(Length(37).to_string(), "37 ms");
    }

    #[test]
    fn a_quoted_text_is_read_back_and_turns_nothing() {
        let text = "a \"b\" \\ \u{202e}c\nd: [x]";
        let shown = quoted(text);
        assert!(!shown.contains('\u{202e}') && !shown.contains('\n'), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }
}
