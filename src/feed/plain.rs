//! One article in plain text.

use std::borrow::Cow;

use crate::feed::Draft;
use crate::feed::Fault;
use crate::feed::Rejected;
use crate::feed::clean;
use crate::feed::date;
use crate::model::Lang;
use crate::model::SourceId;

/// A first line longer than this is no title.
const MAX_TITLE: usize = 300;
/// What may stand between a date and the title.
const MARKS: [char; 6] = [':', '|', ',', '-', '–', '—'];
/// Names of the lines that may stand between title and body.
const KEYS: [&str; 6] = ["title", "date", "source", "url", "author", "lang"];

/// Reads it: a first line `date 2024-01-10 Title` or `Title`, perhaps lines `Key: value`, an empty
/// line, paragraphs. A date in the body is never read.
pub(super) fn read(text: &str) -> Result<Draft, Rejected> {
    let lines = clean::lines(text).skip_while(|l| l.trim().is_empty());
    let lines: Vec<String> = lines.map(Cow::into_owned).collect();
    let mut draft = Draft::default();
    let rest = head(&mut draft, &lines);
    if draft.title.is_empty() {
        draft.title = rest.title;
    }
    draft.body = clean::joined(&rest.lines.join("\n"));
    if draft.is_empty() {
        let message = "the text is empty; give a title, an empty line and paragraphs";
        return Err(Rejected { line: Some(1), errors: vec![Fault::new("", message)] });
    }
    Ok(draft)
}

struct Rest<'a> {
    title: String,
    lines: &'a [String],
}

/// Reads what stands before the body and answers what is left.
fn head<'a>(draft: &mut Draft, lines: &'a [String]) -> Rest<'a> {
    let Some((first, after)) = lines.split_first() else {
        return Rest { title: String::new(), lines };
    };
    match dated(first) {
        Dated::Title(at, title) => {
            draft.published_at = Some(at);
            return Rest { title, lines: keys(draft, after) };
        }
        Dated::Impossible => {
            draft.problem("the date in the first line does not exist and was left in the title");
            return Rest { title: clean::line(first), lines: keys(draft, after) };
        }
        Dated::No => {}
    }
    let body = keys(draft, lines);
    if body.len() < lines.len() {
        // Lines `Key: value` at the very beginning; a title may still follow them.
        if !draft.title.is_empty() {
            return Rest { title: String::new(), lines: body };
        }
        let body = body.iter().position(|l| !l.is_empty()).map_or(&body[..0], |at| &body[at..]);
        return titled(draft, body);
    }
    titled(draft, lines)
}

/// A title on the first line, where an empty line, `Key: value` lines or nothing follows it.
fn titled<'a>(draft: &mut Draft, lines: &'a [String]) -> Rest<'a> {
    let Some((first, after)) = lines.split_first() else {
        return Rest { title: String::new(), lines };
    };
    let short = first.chars().count() <= MAX_TITLE;
    let body = keys(draft, after);
    let ends = after.first().is_none_or(|l| l.trim().is_empty()) || body.len() < after.len();
    if short && ends {
        return Rest { title: clean::line(first), lines: body };
    }
    Rest { title: String::new(), lines }
}

enum Dated {
    Title(crate::model::Time, String),
    Impossible,
    No,
}

/// `date 2024-01-10 Title`, the word optional.
fn dated(line: &str) -> Dated {
    let line = line.trim();
    let rest = match line.split_at_checked(4) {
        Some((word, rest)) if word.eq_ignore_ascii_case("date") => {
            rest.trim_start_matches(|c: char| c.is_whitespace() || MARKS.contains(&c))
        }
        _ => line,
    };
    let Some((at, after)) = date::leading(rest) else { return Dated::No };
    let title = after.trim_start_matches(|c: char| c.is_whitespace() || MARKS.contains(&c));
    if title.is_empty() || title.len() == after.len() {
        // Nothing follows, or something that belongs to the number itself.
        return Dated::No;
    }
    match at {
        Some(at) => Dated::Title(at, clean::line(title)),
        None => Dated::Impossible,
    }
}

/// Takes lines `Key: value` up to an empty line, if there is nothing else before it. Answers what
/// follows; the lines themselves if there are none.
fn keys<'a>(draft: &mut Draft, lines: &'a [String]) -> &'a [String] {
    let block = lines.iter().take_while(|l| !l.trim().is_empty()).count();
    let Some((head, body)) = lines.split_at_checked(block) else { return lines };
    let pairs: Option<Vec<(&str, &str)>> = head.iter().map(|l| key(l)).collect();
    let Some(pairs) = pairs.filter(|p| !p.is_empty()) else { return lines };
    for (name, value) in pairs {
        set(draft, &name.to_ascii_lowercase(), value);
    }
    body
}

fn key(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim();
    KEYS.iter().any(|k| k.eq_ignore_ascii_case(name)).then(|| (name, value.trim()))
}

fn set(draft: &mut Draft, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    match name {
        "title" => draft.title = clean::line(value),
        "author" => draft.author = Some(clean::squeezed(value)),
        "date" => match date::read(value) {
            Some(at) => draft.published_at = Some(at),
            None => draft.problem(format!("the date {value:.60?} cannot be read and was left out")),
        },
        "source" => match SourceId::new(value) {
            Ok(source) => draft.source = Some(source),
            Err(e) => draft.problem(format!("{e}; it was left out")),
        },
        "lang" => match Lang::new(value.replace('_', "-")) {
            Ok(lang) => draft.lang = Some(lang),
            Err(e) => draft.problem(format!("{e}; it was left out")),
        },
        _ => match super::entry::web_link(value, None) {
            Some(link) => draft.link = Some(link),
            None => {
                draft.problem(format!("{value:.100?} is no http or https address; it was left out"))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::Form;
    use crate::feed::read_articles;

    fn one(text: &str) -> Draft {
        read_articles(text.as_bytes(), Form::Text, None).remove(0).unwrap()
    }

    #[test]
    fn the_first_line_gives_date_and_title() {
        for (line, date, title) in [
            ("date 2024-01-10 Sirens sound", Some("2024-01-10T00:00:00.000Z"), "Sirens sound"),
            ("DATE: 2024-01-10 | Sirens", Some("2024-01-10T00:00:00.000Z"), "Sirens"),
            ("2024-01-10 - Sirens", Some("2024-01-10T00:00:00.000Z"), "Sirens"),
            ("2024-01-10T07:04 Sirens", Some("2024-01-10T07:04:00.000Z"), "Sirens"),
            ("date 2024-01-10 07:04:05+02:00, Sirens", Some("2024-01-10T05:04:05.000Z"), "Sirens"),
            ("2024-01-10 3 dead in fire", Some("2024-01-10T00:00:00.000Z"), "3 dead in fire"),
            ("date 2024-02-31 Sirens", None, "date 2024-02-31 Sirens"),
            ("Date palms die in drought", None, "Date palms die in drought"),
            ("2024-01-100 units sold", None, "2024-01-100 units sold"),
            ("Sirens \"sound\" ‘now’", None, "Sirens \"sound\" ‘now’"),
        ] {
            let draft = one(&format!(
                "\u{FEFF}\n  \n{line}\r\n\r\nFirst\r\nline.\r\n\r\n2023-05-05 Second.\n"
            ));
            assert_eq!(draft.title, title, "{line}");
            assert_eq!(draft.published_at.map(|t| t.to_string()).as_deref(), date, "{line}");
            assert_eq!(draft.body, "First line.\n\n2023-05-05 Second.", "{line}");
            assert_eq!(draft.problems.is_empty(), !line.contains("02-31"), "{line}");
        }
    }

    #[test]
    fn key_lines_stand_before_the_body_only() {
        let text = "Sirens sound\nSource: skylark\nurl: https://example.net/1\nLang: uk\n\
                    Date: 10 Jan 2024\nAuthor: A. Writer\n\nSource: police\nspoke.";
        let draft = one(text);
        assert_eq!(draft.title, "Sirens sound");
        assert_eq!(draft.source.as_ref().map(SourceId::as_str), Some("skylark"));
        assert_eq!(draft.link.as_deref(), Some("https://example.net/1"));
        assert_eq!(draft.lang.as_ref().map(Lang::as_str), Some("uk"));
        assert_eq!(draft.author.as_deref(), Some("A. Writer"));
        assert_eq!(draft.published_at.unwrap().to_string(), "2024-01-10T00:00:00.000Z");
        assert_eq!(draft.body, "Source: police spoke.");
        let draft = one("Title: Sirens\nDate: 2024-01-10\n\nBody");
        assert_eq!((draft.title.as_str(), draft.body.as_str()), ("Sirens", "Body"));
        let draft = one("Date: 2024-01-10\n\nSirens\n\nBody");
        assert_eq!((draft.title.as_str(), draft.body.as_str()), ("Sirens", "Body"));
        let draft = one("date 2024-01-10 Sirens\nSource: police say\nmore text");
        assert_eq!(draft.body, "Source: police say more text");
    }

    #[test]
    fn odd_texts_are_read() {
        let draft = one("Title only");
        assert_eq!((draft.title.as_str(), draft.body.as_str()), ("Title only", ""));
        let draft = one("No empty line\nat all");
        assert_eq!((draft.title.as_str(), draft.body.as_str()), ("", "No empty line at all"));
        let draft = one("a\u{0}b\n\nc\u{0}d");
        assert_eq!((draft.title.as_str(), draft.body.as_str()), ("ab", "cd"));
        let draft = one(&"x".repeat(10_000_000));
        assert_eq!((draft.title.len(), draft.body.len()), (0, 1_000_000));
        assert_eq!(draft.problems.len(), 1);
        assert!(read_articles(b" \n\n", Form::Text, None).remove(0).is_err());
    }
}
