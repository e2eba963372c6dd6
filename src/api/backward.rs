//! A log looked at backwards, the newest record first.
//!
//! It is read in stretches that double: a page of a busy subject costs a short look, and that of a
//! quiet one few long ones, which the bus keeps short by subject.

use std::collections::VecDeque;
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
    before: Option<u64>,
    limit: usize,
}

/// A page. It may hold less than asked for, or nothing, and still have a next.
pub(super) struct Page<T> {
    pub(super) found: Vec<T>,
    pub(super) next: Option<u64>,
}

/// What lies between two positions.
struct Stretch<T> {
    /// In order; the oldest make room.
    found: VecDeque<(u64, T)>,
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
        let before = cursor.map(u64::from_str).transpose().map_err(|_| page::bad_cursor())?;
        Ok(Self { stream, filter, before, limit: page::limit(limit) })
    }

    /// What `pick` makes of the records, the newest first.
    pub(super) async fn page<B: Bus, T>(
        &self,
        app: &App<B>,
        pick: impl Fn(&Stored) -> Option<T>,
    ) -> Result<Page<T>, Problem> {
        let end = app.bus.end(self.stream).await?.saturating_add(1);
        let mut before = self.before.unwrap_or(end).min(end);
        let (mut found, mut looked_at, mut length) = (Vec::new(), 0, FIRST_STRETCH);
        let mut over = before <= 1;
        while !over && found.len() <= self.limit && looked_at < MAX_LOOKED_AT {
            let after = before.saturating_sub(length).saturating_sub(1);
            let Some(stretch) = self.stretch(app, (after, before), &pick).await? else {
                looked_at += MAX_STRETCH;
                length = (length / 2).max(1);
                continue;
            };
            looked_at += stretch.looked_at;
            found.extend(stretch.found.into_iter().rev());
            before = after.saturating_add(1);
            over = stretch.first || after == 0;
            length = length.saturating_mul(2);
        }
        let next = match found.get(self.limit) {
            Some(_) => found.get(self.limit - 1).map(|(seq, _)| *seq),
            None => Some(before).filter(|_| !over),
        };
        let found = found.into_iter().take(self.limit).map(|(_, one)| one).collect();
        Ok(Page { found, next })
    }

    /// What lies between two positions, both excluded; none where that is too much to look at.
    async fn stretch<B: Bus, T>(
        &self,
        app: &App<B>,
        (after, before): (u64, u64),
        pick: &impl Fn(&Stored) -> Option<T>,
    ) -> Result<Option<Stretch<T>>, Problem> {
        let filter = self.filter.clone();
        let selection = Selection { from: From::After(after), until: Until::End, filter };
        let mut reader = app.bus.read(self.stream, selection).await?;
        let mut stretch = Stretch { found: VecDeque::new(), looked_at: 0, first: false };
        while let Some(item) = reader.next().await {
            let stored = match item? {
                Item::Record(stored) if stored.seq < before => stored,
                Item::Record(_) => break,
                Item::Overtaken { .. } => {
                    stretch.first = true;
                    continue;
                }
            };
            stretch.looked_at += 1;
            if stretch.looked_at > MAX_STRETCH && before - after > 2 {
                return Ok(None);
            }
            if let Some(picked) = pick(&stored) {
                stretch.found.push_back((stored.seq, picked));
                if stretch.found.len() > self.limit.saturating_add(1) {
                    stretch.found.pop_front();
                }
            }
        }
        Ok(Some(stretch))
    }
}

impl<T: Serialize> Page<T> {
    /// As lists are answered.
    pub(super) fn json(self) -> axum::Json<Value> {
        let next = self.next.map(|seq| seq.to_string());
        axum::Json(json!({"data": self.found, "next_cursor": next}))
    }
}
