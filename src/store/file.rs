//! The folder, its lock, and the database file with its settings and tables.

use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;

use super::Error;
use super::Log;
use super::Settings;
use super::failed;
use super::signed;

/// 3.7.0 to 3.51.2 can corrupt a database when its write-ahead log is reset at the wrong moment.
const OLDEST_SQLITE: i32 = 3_051_003;
const SCHEMA: i64 = 1;
const PAGE: u64 = 4096;
/// A database that is being made.
const DRAFT: &str = "wirebell.new";

/// The writer's connection and the lock that must outlive it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) lock: File,
}

pub(super) fn open(settings: &Settings) -> Result<Opened, Error> {
    check_version(rusqlite::version_number(), rusqlite::version())?;
    let folder = &settings.folder;
    make_folder(folder)?;
    refuse_network(folder)?;
    let lock = lock(folder)?;
    let path = folder.join("wirebell.db");
    if std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
        clear_drafts(folder)?;
    } else {
        make(folder, &path, &settings.logs)?;
    }
    let connection = Connection::open(&path).map_err(failed("opening"))?;
    prepare(&connection, settings).map_err(failed("opening"))?;
    check_schema(&connection, &path)?;
    create_all(&connection, &settings.logs).map_err(failed("creating a log"))?;
    Ok(Opened { connection, path, lock })
}

/// A connection that cannot write.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        plan_once(&connection)?;
        connection.pragma_update(None, "cache_size", -2000)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(failed("opening a reader"))
}

fn check_version(number: i32, text: &str) -> Result<(), Error> {
    if number < OLDEST_SQLITE {
        return Err(Error::Unfit(format!(
            "SQLite {text} may corrupt its write-ahead log: build with 3.51.3 or newer"
        )));
    }
    Ok(())
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    // Secrets of subscriptions are in the file.
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|e| unusable(folder, e))
}

fn unusable(path: &Path, source: io::Error) -> Error {
    Error::Folder { path: path.to_owned(), source: Arc::new(source) }
}

/// Locks and shared memory do not work reliably over NFS and SMB.
#[cfg(target_os = "linux")]
fn refuse_network(folder: &Path) -> Result<(), Error> {
    const NETWORKS: [(u64, &str); 4] =
        [(0x6969, "NFS"), (0x517b, "SMB"), (0xff53_4d42, "CIFS"), (0xfe53_4d42, "SMB2")];
    let found = rustix::fs::statfs(folder).map_err(|e| unusable(folder, e.into()))?;
    let kind = u64::try_from(found.f_type).unwrap_or(0) & 0xffff_ffff;
    match NETWORKS.iter().find(|(magic, _)| *magic == kind) {
        Some((_, name)) => Err(Error::Unfit(format!(
            "the data folder {} is on {name}, where the database is not safe: use a local disk",
            folder.display()
        ))),
        None => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn refuse_network(_: &Path) -> Result<(), Error> {
    Ok(())
}

fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| unusable(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(folder.to_owned())),
        Err(TryLockError::Error(e)) => Err(unusable(&path, e)),
    }
}

/// A statement keeps its plan whatever is bound to it. Without this each one that looks at a
/// subject is parsed and planned anew at every use: its value might have matched a partial index.
fn plan_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Makes the database beside its place and moves it there whole: two syncs, where each step in its
/// place would wait for its own, and a start that is cut off leaves no half of a database.
fn make(folder: &Path, path: &Path, logs: &[Log]) -> Result<(), Error> {
    clear_drafts(folder)?;
    let draft = folder.join(DRAFT);
    let connection = Connection::open(&draft).map_err(failed("creating the database"))?;
    let settings = || {
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "journal_mode", "MEMORY")?;
        // Set after the write-ahead log, auto_vacuum would silently stay off.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")
    };
    settings().map_err(failed("creating the database"))?;
    check_schema(&connection, path)?;
    create_all(&connection, logs).map_err(failed("creating a log"))?;
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .and_then(|()| connection.close().map_err(|(_, error)| error))
        .map_err(failed("creating the database"))?;
    let sync = |path: &Path| File::open(path)?.sync_all();
    sync(&draft).map_err(|e| unusable(&draft, e))?;
    std::fs::rename(&draft, path).map_err(|e| unusable(path, e))?;
    sync(folder).map_err(|e| unusable(folder, e))
}

/// Removes what a start that was cut off has left.
fn clear_drafts(folder: &Path) -> Result<(), Error> {
    for beside in ["", "-wal", "-shm", "-journal"] {
        let path = folder.join(format!("{DRAFT}{beside}"));
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unusable(&path, error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn prepare(connection: &Connection, settings: &Settings) -> rusqlite::Result<()> {
    plan_once(connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    connection.pragma_update(None, "cache_size", -8000)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(128);
    if let Some(bytes) = settings.max_file {
        let page: u64 = connection
            .pragma_query_value(None, "page_size", |row| row.get(0))
            .map_or(PAGE, super::unsigned);
        connection.pragma_update(None, "max_page_count", signed(bytes / page.max(1)))?;
    }
    Ok(())
}

fn check_schema(connection: &Connection, path: &Path) -> Result<(), Error> {
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed("reading the schema's version"))?;
    if found > SCHEMA {
        return Err(Error::Unfit(format!(
            "{} was written by a newer version (schema {found}, this one knows {SCHEMA}): \
             use that version, or a data folder of its own",
            path.display()
        )));
    }
    if found == SCHEMA {
        return Ok(());
    }
    let create = "BEGIN;
        CREATE TABLE counters (log TEXT PRIMARY KEY, last INTEGER NOT NULL, bytes INTEGER NOT NULL)
            STRICT, WITHOUT ROWID;
        PRAGMA user_version = 1;
        COMMIT;";
    connection.execute_batch(create).map_err(failed("creating the database"))
}

/// All in one commit: a start waits for one sync at most.
fn create_all(connection: &Connection, logs: &[Log]) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    for Log { name, .. } in logs {
        connection.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS log_{name} (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL,
                subject TEXT NOT NULL, payload BLOB, trace TEXT) STRICT;
            CREATE INDEX IF NOT EXISTS subject_{name} ON log_{name} (subject);
            CREATE INDEX IF NOT EXISTS marker_{name} ON log_{name} (at) WHERE payload IS NULL;
            INSERT OR IGNORE INTO counters (log, last, bytes) VALUES ('{name}', 0, 0);"
        ))?;
        add_traces(connection, name)?;
    }
    transaction.commit()
}

/// Adds the column to a log that was made before there were traces. A version that knows nothing of
/// it names the columns that it reads and writes, so the schema keeps its number.
fn add_traces(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    let there = connection
        .prepare("SELECT 1 FROM pragma_table_info(?1) WHERE name = 'trace'")?
        .exists([format!("log_{name}")])?;
    if there {
        return Ok(());
    }
    connection.execute_batch(&format!("ALTER TABLE log_{name} ADD COLUMN trace TEXT"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rusqlite::StatementStatus;

    use super::*;
    use crate::store::AtCap;

    fn log(name: &'static str) -> Log {
        let (max_age, max_marker_age) = (None, Duration::from_secs(3600));
        let (revisions, max_bytes) = (Some(1), 1 << 20);
        Log { name, revisions, max_age, max_marker_age, max_bytes, at_cap: AtCap::Refuse }
    }

    #[test]
    fn a_library_with_the_log_reset_fault_is_refused_by_version() {
        for (number, good) in [(3_051_002, false), (3_051_003, true), (3_054_001, true)] {
            assert_eq!(check_version(number, "x").is_ok(), good, "{number}");
        }
        assert!(check_version(rusqlite::version_number(), rusqlite::version()).is_ok());
    }

    #[test]
    fn the_file_frees_pages_and_syncs_every_commit() {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            Settings { folder: folder.path().join("data"), logs: Vec::new(), max_file: None };
        let opened = open(&settings).unwrap();
        for (pragma, value) in [("auto_vacuum", "2"), ("journal_mode", "wal"), ("synchronous", "2")]
        {
            let found: rusqlite::types::Value =
                opened.connection.pragma_query_value(None, pragma, |row| row.get(0)).unwrap();
            let found = match found {
                rusqlite::types::Value::Integer(n) => n.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => format!("{other:?}"),
            };
            assert_eq!(found, value, "{pragma}");
        }
    }

    #[test]
    fn a_statement_is_planned_once_for_all_subjects() {
        let folder = tempfile::tempdir().unwrap();
        let logs = vec![log("planned")];
        let settings = Settings { folder: folder.path().to_owned(), logs, max_file: None };
        let opened = open(&settings).unwrap();
        for connection in [&opened.connection, &open_reader(&opened.path).unwrap()] {
            let text = "SELECT seq FROM log_planned WHERE subject = ?1 ORDER BY seq DESC LIMIT 1";
            for subject in ["a", "b", "c"] {
                assert!(!connection.prepare_cached(text).unwrap().exists([subject]).unwrap());
            }
            let statement = connection.prepare_cached(text).unwrap();
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
        }
    }

    #[test]
    fn a_start_that_was_cut_off_leaves_nothing_that_matters() {
        for existing in [None, Some("")] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(DRAFT), "half of a database").unwrap();
            if let Some(text) = existing {
                std::fs::write(folder.path().join("wirebell.db"), text).unwrap();
            }
            let settings =
                Settings { folder: folder.path().to_owned(), logs: Vec::new(), max_file: None };
            drop(open(&settings).unwrap());
            assert!(!folder.path().join(DRAFT).exists(), "{existing:?}");
            open(&settings).unwrap();
        }
    }

    #[test]
    fn a_start_on_a_database_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let logs = vec![log("notes")];
        let settings = Settings { folder: folder.path().to_owned(), logs, max_file: None };
        drop(open(&settings).unwrap());
        let path = folder.path().join("wirebell.db");
        let before = std::fs::read(&path).unwrap();
        let opened = open(&settings).unwrap();
        let log = std::fs::metadata(folder.path().join("wirebell.db-wal"));
        assert_eq!(log.map_or(0, |file| file.len()), 0);
        drop(opened);
        assert!(std::fs::read(&path).unwrap() == before);
    }

    #[test]
    fn a_database_made_before_there_were_traces_takes_them_and_keeps_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let logs = vec![log("notes")];
        let settings = Settings { folder: folder.path().to_owned(), logs, max_file: None };
        let opened = open(&settings).unwrap();
        let old = "ALTER TABLE log_notes DROP COLUMN trace;
            INSERT INTO log_notes (seq, at, subject, payload) VALUES (1, 2, 'a', x'31');
            UPDATE counters SET last = 1, bytes = 42;";
        opened.connection.execute_batch(old).unwrap();
        drop(opened);
        let store = crate::store::Store::open(settings, |_| {}).unwrap();
        let row = store.newest(0, "a").unwrap().unwrap();
        assert_eq!((row.payload.as_deref(), row.trace), (Some(&b"1"[..]), None));
        let write = crate::store::Write {
            subject: "a".to_owned(),
            payload: Some(bytes::Bytes::from_static(b"2")),
            expect: crate::store::Expect::After(1),
            trace: Some("a trace".to_owned()),
        };
        store.write(0, vec![write]).unwrap().remove(0).unwrap();
        assert_eq!(store.newest(0, "a").unwrap().unwrap().trace.as_deref(), Some("a trace"));
    }

    #[test]
    fn a_database_of_a_newer_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            Settings { folder: folder.path().to_owned(), logs: Vec::new(), max_file: None };
        let opened = open(&settings).unwrap();
        opened.connection.pragma_update(None, "user_version", 2).unwrap();
        drop(opened);
        let error = open(&settings).unwrap_err();
        assert!(error.to_string().contains("newer version"), "{error}");
    }
}
