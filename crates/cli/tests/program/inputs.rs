//! Files and options that cannot be used.

use crate::common::{Serving, copriv, digit, repository};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use tempfile::TempDir;

/// A node's operator (field 4) in an ONNX file.
const RELU: &[u8] = b"\x22\x04Relu";

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(&self, name: &str, bytes: &[u8]) -> String {
        let path: PathBuf = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
}

fn digits() -> Vec<u8> {
    fs::read(repository("crates/import/assets/digits.onnx")).unwrap()
}

/// The digits network with one operator replaced.
fn with_operator(operator: &[u8; 4]) -> Vec<u8> {
    let mut bytes = digits();
    let place = bytes.windows(RELU.len()).position(|window| window == RELU).unwrap();
    bytes[place + 2..place + 6].copy_from_slice(operator);
    bytes
}

#[test]
fn models_that_are_none() {
    let files = Files::new();
    let model = digits();
    let truncated = files.with("truncated.onnx", &model[..model.len() / 2]);
    let garbage = files.with("garbage.onnx", &[0xa5; 5000]);
    let empty = files.with("empty.onnx", &[]);
    for file in [&truncated, &garbage, &empty] {
        copriv(&["plan", file]).fails(1, &[file]);
        copriv(&["run", file, "--input", "random"]).fails(1, &[file]);
        copriv(&["serve", file, "--listen", "127.0.0.1:0"]).fails(1, &[file]);
    }
    let other = files.with("other.onnx", &with_operator(b"Sinh"));
    copriv(&["plan", &other]).fails(1, &[&other, "Sinh", "stem.relu", "not supported", "Conv"]);
    copriv(&["plan", "no-such.onnx"]).fails(1, &["no-such.onnx", "No such file"]);
    copriv(&["plan", "picture.png"]).fails(1, &["neither", "zoo:NAME", "digits"]);
}

#[test]
fn weights_that_do_not_fit() {
    let files = Files::new();
    let garbage = files.with("garbage.safetensors", &[7; 100]);
    copriv(&["plan", "zoo:resnet20-cifar10", "--weights", &garbage]).fails(1, &[&garbage]);
    copriv(&["plan", "zoo:digits", "--weights", "none.safetensors"]).fails(1, &["none.safetensors"]);
}

#[test]
fn names_that_are_unknown() {
    for command in [vec!["plan"], vec!["run", "--input", "random"], vec!["serve", "--listen", "127.0.0.1:0"]]
    {
        let args = [command.as_slice(), &["zoo:resnet"]].concat();
        copriv(&args).fails(1, &["resnet", "digits", "resnet18-cifar100"]);
    }
    for command in
        [vec!["plan", "zoo:digits"], vec!["demo"], vec!["serve", "zoo:digits", "--listen", "127.0.0.1:0"]]
    {
        copriv(&[command.as_slice(), &["--suite", "fast"]].concat()).fails(2, &["fast", "cryptflow2"]);
        copriv(&[command.as_slice(), &["--ot", "fresh"]].concat()).fails(2, &["fresh", "iknp"]);
        copriv(&[command.as_slice(), &["--reveal", "all"]].concat()).fails(2, &["all", "logits", "label"]);
    }
    copriv(&["infer", "--server", "127.0.0.1:1", "--input", "x", "--suite", "fast"])
        .fails(2, &["cryptflow2"]);
    copriv(&["demo", "--network", "moon"]).fails(2, &["moon", "lan"]);
}

#[test]
fn numbers_that_make_no_sense() {
    copriv(&["plan", "zoo:digits", "--bits", "65"]).fails(2, &["65", "2..=64"]);
    copriv(&["plan", "zoo:digits", "--bits", "20"]).fails(1, &["20 bits", "at least 28"]);
    copriv(&["demo", "--images", "0"]).fails(2, &["--images"]);
    copriv(&["demo", "--start", "100000"]).fails(1, &["1000 pictures"]);
    copriv(&["serve", "zoo:digits", "--listen", "127.0.0.1:0", "--timeout", "0"]).fails(2, &["--timeout"]);
    copriv(&["plan"]).fails(2, &["<MODEL>"]);
    let compare = ["plan", "zoo:digits", "--compare"];
    for (args, words) in [
        (&["--bandwidth", "100MB", "--rtt", "20ms"][..], ["100MB", "Mbit"]),
        (&["--bandwidth", "fast", "--rtt", "20ms"], ["fast", "100Mbit"]),
        (&["--bandwidth", "0Mbit", "--rtt", "20ms"], ["0Mbit", "1 bit"]),
        (&["--bandwidth", "100Mbit", "--rtt", "20"], ["\"20\"", "ms"]),
        (&["--bandwidth", "100Mbit"], ["--rtt", "<TIME>"]),
        (&["--rtt", "1ms"], ["--bandwidth", "<RATE>"]),
        (&["--suite", "best"], ["--compare", "--suite"]),
    ] {
        copriv(&[&compare, args].concat()).fails(2, &words);
    }
    copriv(&["plan", "zoo:digits", "--bandwidth", "1Mbit", "--rtt", "1ms"]).fails(2, &["--compare"]);
    copriv(&["plan", "zoo:digits", "--plot", "figure.png"]).fails(2, &["figure.png", ".svg"]);
    copriv(&["dance"]).fails(2, &["dance"]);
}

#[test]
fn addresses_that_cannot_be_used() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    copriv(&["serve", "zoo:digits", "--listen", &address]).fails(1, &[&address, "in use", "port 0"]);
    copriv(&["serve", "zoo:digits", "--listen", "nowhere"]).fails(1, &["nowhere", "HOST:PORT"]);
    copriv(&["serve", "zoo:digits", "--listen", "192.0.2.1:7878"]).fails(1, &["192.0.2.1"]);
    drop(taken);
    let args = ["--input", &digit(1)];
    crate::common::infer(&address, &args).fails(1, &[&address, "nobody listens", "copriv serve"]);
    crate::common::infer("nowhere", &args).fails(1, &["nowhere", "HOST:PORT"]);
}

#[test]
fn pictures_that_do_not_fit() {
    let files = Files::new();
    let garbage = files.with("garbage.png", &[0x5a; 3000]);
    let picture = fs::read(digit(4)).unwrap();
    let truncated = files.with("truncated.png", &picture[..picture.len() / 2]);
    let mut npy =
        b"\x93NUMPY\x01\x00\x76\x00{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }".to_vec();
    npy.resize(127, b' ');
    npy.extend(b"\n123456");
    let small = files.with("small.npy", &npy);
    let large = files.with("huge.npy", &huge());

    let server = Serving::start(&["zoo:digits"]);
    server.infer(&["--input", &garbage]).fails(1, &[&garbage]);
    server.infer(&["--input", &truncated]).fails(1, &[&truncated]);
    server.infer(&["--input", &small]).fails(1, &[&small, "[2, 3]", "28"]);
    server.infer(&["--input", &large]).fails(1, &["value number 3", "does not fit 41 bits"]);
    server.infer(&["--input", "no-such.png"]).fails(1, &["no-such.png", "No such file"]);
    copriv(&["run", "zoo:resnet20-cifar10", "--input", &digit(1)]).fails(1, &["28x28", "32x32"]);
    copriv(&["run", "zoo:digits", "--input", "no-such.png"]).fails(1, &["no-such.png"]);
    // None of this has harmed the server.
    assert_eq!(server.infer(&["--input", &digit(4), "--quiet"]).ok(), "label 4\n");
}

/// 1 x 28 x 28 floats, of which number 3 is too large for any ring.
fn huge() -> Vec<u8> {
    let mut npy =
        b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (28, 28), }".to_vec();
    npy.resize(127, b' ');
    npy.push(b'\n');
    npy.extend((0..784).flat_map(|i| if i == 3 { 1e30f32 } else { 0.5 }.to_le_bytes()));
    npy
}
