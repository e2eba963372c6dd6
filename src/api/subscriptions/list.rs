//! The list of subscriptions, in the order they were made.

use axum::extract::State;
use futures_util::StreamExt;
use futures_util::TryStreamExt;
use futures_util::stream;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::page;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::api::subscriptions::Shown;
use crate::api::subscriptions::now;
use crate::api::subscriptions::read;
use crate::api::subscriptions::record_of;
use crate::api::subscriptions::shown;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::model::Subscription;
use crate::model::Time;

/// Records looked up at once.
const LOOKUPS: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// The part of a definition that orders the list.
#[derive(Deserialize)]
struct Made {
    created_at: Time,
}

/// `GET /v1/subscriptions`
pub(super) async fn list<B: Bus>(
    State(app): State<App<B>>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Value>, Problem> {
    let (data, next) = some(&app, query.limit, query.cursor.as_deref()).await?;
    Ok(axum::Json(json!({"data": data, "next_cursor": next})))
}

/// A page of the list, and where the next one begins.
pub(in crate::api) async fn some<B: Bus>(
    app: &App<B>,
    limit: Option<usize>,
    cursor: Option<&str>,
) -> Result<(Vec<Shown>, Option<String>), Problem> {
    let limit = page::limit(limit);
    let after = cursor.map(place).transpose()?;
    let mut found = Vec::new();
    for entry in app.bus.list(Bucket::Subscriptions, "").await?.entries {
        let Some(value) = entry.value else { continue };
        let made: Made = match serde_json::from_slice(&value) {
            Ok(made) => made,
            // Read as a whole it says what is wrong with it.
            Err(_) => read(&value).map(|s| Made { created_at: s.created_at })?,
        };
        let place = (made.created_at.millis(), entry.key);
        if after.as_ref().is_none_or(|after| place > *after) {
            found.push((place, value));
        }
    }
    if found.len() > limit {
        found.select_nth_unstable_by(limit, |(a, _), (b, _)| a.cmp(b));
    }
    let more = found.len() > limit;
    found.truncate(limit);
    found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let next = found.last().filter(|_| more).map(|((ms, id), _)| format!("{ms}-{id}"));
    let read = found.iter().map(|(_, value)| read(value)).collect::<Result<Vec<_>, _>>()?;
    let lookups = read.into_iter().map(|subscription| look_up(app.clone(), subscription));
    let data: Vec<Shown> = stream::iter(lookups).buffered(LOOKUPS).try_collect().await?;
    Ok((data, next))
}

async fn look_up<B: Bus>(app: App<B>, subscription: Subscription) -> Result<Shown, Problem> {
    let record = record_of(&app, &subscription).await?;
    Ok(shown(&subscription, record, now(&app)))
}

fn place(cursor: &str) -> Result<(i64, String), Problem> {
    let parts = cursor.split_once("-sub_").and_then(|(ms, id)| Some((ms.parse().ok()?, id)));
    let (ms, id): (i64, &str) = parts.ok_or_else(page::bad_cursor)?;
    Ok((ms, format!("sub_{id}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_names_a_place_between_two_subscriptions() {
        assert_eq!(place("17-sub_a").unwrap(), (17, "sub_a".to_owned()));
        assert_eq!(place("-17-sub_a").unwrap(), (-17, "sub_a".to_owned()));
        for bad in ["", "17", "x-sub_a", "sub_a", "17-subs"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }
}
