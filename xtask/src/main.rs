//! The workspace's own commands, run as `cargo xtask COMMAND`.
#![expect(clippy::print_stdout, reason = "this program's output is its purpose")]

mod source;
mod tables;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

/// A command, in a module of its own.
struct Command {
    name: &'static str,
    /// What it does, in a line.
    about: &'static str,
    /// Its own help.
    help: &'static str,
    /// Runs it with the arguments after its name; `Ok(false)` when it ran and found fault.
    run: fn(&[&str]) -> Result<bool, String>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "tidy",
        about: "checks what a machine can check of the house rules",
        help: tidy::HELP,
        run: tidy::run,
    },
    Command {
        name: "tables",
        about: "writes the README's tables of costs",
        help: tables::HELP,
        run: tables::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((&name, rest)) = arguments.split_first() else {
        print!("{}", overview());
        return ExitCode::FAILURE;
    };
    if matches!(name, "help" | "--help" | "-h") {
        print!("{}", overview());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprint!("there is no command {name}\n\n{}", overview());
        return ExitCode::FAILURE;
    };
    if rest.iter().any(|a| matches!(*a, "--help" | "-h")) {
        println!("cargo xtask {name}: {}\n\n{}", command.about, command.help);
        return ExitCode::SUCCESS;
    }
    match (command.run)(rest) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("cargo xtask {name}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn overview() -> String {
    let commands: String = COMMANDS.iter().map(|c| format!("  {:<8} {}\n", c.name, c.about)).collect();
    format!(
        "usage: cargo xtask COMMAND [OPTIONS]\n\n{commands}\n`cargo xtask COMMAND --help` has the options.\n"
    )
}

/// The repository's root: the folder above this package.
fn root() -> PathBuf {
    // Cargo sets the variable when it runs the program; the checkout may have moved since it was built.
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map_or_else(|| PathBuf::from("."), PathBuf::from)
}
