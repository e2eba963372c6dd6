//! Everything from outside, in one binary.

mod bus;
mod egress;
mod query_properties;
mod query_vectors;
mod rule_files;
mod shipped_rules;
mod stories;
mod support;
