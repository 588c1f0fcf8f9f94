//! Pictures of any size in, names of classes out.

use crate::common::{Serving, copriv, digit, repository};
use copriv_import::{onnx, picture};
use copriv_ir::{Preprocessing, Resize, Shape};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const NAMES: &str = "zero\none\ntwo\nthree\nfour, as in \u{1b}[2Jchairs\nfive\nsix\nseven\neight\nnine\n";

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn with(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = PathBuf::from(self.path(name));
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }

    /// A digit of twice as many rows and columns.
    fn large(&self, shown: usize) -> String {
        let pixels = picture::load(digit(shown), Shape::new(1, 28, 28)).unwrap();
        let byte = |i: usize| (pixels[i / 112 * 28 + i % 56 / 2] * 255.0) as u8;
        let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (56, 56), }";
        let npy =
            [format!("{header:<117}\n").as_bytes(), &(0..56 * 56).map(byte).collect::<Vec<_>>()].concat();
        self.with(&format!("{shown}.npy"), [&b"\x93NUMPY\x01\x00\x76\x00"[..], &npy].concat())
    }

    /// The digits network, whose file says that pictures are resized.
    fn model(&self) -> String {
        let graph = copriv_import::load("zoo:digits").unwrap();
        let resized = Preprocessing { resize: Resize::Input, ..Preprocessing::default() };
        self.with("digits.onnx", onnx::write_with(&graph, &resized))
    }
}

#[test]
fn a_server_tells_how_pictures_are_prepared() {
    let files = Files::new();
    let large = files.large(4);
    let server = Serving::start(&[&files.model()]);
    assert_eq!(server.infer(&["--input", &large, "--quiet"]).ok(), "label 4\n");
    let text = server.infer(&["--input", &large]).ok();
    assert!(text.contains("pictures: resized to the input, n/255, RGB"), "{text}");
    let answer = server.infer(&["--input", &large, "--mean", "0.25", "--json"]).json();
    assert_eq!((&answer["preprocessing"]["resize"], &answer["as_planned"]), (&"input".into(), &true.into()));
    assert_eq!(answer["preprocessing"]["mean"], serde_json::json!([0.25]));
    for not in [["--resize", "none"], ["--preprocess", "none"]] {
        let args = [&["--input", &large][..], &not].concat();
        server.infer(&args).fails(1, &["[56, 56]", "1x28x28", "--preprocess", "--resize"]);
    }
    server.infer(&["--input", &large, "--preprocess", "imagenet"]).fails(1, &["3 numbers", "1 channels"]);
    assert_eq!(server.infer(&["--input", &digit(4), "--quiet"]).ok(), "label 4\n");
}

#[test]
fn options_say_how_pictures_are_prepared() {
    let files = Files::new();
    let large = files.large(6);
    let silent = Serving::start(&["zoo:digits"]);
    silent.infer(&["--input", &large]).fails(1, &["[56, 56]", "--resize"]);
    let answers = |size: &str| silent.infer(&["--input", &large, "--resize", size, "--quiet"]).ok();
    for size in ["input", "28", "28x28"] {
        assert_eq!(answers(size), "label 6\n", "{size}");
    }
    drop(silent);
    let server = Serving::start(&["zoo:digits", "--resize", "28"]);
    assert_eq!(server.infer(&["--input", &large, "--quiet"]).ok(), "label 6\n");
    drop(server);
    // The options take the place of what the file says.
    let server = Serving::start(&[&files.model(), "--preprocess", "none"]);
    server.infer(&["--input", &large]).fails(1, &["[56, 56]"]);

    for (option, value, word) in [
        ("--preprocess", "cifar", "cifar100"),
        ("--resize", "0", "1 to 16384"),
        ("--resize", "99999", "1 to 16384"),
        ("--resize", "28x", "ROWSxCOLUMNS"),
        ("--mean", "a,b", "no number"),
        ("--channels", "hsv", "rgb"),
        ("--range", "8", "byte"),
    ] {
        let args = ["run", "zoo:digits", "--input", &digit(1), option, value];
        copriv(&args).fails(2, &[option, value, word]);
        copriv(&["serve", "zoo:digits", "--listen", "127.0.0.1:0", option, value]).fails(2, &[option]);
    }
    for (option, value, word) in [("--std", "0", "standard deviation"), ("--mean", "1,2,3", "3 numbers")] {
        copriv(&["run", "zoo:digits", "--input", &digit(1), option, value]).fails(1, &[word]);
        let listen = ["serve", "zoo:digits", "--listen", "127.0.0.1:0", option, value];
        copriv(&listen).fails(1, &["pictures", word]);
    }
}

#[test]
fn a_run_takes_pictures_as_its_model_says() {
    let files = Files::new();
    let (model, large, names) = (files.model(), files.large(1), files.with("names.txt", NAMES));
    let answer = copriv(&["run", &model, "--input", &large, "--labels", &names, "--json"]).json();
    assert_eq!((&answer["label"], &answer["name"]), (&1.into(), &"one".into()));
    assert_eq!((&answer["bit_exact"], &answer["as_planned"]), (&true.into(), &true.into()));
    // What is told of pictures is in the plan, to the byte.
    assert_eq!(copriv(&["plan", &model, "--json"]).json()["total"], answer["total"]);
    let text = copriv(&["run", &model, "--input", &large, "--labels", &names]).ok();
    assert!(text.contains("label 1: one; equal to the evaluation in the clear, bit for bit"), "{text}");
    let random = copriv(&["run", &model, "--input", "random", "--json"]).json();
    assert_eq!(
        (&random["preprocessing"], &random["name"], &random["top"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
}

#[test]
fn models_that_say_nonsense() {
    let files = Files::new();
    let mut model = fs::read(repository("crates/import/assets/digits.onnx")).unwrap();
    let entry = b"\x0a\x14copriv.preprocessing\x12\x0b{\"std\":[0]}";
    model.extend([0x72, entry.len() as u8]);
    model.extend(entry);
    let model = files.with("nonsense.onnx", model);
    let words = ["nonsense.onnx", "copriv.preprocessing", "standard deviation is 0"];
    copriv(&["plan", &model]).fails(1, &words);
    copriv(&["serve", &model, "--listen", "127.0.0.1:0"]).fails(1, &words);
    // Where a preset takes its place it is not read.
    let server = Serving::start(&[&model, "--preprocess", "none"]);
    assert_eq!(server.infer(&["--input", &digit(4), "--quiet"]).ok(), "label 4\n");
}

#[test]
fn classes_have_names() {
    let files = Files::new();
    let names = files.with("names.txt", NAMES);
    let json = files.with(
        "names.json",
        r#"{"0":"a","1":"b","2":"c","3":"d","4":"e","5":"f","6":"g","7":"h","8":"i","9":"j"}"#,
    );
    let server = Serving::start(&["zoo:digits"]);
    let args = ["--input", &digit(4), "--labels", &names];
    let text = server.infer(&args).ok();
    assert!(text.contains("label 4: four, as in [2Jchairs\n") && !text.contains('\u{1b}'), "{text:?}");
    for name in ["four", "nine"] {
        assert_eq!(
            text.lines().filter(|line| line.starts_with("      ") && line.contains(name)).count(),
            1,
            "{text}"
        );
    }
    let quiet = server.infer(&[&args[..], &["--quiet"]].concat()).ok();
    assert_eq!(quiet, "label 4: four, as in [2Jchairs\n");
    let answer = server.infer(&["--input", &digit(6), "--labels", &json, "--json"]).json();
    assert_eq!((&answer["label"], &answer["name"]), (&6.into(), &"g".into()));
    let top = answer["top"].as_array().unwrap();
    assert_eq!((top.len(), &top[0]["index"], &top[0]["name"]), (5, &6.into(), &"g".into()));
    assert_eq!(top[0]["logit"], answer["logits"][6]);
    let unnamed = server.infer(&["--input", &digit(6), "--json"]).json();
    assert_eq!((&unnamed["name"], &unnamed["top"]), (&Value::Null, &Value::Null));

    let few = files.with("few.txt", "one\ntwo\n");
    let bytes = files.with("bytes.txt", [0xff; 10]);
    let endless = files.with("endless.txt", vec![b'a'; 5 << 20]);
    for (file, word) in [
        (few.as_str(), "2 names for a network of 10 outputs"),
        (&bytes, "UTF-8"),
        (&endless, "4194304 bytes"),
        ("none.txt", "No such file"),
        ("/dev/null", "no names"),
    ] {
        server.infer(&["--input", &digit(4), "--labels", file]).fails(1, &[file, word]);
        copriv(&["run", "zoo:digits", "--input", "random", "--labels", file]).fails(1, &[file, word]);
    }
    drop(server);
    let server = Serving::start(&["zoo:digits", "--reveal", "label"]);
    let answer = server.infer(&[&args[..], &["--json"]].concat()).json();
    assert_eq!((&answer["name"], &answer["top"]), (&"four, as in [2Jchairs".into(), &Value::Null));
    assert_eq!(server.infer(&[&args[..], &["--quiet"]].concat()).ok(), quiet);
}

#[test]
fn entries_outlive_a_change_of_what_is_told() {
    let files = Files::new();
    let (theirs, ours) = (files.path("server.store"), files.path("client.store"));
    let server = Serving::start(&["zoo:digits", "--store", &theirs]);
    copriv(&["preprocess", "--server", &server.address, "--store", &ours, "--count", "1"]).ok();
    drop(server);
    let server = Serving::start(&["zoo:digits", "--store", &theirs, "--resize", "input"]);
    let args = ["--input", &files.large(4), "--store", &ours, "--json"];
    let answer = server.infer(&args).json();
    assert_eq!((&answer["label"], &answer["as_planned"]), (&4.into(), &true.into()));
}
