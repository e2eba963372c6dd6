//! How often the language of a short headline is found: right, wrong, or left open.
//!
//! `cargo test --test it -- headlines --nocapture` prints the figures and what was not found.

use std::path::PathBuf;

use wirebell::feed::lang::detect;
use wirebell::model::Lang;

/// Languages, headlines of each, and how many of them must at least be found. None is ever taken
/// for another language's.
const ROWS: [(&str, usize); 11] = [
    ("ar", 40),
    ("de", 32),
    ("en", 33),
    ("es", 39),
    ("fr", 39),
    ("he", 40),
    ("ja", 41),
    ("pl", 38),
    ("ru", 25),
    ("uk", 38),
    ("zh", 39),
];

#[test]
fn a_headline_is_found_in_its_language_or_left_open() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/headlines");
    let mut failed = Vec::new();
    println!("language  headlines  right  wrong  open");
    for (lang, least) in ROWS {
        let text = std::fs::read_to_string(folder.join(format!("{lang}.txt"))).unwrap();
        let (mut right, mut open, mut all) = (0, 0, 0);
        let mut missed = Vec::new();
        for line in text.lines() {
            all += 1;
            match detect(line).as_ref().map(Lang::as_str) {
                None => open += 1,
                Some(found) if found == lang => {
                    right += 1;
                    continue;
                }
                Some(found) => failed.push(format!("{lang} taken for {found}: {line}")),
            }
            missed.push(line);
        }
        println!("{lang:8}  {all:9}  {right:5}  {:5}  {open:4}", all - right - open);
        println!("  not found: {missed:?}");
        assert!(all >= 40, "{lang} has {all} headlines");
        if right < least {
            failed.push(format!("{lang}: {right} of {all} found, {least} at least before"));
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}

#[test]
fn a_headline_in_another_language_is_taken_for_none_of_these() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/headlines");
    let text = std::fs::read_to_string(folder.join("other.txt")).unwrap();
    let (mut right, mut open, mut wrong) = (0, 0, Vec::new());
    for (lang, line) in text.lines().map(|line| line.split_once('\t').unwrap()) {
        match detect(line).as_ref().map(Lang::as_str) {
            None => open += 1,
            Some(found) if found == lang => right += 1,
            Some(found) => wrong.push(format!("{lang} taken for {found}: {line}")),
        }
    }
    println!("others: {right} right, {} wrong, {open} open", wrong.len());
    assert_eq!(wrong, Vec::<String>::new());
}
