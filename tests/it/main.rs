//! Everything from outside, in one binary.

mod bus;
mod query_vectors;
mod rule_files;
