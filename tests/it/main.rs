//! Tests.

mod bus;
