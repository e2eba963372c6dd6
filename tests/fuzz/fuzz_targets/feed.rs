//! A polled document: articles with texts, addresses and dates inside their limits, each told apart
//! from the others, or a refusal.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use wirebell::feed::Context;
use wirebell::feed::MAX_ENTRIES;
use wirebell::feed::read_polled;
use wirebell::model::Time;
use wirebell::model::article::MAX_BODY_CHARS;
use wirebell::model::article::MAX_TITLE_CHARS;

/// The latest date that is taken: a day after the time of reading.
const LATEST: i64 = 1_704_900_000_000 + 86_400_000;

fuzz_target!(|bytes: &[u8]| {
    let url = url::Url::parse("https://example.net/news/feed.xml").expect("it is an address");
    let now = Time::from_millis(LATEST - 86_400_000);
    let label = bytes.first().filter(|b| **b % 2 == 1).map(|_| "windows-1251");
    let context = Context { url: Some(&url), charset: label, now };
    let Ok(read) = read_polled(bytes, &context) else { return };
    assert!(read.entries.len() <= MAX_ENTRIES && read.salvaged <= read.entries.len());
    let mut identities = HashSet::new();
    for draft in &read.entries {
        assert!(draft.title.chars().count() <= MAX_TITLE_CHARS, "{draft:?}");
        assert!(draft.body.chars().count() <= MAX_BODY_CHARS, "{draft:?}");
        assert!(!draft.title.contains(['\n', '\r', '\0']), "{draft:?}");
        let web = |link: &String| link.starts_with("http://") || link.starts_with("https://");
        assert!(draft.link.as_ref().is_none_or(web), "{draft:?}");
        let times = [draft.published_at, draft.updated_at];
        assert!(times.into_iter().flatten().all(|at| at <= Time::from_millis(LATEST)), "{draft:?}");
        assert!(identities.insert(draft.identity()), "{draft:?}");
    }
});
