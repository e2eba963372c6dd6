//! Between the words of the store and those of the bus.

use crate::bus::Bucket;
use crate::bus::Entry;
use crate::bus::Error;
use crate::bus::Expect;
use crate::bus::Outcome;
use crate::bus::PutOutcome;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::bus::limits;
use crate::bus::names;
use crate::model::Time;
use crate::store;

pub(super) fn expect_of(expect: Expect) -> store::Expect {
    match expect {
        // A position of 0 is that of no record.
        Expect::Absent | Expect::After(0) => store::Expect::Absent,
        Expect::After(seq) => store::Expect::After(seq),
        Expect::Any => store::Expect::Any,
    }
}

pub(super) fn outcome_of(outcome: store::Outcome) -> Outcome {
    match outcome {
        store::Outcome::Written(seq) => Outcome::Published(seq),
        store::Outcome::Same(seq) => Outcome::AlreadyThere(seq),
        store::Outcome::Differs => Outcome::Conflict,
    }
}

pub(super) fn put_outcome_of(outcome: store::Outcome) -> PutOutcome {
    match outcome {
        store::Outcome::Written(seq) | store::Outcome::Same(seq) => PutOutcome::Written(seq),
        store::Outcome::Differs => PutOutcome::Conflict,
    }
}

pub(super) fn stored(row: store::Row) -> Stored {
    Stored {
        seq: row.seq,
        subject: row.subject,
        time: Time::from_millis(row.at),
        payload: row.payload.unwrap_or_default(),
        trace: row.trace.and_then(|trace| trace.parse().ok()),
    }
}

pub(super) fn entry(row: store::Row) -> Entry {
    Entry { key: names::key_of(&row.subject), revision: row.seq, value: row.payload }
}

pub(super) fn error_of(error: store::Error) -> Error {
    use store::Error as Cause;
    match error {
        Cause::TooLarge { subject, size } => {
            Error::TooLarge { name: subject, size, limit: store::MAX_PAYLOAD }
        }
        Cause::Full(name) => {
            let stream = Stream::ALL.into_iter().find(|stream| stream.name() == name);
            let bucket = Bucket::ALL.into_iter().find(|bucket| bucket.name() == name);
            let remedy = stream.map(limits::remedy).or(bucket.map(limits::bucket_remedy));
            Error::Full { name: name.into(), remedy: remedy.unwrap_or_default() }
        }
        Cause::DiskFull => {
            let remedy = "free some space; writing goes on then".into();
            Error::Full { name: "the disk of the data folder".into(), remedy }
        }
        refused @ (Cause::Locked(_) | Cause::Unfit(_)) => Error::Refused(refused.to_string()),
        other => Error::Broken { what: "the embedded store".into(), source: Box::new(other) },
    }
}
