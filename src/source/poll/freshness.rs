//! How long an answer says that it stays fresh. Pure.

use std::time::Duration;

use http::HeaderMap;
use http::header;

use crate::model::Time;

/// Longest wait that a server may ask for.
const MAX_WAIT: Duration = Duration::from_secs(24 * 3600);

/// For how long asking again is of no use: `Cache-Control: max-age`, or else `Expires`; at most a
/// day. None where the answer says nothing.
pub(super) fn fresh_for(headers: &HeaderMap, now: Time) -> Option<Duration> {
    let mut max_age = None;
    for value in headers.get_all(header::CACHE_CONTROL) {
        for directive in value.to_str().unwrap_or_default().split(',') {
            let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-cache" | "no-store" => return Some(Duration::ZERO),
                "max-age" => {
                    let seconds = value.trim().trim_matches('"').parse::<u64>().ok();
                    max_age = max_age.or(seconds.map(Duration::from_secs));
                }
                _ => {}
            }
        }
    }
    if let Some(max_age) = max_age {
        let age = text(headers, header::AGE).and_then(|age| age.parse::<u64>().ok());
        let age = Duration::from_secs(age.unwrap_or(0));
        return Some(max_age.saturating_sub(age).min(MAX_WAIT));
    }
    let expires = Time::from_http_date(text(headers, header::EXPIRES)?)?;
    // Its own clock counts, not ours.
    let from = text(headers, header::DATE).and_then(Time::from_http_date).unwrap_or(now);
    Some(expires.since(from).min(MAX_WAIT))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn what_an_answer_says_of_its_freshness_is_believed_for_a_day_at_most() {
        let now: Time = "2024-01-10T07:00:00Z".parse().unwrap();
        for (name, headers, want) in [
            ("nothing", &[][..], None),
            ("max-age", &[("cache-control", "public, max-age=600")][..], Some(600)),
            ("in quotes", &[("cache-control", "Max-Age=\"600\"")], Some(600)),
            ("its age", &[("cache-control", "max-age=600"), ("age", "100")], Some(500)),
            ("older than that", &[("cache-control", "max-age=600"), ("age", "9999")], Some(0)),
            ("no-cache", &[("cache-control", "no-cache, max-age=600")], Some(0)),
            ("a year", &[("cache-control", "max-age=31536000")], Some(86_400)),
            ("only for shared caches", &[("cache-control", "s-maxage=600")], None),
            (
                "max-age before Expires",
                &[("cache-control", "max-age=60"), ("expires", "Wed, 10 Jan 2024 09:00:00 GMT")],
                Some(60),
            ),
            ("Expires", &[("expires", "Wed, 10 Jan 2024 07:10:00 GMT")], Some(600)),
            (
                "by the server's clock",
                &[
                    ("expires", "Wed, 10 Jan 2024 05:10:00 GMT"),
                    ("date", "Wed, 10 Jan 2024 05:00:00 GMT"),
                ],
                Some(600),
            ),
            ("expired", &[("expires", "Wed, 10 Jan 2024 06:00:00 GMT")], Some(0)),
            ("no date", &[("expires", "0")], None),
            ("no number", &[("cache-control", "max-age=soon")], None),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::from_static(name), value.parse().unwrap());
            }
            assert_eq!(fresh_for(&map, now), want.map(Duration::from_secs), "{name}");
        }
    }
}
