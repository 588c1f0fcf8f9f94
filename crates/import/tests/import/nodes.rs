//! The backend tests of ONNX against the evaluator: the archive is made by `tools/onnx-tests/pack.py`.

use std::collections::BTreeMap;
use std::io::Read;

use copriv_import::onnx::{self, Data, Known, Model, Options};
use copriv_import::picture;

use crate::forward;
use crate::onnx::MODELS;

/// The files of each test, by `SUITE/NAME`.
type Tests = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// Reads the archive: ustar, where a header of 512 bytes has the name first and the size, in octal, at 124.
fn tests() -> Tests {
    let packed = include_bytes!("../data/onnx-backend-tests.tar.gz");
    let mut archive = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut archive).unwrap();
    let mut tests = Tests::new();
    let mut rest = &archive[..];
    while rest[0] != 0 {
        let (header, data) = rest.split_at(512);
        let text = |field: &[u8]| {
            let end = field.iter().position(|&b| b == 0).unwrap();
            String::from_utf8(field[..end].to_vec()).unwrap()
        };
        let size = usize::from_str_radix(&text(&header[124..136]), 8).unwrap();
        let name = text(&header[..101]);
        let (test, file) = name.rsplit_once('/').unwrap();
        tests.entry(test.to_owned()).or_default().insert(file.to_owned(), data[..size].to_vec());
        rest = &data[size.next_multiple_of(512)..];
    }
    tests
}

/// As ONNX compares: floats within 1e-3 of the expected value and 1e-5 on top, all else exactly.
fn same(got: &Known, expected: &Known) -> bool {
    let close = |got: f64, expected: f64| {
        got == expected
            || got.is_nan() && expected.is_nan()
            || (got - expected).abs() <= 1e-5 + 1e-3 * expected.abs()
    };
    got.dims() == expected.dims()
        && match (got.data(), expected.data()) {
            (Data::F32(a), Data::F32(b)) => a.iter().zip(b).all(|(&a, &b)| close(a.into(), b.into())),
            (Data::F64(a), Data::F64(b)) => a.iter().zip(b).all(|(&a, &b)| close(a, b)),
            (a, b) => a == b,
        }
}

/// Why a test does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Skip {
    /// Elements are text, integers of 4 bits, or floats of 4 or 8 bits.
    Type,
    /// A value is a sequence or may be absent.
    NoTensor,
    /// Batch normalisation and dropout as in training.
    Training,
    /// PRelu of opset 6 takes a list of slopes as one per channel; from opset 7 it broadcasts like everything else.
    Old,
    /// `align_corners` where the output's size was rounded down: the expected values use the size before that, the text
    /// of the standard (and PyTorch) the size itself.
    Corners,
}

/// Passes, is skipped for a reason, or fails with a text.
fn outcome(name: &str, files: &BTreeMap<String, Vec<u8>>) -> Result<Option<Skip>, String> {
    let tensors = |prefix: &str| -> Result<Vec<Known>, String> {
        (0..)
            .map_while(|i| files.get(&format!("{prefix}_{i}.pb")))
            .map(|bytes| Known::parse(bytes, name).map_err(|e| e.to_string()))
            .collect()
    };
    let run = || {
        let model = Model::parse(&at_least_opset_7(&files["model.onnx"]), name).map_err(|e| e.to_string())?;
        let inputs = tensors("input")?;
        Ok::<_, String>((model.evaluate(&inputs).map_err(|e| e.to_string())?, tensors("output")?))
    };
    match run() {
        Ok((got, expected)) => {
            if got.len() == expected.len() && got.iter().zip(&expected).all(|(g, e)| same(g, e)) {
                return Ok(None);
            }
            if name.starts_with("node/resize_downsample_scales_") && name.ends_with("_align_corners") {
                return Ok(Some(Skip::Corners));
            }
            let shown = |known: &[Known]| format!("{known:?}").chars().take(300).collect::<String>();
            Err(format!("{} is not {}", shown(&got), shown(&expected)))
        }
        Err(why) if why.contains("of type ") => Ok(Some(Skip::Type)),
        Err(why) if why.contains("evaluation mode") => Ok(Some(Skip::Training)),
        Err(why) if why.contains("not broadcast") && name.starts_with("pytorch") => Ok(Some(Skip::Old)),
        Err(_) if name == "node/identity_opt" || name == "node/identity_sequence" => Ok(Some(Skip::NoTensor)),
        Err(why) => Err(why),
    }
}

/// A model of opset 6 as one of opset 7, which differ in how element-wise operators broadcast and little else.
fn at_least_opset_7(model: &[u8]) -> Vec<u8> {
    let mut model = model.to_vec();
    if let Some(body) = model.len().checked_sub(2)
        && model[body..] == [0x10, 6]
    {
        model[body + 1] = 7;
    }
    model
}

#[test]
fn backend_tests_of_onnx() {
    let tests = tests();
    let mut skipped: BTreeMap<Skip, Vec<&str>> = BTreeMap::new();
    let mut failed = Vec::new();
    let mut passed = 0;
    for (name, files) in &tests {
        match outcome(name, files) {
            Ok(None) => passed += 1,
            Ok(Some(why)) => skipped.entry(why).or_default().push(name),
            Err(why) => failed.push(format!("{name}: {why}")),
        }
    }
    println!("{passed} of {} pass; skipped are {skipped:#?}", tests.len());
    assert!(failed.is_empty(), "{failed:#?}");
    let counts: Vec<(Skip, usize)> = skipped.iter().map(|(why, names)| (*why, names.len())).collect();
    let expected =
        [(Skip::Type, 94), (Skip::NoTensor, 2), (Skip::Training, 8), (Skip::Old, 3), (Skip::Corners, 2)];
    assert_eq!((passed, &counts[..]), (694, &expected[..]));
}

/// The fields of a protobuf message that are strings of bytes: number and bytes.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (&byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                break;
            }
        }
        value
    }
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let skip = match key & 7 {
            0 => {
                varint(&mut message);
                0
            }
            1 => 8,
            5 => 4,
            _ => {
                let length = varint(&mut message) as usize;
                fields.push((key >> 3, &message[..length]));
                length
            }
        };
        message = &message[skip..];
    }
    fields
}

/// A field of a protobuf message, below number 16.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let (mut field, mut length) = (vec![number << 3 | 2], bytes.len());
    while length > 127 {
        field.push(length as u8 | 128);
        length >>= 7;
    }
    field.push(length as u8);
    [field, bytes.to_vec()].concat()
}

/// The model with all inputs but the first as initialisers: a message that follows another is merged with it.
fn with_constants(model: &[u8], files: &BTreeMap<String, Vec<u8>>) -> Option<Vec<u8>> {
    let [graph] = fields(model).into_iter().filter(|(number, _)| *number == 7).collect::<Vec<_>>()[..] else {
        return None;
    };
    let inputs = fields(graph.1).into_iter().filter(|(number, _)| *number == 11);
    let mut whole = model.to_vec();
    for (index, (_, input)) in inputs.enumerate().skip(1) {
        let (_, name) = fields(input).into_iter().find(|(number, _)| *number == 1)?;
        let tensor = [files.get(&format!("input_{index}.pb"))?.clone(), field(8, name)].concat();
        whole.extend(field(7, &field(5, &tensor)));
    }
    Some(whole)
}

/// The same tests as networks, as far as they are any: of one float input of batch 1, the others being constants.
#[test]
fn backend_tests_as_networks() {
    let (mut right, mut refused, mut wrong) = (Vec::new(), BTreeMap::new(), Vec::new());
    for (name, files) in &tests() {
        let Some(model) = with_constants(&at_least_opset_7(&files["model.onnx"]), files) else { continue };
        let known = |file: &str| files.get(file).and_then(|bytes| Known::parse(bytes, name).ok());
        let (Some(input), Some(expected)) = (known("input_0.pb"), known("output_0.pb")) else { continue };
        let shape = Some(input.dims().to_vec());
        let (Data::F32(input), Data::F32(_)) = (input.data(), expected.data()) else { continue };
        match onnx::read_with(&model, name, &Options { input: shape, output: None }) {
            Ok(graph) => {
                let dims = expected.dims().to_vec();
                let got = Known::new(dims, Data::F32(forward::logits(&graph, input)));
                if got.as_ref().is_some_and(|got| same(got, &expected)) {
                    right.push(name.clone());
                } else {
                    wrong.push(name.clone());
                }
            }
            Err(why) => {
                refused.insert(name.clone(), why.to_string());
            }
        }
    }
    println!("{} are right: {right:#?}", right.len());
    println!("refused: {refused:#?}");
    // A softmax at the end is left out.
    wrong.retain(|name| !name.contains("softmax") && !name.contains("Softmax"));
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(right.len(), 214);
}

/// The models of other exporters, whole, against what onnxruntime computes.
#[test]
fn whole_models_compute_what_onnxruntime_computes() {
    for (name, bytes, logits) in MODELS {
        let graph = onnx::read(bytes, name).unwrap();
        let shape = graph.input_shape();
        let dims = match name {
            "vector" => vec![1, shape.channels],
            _ => vec![1, shape.channels, shape.height, shape.width],
        };
        let x = Known::new(dims, Data::F32(forward::pattern(shape.len()))).unwrap();
        let y = Model::parse(bytes, name).unwrap().evaluate(&[x]).unwrap();
        let Data::F32(got) = y[0].data() else { panic!("floats") };
        let expected = picture::decode(logits, graph.output_shape()).unwrap();
        forward::assert_close(got, &expected, 1e-5, name);
    }
}
