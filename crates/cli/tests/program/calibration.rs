//! Networks in files of the program's own, and the fixed point that pictures find.

use crate::common::{copriv, digit, repository};
use std::fs;
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

fn digits() -> String {
    repository("crates/import/assets/digits.onnx").display().to_string()
}

fn pictures() -> String {
    repository("crates/import/assets/digits-pictures.npy").display().to_string()
}

#[test]
fn an_imported_network_is_the_one_it_was() {
    let place = Place::new();
    let file = place.file("digits.copriv");
    let json = copriv(&["import", &digits(), "-o", &file, "--preprocess", "mnist", "--json"]).json();
    assert_eq!((&json["input"], &json["outputs"]), (&"1x28x28".into(), &10.into()));
    assert!(
        json["nodes"]["conv"].as_u64().unwrap() > 2 && json["nodes"]["batch norm"].is_null(),
        "{}",
        json["label"]
    );
    assert_eq!(json["bytes"].as_u64().unwrap(), fs::metadata(&file).unwrap().len());
    let words = copriv(&["import", &digits(), "-o", &file, "--preprocess", "mnist"]).ok();
    assert!(words.contains("10.9 k parameters") && words.contains("pictures: "), "{words}");

    let bytes = |model: &str| copriv(&["plan", model, "--json"]).json()["total"]["online"].clone();
    assert_eq!(bytes(&file), bytes(&digits()));
    // The pictures are prepared as the file says.
    let picture = digit(1);
    let json = copriv(&["run", &file, "--input", &picture, "--json"]).json();
    assert_eq!((&json["bit_exact"], &json["as_planned"]), (&true.into(), &true.into()), "{}", json["label"]);
    assert_eq!(json["preprocessing"]["std"][0], 0.3081);
}

#[test]
fn fewer_bits_and_the_same_labels() {
    let place = Place::new();
    let (file, figure) = (place.file("digits.copriv"), place.file("digits.svg"));
    let json = copriv(&[
        "calibrate",
        &digits(),
        "--data",
        &pictures(),
        "--limit",
        "40",
        "-o",
        &file,
        "--plot",
        &figure,
        "--json",
    ])
    .json();
    let tried = json["tried"].as_array().unwrap();
    assert!(tried.len() > 5 && json["pictures"] == 40, "{}", json["label"]);
    let bytes = |one: &serde_json::Value| {
        one["preprocessing_bytes"].as_u64().unwrap() + one["online_bytes"].as_u64().unwrap()
    };
    let chosen: Vec<_> = tried.iter().filter(|one| one["chosen"] == true).collect();
    let [chosen] = chosen[..] else { panic!("one is chosen: {json}") };
    let agrees = |one: &serde_json::Value, error: f64| {
        one["agreement"].as_f64().unwrap() >= 0.99 && one["relative_error"].as_f64().unwrap() <= error
    };
    let calibrated = |one: &serde_json::Value| one["weight_bits"].is_u64();
    assert!(agrees(chosen, 0.1) && calibrated(chosen));
    let typical = chosen["typical_error"].as_f64().unwrap() / json["typical_logit"].as_f64().unwrap();
    assert!((chosen["relative_error"].as_f64().unwrap() - typical).abs() < 1e-9);
    assert!(2 * bytes(chosen) < bytes(&tried[0]), "{}", json["label"]);
    // None that agrees as much is cheaper; some that keeps the labels alone is.
    let agrees = |error: f64| tried.iter().filter(move |one| calibrated(one) && agrees(one, error));
    assert!(agrees(0.1).all(|one| bytes(one) >= bytes(chosen)));
    assert!(agrees(1.0).any(|one| bytes(one) < bytes(chosen)));
    let svg = fs::read_to_string(&figure).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("Accuracy against bytes"), "{svg}");

    // What runs is what was planned, to the byte, and equal to the clear, to the bit.
    let picture = digit(4);
    let json = copriv(&["run", &file, "--input", &picture, "--json"]).json();
    assert_eq!((&json["bit_exact"], &json["as_planned"]), (&true.into(), &true.into()), "{}", json["label"]);
    assert_eq!(json["label"], 4);
    assert_eq!(json["bits"], chosen["ring_bits"]);
    let phase = |phase: &str| json["phases"][phase]["bytes"].as_u64().unwrap();
    assert_eq!(
        (phase("preprocessing"), phase("online")),
        (chosen["preprocessing_bytes"].as_u64().unwrap(), chosen["online_bytes"].as_u64().unwrap(),)
    );
    // Another ring, or the usual fixed point, by hand.
    let bits = |args: &[&str]| copriv(&[&["plan", &file, "--json"], args].concat()).json()["bits"].clone();
    assert_eq!(bits(&["--bits", "50"]), 50);
    assert_eq!(bits(&["--frac", "12"]), 41);
    copriv(&["calibrate", &file, "--data", "random", "-o", &place.file("again.copriv")])
        .fails(1, &["calibrated already", "ONNX"]);
}

#[test]
fn bits_by_hand_and_for_certain() {
    let place = Place::new();
    let file = place.file("digits.copriv");
    let all = ["calibrate", "zoo:digits", "--data", &pictures(), "--limit", "10", "-o", &file, "--json"];
    let by = |args: &[&str]| copriv(&[&all, args].concat());
    let json = by(&["--weight-bits", "8", "--value-bits", "12"]).json();
    let tried = json["tried"].as_array().unwrap();
    assert_eq!((tried.len(), &tried[1]["weight_bits"], &tried[1]["chosen"]), (2, &8.into(), &true.into()));
    let measured = tried[1]["ring_bits"].as_u64().unwrap();
    let json = by(&["--weight-bits", "8", "--value-bits", "12", "--guarantee", "certain"]).json();
    let certain = json["tried"][1]["ring_bits"].as_u64().unwrap();
    assert!(certain > measured, "{certain} and {measured} bits");
    // The most accurate of those that a ring has room for.
    let json = by(&["--bits", "26"]).json();
    let chosen = json["tried"].as_array().unwrap().iter().find(|one| one["chosen"] == true).unwrap().clone();
    assert!(
        chosen["ring_bits"].as_u64().unwrap() <= 26 && chosen["weight_bits"].as_u64().unwrap() > 6,
        "{chosen}"
    );
    by(&["--bits", "9"]).fails(1, &["no ring", "--bits"]);
    let cheap = by(&["--weight-bits", "2", "--value-bits", "6", "--agreement", "1"]).json();
    assert_eq!(cheap["tried"][1]["chosen"], true);
    // Fewer bits where logits may be off, and the nearest where nothing is near enough.
    let weights = |args: &[&str]| {
        let json = by(args).json();
        let tried = json["tried"].as_array().unwrap();
        tried.iter().find(|one| one["chosen"] == true).unwrap()["weight_bits"].as_u64().unwrap()
    };
    let [loose, exact] = [weights(&["--error", "inf"]), weights(&["--error", "0"])];
    assert!(loose < exact && exact == 13, "{loose} and {exact} bits");
    let words = copriv(&[&all[..all.len() - 1], &["--error", "0"]].concat()).ok();
    assert!(words.contains("none keeps 99.0 % of the labels with logits off by at most 0.0 %"), "{words}");
    by(&["--error=-1"]).fails(2, &["no part"]);
}

#[test]
fn what_cannot_be_imported_or_calibrated() {
    let place = Place::new();
    let file = place.file("digits.copriv");
    copriv(&["import", &digits(), "-o", &place.file("digits.onnx")]).fails(2, &[".copriv"]);
    copriv(&["import", &digits()]).fails(2, &["--out"]);
    copriv(&["import", "no-such.onnx", "-o", &file]).fails(1, &["no-such.onnx"]);
    copriv(&["import", "zoo:digits", "--input-shape", "1x1x28x28", "-o", &file]).fails(1, &["ONNX"]);
    copriv(&["plan", &digits(), "--input-shape", "1x1x30x28"]).fails(1, &["axis 2", "[1, 1, 30, 28]"]);
    copriv(&["plan", &digits(), "--input-shape", "28"]).fails(1, &["4 axes"]);
    copriv(&["plan", &digits(), "--input-shape", "1,28"]).fails(2, &["no shape"]);
    copriv(&["plan", &digits(), "--output", "nothing"]).fails(1, &["nothing", "provides"]);
    for (data, words) in [
        ("no-such-folder", &["no-such-folder"][..]),
        (&place.file(""), &["no PNG, JPEG or npy"]),
        (&digits(), &["digits.onnx"]),
    ] {
        copriv(&["calibrate", &digits(), "--data", data, "-o", &file]).fails(1, words);
    }
    copriv(&["calibrate", &digits(), "--data", "random", "--weight-bits", "8", "-o", &file])
        .fails(2, &["--value-bits"]);
    copriv(&["calibrate", &digits(), "--data", "random", "--bits", "many", "-o", &file]).fails(2, &["auto"]);

    // Files that are none, or not what they were.
    copriv(&["import", &digits(), "-o", &file]).ok();
    let whole = fs::read(&file).unwrap();
    let broken = place.file("broken.copriv");
    for bytes in [&whole[..0], &whole[..7], &whole[..whole.len() / 2], &whole[..whole.len() - 1], &[0xff; 64]]
    {
        fs::write(&broken, bytes).unwrap();
        copriv(&["plan", &broken]).fails(1, &["broken.copriv", "copriv file"]);
    }
    let text = |from: &str, to: &str| {
        let at = whole.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        fs::write(&broken, bytes).unwrap();
        copriv(&["plan", &broken])
    };
    text("\"copriv\":", "\"copriw\":").fails(1, &["broken.copriv", "metadata"]);
    text("version\\\":1", "version\\\":7").fails(1, &["version 7"]);
    text("op\\\":\\\"relu", "op\\\":\\\"rely").fails(1, &["broken.copriv"]);
}
