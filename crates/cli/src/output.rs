//! Everything the program says: the only module that writes to standard output and standard error.

use crate::error::Error;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Messages longer than this are cut: a hostile peer or file may have a part in them.
const LONGEST_MESSAGE: usize = 1000;

/// Writes `text` and a line feed to standard output, at once.
pub fn line(text: impl Display) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Writes `value` as JSON over several lines.
pub fn json(value: &impl Serialize) -> Result<(), Error> {
    line(serde_json::to_string_pretty(value)?)
}

/// Writes `value` as JSON on one line.
pub fn json_line(value: &impl Serialize) -> Result<(), Error> {
    line(serde_json::to_string(value)?)
}

/// Writes one line to standard error. Where that is closed there is nobody left to tell.
pub fn complain(message: impl Display) {
    let _ = writeln!(io::stderr().lock(), "copriv: {}", one_line(&message.to_string()));
}

/// Reports `error` and gives the program's exit code. A reader that has closed the pipe has seen enough.
pub fn failure(error: &Error) -> ExitCode {
    match error {
        Error::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
        Error::Told => {}
        Error::Program(_) => {
            complain(error);
            return ExitCode::from(2);
        }
        error => complain(error),
    }
    ExitCode::FAILURE
}

/// Answers `--help` and `--version`, and reports a wrong use in one line.
pub fn usage(refused: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand as Missing, DisplayVersion,
    };
    match refused.kind() {
        DisplayHelp | DisplayVersion => {
            // Nothing is lost when nobody reads.
            let _ = refused.print();
            ExitCode::SUCCESS
        }
        Missing => {
            let _ = refused.print();
            ExitCode::from(2)
        }
        _ => {
            let text = refused.render().to_string();
            let said = text.split("\nUsage:").next().unwrap_or_default();
            let said = said.split("\nFor more information").next().unwrap_or_default();
            let said = said.strip_prefix("error: ").unwrap_or(said).split_whitespace();
            complain(format!("{}; try --help", said.collect::<Vec<_>>().join(" ")));
            ExitCode::from(2)
        }
    }
}

/// Sends the program's trace to standard error, the more the more often `-v` was given.
pub fn trace(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => tracing::Level::INFO,
        _ => tracing::Level::DEBUG,
    };
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(colours).with_max_level(level).init();
}

/// A message in one line that cannot disturb a terminal.
fn one_line(message: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = message.trim_end().chars().take(LONGEST_MESSAGE).map(clean).collect();
    if message.chars().count() > LONGEST_MESSAGE {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn messages_are_one_line() {
        assert_eq!(one_line("a\nb\x1b[31m\r\n"), "a b [31m");
        assert_eq!(one_line(&"x".repeat(5000)).chars().count(), 1001);
    }
}
