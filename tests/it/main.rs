//! Tests.

mod query_vectors;
mod rule_files;
