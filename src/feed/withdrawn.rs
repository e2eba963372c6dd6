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
    let opens = |c: char| c.is_whitespace() || MARKS.contains(&c);
    let title = title.trim_matches(opens);
    let cuts = || {
        title.char_indices().filter(|(at, c)| {
            let (before, after) = title.split_at_checked(*at).unwrap_or_default();
            let after = after.get(c.len_utf8()..).unwrap_or_default();
            let spaced = before.ends_with(' ') || after.starts_with(' ');
            MARKS.contains(c) || (DASHES.contains(c) && spaced)
        })
    };
    let head = cuts().next().and_then(|(at, _)| title.get(..at)).unwrap_or(title);
    let tail = cuts().next_back().and_then(|(at, c)| title.get(at + c.len_utf8()..));
    is_slug(head) || tail.is_some_and(is_slug)
}

fn is_slug(text: &str) -> bool {
    let mut says = false;
    for word in text.split_whitespace() {
        let one = SAY.contains(&word);
        if !one && !BESIDE.contains(&word) {
            return false;
        }
        says |= one;
    }
    says
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
        ] {
            assert!(by_title(title), "{title}");
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
