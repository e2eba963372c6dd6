//! One record inside a transaction: the expectation, the caps, the insert.

use bytes::Bytes;
use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;

use super::AtCap;
use super::Error;
use super::Expect;
use super::Log;
use super::MAX_PAYLOAD;
use super::Outcome;
use super::Write;
use super::failed;
use super::signed;
use super::unsigned;

/// What a record costs beside its subject and payload.
pub(super) const OVERHEAD: u64 = 40;

/// The last sequence given out and the bytes held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counter {
    pub(super) last: u64,
    pub(super) bytes: u64,
}

struct Newest {
    seq: u64,
    /// None = a marker.
    length: Option<u64>,
}

/// Writes a record if its expectation holds. An error inside the result concerns this record, an
/// error outside it the whole transaction.
pub(super) fn apply(
    connection: &Connection,
    log: &Log,
    counter: &mut Counter,
    write: &Write,
    now: i64,
) -> Result<Result<Outcome, Error>, Error> {
    let size = write.payload.as_ref().map_or(0, Bytes::len);
    if size > MAX_PAYLOAD {
        return Ok(Err(Error::TooLarge { subject: write.subject.clone(), size }));
    }
    let newest = match (write.expect, log.revisions) {
        (Expect::Any, None) => None,
        _ => newest(connection, log, &write.subject).map_err(failed("reading"))?,
    };
    let holds = match (write.expect, &newest) {
        (Expect::Any, _) | (Expect::Absent, None | Some(Newest { length: None, .. })) => true,
        (Expect::After(want), Some(found)) => want == found.seq,
        _ => false,
    };
    if !holds || (write.payload.is_none() && newest.is_none()) {
        return compare(connection, log, write, newest).map(Ok).map_err(failed("reading"));
    }
    let added = cost(&write.subject, size);
    let replaced = match (&newest, log.revisions) {
        (Some(old), Some(1)) => length_cost(&write.subject, old.length),
        _ => 0,
    };
    let grows = added > replaced;
    if log.at_cap == AtCap::Refuse && grows && counter.bytes + added - replaced > log.max_bytes {
        return Ok(Err(Error::Full(log.name)));
    }
    counter.last += 1;
    counter.bytes += added;
    insert(connection, log, counter.last, write, now).map_err(failed("writing"))?;
    let gone = match (&newest, log.revisions) {
        (Some(old), Some(1)) => remove(connection, log, old.seq).map(|()| replaced),
        (Some(_), Some(keep)) => prune(connection, log, &write.subject, keep),
        _ => Ok(0),
    };
    counter.bytes = counter.bytes.saturating_sub(gone.map_err(failed("writing"))?);
    Ok(Ok(Outcome::Written(counter.last)))
}

pub(super) fn cost(subject: &str, size: usize) -> u64 {
    u64::try_from(subject.len() + size).unwrap_or(u64::MAX).saturating_add(OVERHEAD)
}

fn length_cost(subject: &str, length: Option<u64>) -> u64 {
    cost(subject, 0) + length.unwrap_or(0)
}

fn newest(connection: &Connection, log: &Log, subject: &str) -> rusqlite::Result<Option<Newest>> {
    let table = log.name;
    connection
        .prepare_cached(&format!(
            "SELECT seq, length(payload) FROM log_{table} WHERE subject = ?1
             ORDER BY seq DESC LIMIT 1"
        ))?
        .query_row([subject], |row| {
            let length: Option<i64> = row.get(1)?;
            Ok(Newest { seq: unsigned(row.get(0)?), length: length.map(unsigned) })
        })
        .optional()
}

fn compare(
    connection: &Connection,
    log: &Log,
    write: &Write,
    newest: Option<Newest>,
) -> rusqlite::Result<Outcome> {
    let Some(newest) = newest else {
        // Deleting what is not there is done already; anything else wanted a record to be there.
        return Ok(match (&write.payload, write.expect) {
            (None, Expect::After(seq)) => Outcome::Same(seq),
            (None, _) => Outcome::Same(0),
            (Some(_), _) => Outcome::Differs,
        });
    };
    let table = log.name;
    let payload: Option<Vec<u8>> = connection
        .prepare_cached(&format!("SELECT payload FROM log_{table} WHERE seq = ?1"))?
        .query_row([signed(newest.seq)], |row| row.get(0))?;
    let same = payload.as_deref() == write.payload.as_deref();
    Ok(if same { Outcome::Same(newest.seq) } else { Outcome::Differs })
}

fn insert(
    connection: &Connection,
    log: &Log,
    seq: u64,
    write: &Write,
    now: i64,
) -> rusqlite::Result<()> {
    let table = log.name;
    connection
        .prepare_cached(&format!(
            "INSERT INTO log_{table} (seq, at, subject, payload, trace)
             VALUES (?1, ?2, ?3, ?4, ?5)"
        ))?
        .execute(params![signed(seq), now, write.subject, write.payload.as_deref(), write.trace])?;
    Ok(())
}

fn remove(connection: &Connection, log: &Log, seq: u64) -> rusqlite::Result<()> {
    let table = log.name;
    let mut statement =
        connection.prepare_cached(&format!("DELETE FROM log_{table} WHERE seq = ?1"))?;
    statement.execute([signed(seq)])?;
    Ok(())
}

/// Removes what is older than the newest `keep` records of a subject; answers the bytes freed.
fn prune(connection: &Connection, log: &Log, subject: &str, keep: u32) -> rusqlite::Result<u64> {
    let table = log.name;
    let mut statement = connection.prepare_cached(&format!(
        "DELETE FROM log_{table} WHERE seq IN (SELECT seq FROM log_{table} WHERE subject = ?1
         ORDER BY seq DESC LIMIT -1 OFFSET ?2) RETURNING length(payload)"
    ))?;
    let mut rows = statement.query(params![subject, keep])?;
    let mut freed = 0;
    while let Some(row) = rows.next()? {
        let length: Option<i64> = row.get(0)?;
        freed += length_cost(subject, length.map(unsigned));
    }
    Ok(freed)
}
