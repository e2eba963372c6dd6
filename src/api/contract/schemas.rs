//! Schemas of bodies, by name.

use serde_json::Value;

const ALL: &str = include_str!("schemas.json");

pub(super) fn all() -> Value {
    serde_json::from_str(ALL).expect("the file holds JSON, and a test reads it")
}
