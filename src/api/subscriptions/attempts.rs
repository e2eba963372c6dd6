//! What was tried for a subscription, the newest first.

use std::collections::VecDeque;
use std::str::FromStr;

use axum::extract::Path;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::page;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::api::subscriptions::find;
use crate::api::subscriptions::list::bad_cursor;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Selection;
use crate::bus::Stream;
use crate::bus::Until;
use crate::model::Attempt;
use crate::model::SubscriptionId;
use crate::model::attempt::Outcome;
use crate::model::names;

/// Positions of the first stretch looked at; each further one is twice as long.
const FIRST_STRETCH: u64 = 1_024;
/// Attempts of the subscription in a stretch beyond which it is looked at in halves.
const MAX_STRETCH: usize = 4_096;
/// Attempts looked at for a page; then it ends, however little was found.
const MAX_LOOKED_AT: usize = 16_384;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttemptsQuery {
    limit: Option<usize>,
    cursor: Option<String>,
    outcome: Option<Outcome>,
}

/// Attempts of one subscription between two positions.
struct Stretch {
    /// Those asked for, in order; the oldest make room.
    found: VecDeque<(u64, Attempt)>,
    looked_at: usize,
    /// There is nothing before it.
    first: bool,
}

/// What is looked for.
struct Search {
    filter: String,
    outcome: Option<Outcome>,
    most: usize,
}

/// `GET /v1/subscriptions/{id}/attempts`
///
/// The log of all attempts is looked at backwards, in stretches that double: a page of a busy
/// subscription costs a short look, and that of a quiet one few long ones, which the bus keeps
/// short by subject.
pub(super) async fn list<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path<String>,
    Query(query): Query<AttemptsQuery>,
) -> Result<axum::Json<Value>, Problem> {
    let limit = page::limit(query.limit);
    let cursor = query.cursor.as_deref().map(u64::from_str).transpose();
    let cursor = cursor.map_err(|_| bad_cursor())?;
    let id: SubscriptionId = find(&app, &id).await?.0.id;
    let end = app.bus.end(Stream::Attempts).await?.saturating_add(1);
    let mut before = cursor.unwrap_or(end).min(end);
    let search = Search { filter: names::attempt(&id), outcome: query.outcome, most: limit + 1 };
    let (mut found, mut looked_at, mut length) = (Vec::new(), 0, FIRST_STRETCH);
    let mut over = before <= 1;
    while !over && found.len() <= limit && looked_at < MAX_LOOKED_AT {
        let after = before.saturating_sub(length).saturating_sub(1);
        let Some(stretch) = search.stretch(&app, (after, before)).await? else {
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
    let next = match found.get(limit) {
        Some(_) => found.get(limit - 1).map(|(seq, _)| *seq),
        None => Some(before).filter(|_| !over),
    };
    let data: Vec<Attempt> = found.into_iter().take(limit).map(|(_, attempt)| attempt).collect();
    Ok(axum::Json(json!({"data": data, "next_cursor": next.map(|seq| seq.to_string())})))
}

impl Search {
    /// What lies between two positions, both excluded; none where that is too much to look at.
    async fn stretch<B: Bus>(
        &self,
        app: &App<B>,
        (after, before): (u64, u64),
    ) -> Result<Option<Stretch>, Problem> {
        let filter = self.filter.clone();
        let selection = Selection { from: From::After(after), until: Until::End, filter };
        let mut reader = app.bus.read(Stream::Attempts, selection).await?;
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
            let Ok(attempt) = serde_json::from_slice::<Attempt>(&stored.payload) else { continue };
            if self.outcome.is_none_or(|outcome| outcome == attempt.outcome) {
                stretch.found.push_back((stored.seq, attempt));
                if stretch.found.len() > self.most {
                    stretch.found.pop_front();
                }
            }
        }
        Ok(Some(stretch))
    }
}
