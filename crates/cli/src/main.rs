//! The `copriv` program: private neural-network inference between two parties.

mod args;
mod command;
mod compare;
mod error;
mod format;
mod labels;
mod machine;
mod model;
mod output;
mod party;
mod plot;
mod progress;
mod table;
mod units;
mod verdict;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    copriv_runner::keep_memory();
    let program = match args::Program::try_parse_from(command::train::sealed(std::env::args_os())) {
        Ok(program) => program,
        Err(refused) => return output::usage(&refused),
    };
    output::trace(program.verbose);
    match command::run(program.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failure(&error),
    }
}
