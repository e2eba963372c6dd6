//! The command line.

pub(super) mod bench;
pub(super) mod inspect;
pub(super) mod rules;
pub(super) mod subscriptions;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;
use clap_complete::Shell;

use crate::model::token::Scopes;

/// Watches the news and rings the people who asked.
#[derive(Debug, Parser)]
#[command(name = "wirebell", version, about, max_term_width = 100)]
pub(super) struct Args {
    /// How data is printed
    #[arg(long, global = true, value_enum, default_value_t = Form::Text)]
    pub(super) output: Form,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// See an article turn into an alert and a verified webhook
    Demo(Demo),
    /// The four workers in one process
    Run(Run),
    /// One worker against NATS
    Worker(Worker),
    /// Show the settings in force, and where each was set
    #[command(subcommand)]
    Config(ConfigDoes),
    /// Check all configuration and report every problem at once
    Check(Check),
    /// Rule files: test, lint, try a query, JSON Schema
    Rules(rules::Rules),
    /// What matches in articles and why
    Match(Match),
    /// The events that rules would have made of past articles
    Backtest(Backtest),
    /// What Wirebell makes of a document or an address
    Inspect(inspect::Inspect),
    /// A receiver that verifies webhooks and prints them
    Listen(Listen),
    /// Push articles and say what became of each
    Push(Push),
    /// Subscribe a webhook
    Subscribe(Box<subscriptions::Subscribe>),
    /// Look after subscriptions
    Subscriptions(subscriptions::Subscriptions),
    /// Watch what passes: articles, events or attempts, as they are written
    Tap(Tap),
    /// Look at alerts
    Alerts(Alerts),
    /// Why an alert is: its articles, its events, and who was told when
    Why(Why),
    /// Why an article did not reach a subscription
    WhyNot(WhyNot),
    /// Make a token for the API
    Token(Token),
    /// Print what a shell needs to complete commands
    Completions(Completions),
    /// Write a manual page for each command into a folder
    Man(Man),
    /// Whether a worker is ready, for containers
    Healthcheck(Healthcheck),
    /// Examine the installation
    Doctor(Service),
    /// Measure this machine
    Bench(bench::Bench),
}

#[derive(Debug, ClapArgs)]
pub(super) struct Demo {
    /// End after the last expected delivery; fail if one is missing
    #[arg(long)]
    pub(super) once: bool,
    /// Only serve the sample feeds, at this address
    #[arg(long, value_name = "ADDR", conflicts_with = "once")]
    pub(super) serve_feeds: Option<SocketAddr>,
}

/// Settings as flags; each is also a variable and a line of wirebell.yaml.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(super) struct Service {
    /// Configuration folder [default: config, where it is there]
    #[arg(long, value_name = "DIR")]
    pub(super) config: Option<PathBuf>,
    /// Folder of the embedded store
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<String>,
    /// Address to listen on
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<String>,
    /// NATS server
    #[arg(long = "nats", alias = "nats-url", value_name = "URL")]
    pub(super) nats: Option<String>,
    /// Serve whoever reaches the address
    #[arg(long)]
    pub(super) open: bool,
    /// Base of links in webhooks
    #[arg(long, value_name = "URL")]
    pub(super) public_url: Option<String>,
    /// Nets and hosts beyond public addresses that may be called, divided by commas
    #[arg(long, value_name = "LIST")]
    pub(super) egress_allow: Option<String>,
    /// Where a collector takes traces
    #[arg(long, value_name = "URL")]
    pub(super) traces_endpoint: Option<String>,
    /// What is logged, in the syntax of RUST_LOG
    #[arg(long, value_name = "FILTER")]
    pub(super) log: Option<String>,
    /// How log lines look: text or json
    #[arg(long, value_name = "FORM")]
    pub(super) log_format: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) service: Service,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Worker {
    /// Which one
    #[arg(value_enum)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) service: Service,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Which {
    /// Feeds and watched folders
    Ingest,
    /// Matching and the life of alerts
    Rules,
    /// Webhooks
    Notifier,
    /// HTTP
    Api,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigDoes {
    /// One setting a line; what is secret is hidden
    Show(ConfigShow),
}

#[derive(Debug, ClapArgs)]
pub(super) struct ConfigShow {
    /// Also where each was set: a flag, a variable, a line of a file, or the default
    #[arg(long)]
    pub(super) origin: bool,
    #[command(flatten)]
    pub(super) service: Service,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    pub(super) shell: Shell,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Man {
    /// The folder, which is made where it is not there
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Token {
    #[command(subcommand)]
    pub(super) does: TokenDoes,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenDoes {
    /// Print a new token, and on standard error the line for `tokens` that knows it by its digest
    Create(TokenCreate),
}

#[derive(Debug, ClapArgs)]
pub(super) struct TokenCreate {
    /// What it is called in the log and the audit
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// What it may do: ingest, read, subscribe, admin, joined by commas
    #[arg(long, value_name = "SCOPES", default_value = "read,subscribe")]
    pub(super) scopes: Scopes,
    /// Append the line to this file, which `tokens_file` names
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Check {
    /// Configuration folder
    #[arg(long, value_name = "DIR", default_value = "config")]
    pub(super) config: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Match {
    #[command(flatten)]
    pub(super) rules: rules::RuleFiles,
    /// Article files; - for standard input
    #[arg(value_name = "ARTICLE_FILE")]
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Backtest {
    /// Rule file, or a folder of them
    #[arg(long, value_name = "FILE")]
    pub(super) rules: PathBuf,
    #[command(flatten)]
    pub(super) past: Past,
}

/// Which articles of the past.
#[derive(Debug, ClapArgs)]
pub(super) struct Past {
    /// Article files; - for standard input
    #[arg(
        long = "articles", num_args = 1.., value_name = "ARTICLE_FILE",
        required_unless_present = "since", conflicts_with = "since"
    )]
    pub(super) files: Vec<PathBuf>,
    /// What the API has received since, such as 7d
    #[arg(long, value_name = "DURATION")]
    pub(super) since: Option<String>,
    #[command(flatten)]
    pub(super) api: Api,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Listen {
    /// Port on 127.0.0.1
    #[arg(long, default_value_t = 9000)]
    pub(super) port: u16,
    /// Listen on this address instead
    #[arg(long, value_name = "ADDR", conflicts_with = "port")]
    pub(super) listen: Option<SocketAddr>,
    /// The subscription's secret; can be said more than once, while it turns
    /// [variable: WIREBELL_SECRET, several with spaces between]
    #[arg(long = "secret", value_name = "whsec_…")]
    pub(super) secrets: Vec<String>,
    /// File that holds the secret, or several
    #[arg(long, value_name = "FILE", conflicts_with = "secrets")]
    pub(super) secret_file: Option<PathBuf>,
    /// Answer what verifies with this status, to see what Wirebell does then
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(200..600))]
    pub(super) answer: Option<u16>,
    /// Only the first so many, with 503 unless --answer says otherwise
    #[arg(long, value_name = "N")]
    pub(super) fail: Option<u32>,
}

/// Where the API is.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct Api {
    /// Address of the API [variable: WIREBELL_API] [default: http://127.0.0.1:8080]
    #[arg(long, global = true, value_name = "URL")]
    pub(super) api: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Push {
    #[command(flatten)]
    pub(super) api: Api,
    /// Count age from now, whatever date an article bears
    #[arg(long)]
    pub(super) as_new: bool,
    /// Do not wait for what the rules make of it
    #[arg(long)]
    pub(super) no_wait: bool,
    /// Article files; - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Tap {
    #[command(flatten)]
    pub(super) api: Api,
    /// What to watch
    #[arg(value_enum)]
    pub(super) what: Tapped,
    /// Begin after this position instead of now; 0 for the first that is kept
    #[arg(long, value_name = "POSITION")]
    pub(super) after: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Tapped {
    /// What came in
    Articles,
    /// What happened to alerts
    Events,
    /// What was tried for subscriptions
    Attempts,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Alerts {
    #[command(flatten)]
    pub(super) api: Api,
    #[command(subcommand)]
    pub(super) action: AlertsAction,
}

#[derive(Debug, Subcommand)]
pub(super) enum AlertsAction {
    /// The newest first
    List {
        /// Only this topic
        #[arg(long)]
        topic: Option<String>,
        /// Only this status: open, ended, retracted or expired
        #[arg(long)]
        status: Option<String>,
    },
    /// One with its history and who was told
    Show {
        /// Its id
        id: String,
    },
    /// Say that one is over
    End(Decision),
    /// Say that one was wrong
    Retract(Decision),
}

/// What an operator decides about an alert.
#[derive(Debug, ClapArgs)]
pub(super) struct Decision {
    /// Its id
    pub(super) id: String,
    /// Why; those who were told of the alert read it
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    /// Who says so [default: the name of the user]
    #[arg(long, value_name = "NAME")]
    pub(super) by: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Why {
    #[command(flatten)]
    pub(super) api: Api,
    /// Id of the alert
    pub(super) alert: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct WhyNot {
    #[command(flatten)]
    pub(super) api: Api,
    /// Id or URL of the article, or a file with its text; - for standard input
    #[arg(long, value_name = "ID|URL|FILE")]
    pub(super) article: String,
    /// Id of the subscription
    #[arg(long, value_name = "ID")]
    pub(super) subscription: String,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Healthcheck {
    /// Address of the worker's probes [variable: WIREBELL_API] [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    pub(super) api: Option<String>,
}
