//! What `inspect` is told.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap::Subcommand;

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Inspect {
    #[command(subcommand)]
    pub(in crate::cli) what: What,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum What {
    /// An article file
    Article {
        /// The file; - for standard input
        file: PathBuf,
    },
    /// CAP messages: their values as written, and what is wrong with them
    Cap {
        /// The file; - for standard input
        file: PathBuf,
    },
    /// A feed: its entries, and what is wrong with it
    Feed(Fetched),
    /// A web page: its article, and what it says of it
    Page(Fetched),
    /// Whether addresses may be called by feeds and webhooks, and why not; none of them is called
    #[command(after_help = "Each address gets a line, in order, also one that is no address. A \
        name is allowed where it resolves and every address it stands for is allowed. The exit \
        code is 0 whatever the verdicts are, and 78 where the settings are bad.")]
    Url(Addresses),
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Fetched {
    /// The file; - for standard input
    pub(in crate::cli) file: PathBuf,
    /// Where it comes from: what its links are relative to
    #[arg(long, value_name = "BASE")]
    pub(in crate::cli) url: Option<String>,
    /// The charset that its server names
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) charset: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Addresses {
    /// Resolve no names: judge addresses as they are written
    #[arg(long)]
    pub(in crate::cli) offline: bool,
    /// Configuration folder [default: config, where it is there]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// Nets and hosts beyond public addresses that may be called, divided by commas [variable:
    /// WIREBELL_EGRESS_ALLOW]
    #[arg(long, value_name = "LIST")]
    pub(in crate::cli) egress_allow: Option<String>,
    /// The addresses
    #[arg(required = true, value_name = "URL")]
    pub(in crate::cli) urls: Vec<String>,
}
