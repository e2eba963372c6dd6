//! The `wirebell` program.

fn main() {}
