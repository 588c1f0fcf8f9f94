use crate::forward;
use crate::onnx::{MODELS, random_graph, steps};
use copriv_import::{Error, onnx, picture, safetensors, zoo};
use copriv_ir::{Graph, GraphBuilder, Op, Shape};
use proptest::prelude::*;

/// Name, type, shape, bytes.
type Tensor<'a> = (&'a str, &'a str, &'a [usize], &'a [u8]);

/// A file of these tensors.
fn file(tensors: &[Tensor<'_>]) -> Vec<u8> {
    let (mut header, mut data) = (String::from("{"), Vec::new());
    for (i, (name, kind, shape, bytes)) in tensors.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let (from, to) = (data.len(), data.len() + bytes.len());
        header += &format!(
            r#"{comma}"{name}":{{"dtype":"{kind}","shape":{shape:?},"data_offsets":[{from},{to}]}}"#
        );
        data.extend_from_slice(bytes);
    }
    header += "}";
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// A linear layer of 2 inputs and 1 output, without bias.
fn linear() -> Graph {
    let mut net = GraphBuilder::new("two", Shape::vector(2)).unwrap();
    let x = net.linear("fc", net.input(), vec![1.0, 2.0], vec![0.0]).unwrap();
    net.finish(x).unwrap()
}

fn why(result: Result<(), Error>) -> String {
    match result {
        Err(error @ Error::Weights { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_zoo_takes_its_own_weights() {
    let folder = tempfile::tempdir().unwrap();
    for name in
        ["digits", "minionn-cifar10", "squeezenet-cifar10", "resnet32-cifar100", "mobilenetv2-cifar100"]
    {
        let trained = zoo::build(name, 5).unwrap();
        let path = folder.path().join(name);
        safetensors::save_weights(&trained, &path).unwrap();
        let mut graph = zoo::build(name, 6).unwrap();
        safetensors::load_weights(&mut graph, &path).unwrap();
        assert_eq!(graph, trained);
        assert_eq!(copriv_import::load_with_weights(&format!("zoo:{name}"), Some(&path)).unwrap(), trained);
    }
    let path = folder.path().join("digits");
    let error =
        copriv_import::load_with_weights("zoo:resnet20-cifar10", Some(&path)).unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("missing"), "{error}");
}

proptest! {
    #[test]
    fn reading_undoes_writing((input, steps) in steps()) {
        let graph = random_graph(input, &steps);
        let mut other = graph.clone();
        for node in &mut other.nodes {
            match &mut node.op {
                Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. } => {
                    weight.fill(0.0);
                    bias.fill(0.0);
                }
                Op::BatchNorm { scale, shift } => {
                    scale.fill(0.0);
                    shift.fill(0.0);
                }
                _ => {}
            }
        }
        safetensors::apply(&mut other, &safetensors::write(&graph).unwrap()).unwrap();
        prop_assert_eq!(other, graph);
    }
}

/// The state dict of a PyTorch network, batch norms and all, against onnxruntime's output for it.
#[test]
fn a_state_dict_of_torch_fits() {
    let (name, bytes, logits) = MODELS[3];
    assert_eq!(name, "unfolded");
    let mut graph = onnx::read(bytes, name).unwrap();
    for node in &mut graph.nodes {
        // "/block/bn1/BatchNormalization" is the module block.bn1.
        let module = node.name.trim_start_matches('/').rsplit_once('/').map_or("", |(module, _)| module);
        node.name = module.replace('/', ".");
        match &mut node.op {
            Op::Conv { weight, .. } | Op::Linear { weight, .. } => weight.fill(9.0),
            Op::BatchNorm { scale, .. } => scale.fill(9.0),
            _ => {}
        }
    }
    safetensors::apply(&mut graph, include_bytes!("../models/unfolded.safetensors")).unwrap();
    let expected = picture::decode(logits, graph.output_shape()).unwrap();
    let got = forward::logits(&graph, &forward::pattern(graph.input_shape().len()));
    forward::assert_close(&got, &expected, 1e-5, name);
}

#[test]
fn half_floats_are_widened() {
    let mut graph = linear();
    safetensors::apply(&mut graph, &file(&[("fc.weight", "F16", &[1, 2], &[0x00, 0x3c, 0x00, 0xc0])]))
        .unwrap();
    let Op::Linear { weight, bias, .. } = &graph.nodes[1].op else { unreachable!() };
    assert_eq!((&weight[..], &bias[..]), (&[1.0, -2.0][..], &[0.0][..]));
    let bias = floats(&[0.5]);
    let tensors: [Tensor<'_>; 2] =
        [("fc.weight", "BF16", &[1, 2], &[0x80, 0x3f, 0x40, 0xc0]), ("fc.bias", "F32", &[1], &bias)];
    safetensors::apply(&mut graph, &file(&tensors)).unwrap();
    let Op::Linear { weight, bias, .. } = &graph.nodes[1].op else { unreachable!() };
    assert_eq!((&weight[..], &bias[..]), (&[1.0, -3.0][..], &[0.5][..]));
}

#[test]
fn misfits_are_named_and_change_nothing() {
    let ok = floats(&[1.0, -1.0]);
    let nan = floats(&[1.0, f32::NAN]);
    let cases: [(&[Tensor<'_>], &[&str]); 6] = [
        (&[], &["missing fc.weight"]),
        (&[("fc.weight", "F32", &[2, 1], &ok)], &["fc.weight", "[2, 1]", "[1, 2]"]),
        (&[("fc.weight", "F32", &[1, 2], &nan)], &["fc.weight", "element 1", "NaN"]),
        (&[("fc.weight", "I32", &[1, 2], &ok)], &["fc.weight", "float32"]),
        (
            &[("fc.weight", "F32", &[1, 2], &ok), ("fc2.weight", "F32", &[1, 2], &ok)],
            &["left over fc2.weight", "network two"],
        ),
        (&[("fc1.weight", "F32", &[1, 2], &ok)], &["missing fc.weight", "left over fc1.weight"]),
    ];
    for (tensors, words) in cases {
        let mut graph = linear();
        let message = why(safetensors::apply(&mut graph, &file(tensors)));
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert_eq!(graph, linear(), "{message}");
    }
    // A bias that the network has must be in the file.
    let mut graph = linear();
    graph.nodes[1].op = Op::Linear { outputs: 1, weight: vec![1.0, 2.0], bias: vec![3.0] };
    let message = why(safetensors::apply(&mut graph, &file(&[("fc.weight", "F32", &[1, 2], &ok)])));
    assert!(message.contains("missing fc.bias"), "{message}");
    // The counter that PyTorch keeps in batch norms is no weight.
    let counter: Tensor<'_> = ("bn.num_batches_tracked", "I64", &[], &[1, 0, 0, 0, 0, 0, 0, 0]);
    safetensors::apply(&mut linear(), &file(&[("fc.weight", "F32", &[1, 2], &ok), counter])).unwrap();
}

#[test]
fn two_nodes_of_one_name_are_refused() {
    let mut net = GraphBuilder::new("twins", Shape::vector(1)).unwrap();
    let x = net.linear("fc", net.input(), vec![1.0], vec![0.0]).unwrap();
    let x = net.linear("fc", x, vec![2.0], vec![0.0]).unwrap();
    let mut graph = net.finish(x).unwrap();
    let error = safetensors::write(&graph).unwrap_err().to_string();
    assert!(error.contains("two nodes are called fc"), "{error}");
    assert!(why(safetensors::apply(&mut graph, &file(&[]))).contains("two nodes"));
}
