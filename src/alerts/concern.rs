//! Which alert an end or a retraction concerns: never close by guess.

use crate::alerts::book::Book;
use crate::alerts::state::AlertState;
use crate::alerts::state::StateKey;
use crate::model::ArticleId;
use crate::model::Key;
use crate::model::Nature;
use crate::model::RuleId;
use crate::model::event::Status;

/// What closes an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closer {
    End,
    Retract,
}

/// The alerts concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Concerned {
    /// None.
    Nobody,
    /// This one.
    One(StateKey),
    /// It may be any of these.
    Several(Vec<StateKey>),
}

/// Finds the alerts of `rule` that an end or retraction with this key concerns.
///
/// A state that already knows the revision is the one concerned: after a take-over
/// the article comes again, and must not look for another.
pub(super) fn concerned(
    book: &Book,
    rule: &RuleId,
    key: &Key,
    closer: Closer,
    revision: (&ArticleId, u32),
) -> Concerned {
    let states: Vec<&AlertState> =
        book.states().filter(|s| s.at.rule == *rule && s.at.nature == Nature::Actual).collect();
    let held = |s: &&&AlertState| s.knows(revision.0, revision.1) && fits(&s.at.key, key);
    if let Some(state) = states.iter().find(held) {
        return Concerned::One(state.at.clone());
    }
    let open = |s: &AlertState| s.alert.is_open();
    let closed = |s: &AlertState| match closer {
        Closer::End => s.alert.view.status == Status::Expired,
        Closer::Retract => !s.alert.is_open(),
    };
    match among(&states, key, open) {
        Concerned::Nobody => among(&states, key, closed),
        found => found,
    }
}

fn among(states: &[&AlertState], key: &Key, wanted: impl Fn(&AlertState) -> bool) -> Concerned {
    let candidates: Vec<&&AlertState> = states.iter().filter(|s| wanted(s)).collect();
    if !key.is_unknown()
        && let Some(exact) = candidates.iter().find(|s| s.at.key == *key)
    {
        return Concerned::One(exact.at.clone());
    }
    let mut fitting: Vec<StateKey> =
        candidates.iter().filter(|s| fits(&s.at.key, key)).map(|s| s.at.clone()).collect();
    match (fitting.pop(), fitting.is_empty()) {
        (None, _) => Concerned::Nobody,
        (Some(one), true) => Concerned::One(one),
        (Some(last), false) => {
            fitting.push(last);
            Concerned::Several(fitting)
        }
    }
}

fn fits(known: &Key, given: &Key) -> bool {
    known == given || known.is_unknown() || given.is_unknown()
}
