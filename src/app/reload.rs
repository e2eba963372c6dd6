//! Hot reload: rules, sources and subscriptions follow the files of the configuration folder, tokens
//! follow theirs.
//!
//! The folder is looked at every half second by the stamps of its files, which also sees files
//! that are replaced by rename, swapped symbolic links and mounts that tell no one of a change.
//! Files are read when two looks agree, so that one in the middle of being written is not. What
//! is read is checked whole beside the running workers; only what is good is swapped in.

mod subscriptions;
mod tokens;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::api::Access;
use crate::api::archive;
use crate::api::managed::Definitions;
use crate::app::forecast::Forecast;
use crate::app::forecast::forecast;
use crate::bus::Bus;
use crate::clock::Clock;
use crate::config;
use crate::config::BadTokens;
use crate::config::Origin;
use crate::config::Stamp;
use crate::config::TokenFile;
use crate::config::Unreadable;
use crate::egress::Policy;
use crate::model::Time;
use crate::rules::Problem;
use crate::rules::RuleSet;
use crate::source::Sources;
use crate::telemetry::Board;
use crate::telemetry::Health;
use crate::telemetry::logs::chain;
use crate::telemetry::metric;
use subscriptions::Kept;
use tokens::Followed;

/// How often the files are looked at. Two looks and the check stay within the 5 s that are
/// promised.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Most problems told in one line of the log.
const MAX_TOLD: usize = 5;

/// What changes while workers run.
#[derive(Clone)]
pub(super) struct Live {
    /// Read by the rules worker and the api.
    pub(super) rules: Arc<ArcSwap<RuleSet>>,
    /// Read by the ingest worker.
    pub(super) sources: watch::Sender<Arc<Sources>>,
    /// Applied by the api.
    pub(super) definitions: watch::Sender<Definitions>,
}

/// What a reload works with.
#[derive(Clone)]
pub(super) struct Shared<B> {
    /// Where the archive is that forecasts are made of.
    pub(super) bus: B,
    pub(super) live: Live,
    pub(super) clock: Clock,
    pub(super) board: Board,
    /// Which webhook addresses are allowed.
    pub(super) policy: Policy,
    /// Whether a canary flies, whose rule belongs to the others.
    pub(super) canary: bool,
    /// The file of tokens and where they count; none without a file, or without the api.
    pub(super) tokens: Option<(Access, TokenFile)>,
}

/// Which files this process follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follows {
    pub(super) rules: bool,
    pub(super) sources: bool,
    pub(super) subscriptions: bool,
}

/// Why files were not taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    Tokens(#[from] BadTokens),
    #[error("{}", in_one_line(.0))]
    Bad(Vec<Problem>),
    #[error("the files are gone; put them back, or restart to run without them")]
    Gone,
    #[error(
        "the file is gone; put it back, or leave subscriptions: [] in it, which removes them all"
    )]
    GoneSubscriptions,
    #[error("the check panicked")]
    Panicked,
    #[error(
        "the forecast is beyond the budget: {excess}; narrow the rules, raise the budget, or write {digest} into {file} to take them as they are"
    )]
    OverBudget { excess: Forecast, digest: String, file: String },
    #[error("the forecast for the rules' budget cannot be made")]
    NoForecast(#[from] archive::Error),
}

impl Live {
    pub(super) fn new(rules: Arc<RuleSet>, sources: Sources, definitions: Definitions) -> Self {
        Self {
            rules: Arc::new(ArcSwap::new(rules)),
            sources: watch::Sender::new(Arc::new(sources)),
            definitions: watch::Sender::new(definitions),
        }
    }
}

/// Follows the files until told to stop. SIGHUP reads them at once, changed or not.
pub(super) async fn run<B: Bus>(
    origin: Origin,
    mut shared: Shared<B>,
    follows: Follows,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let Origin { folder, rules, sources, subscriptions } = origin;
    let tokens = shared.tokens.take().map(|(access, file)| Followed::new(file, access));
    let mut reload = Reload {
        folder,
        shared,
        stop: stop.clone(),
        rules: Seen::new(rules),
        sources: Seen::new(sources),
        subscriptions: Kept::new(subscriptions),
        tokens,
        retired: Vec::new(),
    };
    for (follows, file) in [
        (follows.rules, "rules"),
        (follows.sources, "sources"),
        (follows.subscriptions, "subscriptions"),
        (reload.tokens.is_some(), "tokens"),
    ] {
        if follows {
            reload.note_good(file);
        }
    }
    tell_ruleset(None, &reload.shared.live.rules.load());
    loop {
        let asked = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            _ = hangup.recv() => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        if asked {
            tracing::info!("Configuration is read again, as SIGHUP asks");
        }
        let new_rules = follows.rules && reload.follow_rules(asked).await;
        if follows.sources {
            reload.follow_sources(asked).await;
        }
        if follows.subscriptions {
            reload.follow_subscriptions(asked, new_rules).await;
        }
        reload.follow_tokens(asked).await;
        reload.drop_retired().await;
    }
}

struct Reload<B> {
    folder: PathBuf,
    shared: Shared<B>,
    stop: CancellationToken,
    rules: Seen,
    sources: Seen,
    subscriptions: Kept,
    tokens: Option<Followed>,
    /// Rule sets that a worker may still be using for one batch.
    retired: Vec<Arc<RuleSet>>,
}

/// Two stamps of the same files.
struct Seen {
    /// When they were last read.
    read: Stamp,
    /// At the last look.
    last: Stamp,
    /// Whether what runs came from files.
    had: bool,
}

impl Seen {
    fn new(read: Stamp) -> Self {
        Self { had: !read.is_empty(), last: read.clone(), read }
    }

    /// Whether the files are to be read: they are not as they were, and stand still since the
    /// last look.
    fn look(&mut self, now: Stamp) -> bool {
        let still = self.last == now;
        self.last = now;
        let due = still && self.read != self.last;
        if due {
            self.read = self.last.clone();
        }
        due
    }
}

impl<B: Bus> Reload<B> {
    /// Answers whether there are other rules now.
    async fn follow_rules(&mut self, asked: bool) -> bool {
        let due = config::rules_stamp(&self.folder).map(|now| self.rules.look(now) || asked);
        let began = Instant::now();
        let loaded = match due {
            Ok(false) => return false,
            Ok(true) => {
                let (folder, had) = (self.folder.clone(), self.rules.had);
                let canary = self.shared.canary;
                match beside(move || load_rules(&folder, had, canary)).await {
                    Ok(rules) => self.within_budget(Arc::new(rules)).await,
                    Err(refused) => Err(refused),
                }
            }
            Err(error) => Err(error.into()),
        };
        match loaded {
            Ok(rules) => {
                let (digest, count) = (rules.digest().to_owned(), rules.rules().len());
                let old = self.shared.live.rules.swap(rules.clone());
                tell_ruleset(Some(&old), &rules);
                let is_new = old.digest() != digest;
                if is_new {
                    let elapsed_ms = began.elapsed().as_millis();
                    tracing::info!(ruleset = digest, rules = count, elapsed_ms, "Rules reloaded");
                }
                self.retired.push(old);
                self.rules.had |= !self.rules.read.is_empty();
                self.good("rules");
                is_new
            }
            Err(refused) => {
                self.bad("rules", &refused);
                false
            }
        }
    }

    /// Lets a rule set pass whose forecast stays within the budgets of its rules, or that is forced.
    async fn within_budget(&self, rules: Arc<RuleSet>) -> Result<Arc<RuleSet>, Refused> {
        let digest = rules.digest().to_owned();
        if digest == self.shared.live.rules.load().digest() {
            return Ok(rules);
        }
        let (bus, stop) = (&self.shared.bus, self.stop.clone());
        let now = Time::from_millis(self.shared.clock.now_ms());
        let Some(forecast) = forecast(bus, &rules, now, stop).await? else { return Ok(rules) };
        tracing::info!(ruleset = digest, forecast = %forecast, "Rules forecast");
        let Some(excess) = forecast.excess() else { return Ok(rules) };
        if config::forced_rules(&self.folder)?.is_some_and(|forced| forced == digest) {
            tracing::warn!(ruleset = digest, excess = %excess, "Rules beyond their budget, forced");
            return Ok(rules);
        }
        let file = config::force_file(&self.folder).display().to_string();
        Err(Refused::OverBudget { excess, digest, file })
    }

    async fn follow_sources(&mut self, asked: bool) {
        let due = config::sources_stamp(&self.folder).map(|now| self.sources.look(now) || asked);
        let loaded = match due {
            Ok(false) => return,
            Ok(true) => {
                let (folder, had) = (self.folder.clone(), self.sources.had);
                beside(move || load_sources(&folder, had)).await
            }
            Err(error) => Err(error.into()),
        };
        match loaded {
            Ok(sources) => {
                let (feeds, folders) = (sources.feeds.len(), sources.folders.len());
                self.shared.live.sources.send_replace(Arc::new(sources));
                tracing::info!(feeds, folders, "Sources reloaded");
                self.sources.had |= !self.sources.read.is_empty();
                self.good("sources");
            }
            Err(refused) => self.bad("sources", &refused),
        }
    }

    fn good(&self, file: &'static str) {
        self.note_good(file);
        self.shared.board.set(part(file), Health::Ready);
    }

    fn note_good(&self, file: &'static str) {
        let now = self.shared.clock.now_ms();
        self.shared.board.taken(file, now);
        let seconds = Time::from_millis(now).seconds();
        let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        metrics::gauge!(metric::RELOAD_OK, "file" => file).set(1.0);
        metrics::gauge!(metric::RELOAD_AT, "file" => file).set(seconds.as_secs_f64());
    }

    fn bad(&self, file: &'static str, refused: &Refused) {
        metrics::gauge!(metric::RELOAD_OK, "file" => file).set(0.0);
        let error = chain(refused);
        self.shared.board.refused(file, self.shared.clock.now_ms(), &error);
        let told = format!("not reloaded, the running {file} stay: {error}");
        if self.shared.board.set(part(file), Health::Degraded(told)) {
            tracing::error!(file, error, "Configuration not reloaded: what runs stays");
        }
    }

    /// A large rule set takes a while to take apart: not in the worker that used it last.
    async fn drop_retired(&mut self) {
        let (unused, used) =
            std::mem::take(&mut self.retired).into_iter().partition(|r| Arc::strong_count(r) == 1);
        self.retired = used;
        let unused: Vec<Arc<RuleSet>> = unused;
        if !unused.is_empty() {
            let _ = tokio::task::spawn_blocking(move || drop(unused)).await;
        }
    }
}

async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Refused::Panicked))
}

/// Rule files that all vanish are a mistake, not a wish for the shipped rules.
fn load_rules(folder: &Path, had: bool, canary: bool) -> Result<RuleSet, Refused> {
    let files = config::folder_rules(folder)?;
    if files.is_empty() && had {
        return Err(Refused::Gone);
    }
    config::load_rules(&files, canary).map_err(Refused::Bad)
}

fn load_sources(folder: &Path, had: bool) -> Result<Sources, Refused> {
    let file = config::read_sources(folder)?;
    if file.is_none() && had {
        return Err(Refused::Gone);
    }
    config::load_sources(file.as_ref()).map_err(Refused::Bad)
}

fn part(file: &str) -> &'static str {
    match file {
        "rules" => "config.rules",
        "sources" => "config.sources",
        "tokens" => "config.tokens",
        _ => "config.subscriptions",
    }
}

/// Shows which rule set is in force.
fn tell_ruleset(old: Option<&RuleSet>, new: &RuleSet) {
    let gauge =
        |set: &RuleSet| metrics::gauge!(metric::RULESET_INFO, "digest" => set.digest().to_owned());
    if let Some(old) = old {
        gauge(old).set(0.0);
    }
    gauge(new).set(1.0);
}

fn in_one_line(problems: &[Problem]) -> String {
    let told = problems
        .iter()
        .take(MAX_TOLD)
        .map(|p| format!("{}:{}:{}: {}: {}", p.file, p.line, p.column, p.message, p.remedy));
    let mut text = told.collect::<Vec<_>>().join("; ");
    if problems.len() > MAX_TOLD {
        text.push_str(&format!("; and {} more", problems.len() - MAX_TOLD));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_once_when_two_looks_agree() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = || config::rules_stamp(folder.path()).unwrap();
        let write = |text: &str| std::fs::write(folder.path().join("rules.yaml"), text).unwrap();
        let mut seen = Seen::new(stamp());
        assert!(!seen.look(stamp()));
        write("version: 1");
        assert!(!seen.look(stamp()), "it may be in the middle of being written");
        write("version: 1\nrules: []");
        assert!(!seen.look(stamp()));
        assert!(seen.look(stamp()));
        assert!(!seen.look(stamp()));
    }
}
