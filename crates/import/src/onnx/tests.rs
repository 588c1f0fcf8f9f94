//! Models that cannot be used, and what is said about them.
#![allow(clippy::unwrap_used, reason = "tests")]

use copriv_ir::{Op, Shape};
use prost::Message;

use super::import::read_within;
use proptest::prelude::*;

#[allow(unreachable_pub, dead_code, reason = "shared with the integration tests")]
#[path = "../../tests/import/forward.rs"]
mod forward;

use super::proto::tensor_shape_proto::{Dimension, dimension};
use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use super::{Data, Known, Model, Options, fold, read, read_with};
use crate::Error;

fn node(op: &str, inputs: &[&str], output: &str, attributes: &[AttributeProto]) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|&s| s.to_owned()).collect(),
        output: vec![output.to_owned()],
        name: Some(format!("the-{output}")),
        op_type: Some(op.to_owned()),
        attribute: attributes.to_vec(),
        domain: None,
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), i: Some(value), ..Default::default() }
}

fn real(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), f: Some(value), ..Default::default() }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), ints: values.to_vec(), ..Default::default() }
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), s: Some(value.as_bytes().to_vec()), ..Default::default() }
}

fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: dims.to_vec(),
        data_type: Some(1),
        float_data: values.to_vec(),
        ..Default::default()
    }
}

fn int64s(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: vec![values.len() as i64],
        data_type: Some(7),
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

/// A value of the given dimensions: a number is a size, 0 is left out, negative is a symbol.
fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = |&d: &i64| Dimension {
        value: match d {
            0 => None,
            1.. => Some(dimension::Value::DimValue(d)),
            _ => Some(dimension::Value::DimParam("symbol".to_owned())),
        },
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor = type_proto::Tensor { elem_type: Some(1), shape };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)) }),
    }
}

/// From `x` of shape 1,2,4,4 to `y`.
fn model(nodes: Vec<NodeProto>, tensors: Vec<TensorProto>) -> ModelProto {
    let graph = GraphProto {
        node: nodes,
        name: None,
        initializer: tensors,
        input: vec![value("x", &[1, 2, 4, 4])],
        output: vec![value("y", &[])],
    };
    let opset_import = vec![OperatorSetIdProto { domain: None, version: Some(17) }];
    ModelProto { ir_version: Some(8), graph: Some(graph), opset_import, ..ModelProto::default() }
}

fn with_input(dims: &[i64]) -> ModelProto {
    let mut model = model(vec![node("Relu", &["x"], "y", &[])], vec![]);
    model.graph.as_mut().unwrap().input = vec![value("x", dims)];
    model
}

fn outcome(model: &ModelProto) -> Result<copriv_ir::Graph, Error> {
    read(&model.encode_to_vec(), "the-file")
}

/// Asserts that the model is refused, that the message names the file and has all `words`.
#[track_caller]
fn refused(model: &ModelProto, words: &[&str]) {
    let message = outcome(model).unwrap_err().to_string();
    for word in ["the-file"].iter().chain(words) {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

/// The same for one node, `y`, on the input and constants.
#[track_caller]
fn refused_node(
    op: &str,
    inputs: &[&str],
    attributes: &[AttributeProto],
    tensors: &[TensorProto],
    words: &[&str],
) {
    let words: Vec<&str> = ["the-y"].iter().chain(words).copied().collect();
    refused(&model(vec![node(op, inputs, "y", attributes)], tensors.to_vec()), &words);
}

/// What PyTorch exports for `softmax(linear(x.view(x.size(0), -1)))` without folding, and weights that are computed.
#[test]
fn what_depends_on_no_input_is_folded() {
    let weights: Vec<f32> = (0..96).map(|i| (i as f32 - 40.0) / 32.0).collect();
    let nodes = vec![
        node("Relu", &["x"], "r", &[]),
        node("Cast", &["r"], "c", &[int("to", 1)]),
        node("Shape", &["c"], "s", &[]),
        node("Gather", &["s", "zero"], "g", &[]),
        node("Unsqueeze", &["g", "zero"], "u", &[]),
        node("Squeeze", &["u", "zero"], "q", &[]),
        node("Concat", &["q", "rest"], "t", &[int("axis", 0)]),
        node("Reshape", &["c", "t"], "f", &[]),
        node("Mul", &["w", "two"], "w2", &[]),
        node("MatMul", &["f", "w2"], "z", &[]),
        node("Softmax", &["z"], "p", &[int("axis", -1)]),
        node("Identity", &["p"], "i", &[]),
        node("Identity", &["i"], "y", &[]),
    ];
    let tensors = vec![
        int64s("zero", &[0]),
        int64s("rest", &[-1]),
        floats("w", &[32, 3], &weights),
        floats("two", &[], &[2.0]),
    ];
    let model = model(nodes, tensors);
    let graph = outcome(&model).unwrap();
    let kinds: Vec<&str> = graph.nodes.iter().map(|node| node.op.kind()).collect();
    assert_eq!(kinds, ["input", "relu", "flatten", "linear"]);
    let Op::Linear { weight, .. } = &graph.nodes[3].op else { unreachable!() };
    assert!((0..3).all(|o| (0..32).all(|i| weight[o * 32 + i] == 2.0 * weights[i * 3 + o])));

    // The logits are those of the model but for what the softmax makes of them.
    let x: Vec<f32> = (0..32).map(|i| ((i * 7 % 32) as f32 - 12.0) / 16.0).collect();
    let logits: Vec<f64> = (0..3)
        .map(|o| (0..32).map(|i| f64::from(weight[o * 32 + i]) * f64::from(x[i].max(0.0))).sum())
        .collect();
    let all = Model::parse(&model.encode_to_vec(), "whole").unwrap();
    let known = Known::new(vec![1, 2, 4, 4], Data::F32(x)).unwrap();
    let y = all.evaluate(&[known]).unwrap();
    let Data::F32(y) = y[0].data() else { unreachable!() };
    let sum: f64 = logits.iter().map(|z| (z - logits[0]).exp()).sum();
    for (z, y) in logits.iter().zip(y) {
        assert!(((z - logits[0]).exp() / sum - f64::from(*y)).abs() < 1e-5, "{logits:?} {y}");
    }
}

#[test]
fn parts_of_shapes() {
    for (start, end, expected) in [
        (0, 4, vec![1, 2, 4, 4]),
        (-2, 9, vec![4, 4]),
        (1, -2, vec![2]),
        (3, 1, vec![]),
        (i64::MIN, i64::MAX, vec![1, 2, 4, 4]),
    ] {
        let shape =
            fold::shape(&node("Shape", &["x"], "s", &[int("start", start), int("end", end)]), &[1, 2, 4, 4]);
        let Ok(shape) = shape else { panic!("{start} {end}") };
        assert_eq!(shape.int64_data, expected, "{start} {end}");
    }
}

/// Constants that would fill the memory are refused as what is computed of them is paid for first.
#[test]
fn folding_is_bounded() {
    let huge = int64s("n", &[1 << 20, 1 << 10]);
    refused_node("ConstantOfShape", &["n"], &[], &[huge], &["more than may be computed"]);
}

#[test]
fn operators_that_are_not_supported() {
    refused_node("Softmax", &["x"], &[], &[], &["last of the network"]);
    refused_node(
        "ArgMax",
        &["x"],
        &[],
        &[],
        &["ArgMax", "not supported", "export the logits", "AveragePool"],
    );
    refused(&model(vec![node("Shape", &["x"], "y", &[])], vec![]), &["does not depend on its input"]);
    refused_node("Cast", &["x"], &[int("to", 7)], &[], &["element type 7"]);
    refused_node("Gather", &["x", "i"], &[], &[int64s("i", &[7])], &["index 7"]);
    refused_node("Erf", &["x"], &[], &[], &["Erf"]);
    refused_node("LSTM", &["x"], &[], &[], &["networks with state"]);
    refused_node("", &["x"], &[], &[], &["not supported"]);
    let mut custom = model(vec![node("Relu", &["x"], "y", &[])], vec![]);
    custom.graph.as_mut().unwrap().node[0].domain = Some("com.example".to_owned());
    refused(&custom, &["com.example::Relu"]);
    custom.graph.as_mut().unwrap().node[0].domain = Some("ai.onnx".to_owned());
    outcome(&custom).unwrap();
    // What the output does not need may be anything.
    outcome(&model(vec![node("Relu", &["x"], "y", &[]), node("Foo", &["x"], "z", &[])], vec![])).unwrap();
}

#[test]
fn inputs_and_outputs() {
    for dims in [&[1, 2, 4, 4][..], &[-1, 2, 4, 4], &[0, 2, 4, 4], &[-1, 7]] {
        outcome(&with_input(dims)).unwrap();
    }
    refused(&with_input(&[3, 2, 4, 4]), &["batch size 3", "batch size 1"]);
    refused(&with_input(&[1, 2, -1, 4]), &["symbol", "axis 2", "fixed size"]);
    refused(&with_input(&[1, 2, 0, 4]), &["axis 2"]);
    assert_eq!(outcome(&with_input(&[1, 2, 4])).unwrap().input_shape().to_string(), "2x1x4");
    let sized = |dims: &[i64], given: &[usize]| {
        let options = Options { input: Some(given.to_vec()), output: None };
        read_with(&with_input(dims).encode_to_vec(), "the-file", &options)
            .map(|graph| graph.input_shape().to_string())
    };
    assert_eq!(sized(&[-1, 2, -1, 0], &[1, 2, 5, 6]).unwrap(), "2x5x6");
    assert_eq!(sized(&[], &[1, 7]).unwrap(), "7x1x1");
    for (dims, given, word) in [
        (&[1, 2, -1, -1][..], &[1, 3, 5, 6][..], "axis 1"),
        (&[1, 2, -1, -1], &[1, 2, 5], "4 axes"),
        (&[1, 2, -1, -1], &[1, 2, 0, 5], "[1, 2, 0, 5]"),
    ] {
        let message = sized(dims, given).unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    }
    refused(&with_input(&[]), &["0 axes"]);
    refused(&with_input(&[1, 2, 1 << 40, 4]), &["input"]);
    refused(&with_input(&[1, i64::MAX, i64::MAX, i64::MAX]), &["input"]);
    let mut negative = with_input(&[1, 2, 4, 4]);
    let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)) }) =
        &mut negative.graph.as_mut().unwrap().input[0].r#type
    else {
        unreachable!()
    };
    tensor.shape.as_mut().unwrap().dim[3].value = Some(dimension::Value::DimValue(-4));
    refused(&negative, &["axis 3"]);

    let mut two = with_input(&[1, 2, 4, 4]);
    two.graph.as_mut().unwrap().input.push(value("second", &[1, 2]));
    refused(&two, &["2 inputs", "second"]);
    let mut two = with_input(&[1, 2, 4, 4]);
    two.graph.as_mut().unwrap().output.push(value("features", &[]));
    refused(&two, &["2 outputs", "features", "--output"]);
    for (output, fine) in [("y", true), ("x", true), ("nothing", false)] {
        let options = Options { input: None, output: Some(output.to_owned()) };
        assert_eq!(read_with(&two.encode_to_vec(), "the-file", &options).is_ok(), fine, "{output}");
    }
    let mut constant = model(vec![], vec![floats("y", &[1], &[1.0])]);
    refused(&constant, &["does not depend on its input"]);
    constant.graph = None;
    refused(&constant, &["no graph"]);
    let mut bytes = with_input(&[1, 2, 4, 4]);
    let Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)) }) =
        &mut bytes.graph.as_mut().unwrap().input[0].r#type
    else {
        unreachable!()
    };
    tensor.elem_type = Some(2);
    refused(&bytes, &["element type 2"]);
    let mut old = with_input(&[1, 2, 4, 4]);
    old.opset_import[0].version = Some(6);
    refused(&old, &["opset 6", "opset_version=17"]);
}

#[test]
fn the_order_of_nodes() {
    let relu = |x: &str, y: &str| node("Relu", &[x], y, &[]);
    let unsorted = model(vec![relu("b", "y"), relu("x", "a"), relu("a", "b")], vec![]);
    assert_eq!(outcome(&unsorted).unwrap().nodes.len(), 4);
    refused(&model(vec![relu("b", "a"), relu("a", "b"), relu("b", "y")], vec![]), &["depends on itself"]);
    refused(&model(vec![relu("y", "y")], vec![]), &["the-y", "depends on itself"]);
    refused(&model(vec![relu("nothing", "y")], vec![]), &["the-y", "nothing", "provides"]);
    refused(&model(vec![relu("x", "z")], vec![]), &["provides y"]);
    refused(&model(vec![relu("x", "y"), relu("x", "y")], vec![]), &["the-y", "defined before"]);
    refused(&model(vec![relu("x", "x")], vec![]), &["defined before"]);
    refused(&model(vec![relu("", "y")], vec![]), &["input 0 is missing"]);
    refused(&model(vec![node("Relu", &[], "y", &[])], vec![]), &["input 0 is missing"]);
    let tensor = floats("w", &[1], &[1.0]);
    refused(&model(vec![relu("x", "y")], vec![tensor.clone(), tensor]), &["two initialisers", "w"]);
    // A second output, such as the mask of a dropout, is nothing to compute with.
    let mut dropout = node("Dropout", &["x"], "a", &[]);
    dropout.output.push("mask".to_owned());
    outcome(&model(vec![dropout.clone(), relu("a", "y")], vec![])).unwrap();
    refused(&model(vec![dropout, relu("mask", "y")], vec![]), &["second output"]);
}

/// A chain of a hundred thousand nodes: no stack overflows.
#[test]
fn a_long_chain() {
    let name = |i: usize| if i == 0 { "x".to_owned() } else { format!("v{i}") };
    let chain = |op: &str| {
        let mut nodes: Vec<NodeProto> = (0..40_000)
            .map(|i| NodeProto { name: None, ..node(op, &[&name(i)], &name(i + 1), &[]) })
            .collect();
        nodes.push(node("Relu", &[&name(40_000)], "y", &[]));
        nodes.reverse();
        model(nodes, vec![])
    };
    assert_eq!(outcome(&chain("Identity")).unwrap().nodes.len(), 2);
    refused(&chain("Relu"), &["4096"]);
}

#[test]
fn constants() {
    let conv = |w: TensorProto| model(vec![node("Conv", &["x", "w"], "y", &[])], vec![w]);
    let ones = floats("w", &[3, 2, 1, 1], &[1.0; 6]);
    assert_eq!(outcome(&conv(ones.clone())).unwrap().output_shape().channels, 3);
    let node_words = ["the-y", "tensor w"];
    let refused = |w: TensorProto, words: &[&str]| refused(&conv(w), &[&node_words[..], words].concat());
    refused(floats("w", &[3, 2, 1, 1], &[1.0; 5]), &["5 elements", "make 6"]);
    refused(floats("w", &[3, 2, 1, 1], &[1.0, f32::NAN, 1.0, 1.0, 1.0, 1.0]), &["element 1", "NaN"]);
    refused(floats("w", &[3, 2, 1], &[1.0; 6]), &["3 dimensions"]);
    refused(floats("w", &[3, 1, 1, 1], &[1.0; 3]), &["2 input channels"]);
    refused(floats("w", &[-3, 2, 1, 1], &[1.0; 6]), &["dimensions"]);
    refused(floats("w", &[i64::MAX, i64::MAX, 1, 1], &[1.0; 6]), &["dimensions"]);
    refused(floats("w", &[1; 9], &[1.0]), &["dimensions"]);
    refused(
        TensorProto { data_location: Some(1), ..ones.clone() },
        &["another file", "save_as_external_data"],
    );
    refused(TensorProto { data_type: Some(3), ..ones.clone() }, &["element type 3", "quantised"]);
    let raw = |bytes| TensorProto { raw_data: Some(vec![0; bytes]), float_data: vec![], ..ones.clone() };
    outcome(&conv(raw(24))).unwrap();
    refused(raw(23), &["23 bytes"]);
    refused(raw(20), &["5 elements"]);
    let half = TensorProto { data_type: Some(10), ..raw(0) };
    let half = TensorProto { raw_data: Some([0x00, 0x3c].repeat(6)), ..half };
    assert_eq!(outcome(&conv(half)).unwrap().nodes[1].op, outcome(&conv(ones)).unwrap().nodes[1].op);

    // No weights, or computed ones.
    refused_node("Conv", &["x"], &[], &[], &["input 1 is missing"]);
    refused_node("Conv", &["x", "x"], &[], &[], &["input 1 is computed"]);
    let one = floats("w", &[1], &[1.0]);
    refused_node("Conv", &["w", "x"], &[], std::slice::from_ref(&one), &["constant", "onnxsim"]);
    self::refused(&model(vec![node("Relu", &["w"], "y", &[])], vec![one]), &["does not depend on its input"]);
}

/// Weights in files beside the model; nothing else is read.
#[test]
fn weights_in_other_files() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let values: Vec<f32> = (0..6).map(|i| i as f32 - 2.5).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::create_dir(at("weights")).unwrap();
    std::fs::write(at("weights/all.bin"), [&[9; 8], &bytes[..], &[9; 4]].concat()).unwrap();
    let entry = |key: &str, value: &str| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    };
    let with = |entries: Vec<StringStringEntryProto>| {
        let w = TensorProto {
            data_location: Some(1),
            external_data: entries,
            float_data: vec![],
            ..floats("w", &[3, 2, 1, 1], &[])
        };
        let model = model(vec![node("Conv", &["x", "w"], "y", &[])], vec![w]);
        std::fs::write(at("model.onnx"), model.encode_to_vec()).unwrap();
        super::load(at("model.onnx"))
    };
    let place_of = |location: &str, offset: &str, length: &str| {
        vec![entry("location", location), entry("offset", offset), entry("length", length)]
    };
    let graph = with(place_of("weights/all.bin", "8", "24")).unwrap();
    assert!(matches!(&graph.nodes[1].op, Op::Conv { weight, .. } if *weight == values));
    let absolute = at("weights/all.bin").display().to_string();
    for (entries, words) in [
        (vec![], &["not named"][..]),
        (place_of("", "8", "24"), &["not in the model's folder"]),
        (place_of("../all.bin", "8", "24"), &["../all.bin", "not in the model's folder"]),
        (place_of("weights/../../x", "8", "24"), &["not in the model's folder"]),
        (place_of(&absolute, "8", "24"), &["not in the model's folder"]),
        (place_of("no-such.bin", "8", "24"), &["no-such.bin", "cannot be read"]),
        (place_of("weights", "0", "0"), &["is the file complete"]),
        (place_of("weights/all.bin", "8", "29"), &["8 to 37", "has 36"]),
        (place_of("weights/all.bin", "18446744073709551615", "24"), &["has 36"]),
        (place_of("weights/all.bin", "-8", "24"), &["offset -8 is no number"]),
        (place_of("weights/all.bin", "8", "20"), &["5 elements"]),
        (vec![entry("location", "weights/all.bin")], &["9 elements"]),
    ] {
        let message = with(entries).unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "{word:?} is not in: {message}");
        }
    }
}

/// Nodes may share a tensor, but not to make a small file a large network.
#[test]
fn shared_weights_are_counted_as_often_as_used() {
    let side = 1 << 5;
    let mut nodes = vec![node("Flatten", &["x"], "v0", &[])];
    nodes.extend((0..200).map(|i| node("MatMul", &[&format!("v{i}"), "w"], &format!("v{}", i + 1), &[])));
    nodes.push(node("Relu", &["v200"], "y", &[]));
    let mut model = model(nodes, vec![floats("w", &[side, side], &vec![0.0; (side * side) as usize])]);
    model.graph.as_mut().unwrap().input = vec![value("x", &[1, side])];
    outcome(&model).unwrap();
    let budget = (side * (side + 1) * 150) as usize;
    let error =
        read_within(model.clone(), "the-file", &Options::default(), None, budget).unwrap_err().to_string();
    assert!(error.contains("the-v151") && error.contains("all weights together"), "{error}");
}

#[test]
fn windows() {
    let w = [floats("w", &[2, 1, 3, 3], &[1.0; 18])];
    let conv = |attributes: &[AttributeProto]| {
        let attributes = [&[int("group", 2)], attributes].concat();
        model(vec![node("Conv", &["x", "w"], "y", &attributes)], w.to_vec())
    };
    let shape =
        |attributes: &[AttributeProto]| outcome(&conv(attributes)).unwrap().output_shape().to_string();
    assert_eq!(shape(&[]), "2x2x2");
    assert_eq!(shape(&[text("auto_pad", "VALID")]), "2x2x2");
    assert_eq!(shape(&[text("auto_pad", "SAME_UPPER")]), "2x4x4");
    assert_eq!(shape(&[text("auto_pad", "SAME_LOWER"), ints("strides", &[2, 3])]), "2x2x2");
    assert_eq!(shape(&[ints("pads", &[1, 0, 2, 0])]), "2x5x2");
    assert_eq!(
        shape(&[ints("dilations", &[1, 1]), ints("kernel_shape", &[3, 3])]),
        "2x4x4".replace('4', "2")
    );
    let refused = |attribute: AttributeProto, words: &[&str]| refused(&conv(&[attribute]), words);
    refused(ints("dilations", &[2, 2]), &["the-y", "larger than the padded map"]);
    refused(ints("dilations", &[0, 2]), &["the-y", "dilations [0, 2]"]);
    refused(ints("dilations", &[1 << 16, 2]), &["the-y", "dilations"]);
    refused(ints("kernel_shape", &[5, 5]), &["[5, 5]", "[3, 3]"]);
    refused(ints("pads", &[1, 1]), &["pads", "4 sizes"]);
    refused(ints("pads", &[-1, 0, 0, 0]), &["pads"]);
    refused(ints("pads", &[i64::MAX, 0, 0, 0]), &["pads"]);
    refused(ints("strides", &[0, 1]), &["strides"]);
    refused(text("auto_pad", "MAGIC"), &["MAGIC", "explicit pads"]);
    refused(int("auto_pad", 1), &["auto_pad"]);
    refused_node("Conv", &["x", "w"], &[int("group", -1)], &w, &["negative"]);
    refused_node("Conv", &["x", "w"], &[int("group", 0)], &w, &["0 groups"]);

    refused_node("MaxPool", &["x"], &[], &[], &["kernel_shape"]);
    refused_node("MaxPool", &["x"], &[ints("kernel_shape", &[9, 9])], &[], &["kernel"]);
    refused_node("MaxPool", &["x"], &[ints("kernel_shape", &[0, 1])], &[], &["kernel"]);
    let average = |more: &[AttributeProto]| [&[ints("kernel_shape", &[3, 3])], more].concat();
    let padded = ints("pads", &[1, 1, 1, 1]);
    let rounded = [ints("strides", &[2, 2]), int("ceil_mode", 1)];
    for (more, inside) in [
        (vec![padded.clone()], true),
        (vec![padded.clone(), int("count_include_pad", 1)], false),
        (rounded.to_vec(), true),
        (vec![], false),
    ] {
        let graph = outcome(&model(vec![node("AveragePool", &["x"], "y", &average(&more))], vec![])).unwrap();
        assert_eq!(matches!(graph.nodes[1].op, Op::AvgPoolInside(_)), inside, "{:?}", graph.nodes[1]);
    }
    let both = [&rounded[..], &[ints("pads", &[1, 1, 1, 1]), int("count_include_pad", 1)]].concat();
    refused_node("AveragePool", &["x"], &average(&both), &[], &["ceil_mode"]);
    refused_node("MaxPool", &["x"], &average(&[ints("dilations", &[2, 2])]), &[], &["dilation 1"]);
    let ceil = model(vec![node("MaxPool", &["x"], "y", &average(&rounded))], vec![]);
    assert_eq!(outcome(&ceil).unwrap().output_shape().to_string(), "2x2x2");
}

#[test]
fn other_operators() {
    let matrix = floats("w", &[32, 3], &[1.0; 96]);
    refused_node("MatMul", &["x", "w"], &[], std::slice::from_ref(&matrix), &["4 inputs"]);
    let flat = |op: &str, attributes: &[AttributeProto], tensors: &[TensorProto]| {
        let nodes = vec![node("Flatten", &["x"], "v", &[]), node(op, &["v", "w", "b"], "y", attributes)];
        model(nodes, tensors.to_vec())
    };
    let bias = floats("b", &[3], &[1.0; 3]);
    outcome(&flat("Gemm", &[], &[matrix.clone(), bias.clone()])).unwrap();
    refused(&flat("Gemm", &[int("transB", 1)], &[matrix.clone(), bias.clone()]), &["[32, 3]", "32 inputs"]);
    // Twice transposed is as it was, once does not fit.
    let turned = |times: usize| {
        let mut model = flat("Gemm", &[], &[matrix.clone(), bias.clone()]);
        let graph = model.graph.as_mut().unwrap();
        graph.initializer[0].name = Some("t0".to_owned());
        let names = ["t0", "t1", "w"];
        for i in 0..times {
            let output = if i + 1 == times { "w" } else { names[i + 1] };
            graph.node.push(node("Transpose", &[names[i]], output, &[ints("perm", &[1, 0])]));
        }
        model
    };
    assert_eq!(
        outcome(&turned(2)).unwrap(),
        outcome(&flat("Gemm", &[], &[matrix.clone(), bias.clone()])).unwrap()
    );
    refused(&turned(1), &["the-y", "[32, 3]", "32 inputs"]);
    // And left as it is.
    let mut still = turned(1);
    still.graph.as_mut().unwrap().node.last_mut().unwrap().attribute = vec![ints("perm", &[0, 1])];
    assert_eq!(outcome(&still).unwrap(), outcome(&turned(2)).unwrap());
    still.graph.as_mut().unwrap().node.last_mut().unwrap().attribute = vec![ints("perm", &[1, 1])];
    refused(&still, &["named twice"]);
    let one = TensorProto { name: Some("w".to_owned()), ..bias.clone() };
    refused(&model(vec![node("Transpose", &["w"], "y", &[])], vec![one]), &["does not depend on its input"]);
    refused(&flat("Gemm", &[int("transA", 1)], &[matrix.clone(), bias.clone()]), &["transA"]);
    refused(&flat("Gemm", &[], &[matrix.clone(), floats("b", &[4], &[1.0; 4])]), &["bias of 3"]);
    let list = |name| floats(name, &[2], &[1.0; 2]);
    let lists = [list("g"), list("b"), list("m"), list("v")];
    let norm = |attributes| {
        model(vec![node("BatchNormalization", &["x", "g", "b", "m", "v"], "y", attributes)], lists.to_vec())
    };
    outcome(&norm(&[])).unwrap();
    refused(&norm(&[int("training_mode", 1)]), &["evaluation mode"]);
    refused_node("BatchNormalization", &["x", "g", "b", "m"], &[], &lists, &["input 4 is missing"]);
    let negative = [list("g"), list("b"), list("m"), floats("v", &[2], &[-1.0, 1.0])];
    refused_node("BatchNormalization", &["x", "g", "b", "m", "v"], &[], &negative, &["finite"]);
    refused_node("Clip", &["x", "w"], &[], &[list("w")], &["2 elements"]);
    refused_node("Clip", &["x", "w"], &[], &[floats("w", &[], &[f32::INFINITY])], &["finite"]);

    refused_node("Concat", &["x", "x"], &[int("axis", 4)], &[], &["axis 4", "4 axes"]);
    refused_node("Concat", &[], &[int("axis", 1)], &[], &["no input"]);
    refused_node("Flatten", &["x"], &[int("axis", 5)], &[], &["axis"]);
    refused_node("Flatten", &["x"], &[int("axis", i64::MIN)], &[], &["axis"]);
    refused_node("ReduceMean", &["x"], &[ints("axes", &[2, 7])], &[], &["axis 7"]);
    refused_node("Squeeze", &["x"], &[ints("axes", &[2])], &[], &["not 1"]);
    for target in [&[-1, -1, 3][..], &[1, 31], &[0, 0, 0, 0, 0], &[i64::MAX, 4], &[-2, 16], &[3, -1, 5]] {
        refused_node("Reshape", &["x", "s"], &[], &[int64s("s", target)], &[]);
    }
    for target in [
        &[1, 2, 16][..],
        &[4, 8],
        &[1, 32],
        &[-1, 32],
        &[0, -1],
        &[1, -1, 1, 1],
        &[32],
        &[1, 2, 4, 4],
        &[0, 0, 0, 0],
    ] {
        outcome(&model(vec![node("Reshape", &["x", "s"], "y", &[])], vec![int64s("s", target)])).unwrap();
    }
    refused_node("Div", &["x", "x"], &[], &[], &["no protocol"]);
    refused_node("Div", &["w", "x"], &[], &[floats("w", &[], &[1.0])], &["constant divided by a tensor"]);
    refused_node("Div", &["x", "w"], &[], &[floats("w", &[1], &[0.0])], &["finite"]);
    refused_node("Add", &["x", "w"], &[], &[floats("w", &[3, 4], &[0.0; 12])], &["[3, 4]", "does not fit"]);
    refused_node(
        "Pad",
        &["x", "p", "v"],
        &[],
        &[int64s("p", &[0, 0, 1, 0, 0, 0, 0, 0]), floats("v", &[], &[1.5])],
        &["pads with 1.5"],
    );
    refused_node("Elu", &["x"], &[real("alpha", 2.0)], &[], &["alpha 2"]);
    refused_node(
        "Resize",
        &["x", "", "w"],
        &[text("mode", "linear")],
        &[floats("w", &[4], &[1.0, 1.0, 2.0, 2.0])],
        &["nearest"],
    );
    // x + w and w - x with a value of w for each of x: an identity or its negative, and a map of biases.
    let map: Vec<f32> = (0..32).map(|i| i as f32).collect();
    for (operator, inputs, factor, sign) in [
        ("Add", ["x", "w"], 1.0, 1.0),
        ("Add", ["w", "x"], 1.0, 1.0),
        ("Sub", ["x", "w"], 1.0, -1.0),
        ("Sub", ["w", "x"], -1.0, 1.0),
    ] {
        let graph =
            outcome(&model(vec![node(operator, &inputs, "y", &[])], vec![floats("w", &[1, 2, 4, 4], &map)]));
        let Op::Conv { weight, bias, groups: 2, .. } = &graph.unwrap().nodes[1].op else { panic!("a conv") };
        assert_eq!((weight, bias), (&vec![factor; 2], &map.iter().map(|x| sign * x).collect()));
    }
    let constant = |a: AttributeProto| {
        model(vec![node("Constant", &[], "c", &[a]), node("Add", &["x", "c"], "y", &[])], vec![])
    };
    refused(&constant(text("value_string", "a")), &["the-c", "value_string"]);
    refused(&constant(int("value", 1)), &["no tensor"]);
    refused(&constant(int("value_int", 1)), &["tensor c", "element type 7"]);
    // Names do not reach the terminal as they are.
    let hostile = format!("\x1b[2J{}", "long".repeat(1000));
    let mut model = model(vec![node("Foo", &["x"], "y", &[])], vec![]);
    model.graph.as_mut().unwrap().node[0].name = Some(hostile);
    let message = outcome(&model).unwrap_err().to_string();
    assert!(!message.contains('\x1b') && message.len() < 800, "{message}");
}

fn bools(name: &str, dims: &[i64], values: &[u8]) -> TensorProto {
    let raw_data = Some(values.to_vec());
    TensorProto {
        name: Some(name.to_owned()),
        dims: dims.to_vec(),
        data_type: Some(9),
        raw_data,
        ..Default::default()
    }
}

/// The activation and the mask of the last node.
fn partial(model: &ModelProto) -> (copriv_ir::Activation, Vec<bool>) {
    let graph = outcome(model).unwrap();
    assert_eq!(graph.nodes.len(), 2, "nothing but it is left");
    match &graph.nodes[1].op {
        Op::Partial { activation, keep } => (*activation, keep.as_slice().to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn masks_are_broadcast() {
    let of = |dims: &[i64], values: &[f32]| {
        let prelu = model(vec![node("PRelu", &["x", "m"], "y", &[])], vec![floats("m", dims, values)]);
        // The same choice of elements: those without a slope.
        let chosen: Vec<u8> = values.iter().map(|&slope| u8::from(slope == 0.0)).collect();
        let mut models = vec![prelu];
        for (inputs, chosen) in
            [(["m", "r", "x"], chosen.clone()), (["m", "x", "r"], chosen.iter().map(|&c| 1 - c).collect())]
        {
            let nodes = vec![node("Relu", &["x"], "r", &[]), node("Where", &inputs, "y", &[])];
            models.push(model(nodes, vec![bools("m", dims, &chosen)]));
        }
        let masks: Vec<_> = models.iter().map(partial).collect();
        assert!(masks.iter().all(|mask| *mask == masks[0]));
        assert_eq!(masks[0].0, copriv_ir::Activation::Relu);
        masks[0].1.clone()
    };
    let by = |kept: &dyn Fn([usize; 3]) -> bool| {
        (0..32).map(|i| kept([i / 16, i / 4 % 4, i % 4])).collect::<Vec<_>>()
    };
    assert_eq!(of(&[], &[0.0]), vec![true; 32]);
    assert_eq!(of(&[1], &[1.0]), vec![false; 32]);
    assert_eq!(of(&[1, 1, 1, 1], &[-0.0]), vec![true; 32]);
    assert_eq!(of(&[2, 1, 1], &[0.0, 1.0]), by(&|[c, ..]| c == 0));
    assert_eq!(of(&[4, 1], &[1.0, 0.0, 0.0, 1.0]), by(&|[_, y, _]| y == 1 || y == 2));
    assert_eq!(of(&[4], &[1.0, 0.0, 1.0, 1.0]), by(&|[.., x]| x == 1));
    assert_eq!(of(&[2, 1, 4], &[0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]), by(&|[c, _, x]| x == 3 * c));
    let map: Vec<f32> = (0..32).map(|i| if i % 5 == 0 { 0.0 } else { 1.0 }).collect();
    let expected: Vec<bool> = map.iter().map(|&slope| slope == 0.0).collect();
    assert_eq!(of(&[2, 4, 4], &map), expected);
    assert_eq!(of(&[1, 2, 4, 4], &map), expected);
}

#[test]
fn activations_of_some_elements() {
    let slopes = |values: &[f32]| [floats("m", &[2, 1, 1], values)];
    for values in [[0.0, 0.25], [-1.0, 0.0]] {
        let graph =
            outcome(&model(vec![node("PRelu", &["x", "m"], "y", &[])], slopes(&values).to_vec())).unwrap();
        let kinds: Vec<&str> = graph.nodes.iter().map(|node| node.op.kind()).collect();
        assert_eq!(kinds, ["input", "relu", "combine", "batch norm", "add"]);
    }
    refused_node("PRelu", &["x", "m"], &[], &slopes(&[0.0, f32::NAN]), &["NaN"]);
    refused_node("PRelu", &["x"], &[], &[], &["input 1 is missing"]);
    refused_node("PRelu", &["x", "x"], &[], &[], &["input 1 is computed"]);
    refused_node("PRelu", &["x", "m"], &[], &[floats("m", &[2], &[0.0; 2])], &["[2]", "[1, 2, 4, 4]"]);
    refused_node("PRelu", &["x", "m"], &[], &[floats("m", &[1, 1, 2, 4, 4], &[0.0; 32])], &["does not fit"]);
    refused_node("PRelu", &["x", "m"], &[], &[floats("m", &[0], &[])], &["does not fit"]);

    let choice = |nodes: &[NodeProto], inputs: &[&str], mask: TensorProto| {
        model([nodes, &[node("Where", inputs, "y", &[])]].concat(), vec![mask, floats("six", &[], &[6.0])])
    };
    let relu = node("Relu", &["x"], "r", &[]);
    let clip = node("Clip", &["x", "", "six"], "r", &[]);
    let mask = bools("m", &[2, 1, 1], &[1, 0]);
    let (activation, kept) = partial(&choice(std::slice::from_ref(&clip), &["m", "r", "x"], mask.clone()));
    assert_eq!(activation, copriv_ir::Activation::Clip { low: f32::MIN, high: 6.0 });
    assert_eq!(kept.iter().filter(|&&kept| kept).count(), 16);
    let wrong = |nodes: &[NodeProto], inputs: &[&str], mask: TensorProto, words: &[&str]| {
        refused(&choice(nodes, inputs, mask), &[&["the-y"], words].concat());
    };
    let r = std::slice::from_ref(&relu);
    let what = ["a Relu or Clip and what that reads"];
    wrong(r, &["m", "r", "r"], mask.clone(), &what);
    wrong(r, &["m", "x", "x"], mask.clone(), &what);
    wrong(&[relu.clone(), node("Relu", &["r"], "s", &[])], &["m", "s", "x"], mask.clone(), &what);
    wrong(&[node("Flatten", &["x"], "r", &[])], &["m", "r", "x"], mask.clone(), &what);
    wrong(r, &["m", "r", "six"], mask.clone(), &["input 2 is a constant"]);
    wrong(r, &["x", "r", "x"], mask.clone(), &["input 0 is computed"]);
    wrong(r, &["m", "r"], mask.clone(), &["input 2 is missing"]);
    wrong(r, &["m", "r", "x"], floats("m", &[2, 1, 1], &[1.0, 0.0]), &["truth values"]);
    wrong(r, &["m", "r", "x"], bools("m", &[2, 1, 1], &[1, 0, 1]), &["3 elements", "make 2"]);
    wrong(r, &["m", "r", "x"], bools("m", &[3, 1, 1], &[1, 0, 1]), &["does not fit"]);
    wrong(r, &["m", "r", "x"], TensorProto { data_location: Some(1), ..mask.clone() }, &["tensor m"]);
    wrong(r, &["m", "r", "x"], bools("m", &[1 << 62, 4, 4], &[1]), &["dimensions"]);
    // As integers, which the standard allows too.
    let listed = TensorProto { raw_data: None, int32_data: vec![1, 0], ..mask };
    assert_eq!(partial(&choice(r, &["m", "r", "x"], listed)).1, kept);
    // A few bytes do not make many large masks.
    let mut many: Vec<NodeProto> =
        (0..40).map(|i| node("PRelu", &[&format!("v{i}"), "m"], &format!("v{}", i + 1), &[])).collect();
    many.push(node("Relu", &["v40"], "y", &[]));
    many[0].input[0] = "x".to_owned();
    let many = model(many, vec![floats("m", &[], &[1.0])]);
    outcome(&many).unwrap();
    let error = read_within(many.clone(), "the-file", &Options::default(), None, 33 * 30 + 1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("the-v31") && error.contains("too many elements"), "{error}");
}

/// Asserts that the network computes what the model does on the input, which is made up.
#[track_caller]
fn computes_what_the_model_does(model: &ModelProto, dims: &[usize]) -> Result<(), TestCaseError> {
    let bytes = model.encode_to_vec();
    let x = forward::pattern(dims.iter().product());
    let known = Known::new(dims.to_vec(), Data::F32(x.clone())).unwrap();
    let evaluated = Model::parse(&bytes, "whole").and_then(|model| model.evaluate(&[known]));
    match (read(&bytes, "the-file"), evaluated) {
        (Ok(graph), Ok(expected)) => {
            let Data::F32(expected) = expected[0].data() else { panic!("floats") };
            let got = forward::logits(&graph, &x);
            prop_assert_eq!(got.len(), expected.len());
            for (got, expected) in got.iter().zip(expected) {
                prop_assert!(
                    (got - expected).abs() < 1e-4 * (1.0 + expected.abs()),
                    "{got} is not {expected}"
                );
            }
        }
        // What leaves nothing of the map is refused by both.
        (Err(_), Err(_)) => {}
        (Err(_), Ok(expected)) if expected[0].dims().contains(&0) => {}
        (Err(e), Ok(_)) => prop_assert!(false, "{e}"),
        (Ok(_), Err(e)) => prop_assert!(false, "{e}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn convolutions_of_all_kinds(
        transposed: bool, one_axis: bool, groups in 1..3i64, counts in [1..3i64, 1..3], size in [2..7i64, 2..8],
        kernel in [1..4i64, 1..4], stride in [1..4i64, 1..4], dilation in [1..4i64, 1..4], pads in [0..3i64, 0..3, 0..3, 0..3],
        more in [0..3i64, 0..3], with_bias: bool, how in 0..5usize
    ) {
        let axes = if one_axis { 1 } else { 2 };
        let last = |two: [i64; 2]| two[2 - axes..].to_vec();
        let channels = groups * counts[0];
        let dims: Vec<i64> = [vec![1, channels], last(size)].concat();
        let outputs = groups * counts[1];
        let kernels = if transposed { [channels, counts[1]] } else { [outputs, counts[0]] };
        let shape: Vec<i64> = [kernels.to_vec(), last(kernel)].concat();
        let count: i64 = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| ((i * 37 % 19) as f32 - 9.0) / 8.0).collect();
        let bias: Vec<f32> = (0..outputs).map(|i| i as f32 - 1.5).collect();
        let mut attributes = vec![int("group", groups), ints("strides", &last(stride)), ints("dilations", &last(dilation))];
        match how {
            0 => attributes.push(text("auto_pad", "SAME_UPPER")),
            1 => attributes.push(text("auto_pad", "SAME_LOWER")),
            2 => {}
            _ if one_axis => attributes.push(ints("pads", &[pads[1], pads[3]])),
            _ => attributes.push(ints("pads", &pads)),
        }
        // Less than the stride or the dilation, as the standard asks.
        let extra: Vec<i64> = last([0, 1].map(|d| more[d].min(stride[d].max(dilation[d]) - 1)));
        if transposed && how > 1 {
            attributes.push(ints("output_padding", &extra));
        }
        let op = if transposed { "ConvTranspose" } else { "Conv" };
        let inputs: &[&str] = if with_bias { &["x", "w", "b"] } else { &["x", "w"] };
        let mut model = model(
            vec![node(op, inputs, "y", &attributes)],
            vec![floats("w", &shape, &values), floats("b", &[outputs], &bias)],
        );
        model.graph.as_mut().unwrap().input = vec![value("x", &dims)];
        let dims: Vec<usize> = dims.iter().map(|&d| d as usize).collect();
        computes_what_the_model_does(&model, &dims)?;
    }

    /// Chains of what moves elements, of any rank.
    #[test]
    fn elements_moved_about(steps in prop::collection::vec((0..9usize, any::<u32>()), 1..6)) {
        let mut dims = vec![1usize, 2, 4, 6];
        let (mut nodes, mut tensors) = (vec![node("Relu", &["x"], "v0", &[])], Vec::new());
        for (index, (kind, seed)) in steps.into_iter().enumerate() {
            let random = |n: usize, k: u32| (seed.rotate_left(7 * k).wrapping_mul(0x9e37_79b9) >> 16) as usize % n;
            let (rank, axis) = (dims.len(), random(dims.len(), 0));
            let input = format!("v{index}");
            let output = format!("v{}", index + 1);
            let mut list = |name: &str, values: &[i64]| {
                let name = format!("{name}{index}");
                tensors.push(int64s(&name, values));
                name
            };
            let (op, inputs, attributes): (&str, Vec<String>, Vec<AttributeProto>) = match kind {
                0 => {
                    let mut order: Vec<usize> = (0..rank).collect();
                    order.rotate_left(random(rank, 1));
                    order.swap(0, random(rank, 2));
                    dims = order.iter().map(|&i| dims[i]).collect();
                    ("Transpose", vec![], vec![ints("perm", &order.iter().map(|&i| i as i64).collect::<Vec<_>>())])
                }
                1 if dims[axis] > 1 => {
                    let start = random(dims[axis] - 1, 3);
                    let (first, last, step) = if seed % 2 == 0 {
                        (start as i64, dims[axis] as i64, 1)
                    } else {
                        (-1, -1 - dims[axis] as i64, -1 - (seed as i64 >> 3 & 1))
                    };
                    let length = if step > 0 { dims[axis] - start } else { dims[axis].div_ceil(step.unsigned_abs() as usize) };
                    dims[axis] = length;
                    let inputs =
                        [("s", first), ("e", last), ("a", axis as i64), ("t", step)].map(|(name, v)| list(name, &[v]));
                    ("Slice", inputs.to_vec(), vec![])
                }
                2 => {
                    let mode = ["constant", "reflect", "edge"][random(3, 4)];
                    let mut pads = vec![0; 2 * rank];
                    let most = if mode == "reflect" { dims[axis] - 1 } else { 2 };
                    (pads[axis], pads[rank + axis]) = (random(most + 1, 5) as i64, random(most + 1, 6) as i64);
                    dims[axis] += (pads[axis] + pads[rank + axis]) as usize;
                    ("Pad", vec![list("p", &pads)], vec![text("mode", mode)])
                }
                3 if rank < 6 => {
                    dims.insert(axis, 1);
                    ("Unsqueeze", vec![list("a", &[axis as i64])], vec![])
                }
                4 => {
                    // An even axis, or any, in two; or all in one.
                    if dims[axis] % 2 == 0 && rank < 6 {
                        dims[axis] /= 2;
                        dims.insert(axis, 2);
                    } else {
                        dims = vec![1, dims.iter().product()];
                    }
                    ("Reshape", vec![list("r", &dims.iter().map(|&d| d as i64).collect::<Vec<_>>())], vec![])
                }
                5 if dims.iter().product::<usize>() < 400 => {
                    let mut times = vec![1; rank];
                    times[axis] = 2;
                    dims[axis] *= 2;
                    ("Tile", vec![list("n", &times)], vec![])
                }
                6 if dims.iter().product::<usize>() < 400 => {
                    // The value by itself, along the axis.
                    dims[axis] *= 2;
                    ("Concat", vec![input.clone()], vec![int("axis", axis as i64)])
                }
                7 => {
                    let chosen: Vec<i64> = (0..3).map(|k| random(dims[axis], 8 + k) as i64).collect();
                    dims[axis] = 3;
                    ("Gather", vec![list("g", &chosen)], vec![int("axis", axis as i64)])
                }
                8 if rank > 1 && dims[axis] > 1 => {
                    dims[axis] = 1;
                    ("ReduceMean", vec![], vec![ints("axes", &[axis as i64])])
                }
                _ => ("Identity", vec![], vec![]),
            };
            let inputs: Vec<&str> = std::iter::once(&input).chain(&inputs).map(String::as_str).collect();
            nodes.push(node(op, &inputs, &output, &attributes));
        }
        nodes.push(node("Relu", &[&format!("v{}", nodes.len() - 1)], "y", &[]));
        let mut model = model(nodes, tensors);
        model.graph.as_mut().unwrap().input = vec![value("x", &[1, 2, 4, 6])];
        computes_what_the_model_does(&model, &[1, 2, 4, 6])?;
    }
}

/// What exporters write for activations that have, or had, no operator of their own.
#[test]
fn activations_in_pieces() {
    let constants = vec![
        floats("sqrt2", &[], &[std::f32::consts::SQRT_2]),
        floats("one", &[], &[1.0]),
        floats("half", &[], &[0.5]),
        floats("three", &[], &[3.0]),
        floats("six", &[], &[6.0]),
        floats("zero", &[], &[0.0]),
        floats("slopes", &[2, 1, 1], &[0.25, -0.5]),
        floats("each", &[2, 4, 4], &(0..32).map(|i| i as f32 / 16.0 - 1.0).collect::<Vec<_>>()),
    ];
    let of = |steps: &[(&str, &[&str], &str)], attributes: &[AttributeProto], kinds: &[&str]| {
        let nodes = steps.iter().map(|(op, inputs, output)| node(op, inputs, output, attributes));
        let model = model(nodes.collect(), constants.clone());
        let graph = outcome(&model).unwrap();
        let got: Vec<&str> = graph.nodes.iter().skip(1).map(|node| node.op.kind()).collect();
        assert_eq!(got, kinds);
        computes_what_the_model_does(&model, &[1, 2, 4, 4]).unwrap();
    };
    let erf = [("Div", &["x", "sqrt2"][..], "d"), ("Erf", &["d"], "e"), ("Add", &["e", "one"], "a")];
    of(&[&erf[..], &[("Mul", &["x", "a"], "m"), ("Mul", &["half", "m"], "y")]].concat(), &[], &["gelu"]);
    of(&[&erf[..], &[("Mul", &["x", "half"], "m"), ("Mul", &["a", "m"], "y")]].concat(), &[], &["gelu"]);
    of(&[("Sigmoid", &["x"], "s"), ("Mul", &["s", "x"], "y")], &[], &["silu"]);
    let alpha = [real("alpha", 1.0 / 6.0)];
    of(&[("HardSigmoid", &["x"], "s"), ("Mul", &["x", "s"], "y")], &alpha, &["hard_swish"]);
    let clip = [("Add", &["x", "three"][..], "a"), ("Clip", &["a", "zero", "six"], "c")];
    of(
        &[&clip[..], &[("Div", &["c", "six"], "d"), ("Mul", &["x", "d"], "y")]].concat(),
        &[],
        &["hard_swish"],
    );
    of(&[("HardSigmoid", &["x"], "y")], &[real("alpha", 0.3)], &["batch norm", "clip"]);
    of(&[("LeakyRelu", &["x"], "y")], &[real("alpha", 0.1)], &["relu", "combine"]);
    of(&[("Abs", &["x"], "y")], &[], &["relu", "combine"]);
    of(&[("PRelu", &["x", "slopes"], "y")], &[], &["relu", "combine", "batch norm", "add"]);
    of(
        &[("PRelu", &["x", "each"], "p"), ("Neg", &["p"], "y")],
        &[],
        &["relu", "combine", "flatten", "batch norm", "flatten", "add", "batch norm"],
    );
    of(&[("Max", &["x", "zero"], "a"), ("Min", &["six", "a"], "y")], &[], &["clip"]);
    of(&[("Mul", &["x", "each"], "y")], &[], &["flatten", "batch norm", "view"]);
    of(&[("Sub", &["x", "x"], "y")], &[], &["combine"]);
}

/// Two values multiplied: squeeze-and-excitation, gates of other axes, with other orders of them, and squares.
#[test]
fn products_of_values() {
    let made = |nodes: Vec<NodeProto>, tensors: Vec<TensorProto>, kinds: &[&str], shape: Shape| {
        let model = model(nodes, tensors);
        let graph = outcome(&model).unwrap();
        let got: Vec<&str> = graph.nodes.iter().skip(1).map(|node| node.op.kind()).collect();
        assert_eq!(got, kinds);
        let product = graph.nodes.iter().find(|node| node.op == Op::Multiply).unwrap();
        assert_eq!(graph.nodes[product.inputs[1].0].shape, shape);
        computes_what_the_model_does(&model, &[1, 2, 4, 4]).unwrap();
    };
    let squeeze = [node("GlobalAveragePool", &["x"], "s", &[]), node("Sigmoid", &["s"], "g", &[])];
    let gated = |inputs: [&str; 2]| [&squeeze[..], &[node("Mul", &inputs, "y", &[])]].concat();
    let kinds = ["global average pool", "sigmoid", "multiply"];
    made(gated(["x", "g"]), vec![], &kinds, Shape::vector(2));
    made(gated(["g", "x"]), vec![], &kinds, Shape::vector(2));
    // Channels last, as a whole and as a factor.
    let last = [ints("perm", &[0, 2, 3, 1])];
    let nodes = vec![
        node("Transpose", &["x"], "t", &last),
        node("ReduceMean", &["t"], "m", &[ints("axes", &[1, 2])]),
        node("Mul", &["t", "m"], "p", &[]),
        node("Transpose", &["p"], "y", &[ints("perm", &[0, 3, 1, 2])]),
    ];
    made(nodes, vec![], &["global average pool", "multiply"], Shape::vector(2));
    // One factor for each place, for each row, and for all.
    for (axes, factors) in [(vec![1], 16), (vec![1, 3], 4), (vec![1, 2, 3], 1)] {
        let nodes = vec![
            node("ReduceMean", &["x"], "m", &[ints("axes", &axes)]),
            node("Mul", &["m", "x"], "p", &[]),
            node("Relu", &["p"], "y", &[]),
        ];
        let model = model(nodes, vec![]);
        let graph = outcome(&model).unwrap();
        let product = graph.nodes.iter().find(|node| node.op == Op::Multiply).unwrap();
        assert_eq!(graph.nodes[product.inputs[1].0].shape, Shape::vector(factors), "{axes:?}");
        computes_what_the_model_does(&model, &[1, 2, 4, 4]).unwrap();
    }
    // Neither has the shape of the product.
    let nodes = vec![
        node("ReduceMean", &["x"], "rows", &[ints("axes", &[1, 3])]),
        node("ReduceMean", &["x"], "columns", &[ints("axes", &[1, 2])]),
        node("Mul", &["rows", "columns"], "y", &[]),
    ];
    let all = model(nodes, vec![]);
    outcome(&all).unwrap();
    computes_what_the_model_does(&all, &[1, 2, 4, 4]).unwrap();
    let square = Shape::new(2, 4, 4);
    made(vec![node("Mul", &["x", "x"], "y", &[])], vec![], &["multiply"], square);
    made(vec![node("Pow", &["x", "two"], "y", &[])], vec![floats("two", &[], &[2.0])], &["multiply"], square);
    made(vec![node("Pow", &["x", "two"], "y", &[])], vec![int64s("two", &[2])], &["multiply"], square);
    // More elements of one factor than a map has rows.
    for (kernel, factors) in [([4, 20_000], Shape::vector(1)), ([1, 20_000], Shape::vector(4))] {
        let nodes = vec![
            node("AveragePool", &["x"], "p", &[ints("kernel_shape", &kernel)]),
            node("ReduceMean", &["p"], "m", &[ints("axes", &[1])]),
            node("Mul", &["x", "m"], "y", &[]),
        ];
        let wide = of_input(&[1, 2, 4, 20_000], nodes, vec![]);
        let graph = outcome(&wide).unwrap();
        let product = graph.nodes.iter().find(|node| node.op == Op::Multiply).unwrap();
        assert_eq!(graph.nodes[product.inputs[1].0].shape, factors);
        computes_what_the_model_does(&wide, &[1, 2, 4, 20_000]).unwrap();
    }
    refused_node("Pow", &["x", "w"], &[], &[floats("w", &[], &[3.0])], &["powers other than 2"]);
}

/// The model and `x` of the given dimensions.
fn of_input(dims: &[i64], nodes: Vec<NodeProto>, tensors: Vec<TensorProto>) -> ModelProto {
    let mut model = model(nodes, tensors);
    model.graph.as_mut().unwrap().input = vec![value("x", dims)];
    model
}

/// A few bytes that ask for more than there is of memory or time are refused before it is taken.
#[test]
fn small_models_that_ask_for_much() {
    let start = std::time::Instant::now();
    // Kernels with zeros between their taps.
    let wide = |n: i64| [floats("w", &[n, 2, 2, 2], &vec![1.0; 8 * n as usize])];
    let far = [ints("dilations", &[65535, 65535]), ints("strides", &[2, 2])];
    refused_node("Conv", &["x", "w"], &far, &wide(64), &["zeros between its taps", "too large"]);
    refused_node(
        "ConvTranspose",
        &["x", "w"],
        &far[..1],
        &[floats("w", &[2, 1, 2, 2], &[1.0; 8])],
        &["too large"],
    );
    for stride in [1 << 10, 1 << 14, 1 << 16] {
        let strides = [ints("strides", &[stride, stride]), ints("output_shape", &[4, 4])];
        refused_node(
            "ConvTranspose",
            &["x", "w"],
            &strides,
            &[floats("w", &[2, 64, 1, 1], &[1.0; 128])],
            &["too large"],
        );
    }
    // Results that are repeated, padded, resized.
    let large = [int64s("n", &[1 << 20, 1 << 20, 4, 4]), int64s("p", &[0, 0, 1 << 30, 0, 0, 0, 0, 0])];
    let scales = floats("s", &[4], &[1.0, 1.0, 1e30, 1e30]);
    refused_node("Tile", &["x", "n"], &[], &large, &["not those of a tensor"]);
    refused_node(
        "Expand",
        &["x", "n"],
        &[],
        &[int64s("n", &[1 << 20, 2, 4, 4])],
        &["more than may be computed"],
    );
    refused_node("Expand", &["x", "n"], &[], &[int64s("n", &[1 << 62, 2, 4, 4])], &["not those of a tensor"]);
    refused_node("Pad", &["x", "p"], &[], &large, &["not those of a tensor"]);
    refused_node("Resize", &["x", "", "s"], &[], &[scales], &["not those of a tensor"]);
    let side = 1 << 13;
    let nodes = vec![
        node("Transpose", &["x"], "t", &[ints("perm", &[0, 1, 3, 2])]),
        node("Add", &["x", "t"], "y", &[]),
    ];
    refused(&of_input(&[1, 1, 1, side], nodes, vec![]), &["the-y", "moves more elements"]);
    // A matrix of no elements and of many columns, for a scalar.
    let nodes = vec![node("Reshape", &["x", "s"], "r", &[]), node("MatMul", &["r", "w"], "y", &[])];
    let tensors = vec![int64s("s", &[]), floats("w", &[0, 1 << 62], &[])];
    refused(&of_input(&[1, 1], nodes, tensors), &["the-y", "a scalar"]);
    // A constant is not shown.
    let many = bools("v", &[1 << 16], &[1; 1 << 16]);
    let message =
        outcome(&model(vec![node("Pad", &["x", "p", "v"], "y", &[])], vec![int64s("p", &[0; 8]), many]));
    assert!(message.unwrap_err().to_string().len() < 400);
    refused(&with_input(&[1; 9]), &["9 axes"]);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

/// What many nodes take of a large tensor costs what they take.
#[test]
fn little_of_much_many_times() {
    let start = std::time::Instant::now();
    let mut nodes = vec![node("Slice", &["x", "zero", "four", "one"], "s", &[])];
    let mut tensors = vec![int64s("zero", &[0]), int64s("four", &[4]), int64s("one", &[1])];
    let mut last = "s".to_owned();
    for i in 0..1000 {
        let (pads, padded, sum) = (format!("p{i}"), format!("q{i}"), format!("r{i}"));
        tensors.push(int64s(&pads, &[0, 0, 0, i % 3, 0, 0, 0, 2 - i % 3]));
        nodes.push(node("Pad", &["s", &pads], &padded, &[]));
        nodes.push(match i {
            0 => node("Relu", &[&padded], &sum, &[]),
            _ => node("Add", &[&last, &padded], &sum, &[]),
        });
        last = sum;
    }
    nodes.push(node("Relu", &[&last], "y", &[]));
    let graph = outcome(&of_input(&[1, 1 << 23, 1, 1], nodes, tensors)).unwrap();
    assert!(graph.nodes[1..].iter().all(|node| node.shape.len() <= 12));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());

    // The same where models are evaluated: parts, and elements at indices.
    let parts: Vec<String> = (0..4096).map(|i| format!("part{i}")).collect();
    let split = NodeProto { output: parts, ..node("Split", &["x"], "", &[int("axis", 0)]) };
    let mut nodes = vec![split, node("Gather", &["part7", "seven"], "v0", &[])];
    nodes.extend((0..1000).map(|i| node("Gather", &["x", "seven"], &format!("g{i}"), &[])));
    nodes.extend(
        (0..1000).map(|i| node("Add", &[&format!("v{i}"), &format!("g{i}")], &format!("v{}", i + 1), &[])),
    );
    nodes.push(node("Identity", &["v1000"], "y", &[]));
    let model = of_input(&[1 << 20], nodes, vec![int64s("seven", &[7])]);
    let x = Known::new(vec![1 << 20], Data::F32(vec![0.5; 1 << 20])).unwrap();
    let y = Model::parse(&model.encode_to_vec(), "whole").unwrap().evaluate(&[x]).unwrap();
    assert_eq!(y[0].data(), &Data::F32(vec![500.5]));
    assert!(start.elapsed().as_secs() < 40, "{:?}", start.elapsed());
}

/// What does not change the elements may change the dimensions, and attributes are those of the opset.
#[test]
fn dimensions_and_opsets_count() {
    // A constant of more axes than the tensor.
    let axes = ints("perm", &[1, 0, 2, 4, 3]);
    for (op, constant) in [("Max", 0.5), ("Min", 0.5), ("Add", 0.5), ("Mul", 0.5)] {
        let nodes = vec![
            node(op, &["x", "c"], "a", &[]),
            node("Transpose", &["a"], "y", std::slice::from_ref(&axes)),
        ];
        let five = model(nodes, vec![floats("c", &[1; 5], &[constant])]);
        outcome(&five).unwrap();
        computes_what_the_model_does(&five, &[1, 2, 4, 4]).unwrap();
    }
    // An odd number of rows and columns to cut off of a transposed convolution: more of them come first, but for SAME_UPPER.
    for how in ["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"] {
        let attributes = [ints("strides", &[2, 2]), ints("output_shape", &[6, 8]), text("auto_pad", how)];
        let w = floats("w", &[2, 1, 3, 3], &(0..18).map(|i| i as f32 / 8.0).collect::<Vec<_>>());
        let cut = model(vec![node("ConvTranspose", &["x", "w"], "y", &attributes)], vec![w]);
        outcome(&cut).unwrap();
        computes_what_the_model_does(&cut, &[1, 2, 4, 4]).unwrap();
    }
    // A matrix that is transposed to itself, and one that is turned.
    for perm in [[0, 1], [1, 0]] {
        let w = floats("w", &[4, 4], &(0..16).map(|i| i as f32 / 8.0).collect::<Vec<_>>());
        let nodes = vec![
            node("Transpose", &["w"], "t", &[ints("perm", &perm)]),
            node("MatMul", &["x", "t"], "y", &[]),
        ];
        let turned = model(nodes, vec![w]);
        outcome(&turned).unwrap();
        computes_what_the_model_does(&turned, &[1, 2, 4, 4]).unwrap();
    }
    // x times 1 + erf(x / sqrt 2), where one of them has an axis more: a table of products, and no GELU.
    let constants = || {
        vec![
            floats("root", &[], &[std::f32::consts::SQRT_2]),
            floats("one", &[], &[1.0]),
            int64s("two", &[2]),
        ]
    };
    let pieces = |more: &str| {
        vec![
            node("Unsqueeze", &["x", "two"], "column", &[]),
            node("Div", &["x", "root"], "d", &[]),
            node("Erf", &["d"], "e", &[]),
            node("Add", &["e", "one"], "s", &[]),
            node("Mul", &[more, "s"], "y", &[]),
        ]
    };
    refused(&of_input(&[1, 4], pieces("column"), constants()), &["the-y", "part of a GELU"]);
    let mut high = constants();
    high[1].dims = vec![1; 3];
    refused(&of_input(&[1, 4], pieces("x"), high), &["part of a GELU"]);
    // The bounds of a clip.
    let bounded = |opset: i64, inputs: &[&str], attributes: &[AttributeProto]| {
        let mut model = model(vec![node("Clip", inputs, "y", attributes)], vec![floats("c", &[], &[0.5])]);
        model.opset_import[0].version = Some(opset);
        model
    };
    outcome(&bounded(10, &["x"], &[real("min", 0.5)])).unwrap();
    outcome(&bounded(11, &["x", "c"], &[])).unwrap();
    refused(&bounded(11, &["x"], &[real("min", 0.5)]), &["the-y", "opset 10"]);
    refused(&bounded(10, &["x", "c"], &[]), &["the-y", "opset 11"]);
}

/// What PyTorch writes for the sizes of a padding, without folding: axes in pairs, from the last on, turned into starts and ends.
#[test]
fn known_matrices_may_be_transposed_and_computed_with() {
    let nodes = vec![
        node("Reshape", &["pairs", "in-pairs"], "rows", &[]),
        node("Slice", &["rows", "last", "first", "zero", "back"], "turned", &[]),
        node("Transpose", &["turned"], "columns", &[ints("perm", &[1, 0])]),
        node("Reshape", &["columns", "all"], "pads", &[]),
        node("Pad", &["x", "pads"], "y", &[]),
    ];
    let tensors = vec![
        int64s("pairs", &[1, 2, 3, 0, 0, 0, 0, 0]),
        int64s("in-pairs", &[-1, 2]),
        int64s("last", &[-1]),
        int64s("first", &[i64::MIN + 1]),
        int64s("zero", &[0]),
        int64s("back", &[-1]),
        int64s("all", &[-1]),
    ];
    let model = model(nodes, tensors);
    assert_eq!(outcome(&model).unwrap().output_shape(), Shape::new(2, 7, 7));
    computes_what_the_model_does(&model, &[1, 2, 4, 4]).unwrap();
}

/// A network with its channels last takes pictures as all others do; what it computes is the same.
#[test]
fn channels_last_are_taken_first() {
    let weights: Vec<f32> = (0..54).map(|i| (i as f32 - 20.0) / 16.0).collect();
    let tensors = vec![
        floats("mean", &[2], &[0.5, 0.25]),
        floats("w", &[3, 2, 3, 3], &weights),
        int64s("pads", &[0, 1, 0, 0, 0, 0, 2, 0]),
        floats("three", &[1, 1, 1, 3], &[0.5, -1.0, 2.0]),
        floats("six", &[3], &[0.25, 1.5, -0.5]),
    ];
    let transpose = |from, to| node("Transpose", &[from], to, &[ints("perm", &[0, 3, 1, 2])]);
    let conv = node("Conv", &["t", "w"], "y", &[]);
    let channels_last = |nodes| {
        let mut model = model(nodes, tensors.clone());
        model.graph.as_mut().unwrap().input = vec![value("x", &[0, 5, 4, 2])];
        model
    };
    let direct = channels_last(vec![transpose("x", "t"), conv.clone()]);
    let shifted = channels_last(vec![
        node("Cast", &["x"], "a", &[int("to", 1)]),
        node("Sub", &["a", "mean"], "b", &[]),
        node("Pad", &["b", "pads"], "c", &[]),
        transpose("c", "t"),
        conv.clone(),
    ]);
    let picture = forward::pattern(40);
    let places: Vec<usize> = (0..40).map(|i| i % 2 * 20 + i / 2).collect();
    let last: Vec<f32> = places.iter().map(|&place| picture[place]).collect();
    // What comes between convolutions leaves nothing that moves: biases, batch norms, activations and sums.
    let back = |from, to| node("Transpose", &[from], to, &[ints("perm", &[0, 2, 3, 1])]);
    let between = channels_last(vec![
        transpose("x", "t"),
        node("Conv", &["t", "w"], "a", &[]),
        back("a", "b"),
        node("Add", &["b", "three"], "c", &[]),
        node("Mul", &["six", "c"], "d", &[]),
        node("Relu", &["d"], "e", &[]),
        node("Add", &["e", "c"], "f", &[]),
        node("Clip", &["f"], "g", &[]),
        transpose("g", "h"),
        node("Relu", &["h"], "y", &[]),
    ]);
    for (model, kinds) in [
        (&direct, &["conv"][..]),
        (&shifted, &["batch norm", "view", "conv"]),
        (&between, &["conv", "batch norm", "batch norm", "relu", "add", "clip", "relu"]),
    ] {
        let graph = outcome(model).unwrap();
        assert_eq!(graph.input_shape(), Shape::new(2, 5, 4));
        assert_eq!(graph.name, "the-file");
        let expected = Model::parse(&model.encode_to_vec(), "m").unwrap();
        let input = Known::new(vec![1, 5, 4, 2], Data::F32(last.clone())).unwrap();
        let outputs = expected.evaluate(&[input]).unwrap();
        let Data::F32(expected) = outputs[0].data() else { panic!("no floats") };
        forward::assert_close(&forward::logits(&graph, &picture), expected, 1e-5, "channels last");
        let got: Vec<&str> = graph.nodes.iter().skip(1).map(|node| node.op.kind()).collect();
        assert_eq!(got, kinds);
    }
    // A choice between an activation and what it reads is found where both have been moved.
    let chosen =
        vec![back("x", "b"), node("Relu", &["b"], "r", &[]), node("Where", &["mask", "r", "b"], "y", &[])];
    computes_what_the_model_does(&model(chosen, vec![bools("mask", &[2], &[1, 0])]), &[1, 2, 4, 4]).unwrap();
    // Anything else that reads it sees it as it is.
    for nodes in [
        vec![transpose("x", "t"), conv.clone(), node("Relu", &["x"], "z", &[])],
        vec![node("Relu", &["x"], "a", &[]), transpose("a", "t"), conv.clone()],
    ] {
        let needed = nodes.iter().any(|node| node.output[0] == "a");
        let input = outcome(&channels_last(nodes)).unwrap().input_shape();
        let [last, first] = [Shape::new(5, 4, 2), Shape::new(2, 5, 4)];
        assert_eq!(
            input,
            if needed { last } else { first },
            "nodes that the output does not need do not count"
        );
    }
    let options = Options { input: Some(vec![1, 5, 4, 2]), output: None };
    let mut open = direct;
    open.graph.as_mut().unwrap().input = vec![value("x", &[0, -1, -1, 2])];
    let graph = read_with(&open.encode_to_vec(), "open", &options).unwrap();
    assert_eq!(graph.input_shape(), Shape::new(2, 5, 4));
}
