use crate::error::Error;
use clap::Args;
use std::env::{self, consts::EXE_SUFFIX};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::process::Command;

/// The commands of the other program.
const COMMANDS: [&str; 4] = ["train", "optimize", "eval", "pareto"];

/// What another program, copriv-train, is asked to do: with it this one need not hold a training framework.
#[derive(Args, Debug)]
#[command(
    disable_help_flag = true,
    after_help = "The program copriv-train does this; with --help after the command it explains itself."
)]
pub struct Train {
    /// Passed on as they are.
    #[arg(value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

impl Train {
    /// Becomes copriv-train where a process can, and otherwise ends with its exit code.
    pub fn run(self, command: &str) -> Result<(), Error> {
        let program = find();
        match hand_over(Command::new(&program).arg(command).args(self.arguments)) {
            Ok(code) => std::process::exit(code),
            Err(e) if e.kind() == ErrorKind::NotFound && program.components().count() == 1 => {
                let name = program.display();
                Err(Error::Program(format!(
                    "the program {name}, which does {command}, is not beside this one nor in PATH; get it by cargo \
                     build --release -p copriv-train, or by cargo install --path crates/train"
                )))
            }
            Err(e) => Err(Error::Program(format!("{} cannot be started: {e}", program.display()))),
        }
    }
}

/// The program beside this one, or else its name, which is then looked for in PATH.
fn find() -> PathBuf {
    let name = format!("copriv-train{EXE_SUFFIX}");
    let beside = env::current_exe().ok().map(|own| own.with_file_name(&name));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| name.into())
}

#[cfg(unix)]
fn hand_over(command: &mut Command) -> io::Result<i32> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn hand_over(command: &mut Command) -> io::Result<i32> {
    Ok(command.status()?.code().unwrap_or(1))
}

/// The command line with `--` after a command of copriv-train, so that nothing that follows is read as meant for this
/// program.
pub fn sealed(line: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut line: Vec<OsString> = line.into_iter().collect();
    let is_flag = |word: &OsStr| word.as_encoded_bytes().starts_with(b"-");
    // No option before the command takes a value.
    let command = (1..line.len()).find(|&at| !is_flag(&line[at]));
    if let Some(at) = command
        && COMMANDS.iter().any(|&known| line[at] == known)
    {
        line.insert(at + 1, "--".into());
    }
    line
}
