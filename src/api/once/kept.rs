//! What a key was used for, as it is written down, and what follows from it.

use serde::Deserialize;
use serde::Serialize;

use crate::model::Time;
use crate::model::Version;

/// What a key was used for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) v: Version,
    /// Digest of the request.
    pub(super) request: String,
    /// What ids are made of.
    pub(super) seed: String,
    #[serde(flatten)]
    pub(super) state: Standing,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(super) enum Standing {
    /// Carried out by a process, for so long at most.
    Running { process: String, until: Time },
    /// It was refused, and nothing was done.
    Refused,
    /// Answered; the body where it is kept.
    Answered { status: u16, body: Option<String> },
}

/// What is done with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is carried out, under a seed of its own.
    First,
    /// It is carried out, under this seed.
    Again(String),
    /// It was answered, and its answer is made anew.
    Remake(String),
    /// It was answered.
    Tell(u16, String),
    /// It is under way.
    Busy,
    /// The key belongs to another request.
    Other,
}

impl Kept {
    /// What this says of a request with a digest at a time. `process` asks.
    pub(super) fn way(&self, request: &str, now: Time, (process, sole): (&str, bool)) -> Way {
        if self.state == Standing::Refused {
            return Way::First;
        }
        if self.request != request {
            return Way::Other;
        }
        let seed = || self.seed.clone();
        match &self.state {
            Standing::Refused => Way::First,
            // What this process carried out is over: it would have its turn still.
            Standing::Running { process: other, until } => {
                let over = sole || other == process || now > *until;
                if over { Way::Again(seed()) } else { Way::Busy }
            }
            Standing::Answered { status, body: Some(body) } => Way::Tell(*status, body.clone()),
            Standing::Answered { body: None, .. } => Way::Remake(seed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: (&str, bool) = ("mine", false);

    fn kept(state: Standing) -> Kept {
        Kept { v: Version, request: "r".to_owned(), seed: "s".to_owned(), state }
    }

    fn running(process: &str) -> Standing {
        Standing::Running { process: process.to_owned(), until: Time::from_millis(100) }
    }

    #[test]
    fn what_is_done_under_a_key_follows_from_its_record() {
        let (again, body) = (|| Way::Again("s".to_owned()), || "{}".to_owned());
        let answered = |body| Standing::Answered { status: 202, body };
        for (name, state, request, (now, asks), wanted) in [
            ("refused", Standing::Refused, "r", (0, MINE), Way::First),
            ("refused, mended", Standing::Refused, "other", (0, MINE), Way::First),
            ("of another, running", running("other"), "r", (100, MINE), Way::Busy),
            ("of another, late", running("other"), "r", (101, MINE), again()),
            ("of one that died", running("other"), "r", (0, ("mine", true)), again()),
            ("of mine, left", running("mine"), "r", (0, MINE), again()),
            ("another request", running("mine"), "x", (0, MINE), Way::Other),
            ("another, answered", answered(None), "x", (0, MINE), Way::Other),
            ("answered", answered(Some(body())), "r", (0, MINE), Way::Tell(202, body())),
            ("answered anew", answered(None), "r", (0, MINE), Way::Remake("s".to_owned())),
        ] {
            let kept = kept(state);
            assert_eq!(kept.way(request, Time::from_millis(now), asks), wanted, "{name}");
            let text = serde_json::to_string(&kept).unwrap();
            assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept, "{text}");
        }
    }
}
