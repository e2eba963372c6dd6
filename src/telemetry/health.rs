//! The board that `/readyz` and the dashboard read: what each part says of itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// How a part is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Ready,
    /// It works, and somebody should look: shown in `/readyz?verbose`, which stays 200.
    Degraded(String),
    /// It does not work yet, or no more: `/readyz` is 503.
    NotReady(String),
}

/// How files of the configuration were last read. Times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// When they were last taken.
    pub taken_ms: i64,
    /// When they were refused since then, and why.
    pub refused: Option<(i64, String)>,
}

/// Where the last canary is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// None has flown.
    #[default]
    Nowhere,
    /// It is not in the log of articles.
    Log,
    /// No rules worker has made an event of it.
    Rules,
    /// It has not reached so many endpoints.
    Notifier(usize),
    /// It arrived.
    Home,
}

/// What the canary says. Times are in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Canary {
    /// When the next one is due.
    pub next_ms: i64,
    /// Which the last one is that was sent.
    pub sent_ms: Option<i64>,
    /// When one last arrived, and after how long.
    pub arrived_ms: Option<(i64, u64)>,
    /// Where the last one is.
    pub stage: Stage,
    /// It is beyond its time.
    pub late: bool,
}

/// What each part says of itself. Cheap to clone; every clone is the same board.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    parts: BTreeMap<&'static str, Health>,
    reloads: BTreeMap<&'static str, Reload>,
    canary: Option<Canary>,
}

impl Board {
    /// Says how a part is. Answers whether that is news, so that a failure is logged on change.
    pub fn set(&self, part: &'static str, health: Health) -> bool {
        self.said().parts.insert(part, health.clone()) != Some(health)
    }

    /// Every part and how it is, by name.
    pub fn parts(&self) -> Vec<(&'static str, Health)> {
        self.said().parts.iter().map(|(name, health)| (*name, health.clone())).collect()
    }

    /// Whether no part is [`Health::NotReady`].
    pub fn is_ready(&self) -> bool {
        self.said().parts.values().all(|health| !matches!(health, Health::NotReady(_)))
    }

    /// Files of the configuration were taken.
    pub fn taken(&self, files: &'static str, now_ms: i64) {
        self.said().reloads.insert(files, Reload { taken_ms: now_ms, refused: None });
    }

    /// Files of the configuration were refused. While they stay as they are the first time counts.
    pub fn refused(&self, files: &'static str, now_ms: i64, why: &str) {
        let mut said = self.said();
        let Some(reload) = said.reloads.get_mut(files) else { return };
        if reload.refused.as_ref().is_none_or(|(_, known)| known != why) {
            reload.refused = Some((now_ms, why.to_owned()));
        }
    }

    /// How files of the configuration were last read, by name.
    pub fn reloads(&self) -> Vec<(&'static str, Reload)> {
        self.said().reloads.iter().map(|(files, reload)| (*files, reload.clone())).collect()
    }

    /// Changes what the canary says.
    pub fn tell_canary(&self, change: impl FnOnce(&mut Canary)) {
        change(self.said().canary.get_or_insert_default());
    }

    /// What the canary says; none where none flies in this process.
    pub fn canary(&self) -> Option<Canary> {
        self.said().canary
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_that_is_not_ready_makes_the_whole_not_ready_and_news_is_told_once() {
        let board = Board::default();
        assert!(board.is_ready());
        assert!(board.set("bus", Health::NotReady("connecting".into())));
        assert!(!board.set("bus", Health::NotReady("connecting".into())));
        assert!(!board.is_ready());
        assert!(board.set("bus", Health::Degraded("slow disk".into())));
        assert!(board.is_ready());
    }

    #[test]
    fn a_refusal_stands_beside_what_was_taken_before_until_something_is_taken_again() {
        let board = Board::default();
        board.refused("rules", 1, "nobody reads these here");
        assert_eq!(board.reloads(), []);
        board.taken("rules", 2);
        for (at, why) in [(3, "a bad line"), (4, "a bad line"), (5, "another")] {
            board.refused("rules", at, why);
            let first = at.min(3) + i64::from(why == "another") * 2;
            let refused = Some((first, why.to_owned()));
            assert_eq!(board.reloads(), [("rules", Reload { taken_ms: 2, refused })]);
        }
        board.taken("rules", 6);
        assert_eq!(board.reloads(), [("rules", Reload { taken_ms: 6, refused: None })]);
    }
}
