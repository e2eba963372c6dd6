//! Raw documents to articles in the log: polled feeds, watched folders, and what the api takes.
//!
//! Everything here may be repeated: an article is known by its identity, so a crash between
//! publishing and moving a file or storing a validator costs a second look and nothing else.

pub mod decide;
pub mod folder;
pub mod poll;

pub mod canary;
mod known;
mod operator;
mod publish;
mod replaced;

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bus;
use crate::bus::Bus;
use crate::clock::Clock;
use crate::egress::Client;
use crate::feed::Draft;
use crate::model::ArticleId;
use crate::model::Lang;
use crate::model::SourceId;
use crate::model::TraceContext;
use crate::spans::Tracer;
use crate::telemetry::Board;

pub use folder::Folder;
pub use operator::direct;
pub use poll::Feed;
pub use poll::Share;
pub use publish::publish;
pub use publish::publish_all;

/// Where articles come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Feeds to poll.
    pub feeds: Vec<Feed>,
    /// Folders to watch.
    pub folders: Vec<Folder>,
    /// Shortest time between two requests to one host.
    pub host_gap: Duration,
}

/// What is taken, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From where.
    pub sources: Sources,
    /// Which of the feeds are polled here.
    pub share: Share,
    /// The wall clock.
    pub clock: Clock,
    /// Where trouble is shown.
    pub board: Board,
    /// What polls are recorded with.
    pub tracer: Tracer,
}

/// Where drafts come from, and what is said of that.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The road they came.
    pub road: Road,
    /// The source of drafts that name none.
    pub source: SourceId,
    /// Its name for people.
    pub name: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// It speaks with authority.
    pub official: bool,
    /// The language of drafts that name none.
    pub lang: Option<Lang>,
    /// Which of them are a baseline, which rings nobody.
    pub baseline: Baseline,
    /// Their age counts from their receipt.
    pub as_new: bool,
    /// The trace that they belong to.
    pub trace: Option<TraceContext>,
}

/// The road that drafts came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// A polled feed.
    Feed,
    /// A watched folder.
    Folder,
    /// The api.
    Push,
}

/// Which drafts are there to be known, and ring nobody: nobody can say how old they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Baseline {
    /// None of them.
    Nothing,
    /// Those without a date.
    Undated,
    /// All of them.
    All,
}

/// What became of an article that was taken; it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub id: ArticleId,
    /// The revision that holds this text.
    pub revision: u32,
    /// Whether that is news.
    pub status: Status,
}

/// Whether an article is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The first text under its identity.
    New,
    /// Another text than before.
    Revised,
    /// Nothing new.
    Known,
}

/// Why an article was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// There is nothing to match.
    #[error("title and body are both empty; give at least one of them")]
    Empty,
    /// The source `operator` carries decisions of operators and nothing else.
    #[error("the source {0} is reserved; name another one")]
    Reserved(SourceId),
    /// It withdraws what was never here.
    #[error("it withdraws an article that is not here")]
    Unknown,
    /// The record is above the bus's limit.
    #[error("{0}; shorten it")]
    TooLarge(String),
    /// What is stored under its identity cannot be read.
    #[error("its last revision cannot be read: {0}")]
    Unreadable(String),
    /// Others keep writing revisions of it.
    #[error("others are writing revisions of it at the same time; send it again")]
    Contended,
}

/// What stops a source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus did not take or give what was asked.
    #[error("the bus failed")]
    Bus(#[from] bus::Error),
    /// The watched folder cannot be used.
    #[error("the watched folder {path} cannot be used; make it or give write access to it")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// A poll or scan panicked.
    #[error("a poll or scan panicked")]
    Panicked,
}

/// Polls all feeds and watches all folders until told to stop. The first that fails stops the
/// others, and its error is the answer.
pub async fn run<B: Bus>(
    settings: Settings,
    bus: B,
    client: Client,
    stop: CancellationToken,
) -> Result<(), Error> {
    let Settings { sources, share, clock, board, tracer } = settings;
    let Sources { feeds, folders, host_gap } = sources;
    let stop = stop.child_token();
    let mut tasks: JoinSet<Result<(), Error>> = JoinSet::new();
    for folder in folders {
        let (bus, clock, board) = (bus.clone(), clock.clone(), board.clone());
        let stop = stop.clone();
        tasks.spawn(async move { folder::Watcher { bus, clock, board }.run(folder, stop).await });
    }
    let poller = poll::Poller { bus, client, clock, board, tracer };
    let polling = stop.clone();
    let settings = poll::Settings { feeds, host_gap, share };
    tasks.spawn(async move { poller.run(settings, polling).await });
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.unwrap_or(Err(Error::Panicked));
        if ended.is_err() {
            stop.cancel();
        }
        result = result.and(ended);
    }
    result
}

/// What makes a draft the same article when it comes again.
pub fn identity(draft: &Draft) -> String {
    draft.identity()
}

impl Default for Sources {
    fn default() -> Self {
        Self { feeds: Vec::new(), folders: Vec::new(), host_gap: Duration::from_secs(1) }
    }
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Bus(e) if e.is_temporary())
    }
}

impl Origin {
    /// What is pushed without naming a source.
    pub fn push(as_new: bool) -> Self {
        Self {
            road: Road::Push,
            source: SourceId::push(),
            name: None,
            owner: None,
            official: false,
            lang: None,
            baseline: Baseline::Nothing,
            as_new,
            trace: None,
        }
    }
}

impl Road {
    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::Folder => "folder",
            Self::Push => "push",
        }
    }
}

impl Status {
    /// The word in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Revised => "revised",
            Self::Known => "known",
        }
    }
}
