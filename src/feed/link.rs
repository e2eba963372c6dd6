//! Links as they compare: by where they lead, not by how a reader came to them.

use url::Url;

/// Names that begin so only tell where a reader came from.
const TRACKING_STARTS: [&str; 3] = ["utm_", "pk_", "mtm_"];
/// And these.
const TRACKING: [&str; 31] = [
    "__twitter_impression",
    "_hsenc",
    "_hsmi",
    "at_campaign",
    "at_medium",
    "dclid",
    "echobox",
    "fbclid",
    "gbraid",
    "gclid",
    "gclsrc",
    "guccounter",
    "guce_referrer",
    "guce_referrer_sig",
    "igsh",
    "igshid",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "msclkid",
    "ns_campaign",
    "ns_mchannel",
    "ns_source",
    "oly_anon_id",
    "oly_enc_id",
    "ttclid",
    "twclid",
    "wbraid",
    "xtor",
    "yclid",
    "ysclid",
];
/// Points at words of a page, for a reader's eyes.
const TEXT_FRAGMENT: &str = ":~:";

/// What a link counts as where it stands for an article: http is https, a slash at the end and
/// what only tracks readers do not count. What else is in a query or a fragment does: `?id=7` is
/// another article than `?id=8`, and `#note-7` may be one of many on a page. What is no address
/// counts as it is written.
pub fn identity(link: &str) -> String {
    let Ok(url) = Url::parse(link.trim()) else { return link.trim().to_owned() };
    if !matches!(url.scheme(), "http" | "https") {
        return link.trim().to_owned();
    }
    let mut url = without_tracking(url);
    if url.fragment() == Some("") {
        url.set_fragment(None);
    }
    if url.query() == Some("") {
        url.set_query(None);
    }
    if url.path().len() > 1
        && let Some(path) = url.path().strip_suffix('/').map(str::to_owned)
    {
        url.set_path(&path);
    }
    let text = String::from(url);
    text.strip_prefix("http://").map_or_else(|| text.clone(), |rest| format!("https://{rest}"))
}

/// An address without what only tells where a reader came from, in its query and its fragment.
/// The rest stays as it is written.
pub fn without_tracking(mut url: Url) -> Url {
    if let Some(query) = url.query().and_then(untracked) {
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
    }
    let fragment = url.fragment().map(|fragment| {
        let seen = fragment.split_once(TEXT_FRAGMENT).map_or(fragment, |(before, _)| before);
        untracked(seen).unwrap_or_else(|| seen.to_owned())
    });
    if fragment.as_deref() != url.fragment() {
        url.set_fragment(fragment.as_deref().filter(|fragment| !fragment.is_empty()));
    }
    url
}

/// The pairs that do not track; none where that is all of them.
fn untracked(pairs: &str) -> Option<String> {
    let kept: Vec<&str> = pairs.split('&').filter(|pair| !tracks(pair)).collect();
    let kept = kept.join("&");
    (kept.len() < pairs.len()).then_some(kept)
}

fn tracks(pair: &str) -> bool {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name).to_ascii_lowercase();
    let has_value = pair.contains('=');
    let starts = TRACKING_STARTS.iter().any(|start| name.starts_with(start));
    has_value && (starts || TRACKING.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_tracks_readers_makes_no_other_article() {
        let same = "https://paper.example/a?id=7";
        for link in [
            "https://paper.example/a?id=7",
            "http://paper.example/a?id=7",
            "HTTPS://Paper.Example:443/a?id=7",
            "https://paper.example/a/?id=7",
            "https://paper.example/a?utm_source=feed&id=7&utm_medium=rss",
            "https://paper.example/a?id=7&fbclid=x",
            "https://paper.example/a?gclid=x&id=7&mc_cid=1&mc_eid=2&yclid=3&UTM_Term=4",
            "https://paper.example/a?id=7#",
            "https://paper.example/a?id=7#xtor=RSS-1",
            "https://paper.example/a?id=7#utm_source=x&utm_medium=y",
            "https://paper.example/a?id=7#Echobox=1704870245",
            "https://paper.example/a?id=7#:~:text=sirens",
            " https://paper.example/a?id=7\n",
        ] {
            assert_eq!(identity(link), same, "{link}");
        }
        assert_eq!(identity("http://paper.example"), "https://paper.example/");
        assert_eq!(identity("https://paper.example/?utm_id=1"), "https://paper.example/");
        assert_eq!(identity("https://paper.example/a?"), "https://paper.example/a");
    }

    #[test]
    fn what_leads_elsewhere_stays_apart() {
        let all = [
            "https://paper.example/a",
            "https://paper.example/A",
            "https://paper.example/a?id=7",
            "https://paper.example/a?id=8",
            "https://paper.example/a?id=7&page=2",
            "https://paper.example/a?ID=7",
            "https://paper.example/a?q=x%20y",
            "https://paper.example/a?q=x+y&utm_source=1",
            "https://paper.example/a#note-7",
            "https://paper.example/a#note-8",
            "https://paper.example/#!/a",
            "https://paper.example:8080/a",
            "https://www.paper.example/a",
            "https://paper.example/a?utm_source",
            "tag:paper.example,2024:1",
            "no address",
        ];
        let kept: std::collections::BTreeSet<String> = all.iter().map(|l| identity(l)).collect();
        assert_eq!(kept.len(), all.len(), "{kept:?}");
        for link in kept {
            assert_eq!(identity(&link), link, "it is its own identity");
        }
    }

    #[test]
    fn the_rest_of_an_address_stays_as_it_is_written() {
        for (link, want) in [
            ("http://paper.example/a/?q=x%20y&utm_id=1&b", "http://paper.example/a/?q=x%20y&b"),
            ("http://paper.example/a?b&&c", "http://paper.example/a?b&&c"),
            ("http://paper.example/a?fbclid=1#b", "http://paper.example/a#b"),
        ] {
            assert_eq!(without_tracking(Url::parse(link).unwrap()).as_str(), want);
        }
    }
}
