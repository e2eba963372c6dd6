//! What is done to broken markup before and after a parser gives up on it.

use std::borrow::Cow;

use crate::feed::MAX_ENTRIES;
use crate::feed::html;
use crate::feed::names::is_entry;
use crate::feed::names::local;

/// Makes characters that no parser takes harmless: control characters go, save those that are
/// windows-1252 in truth, and a `<` that begins no markup is escaped outside CDATA and comments.
pub(super) fn mend(text: &str) -> Cow<'_, str> {
    let bad = |c: char| c.is_control() && !matches!(c, '\n' | '\t' | '\r' | '\u{85}');
    let mut text = Cow::Borrowed(text);
    if text.contains(bad) {
        let meant = |c: char| if bad(c) { html::meant(c) } else { Some(c) };
        text = text.chars().filter_map(meant).collect::<String>().into();
    }
    let mut out = String::new();
    let (mut copied, mut from) = (0, 0);
    while let Some(found) = text.get(from..).and_then(|rest| rest.find('<')) {
        let at = from + found;
        let tail = text.get(at..).unwrap_or_default();
        let skipped =
            [("<![CDATA[", "]]>"), ("<!--", "-->")].into_iter().find_map(|(open, end)| {
                tail.starts_with(open).then(|| tail.find(end).map_or(tail.len(), |n| n + end.len()))
            });
        from = at + skipped.unwrap_or(1);
        let next = tail.chars().nth(1);
        let is_markup = next.is_some_and(|c| c.is_alphabetic() || "/_!?:".contains(c));
        if !is_markup {
            out.push_str(text.get(copied..at).unwrap_or_default());
            out.push_str("&lt;");
            copied = from;
        }
    }
    if copied == 0 {
        return text;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out.into()
}

/// The whole entries in a piece of a feed: from an opening tag to its closing tag, or to the next
/// opening tag if that comes first. In a sitemap they are called `url`.
pub(super) fn slices(text: &str, sitemap: bool) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start: Option<usize> = None;
    for (at, _) in text.match_indices('<') {
        let tail = text.get(at..).unwrap_or_default();
        let inside = tail.strip_prefix('<').unwrap_or_default();
        let closes = inside.starts_with('/');
        let name: String = inside
            .trim_start_matches('/')
            .chars()
            .take(30)
            .take_while(|c| c.is_alphanumeric() || ":-".contains(*c))
            .collect();
        let name = local(&name);
        let begins_one = is_entry(&name) || (sitemap && name == "url");
        if !begins_one {
            continue;
        }
        // No tag reaches beyond the next one.
        let end = match inside.find(['<', '>']) {
            _ if !closes => at,
            Some(found) if inside.as_bytes().get(found) == Some(&b'>') => at + found + 2,
            Some(found) => at + found + 1,
            None => text.len(),
        };
        if let Some(from) = start.take() {
            found.extend(text.get(from..end));
            if found.len() > MAX_ENTRIES {
                break;
            }
        }
        if !closes {
            start = Some(at);
        }
    }
    found
}
