//! Whose turn it is: feeds in the order in which they are due, one at a time for each host. Pure.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::time::Duration;

use crate::model::Time;

/// Feeds, by a number that the caller gives them, and their hosts.
#[derive(Debug)]
pub(super) struct Rota {
    /// Shortest time between the end of a request to a host and the next one.
    gap: Duration,
    hosts: Vec<Host>,
    names: HashMap<String, usize>,
    /// Hosts that have somebody waiting and no request under way, by when they are next.
    ready: BTreeSet<(Time, usize)>,
    feeds: HashMap<usize, Place>,
}

#[derive(Debug, Default)]
struct Host {
    waiting: BTreeSet<(Time, usize)>,
    busy: bool,
    free_at: Option<Time>,
    /// When it stands among the ready ones.
    ready: Option<Time>,
}

#[derive(Debug)]
struct Place {
    host: usize,
    /// When it is due; none while it is being polled.
    due: Option<Time>,
}

impl Rota {
    pub(super) fn new(gap: Duration) -> Self {
        let (hosts, names) = (Vec::new(), HashMap::new());
        Self { gap, hosts, names, ready: BTreeSet::new(), feeds: HashMap::new() }
    }

    /// Has a feed wait for its time; one that was here before moves.
    pub(super) fn enter(&mut self, feed: usize, host: &str, due: Time) {
        self.leave(feed);
        let at = match self.names.get(host) {
            Some(at) => *at,
            None => {
                self.hosts.push(Host::default());
                self.names.insert(host.to_owned(), self.hosts.len() - 1);
                self.hosts.len() - 1
            }
        };
        self.feeds.insert(feed, Place { host: at, due: Some(due) });
        self.hosts[at].waiting.insert((due, feed));
        self.settle(at);
    }

    /// Takes a feed out. Its host stays busy if it is being polled, until that has ended.
    pub(super) fn leave(&mut self, feed: usize) {
        let Some(Place { host, due }) = self.feeds.remove(&feed) else { return };
        if let Some(due) = due {
            self.hosts[host].waiting.remove(&(due, feed));
            self.settle(host);
        }
    }

    /// The next feed whose time has come and whose host is free. Its host is busy until
    /// [`Rota::ended`].
    pub(super) fn next(&mut self, now: Time) -> Option<usize> {
        let (at, host) = *self.ready.first()?;
        if at > now {
            return None;
        }
        let (_, feed) = self.hosts[host].waiting.pop_first()?;
        self.hosts[host].busy = true;
        self.settle(host);
        if let Some(place) = self.feeds.get_mut(&feed) {
            place.due = None;
        }
        Some(feed)
    }

    /// A request to this host ended; it is left alone for the gap, or for longer if it asks so.
    pub(super) fn ended(&mut self, host: &str, now: Time, pause: Option<Duration>) {
        let Some(at) = self.names.get(host).copied() else { return };
        self.hosts[at].busy = false;
        self.pause(host, now.plus(pause.unwrap_or_default().max(self.gap)));
    }

    /// A host is left alone until then.
    pub(super) fn pause(&mut self, host: &str, until: Time) {
        let Some(at) = self.names.get(host).copied() else { return };
        self.hosts[at].free_at = self.hosts[at].free_at.max(Some(until));
        self.settle(at);
    }

    /// Time until somebody may be next; none if nobody waits for a time.
    pub(super) fn wait(&self, now: Time) -> Option<Duration> {
        self.ready.first().map(|(at, _)| at.since(now))
    }

    /// Puts a host where it belongs among the ready ones.
    fn settle(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        let first = host.waiting.first().filter(|_| !host.busy).map(|(due, _)| *due);
        let ready = first.map(|due| host.free_at.map_or(due, |free| free.max(due)));
        if host.ready == ready {
            return;
        }
        if let Some(old) = host.ready {
            self.ready.remove(&(old, at));
        }
        host.ready = ready;
        self.ready.extend(ready.map(|new| (new, at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Time {
        Time::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_host_has_one_request_at_a_time_and_a_gap_between_two() {
        let mut rota = Rota::new(Duration::from_secs(1));
        for (feed, host, due) in [(1, "a", 0), (2, "a", 0), (3, "b", 5), (4, "a", 9)] {
            rota.enter(feed, host, at(due));
        }
        assert_eq!(rota.next(at(0)), Some(1));
        assert_eq!(rota.next(at(0)), None, "its host is busy");
        assert_eq!(rota.wait(at(0)), Some(Duration::from_secs(5)), "only the other host is free");
        rota.ended("a", at(2), None);
        assert_eq!(rota.next(at(2)), None, "the gap");
        assert_eq!(rota.next(at(3)), Some(2));
        rota.enter(1, "a", at(3));
        rota.ended("a", at(4), Some(Duration::from_secs(60)));
        assert_eq!(rota.next(at(10)), Some(3), "one host's pause is not another's");
        assert_eq!(rota.next(at(63)), None);
        assert_eq!(rota.next(at(64)), Some(1), "the oldest first");
        rota.ended("a", at(65), None);
        assert_eq!(rota.next(at(66)), Some(4));
    }

    #[test]
    fn who_leaves_is_not_polled_and_keeps_nobody_waiting() {
        let mut rota = Rota::new(Duration::from_secs(1));
        rota.enter(1, "a", at(0));
        rota.enter(2, "a", at(5));
        rota.leave(1);
        assert_eq!(rota.wait(at(0)), Some(Duration::from_secs(5)));
        assert_eq!(rota.next(at(5)), Some(2));
        rota.leave(2);
        rota.enter(3, "a", at(5));
        assert_eq!(rota.next(at(6)), None, "the request of the one that left is under way");
        rota.ended("a", at(6), None);
        assert_eq!(rota.next(at(7)), Some(3));
        assert_eq!(rota.wait(at(7)), None);
    }
}
