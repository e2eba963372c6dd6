//! One line on a terminal that tells how far long work is. It stands on stderr while nothing else is
//! written, and is gone at the end.

use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use crate::cli::output;
use crate::cli::output::Output;
use crate::telemetry::Progress;

/// Work that is over sooner shows nothing.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks at the count.
const EVERY: Duration = Duration::from_millis(100);

/// Shows a count until it is dropped.
pub(super) struct Shown {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Shows how far work is, where somebody looks. `what` is what is counted, in the plural.
pub(super) fn show(progress: &Progress, what: &'static str, output: Output) -> Shown {
    if !output.shows_progress() {
        return Shown { stop: None, thread: None };
    }
    let (stop, stopped) = mpsc::channel();
    let progress = progress.clone();
    let began = Instant::now();
    let thread = std::thread::spawn(move || {
        while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            if began.elapsed() >= PATIENCE {
                output.status(&told(what, progress.counts(), began.elapsed()));
            }
        }
        output::erase_status();
    });
    Shown { stop: Some(stop), thread: Some(thread) }
}

impl Drop for Shown {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is counted, its share of the whole and how long the rest takes at the pace so far.
fn told(what: &str, (done, expected): (u64, Option<u64>), took: Duration) -> String {
    let Some(expected) = expected.map(|expected| expected.max(done)) else {
        return format!("{done} {what}");
    };
    let share = u128::from(done) * 100 / u128::from(expected.max(1));
    let mut text = format!("{done} of {expected} {what}, {share} %");
    let left = u128::from(expected - done);
    if let Some(left) = (took.as_millis() * left).checked_div(u128::from(done)).filter(|_| left > 0)
    {
        text.push_str(&format!(", about {} left", length(left / 1000)));
    }
    text
}

fn length(seconds: u128) -> String {
    match seconds {
        0..=119 => format!("{} s", seconds.max(1)),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_tells_its_share_and_what_is_left_where_that_is_known() {
        let second = Duration::from_secs(1);
        for (name, counts, took, wanted) in [
            ("no total", (7, None), second, "7 articles"),
            ("nothing done", (0, Some(9)), second, "0 of 9 articles, 0 %"),
            ("a third", (3, Some(9)), second, "3 of 9 articles, 33 %, about 2 s left"),
            ("little", (1, Some(900)), second, "1 of 900 articles, 0 %, about 14 min left"),
            ("very little", (1, Some(90_000)), second, "1 of 90000 articles, 0 %, about 24 h left"),
            ("all", (9, Some(9)), second, "9 of 9 articles, 100 %"),
            ("more than all", (10, Some(9)), second, "10 of 10 articles, 100 %"),
            ("no time", (5, Some(9)), Duration::ZERO, "5 of 9 articles, 55 %, about 1 s left"),
            (
                "very much",
                (1, Some(u64::MAX)),
                Duration::from_secs(1 << 20),
                "1 of 18446744073709551615 articles, 0 %, about 5373003642731685220333 h left",
            ),
        ] {
            assert_eq!(told("articles", counts, took), wanted, "{name}");
        }
    }
}
