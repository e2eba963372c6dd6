//! The version every stored record carries.

use serde::Deserialize;
use serde::Serialize;

/// The record version this build writes, 1. A newer one is refused with an error that says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Version;

/// A record of a version this build cannot read.
#[derive(Debug, thiserror::Error)]
#[error(
    "the record has version {0}, this build reads version 1: it was written by a newer Wirebell, run that one"
)]
pub struct Newer(u64);

impl TryFrom<u64> for Version {
    type Error = Newer;

    fn try_from(v: u64) -> Result<Self, Newer> {
        if v == 1 { Ok(Self) } else { Err(Newer(v)) }
    }
}

impl From<Version> for u64 {
    fn from(_: Version) -> u64 {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_record_is_refused_in_words() {
        let error = serde_json::from_str::<Version>("2").unwrap_err().to_string();
        assert!(error.contains("newer Wirebell"), "{error}");
        assert_eq!(serde_json::to_string(&Version).unwrap(), "1");
    }
}
