//! Commands that another program does.

use crate::common::copriv;

#[test]
fn help_lists_what_copriv_train_does() {
    let help = copriv(&["--help"]).ok();
    for command in ["train", "optimize", "eval", "pareto"] {
        let line = help.lines().find(|line| line.trim_start().starts_with(&format!("{command} ")));
        assert!(line.is_some_and(|line| line.ends_with("(copriv-train)")), "{command}: {help}");
        assert!(copriv(&["help", command]).ok().contains("copriv-train"), "{command}");
    }
}

#[cfg(unix)]
mod unix {
    use crate::common::{Done, finish, repository};
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use tempfile::TempDir;

    /// A folder with the program alone, whatever was built beside the original.
    struct Alone(TempDir);

    impl Alone {
        fn new() -> Self {
            let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            fs::hard_link(env!("CARGO_BIN_EXE_copriv"), dir.path().join("copriv")).unwrap();
            Self(dir)
        }

        /// Runs it with `path` as PATH.
        fn run(&self, path: &Path, args: &[impl AsRef<OsStr>]) -> Done {
            let mut command = Command::new(self.0.path().join("copriv"));
            command.args(args).env("PATH", path).current_dir(self.0.path());
            finish(
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(),
            )
        }
    }

    /// The folder of a program that says what it was given.
    fn fake() -> PathBuf {
        repository("crates/cli/tests/program/path")
    }

    fn said(done: &Done, words: &[&str]) {
        let expected: String = words.iter().map(|word| format!("<{word}>\n")).collect();
        assert_eq!((done.stdout.as_str(), done.stderr.as_str(), done.code), (expected.as_str(), "", Some(7)));
    }

    #[test]
    fn arguments_and_exit_code_pass_unchanged() {
        let program = Alone::new();
        for line in [
            &["train"][..],
            &["optimize", "--help"],
            &["eval", "-v", "--version", "-h"],
            &["pareto", "--", "a b", "", "--", "-", "--json", "it's"],
            &["train", "zoo:digits", "--data=folder:my pictures,size=8x8", "-vv", "serve", "--listen", "x"],
        ] {
            said(&program.run(&fake(), line), line);
        }
        said(&program.run(&fake(), &["-v", "train", "--help"]), &["train", "--help"]);
        let raw = [OsStr::new("eval"), OsStr::from_bytes(b"\xff.onnx")];
        let done =
            Command::new(program.0.path().join("copriv")).args(raw).env("PATH", fake()).output().unwrap();
        assert_eq!(done.stdout, b"<eval>\n<\xff.onnx>\n");
    }

    #[test]
    fn the_program_beside_comes_before_path() {
        let program = Alone::new();
        symlink("/bin/echo", program.0.path().join("copriv-train")).unwrap();
        assert_eq!(program.run(&fake(), &["train", "-x"]).ok(), "train -x\n");
    }

    #[test]
    fn a_missing_program_says_how_to_get_it() {
        let program = Alone::new();
        let nowhere = Path::new("/nowhere");
        for command in ["train", "optimize", "eval", "pareto"] {
            let build = "cargo build --release -p copriv-train";
            let install = "cargo install --path crates/train";
            program.run(nowhere, &[command, "--help"]).fails(2, &[command, "copriv-train", build, install]);
        }
        // What is there and cannot be started is not missing.
        fs::write(program.0.path().join("copriv-train"), b"hello").unwrap();
        program.run(&fake(), &["train"]).fails(2, &["copriv-train", "cannot be started", "ermission"]);
    }

    #[test]
    fn what_comes_before_is_for_this_program() {
        let program = Alone::new();
        assert!(program.run(&fake(), &["--help", "train"]).ok().contains("Private neural-network inference"));
        program.run(&fake(), &["--json", "train"]).fails(2, &["--json"]);
        program.run(&fake(), &["trains"]).fails(2, &["trains"]);
    }
}
