//! How long a page of a list is, and where it begins.

use crate::api::problem::Fault;
use crate::api::problem::Problem;

/// Entries of a page, if nothing else is asked for.
const USUAL: usize = 100;
/// Most entries of a page.
const MOST: usize = 1_000;

/// As many as were asked for, within what a page may have.
pub(super) fn limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(USUAL).clamp(1, MOST)
}

/// A cursor that no page has given.
pub(super) fn bad_cursor() -> Problem {
    Problem::invalid(vec![Fault::new("?cursor", "take next_cursor of the page before")])
}
