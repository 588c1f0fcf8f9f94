//! `cargo xtask tidy`: the house rules that a machine can check.

mod files;
mod layers;
mod messages;
mod steps;
mod unsafe_files;

use crate::root;
use crate::source::Source;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

pub const HELP: &str = "\
usage: cargo xtask tidy [--list] [--bless]

Checks, and prints every fault with its place and what to do:
  layers     a crate depends on lower layers only; the test kit is a dev-dependency
  steps      the ladder table of a protocol and the marks in its code name the same steps;
             the docs have the headings Functionality, Protocol, Cost, Security, Reference, Deviations
  messages   tags are unique in the workspace, names in their crate, each message is documented
  unsafe     a file with unsafe code says why at its head and is in xtask/unsafe-files.txt
  files      no mod.rs, nothing unfinished or ignored, no absolute paths, lints are lifted with a reason,
             every crate has a README.md and opens with documentation

options:
  --list     prints the table of all messages instead
  --bless    first rewrites xtask/unsafe-files.txt";

/// A fault, where it is and what to do about it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Finding {
    path: String,
    /// From 1; 0 for the file as a whole.
    line: usize,
    what: String,
    remedy: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what, remedy } = self;
        match line {
            0 => write!(f, "{path}: {what}; {remedy}"),
            _ => write!(f, "{path}:{line}: {what}; {remedy}"),
        }
    }
}

/// A file under version control, or about to be.
pub struct File {
    /// Relative to the root, with `/`.
    path: String,
    /// `None` for what is not UTF-8.
    text: Option<String>,
}

pub fn run(arguments: &[&str]) -> Result<bool, String> {
    if let Some(other) = arguments.iter().find(|a| !matches!(**a, "--list" | "--bless")) {
        return Err(format!("there is no option {other}; see --help"));
    }
    let (start, root) = (Instant::now(), root());
    let files = tracked(&root)?;
    let sources: Vec<Source<'_>> = files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .filter_map(|file| Some(Source::new(&file.path, file.text.as_deref()?)))
        .collect();
    if arguments.contains(&"--list") {
        print!("{}", messages::table(&sources));
        return Ok(true);
    }
    if arguments.contains(&"--bless") {
        let list = unsafe_files::list(&sources);
        std::fs::write(root.join(unsafe_files::LIST), list)
            .map_err(|e| format!("{}: {e}", unsafe_files::LIST))?;
    }
    let listed = std::fs::read_to_string(root.join(unsafe_files::LIST)).unwrap_or_default();
    let packages = layers::packages(&metadata(&root)?, &root)?;
    let mut findings = layers::check(&packages);
    findings.extend(steps::check(&sources));
    findings.extend(messages::check(&sources));
    findings.extend(unsafe_files::check(&sources, &listed));
    findings.extend(files::check(&files, &sources, &packages));
    findings.sort();
    findings.dedup();
    for finding in &findings {
        println!("{finding}");
    }
    let faults = match findings.len() {
        0 => "nothing to complain about".to_owned(),
        1 => "1 fault".to_owned(),
        n => format!("{n} faults"),
    };
    let seconds = start.elapsed().as_secs_f64();
    println!("tidy: {faults} ({} files, {} packages, {seconds:.1} s)", files.len(), packages.len());
    Ok(findings.is_empty())
}

/// The files that git has or would add; without git, all but build outputs.
fn tracked(root: &Path) -> Result<Vec<File>, String> {
    let git = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output();
    let mut paths = Vec::new();
    match git {
        Ok(output) if output.status.success() => {
            let list = String::from_utf8_lossy(&output.stdout).into_owned();
            paths.extend(list.split('\0').filter(|path| !path.is_empty()).map(str::to_owned));
        }
        _ => walk(root, "", &mut paths)?,
    }
    paths.sort();
    paths.dedup();
    // A file may be in git's index and gone from the folder.
    let read = |path: String| {
        let bytes = std::fs::read(root.join(&path)).ok()?;
        Some(File { path, text: String::from_utf8(bytes).ok() })
    };
    Ok(paths.into_iter().filter_map(read).collect())
}

fn walk(root: &Path, folder: &str, paths: &mut Vec<String>) -> Result<(), String> {
    const OUTPUTS: [&str; 6] =
        [".git", "target", "fuzz/target", "fuzz/corpus", "fuzz/artifacts", "python/target"];
    let fault = |e: std::io::Error| format!("{folder}: {e}");
    for entry in std::fs::read_dir(root.join(folder)).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if OUTPUTS.contains(&path.as_str()) {
            continue;
        }
        if entry.file_type().map_err(fault)?.is_dir() { walk(root, &path, paths)? } else { paths.push(path) }
    }
    Ok(())
}

fn metadata(root: &Path) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("cargo metadata: {e}"))?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|e| format!("cargo metadata: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_names_its_place() {
        assert_eq!(
            Finding::new("a/b.rs", 3, "x is y", "make it z").to_string(),
            "a/b.rs:3: x is y; make it z"
        );
        assert_eq!(Finding::new("a", 0, "x", "y").to_string(), "a: x; y");
    }

    #[test]
    fn without_git_the_folder_is_walked() {
        let mut paths = Vec::new();
        assert_eq!(walk(&root(), "xtask", &mut paths), Ok(()));
        assert!(paths.contains(&"xtask/src/tidy.rs".to_owned()));
    }

    #[test]
    fn an_unknown_option_is_refused() {
        assert!(run(&["--no-such-option"]).is_err());
    }
}
