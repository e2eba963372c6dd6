//! Everything from outside, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may panic and speak"
)]

mod bus;
mod e2e;
mod egress;
mod engine;
mod query_properties;
mod query_vectors;
mod rule_files;
mod shipped_rules;
mod source;
mod steps;
mod stories;
mod support;
mod tidy;
