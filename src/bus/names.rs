//! Subjects, filters and keys: what may be a name, and keys as subjects and back.

use super::Error;
use super::Stream;
use crate::store::Filter;

/// Longest subject or key.
const LONGEST: usize = 900;

/// Checks that a text can be the subject of a record of this stream.
pub(crate) fn check_subject(stream: Stream, subject: &str) -> Result<(), Error> {
    let good = subject.len() <= LONGEST
        && subject.strip_prefix(stream.prefix()).is_some_and(|rest| {
            rest.split('.').all(|token| {
                !token.is_empty()
                    && token.bytes().all(|b| b.is_ascii_graphic() && b != b'*' && b != b'>')
            })
        });
    if good { Ok(()) } else { Err(bad(subject)) }
}

/// Checks a filter on subjects of this stream.
pub(crate) fn check_filter(stream: Stream, filter: &str) -> Result<Filter, Error> {
    let fits = filter.starts_with(stream.prefix())
        && filter.len() <= LONGEST
        && filter.bytes().all(|b| b.is_ascii_graphic());
    Filter::new(filter).filter(|_| fits).ok_or_else(|| bad(filter))
}

/// The subject tokens of a key: its parts, divided by dots.
pub(crate) fn tokens_of(key: &str) -> Result<String, Error> {
    let good = key.len() <= LONGEST
        && key.split('/').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'='))
        });
    if good { Ok(key.replace('/', ".")) } else { Err(bad(key)) }
}

/// The key whose subject tokens these are.
pub(crate) fn key_of(tokens: &str) -> String {
    tokens.replace('.', "/")
}

/// What the subject tokens of every key under a prefix begin with.
pub(crate) fn tokens_under(prefix: &str) -> Result<String, Error> {
    if prefix.is_empty() {
        return Ok(String::new());
    }
    tokens_of(prefix).map(|tokens| format!("{tokens}."))
}

fn bad(name: &str) -> Error {
    Error::BadName(name.chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_and_its_tokens_are_each_others_inverse() {
        for key in ["a", "rule/key/actual", "x=2E/b-c_d", "1/2/3"] {
            assert_eq!(key_of(&tokens_of(key).unwrap()), key);
        }
    }

    #[test]
    fn what_would_be_read_as_another_key_is_refused() {
        for key in ["", "/", "a/", "/a", "a//b", "a.b", "a b", "a*", ">", "ä", &"a".repeat(901)] {
            assert!(matches!(tokens_of(key), Err(Error::BadName(_))), "{key}");
        }
    }

    #[test]
    fn a_subject_belongs_to_its_stream_and_has_no_wildcard() {
        for (subject, good) in [
            ("wb.event.a.b.1", true),
            ("wb.event.", false),
            ("wb.event", false),
            ("wb.article.a", false),
            ("wb.event.*", false),
            ("wb.event.a.>", false),
            ("wb.event.a..b", false),
            ("wb.event.a b", false),
        ] {
            assert_eq!(check_subject(Stream::Events, subject).is_ok(), good, "{subject}");
        }
    }

    #[test]
    fn a_filter_stays_within_its_stream() {
        for (filter, good) in
            [("wb.event.>", true), ("wb.event.*.a", true), (">", false), ("wb.article.>", false)]
        {
            assert_eq!(check_filter(Stream::Events, filter).is_ok(), good, "{filter}");
        }
    }
}
