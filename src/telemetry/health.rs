//! The board that `/readyz` reads: what each part says of itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
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

/// What each part says of itself. Cheap to clone; every clone is the same board.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<&'static str, Health>>>);

impl Board {
    /// Says how a part is. Answers whether that is news, so that a failure is logged on change.
    pub fn set(&self, part: &'static str, health: Health) -> bool {
        let mut parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.insert(part, health.clone()) != Some(health)
    }

    /// Every part and how it is, by name.
    pub fn parts(&self) -> Vec<(&'static str, Health)> {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().map(|(name, health)| (*name, health.clone())).collect()
    }

    /// Whether no part is [`Health::NotReady`].
    pub fn is_ready(&self) -> bool {
        self.parts().iter().all(|(_, health)| !matches!(health, Health::NotReady(_)))
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
}
