//! Rules: from files to an engine, and from an article to the matches of rules with evidence. Pure.

mod engine;
mod eval;
mod evidence;
mod examples;
mod lexer;
mod load;
mod nearest;
mod page;
mod parser;
mod problem;
mod query;
mod query_words;
mod read;
mod rule_read;
mod run;
mod set;
mod source;
pub mod spec;
mod spec_read;
mod value;
mod word;
mod words;
pub(crate) mod yaml;

use std::collections::HashMap;

use crate::model::Evidence;
use crate::model::article::MAX_BODY_CHARS;
use crate::model::article::MAX_TITLE_CHARS;
use crate::text::sentence::lead_end;
use crate::text::tokens::tokenize_within;

pub(crate) use read::Reader;
pub(crate) use source::Source;

pub use engine::Scratch;
pub use engine::Stage;
pub use examples::TestFailure;
pub use load::load;
pub use load::load_story;
pub use problem::Level;
pub use problem::Problem;
pub use query::Place;
pub use query::QueryError;
pub use set::GivenUp;
pub use set::MAX_PLACES;
pub use set::Miss;
pub use set::Outcome;
pub use set::RuleSet;

/// Why a query could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum TryError {
    /// It is no query.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// It makes too many intervals on this text.
    #[error(
        "the query makes more than {} intervals on this text: use rarer words or smaller distances",
        value::MAX_INTERVALS
    )]
    GivenUp,
}

/// Searches a title and a body for one query that uses no lists.
pub fn try_query(query: &str, title: &str, body: &str) -> Result<Vec<Evidence>, TryError> {
    let node = parser::parse(query, &HashMap::new())?;
    query::check_near(&node, &|_| false)?;
    let title = tokenize_within(title, MAX_TITLE_CHARS);
    let lead = lead_end(body);
    let body = tokenize_within(body, MAX_BODY_CHARS);
    let pages = (page::Page::new(&title), page::Page::new(&body));
    let reading = eval::Reading::new(pages, lead, &[]);
    let scope = query::Scope::default();
    if reading.evaluate(&node, scope).is_err() {
        return Err(TryError::GivenUp);
    }
    let item = evidence::Item { term: "query".to_owned(), query: node };
    Ok(evidence::collect(&reading, &[], [&item], scope))
}
