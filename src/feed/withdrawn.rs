//! How publishers say that an article is withdrawn: by a status, or by a slug in its title.

/// Words that say so. Only in capitals: in small letters they are what articles write about.
const SAY: [&str; 2] = ["KILL", "WITHDRAWN"];
/// Words that may stand beside them.
const BESIDE: [&str; 9] = [
    "STORY",
    "ARTICLE",
    "NEWS",
    "NOTICE",
    "MANDATORY",
    "BULLETIN",
    "URGENT",
    "ADVISORY",
    "EDITORS",
];
/// What divides a slug from the title proper; dashes do with a space beside them.
const MARKS: [char; 8] = [':', ',', '[', ']', '(', ')', '|', '='];
const DASHES: [char; 3] = ['-', '–', '—'];

/// A status as NewsML-G2 and ninjs have it: `canceled`, `stat:canceled`.
pub(super) fn by_status(status: &str) -> bool {
    let value = status.trim().rsplit([':', '/']).next().unwrap_or_default();
    value.eq_ignore_ascii_case("canceled") || value.eq_ignore_ascii_case("cancelled")
}

/// A title that begins or ends with a slug: `KILL: …`, `STORY WITHDRAWN - …`, `… (WITHDRAWN)`.
pub(super) fn by_title(title: &str) -> bool {
    !subjects(title).is_empty()
}

/// What such a title is about: what stands beside the slug, also without further slugs. Empty
/// texts where the slug is all of it; nothing where there is no slug.
pub(super) fn subjects(title: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut says = false;
    let mut rest = trimmed(title);
    for from_start in [true, false] {
        while let Some((slug, other)) = cut(rest, from_start).filter(|(slug, _)| is_slug(slug)) {
            says |= slug.split_whitespace().any(|word| SAY.contains(&word));
            rest = trimmed(other);
            if says {
                found.push(rest);
            }
        }
    }
    found.extend(of_wire(title).filter(|_| found.is_empty()));
    found
}

/// Slugs of wires, which are words with dashes: `BC-EASTPORT-SIRENS-KILL`.
fn of_wire(title: &str) -> Option<&str> {
    let (rest, last) = title.trim().strip_prefix("BC-")?.rsplit_once('-')?;
    SAY.contains(&last).then_some(rest).filter(|rest| !rest.is_empty())
}

fn trimmed(title: &str) -> &str {
    title.trim_matches(|c: char| c.is_whitespace() || MARKS.contains(&c) || DASHES.contains(&c))
}

/// The part before the first mark or behind the last one, and the rest; a title without marks is
/// one part.
fn cut(title: &str, from_start: bool) -> Option<(&str, &str)> {
    if title.is_empty() {
        return None;
    }
    let mut cuts = title.char_indices().filter(|(at, c)| {
        let (before, after) = title.split_at_checked(*at).unwrap_or_default();
        let after = after.get(c.len_utf8()..).unwrap_or_default();
        let spaced = before.ends_with(' ') || after.starts_with(' ');
        MARKS.contains(c) || (DASHES.contains(c) && spaced)
    });
    let at = if from_start { cuts.next() } else { cuts.next_back() };
    let Some((at, c)) = at else { return Some((title, "")) };
    let (before, after) = (title.get(..at)?, title.get(at + c.len_utf8()..)?);
    Some(if from_start { (before, after) } else { (after, before) })
}

/// Whether these are slug words alone.
fn is_slug(text: &str) -> bool {
    let mut words = text.split_whitespace().peekable();
    words.peek().is_some() && words.all(|word| SAY.contains(&word) || BESIDE.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_in_capitals_withdraw() {
        for title in [
            "KILL: Sirens in Eastport",
            "KILL - Sirens in Eastport",
            "MANDATORY KILL—Sirens in Eastport, says mayor".replace('—', " — ").as_str(),
            "STORY WITHDRAWN: Sirens",
            "[WITHDRAWN] Sirens in Eastport",
            "Sirens in Eastport (WITHDRAWN)",
            "BC-Eastport Sirens, KILL",
            "Sirens in Eastport – WITHDRAWN",
            "WITHDRAWN",
            "URGENT - KILL: Sirens",
            "EDITORS: MANDATORY KILL ADVISORY: Sirens",
            "BC-EASTPORT-SIRENS-KILL",
        ] {
            assert!(by_title(title), "{title}");
        }
    }

    #[test]
    fn a_slug_leaves_what_it_is_about() {
        for (title, want) in [
            ("KILL: Sirens in Eastport", &["Sirens in Eastport"][..]),
            ("URGENT - KILL: Sirens - in Eastport", &["Sirens - in Eastport"]),
            ("KILL: URGENT: Sirens", &["URGENT: Sirens", "Sirens"]),
            ("[WITHDRAWN] Sirens (Eastport)", &["Sirens (Eastport"]),
            ("Sirens in Eastport (WITHDRAWN)", &["Sirens in Eastport"]),
            ("BC-Eastport Sirens, KILL", &["BC-Eastport Sirens"]),
            ("BC-EASTPORT-SIRENS-KILL", &["EASTPORT-SIRENS"]),
            ("WITHDRAWN", &[""]),
            ("URGENT: Sirens", &[]),
            ("Sirens", &[]),
        ] {
            assert_eq!(subjects(title), want, "{title}");
        }
    }

    #[test]
    fn words_about_killing_and_withdrawing_do_not() {
        for title in [
            "Kill: a history",
            "KILL-SWITCH DEMANDED: COURT",
            "TROOPS WITHDRAWN: MINISTER",
            "Missile strikes kill three",
            "Withdrawn: drug recalled",
            "TO KILL - A FILM",
            "STORY: the bulletin",
            "URGENT",
            "EASTPORT-SIRENS-KILL",
            "",
            ":-(",
        ] {
            assert!(!by_title(title), "{title}");
        }
        for (status, want) in
            [("canceled", true), ("stat:canceled", true), ("usable", false), ("", false)]
        {
            assert_eq!(by_status(status), want, "{status}");
        }
    }
}
