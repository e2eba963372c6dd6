//! Tests.

mod bus;
mod support;
