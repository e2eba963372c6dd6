//! What can go wrong on the bus.

/// What can go wrong on the bus.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The backend cannot be reached or did not answer in time; the outcome may be unknown.
    #[error("{what} on the bus got no answer")]
    Away {
        /// What was attempted.
        what: String,
        /// The backend's own words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The record is above the backend's limit.
    #[error("the record {name} has {size} bytes, the bus takes at most {limit}")]
    TooLarge {
        /// Subject or key.
        name: String,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The stream or bucket is at its size cap, or the disk is full.
    #[error("{name} is full: {remedy}")]
    Full {
        /// The stream or bucket.
        name: String,
        /// What to do.
        remedy: String,
    },
    /// A cursor points beyond the end: the stream was restored from a backup or made anew.
    #[error(
        "the cursor {cursor} is beyond the end {end} of {stream}: the stream was restored or made anew"
    )]
    BeyondEnd {
        /// The stream.
        stream: &'static str,
        /// Where the reader wanted to go on.
        cursor: u64,
        /// The stream's last position.
        end: u64,
    },
    /// A subject or key that no record can have.
    #[error("{0:?} is no name for a record here")]
    BadName(String),
    /// What was found there is not as it must be, and starting would be wrong.
    #[error("{0}")]
    Refused(String),
    /// The backend failed in a way that no retry mends.
    #[error("{what} failed on the bus")]
    Broken {
        /// What was attempted.
        what: String,
        /// The backend's own words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Full { .. })
    }
}
