//! Tests.

mod query_vectors;
