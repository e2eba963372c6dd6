//! The order in which endpoints are served, and how many requests at once.
//!
//! Whoever is ready first is served first, endings before everything else, as long as there is room
//! on the whole and at the host. Endpoints that are slow, unknown or failing use the slow lane: it
//! has a fifth of the slots, of the whole and of each host's, so that however many of them hang,
//! the others have the rest. A request that turns out to be slow is moved to that lane while it is
//! under way, and where the lane is full it makes no room scarce for the fast ones.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::VecDeque;

/// The slow lane has one of so many slots.
const SLOW_SHARE: usize = 5;

/// An endpoint, as its owner numbers it.
pub type Endpoint = u32;

/// A host and port, as [`Lanes::enter`] numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(u32);

/// Where an endpoint's requests count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Known to answer quickly.
    Fast,
    /// Everything else.
    Slow,
}

/// How many requests at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// On the whole.
    pub total: usize,
    /// To one host.
    pub host: usize,
}

/// Endpoints that are ready, and requests under way.
#[derive(Debug)]
pub struct Lanes {
    limits: Limits,
    under_way: Slots,
    hosts: Vec<Served>,
    names: HashMap<Box<str>, Host>,
    free: Vec<Host>,
    /// Per lane the hosts that have room and somebody ready, by the rank of their first.
    eligible: [BTreeSet<(Rank, Host)>; 2],
    ready: HashMap<Endpoint, (Host, Lane, Rank)>,
    next_ticket: u64,
}

/// Endings first, then who came first.
type Rank = (bool, u64);

#[derive(Clone, Copy, Debug, Default)]
struct Slots {
    fast: usize,
    slow: usize,
}

#[derive(Debug, Default)]
struct Served {
    name: Box<str>,
    members: usize,
    under_way: Slots,
    /// Per lane: endings, then the rest, in the order of tickets.
    ready: [[VecDeque<(u64, Endpoint)>; 2]; 2],
    /// What stands for it in `eligible`.
    listed: [Option<Rank>; 2],
}

impl Slots {
    fn of(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Fast => &mut self.fast,
            Lane::Slow => &mut self.slow,
        }
    }

    fn has_room(self, lane: Lane, limit: usize) -> bool {
        let share = (limit / SLOW_SHARE).max(1);
        // Requests that were moved to a full slow lane hold nothing that the fast ones need, up
        // to as many again as there are slots.
        let counted = self.fast.saturating_add(self.slow.min(share));
        let bounded = self.fast.saturating_add(self.slow) < limit.saturating_mul(2);
        counted < limit && bounded && (lane == Lane::Fast || self.slow < share)
    }
}

impl Served {
    fn first(&self, lane: Lane) -> Option<Rank> {
        let [endings, rest] = &self.ready[lane as usize];
        let front = |queue: &VecDeque<(u64, Endpoint)>| queue.front().map(|(ticket, _)| *ticket);
        front(endings).map(|t| (false, t)).or_else(|| front(rest).map(|t| (true, t)))
    }
}

impl Lanes {
    /// Nobody is ready, nothing under way.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            under_way: Slots::default(),
            hosts: Vec::new(),
            names: HashMap::new(),
            free: Vec::new(),
            eligible: [BTreeSet::new(), BTreeSet::new()],
            ready: HashMap::new(),
            next_ticket: 0,
        }
    }

    /// An endpoint comes to a host, named by host and port. To be answered by [`Lanes::leave`].
    pub fn enter(&mut self, name: &str) -> Host {
        let host = match self.names.get(name) {
            Some(host) => *host,
            None => {
                let host = self.free.pop().unwrap_or_else(|| {
                    self.hosts.push(Served::default());
                    Host(u32::try_from(self.hosts.len() - 1).unwrap_or(u32::MAX))
                });
                self.names.insert(name.into(), host);
                if let Some(served) = self.hosts.get_mut(host.0 as usize) {
                    served.name = name.into();
                }
                host
            }
        };
        if let Some(served) = self.hosts.get_mut(host.0 as usize) {
            served.members += 1;
        }
        host
    }

    /// An endpoint with nothing ready leaves its host; requests under way may still end.
    pub fn leave(&mut self, host: Host) {
        let Some(served) = self.hosts.get_mut(host.0 as usize) else { return };
        served.members = served.members.saturating_sub(1);
        self.forget_unused(host);
    }

    fn forget_unused(&mut self, host: Host) {
        let Some(served) = self.hosts.get(host.0 as usize) else { return };
        let used = served.members + served.under_way.fast + served.under_way.slow;
        if used == 0 && self.names.remove(&served.name).is_some() {
            self.free.push(host);
        }
    }

    /// An endpoint has something to send. Already ready, it keeps its place, but in the front row
    /// if it has an ending now.
    pub fn offer(&mut self, endpoint: Endpoint, host: Host, lane: Lane, ending: bool) {
        let mut ticket = self.next_ticket;
        if let Some((_, known, (rest, place))) = self.ready.get(&endpoint) {
            if *known == lane && *rest != ending {
                return;
            }
            ticket = *place;
            self.withdraw(endpoint);
        } else {
            self.next_ticket += 1;
        }
        let Some(served) = self.hosts.get_mut(host.0 as usize) else { return };
        let queue = &mut served.ready[lane as usize][usize::from(!ending)];
        let at = queue.partition_point(|(other, _)| *other < ticket);
        queue.insert(at, (ticket, endpoint));
        self.ready.insert(endpoint, (host, lane, (!ending, ticket)));
        self.list(host);
    }

    /// An endpoint has nothing to send any more.
    pub fn withdraw(&mut self, endpoint: Endpoint) {
        let Some((host, lane, (rest, ticket))) = self.ready.remove(&endpoint) else { return };
        let Some(served) = self.hosts.get_mut(host.0 as usize) else { return };
        let queue = &mut served.ready[lane as usize][usize::from(rest)];
        if let Ok(at) = queue.binary_search_by_key(&ticket, |(ticket, _)| *ticket) {
            queue.remove(at);
        }
        self.list(host);
    }

    /// The endpoint to serve next, and the lane that its request counts in until
    /// [`Lanes::ended`].
    pub fn take(&mut self) -> Option<(Endpoint, Host, Lane)> {
        let first = |lane: Lane| {
            let room = self.under_way.has_room(lane, self.limits.total);
            self.eligible[lane as usize].first().filter(|_| room).copied()
        };
        let (_, host, lane) = match (first(Lane::Fast), first(Lane::Slow)) {
            (Some(fast), Some(slow)) if slow.0 < fast.0 => (slow.0, slow.1, Lane::Slow),
            (Some(fast), _) => (fast.0, fast.1, Lane::Fast),
            (None, Some(slow)) => (slow.0, slow.1, Lane::Slow),
            (None, None) => return None,
        };
        let served = self.hosts.get_mut(host.0 as usize)?;
        let [endings, rest] = &mut served.ready[lane as usize];
        let (_, endpoint) = endings.pop_front().or_else(|| rest.pop_front())?;
        self.ready.remove(&endpoint);
        *served.under_way.of(lane) += 1;
        *self.under_way.of(lane) += 1;
        self.list(host);
        Some((endpoint, host, lane))
    }

    /// A request ended that counted in this lane.
    pub fn ended(&mut self, host: Host, lane: Lane) {
        let Some(served) = self.hosts.get_mut(host.0 as usize) else { return };
        for slots in [&mut served.under_way, &mut self.under_way] {
            *slots.of(lane) = slots.of(lane).saturating_sub(1);
        }
        self.list(host);
        self.forget_unused(host);
    }

    /// A request of the fast lane has taken too long: it counts as slow from now on.
    pub fn slowed(&mut self, host: Host) {
        let Some(served) = self.hosts.get_mut(host.0 as usize) else { return };
        for slots in [&mut served.under_way, &mut self.under_way] {
            slots.fast = slots.fast.saturating_sub(1);
            slots.slow += 1;
        }
        self.list(host);
    }

    /// Requests under way.
    pub fn under_way(&self) -> usize {
        self.under_way.fast + self.under_way.slow
    }

    /// Endpoints that are ready.
    pub fn waiting(&self) -> usize {
        self.ready.len()
    }

    fn list(&mut self, host: Host) {
        let Some(served) = self.hosts.get_mut(host.0 as usize) else { return };
        for lane in [Lane::Fast, Lane::Slow] {
            let room = served.under_way.has_room(lane, self.limits.host);
            let first = served.first(lane).filter(|_| room);
            let eligible = &mut self.eligible[lane as usize];
            if served.listed[lane as usize] != first {
                if let Some(old) = served.listed[lane as usize] {
                    eligible.remove(&(old, host));
                }
                if let Some(new) = first {
                    eligible.insert((new, host));
                }
                served.listed[lane as usize] = first;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(lanes: &mut Lanes) -> Vec<Endpoint> {
        std::iter::from_fn(|| lanes.take()).map(|(endpoint, ..)| endpoint).collect()
    }

    #[test]
    fn who_came_first_is_served_first_and_endings_before_all() {
        let mut lanes = Lanes::new(Limits { total: 10, host: 10 });
        let host = lanes.enter("a:443");
        for (endpoint, ending) in [(1, false), (2, false), (3, true), (4, false), (5, true)] {
            lanes.offer(endpoint, host, Lane::Fast, ending);
        }
        lanes.offer(2, host, Lane::Fast, false);
        lanes.offer(4, host, Lane::Fast, true);
        lanes.withdraw(1);
        assert_eq!(drain(&mut lanes), [3, 4, 5, 2]);
        assert_eq!(lanes.under_way(), 4);
    }

    #[test]
    fn a_full_host_holds_up_nobody_else() {
        let mut lanes = Lanes::new(Limits { total: 100, host: 2 });
        let (full, other) = (lanes.enter("full:443"), lanes.enter("other:443"));
        (0..5).for_each(|n| lanes.offer(n, full, Lane::Fast, false));
        lanes.offer(9, other, Lane::Fast, false);
        assert_eq!(drain(&mut lanes), [0, 1, 9]);
        lanes.ended(full, Lane::Fast);
        assert_eq!(drain(&mut lanes), [2]);
    }

    #[test]
    fn slow_ones_hold_a_fifth_of_the_whole_and_of_a_host() {
        let mut lanes = Lanes::new(Limits { total: 20, host: 10 });
        let hosts = ["a:1", "b:1", "c:1", "d:1"].map(|name| lanes.enter(name));
        for (n, host) in (0..40).zip(hosts.into_iter().cycle()) {
            lanes.offer(n, host, Lane::Slow, false);
        }
        assert_eq!(drain(&mut lanes), [0, 1, 2, 3], "a fifth of the whole");
        lanes.ended(hosts[1], Lane::Slow);
        lanes.ended(hosts[2], Lane::Slow);
        lanes.ended(hosts[3], Lane::Slow);
        assert_eq!(drain(&mut lanes), [4, 5, 6], "nobody overtakes");
        let mut one = Lanes::new(Limits { total: 100, host: 10 });
        let host = one.enter("a:1");
        (0..9).for_each(|n| one.offer(n, host, Lane::Slow, false));
        assert_eq!(drain(&mut one), [0, 1], "a fifth of a host");
        (10..30).for_each(|n| one.offer(n, host, Lane::Fast, false));
        assert_eq!(drain(&mut one).len(), 8, "the rest is for the fast");
    }

    #[test]
    fn requests_that_turn_slow_leave_room_for_the_fast_but_not_without_end() {
        let mut lanes = Lanes::new(Limits { total: 10, host: 100 });
        let host = lanes.enter("a:1");
        let mut endpoint = 0;
        let mut begun = Vec::new();
        for _ in 0..4 {
            for _ in 0..10 {
                lanes.offer(endpoint, host, Lane::Fast, false);
                endpoint += 1;
            }
            let now = drain(&mut lanes).len();
            (0..now).for_each(|_| lanes.slowed(host));
            begun.push(now);
        }
        assert_eq!(begun, [10, 8, 2, 0]);
        lanes.offer(99, host, Lane::Slow, false);
        assert_eq!(lanes.take(), None, "the slow lane is more than full");
        (0..20).for_each(|_| lanes.ended(host, Lane::Slow));
        assert_eq!(lanes.under_way(), 0);
    }

    #[test]
    fn a_host_nobody_uses_is_forgotten() {
        let mut lanes = Lanes::new(Limits { total: 10, host: 10 });
        for n in 0..1_000 {
            let host = lanes.enter(&format!("h{n}:443"));
            lanes.leave(host);
        }
        assert_eq!((lanes.hosts.len(), lanes.names.len()), (1, 0));
    }

    proptest! {
        #[test]
        fn limits_hold_and_nobody_is_forgotten(
            steps in prop::collection::vec((0u8..5, 0u32..12, any::<bool>(), any::<bool>()), 1..200)
        ) {
            let limits = Limits { total: 5, host: 3 };
            let mut lanes = Lanes::new(limits);
            let hosts = ["a:1", "b:1", "c:1"].map(|name| lanes.enter(name));
            let host_of = |endpoint: u32| hosts[endpoint as usize % 3];
            let mut under_way: Vec<(Host, Lane)> = Vec::new();
            for (what, endpoint, fast, ending) in steps {
                let lane = if fast { Lane::Fast } else { Lane::Slow };
                match what {
                    0 | 1 => lanes.offer(endpoint, host_of(endpoint), lane, ending),
                    2 => lanes.withdraw(endpoint),
                    3 => if let Some((host, lane)) = under_way.pop() { lanes.ended(host, lane) },
                    _ => if let Some((_, host, lane)) = lanes.take() {
                        let slow = |h: Option<Host>| under_way.iter()
                            .filter(|(host, lane)| *lane == Lane::Slow && h.is_none_or(|h| h == *host))
                            .count();
                        if lane == Lane::Slow {
                            prop_assert!(slow(None) < 1 && slow(Some(host)) < 1);
                        }
                        under_way.push((host, lane));
                        prop_assert!(under_way.len() <= limits.total);
                        let here = under_way.iter().filter(|(h, _)| *h == host).count();
                        prop_assert!(here <= limits.host);
                    },
                }
            }
            while let Some((host, lane)) = under_way.pop() {
                lanes.ended(host, lane);
            }
            while let Some((_, host, lane)) = lanes.take() {
                lanes.ended(host, lane);
            }
            prop_assert_eq!((lanes.waiting(), lanes.under_way()), (0, 0));
        }
    }
}
