//! Tests.

mod egress;
