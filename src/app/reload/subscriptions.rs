//! Subscriptions follow their file, and the files with secrets that it names.

use std::path::Path;
use std::sync::Arc;

use crate::api::managed::Definitions;
use crate::app::reload::Refused;
use crate::app::reload::Reload;
use crate::app::reload::Seen;
use crate::app::reload::beside;
use crate::bus::Bus;
use crate::config;
use crate::config::Watched;
use crate::egress::Policy;
use crate::rules::RuleSet;

/// The file as it is followed.
pub(super) struct Kept {
    watched: Watched,
    seen: Seen,
    /// It was refused, perhaps for a topic that rules to come have.
    refused: bool,
}

impl Kept {
    pub(super) fn new(watched: Watched) -> Self {
        Self { seen: Seen::new(watched.stamp.clone()), watched, refused: false }
    }
}

impl<B: Bus> Reload<B> {
    pub(super) async fn follow_subscriptions(&mut self, asked: bool, new_rules: bool) {
        let kept = &mut self.subscriptions;
        let asked = asked || (new_rules && kept.refused);
        let due = kept.watched.now().map(|now| kept.seen.look(now) || asked);
        let loaded = match due {
            Ok(false) => return,
            Ok(true) => {
                let (folder, had) = (self.folder.clone(), kept.seen.had);
                let rules = self.shared.live.rules.load_full();
                let policy = self.shared.policy.clone();
                beside(move || load(&folder, had, (policy, &rules))).await
            }
            Err(error) => Err(error.into()),
        };
        let definitions = match loaded {
            Ok((watched, definitions)) => {
                self.subscriptions.seen.read = watched.stamp.clone();
                self.subscriptions.watched = watched;
                definitions
            }
            Err(refused) => Err(refused),
        };
        self.subscriptions.refused = definitions.is_err();
        match definitions {
            Ok(definitions) => {
                let count = definitions.as_ref().map_or(0, |list| list.len());
                self.subscriptions.seen.had |= definitions.is_some();
                self.shared.live.definitions.send_replace(definitions);
                tracing::info!(subscriptions = count, "Subscriptions read from their file");
                self.good("subscriptions");
            }
            Err(refused) => self.bad("subscriptions", &refused),
        }
    }
}

type Loaded = (Watched, Result<Definitions, Refused>);

/// A file that vanishes is a mistake, not a wish to remove every subscription.
fn load(
    folder: &Path,
    had: bool,
    (policy, rules): (Policy, &Arc<RuleSet>),
) -> Result<Loaded, Refused> {
    let (files, watched) = config::read_subscriptions(folder)?;
    if files.is_none() && had {
        return Ok((watched, Err(Refused::GoneSubscriptions)));
    }
    let definitions = config::load_subscriptions(files.as_ref(), policy, rules);
    Ok((watched, definitions.map_err(Refused::Bad)))
}
