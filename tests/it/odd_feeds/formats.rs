//! Kinds of feeds, and what is none.

use super::Want;
use super::Want::Feed;
use super::Want::Refusal;

pub(super) const ROWS: &[(&str, Want)] = &[
    ("rss_090.rdf", Feed("rdf", &["title=Sirens in Eastport | url=https://example.net/1"], &[])),
    (
        "rss_091.xml",
        Feed("rss", &["title=Sirens in Eastport | url=https://example.net/1 | text=Sound."], &[]),
    ),
    ("rss_092_without_title.xml", Feed("rss", &["text=Sirens in Eastport"], &[])),
    (
        "rss_10_items_outside_the_channel.rdf",
        Feed(
            "rdf",
            &[
                "id=https://example.net/1 | title=Тривога | url=https://example.net/1 | published=2024-01-10T07:04:00Z | author=Lark | lang=uk",
            ],
            &[],
        ),
    ),
    (
        "rss_20_whole.xml",
        Feed(
            "rss",
            &[
                "id=n-1 | title=Sirens | url=https://example.net/1 | published=2024-01-10T07:04:05Z | author=A. Lark | lang=en | text=Sound.",
            ],
            &[],
        ),
    ),
    ("rss_without_version.xml", Feed("rss", &["title=Sirens"], &[])),
    ("rss_of_a_version_to_come.xml", Feed("rss", &["title=Sirens"], &[])),
    ("root_in_odd_case.xml", Feed("rss", &["id=n-1 | title=Sirens"], &[])),
    ("channel_as_root.xml", Feed("rss", &["title=Sirens"], &[])),
    ("rss_in_a_default_namespace.xml", Feed("rss", &["title=Sirens"], &[])),
    ("items_before_the_channel.xml", Feed("rss", &["title=Sirens"], &[])),
    (
        "atom_03.xml",
        Feed(
            "atom",
            &[
                "id=tag:example.net,2024:1 | title=Sirens sound | url=https://example.net/1 | published=2024-01-10T07:04:05Z | updated=2024-01-10T08:04:05Z | lang=en | text=Short.",
            ],
            &[],
        ),
    ),
    ("atom_03_in_base64.xml", Feed("atom", &["id=n-1 | title=Sirens | text=Sound."], &[])),
    (
        "atom_10_whole.xml",
        Feed(
            "atom",
            &[
                "id=tag:example.net,2024:1 | title=Sirens | url=https://example.net/1 | published=2024-01-10T07:04:05Z | updated=2024-01-10T08:04:05Z | author=A. Lark | text=One.\n\nTwo.",
            ],
            &[],
        ),
    ),
    ("atom_entry_as_root.xml", Feed("atom", &["id=n-1 | title=Sirens"], &[])),
    ("atom_under_a_prefix.xml", Feed("atom", &["id=n-1 | title=Sirens"], &[])),
    (
        "atom_tombstone.xml",
        Feed(
            "atom",
            &[
                "id=n-1 | title=Sirens",
                "id=n-2 | updated=2024-01-10T07:04:05Z | withdrawn",
                "withdrawn",
            ],
            &[],
        ),
    ),
    (
        "json_10.json",
        Feed(
            "json",
            &[
                "id=n-1 | title=Sirens | url=https://example.net/1 | published=2024-01-10T07:04:05Z | updated=2024-01-10T08:04:05Z | author=A. Lark | text=One.\n\nTwo.",
            ],
            &[],
        ),
    ),
    (
        "json_11.json",
        Feed(
            "json",
            &[
                "id=n-1 | title=Тривога | author=A. Lark | lang=en-GB | text=One.",
                "id=n-2 | url=https://example.net/2 | lang=uk",
            ],
            &[],
        ),
    ),
    (
        "json_of_odd_types.json",
        Feed(
            "json",
            &["id=7 | published=2024-01-10T07:04:05Z | text=Sirens", "text=Short."],
            &["an item is no object"],
        ),
    ),
    ("json_cut_off.json", Feed("json", &["id=n-1 | title=Sirens"], &["the JSON breaks"])),
    (
        "json_with_raw_line_breaks.json",
        Feed("json", &["id=n-1 | title=Sirens in Eastport", "id=n-2"], &[]),
    ),
    (
        "json_with_commas_too_many.json",
        Feed("json", &["id=n-1 | title=Sirens", "id=n-2"], &["the JSON breaks"]),
    ),
    ("json_behind_words.json", Feed("json", &["id=n-1 | title=Sirens <b> & co"], &[])),
    ("json_without_items.json", Refusal("no list of items")),
    ("json_with_nothing_in_it.json", Feed("json", &[], &[])),
    (
        "json_canceled_as_in_ninjs.json",
        Feed("json", &["id=n-1 | title=Sirens | withdrawn", "id=n-2 | title=Ferry"], &[]),
    ),
    (
        "sitemap_of_news.xml",
        Feed(
            "sitemap",
            &[
                "title=Sirens & ferries | url=https://example.net/1 | published=2024-01-10T07:04:05Z | updated=2024-01-10T08:04:05Z | lang=en",
                "title=Ferry | url=https://example.net/2",
            ],
            &["1 addresses without news", r#""soon" cannot be read"#],
        ),
    ),
    (
        "sitemap_of_news_cut_off.xml",
        Feed("sitemap", &["title=Sirens | url=https://example.net/1"], &["ends inside an entry"]),
    ),
    (
        "sitemap_without_news.xml",
        Refusal("it is a sitemap that names no news; give the address of a news sitemap"),
    ),
    (
        "sitemap_of_sitemaps.xml",
        Refusal("it is an index of sitemaps; give the address of a news sitemap"),
    ),
    (
        "page_that_names_its_feeds.html",
        Refusal(
            "it is an HTML page; its feeds are https://example.net/sub/feed?a=1&b=2 and https://example.org/feed.json",
        ),
    ),
    (
        "page_with_one_feed.html",
        Refusal("it is an HTML page; its feed is https://example.net/atom.xml"),
    ),
    ("page_that_names_no_feed.html", Refusal("it is an HTML page that names no feed")),
    ("page_with_rdf_inside.html", Refusal("it is an HTML page that names no feed")),
    (
        "page_that_leads_on.html",
        Refusal("it is an HTML page that names no feed; give the address of its feed"),
    ),
    ("cap_alert.xml", Refusal("it is a CAP alert")),
    ("no_feed_at_all.svg", Refusal(r#"its root element is "svg""#)),
    ("plain_text.txt", Refusal("it has neither markup nor JSON")),
    ("nothing.xml", Refusal("it has neither markup nor JSON")),
    ("empty_rss.xml", Feed("rss", &[], &[])),
    ("empty_atom.xml", Feed("atom", &[], &[])),
];
