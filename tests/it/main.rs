//! Tests.

mod query_properties;
mod query_vectors;
mod rule_files;
mod shipped_rules;
