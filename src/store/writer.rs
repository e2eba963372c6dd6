//! The one thread that writes.

use std::fs::File;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use rusqlite::Connection;

use super::Answer;
use super::Commit;
use super::Error;
use super::Log;
use super::Outcome;
use super::Write;
use super::apply;
use super::apply::Counter;
use super::failed;
use super::file::Opened;
use super::retention;
use super::unsigned;

/// Records after which a batch takes no further request.
const BATCH: usize = 512;
/// Bytes after which a batch takes no further request.
const BATCH_BYTES: usize = 32 << 20;
const SWEEP_EVERY: Duration = Duration::from_secs(60);

pub(super) enum Request {
    Write(Work),
    Sweep(Box<dyn FnOnce(Result<(), Error>) + Send>),
}

pub(super) struct Work {
    pub(super) log: usize,
    pub(super) group: Vec<Write>,
    pub(super) reply: Box<dyn FnOnce(Answer) + Send>,
}

pub(super) struct Writer {
    connection: Connection,
    logs: Vec<Log>,
    counters: Vec<Counter>,
    on_commit: Box<dyn Fn(&Commit) + Send>,
    failed: Option<Error>,
    /// There may be something to sweep away.
    more: bool,
    swept: Instant,
    // Let go after the connection is closed: fields drop in order.
    _lock: File,
}

type Outcomes = Vec<Result<Outcome, Error>>;

impl Writer {
    pub(super) fn new(
        opened: Opened,
        logs: Vec<Log>,
        on_commit: Box<dyn Fn(&Commit) + Send>,
    ) -> Result<Self, Error> {
        let Opened { connection, lock, .. } = opened;
        let counters = logs
            .iter()
            .map(|log| {
                connection.query_row(
                    "SELECT last, bytes FROM counters WHERE log = ?1",
                    [log.name],
                    |row| Ok(Counter { last: unsigned(row.get(0)?), bytes: unsigned(row.get(1)?) }),
                )
            })
            .collect::<rusqlite::Result<Vec<Counter>>>()
            .map_err(failed("opening"))?;
        let swept = Instant::now();
        Ok(Self {
            connection,
            logs,
            counters,
            on_commit,
            failed: None,
            more: true,
            swept,
            _lock: lock,
        })
    }

    /// Runs until every sender is gone.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        loop {
            let wait = if self.more { Duration::ZERO } else { SWEEP_EVERY };
            let first = match requests.recv_timeout(wait) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let idle = first.is_none();
            self.serve(first, requests);
            let due = self.swept.elapsed() >= SWEEP_EVERY;
            if idle || due {
                self.swept = Instant::now();
                // A failure shows at the next write, which meets the same disk.
                self.more = self.sweep_once().unwrap_or(false);
            }
        }
    }

    fn serve(&mut self, first: Option<Request>, requests: &Receiver<Request>) {
        let mut next = first;
        let mut batch: Vec<Work> = Vec::new();
        let (mut records, mut bytes) = (0, 0);
        while let Some(request) = next.take() {
            match request {
                Request::Write(work) => {
                    records += work.group.len();
                    bytes += work
                        .group
                        .iter()
                        .filter_map(|w| w.payload.as_ref())
                        .map(|p| p.len())
                        .sum::<usize>();
                    batch.push(work);
                }
                Request::Sweep(reply) => {
                    self.commit(std::mem::take(&mut batch));
                    (records, bytes) = (0, 0);
                    reply(self.sweep_all());
                }
            }
            if records < BATCH && bytes < BATCH_BYTES {
                next = requests.try_recv().ok();
            }
        }
        self.commit(batch);
        while self.failed.is_none() {
            let Some(log) = (0..self.logs.len())
                .find(|i| retention::is_over(&self.logs[*i], &self.counters[*i]))
            else {
                return;
            };
            if self.trim(log).is_err() {
                return;
            }
        }
    }

    fn commit(&mut self, batch: Vec<Work>) {
        if batch.is_empty() {
            return;
        }
        let began = Instant::now();
        let before = self.counters.clone();
        let outcome = match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.transaction(|writer| writer.apply(&batch)),
        };
        match outcome {
            Ok(answers) => {
                self.report(&before, &answers, began.elapsed());
                for (work, answer) in batch.into_iter().zip(answers) {
                    (work.reply)(Ok(answer));
                }
            }
            Err(error) => {
                for work in batch {
                    (work.reply)(Err(error.clone()));
                }
            }
        }
    }

    fn apply(&mut self, batch: &[Work]) -> Result<Vec<Outcomes>, Error> {
        let now = now();
        let mut answers = Vec::with_capacity(batch.len());
        for work in batch {
            let log = &self.logs[work.log];
            let counter = &mut self.counters[work.log];
            let outcomes = work
                .group
                .iter()
                .map(|write| apply::apply(&self.connection, log, counter, write, now))
                .collect::<Result<Outcomes, Error>>()?;
            answers.push(outcomes);
        }
        Ok(answers)
    }

    /// Runs `work` in a transaction with its counters. After a failure nothing of it happened; if
    /// the disk was not merely full, no later write is trusted either.
    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let before = self.counters.clone();
        let done = self.attempt(&before, work);
        if let Err(error) = &done {
            self.counters = before;
            let rolled_back = self.connection.is_autocommit()
                || self.connection.execute_batch("ROLLBACK").is_ok();
            if !rolled_back || !matches!(error, Error::DiskFull) {
                self.failed = Some(error.clone());
            }
        }
        done
    }

    fn attempt<T>(
        &mut self,
        before: &[Counter],
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(failed("writing"))?;
        let answer = work(self)?;
        for (i, log) in self.logs.iter().enumerate() {
            if self.counters[i] != before[i] {
                retention::save(&self.connection, log, &self.counters[i])
                    .map_err(failed("writing"))?;
            }
        }
        self.connection.execute_batch("COMMIT").map_err(failed("committing"))?;
        Ok(answer)
    }

    fn report(&self, before: &[Counter], answers: &[Outcomes], took: Duration) {
        let ends = (0..self.counters.len())
            .filter(|i| self.counters[*i].last != before[*i].last)
            .map(|i| (i, self.counters[i].last))
            .collect();
        let written =
            |outcome: &&Result<Outcome, Error>| matches!(outcome, Ok(Outcome::Written(_)));
        let records = answers.iter().flatten().filter(written).count();
        (self.on_commit)(&Commit { ends, records, took });
    }

    fn trim(&mut self, log: usize) -> Result<(), Error> {
        self.transaction(|writer| {
            retention::trim(&writer.connection, &writer.logs[log], &mut writer.counters[log])
                .map_err(failed("trimming"))
        })
    }

    fn sweep_all(&mut self) -> Result<(), Error> {
        while self.sweep_once()? {}
        self.more = false;
        Ok(())
    }

    fn sweep_once(&mut self) -> Result<bool, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let now = now();
        let more = self.transaction(|writer| {
            let mut more = false;
            for (log, counter) in writer.logs.iter().zip(&mut writer.counters) {
                more |= retention::expire(&writer.connection, log, counter, now)
                    .map_err(failed("removing old records"))?;
            }
            Ok(more)
        })?;
        retention::shrink(&self.connection).map_err(failed("shrinking"))?;
        Ok(more)
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
