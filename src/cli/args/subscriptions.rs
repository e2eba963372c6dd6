//! `wirebell subscribe` and `wirebell subscriptions`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap::Subcommand;

use crate::cli::args::Api;

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Subscribe {
    #[command(flatten)]
    pub(in crate::cli) api: Api,
    /// Where webhooks go
    pub(in crate::cli) url: String,
    /// Topic, or * for all; can be said more than once
    #[arg(long = "topic", required = true, value_name = "T")]
    pub(in crate::cli) topics: Vec<String>,
    /// Least severity: info, warning or critical
    #[arg(long, value_name = "SEVERITY")]
    pub(in crate::cli) min_severity: Option<String>,
    /// Key asked for, such as a place; can be said more than once
    #[arg(long = "key", value_name = "KEY")]
    pub(in crate::cli) keys: Vec<String>,
    /// Also alerts that expire for want of news
    #[arg(long)]
    pub(in crate::cli) expired: bool,
    /// Nature asked for: actual, exercise or test; can be said more than once [default: actual]
    #[arg(long = "nature", value_name = "NATURE")]
    pub(in crate::cli) natures: Vec<String>,
    /// Give up events that waited so long, such as 2h
    #[arg(long, value_name = "DURATION")]
    pub(in crate::cli) ttl: Option<String>,
    /// Requests under way at once, 1 to 32; more than one gives up the order [default: 1]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) max_in_flight: Option<u64>,
    /// Most requests a second [default: no limit]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) rate: Option<f64>,
    /// What is sent: wirebell, slack, discord, teams, pagerduty, ntfy, cloudevents,
    /// cloudevents-binary or template [default: wirebell]
    #[arg(long, value_name = "F")]
    pub(in crate::cli) format: Option<String>,
    /// The template, for the format template
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) template_file: Option<PathBuf>,
    /// Content type of what the template gives [default: application/json]
    #[arg(long, value_name = "TYPE", requires = "template_file")]
    pub(in crate::cli) template_content_type: Option<String>,
    /// Integration key, for the format pagerduty
    #[arg(long, value_name = "KEY")]
    pub(in crate::cli) routing_key: Option<String>,
    /// What you call it
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) description: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) credentials: Credentials,
    /// Write the secret into this file instead of showing it
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) secret_to: Option<PathBuf>,
}

/// What a receiver asks to be shown. Other users of a machine can read the arguments of commands:
/// `@FILE` keeps a secret out of them.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Credentials {
    /// 'Name: value' sent with each webhook; @FILE for lines of them, @- for standard input; can be
    /// said more than once
    #[arg(long = "header", value_name = "LINE")]
    pub(in crate::cli) headers: Vec<String>,
    /// Name and password sent with each webhook, or @FILE with both
    #[arg(long, value_name = "USER:PASSWORD", conflicts_with = "bearer")]
    pub(in crate::cli) basic: Option<String>,
    /// Token sent with each webhook, or @FILE with it
    #[arg(long, value_name = "TOKEN")]
    pub(in crate::cli) bearer: Option<String>,
    /// Sign with the secret in this file instead of a new one; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) secret_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Subscriptions {
    #[command(flatten)]
    pub(in crate::cli) api: Api,
    #[command(subcommand)]
    pub(in crate::cli) action: Action,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Action {
    /// All of them
    List,
    /// One, and how its delivery stands
    Show {
        /// Its id
        id: String,
    },
    /// Many at once: one definition a line, each answered with its id and its secret
    Create {
        /// Definitions as JSON, one a line; - for standard input
        file: PathBuf,
    },
    /// Remove one
    Remove {
        /// Its id
        id: String,
    },
    /// Send a test.ping on the real path and say what became of it
    Test(Test),
    /// Send nothing and keep everything
    Pause {
        /// Its id
        id: String,
    },
    /// End a pause, whoever made it, and try at once
    Resume {
        /// Its id
        id: String,
    },
    /// Sign with a new secret, and for a while with the old one too
    Rotate(Rotate),
    /// Send again what was sent or given up
    Replay(Replay),
    /// What was tried, the newest first
    Attempts(Attempts),
    /// What belongs to it, sent or not: the bodies of its webhooks, one a line
    Events(Events),
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Test {
    /// Its id
    pub(in crate::cli) id: String,
    /// Longest wait for what becomes of it [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub(in crate::cli) wait: Option<String>,
    /// Ask for it and go
    #[arg(long, conflicts_with = "wait")]
    pub(in crate::cli) no_wait: bool,
    /// Send nothing: print the request for curl, whether it may be sent, and what answers mean
    #[arg(long, conflicts_with_all = ["wait", "no_wait"])]
    pub(in crate::cli) dry_run: bool,
    /// An invented event of this type, such as alert.opened, in place of the test.ping
    #[arg(long = "type", value_name = "TYPE", requires = "dry_run")]
    pub(in crate::cli) kind: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Rotate {
    /// Its id
    pub(in crate::cli) id: String,
    /// How long the old one signs on, 0s to 7d; 0s ends it at once [default: 24h]
    #[arg(long, value_name = "DURATION")]
    pub(in crate::cli) overlap: Option<String>,
    /// Take the secret in this file instead of a new one; - for standard input
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) secret_file: Option<PathBuf>,
    /// Write the secret into this file instead of showing it
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) secret_to: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Replay {
    /// Its id
    pub(in crate::cli) id: String,
    /// From a time on, or from so long ago, such as 2h
    #[arg(long, value_name = "TIME", required_unless_present = "from_sequence")]
    pub(in crate::cli) since: Option<String>,
    /// From a sequence on
    #[arg(long, value_name = "N", conflicts_with = "since")]
    pub(in crate::cli) from_sequence: Option<u64>,
    /// Only what was given up
    #[arg(long)]
    pub(in crate::cli) only_failed: bool,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Attempts {
    /// Its id
    pub(in crate::cli) id: String,
    /// Only these, such as rejected or not_sent
    #[arg(long, value_name = "OUTCOME")]
    pub(in crate::cli) outcome: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(in crate::cli) limit: usize,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Events {
    /// Its id
    pub(in crate::cli) id: String,
    /// Only what comes after this sequence
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) after: u64,
    /// At most so many [default: all there are]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) limit: Option<usize>,
}
