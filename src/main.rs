//! The `wirebell` program: hands arguments and environment to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let env = std::env::vars().collect();
    wirebell::cli::main(std::env::args_os().collect(), env)
}
