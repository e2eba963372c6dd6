//! New connections to one host take turns.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::Mutex as StdMutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// The time that a host's limit is about.
const SECOND: Duration = Duration::from_secs(1);
/// Beyond so many hosts, those without a recent connection are forgotten.
const HOSTS: usize = 1_024;

/// Host and port.
type Host = (String, u16);
/// When a host's last connections began. Whoever waits for its turn holds the lock, which is fair:
/// the others queue behind it, and one that gives up leaves no gap.
type Begun = Arc<Mutex<VecDeque<Instant>>>;

/// Lets at most so many connections to one host begin within any second; the rest wait. Cheap to
/// clone; every clone counts for the same hosts.
#[derive(Clone)]
pub(super) struct Pace {
    limit: usize,
    hosts: Arc<StdMutex<HashMap<Host, Begun>>>,
}

impl Pace {
    pub(super) fn new(limit: NonZeroUsize) -> Self {
        Self { limit: limit.get(), hosts: Arc::default() }
    }

    /// Waits until a connection to this host may begin. Cancel safe: a turn that is not taken is
    /// nobody's.
    pub(super) async fn turn(&self, host: &str, port: u16) {
        let begun = self.host(host, port);
        let mut begun = begun.lock().await;
        while begun.len() >= self.limit {
            if let Some(oldest) = begun.front() {
                tokio::time::sleep_until(*oldest + SECOND).await;
            }
            begun.pop_front();
        }
        begun.push_back(Instant::now());
    }

    fn host(&self, host: &str, port: u16) -> Begun {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (host.to_ascii_lowercase(), port);
        if hosts.len() >= HOSTS && !hosts.contains_key(&key) {
            hosts.retain(|_, begun| Arc::strong_count(begun) > 1 || is_recent(begun));
        }
        Arc::clone(hosts.entry(key).or_default())
    }
}

fn is_recent(begun: &Begun) -> bool {
    let Ok(begun) = begun.try_lock() else { return true };
    begun.back().is_some_and(|last| last.elapsed() < SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(limit: usize) -> Pace {
        Pace::new(NonZeroUsize::new(limit).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn within_any_second_no_more_begin_than_the_limit() {
        let pace = pace(3);
        let mut tasks = tokio::task::JoinSet::new();
        let start = Instant::now();
        for _ in 0..10 {
            let pace = pace.clone();
            tasks.spawn(async move {
                pace.turn("desk.example.net", 443).await;
                start.elapsed().as_secs()
            });
        }
        let mut begun = tasks.join_all().await;
        begun.sort_unstable();
        assert_eq!(begun, [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn other_hosts_and_ports_have_turns_of_their_own() {
        let pace = pace(1);
        let start = Instant::now();
        for (host, port) in [("a.example.net", 80), ("b.example.net", 80), ("a.example.net", 81)] {
            pace.turn(host, port).await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        pace.turn("A.Example.net", 80).await;
        assert_eq!(start.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_gives_up_takes_no_turn() {
        let pace = pace(1);
        let start = Instant::now();
        pace.turn("a.example.net", 80).await;
        for _ in 0..5 {
            let short = Duration::from_millis(100);
            let waited = tokio::time::timeout(short, pace.turn("a.example.net", 80)).await;
            assert!(waited.is_err());
        }
        pace.turn("a.example.net", 80).await;
        assert_eq!(start.elapsed(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_that_are_quiet_are_forgotten() {
        let pace = pace(1);
        for n in 0..HOSTS {
            pace.turn(&format!("{n}.example.net"), 80).await;
        }
        tokio::time::advance(SECOND).await;
        pace.turn("new.example.net", 80).await;
        assert_eq!(pace.hosts.lock().unwrap().len(), 1);
    }
}
