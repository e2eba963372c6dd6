//! Tests.

mod bus;
mod egress;
