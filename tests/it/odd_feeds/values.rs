//! Ids, links, languages, authors and dates.

use super::Want;
use super::Want::Feed;

pub(super) const ROWS: &[(&str, Want)] = &[
    (
        "guid_is_the_link.xml",
        Feed(
            "rss",
            &[
                "id=https://example.net/1 | title=Sirens | url=https://example.net/1",
                "id=https://example.net/2 | title=Ferry | url=https://example.net/2",
                "id=https://example.net/3 | title=Bridge",
            ],
            &[],
        ),
    ),
    (
        "guid_shared.xml",
        Feed(
            "rss",
            &[
                "id=n | title=Sirens | url=https://example.net/1",
                "id=n | identity=n https://example.net/2 | title=Ferry | url=https://example.net/2",
                "id=n | identity=n https://example.net/2 Bridge | title=Bridge | url=https://example.net/2",
            ],
            &[],
        ),
    ),
    (
        "guid_missing_and_link_shared.xml",
        Feed(
            "rss",
            &[
                "identity=https://example.net/ Sirens\n\n | title=Sirens | url=https://example.net/",
                "identity=https://example.net/ Sirens\n\nEastport | title=Sirens | url=https://example.net/ | text=Eastport",
                "title=Ferry | url=https://example.net/2",
            ],
            &["is in the document twice"],
        ),
    ),
    ("guid_empty.xml", Feed("rss", &["title=Sirens | url=https://example.net/1"], &[])),
    (
        "guid_moved_to_https.xml",
        Feed(
            "rss",
            &[
                "id=http://example.net/1 | identity=https://example.net/1 | title=Sirens | url=http://example.net/1",
            ],
            &["is in the document twice"],
        ),
    ),
    ("item_twice.xml", Feed("rss", &["id=n-1 | title=Sirens"], &["is in the document twice"])),
    (
        "links_relative_to_the_feed.xml",
        Feed(
            "rss",
            &[
                "title=Sirens | url=https://example.net/news/1?a=b#c",
                "title=Ferry | url=https://example.org/2",
                "title=Bridge | url=https://example.net/3",
            ],
            &[],
        ),
    ),
    (
        "links_relative_to_their_base.xml",
        Feed(
            "atom",
            &[
                "id=n-1 | title=Sirens | url=https://example.org/a/b/1",
                "id=n-2 | title=Ferry | url=https://example.com/x/2",
            ],
            &[],
        ),
    ),
    (
        "links_that_lead_nowhere.xml",
        Feed(
            "rss",
            &["title=Sirens", "title=Ferry", "title=Bridge"],
            &["javascript:alert(1)", "http://", "mailto:lark"],
        ),
    ),
    (
        "links_of_many_kinds.xml",
        Feed(
            "atom",
            &[
                "id=n-1 | title=Sirens | url=https://example.net/1",
                "id=n-2 | title=Ferry | url=https://example.net/2",
            ],
            &[],
        ),
    ),
    (
        "atom_links_in_rss.xml",
        Feed(
            "rss",
            &[
                "title=Sirens | url=https://example.net/1",
                "title=Ferry | url=https://example.net/2",
            ],
            &[],
        ),
    ),
    (
        "link_with_entities_and_spaces.xml",
        Feed(
            "rss",
            &[
                "title=Sirens | url=https://example.net/?a=1&b=%D1%82%D1%80%D0%B8%D0%B2%D0%BE%D0%B3%D0%B0",
            ],
            &[],
        ),
    ),
    ("enclosure_is_not_the_link.xml", Feed("rss", &["id=n-1 | title=Sirens"], &[])),
    (
        "languages.xml",
        Feed(
            "rss",
            &["title=Sirens | lang=uk", "title=Alarm | lang=DE-at", "title=Odd | lang=en-us"],
            &[],
        ),
    ),
    (
        "authors.xml",
        Feed(
            "rss",
            &[
                "title=A | author=A. Lark",
                "title=B | author=B. Lark",
                "title=C | author=C. Lark",
                "title=D",
            ],
            &[],
        ),
    ),
    (
        "dates_of_rfc_2822.xml",
        Feed(
            "rss",
            &[
                "title=1 | published=2024-01-10T07:04:05Z",
                "title=2 | published=2024-01-10T07:04:05Z",
                "title=3 | published=2024-01-10T07:04:00Z",
                "title=4 | published=2024-01-10T07:04:05Z",
                "title=5 | published=2024-01-10T07:04:05Z",
                "title=6 | published=2024-01-10T07:04:05Z",
            ],
            &[],
        ),
    ),
    (
        "dates_of_rfc_3339.xml",
        Feed(
            "rss",
            &[
                "title=1 | published=2024-01-10T07:04:05Z",
                "title=2 | published=2024-01-10T07:04:05Z",
                "title=3 | published=2024-01-10T07:04:05Z",
                "title=4 | published=2024-01-10T07:04:05.999Z",
                "title=5",
                "title=6 | published=2024-01-10T07:04:00Z",
                "title=7 | published=2024-01-10T00:00:00Z",
            ],
            &["2024-01-10T0904+02"],
        ),
    ),
    (
        "dates_with_short_years.xml",
        Feed(
            "rss",
            &[
                "title=1 | published=2024-01-10T07:04:05Z",
                "title=2 | published=1999-01-10T00:00:00Z",
                "title=3 | published=2024-01-10T00:00:00Z",
            ],
            &[],
        ),
    ),
    (
        "dates_with_named_zones.xml",
        Feed(
            "rss",
            &[
                "title=1 | published=2024-01-10T07:04:00Z",
                "title=2 | published=2024-01-10T07:04:00Z",
                "title=3 | published=2024-01-10T07:04:00Z",
                "title=4 | published=2024-01-10T07:04:00Z",
                "title=5 | published=2024-01-10T07:04:00Z",
                "title=6 | published=2024-01-10T07:04:00Z",
            ],
            &[],
        ),
    ),
    (
        "dates_with_odd_offsets.xml",
        Feed(
            "rss",
            &[
                "title=1 | published=2024-01-10T07:04:00Z",
                "title=2 | published=2024-01-10T07:04:00Z",
                "title=3 | published=2024-01-10T07:04:00Z",
                "title=4 | published=2024-01-10T07:04:00Z",
                "title=5 | published=2024-01-10T07:04:00Z",
                "title=6 | published=2024-01-10T07:04:00Z",
            ],
            &[],
        ),
    ),
    (
        "dates_without_a_zone.xml",
        Feed(
            "rss",
            &[
                "title=1 | published=2024-01-10T07:04:00Z",
                "title=2 | published=2024-01-10T07:04:00Z",
            ],
            &[],
        ),
    ),
    (
        "dates_in_russian_and_ukrainian.xml",
        Feed(
            "rss",
            &[
                "title=1 | published=2024-01-10T07:04:00Z",
                "title=2 | published=2024-01-10T07:04:00Z",
                "title=3 | published=2024-01-10T07:04:00Z",
                "title=4 | published=2023-02-10T00:00:00Z",
                "title=5 | published=2023-05-10T00:00:00Z",
                "title=6 | published=2023-05-10T00:00:00Z",
                "title=7 | published=2023-11-10T00:00:00Z",
            ],
            &[],
        ),
    ),
    (
        "dates_in_german_and_french.xml",
        Feed(
            "rss",
            &[
                "title=1 | published=2024-01-10T07:04:00Z",
                "title=2 | published=2023-03-10T00:00:00Z",
                "title=3 | published=2023-10-04T22:00:00Z",
                "title=4 | published=2024-01-10T07:04:00Z",
                "title=5 | published=2023-02-10T00:00:00Z",
                "title=6 | published=2023-08-10T00:00:00Z",
                "title=7 | published=2023-12-05T00:00:00Z",
            ],
            &[],
        ),
    ),
    (
        "dates_in_spanish_and_polish.xml",
        Feed(
            "rss",
            &[
                "title=1 | published=2024-01-10T07:04:00Z",
                "title=2 | published=2024-01-10T00:00:00Z",
                "title=3 | published=2023-08-10T00:00:00Z",
                "title=4 | published=2024-01-10T07:04:00Z",
                "title=5 | published=2024-01-10T00:00:00Z",
                "title=6 | published=2023-10-10T00:00:00Z",
                "title=7 | published=2023-07-10T00:00:00Z",
            ],
            &[],
        ),
    ),
    (
        "dates_in_numbers.xml",
        Feed(
            "rss",
            &[
                "title=1 | published=2024-01-10T07:04:05Z",
                "title=2 | published=2024-01-10T07:04:05.123Z",
                "title=3 | published=2024-01-10T07:04:00Z",
                "title=4 | published=2024-01-10T07:04:00Z",
                "title=5",
                "title=6",
            ],
            &["01/10/2024", "20240110"],
        ),
    ),
    (
        "dates_with_half_days.xml",
        Feed(
            "rss",
            &[
                "title=1 | published=2024-01-10T07:04:00Z",
                "title=2 | published=2024-01-10T19:04:00Z",
                "title=3 | published=2024-01-10T00:04:00Z",
            ],
            &[],
        ),
    ),
    (
        "dates_that_are_none.xml",
        Feed(
            "rss",
            &["title=1", "title=2", "title=3", "title=4", "title=5", "title=6"],
            &["yesterday", "30 Feb", "2024-13-01", "25:00", "0000-00-00"],
        ),
    ),
    (
        "dates_ahead.xml",
        Feed(
            "rss",
            &["title=1 | published=2024-01-11T15:20:00Z", "title=2", "title=3"],
            &["more than a day ahead", "more than a day ahead"],
        ),
    ),
    (
        "date_of_dublin_core.xml",
        Feed(
            "rss",
            &[
                "title=A | published=2024-01-10T07:04:05Z",
                "title=B | published=2024-01-10T00:00:00Z",
                "title=C | published=2024-01-10T00:00:00Z | updated=2024-01-10T07:04:00Z",
            ],
            &[],
        ),
    ),
    (
        "date_of_change_only.xml",
        Feed("atom", &["id=n-1 | title=Sirens | updated=2024-01-10T07:04:05Z"], &[]),
    ),
];
