//! A new signing key; the old ones sign on for a while.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::once::Call;
use crate::api::once::Once;
use crate::api::problem::Fault;
use crate::api::problem::Optional;
use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::api::random;
use crate::api::subscriptions::Tagged;
use crate::api::subscriptions::alter;
use crate::api::subscriptions::create::secret_of;
use crate::api::subscriptions::draft::usable;
use crate::api::subscriptions::now;
use crate::api::subscriptions::refuse_managed;
use crate::bus::Bus;
use crate::delivery::signature;
use crate::model::Subscription;
use crate::model::duration;
use crate::model::subscription::Secret;
use crate::model::subscription::SigningKey;
use crate::model::subscription::keys;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::api) struct Wanted {
    overlap: Option<Value>,
    secret: Option<Secret>,
}

/// `POST /v1/subscriptions/{id}/rotate`: a new key signs from now on, the old ones until the end of
/// the overlap. Without a body it is random, and the overlap a day. To send it again with the same
/// secret, or under the same key of the request, changes nothing.
pub(in crate::api) async fn rotate<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
    Once(call): Once,
    Optional(wanted): Optional<Wanted>,
) -> Result<Tagged, Problem> {
    let overlap = wanted.check().map_err(Problem::invalid)?;
    let given = wanted.secret.as_ref();
    let secret = match given {
        Some(secret) => secret.clone(),
        None => signature::secret_from_random(random()?),
    };
    let key = SigningKey::new(secret, call.as_ref().map(|call| call.mark().to_owned()));
    let now = now(&app);
    let ((), seen) = alter(&app, &id, |subscription, _| {
        if call.as_ref().is_some_and(|call| has_turned(subscription, call)) {
            return Ok(());
        }
        refuse_managed(subscription)?;
        let before = subscription.keys.clone();
        keys::turn(&mut subscription.keys, key.clone(), now, overlap)
            .map_err(|error| Problem::new(StatusCode::CONFLICT, error.to_string()))?;
        if subscription.keys != before {
            subscription.updated_at = now;
        }
        Ok(())
    })
    .await?;
    let secret = match &call {
        Some(call) => secret_of(&seen.subscription, call, given),
        None => Some(key.secret.expose().to_owned()),
    };
    let (id, keys) = (&seen.subscription.id, seen.subscription.keys.len());
    tracing::info!(subscription.id = %id, keys, "Signing key turned");
    let (tag, axum::Json(mut answer)) = seen.told(now);
    answer["secret"] = json!(secret);
    Ok((tag, axum::Json(answer)))
}

/// Whether a request has turned the key before.
fn has_turned(subscription: &Subscription, call: &Call) -> bool {
    let marked = |key: &SigningKey| key.call.as_deref() == Some(call.mark());
    call.was_answered() || (call.was_begun() && subscription.keys.iter().any(marked))
}

impl Wanted {
    fn check(&self) -> Result<Duration, Vec<Fault>> {
        let mut faults = Vec::new();
        if let Some(Err(message)) = self.secret.as_ref().map(usable) {
            faults.push(Fault::new("/secret", message));
        }
        let overlap = match &self.overlap {
            None | Some(Value::Null) => Some(keys::USUAL_OVERLAP),
            Some(value) => value.as_str().and_then(|text| duration::parse(text).ok()),
        };
        let overlap = overlap.filter(|overlap| *overlap <= keys::MAX_OVERLAP);
        match overlap {
            Some(overlap) if faults.is_empty() => return Ok(overlap),
            Some(_) => {}
            None => {
                let given = self.overlap.as_ref().unwrap_or(&Value::Null);
                let message = format!(
                    "{given} is no overlap: write 10m, 24h or 7d, from 0s, which ends the old keys \
                     at once, to 7d"
                );
                faults.push(Fault::new("/overlap", message));
            }
        }
        Err(faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> Result<Duration, Vec<String>> {
        let wanted: Wanted = serde_json::from_str(json).unwrap();
        wanted.check().map_err(|faults| faults.into_iter().map(|f| f.pointer).collect())
    }

    #[test]
    fn an_overlap_is_a_day_unless_it_is_said_and_at_most_a_week() {
        for (json, hours) in [
            ("{}", 24),
            (r#"{"overlap":null}"#, 24),
            (r#"{"overlap":"0s"}"#, 0),
            (r#"{"overlap":"2h"}"#, 2),
            (r#"{"overlap":"7d"}"#, 168),
        ] {
            assert_eq!(checked(json), Ok(Duration::from_secs(hours * 3600)), "{json}");
        }
        for json in [
            r#"{"overlap":"8d"}"#,
            r#"{"overlap":"604801s"}"#,
            r#"{"overlap":"-1s"}"#,
            r#"{"overlap":3600}"#,
            r#"{"overlap":""}"#,
        ] {
            assert_eq!(checked(json), Err(vec!["/overlap".to_owned()]), "{json}");
        }
    }

    #[test]
    fn a_secret_that_cannot_sign_is_refused_and_not_repeated() {
        for text in ["hidden", "whsec_hidden!", "whsec_aGlkZGVu"] {
            let message = usable(&Secret::new(text.to_owned())).unwrap_err();
            assert!(message.contains("openssl") && !message.contains("hidden"), "{message}");
        }
        let both = checked(r#"{"secret":"whsec_AAAA","overlap":"1y"}"#).unwrap_err();
        assert_eq!(both, ["/secret", "/overlap"]);
    }
}
