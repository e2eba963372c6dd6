//! Whether an address may be called, asked by somebody who runs Wirebell.

use serde::Serialize;

use crate::config::Settings;
use crate::egress::Client;
use crate::egress::Error;
use crate::telemetry::logs::chain;

/// What the policy says of one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// As it was written, also where it is no address.
    pub url: String,
    /// A webhook or feed there would be called now.
    pub allowed: bool,
    /// Why not, and what opens it; none where it is allowed.
    pub reason: Option<String>,
}

/// Judges addresses as feeds and webhooks are judged, without calling any.
#[derive(Clone, Debug)]
pub struct Judge {
    client: Client,
    names: Names,
}

/// What is done about names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// They are resolved, and every address they stand for is judged.
    Resolved,
    /// They are judged as names alone.
    Unresolved,
}

impl Judge {
    /// By these settings.
    pub fn new(settings: &Settings, names: Names) -> Self {
        Self { client: Client::with(settings.egress()), names }
    }

    /// Judges one address.
    pub async fn verdict(&self, url: String) -> Verdict {
        let reason = self.reason(&url).await.err();
        Verdict { url, allowed: reason.is_none(), reason }
    }

    async fn reason(&self, url: &str) -> Result<(), String> {
        let target = self.client.judge(url).map_err(|refusal| refusal.reason())?;
        if self.names == Names::Unresolved {
            return Ok(());
        }
        match self.client.vet(&target).await {
            Ok(_) => Ok(()),
            Err(Error::Refused { refusal, .. }) => Err(refusal.reason()),
            Err(error) => Err(chain(&error)),
        }
    }
}
