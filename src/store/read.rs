//! Reading: a small pool of connections that cannot write, and short transactions on them.

use std::path::PathBuf;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::PoisonError;

use bytes::Bytes;
use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::params;

use super::Error;
use super::Filter;
use super::Log;
use super::Row;
use super::failed;
use super::file;
use super::signed;
use super::unsigned;

const READERS: usize = 4;
/// Rows looked at in one page: a reader that finds nothing must not hold up the checkpoint.
const EXAMINED: usize = 20_000;
/// Matches up to which the index by subject is used instead of the order of the log.
const NARROW: usize = 1_000;

/// What to read next.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The log.
    pub log: usize,
    /// The position after which to read.
    pub after: u64,
    /// Which subjects.
    pub filter: &'a Filter,
    /// Whether an earlier page said that the filter fits too much for the index.
    pub wide: bool,
    /// Records in a page.
    pub max_records: usize,
    /// Bytes of payload at which a page ends; one record always fits.
    pub max_bytes: usize,
}

/// A stretch of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The records that fit, in order.
    pub rows: Vec<Row>,
    /// The position up to which everything was looked at.
    pub passed: u64,
    /// The first record kept, or the one that will be written next.
    pub first: u64,
    /// The log's last sequence.
    pub last: u64,
    /// To be handed to the next query.
    pub wide: bool,
}

/// Connections for reading, opened when first needed.
#[derive(Debug)]
pub(super) struct Pool {
    path: PathBuf,
    tables: Vec<String>,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    open: usize,
    closed: bool,
}

pub(super) struct Reader<'a> {
    connection: &'a Connection,
    tables: &'a [String],
}

impl Pool {
    pub(super) fn new(path: PathBuf, logs: &[Log]) -> Self {
        let tables = logs.iter().map(|log| log.name.to_owned()).collect();
        Self { path, tables, state: Mutex::default(), returned: Condvar::new() }
    }

    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let connection = self.take()?;
        let answer = read(&Reader { connection: &connection, tables: &self.tables });
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            state.open -= 1;
        } else {
            state.idle.push(connection);
        }
        self.returned.notify_all();
        answer
    }

    pub(super) fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        state.open -= state.idle.len();
        state.idle.clear();
        while state.open > 0 {
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn take(&self) -> Result<Connection, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.closed {
                return Err(Error::Closed);
            }
            if let Some(connection) = state.idle.pop() {
                return Ok(connection);
            }
            if state.open < READERS {
                let connection = file::open_reader(&self.path)?;
                state.open += 1;
                return Ok(connection);
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Reader<'_> {
    pub(super) fn page(&self, query: &Query<'_>) -> Result<Page, Error> {
        let read = || {
            let transaction = self.connection.unchecked_transaction()?;
            let page = self.page_at(query)?;
            transaction.finish()?;
            Ok(page)
        };
        read().map_err(failed("reading"))
    }

    fn page_at(&self, query: &Query<'_>) -> rusqlite::Result<Page> {
        let table = &self.tables[query.log];
        let last = self.last(query.log)?;
        let first: Option<i64> = self
            .connection
            .prepare_cached(&format!("SELECT min(seq) FROM log_{table}"))?
            .query_row([], |row| row.get(0))?;
        let first = first.map_or(last + 1, unsigned);
        let mut page = Page { rows: Vec::new(), passed: last, first, last, wide: query.wide };
        if query.after >= last {
            page.passed = query.after;
            return Ok(page);
        }
        let gap = last - query.after.max(first.saturating_sub(1));
        if !page.wide && (query.filter.prefix().is_empty() || gap <= signed_len(NARROW)) {
            page.wide = true;
        }
        if !page.wide {
            match self.narrow(query)? {
                Some(found) => return self.fetch(query, page, &found),
                None => page.wide = true,
            }
        }
        self.scan(query, page)
    }

    /// Sequences of all matches after the position, if they are few.
    fn narrow(&self, query: &Query<'_>) -> rusqlite::Result<Option<Vec<u64>>> {
        let table = &self.tables[query.log];
        let (low, high) = range(query.filter);
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT seq, subject FROM log_{table} INDEXED BY subject_{table}
             WHERE subject >= ?1 AND subject < ?2 AND seq > ?3"
        ))?;
        let mut rows = statement.query(params![low, high, signed(query.after)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            if query.filter.matches(row.get_ref(1)?.as_str()?) {
                found.push(unsigned(row.get(0)?));
            }
            if found.len() > NARROW {
                return Ok(None);
            }
        }
        found.sort_unstable();
        Ok(Some(found))
    }

    fn fetch(&self, query: &Query<'_>, mut page: Page, found: &[u64]) -> rusqlite::Result<Page> {
        let table = &self.tables[query.log];
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT seq, at, subject, payload, trace FROM log_{table} WHERE seq = ?1"
        ))?;
        let mut bytes = 0;
        for seq in found {
            if page.rows.len() >= query.max_records || bytes >= query.max_bytes {
                page.passed = seq - 1;
                return Ok(page);
            }
            let row = statement.query_row([signed(*seq)], row_of)?;
            bytes += row.payload.as_ref().map_or(0, Bytes::len);
            page.rows.push(row);
        }
        Ok(page)
    }

    fn scan(&self, query: &Query<'_>, mut page: Page) -> rusqlite::Result<Page> {
        let table = &self.tables[query.log];
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT seq, at, subject, payload, trace FROM log_{table} WHERE seq > ?1 ORDER BY seq"
        ))?;
        let mut rows = statement.query([signed(query.after)])?;
        let (mut bytes, mut examined) = (0, 0);
        while let Some(row) = rows.next()? {
            let seq = unsigned(row.get(0)?);
            if page.rows.len() >= query.max_records
                || bytes >= query.max_bytes
                || examined >= EXAMINED
            {
                page.passed = seq - 1;
                return Ok(page);
            }
            examined += 1;
            if query.filter.matches(row.get_ref(2)?.as_str()?) {
                let row = row_of(row)?;
                bytes += row.payload.as_ref().map_or(0, Bytes::len);
                page.rows.push(row);
            }
        }
        Ok(page)
    }

    pub(super) fn newest(&self, log: usize, subject: &str) -> Result<Option<Row>, Error> {
        let table = &self.tables[log];
        let read = || {
            self.connection
                .prepare_cached(&format!(
                    "SELECT seq, at, subject, payload, trace FROM log_{table} WHERE subject = ?1
                     ORDER BY seq DESC LIMIT 1"
                ))?
                .query_row([subject], row_of)
                .optional()
        };
        read().map_err(failed("reading"))
    }

    pub(super) fn list(&self, log: usize, prefix: &str) -> Result<(Vec<Row>, u64), Error> {
        let table = &self.tables[log];
        let read = || {
            let transaction = self.connection.unchecked_transaction()?;
            let last = self.last(log)?;
            let rows = self
                .connection
                .prepare_cached(&format!(
                    "SELECT seq, at, subject, payload, trace FROM log_{table}
                     WHERE subject >= ?1 AND subject < ?2 AND payload IS NOT NULL ORDER BY subject"
                ))?
                .query_map(params![prefix, after_prefix(prefix)], row_of)?
                .collect::<rusqlite::Result<Vec<Row>>>()?;
            transaction.finish()?;
            Ok((rows, last))
        };
        read().map_err(failed("listing"))
    }

    pub(super) fn end(&self, log: usize) -> Result<u64, Error> {
        self.last(log).map_err(failed("reading"))
    }

    /// Bytes held, first and last sequence.
    pub(super) fn usage(&self, log: usize) -> Result<(u64, u64, u64), Error> {
        let table = &self.tables[log];
        let read = || {
            self.connection
                .prepare_cached(&format!(
                    "SELECT bytes, last, (SELECT min(seq) FROM log_{table}) FROM counters
                     WHERE log = ?1"
                ))?
                .query_row([table], |row| {
                    let last = unsigned(row.get(1)?);
                    let first: Option<i64> = row.get(2)?;
                    Ok((unsigned(row.get(0)?), first.map_or(last + 1, unsigned), last))
                })
        };
        read().map_err(failed("reading"))
    }

    /// Times rise with the sequence but for steps of the clock, so halving finds the place.
    pub(super) fn before(&self, log: usize, at: i64) -> Result<u64, Error> {
        let table = &self.tables[log];
        let read = || {
            let mut low: i64 = 0;
            let mut high = signed(self.last(log)?) + 1;
            let mut statement = self.connection.prepare_cached(&format!(
                "SELECT seq, at FROM log_{table} WHERE seq >= ?1 ORDER BY seq LIMIT 1"
            ))?;
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                let found: Option<(i64, i64)> = statement
                    .query_row([middle], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                match found {
                    Some((seq, written)) if written < at => low = seq,
                    _ => high = middle,
                }
            }
            Ok(unsigned(low))
        };
        read().map_err(failed("looking for a time"))
    }

    fn last(&self, log: usize) -> rusqlite::Result<u64> {
        self.connection
            .prepare_cached("SELECT last FROM counters WHERE log = ?1")?
            .query_row([&self.tables[log]], |row| row.get(0))
            .map(unsigned)
    }
}

fn row_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let payload: Option<Vec<u8>> = row.get(3)?;
    Ok(Row {
        seq: unsigned(row.get(0)?),
        at: row.get(1)?,
        subject: row.get(2)?,
        payload: payload.map(Bytes::from),
        trace: row.get(4)?,
    })
}

fn range(filter: &Filter) -> (String, String) {
    match filter.exact() {
        Some(subject) => (subject.to_owned(), format!("{subject}\0")),
        None => (filter.prefix().to_owned(), after_prefix(filter.prefix())),
    }
}

/// Above every subject that begins with `prefix`: subjects are ASCII.
fn after_prefix(prefix: &str) -> String {
    format!("{prefix}\u{7f}")
}

fn signed_len(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
