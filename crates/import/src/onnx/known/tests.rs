//! Edges of operators, and models that mean harm.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Read;
use std::slice::from_ref;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::import::Trouble;
use super::super::model::Model;
use super::super::proto::{AttributeProto, NodeProto, TensorProto};
use super::{Budget, Data, Known, budget, evaluate};

/// What a small model may cost.
fn small() -> Budget {
    Budget::new(1 << 16, 1 << 20)
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), ints: values.to_vec(), ..Default::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), i: Some(value), ..Default::default() }
}

fn floats(dims: &[usize], values: &[f32]) -> Known {
    Known::new(dims.to_vec(), Data::F32(values.to_vec())).unwrap()
}

fn counting(dims: &[usize]) -> Known {
    let count = dims.iter().product();
    floats(dims, &(0..count).map(|i: usize| i as f32).collect::<Vec<_>>())
}

fn list(values: &[i64]) -> Known {
    Known::new(vec![values.len()], Data::I64(values.to_vec())).unwrap()
}

fn node(op: &str, attributes: &[AttributeProto]) -> NodeProto {
    NodeProto {
        op_type: Some(op.to_owned()),
        attribute: attributes.to_vec(),
        output: vec!["y".to_owned()],
        ..Default::default()
    }
}

/// The first output of a node of opset 17.
fn run(op: &str, attributes: &[AttributeProto], inputs: &[Known]) -> Result<Known, String> {
    let inputs: Vec<_> = inputs.iter().map(|known| Some(Arc::new(known.clone()))).collect();
    evaluate(&node(op, attributes), &inputs, 17, &mut small())
        .map(|mut outputs| outputs.remove(0))
        .map_err(|trouble| trouble.to_string())
}

#[track_caller]
fn refused(op: &str, attributes: &[AttributeProto], inputs: &[Known], word: &str) {
    let why = run(op, attributes, inputs).unwrap_err();
    assert!(why.contains(word), "{word:?} is not in: {why}");
}

#[test]
fn sizes_of_tensors() {
    assert_eq!(budget::count(&[]), Some(1));
    assert_eq!(budget::count(&[3, 0, 5]), Some(0));
    assert_eq!(budget::count(&[usize::MAX, 0]), None);
    assert_eq!(budget::count(&[1 << 31]), None);
    assert_eq!(budget::count(&[1 << 33, 1 << 33, 0]), None);
    assert_eq!(budget::count(&[1; 9]), None);
    assert!(Known::new(vec![0, 1 << 20], Data::U8(vec![])).is_some());
    assert!(Known::new(vec![2], Data::U8(vec![1])).is_none());
}

#[test]
fn large_results_are_refused_before_they_are_made() {
    for size in [1 << 17, 1 << 30, 1 << 40, i64::MAX] {
        refused("ConstantOfShape", &[], &[list(&[size])], "");
        refused("ConstantOfShape", &[], &[list(&[size, size, size])], "");
        refused("Expand", &[], &[counting(&[1]), list(&[size])], "");
        refused("Tile", &[], &[counting(&[2]), list(&[size])], "");
        let ends = [0, size, 1].map(|v| Known::new(vec![], Data::I64(vec![v])).unwrap());
        refused("Range", &[], &ends, "");
        refused("Pad", &[], &[counting(&[2]), list(&[size, size])], "");
        refused("Resize", &[], &[counting(&[2]), floats(&[0], &[]), floats(&[0], &[]), list(&[size])], "");
        refused("Reshape", &[], &[counting(&[2]), list(&[size])], "");
        let wide = [ints("kernel_shape", &[size]), ints("pads", &[size, size])];
        refused("MaxPool", &wide, &[counting(&[1, 1, 4])], "");
        refused("AveragePool", &wide, &[counting(&[1, 1, 4])], "");
        let conv = [counting(&[1, 1, 4]), counting(&[1, 1, 2])];
        refused("Conv", &[ints("pads", &[size, size])], &conv, "");
        for attribute in ["strides", "output_padding", "output_shape", "dilations"] {
            refused("ConvTranspose", &[ints(attribute, &[size])], &conv, "");
        }
    }
    refused("ConstantOfShape", &[], &[list(&[-1])], "negative");
    // Many small windows on many padded elements, and large products of small matrices.
    refused(
        "MaxPool",
        &[ints("kernel_shape", &[1 << 10]), ints("pads", &[1 << 11; 2])],
        &[counting(&[1, 1, 8])],
        "steps",
    );
    refused("MatMul", &[], &[counting(&[120, 120]), counting(&[120, 120])], "steps");
    // Nodes that only hand a tensor on pay for it too.
    refused("Sum", &[], &[counting(&[1 << 17])], "more than may be computed");
    let distinct: Vec<i64> = (0..100_000).collect();
    refused("Unsqueeze", &[ints("axes", &distinct)], &[counting(&[1])], "too long");
    // No element, but long axes: nothing loops over them.
    let empty = Known::new(vec![0, 1 << 30], Data::F32(vec![])).unwrap();
    for (op, attributes, more) in [
        ("Concat", vec![int("axis", 1)], vec![Known::new(vec![0, 1 << 29], Data::F32(vec![])).unwrap()]),
        ("Transpose", vec![], vec![]),
        ("Softmax", vec![], vec![]),
        ("Slice", vec![], vec![list(&[0, 0]), list(&[9, i64::MAX])]),
        ("Tile", vec![], vec![list(&[3, 1])]),
        ("Relu", vec![], vec![]),
    ] {
        let y = run(op, &attributes, &[vec![empty.clone()], more].concat()).unwrap();
        assert!(y.data().is_empty(), "{op}");
    }
    refused("ReduceSum", &[ints("axes", &[0])], from_ref(&empty), "more than may be computed");
    assert_eq!(run("ReduceSum", &[ints("axes", &[1])], &[empty]).unwrap().dims(), [0, 1]);
}

#[test]
fn one_scale_for_all_axes() {
    let x = counting(&[2, 3]);
    for scale in [floats(&[], &[2.0]), floats(&[1], &[2.0])] {
        let quantized = run("QuantizeLinear", &[], &[x.clone(), scale.clone()]).unwrap();
        assert_eq!(quantized.data(), &Data::U8(vec![0, 0, 1, 2, 2, 2]));
        let back = run("DequantizeLinear", &[], &[quantized, scale]).unwrap();
        assert_eq!(back, floats(&[2, 3], &[0.0, 0.0, 2.0, 4.0, 4.0, 4.0]));
    }
}

#[test]
fn slices() {
    let x = counting(&[5]);
    let slice = |start, end, step| {
        run("Slice", &[], &[x.clone(), list(&[start]), list(&[end]), list(&[0]), list(&[step])])
    };
    let is = |start, end, step, expected: &[f32]| {
        assert_eq!(
            slice(start, end, step).unwrap().data(),
            &Data::F32(expected.to_vec()),
            "{start} {end} {step}"
        );
    };
    is(0, i64::MAX, 2, &[0.0, 2.0, 4.0]);
    is(-1, i64::MIN, -1, &[4.0, 3.0, 2.0, 1.0, 0.0]);
    is(i64::MAX, i64::MIN, i64::MIN, &[4.0]);
    is(i64::MIN, i64::MAX, i64::MAX, &[0.0]);
    is(2, 2, 1, &[]);
    is(3, 1, 1, &[]);
    is(1, 3, -1, &[]);
    assert!(slice(0, 1, 0).is_err());
    refused("Slice", &[], &[x.clone(), list(&[0]), list(&[1]), list(&[i64::MIN])], "axis");
    refused("Slice", &[], &[x.clone(), list(&[0, 0]), list(&[1, 1]), list(&[0, -1])], "twice");
    refused("Slice", &[], &[x.clone(), list(&[0; 2]), list(&[1; 2])], "belong together");
    refused("Slice", &[], &[x, list(&[0]), list(&[1, 1])], "belong together");
}

#[test]
fn hostile_numbers() {
    let x = counting(&[2, 3]);
    for axis in [2, -3, i64::MAX, i64::MIN] {
        for op in ["Gather", "Softmax", "Concat", "Split", "GatherElements"] {
            refused(op, &[int("axis", axis)], &[x.clone(), list(&[0])], "");
        }
        refused("Transpose", &[ints("perm", &[0, axis])], from_ref(&x), "axis");
        refused("ReduceMean", &[ints("axes", &[axis])], from_ref(&x), "axis");
        refused("Gather", &[], &[x.clone(), list(&[axis])], "index");
    }
    refused("Unsqueeze", &[], &[x.clone(), list(&[0; 20])], "");
    refused("Unsqueeze", &[ints("axes", &[0; 100_000])], from_ref(&x), "");
    for pads in [[i64::MIN, i64::MAX, 0, 0], [-2, 0, -1, 0], [i64::MIN; 4]] {
        refused("Pad", &[], &[x.clone(), list(&pads)], "pads");
    }
    let scalar = |v: i64| Known::new(vec![], Data::I64(vec![v])).unwrap();
    refused("Div", &[], &[scalar(1), scalar(0)], "divides by zero");
    assert_eq!(run("Div", &[], &[scalar(i64::MIN), scalar(-1)]).unwrap(), scalar(i64::MIN));
    assert_eq!(run("Mul", &[], &[scalar(i64::MIN), scalar(3)]).unwrap(), scalar(i64::MIN));
    assert_eq!(run("Neg", &[], &[scalar(i64::MIN)]).unwrap(), scalar(i64::MIN));
    assert_eq!(run("Pow", &[], &[scalar(3), scalar(100)]).unwrap(), scalar(3i64.wrapping_pow(100)));
    assert_eq!(run("Pow", &[], &[scalar(2), scalar(i64::MAX)]).unwrap(), scalar(0));
    refused("Range", &[], &[scalar(0), scalar(5), scalar(0)], "delta is 0");
    assert_eq!(
        run("Range", &[], &[scalar(i64::MAX), scalar(i64::MIN), scalar(i64::MIN)]).unwrap().dims(),
        [2]
    );
    refused("Range", &[], &[scalar(i64::MIN), scalar(i64::MAX), scalar(1)], "");
    for group in [0, -1, 2, i64::MAX] {
        refused("Conv", &[int("group", group)], &[counting(&[1, 1, 4]), counting(&[1, 1, 2])], "group");
    }
    refused("Conv", &[], &[counting(&[1, 1, 4]), floats(&[1, 1, 0], &[])], "kernel");
    refused("Conv", &[], &[floats(&[1, 0, 4], &[]), floats(&[1, 0, 1 << 20], &[])], "");
    refused("Conv", &[], &[counting(&[1, 1, 4]), counting(&[1, 1, 5])], "larger than the padded map");
    refused("DepthToSpace", &[int("blocksize", i64::MAX)], &[counting(&[1, 4, 1, 1])], "blocksize");
    refused("Resize", &[], &[counting(&[2]), floats(&[0], &[]), floats(&[1], &[f32::INFINITY])], "");
    refused("Resize", &[], &[counting(&[2]), floats(&[0], &[]), floats(&[1], &[f32::NAN])], "scale");
    refused("Cast", &[int("to", i64::MIN)], from_ref(&x), "not supported");
    refused("Reshape", &[], &[x.clone(), list(&[-1, -1])], "reshapes");
    refused("Reshape", &[], &[x.clone(), list(&[-1, 0, 0])], "reshapes");
    refused("Add", &[], &[x.clone(), list(&[1])], "64-bit integers");
    refused("Add", &[], &[x.clone(), counting(&[4])], "broadcast");
    refused("Relu", &[], &[], "input 0 is missing");
    let why = evaluate(&node("Einsum", &[]), &[], 17, &mut small()).unwrap_err();
    assert!(matches!(why, Trouble::Operator));
}

/// The models and inputs of the backend tests; see `tests/import/nodes.rs`.
fn models() -> Vec<(String, Vec<u8>)> {
    let packed = include_bytes!("../../../tests/data/onnx-backend-tests.tar.gz");
    let mut archive = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut archive).unwrap();
    let mut files = Vec::new();
    let mut rest = &archive[..];
    while rest[0] != 0 {
        let text = |range: std::ops::Range<usize>| {
            let field: Vec<u8> = rest[range].iter().copied().take_while(|&b| b != 0).collect();
            String::from_utf8(field).unwrap()
        };
        let size = usize::from_str_radix(&text(124..136), 8).unwrap();
        files.push((text(0..100), rest[512..512 + size].to_vec()));
        rest = &rest[512 + size.next_multiple_of(512)..];
    }
    files
}

/// Evaluates the model in `bytes` on the tensors, with little to spend.
fn evaluated(bytes: &[u8], inputs: &[Known]) {
    if let Ok(model) = Model::parse_within(bytes, "hostile", 1 << 16) {
        for known in model.evaluate_within(inputs, &mut small()).unwrap_or_default() {
            assert_eq!(budget::count(known.dims()), Some(known.data().len()));
        }
    }
}

/// All models of the backend tests with bytes changed, and with integers of their inputs at the extremes: no panic,
/// and nothing that takes long.
#[test]
fn damaged_models_and_inputs() {
    let files = models();
    let mut state = 1u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for (at, (name, model)) in files.iter().enumerate().filter(|(_, (name, _))| name.ends_with("model.onnx"))
    {
        let folder = name.strip_suffix("model.onnx").unwrap();
        let inputs: Vec<Known> = files[..at]
            .iter()
            .filter(|(file, _)| file.starts_with(folder) && file.contains("input_"))
            .filter_map(|(_, bytes)| Known::parse(bytes, "input").ok())
            .filter(|known| known.data().len() < 5000)
            .collect();
        for _ in 0..30 {
            let mut damaged = model.clone();
            for _ in 0..1 + random(3) {
                let byte = random(damaged.len());
                damaged[byte] = [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)];
            }
            evaluated(&damaged, &inputs);
        }
        for _ in 0..10 {
            let mut hostile = inputs.clone();
            for known in &mut hostile {
                let extreme = |v: &mut i64, at: usize| {
                    *v = [i64::MIN, i64::MAX, -1, 0, 1, 1 << 32, -(1 << 31), 1 << 20][at];
                };
                match &mut known.data {
                    Data::I64(v) => {
                        for x in v {
                            if random(2) == 0 {
                                extreme(x, random(8));
                            }
                        }
                    }
                    Data::F32(v) if v.len() < 8 => {
                        v.iter_mut()
                            .for_each(|x| *x = [f32::NAN, f32::INFINITY, -1e30, 1e-30, 0.0, *x][random(6)]);
                    }
                    _ => {}
                }
                if random(4) == 0 && known.data.len() > 1 {
                    // Other dimensions for the same elements.
                    known.dims = [vec![known.data.len()], vec![1, known.data.len(), 1]][random(2)].clone();
                }
            }
            evaluated(model, &hostile);
        }
    }
}

proptest! {
    /// Tensors whose dimensions and contents do not agree.
    #[test]
    fn tensors_of_files(dims in prop::collection::vec(-2i64..5, 0..4), kind in 0..26i32, raw in prop::collection::vec(any::<u8>(), 0..40)) {
        let proto = TensorProto { dims, data_type: Some(kind), raw_data: Some(raw), ..Default::default() };
        if let Ok(known) = super::decode::tensor(&proto, &mut small()) {
            prop_assert_eq!(budget::count(known.dims()), Some(known.data().len()));
        }
    }

    /// Two transpositions, the second the inverse of the first, change nothing.
    #[test]
    fn transpositions(dims in prop::collection::vec(0usize..4, 1..5), keys in prop::collection::vec(any::<u32>(), 5)) {
        let x = counting(&dims);
        let mut perm: Vec<i64> = (0..dims.len() as i64).collect();
        perm.sort_by_key(|&axis| keys[axis as usize]);
        let mut inverse = perm.clone();
        perm.iter().enumerate().for_each(|(to, &from)| inverse[from as usize] = to as i64);
        let there = run("Transpose", &[ints("perm", &perm)], from_ref(&x)).unwrap();
        prop_assert_eq!(run("Transpose", &[ints("perm", &inverse)], &[there]).unwrap(), x);
    }

    /// Adding zeros of any dimensions that broadcast is what Expand does.
    #[test]
    fn broadcasting(to in prop::collection::vec(0usize..4, 0..5), ones in any::<u8>(), dropped in 0usize..5) {
        let from: Vec<usize> = to.iter().enumerate().map(|(i, &d)| if ones >> i & 1 == 1 { 1 } else { d }).collect();
        let x = counting(&from[dropped.min(from.len())..]);
        let zeros = floats(&to, &vec![0.0; to.iter().product()]);
        let shape = list(&to.iter().map(|&d| d as i64).collect::<Vec<_>>());
        let expanded = run("Expand", &[], &[x.clone(), shape]);
        prop_assert_eq!(expanded, run("Add", &[], &[zeros, x]));
    }
}
