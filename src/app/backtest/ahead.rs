//! Work on every core, ahead of who takes its results in order.

use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::thread;

/// Results handed over at a time: few, for an article may be large and every core has some.
const BATCH: usize = 16;
/// Batches that each core may be ahead.
const AHEAD: usize = 2;

/// Does the same work on each number below `count`, on every core; `take` hears each number and
/// result in order, while the cores go on with the next ones. What waits for it is bounded.
/// Blocking.
pub(super) fn in_order<R: Send>(
    count: usize,
    work: impl Fn(usize) -> R + Sync,
    mut take: impl FnMut(usize, R),
) {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let work = &work;
        // Each core has every so manieth batch, so the order follows from whose turn it is.
        let cores: Vec<Receiver<Vec<R>>> = (0..cores)
            .map(|core| {
                let (done, taken) = mpsc::sync_channel(AHEAD);
                scope.spawn(move || {
                    for first in (core * BATCH..count).step_by(cores * BATCH) {
                        let batch = (first..count.min(first + BATCH)).map(work).collect();
                        if done.send(batch).is_err() {
                            return;
                        }
                    }
                });
                taken
            })
            .collect();
        for (first, core) in (0..count).step_by(BATCH).zip(cores.iter().cycle()) {
            // A core without results has panicked, which the scope passes on.
            let Ok(batch) = core.recv() else { break };
            for (number, result) in (first..).zip(batch) {
                take(number, result);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn results_come_in_order() {
        for count in [0, 1, BATCH, BATCH + 1, 1_000] {
            let mut taken = Vec::new();
            in_order(count, |n| n * 2, |n, double| taken.push((n, double)));
            let all: Vec<(usize, usize)> = (0..count).map(|n| (n, n * 2)).collect();
            assert_eq!(taken, all, "{count}");
        }
    }

    #[test]
    fn a_panic_of_a_core_is_one_of_the_whole() {
        let run = || in_order(1_000, |n| assert_ne!(n, 300), |_, ()| ());
        assert!(catch_unwind(run).is_err());
    }
}
