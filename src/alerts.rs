//! The life of an alert: (states, input, time) to (states, events). Pure.
//!
//! A [`Book`] holds the states of some rules. Live work keeps one for the rules of each shard it
//! owns; stories and `backtest` keep one for the whole rule set. All of them call the same two
//! functions: [`Book::advance`] lets timers act up to a time, [`Book::apply`] takes an article.
//!
//! # Invariants
//! - What is decided follows from the order of the articles and their times alone.
//! - A state says up to which log position it has applied articles; at or below it an article
//!   changes nothing, so reading on from an older cursor repeats nothing.
//! - Within a state time never goes back.
//! - One article gives one alert at most one event.

pub mod book;
mod cap;
mod close;
mod concern;
mod copies;
mod correct;
mod emit;
mod operator;
pub mod run;
mod schedule;
mod start;
pub mod state;
mod step;

pub use crate::model::rule::Context;
pub use book::Book;
pub use book::Input;
pub use copies::Standing;
pub use copies::Witnesses;
pub use run::Run;
pub use state::Alert;
pub use state::AlertState;
pub use state::StateKey;
