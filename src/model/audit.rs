//! What was changed by hand, by whom, and when.

use serde::Deserialize;
use serde::Serialize;

use crate::model::time::Time;
use crate::model::version::Version;

/// A change that somebody made through the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Record version.
    pub v: Version,
    /// When it was made.
    pub at: Time,
    /// Name of the token it was made with; `local` where none is needed.
    pub who: String,
    /// What was done, such as `POST /v1/alerts/{id}/end`.
    pub action: String,
    /// What it was done to: the path as it was asked for.
    pub target: String,
    /// The status that was answered.
    pub status: u16,
}
