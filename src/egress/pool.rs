//! Connections that wait for their next use.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::egress::Target;
use crate::egress::line::Line;

/// Connections kept alive in all.
const MAX_IDLE: usize = 4_096;
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(90);
/// How often it is looked for those whose time is over.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Host {
    encrypted: bool,
    name: String,
    port: u16,
}

impl Host {
    pub(super) fn of(target: &Target) -> Self {
        let (name, port) = (target.host().to_owned(), target.port());
        Self { encrypted: target.is_encrypted(), name, port }
    }

    /// Whether a target is there.
    pub(super) fn has(&self, target: &Target) -> bool {
        self.port == target.port()
            && self.encrypted == target.is_encrypted()
            && self.name == target.host()
    }
}

/// Keeps connections between their uses.
pub(super) struct Pool {
    per_host: usize,
    max_age: Duration,
    /// Connections that are open, those in use too.
    open: Arc<AtomicUsize>,
    kept: Mutex<Kept>,
}

struct Kept {
    hosts: HashMap<Host, Waiting>,
    looked: Instant,
}

/// Those to one host, the longest unused first, and who waits for one.
#[derive(Default)]
struct Waiting {
    lines: VecDeque<Box<Line>>,
    came: Arc<Notify>,
}

impl Pool {
    pub(super) fn new(per_host: usize, max_age: Duration, open: Arc<AtomicUsize>) -> Self {
        let kept = Kept { hosts: HashMap::new(), looked: Instant::now() };
        Self { per_host, max_age, open, kept: Mutex::new(kept) }
    }

    /// The one that was used last, if one is free.
    pub(super) fn take(&self, host: &Host) -> Option<Box<Line>> {
        loop {
            let mut line = self.newest(host)?;
            // Outside the lock: what was closed meanwhile is closed here.
            if line.idle(Instant::now()) < IDLE && line.is_free() {
                return Some(line);
            }
        }
    }

    /// Waits until one is free. Cancel safe.
    pub(super) async fn wait(&self, host: &Host) -> Box<Line> {
        let came = self.kept().hosts.entry(host.clone()).or_default().came.clone();
        loop {
            let notified = came.notified();
            if let Some(line) = self.take(host) {
                return line;
            }
            notified.await;
        }
    }

    /// Keeps one for its next use, if it may be used again.
    pub(super) fn put(&self, host: Host, mut line: Box<Line>) {
        // It may lie idle before its next use, which must not come after its time.
        let old = line.age().saturating_add(IDLE) > self.max_age;
        let crowded = self.open.load(Ordering::Relaxed) > MAX_IDLE;
        if old || crowded || !(line.is_ready() || line.is_free()) {
            return;
        }
        line.used();
        let old = {
            let mut kept = self.kept();
            let waiting = kept.hosts.entry(host).or_default();
            if waiting.lines.len() >= self.per_host {
                return;
            }
            waiting.lines.push_back(line);
            waiting.came.notify_one();
            kept.outdated()
        };
        drop(old);
    }

    /// Closes those whose time is over.
    pub(super) fn look(&self) {
        let old = self.kept().outdated();
        drop(old);
    }

    fn newest(&self, host: &Host) -> Option<Box<Line>> {
        self.kept().hosts.get_mut(host)?.lines.pop_back()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Those whose time is over, once in a while: closing them is for after the lock.
    fn outdated(&mut self) -> VecDeque<Box<Line>> {
        let mut old = VecDeque::new();
        if self.looked.elapsed() < LOOK_EVERY {
            return old;
        }
        let now = Instant::now();
        self.looked = now;
        for waiting in self.hosts.values_mut() {
            while waiting.lines.front().is_some_and(|line| line.idle(now) >= IDLE) {
                old.extend(waiting.lines.pop_front());
            }
        }
        self.hosts
            .retain(|_, waiting| !waiting.lines.is_empty() || Arc::strong_count(&waiting.came) > 1);
        old
    }
}
