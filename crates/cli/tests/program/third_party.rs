//! A network that others trained and exported, privately.

use crate::common::{copriv, repository};

#[test]
fn faces_are_found_in_private() {
    let folder = repository("crates/import/tests/data/mtcnn");
    let file = |name: &str| folder.join(name).display().to_string();
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name).display().to_string();
    let (pnet, calibrated, names) = (file("pnet.onnx"), path("pnet.copriv"), path("names.txt"));
    std::fs::write(&names, "no face\nface\n").unwrap();
    let pictures = path("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for name in ["face.png", "no-face.png"] {
        std::fs::copy(file(name), path(&format!("pictures/{name}"))).unwrap();
    }

    let chosen = [&pnet, "--input-shape", "1x12x12x3", "--output", "softmax"];
    let prepared = ["--range", "byte", "--mean", "127.5", "--std", "128"];
    let bits = ["--weight-bits", "9", "--value-bits", "13"];
    let calibrate = [&["calibrate", "--data", &pictures, "-o", &calibrated][..], &chosen, &prepared, &bits];
    copriv(&calibrate.concat()).ok();

    // The ONNX file as it is, and calibrated; the second knows how its pictures are prepared.
    let (as_it_is, known) = ([&chosen[..], &prepared].concat(), vec![calibrated.as_str()]);
    for (name, label) in [("face", 1), ("no-face", 0)] {
        for model in [&as_it_is, &known] {
            let picture = file(&format!("{name}.png"));
            let args = [&["run"][..], model, &["--input", &picture, "--labels", &names, "--json"]].concat();
            let answer = copriv(&args).json();
            assert_eq!((&answer["label"], &answer["bit_exact"]), (&label.into(), &true.into()), "{answer}");
            assert_eq!(answer["as_planned"], true);
        }
    }
}
