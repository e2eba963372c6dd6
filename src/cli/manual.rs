//! What shells and `man` want to know of the command line.

use clap::CommandFactory;

use crate::cli::args;
use crate::cli::args::Args;
use crate::cli::exit::Failure;
use crate::cli::output::line;
use crate::cli::output::say;

pub(super) fn completions(args: &args::Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "wirebell", &mut script);
    line(String::from_utf8_lossy(&script).trim_end());
    Ok(())
}

pub(super) fn man(args: &args::Man) -> Result<(), Failure> {
    let folder = &args.folder;
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Args::command(), folder));
    let failed = |e| Failure::new(1, format!("error: cannot write to {}: {e}", folder.display()));
    written.map_err(failed)?;
    say(&format!("man {}/wirebell.1", folder.display()));
    Ok(())
}
