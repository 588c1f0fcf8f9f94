//! The program as a user runs it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::{Command, Output};

fn program(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_copriv-train")).args(args).output().unwrap()
}

fn ok(args: &[&str]) -> String {
    let output = program(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Fails with exit code 1, in one line that has these words.
fn fails(args: &[&str], words: &[&str]) {
    let output = program(args);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
    assert!(text.starts_with("error: ") && text.lines().count() == 1, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} in {text}");
    }
}

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

const SHORT: [&str; 9] = ["--limit", "60", "--epochs", "1", "--batch", "20", "--warm-up", "0", "--quiet"];

#[test]
fn a_network_is_trained_optimised_measured_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let (trained, less, figure) =
        (path(&folder, "trained"), path(&folder, "less"), path(&folder, "figure.png"));
    let text = ok(&[&["train", "zoo:resnet20-digits", "--out", &trained][..], &SHORT].concat());
    assert!(text.contains("resnet20-digits") && text.contains("kB"), "{text}");
    for file in
        ["network.onnx", "weights.safetensors", "curves.png", "curves.svg", "metrics.jsonl", "result.json"]
    {
        assert!(Path::new(&trained).join(file).exists(), "{file}");
    }
    let network = format!("{trained}/network.onnx");
    let args = ["optimize", &network, "--budget", "50%", "--out", &less, "--search-epochs", "1", "--json"];
    let answer: serde_json::Value = serde_json::from_str(&ok(&[&args[..], &SHORT].concat())).unwrap();
    let bytes = |of: &str| answer[of]["bytes_total"].as_f64().unwrap();
    assert!(bytes("optimized") < 0.55 * bytes("original"), "{answer}");

    let measured = ok(&["eval", &network, &format!("{less}/network.onnx"), "--part", "test", "--json"]);
    let measured: serde_json::Value = serde_json::from_str(&measured).unwrap();
    assert_eq!(measured[1]["bytes_total"], answer["optimized"]["bytes_total"]);
    assert_eq!(measured[1]["accuracy"], answer["accuracy_test"]);

    let table = ok(&["pareto", &folder.path().display().to_string(), "--out", &figure]);
    assert!(table.contains("blocks") && table.contains("original"), "{table}");
    assert!(Path::new(&figure).exists());

    // Nothing is written over unasked; what is finished stays as it is.
    fails(
        &[&["train", "zoo:resnet20-digits", "--out", &trained][..], &SHORT].concat(),
        &["--resume", "--out"],
    );
    let before = std::fs::read(&network).unwrap();
    ok(&[&["train", "zoo:resnet20-digits", "--resume", "--out", &trained][..], &SHORT].concat());
    assert_eq!(std::fs::read(&network).unwrap(), before);
}

#[test]
fn what_cannot_be_trained_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(&folder, "out");
    let train = |model: &str, more: &[&str], words: &[&str]| {
        fails(&[&["train", model, "--out", &out][..], more].concat(), words);
    };
    let empty = path(&folder, "empty");
    std::fs::create_dir(&empty).unwrap();
    train("zoo:digits", &["--data", &format!("folder:{empty}")], &["empty"]);
    train("zoo:digits", &["--data", "folder:/nowhere"], &["/nowhere"]);
    train("zoo:nothing", &[], &["nothing", "resnet20-digits"]);
    train("zoo:resnet32-cifar100", &[], &["3x32x32", "1x28x28"]);
    train("zoo:digits", &["--rate", "0"], &["rate"]);
    train("zoo:digits", &["--device", "gpu"], &["--features"]);
    fails(&["optimize", "zoo:digits", "--budget", "1kB", "--out", &out], &["the budget is 1000 bytes"]);

    // A weight that is no number.
    let mut graph = copriv_import::load("zoo:resnet20-digits").unwrap();
    let op = graph.nodes.iter_mut().find_map(|node| match &mut node.op {
        copriv_ir::Op::Conv { weight, .. } => Some(weight),
        _ => None,
    });
    op.unwrap()[5] = f32::NAN;
    let file = path(&folder, "nan.onnx");
    std::fs::write(&file, copriv_import::onnx::write(&graph)).unwrap();
    train(&file, &[], &["nan.onnx"]);
}

/// The disk is full in the middle of a run: an error, and what was there is whole.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_checkpoint_whole() {
    let folder = tempfile::tempdir().unwrap();
    let out = path(&folder, "run");
    let args = |epochs: &'static str, resume: &'static [&'static str]| {
        let mut args =
            vec!["train", "zoo:resnet20-digits", "--limit", "60", "--batch", "20", "--warm-up", "0"];
        args.extend(["--schedule", "constant", "--quiet", "--epochs", epochs]);
        args.extend(resume);
        args
    };
    ok(&[&args("2", &[])[..], &["--out", &out]].concat());
    let checkpoint = format!("{out}/checkpoint.safetensors");
    let before = std::fs::read(&checkpoint).unwrap();
    // Files may have 64 kB: less than a checkpoint.
    let limited = |more: &[&str]| {
        let mut shell = Command::new("bash");
        shell.args([
            "-c",
            "trap '' XFSZ; ulimit -f 64; exec \"$@\"",
            "-",
            env!("CARGO_BIN_EXE_copriv-train"),
        ]);
        shell.args(more).output().unwrap()
    };
    let other = path(&folder, "other");
    let output = limited(&[&args("2", &[])[..], &["--out", &other]].concat());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("cannot be written") && text.contains("--resume"), "{text}");
    assert!(!Path::new(&other).join("checkpoint.safetensors").exists(), "half a checkpoint");

    let copy = path(&folder, "copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::write(format!("{copy}/checkpoint.safetensors"), &before).unwrap();
    std::fs::copy(format!("{out}/metrics.jsonl"), format!("{copy}/metrics.jsonl")).unwrap();
    let output = limited(&[&args("2", &["--resume"])[..], &["--out", &copy]].concat());
    assert_eq!(output.status.code(), Some(1), "the network does not fit");
    assert_eq!(std::fs::read(format!("{copy}/checkpoint.safetensors")).unwrap(), before);
    ok(&[&args("2", &["--resume"])[..], &["--out", &copy]].concat());
}

#[test]
fn help_teaches() {
    for command in ["train", "optimize", "eval", "pareto"] {
        let text = ok(&[command, "--help"]);
        assert!(text.contains("Example: copriv-train") && text.contains("--json"), "{command}: {text}");
    }
}
