//! Twenty cases that readers of feeds are known to fail at, and what keeps each of them.
//!
//! Each names the tests, or the rows of a table of files, that fail when the case breaks; this
//! test fails when one of these is renamed or goes.

use std::path::PathBuf;

/// What goes wrong elsewhere, and where it is tested: file and function, or file and row.
const CASES: [(&str, &[(&str, &str)]); 20] = [
    (
        "a feed that failed a few times is never asked again",
        &[
            (
                "tests/it/source.rs",
                "a_feed_that_fails_is_shown_and_recovers_and_one_that_is_gone_stops",
            ),
            ("src/source/poll/schedule.rs", "failures_double_the_wait_up_to_six_hours"),
        ],
    ),
    (
        "all that failed are asked again at once",
        &[("tests/it/polling/day.rs", "a_day_of_many_feeds_is_polite_and_misses_nothing")],
    ),
    (
        "a new feed costs two requests, and the second is refused",
        &[("tests/it/source/polite.rs", "a_new_feed_is_read_with_one_request")],
    ),
    (
        "a host allows one request a minute and refuses with 403",
        &[
            ("src/source/poll/ask.rs", "an_answer_decides_the_next_poll"),
            ("src/source/poll/rota.rs", "a_host_has_one_request_at_a_time_and_a_gap_between_two"),
        ],
    ),
    (
        "many feeds on one host are asked together",
        &[
            ("tests/it/polling/day.rs", "a_day_of_many_feeds_is_polite_and_misses_nothing"),
            ("tests/it/source.rs", "a_host_that_asks_for_a_pause_gets_it_for_all_its_feeds"),
        ],
    ),
    (
        "validators are not stored where the body stays the same",
        &[(
            "tests/it/source/polite.rs",
            "validators_are_those_of_the_last_answer_and_never_invented",
        )],
    ),
    (
        "a validator that the server no longer sends is sent for ever",
        &[(
            "tests/it/source/polite.rs",
            "validators_are_those_of_the_last_answer_and_never_invented",
        )],
    ),
    (
        "a date that the server never gave is sent as a validator",
        &[(
            "tests/it/source/polite.rs",
            "validators_are_those_of_the_last_answer_and_never_invented",
        )],
    ),
    (
        "a server gives news under an old validator",
        &[(
            "tests/it/source/polite.rs",
            "a_whole_answer_is_read_although_its_validator_says_that_nothing_changed",
        )],
    ),
    (
        "a lasting redirect is never adopted, or adopted at once and for ever",
        &[
            ("src/source/poll/moves.rs", "a_move_is_believed_after_five_sightings_over_two_days"),
            (
                "src/source/poll/ask.rs",
                "a_feed_that_moved_is_asked_at_home_again_when_its_new_address_fails",
            ),
        ],
    ),
    (
        "308 is no redirect",
        &[("src/source/poll/moves.rs", "only_what_lasts_from_the_first_step_on_is_a_move")],
    ),
    (
        "a redirect leads to a page that leads on by itself",
        &[("tests/it/odd_feeds/formats.rs", "page_that_leads_on.html")],
    ),
    (
        "blank lines stand before the declaration, which names a charset that is not the text's",
        &[
            ("tests/it/odd_feeds/markup.rs", "blank_lines_before_the_declaration.xml"),
            ("tests/it/odd_feeds/bytes.rs", "utf_8_is_utf_8_whatever_the_labels_say"),
        ],
    ),
    (
        "the server and the declaration name different charsets",
        &[(
            "tests/it/odd_feeds/bytes.rs",
            "older_charsets_are_known_by_a_label_or_by_their_letters",
        )],
    ),
    (
        "a control character stands in the text",
        &[("tests/it/odd_feeds/bytes.rs", "characters_that_are_none_go")],
    ),
    ("entities of HTML stand in XML", &[("tests/it/odd_feeds/markup.rs", "html_entities.xml")]),
    (
        "dates are in the publisher's language, and the compression is not the one of the label",
        &[
            ("tests/it/odd_feeds/values.rs", "dates_in_russian_and_ukrainian.xml"),
            ("src/egress/unpack.rs", "a_body_is_unpacked_as_its_bytes_and_its_label_say"),
            ("tests/it/egress.rs", "a_feed_that_is_packed_in_another_way_than_asked_for_is_read"),
        ],
    ),
    (
        "ids are shared or missing, and so are links",
        &[
            ("tests/it/odd_feeds/values.rs", "guid_shared.xml"),
            ("tests/it/odd_feeds/values.rs", "guid_missing_and_link_shared.xml"),
            ("tests/it/odd_feeds.rs", "the_order_of_entries_makes_none_of_them_another_one"),
        ],
    ),
    (
        "ids move between http and https, and links get other tracking: old items come back daily",
        &[
            ("tests/it/odd_feeds.rs", "an_id_that_moves_to_https_stays_the_same_article"),
            (
                "tests/it/source/links.rs",
                "entries_without_an_id_are_known_again_under_other_tracking",
            ),
            ("src/source/decide.rs", "a_text_is_new_revised_or_known"),
        ],
    ),
    (
        "a feed of 26 MB, or a small one that unpacks to that",
        &[
            ("src/egress/unpack.rs", "a_bomb_is_stopped_by_its_ratio_its_size_or_its_window"),
            ("tests/it/egress/hostile.rs", "a_feed_is_unpacked_to_its_limit_and_no_further"),
            ("tests/it/odd_feeds.rs", "sizes_beyond_the_limits_are_cut_and_said"),
        ],
    ),
];

#[test]
fn each_of_the_twenty_cases_has_its_tests() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    for (case, places) in CASES {
        assert!(!places.is_empty(), "{case}");
        for (file, name) in places {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            let is_test = text.contains(&format!("fn {name}()"));
            assert!(is_test || text.contains(&format!("\"{name}\"")), "{case}: {file}: {name}");
        }
    }
}
