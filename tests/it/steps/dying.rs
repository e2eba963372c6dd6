//! A bus on which the process kills itself at one write.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;

use bytes::Bytes;
use serde::Deserialize;
use serde::Serialize;

use crate::support::spied::Spied;
use crate::support::spied::Spy;

/// What a process says on its standard output before it kills itself, with the place it writes to.
pub(crate) const LAST_WORDS: &str = "killed while writing to ";

/// The write at which a process kills itself: before it, or after it and before anybody is told.
/// Writes are counted for each place: the order of those to different places is open.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Death {
    pub(crate) to: String,
    pub(crate) at: usize,
    pub(crate) before: bool,
}

/// Counts the writes, for the death at one of them.
#[derive(Clone)]
pub(crate) struct Dying {
    writes: Arc<Mutex<BTreeMap<String, usize>>>,
    death: Option<Death>,
}

impl Dying {
    pub(crate) fn on<B>(bus: B, death: Option<Death>) -> Spied<B, Self> {
        Spied(bus, Self { writes: Arc::default(), death })
    }

    fn is_at(&self, to: &str, number: usize, before: bool) -> bool {
        let meant = |d: &Death| d.to == to && d.at == number && d.before == before;
        self.death.as_ref().is_some_and(meant)
    }
}

impl Spy for Dying {
    async fn before(&self, to: &str, _: Vec<Bytes>) -> usize {
        let number = {
            let mut writes = self.writes.lock().unwrap();
            let count = writes.entry(to.to_owned()).or_default();
            *count += 1;
            *count - 1
        };
        if self.is_at(to, number, true) {
            die(to);
        }
        number
    }

    fn after(&self, to: &str, number: usize) {
        if self.is_at(to, number, false) {
            die(to);
        }
    }
}

/// `kill -9`, by this process to itself.
fn die(to: &str) -> ! {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{LAST_WORDS}{to}").unwrap();
    out.flush().unwrap();
    let this = rustix::process::getpid();
    rustix::process::kill_process(this, rustix::process::Signal::KILL).unwrap();
    unreachable!("nobody survives SIGKILL")
}
