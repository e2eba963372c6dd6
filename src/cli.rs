//! Subcommands, the API's client, exit codes. stdout is data, stderr is talk.

mod args;
mod client;
mod exit;
mod inspect;
mod listen;
mod local;
mod manual;
mod output;
mod past;
mod progress;
mod remote;
mod rules;
mod service;
mod subscriptions;
mod table;
mod tap;
mod token;
mod why;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::Args;
use args::Command;
use exit::Failure;
use output::Output;

/// Everything a subcommand is told.
struct Invocation {
    env: BTreeMap<String, String>,
    output: Output,
}

/// Runs a command line. `env` is the environment; nothing below reads it from the process.
pub fn main(args: Vec<OsString>, env: BTreeMap<String, String>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // The library prints help on stdout and mistakes on stderr.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let output = Output::new(args.output, &env);
    let invocation = Invocation { env, output };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::say(&format!("cannot start the runtime: {error}"));
            return ExitCode::from(1);
        }
    };
    let result = runtime.block_on(dispatch(args.command, &invocation));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code)
        }
    }
}

async fn dispatch(command: Command, with: &Invocation) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => Box::pin(service::demo(args)).await,
        Command::Run(args) => Box::pin(service::run(args, with)).await,
        Command::Worker(args) => Box::pin(service::worker(args, with)).await,
        Command::Config(args::ConfigDoes::Show(args)) => service::settings(&args, with),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
        Command::Check(args) => local::check(&args, with),
        Command::Rules(args) => rules::rules(&args, with).await,
        Command::Match(args) => local::matches(&args, with),
        Command::Backtest(args) => past::backtest(&args, with).await,
        Command::Inspect(args) => inspect::inspect(args, with).await,
        Command::Listen(args) => listen::listen(args, with).await,
        Command::Push(args) => remote::push(args, with).await,
        Command::Subscribe(args) => subscriptions::subscribe(*args, with).await,
        Command::Subscriptions(args) => subscriptions::subscriptions(args, with).await,
        Command::Tap(args) => tap::tap(args, with).await,
        Command::Alerts(args) => remote::alerts(args, with).await,
        Command::Why(args) => why::why(args, with).await,
        Command::WhyNot(args) => why::why_not(args, with).await,
        Command::Token(args) => token::token(args, with),
        Command::Healthcheck(args) => remote::healthcheck(args, with).await,
        Command::Doctor(args) => Box::pin(service::doctor(args, with)).await,
        Command::Bench(args) => Box::pin(service::bench(args, with)).await,
    }
}
