//! How much of each stream and bucket is kept.

use std::time::Duration;

use super::Bucket;
use super::Stream;

const DAY: Duration = Duration::from_secs(86_400);
const MIB: u64 = 1024 * 1024;

/// Newest revisions of an article that are kept.
pub(crate) const ARTICLE_REVISIONS: u32 = 5;
/// Age at which the marker of a deleted key goes.
pub(crate) const MARKER_AGE: Duration = DAY;

/// Age and size caps of the streams and buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `articles`: at the size cap the oldest go.
    pub articles: Kept,
    /// `events`: at the size cap new ones are refused.
    pub events: Kept,
    /// `verdicts`: at the size cap the oldest go.
    pub verdicts: Kept,
    /// `attempts`: at the size cap the oldest go.
    pub attempts: Kept,
    /// `buried`: at the size cap the oldest go.
    pub buried: Kept,
    /// `audit`: at the size cap the oldest go.
    pub audit: Kept,
    /// `calls`: at the size cap the oldest go.
    pub calls: Kept,
    /// Size cap of each bucket, at which new entries are refused.
    pub bucket_bytes: u64,
}

/// How much of a stream is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Age at which a record goes.
    pub age: Duration,
    /// Size cap.
    pub bytes: u64,
}

/// How full a stream or bucket is. Whoever runs the bus warns early: of a bucket or of `events`
/// before they refuse what is new, of a cursor that comes near `first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Its name.
    pub name: &'static str,
    /// Bytes held.
    pub bytes: u64,
    /// Its size cap.
    pub limit: u64,
    /// The first record that is kept; the next one to be written if there is none.
    pub first: u64,
    /// The last position.
    pub last: u64,
}

impl Usage {
    /// Hundredths of the size cap that are used.
    pub fn percent(&self) -> u64 {
        self.bytes.saturating_mul(100).checked_div(self.limit).unwrap_or(100)
    }
}

impl Default for Limits {
    fn default() -> Self {
        let kept = |days, mib| Kept { age: DAY * days, bytes: mib * MIB };
        Self {
            articles: kept(30, 6 * 1024),
            events: kept(400, 3 * 1024),
            verdicts: kept(30, 1024),
            attempts: kept(30, 1024),
            buried: kept(90, 512),
            audit: kept(400, 64),
            calls: kept(1, 64),
            bucket_bytes: 512 * MIB,
        }
    }
}

impl Limits {
    /// How much of a stream is kept.
    pub fn of(&self, stream: Stream) -> Kept {
        match stream {
            Stream::Articles => self.articles,
            Stream::Events => self.events,
            Stream::Verdicts => self.verdicts,
            Stream::Attempts => self.attempts,
            Stream::Buried => self.buried,
            Stream::Audit => self.audit,
            Stream::Calls => self.calls,
        }
    }
}

/// Whether a stream at its size cap refuses what is new instead of losing its oldest.
pub(crate) fn refuses_when_full(stream: Stream) -> bool {
    stream == Stream::Events
}

/// Newest records kept under a subject of a stream; none = all.
pub(crate) fn revisions(stream: Stream) -> Option<u32> {
    match stream {
        Stream::Articles => Some(ARTICLE_REVISIONS),
        Stream::Events | Stream::Verdicts | Stream::Calls => Some(1),
        Stream::Attempts | Stream::Buried | Stream::Audit => None,
    }
}

/// What to do about a full stream.
pub(crate) fn remedy(stream: Stream) -> String {
    format!("raise the size cap of the stream {} or shorten how long it is kept", stream.name())
}

/// What to do about a full bucket.
pub(crate) fn bucket_remedy(bucket: Bucket) -> String {
    format!("raise the size cap of the bucket {} or remove entries", bucket.name())
}
