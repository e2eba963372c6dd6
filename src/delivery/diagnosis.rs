//! Whether a receiver trusts a request, and if not, exactly why and what mends it. Pure.

use std::borrow::Cow;

use http::HeaderMap;

use crate::delivery::signature::Key;
use crate::delivery::signature::TOLERANCE_SECONDS;
use crate::model::wire::Body;

/// Longest text of a header that is repeated.
const SHOWN: usize = 40;
/// Headers that others sign with, and whose they are.
const OTHERS: [(&str, &str); 6] = [
    ("svix-signature", "Svix names its headers so"),
    ("x-hub-signature-256", "WebSub and GitHub sign so"),
    ("x-hub-signature", "WebSub and GitHub sign so"),
    ("stripe-signature", "Stripe signs so"),
    ("x-slack-signature", "Slack signs so"),
    ("x-signature", "this is no name of Standard Webhooks"),
];

/// Why a request is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The receiver knows no key.
    #[error("this receiver has no secret yet: give it the one of the subscription")]
    NoKey,
    /// A header is missing, and nothing says that another scheme was used.
    #[error(
        "the header {0} is missing: this did not come from Wirebell, or something on the way takes \
         it out"
    )]
    Missing(&'static str),
    /// A header is missing, and that of another scheme is there.
    #[error(
        "the header {missing} is missing, but {found} is there ({whose}): another sender, or \
         something on the way that signs anew"
    )]
    OtherScheme {
        /// What is missing.
        missing: &'static str,
        /// What is there.
        found: &'static str,
        /// Whose it is.
        whose: &'static str,
    },
    /// No signature of the only version that is checked.
    #[error(
        "webhook-signature has no v1 signature, only {0:?}: Wirebell signs with v1, so another \
         sender made it"
    )]
    Version(String),
    /// The timestamp is no whole number of seconds.
    #[error("webhook-timestamp {0:?} is no whole number of seconds: something on the way wrote it")]
    Timestamp(String),
    /// The signature fits, the time does not. Positive: the timestamp lies before this clock.
    #[error("{}", clock(*.0))]
    Clock(i64),
    /// The signature fits what the body was before it was changed.
    #[error("the body was changed on the way: {}", .0.words())]
    Changed(Change),
    /// No signature fits, whatever was tried.
    #[error("{}", unknown(*.keys, *.away))]
    Unknown {
        /// Keys tried.
        keys: usize,
        /// How far the timestamp is off as well, where that is too far.
        away: Option<i64>,
    },
}

/// What was done to a body after it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Line breaks or spaces were added at its end.
    LongerEnd,
    /// A byte order mark was put before it.
    Mark,
    /// Its line breaks became CRLF.
    LineBreaks,
    /// It was read as JSON and written again, with other spaces or escapes.
    Rewritten,
    /// It was read as JSON and written again, with its fields in another order.
    Reordered,
}

impl Change {
    /// Which one, and what to do.
    fn words(self) -> &'static str {
        match self {
            Self::LongerEnd => {
                "the signature fits without the line break or spaces at its end: verify the bytes as \
                 they came; `echo` and editors add a line break, `printf %s` does not"
            }
            Self::Mark => {
                "the signature fits without the byte order mark before it: verify the bytes as they \
                 came, before they are read as text"
            }
            Self::LineBreaks => {
                "the signature fits with LF in place of CRLF: something converts line breaks; verify \
                 the bytes as they came"
            }
            Self::Rewritten => {
                "the signature fits the same JSON written compactly: something parsed it and wrote \
                 it again; verify the raw body before any parsing"
            }
            Self::Reordered => {
                "the signature fits the same JSON with its fields in the order Wirebell writes them: \
                 something parsed it and wrote it again; verify the raw body before any parsing"
            }
        }
    }
}

/// Judges a request by every key that may have signed it. Answers the place of the key that fits.
pub fn judge(
    keys: &[Key],
    headers: &HeaderMap,
    body: &[u8],
    now_seconds: i64,
) -> Result<usize, Finding> {
    let id = required(headers, "webhook-id")?;
    let timestamp = required(headers, "webhook-timestamp")?;
    let listed = required(headers, "webhook-signature")?;
    if !listed.split(' ').any(|one| one.starts_with("v1,")) {
        return Err(Finding::Version(shown(listed)));
    }
    let sent: i64 = timestamp.parse().map_err(|_| Finding::Timestamp(shown(timestamp)))?;
    if keys.is_empty() {
        return Err(Finding::NoKey);
    }
    let away = now_seconds.saturating_sub(sent);
    let too_far = away.checked_abs().is_none_or(|far| far > TOLERANCE_SECONDS);
    let fit = |body: &[u8]| keys.iter().position(|key| key.fits((id, timestamp, listed), body));
    match fit(body) {
        Some(key) if !too_far => return Ok(key),
        Some(_) => return Err(Finding::Clock(away)),
        None => {}
    }
    let before = undone(body);
    match before.iter().find(|(_, body)| fit(body).is_some()) {
        Some((change, _)) => Err(Finding::Changed(*change)),
        None => Err(Finding::Unknown { keys: keys.len(), away: too_far.then_some(away) }),
    }
}

fn required<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Finding> {
    if let Some(text) = headers.get(name).and_then(|value| value.to_str().ok()) {
        return Ok(text);
    }
    let other = OTHERS.into_iter().find(|(other, _)| headers.contains_key(*other));
    Err(match other {
        Some((found, whose)) => Finding::OtherScheme { missing: name, found, whose },
        None => Finding::Missing(name),
    })
}

/// What the body may have been, with the change that made it what it is.
fn undone(body: &[u8]) -> Vec<(Change, Cow<'_, [u8]>)> {
    let mut before = Vec::new();
    let unmarked = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let trimmed = unmarked.trim_ascii_end();
    before.push((Change::LongerEnd, Cow::Borrowed(body.trim_ascii_end())));
    before.push((Change::Mark, Cow::Borrowed(unmarked)));
    before.push((Change::Mark, Cow::Borrowed(trimmed)));
    for text in [unmarked, trimmed] {
        before.push((Change::LineBreaks, Cow::Owned(without_cr(text))));
    }
    before.extend(compact(trimmed).map(|text| (Change::Rewritten, Cow::Owned(text))));
    let ordered = serde_json::from_slice::<Body>(trimmed).ok();
    let ordered = ordered.and_then(|body| serde_json::to_vec(&body).ok());
    before.extend(ordered.map(|text| (Change::Reordered, Cow::Owned(text))));
    before
}

fn without_cr(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (at, byte) in text.iter().enumerate() {
        if *byte != b'\r' || text.get(at + 1) != Some(&b'\n') {
            out.push(*byte);
        }
    }
    out
}

/// JSON without spaces between its parts, each string escaped as Wirebell escapes it, the order of
/// fields and the numbers as they stand.
fn compact(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, more)) = rest.split_first() {
        if *first != b'"' {
            if !first.is_ascii_whitespace() {
                out.push(*first);
            }
            rest = more;
            continue;
        }
        let (string, after) = rest.split_at_checked(end_of_string(rest)?)?;
        let string: String = serde_json::from_slice(string).ok()?;
        out.extend(serde_json::to_vec(&string).ok()?);
        rest = after;
    }
    Some(out)
}

/// Where the string ends that begins here.
fn end_of_string(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map(|end| end + 2)
}

fn clock(away: i64) -> String {
    format!(
        "the signature fits, but {}: at most {TOLERANCE_SECONDS} s are allowed; set both clocks, or \
         it is an old request sent again",
        apart(away)
    )
}

fn apart(away: i64) -> String {
    let seconds = away.unsigned_abs();
    let which = if away > 0 { "behind" } else { "ahead of" };
    format!("webhook-timestamp is {seconds} s {which} this clock")
}

fn unknown(keys: usize, away: Option<i64>) -> String {
    let given = match keys {
        1 => "the secret given".to_owned(),
        n => format!("any of the {n} secrets given"),
    };
    let mut words = format!(
        "no v1 signature fits {given}, nor the body without a line break at its end, with LF line \
         breaks or as compact JSON: most likely the secret is that of another subscription or was \
         turned (`subscriptions rotate`); else the body was changed, which `subscriptions test \
         --dry-run` helps to see"
    );
    if let Some(away) = away {
        words.push_str(&format!("; besides, {}", apart(away)));
    }
    words
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::example;
    use crate::delivery::signature::secret_from_random;
    use crate::delivery::signature::sign;
    use crate::model::EventKind;

    const NOW: i64 = 1_789_000_000;

    fn key(byte: u8) -> Key {
        Key::parse(&secret_from_random([byte; 32])).unwrap()
    }

    fn signed(key: &Key, body: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "evt_a-sub_a".parse().unwrap());
        headers.insert("webhook-timestamp", NOW.into());
        let signature = sign([key], "evt_a-sub_a", NOW, body);
        headers.insert("webhook-signature", signature.parse().unwrap());
        headers
    }

    fn body() -> Vec<u8> {
        example::body(EventKind::Opened, "http://127.0.0.1:8080")
    }

    #[test]
    fn the_key_that_fits_is_named_among_several() {
        let headers = signed(&key(2), b"x");
        for (keys, fits) in [
            (vec![key(2)], Ok(0)),
            (vec![key(1), key(2)], Ok(1)),
            (vec![key(1)], Err(Finding::Unknown { keys: 1, away: None })),
            (vec![], Err(Finding::NoKey)),
        ] {
            assert_eq!(judge(&keys, &headers, b"x", NOW), fits);
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told_from_a_wrong_key() {
        let headers = signed(&key(1), b"x");
        for (now, found) in [
            (NOW + 300, None),
            (NOW - 300, None),
            (NOW + 412, Some("412 s behind this clock")),
            (NOW - 301, Some("301 s ahead of this clock")),
            (i64::MIN, Some("ahead")),
        ] {
            let judged = judge(&[key(1)], &headers, b"x", now);
            let words = judged.err().map(|finding| finding.to_string());
            assert_eq!(words.is_some(), found.is_some(), "{now}");
            let words = words.unwrap_or_default();
            assert!(words.contains(found.unwrap_or_default()), "{words}");
            assert!(!words.contains("another subscription"), "{words}");
        }
        let both = judge(&[key(2)], &headers, b"x", NOW + 412);
        assert_eq!(both, Err(Finding::Unknown { keys: 1, away: Some(412) }));
    }

    #[test]
    fn what_was_done_to_a_body_is_found_out() {
        let body = body();
        let text = String::from_utf8(body.clone()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let ascii: String = text
            .chars()
            .map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) })
            .collect();
        assert_ne!(ascii, text, "the example has letters beyond ASCII");
        for (changed, change) in [
            (format!("{text}\n"), Change::LongerEnd),
            (format!("{text} \r\n"), Change::LongerEnd),
            (format!("\u{feff}{text}\n"), Change::Mark),
            (text.replace(",\"", ", \""), Change::Rewritten),
            (format!("{}\n", ascii.replace("\":", "\": ")), Change::Rewritten),
            (text.replace('/', "\\/"), Change::Rewritten),
            (value.to_string(), Change::Reordered),
            (serde_json::to_string_pretty(&value).unwrap(), Change::Reordered),
        ] {
            let judged = judge(&[key(3), key(1)], &signed(&key(1), &body), changed.as_bytes(), NOW);
            assert_eq!(judged, Err(Finding::Changed(change)), "{changed}");
        }
        let lines = judge(&[key(1)], &signed(&key(1), b"a\nb\n"), b"a\r\nb\r\n", NOW);
        assert_eq!(lines, Err(Finding::Changed(Change::LineBreaks)));
        let other = text.replace("Odesa", "Izmail");
        let judged = judge(&[key(1)], &signed(&key(1), &body), other.as_bytes(), NOW);
        assert_eq!(judged, Err(Finding::Unknown { keys: 1, away: None }), "a changed word");
    }

    #[test]
    fn missing_headers_and_those_of_other_schemes_are_named() {
        let whole = signed(&key(1), b"x");
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let mut headers = whole.clone();
            headers.remove(name);
            assert_eq!(judge(&[key(1)], &headers, b"x", NOW), Err(Finding::Missing(name)));
            headers.insert("svix-signature", "v1,abc".parse().unwrap());
            let words = judge(&[key(1)], &headers, b"x", NOW).unwrap_err().to_string();
            assert!(words.contains(name) && words.contains("svix-signature"), "{words}");
        }
        for (name, value, words) in [
            ("webhook-signature", "v1a,abc", "only \"v1a,abc\""),
            ("webhook-timestamp", "2026-01-18", "\"2026-01-18\" is no whole number"),
        ] {
            let mut headers = whole.clone();
            headers.insert(name, value.parse().unwrap());
            let said = judge(&[key(1)], &headers, b"x", NOW).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_comes_makes_it_fail(body: Vec<u8>) {
            let headers = signed(&key(1), b"x");
            let judged = judge(&[key(1)], &headers, &body, NOW);
            proptest::prop_assert_eq!(judged.is_ok(), body == b"x");
        }

        #[test]
        fn compact_json_is_what_it_was(text in "[ -~é\n\t\"\\\\]{0,40}") {
            let value = serde_json::json!({"a": [text, 1, true, null]});
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            proptest::prop_assert_eq!(compact(pretty.as_bytes()), Some(value.to_string().into_bytes()));
        }
    }
}
