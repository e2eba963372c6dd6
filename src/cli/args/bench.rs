//! `wirebell bench`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap::Subcommand;

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Bench {
    #[command(subcommand)]
    pub(in crate::cli) what: BenchWhat,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum BenchWhat {
    /// Deciding which rules match articles
    Match(BenchMatch),
    /// Durable acknowledgements a second
    Bus(BenchArgs),
    /// From an accepted article to a received webhook
    Pipeline(BenchArgs),
    /// Articles pushed to the API a second
    Push(BenchPush),
    /// Signed webhooks a second
    Deliver(BenchDeliver),
}

/// Where it is measured.
#[derive(Clone, Debug, ClapArgs)]
pub(in crate::cli) struct Place {
    /// NATS server; without it the embedded store in a folder of its own
    #[arg(long = "nats", value_name = "URL")]
    pub(in crate::cli) nats: Option<String>,
    /// Folder to measure in [default: a temporary folder below the working directory]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) data: Option<PathBuf>,
}

#[derive(Clone, Debug, ClapArgs)]
pub(in crate::cli) struct BenchDeliver {
    #[command(flatten)]
    pub(in crate::cli) place: Place,
    /// Endpoints, each with a connection of its own
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(in crate::cli) endpoints: u32,
    /// Webhooks over warm connections
    #[arg(long, default_value_t = 64_000)]
    pub(in crate::cli) count: u32,
    /// Also measure one event to so many subscriptions after a restart
    #[arg(long, value_name = "N")]
    pub(in crate::cli) subscriptions: Option<u32>,
    /// Also compare so many endpoints with and without some of them in trouble
    #[arg(long, value_name = "N")]
    pub(in crate::cli) trouble: Option<u32>,
    /// So many of these never answer
    #[arg(long, value_name = "N", default_value_t = 2, requires = "trouble")]
    pub(in crate::cli) hanging: u32,
    /// So many refuse, as many drip a byte a second, as many answer 500
    #[arg(long, value_name = "N", default_value_t = 2, requires = "trouble")]
    pub(in crate::cli) failing: u32,
}

#[derive(Clone, Debug, ClapArgs)]
pub(in crate::cli) struct BenchPush {
    #[command(flatten)]
    pub(in crate::cli) place: Place,
    /// Articles, twice
    #[arg(long, default_value_t = 20_000)]
    pub(in crate::cli) count: u32,
}

#[derive(Clone, Debug, ClapArgs)]
pub(in crate::cli) struct BenchArgs {
    #[command(flatten)]
    pub(in crate::cli) place: Place,
    /// Concurrent publishers
    #[arg(long, default_value_t = 64)]
    pub(in crate::cli) publishers: u32,
    /// Records, or articles
    #[arg(long)]
    pub(in crate::cli) count: Option<u32>,
}

#[derive(Clone, Debug, ClapArgs)]
pub(in crate::cli) struct BenchMatch {
    /// Rule file
    #[arg(long, value_name = "FILE", required_unless_present = "generate")]
    pub(in crate::cli) rules: Option<PathBuf>,
    /// Article file; may be given several times
    #[arg(long, value_name = "FILE", required = true)]
    pub(in crate::cli) articles: Vec<PathBuf>,
    /// Make so many rules from the words of the articles instead of reading a file
    #[arg(long, value_name = "N", conflicts_with = "rules")]
    pub(in crate::cli) generate: Option<u32>,
    /// Make plain literals only
    #[arg(long, requires = "generate")]
    pub(in crate::cli) literals: bool,
    /// Equal seeds make equal rules
    #[arg(long, default_value_t = 1, requires = "generate")]
    pub(in crate::cli) seed: u64,
    /// How often each article is decided; its best time counts
    #[arg(long, default_value_t = 7)]
    pub(in crate::cli) passes: u32,
    /// Compare each article with what the definitions of the language say (slow)
    #[arg(long)]
    pub(in crate::cli) verify: bool,
}
