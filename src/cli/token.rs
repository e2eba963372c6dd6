//! `wirebell token`: tokens for the API.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::json;

use crate::cli::Invocation;
use crate::cli::args;
use crate::cli::exit::Failure;
use crate::cli::output::say;
use crate::model::token;
use crate::model::token::Tokens;

pub(super) fn token(args: args::Token, with: &Invocation) -> Result<(), Failure> {
    match args.does {
        args::TokenDoes::Create(args) => create(&args, with),
    }
}

fn create(args: &args::TokenCreate, with: &Invocation) -> Result<(), Failure> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|e| Failure::new(1, format!("error: the system has no randomness: {e}")))?;
    let made = token::make(&args.name, &args.scopes, random)
        .map_err(|e| Failure::usage(format!("error: {e}")))?;
    match &args.file {
        Some(file) => {
            append(file, &made.line)?;
            say(&format!(
                "{} knows it; an api that follows the file takes it within seconds",
                file.display()
            ));
        }
        None => say(&format!("for `tokens` or the file of `tokens_file`:\n  {}", made.line)),
    }
    say("the token itself is shown this once:");
    with.output.print(&json!({"token": made.token, "line": made.line}), || made.token.clone());
    Ok(())
}

/// Adds a line to the file of tokens, which only its owner may read. Nothing is written where the
/// file would no longer be good.
fn append(file: &Path, line: &str) -> Result<(), Failure> {
    let shown = file.display();
    let failed = |e: std::io::Error| Failure::new(1, format!("error: cannot write {shown}: {e}"));
    let mut whole = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(failed(e)),
    };
    let joint = if whole.is_empty() || whole.ends_with('\n') { "" } else { "\n" };
    let added = format!("{joint}{line}\n");
    whole.push_str(&added);
    Tokens::lines(&whole).map_err(|e| Failure::usage(format!("error: {shown}: {e}")))?;
    let mut open = OpenOptions::new().append(true).create(true).mode(0o600).open(file);
    let written = open.as_mut().map_err(|e| std::io::Error::new(e.kind(), e.to_string()));
    written.and_then(|f| f.write_all(added.as_bytes()).and_then(|()| f.sync_all())).map_err(failed)
}
