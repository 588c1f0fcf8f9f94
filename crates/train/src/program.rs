//! The program: arguments, files and tables around the library.

mod args;
mod eval;
mod optimize;
mod output;
mod pareto;
mod train;

use clap::{Parser, Subcommand};
use copriv_train::Error;
use std::process::ExitCode;

/// Trains networks and makes them cheap to run privately.
///
/// A network is named as for copriv: zoo:NAME or the path of an ONNX file. What comes out is an ONNX file that every command of copriv
/// takes.
#[derive(Parser)]
#[command(name = "copriv-train", version, max_term_width = 110, arg_required_else_help = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(train::Train),
    Optimize(optimize::Optimize),
    Eval(eval::Eval),
    Pareto(pareto::Pareto),
}

/// Runs what the command line says.
pub fn run() -> ExitCode {
    let done = match Program::parse().command {
        Command::Train(command) => command.run(),
        Command::Optimize(command) => command.run(),
        Command::Eval(command) => command.run(),
        Command::Pareto(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            output::error(&e);
            ExitCode::FAILURE
        }
    }
}

/// Of commands.
type Done = Result<(), Error>;
