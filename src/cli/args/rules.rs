//! `wirebell rules`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap::Subcommand;
use clap::ValueEnum;

use crate::cli::args::Past;

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Rules {
    #[command(subcommand)]
    pub(in crate::cli) action: RulesAction,
}

/// Where the rules are.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct RuleFiles {
    /// Rule file, or a folder of them [default: the rules in config/, else the shipped ones]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) rules: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RulesAction {
    /// Run the tests that rules carry
    Test {
        #[command(flatten)]
        files: RuleFiles,
        /// Also write the results as JUnit XML
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
    },
    /// What may stay in a rule file and yet deserves a look
    Lint {
        #[command(flatten)]
        files: RuleFiles,
        /// How problems are printed; json is the same as --output json
        #[arg(long, value_enum)]
        format: Option<Format>,
        /// Also write the problems as SARIF
        #[arg(long, value_name = "FILE")]
        sarif: Option<PathBuf>,
        /// Fail on warnings too
        #[arg(long, value_enum)]
        deny: Option<Deny>,
    },
    /// What one query finds in a text
    Try {
        /// The query
        query: String,
        #[command(flatten)]
        files: RuleFiles,
        /// Article files; - for standard input
        #[arg(value_name = "ARTICLE_FILE")]
        articles: Vec<PathBuf>,
    },
    /// The alerts that a change of rules gains and loses over past articles
    Diff {
        /// The rules as they are: a file, or a folder of them
        old: PathBuf,
        /// The rules as they would be
        new: PathBuf,
        #[command(flatten)]
        past: Past,
    },
    /// The JSON Schema of rule files, for editors
    Schema,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
    /// One SARIF 2.1.0 log
    Sarif,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Deny {
    /// Warnings
    Warnings,
}
