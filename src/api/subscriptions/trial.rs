//! Trying a webhook: a `test.ping` on the real way, or the request that would be sent, unsent.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::once::Once;
use crate::api::problem::Fault;
use crate::api::problem::Optional;
use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::api::random;
use crate::api::subscriptions::find;
use crate::api::subscriptions::now;
use crate::api::subscriptions::requests;
use crate::bus::Bus;
use crate::delivery::example;
use crate::delivery::rehearsal;
use crate::delivery::rehearsal::Play;
use crate::delivery::rehearsal::Rehearsal;
use crate::egress;
use crate::egress::HOP_HEADER;
use crate::egress::Policy;
use crate::egress::Resolver;
use crate::model::EventKind;
use crate::model::TraceContext;
use crate::model::trace::TRACEPARENT;
use crate::telemetry::logs::chain;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    dry_run: bool,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Whether the address would be called now.
#[derive(Debug, Serialize)]
struct Verdict {
    allowed: bool,
    /// Why not.
    reason: Option<String>,
}

/// A request that is not sent, and whether it could be.
#[derive(Debug, Serialize)]
struct Shown {
    dry_run: bool,
    address: Verdict,
    #[serde(flatten)]
    request: Rehearsal,
}

/// `POST /v1/subscriptions/{id}/test`: a `test.ping` goes the real way; with `dry_run` nothing goes,
/// and the answer is what would.
pub(super) async fn test<B: Bus>(
    State(app): State<App<B>>,
    Path(id): Path,
    once: Once,
    Optional(wanted): Optional<Wanted>,
) -> Result<(StatusCode, axum::Json<Value>), Problem> {
    let kind = wanted.kind().map_err(|fault| Problem::invalid(vec![fault]))?;
    if wanted.dry_run {
        let shown = rehearse(&app, &id, kind).await?;
        return Ok((StatusCode::OK, axum::Json(json!(shown))));
    }
    requests::test(State(app), Path(id), once).await
}

impl Wanted {
    /// None for a `test.ping`.
    fn kind(&self) -> Result<Option<EventKind>, Fault> {
        let Some(name) = self.kind.as_deref().filter(|name| *name != example::PING) else {
            return Ok(None);
        };
        if !self.dry_run {
            let message =
                "only a test.ping is really sent: an example event needs \"dry_run\": true";
            return Err(Fault::new("/type", message));
        }
        let kind = EventKind::ALL.into_iter().find(|kind| kind.as_str() == name);
        kind.map(Some).ok_or_else(|| {
            let known = EventKind::ALL.map(EventKind::as_str).join(", ");
            Fault::new(
                "/type",
                format!("there is no such type: write {} or {known}", example::PING),
            )
        })
    }
}

async fn rehearse<B: Bus>(
    app: &App<B>,
    id: &str,
    kind: Option<EventKind>,
) -> Result<Shown, Problem> {
    let (subscription, _) = find(app, id).await?;
    let ping = requests::ping()?;
    let connection = [
        ("user-agent", concat!("Wirebell/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("accept-encoding", "identity".to_owned()),
        (HOP_HEADER, "1".to_owned()),
        (TRACEPARENT, TraceContext::root(random()?, random()?, false).to_string()),
    ];
    let public_url = &app.settings.public_url;
    let play = Play { subscription: &subscription, kind, ping: &ping, now: now(app), public_url };
    let request = rehearsal::rehearse(play, &connection).map_err(|error| {
        let status = match &error {
            rehearsal::Error::Secret(_) => StatusCode::INTERNAL_SERVER_ERROR,
            rehearsal::Error::Unrenderable(_) => StatusCode::CONFLICT,
        };
        Problem::new(status, chain(&error))
    })?;
    let reason = judge(&subscription.url, &app.settings.policy).await.err();
    let address = Verdict { allowed: reason.is_none(), reason };
    Ok(Shown { dry_run: true, address, request })
}

/// Judges an address as it is judged before each request, short of calling it.
async fn judge(url: &str, policy: &Policy) -> Result<(), String> {
    let target = egress::judge(url, policy).map_err(|refusal| refusal.to_string())?;
    if target.literal().is_some() {
        return Ok(());
    }
    let answers = Resolver::system().lookup(target.host()).await;
    let answers = answers.map_err(|why| format!("{} cannot be found: {why}", target.host()))?;
    egress::judge_answers(&target, &answers, policy).map_err(|refusal| refusal.to_string())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dry_run_tells_of_an_event() {
        let kind = |json: &str| serde_json::from_str::<Wanted>(json).unwrap().kind();
        assert_eq!(kind("{}"), Ok(None));
        assert_eq!(kind(r#"{"dry_run":true,"type":"test.ping"}"#), Ok(None));
        assert_eq!(kind(r#"{"dry_run":true,"type":"alert.ended"}"#), Ok(Some(EventKind::Ended)));
        for json in [r#"{"type":"alert.ended"}"#, r#"{"dry_run":true,"type":"alert.opend"}"#] {
            assert_eq!(kind(json).unwrap_err().pointer, "/type", "{json}");
        }
    }
}
