//! A log looked at backwards, the newest record first.
//!
//! It is read in stretches that double: a page of a busy subject costs a short look, and that of a
//! quiet one few long ones, which the bus keeps short by subject.

use std::collections::VecDeque;
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::page;
use crate::api::problem::Problem;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Selection;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::bus::Until;

/// Positions of the first stretch looked at; each further one is twice as long.
const FIRST_STRETCH: u64 = 1_024;
/// Records of a stretch beyond which it is looked at in halves.
const MAX_STRETCH: usize = 4_096;
/// Records looked at for a page; then it ends, however little was found.
const MAX_LOOKED_AT: usize = 16_384;

/// Which page of which log.
pub(super) struct Look {
    pub(super) stream: Stream,
    /// On subjects.
    pub(super) filter: String,
    /// Where the page before ended; none for the first.
    before: Option<Place>,
    limit: usize,
}

/// A place between what records hold: before everything of a record, or behind so many of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    seq: u64,
    behind: usize,
}

/// A page. It may hold less than asked for, or nothing, and still have a next.
pub(super) struct Page<T> {
    pub(super) found: Vec<T>,
    pub(super) next: Option<Place>,
}

/// What lies between two positions.
struct Stretch<T> {
    /// In order; the oldest make room.
    found: VecDeque<(Place, T)>,
    looked_at: usize,
    /// There is nothing before it.
    first: bool,
}

impl Look {
    pub(super) fn new(
        stream: Stream,
        filter: String,
        cursor: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Self, Problem> {
        let before = cursor.map(Place::from_str).transpose().map_err(|_| page::bad_cursor())?;
        Ok(Self { stream, filter, before, limit: page::limit(limit) })
    }

    /// What `pick` makes of the records, the newest first. What it makes of one record is in the
    /// order of the log.
    pub(super) async fn page<B: Bus, P: IntoIterator>(
        &self,
        app: &App<B>,
        pick: impl Fn(&Stored) -> P,
    ) -> Result<Page<P::Item>, Problem> {
        let end = Place { seq: app.bus.end(self.stream).await?.saturating_add(1), behind: 0 };
        let mut before = self.before.unwrap_or(end).min(end);
        let (mut found, mut looked_at, mut length) = (Vec::new(), 0, FIRST_STRETCH);
        let mut over = before <= Place { seq: 1, behind: 0 };
        while !over && found.len() <= self.limit && looked_at < MAX_LOOKED_AT {
            let after = before.seq.saturating_sub(length).saturating_sub(1);
            let Some(stretch) = self.stretch(app, (after, before), &pick).await? else {
                looked_at += MAX_STRETCH;
                length = (length / 2).max(1);
                continue;
            };
            looked_at += stretch.looked_at;
            found.extend(stretch.found.into_iter().rev());
            before = Place { seq: after.saturating_add(1), behind: 0 };
            over = stretch.first || after == 0;
            length = length.saturating_mul(2);
        }
        let next = match found.get(self.limit) {
            Some(_) => found.get(self.limit - 1).map(|(place, _)| *place),
            None => Some(before).filter(|_| !over),
        };
        let found = found.into_iter().take(self.limit).map(|(_, one)| one).collect();
        Ok(Page { found, next })
    }

    /// What lies between a position, which is excluded, and a place; none where that is too much to
    /// look at.
    async fn stretch<B: Bus, P: IntoIterator>(
        &self,
        app: &App<B>,
        (after, before): (u64, Place),
        pick: &impl Fn(&Stored) -> P,
    ) -> Result<Option<Stretch<P::Item>>, Problem> {
        let filter = self.filter.clone();
        let selection = Selection { from: From::After(after), until: Until::End, filter };
        let mut reader = app.bus.read(self.stream, selection).await?;
        let mut stretch = Stretch { found: VecDeque::new(), looked_at: 0, first: false };
        while let Some(item) = reader.next().await {
            let stored = match item? {
                Item::Record(stored) if before.has_before(stored.seq) => stored,
                Item::Record(_) => break,
                Item::Overtaken { .. } => {
                    stretch.first = true;
                    continue;
                }
            };
            stretch.looked_at += 1;
            if stretch.looked_at > MAX_STRETCH && before.seq - after > 2 {
                return Ok(None);
            }
            for (behind, picked) in pick(&stored).into_iter().enumerate() {
                let place = Place { seq: stored.seq, behind };
                if place >= before {
                    break;
                }
                stretch.found.push_back((place, picked));
                if stretch.found.len() > self.limit.saturating_add(1) {
                    stretch.found.pop_front();
                }
            }
        }
        Ok(Some(stretch))
    }
}

impl Place {
    /// Whether something of a record lies before it.
    fn has_before(self, seq: u64) -> bool {
        seq < self.seq || (seq == self.seq && self.behind > 0)
    }
}

/// The position, and what of its record lies before the place, where that is something: `17`, `17.3`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.behind {
            0 => write!(f, "{}", self.seq),
            behind => write!(f, "{}.{behind}", self.seq),
        }
    }
}

impl FromStr for Place {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let (seq, behind) = text.split_once('.').unwrap_or((text, "0"));
        Ok(Self { seq: seq.parse()?, behind: behind.parse()? })
    }
}

impl<T: Serialize> Page<T> {
    /// As lists are answered.
    pub(super) fn json(self) -> axum::Json<Value> {
        let next = self.next.map(|place| place.to_string());
        axum::Json(json!({"data": self.found, "next_cursor": next}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_and_read_and_in_order() {
        for (text, seq, behind) in [("0", 0, 0), ("17", 17, 0), ("17.3", 17, 3)] {
            let place: Place = text.parse().unwrap();
            assert_eq!(place, Place { seq, behind });
            assert_eq!(place.to_string(), text);
        }
        for text in ["", ".", "17.", ".3", "17.3.4", "-1", "17,3"] {
            assert!(text.parse::<Place>().is_err(), "{text:?}");
        }
        let place = Place { seq: 17, behind: 0 };
        assert!(place.has_before(16) && !place.has_before(17));
        assert!(Place { behind: 1, ..place }.has_before(17));
    }
}
