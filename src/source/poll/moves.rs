//! Feeds that move: a permanent redirect is followed at once and believed after a while. Pure.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde::Serialize;
use url::Url;

use crate::model::Time;

/// So often the same move must have been seen.
const SIGHTINGS: u32 = 5;
/// For so long it must have been seen.
const LASTS: Duration = Duration::from_secs(48 * 3600);

/// Where a feed has moved to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moves {
    /// Believed: it is asked there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    adopted: Option<String>,
    /// Seen, and not believed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Seen>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    to: String,
    since: Time,
    times: u32,
}

/// Where redirects that are meant to last lead to; none where the first is not.
pub(super) fn lasting(redirects: &[(StatusCode, Url)]) -> Option<String> {
    let is_lasting = |status: &StatusCode| matches!(status.as_u16(), 301 | 308);
    let last = redirects.iter().take_while(|(status, _)| is_lasting(status)).last();
    last.map(|(_, url)| url.to_string())
}

impl Moves {
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn adopted(&self) -> Option<&str> {
        self.adopted.as_deref()
    }

    /// An answer came, after a lasting redirect to there or after none.
    pub(super) fn saw(&mut self, moved_to: Option<&str>, now: Time) {
        let Some(to) = moved_to else {
            self.seen = None;
            return;
        };
        let before = self.seen.take().filter(|seen| seen.to == to);
        let mut seen = before.unwrap_or_else(|| Seen { to: to.to_owned(), since: now, times: 0 });
        seen.times = seen.times.saturating_add(1);
        if seen.times >= SIGHTINGS && now.since(seen.since) >= LASTS {
            self.adopted = Some(seen.to);
        } else {
            self.seen = Some(seen);
        }
    }

    /// The new address is of no use: the old one is asked again. Whether there was a new one.
    pub(super) fn give_up(&mut self) -> bool {
        self.seen = None;
        self.adopted.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_is_believed_after_five_sightings_over_two_days() {
        let hour = |n: i64| Time::from_millis(n * 3_600_000);
        let mut moves = Moves::default();
        let (new, other) = ("https://new.example/rss", "https://other.example/rss");
        for n in 0..10 {
            moves.saw(Some(new), hour(n));
        }
        assert_eq!(moves.adopted(), None, "often, but not for long");
        moves.saw(Some(other), hour(20));
        for n in [48, 60, 67] {
            moves.saw(Some(other), hour(n));
        }
        assert_eq!(moves.adopted(), None, "for long, but not often");
        moves.saw(Some(other), hour(68));
        assert_eq!(moves.adopted(), Some(other));
        assert!(moves.give_up() && !moves.give_up());
        for n in [0, 20, 40, 60] {
            moves.saw(Some(new), hour(n));
        }
        moves.saw(None, hour(61));
        moves.saw(Some(new), hour(62));
        assert_eq!(moves.adopted(), None, "it was back in between");
    }

    #[test]
    fn only_what_lasts_from_the_first_step_on_is_a_move() {
        let steps = |list: &[(u16, &str)]| -> Vec<(StatusCode, Url)> {
            let step = |(status, url): &(u16, &str)| {
                (StatusCode::from_u16(*status).unwrap(), Url::parse(url).unwrap())
            };
            list.iter().map(step).collect()
        };
        for (name, list, want) in [
            ("none", &[][..], None),
            ("one", &[(301, "https://b.example/")][..], Some("https://b.example/")),
            (
                "two",
                &[(301, "https://b.example/"), (308, "https://c.example/")],
                Some("https://c.example/"),
            ),
            (
                "then for now",
                &[(308, "https://b.example/"), (302, "https://c.example/")],
                Some("https://b.example/"),
            ),
            ("first for now", &[(302, "https://b.example/"), (301, "https://c.example/")], None),
        ] {
            assert_eq!(lasting(&steps(list)).as_deref(), want, "{name}");
        }
    }
}
