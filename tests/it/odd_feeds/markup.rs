//! Markup as it comes, and what of it is text.

use super::Want;
use super::Want::Feed;
use super::Want::Refusal;

pub(super) const ROWS: &[(&str, Want)] = &[
    (
        "bare_ampersand.xml",
        Feed("rss", &["title=Lark & Sons, AT&T &c; R&D | url=https://example.net/?a=1&b=2"], &[]),
    ),
    ("undefined_entity.xml", Feed("rss", &["title=Sirens &skylark; sound"], &[])),
    ("html_entities.xml", Feed("rss", &["title=Café Lark — «open» …"], &[])),
    ("numbers_of_windows_1252.xml", Feed("rss", &["title=It’s — ’ 🚨 &#xD800;&#99999999;"], &[])),
    ("bare_less_than.xml", Feed("rss", &["title=1 < 2 <3 and <- there"], &[])),
    ("cdata.xml", Feed("rss", &["title=Sirens & ferries | text=One\n\nand\n\ntwo"], &[])),
    ("cdata_in_cdata.xml", Feed("rss", &["title=Sirens | text=One\n\ntwo", "title=Ferry"], &[])),
    ("cdata_escaped.xml", Feed("rss", &["title=Sirens"], &[])),
    (
        "cdata_left_open.xml",
        Feed("rss", &["title=Sirens", "title=Bridge"], &["CDATA not closed", "an entry was lost"]),
    ),
    (
        "comment_left_open.xml",
        Feed("rss", &["title=Sirens", "title=Ferry"], &["the markup breaks on line 2"]),
    ),
    ("comments_everywhere.xml", Feed("rss", &["title=Sirens"], &[])),
    (
        "title_left_open.xml",
        Feed("rss", &["title=Sirens | url=https://example.net/1 | text=Sound."], &[]),
    ),
    (
        "link_left_open.xml",
        Feed("rss", &["title=Sirens | url=https://example.net/1 | text=Sound."], &[]),
    ),
    (
        "description_left_open.xml",
        Feed(
            "rss",
            &[
                "id=n-1 | title=Sirens | published=2024-01-10T07:04:05Z | text=Sound.\n\nIn town",
                "title=Ferry",
            ],
            &[],
        ),
    ),
    ("item_left_open.xml", Feed("rss", &["title=Sirens", "title=Ferry"], &[])),
    ("ends_without_a_beginning.xml", Feed("rss", &["title=Sirens"], &[])),
    ("ends_crossed.xml", Feed("rss", &["title=Sirens | text=Sound.", "title=Ferry"], &[])),
    (
        "html_without_escapes.xml",
        Feed("rss", &["title=Sirens sound in town | text=One two\n\nThree", "title=Ferry"], &[]),
    ),
    ("cut_off_in_the_declaration.xml", Refusal("it has no element")),
    ("cut_off_in_the_channel.xml", Feed("rss", &[], &[])),
    ("cut_off_in_a_tag.xml", Feed("rss", &["title=Sirens"], &["the markup breaks"])),
    ("cut_off_in_a_text.xml", Feed("rss", &["title=Sirens"], &["ends inside an entry"])),
    (
        "cut_off_in_an_attribute.xml",
        Feed("atom", &["id=n-1 | title=Sirens"], &["the markup breaks"]),
    ),
    ("cut_off_in_cdata.xml", Feed("rss", &["title=Sirens"], &["CDATA not closed"])),
    (
        "cut_off_after_the_items.xml",
        Feed("rss", &["title=Sirens", "title=Ferry"], &["the markup breaks"]),
    ),
    ("blank_lines_before_the_declaration.xml", Feed("rss", &["title=Sirens"], &[])),
    ("warning_before_the_declaration.xml", Feed("rss", &["title=Sirens"], &[])),
    ("markup_before_the_declaration.xml", Feed("rss", &["title=Sirens"], &[])),
    ("words_behind_the_end.xml", Feed("rss", &["title=Sirens"], &[])),
    ("double_escaped_title.xml", Feed("rss", &[r#"title=Lark & Sons <live> "now" ’"#], &[])),
    ("title_over_many_lines.xml", Feed("rss", &["title=Sirens in Eastport"], &[])),
    (
        "xhtml_content.xml",
        Feed("atom", &["id=n-1 | title=Sirens sound | text=One <two>\n\nthree\n\nfour"], &[]),
    ),
    ("xhtml_under_a_prefix.xml", Feed("atom", &["id=n-1 | title=Sirens | text=One\n\nTwo"], &[])),
    ("plain_text_content.xml", Feed("atom", &["id=n-1 | title=1 < 2 <b> | text=a <b> c"], &[])),
    ("scripts_and_styles_in_a_text.xml", Feed("rss", &["title=Sirens | text=One"], &[])),
    ("unclosed_object_in_a_text.xml", Feed("rss", &["title=Sirens | text=One\n\ntwo"], &[])),
    (
        "content_before_description.xml",
        Feed("rss", &["title=Sirens | text=Long.", "title=Ferry | text=Short."], &[]),
    ),
    (
        "namespace_under_an_odd_prefix.xml",
        Feed(
            "rss",
            &["title=Sirens | published=2024-01-10T00:00:00Z | author=Lark | text=Long."],
            &[],
        ),
    ),
    (
        "namespace_declared_in_the_item.xml",
        Feed("rss", &["title=Sirens | published=2024-01-10T00:00:00Z"], &[]),
    ),
    (
        "namespace_not_declared.xml",
        Feed("rss", &["title=Sirens | published=2024-01-10T00:00:00Z | text=Long."], &[]),
    ),
    ("item_of_another_namespace.xml", Feed("rss", &["id=n-1 | title=Sirens"], &[])),
    (
        "media_elements.xml",
        Feed("rss", &["title=Sirens | text=Sound.", "id=n-2 | title=Film | text=A film."], &[]),
    ),
    ("itunes_elements.xml", Feed("rss", &["title=Sirens | text=Sound."], &[])),
    ("titles_that_are_not_the_feeds.xml", Feed("rss", &["title=Sirens"], &[])),
    ("entity_bomb.xml", Feed("rss", &["title=&c; &x;"], &[])),
    ("broken_doctype.xml", Feed("rss", &["title=Sirens"], &["the markup breaks"])),
    ("declaration_twice.xml", Feed("rss", &["title=Sirens"], &[])),
    ("doctype_with_entities.xml", Feed("rss", &["title=Sirens of &lark;"], &[])),
    (
        "attributes_without_quotes.xml",
        Feed("rss", &["id=https://example.net/1 | title=Sirens"], &[]),
    ),
    (
        "attribute_twice.xml",
        Feed("atom", &["id=n-1 | title=Sirens | url=https://example.net/1"], &[]),
    ),
    (
        "item_without_anything.xml",
        Feed(
            "rss",
            &["", "", "title=Sirens"],
            &["no article comes of it", "no article comes of it"],
        ),
    ),
    (
        "withdrawn_by_its_title.xml",
        Feed(
            "rss",
            &[
                "id=n-1 | title=KILL: Sirens in Eastport | withdrawn",
                "id=n-2 | title=Ferry sinks (WITHDRAWN) | withdrawn",
                "id=n-3 | title=Ferry withdrawn: owner",
            ],
            &["says that it is withdrawn", "says that it is withdrawn"],
        ),
    ),
    (
        "withdrawn_by_its_status.xml",
        Feed("rss", &["id=n-1 | title=Sirens | withdrawn", "id=n-2 | title=Ferry"], &[]),
    ),
];
