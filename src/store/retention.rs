//! What goes: records above an age, markers of deleted subjects, the oldest above a size cap.
//! Always in chunks, so that nobody waits long for the writer.

use rusqlite::Connection;
use rusqlite::params;

use super::AtCap;
use super::Log;
use super::apply::Counter;
use super::apply::OVERHEAD;
use super::signed;
use super::unsigned;

const CHUNK: i64 = 1_000;

/// Removes one chunk of what is too old. Answers whether there may be more.
pub(super) fn expire(
    connection: &Connection,
    log: &Log,
    counter: &mut Counter,
    now: i64,
) -> rusqlite::Result<bool> {
    let table = log.name;
    let mut more = false;
    if let Some(age) = log.max_age {
        let cutoff = now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let oldest =
            format!("at <= ?1 AND seq IN (SELECT seq FROM log_{table} ORDER BY seq LIMIT {CHUNK})");
        more |= remove(connection, table, counter, (&oldest, cutoff))?;
    }
    let age = i64::try_from(log.max_marker_age.as_millis()).unwrap_or(i64::MAX);
    let markers = format!(
        "seq IN (SELECT seq FROM log_{table} WHERE payload IS NULL AND at <= ?1
         ORDER BY at LIMIT {CHUNK})"
    );
    more |= remove(connection, table, counter, (&markers, now.saturating_sub(age)))?;
    Ok(more)
}

/// Whether a log is above its cap and may lose its oldest records.
pub(super) fn is_over(log: &Log, counter: &Counter) -> bool {
    log.at_cap == AtCap::DropOldest && counter.bytes > log.max_bytes
}

/// Removes one chunk of the oldest records of a log above its cap, down to a little below it, so
/// that a log at its cap does not pay for this at every commit.
pub(super) fn trim(
    connection: &Connection,
    log: &Log,
    counter: &mut Counter,
) -> rusqlite::Result<()> {
    let table = log.name;
    let target = log.max_bytes - log.max_bytes / 64;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT seq, length(subject) + coalesce(length(payload), 0) FROM log_{table}
         ORDER BY seq LIMIT {CHUNK}"
    ))?;
    let mut rows = statement.query([])?;
    let (mut through, mut left) = (0, counter.bytes);
    while let Some(row) = rows.next()? {
        if left <= target {
            break;
        }
        through = row.get(0)?;
        left = left.saturating_sub(unsigned(row.get(1)?) + OVERHEAD);
    }
    connection
        .prepare_cached(&format!("DELETE FROM log_{table} WHERE seq <= ?1"))?
        .execute([through])?;
    counter.bytes = left;
    Ok(())
}

/// Gives pages back to the file system where a quarter of the file is free.
pub(super) fn shrink(connection: &Connection) -> rusqlite::Result<()> {
    let free: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    if free < 1_000 || free < pages / 4 {
        return Ok(());
    }
    // One page goes with each row that is asked for.
    let mut statement = connection.prepare("PRAGMA incremental_vacuum(1000)")?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

pub(super) fn save(connection: &Connection, log: &Log, counter: &Counter) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE counters SET last = ?1, bytes = ?2 WHERE log = ?3")?
        .execute(params![signed(counter.last), signed(counter.bytes), log.name])?;
    Ok(())
}

fn remove(
    connection: &Connection,
    table: &str,
    counter: &mut Counter,
    (which, cutoff): (&str, i64),
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(&format!(
        "DELETE FROM log_{table} WHERE {which}
         RETURNING length(subject) + coalesce(length(payload), 0)"
    ))?;
    let mut rows = statement.query([cutoff])?;
    let mut gone = 0;
    while let Some(row) = rows.next()? {
        gone += 1;
        counter.bytes = counter.bytes.saturating_sub(unsigned(row.get(0)?) + OVERHEAD);
    }
    Ok(gone >= CHUNK)
}
