//! Models of other writers against what onnxruntime computes, and the law `read(write(g)) == g`.

use crate::forward;
use copriv_import::{onnx, picture, zoo};
use copriv_ir::{
    Activation, Axis, Function, Graph, GraphBuilder, NodeId, Op, Shape, View, Window, fold_affine,
};
use proptest::prelude::*;

macro_rules! model {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../models/", $name, ".onnx")),
            include_bytes!(concat!("../models/", $name, ".logits.npy")),
        )
    };
}

/// Name, model, onnxruntime's output for [`forward::pattern`]; made by `tests/models/make.py`.
pub const MODELS: [(&str, &[u8], &[u8]); 8] = [
    model!("torchscript-opset11"),
    model!("torchscript-opset17"),
    model!("dynamo-opset18"),
    model!("unfolded"),
    model!("tensorflow-like"),
    model!("old-opset7"),
    model!("vector"),
    model!("masked"),
];

#[test]
fn models_compute_what_onnxruntime_computes() {
    for (name, bytes, logits) in MODELS {
        let graph = onnx::read(bytes, name).unwrap();
        graph.validate().unwrap();
        let expected = picture::decode(logits, graph.output_shape()).unwrap();
        let got = forward::logits(&graph, &forward::pattern(graph.input_shape().len()));
        forward::assert_close(&got, &expected, 1e-5, name);
    }
}

#[test]
fn models_survive_a_round_trip() {
    for (name, bytes, _) in MODELS {
        let graph = onnx::read(bytes, name).unwrap();
        assert_eq!(onnx::read(&onnx::write(&graph), name).unwrap(), graph, "{name}");
    }
    for name in zoo::names() {
        let graph = zoo::build(name, 3).unwrap();
        assert_eq!(onnx::read(&onnx::write(&graph), name).unwrap(), graph, "{name}");
    }
}

/// ONNX adds a map of biases after the convolution; folded it is the same.
#[test]
fn maps_of_biases_survive_a_round_trip() {
    let mut net = GraphBuilder::new("maps", Shape::new(2, 3, 4)).unwrap();
    let bias = (0..3 * 12).map(|i| i as f32 / 8.0).collect();
    let op = Op::Conv {
        window: Window::square(3, 1, 1),
        groups: 1,
        out_channels: 3,
        weight: (0..54).map(|i| i as f32 / 16.0).collect(),
        bias,
    };
    let x = net.push("conv", op, vec![net.input()]).unwrap();
    let x = net.relu("relu", x).unwrap();
    let graph = net.finish(x).unwrap();
    let again = onnx::read(&onnx::write(&graph), "maps").unwrap();
    assert_ne!(again, graph);
    let folded = fold_affine(&again).unwrap();
    let ops = |graph: &Graph| graph.nodes.iter().map(|node| node.op.clone()).collect::<Vec<_>>();
    assert_eq!(ops(&folded), ops(&graph));
    let bytes = copriv_import::safetensors::write(&graph).unwrap();
    let mut other = graph.clone();
    for node in &mut other.nodes {
        if let Op::Conv { weight, bias, .. } = &mut node.op {
            (*weight, *bias) = (vec![0.0; weight.len()], vec![0.0; bias.len()]);
        }
    }
    copriv_import::safetensors::apply(&mut other, &bytes).unwrap();
    assert_eq!(other, graph);
}

#[test]
fn files_are_named_after_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("minionn-cifar10.onnx");
    let graph = zoo::build("minionn-cifar10", 3).unwrap();
    onnx::save(&graph, &path).unwrap();
    assert_eq!(onnx::load(&path).unwrap(), graph);
    assert_eq!(copriv_import::load(path.to_str().unwrap()).unwrap(), graph);
    std::fs::write(&path, b"not a model").unwrap();
    let error = onnx::load(&path).unwrap_err().to_string();
    assert!(error.contains("minionn-cifar10.onnx") && error.contains("ONNX"), "{error}");
}

/// One step of a random graph: an operator, where its operands come from, and numbers to make the rest of.
type Step = (u8, usize, usize, [usize; 4]);

/// A graph of the steps that fit; flattening a vector is left out, as ONNX leaves it out.
pub fn random_graph(input: Shape, steps: &[Step]) -> Graph {
    random_graph_of(input, steps, 14)
}

/// The same of so many kinds of steps; those from the 14th on are written as several operators.
fn random_graph_of(input: Shape, steps: &[Step], kinds: u8) -> Graph {
    let mut net = GraphBuilder::new("random", input).unwrap();
    let mut nodes = vec![net.input()];
    let (mut seed, mut products) = (1u32, 0);
    let mut weights = |count: usize| -> Vec<f32> {
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| next()).collect()
    };
    for (index, &(kind, from, other, [a, b, c, d])) in steps.iter().enumerate() {
        // Mostly onwards from the latest nodes.
        let x = nodes[nodes.len() - 1 - from % nodes.len().min(3)];
        let y = nodes[other % nodes.len()];
        let shape = net.shape(x);
        let name = format!("node{index}");
        let window = Window {
            kernel: [1 + a % 3, 1 + b % 3],
            stride: [1 + c % 2, 1 + d % 2],
            padding: [b % 2, a % 2, c % 2, d % 2],
        };
        let op = match kind % kinds {
            0 | 1 => {
                let groups = if a % 2 == 0 { 1 } else { shape.channels };
                let out_channels = groups * (1 + b % 4);
                let count = out_channels * (shape.channels / groups) * window.area();
                Op::Conv { window, groups, out_channels, weight: weights(count), bias: weights(out_channels) }
            }
            2 => {
                Op::Linear { outputs: 1 + a, weight: weights((1 + a) * shape.channels), bias: weights(1 + a) }
            }
            3 => Op::BatchNorm { scale: weights(shape.channels), shift: weights(shape.channels) },
            4 => Op::Relu,
            5 => Op::Clip { low: -(a as f32), high: 1.0 + b as f32 },
            6 => Op::MaxPool(window),
            7 => Op::AvgPool(window),
            8 => Op::GlobalAvgPool,
            9 => Op::Add,
            10 => Op::Concat,
            12 | 13 => {
                let clip = Activation::Clip { low: -(a as f32), high: 1.0 };
                // None, all, whole channels, any.
                let kept = |i: usize| match b % 4 {
                    0 => c % 2 == 0,
                    1 => (i / shape.area() + c).is_multiple_of(2),
                    _ => (i * (2 * d + 1) / 3 + c).is_multiple_of(3),
                };
                let keep: Vec<bool> = (0..shape.len()).map(kept).collect();
                let activation = if kind % kinds == 12 { Activation::Relu } else { clip };
                Op::Partial { activation, keep: keep.into() }
            }
            14 => Op::Smooth(Function::ALL[a % 6]),
            15 => Op::Combine { factors: [[1.0, -1.0], [0.25, 0.75], [2.0, -0.5]][b % 3] },
            16 => Op::AvgPoolInside(window),
            17 => {
                // Rows and columns changed about, a frame around them, backwards, or some of them.
                let [height, width] = [shape.height as u32, shape.width as u32];
                let row = Axis { size: height + a as u32 % 2, ..Axis::whole(height, width) };
                let column = Axis {
                    size: width.div_ceil(2),
                    start: (width - 1) as i32,
                    step: -2,
                    ..Axis::whole(width, 1)
                };
                let channels = Axis::whole(shape.channels as u32, height * width);
                let (size, axes) = match b % 2 {
                    0 => ([row.size, column.size], [channels, row, column]),
                    _ => ([column.size, row.size], [channels, column, row]),
                };
                let to = Shape::new(shape.channels, size[0] as usize, size[1] as usize);
                Op::View(View::new(to, &axes).unwrap())
            }
            // Few: products of products grow beyond floats.
            18 if products < 2 => {
                products += 1;
                Op::Multiply
            }
            _ if shape.is_vector() => continue,
            _ => Op::Flatten,
        };
        let inputs: Vec<NodeId> = match op {
            Op::Add | Op::Combine { .. } | Op::Multiply => vec![x, y],
            Op::Concat => vec![x, y, x][..1 + a % 3].to_vec(),
            _ => vec![x],
        };
        if let Ok(id) = net.push(name, op, inputs) {
            nodes.push(id);
        }
    }
    let last = nodes[nodes.len() - 1];
    net.finish(last).unwrap()
}

pub fn steps() -> impl Strategy<Value = (Shape, Vec<Step>)> {
    let shape = (1..5usize, 1..9usize, 1..9usize).prop_map(|(c, h, w)| Shape::new(c, h, w));
    let step = (any::<u8>(), any::<usize>(), any::<usize>(), prop::array::uniform4(0..8usize));
    (shape, prop::collection::vec(step, 0..16))
}

proptest! {
    #[test]
    fn reading_undoes_writing((input, steps) in steps()) {
        let graph = random_graph(input, &steps);
        // A graph of its input alone has nothing to compute, which ONNX can say too.
        prop_assert_eq!(onnx::read(&onnx::write(&graph), "random").unwrap(), graph);
    }

    #[test]
    fn what_is_read_computes_what_was_written((input, steps) in steps()) {
        let graph = random_graph_of(input, &steps, 19);
        let read = onnx::read(&onnx::write(&graph), "random").unwrap();
        let x = forward::pattern(input.len());
        forward::assert_close(&forward::logits(&read, &x), &forward::logits(&graph, &x), 1e-5, "random");
    }

    /// Whatever the names are.
    #[test]
    fn names_may_be_anything((input, steps) in steps(), names in prop::collection::vec("[ab.#]{0,3}", 20)) {
        let mut graph = random_graph(input, &steps);
        for (node, name) in graph.nodes.iter_mut().zip(names) {
            node.name = name;
        }
        let mut read = onnx::read(&onnx::write(&graph), "random").unwrap();
        for (node, original) in read.nodes.iter_mut().zip(&graph.nodes) {
            node.name.clone_from(&original.name);
        }
        prop_assert_eq!(read, graph);
    }
}
