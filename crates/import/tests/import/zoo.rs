//! The networks of the zoo: what they cost, that their values keep their size, and that they never change.

use crate::forward;
use copriv_import::{Error, zoo};
use copriv_ir::{
    Architecture, Graph, Layer, LayerOp, LowerOptions, Op, Simplify, lower, simplify_architecture,
};
use copriv_ring::Width;

/// Bytes that the convolutions of a network take by oblivious transfer as im2col products in Z_{2^41}, IKNP.
struct Bytes {
    /// With the activations choosing.
    activations: f64,
    /// With whichever side is cheaper choosing, layer by layer.
    best: f64,
}

fn conv_bytes(graph: &Graph) -> Bytes {
    let l = 41.0;
    let mut total = Bytes { activations: 0.0, best: 0.0 };
    for node in &graph.nodes {
        let Op::Conv { window, groups, out_channels, .. } = &node.op else { continue };
        let channels = graph.nodes[node.inputs[0].0].shape.channels;
        let c = (channels / groups * window.area()) as f64;
        let (t, k) = (node.shape.area() as f64, (out_channels / groups) as f64);
        let products = k * c * t * l * (l + 1.0) / 2.0 / 8.0;
        total.activations += *groups as f64 * (c * t * l * 16.0 + products);
        total.best += *groups as f64 * (c * t.min(k) * l * 16.0 + products);
    }
    total
}

/// The published networks are these: 60.7 to 64.8 GB for ResNet-18 on CIFAR-100 and so on.
#[test]
fn convolutions_cost_what_the_formula_says() {
    for (name, low, high) in [
        ("resnet18-cifar100", 60.0, 65.0),
        ("resnet32-cifar100", 7.7, 8.5),
        ("resnet18-tinyimagenet", 240.0, 249.0),
    ] {
        let best = conv_bytes(&zoo::build(name, 1).unwrap()).best / 1e9;
        assert!((low..=high).contains(&best), "{name}: {best} GB");
    }
    for (name, activations, best) in [
        ("resnet18-cifar100", 62.546419712, 60.734516224),
        ("resnet32-cifar100", 9.118169088, 7.743728384),
        ("resnet18-tinyimagenet", 250.185678848, 241.612672),
    ] {
        let got = conv_bytes(&zoo::build(name, 1).unwrap());
        assert!((got.activations / 1e9 - activations).abs() < 1e-6, "{name}: {}", got.activations);
        assert!((got.best / 1e9 - best).abs() < 1e-6, "{name}: {}", got.best);
    }
}

#[test]
fn values_keep_their_size() {
    for name in zoo::names() {
        let graph = zoo::build(name, 7).unwrap();
        graph.validate().unwrap();
        let cost = conv_bytes(&graph);
        let values = forward::all(&graph, &forward::pattern(graph.input_shape().len()));
        let largest = values.iter().flatten().fold(0f32, |m, v| m.max(v.abs()));
        let logits = values.last().unwrap();
        let mean = logits.iter().sum::<f32>() / logits.len() as f32;
        let spread = (logits.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / logits.len() as f32).sqrt();
        println!(
            "{name}: convolutions {:.2} GB ({:.2} with the best role), {} -> {}, largest {largest}, logits {mean} ± {spread}",
            cost.activations / 1e9,
            cost.best / 1e9,
            graph.input_shape(),
            graph.output_shape(),
        );
        assert!(largest < 1024.0, "{name}: {largest}");
        assert!(spread > 1e-2, "{name}: {spread}");
    }
}

/// Lowered to l = 41 and f = 12, and simplified with a headroom of 1 for kernels of 3x3 and stride 1.
fn simplified(name: &str) -> [Architecture; 2] {
    let options = LowerOptions { width: Width::of(41), frac_bits: 12 };
    let lowered = lower(&zoo::build(name, 1).unwrap(), options).unwrap().architecture;
    let mut headroom = |layer: &Layer, _| match layer.op {
        LayerOp::Conv(g) => u32::from(g.window.kernel == [3, 3] && g.window.stride == [1, 1]),
        _ => 0,
    };
    let simple = simplify_architecture(&lowered, &Simplify::default(), &mut headroom).unwrap();
    [lowered, simple]
}

#[test]
fn a_residual_block_truncates_once_a_relu() {
    for name in ["resnet20-cifar10", "resnet32-cifar100", "resnet18-cifar100", "resnet18-tinyimagenet"] {
        let [lowered, simple] = simplified(name);
        let count = |net: &Architecture, kind: &str| {
            net.layers.iter().filter(|layer| layer.op.kind() == kind).count()
        };
        // The last ReLU is averaged as it is. Its means are truncated, and the logits.
        assert_eq!(count(&simple, "relu_truncate") + 1, count(&lowered, "relu"), "{name}");
        assert_eq!(count(&simple, "relu"), 1, "{name}");
        assert_eq!(count(&simple, "truncate"), 2, "{name}");
        for layer in &simple.layers {
            let operands = layer.inputs.iter().map(|&input| simple.layers[input].op);
            match layer.op {
                LayerOp::Add => {
                    let product = |op| matches!(op, LayerOp::Conv(_) | LayerOp::Shift { .. });
                    assert!(operands.into_iter().all(product), "{name}: {}", layer.name);
                }
                LayerOp::Truncate { .. } => assert!(layer.shape.is_vector(), "{name}: {}", layer.name),
                LayerOp::Conv(g) => assert!(g.headroom <= 1),
                _ => {}
            }
        }
    }
}

#[test]
fn no_network_truncates_more_when_simplified() {
    let truncated = |net: &Architecture| -> usize {
        let truncates = |layer: &&Layer| match layer.op {
            LayerOp::Truncate { .. } | LayerOp::ReluTruncate { .. } | LayerOp::ClipTruncate { .. } => true,
            LayerOp::AvgPool { shift, .. } => shift > 0,
            _ => false,
        };
        net.layers.iter().filter(truncates).map(|layer| layer.shape.len()).sum()
    };
    for name in zoo::names() {
        let [lowered, simple] = simplified(name);
        let [before, after] = [&lowered, &simple].map(truncated);
        println!("{name}: {before} elements truncated, {after} when simplified");
        assert!(after <= before, "{name}");
    }
}

/// FNV-1a over the bits of all weights.
fn digest(graph: &Graph) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut feed = |values: &[f32]| {
        for byte in values.iter().flat_map(|v| v.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for node in &graph.nodes {
        match &node.op {
            Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. } => {
                feed(weight);
                feed(bias);
            }
            Op::BatchNorm { scale, shift } => {
                feed(scale);
                feed(shift);
            }
            _ => {}
        }
    }
    hash
}

/// Weights are part of what two machines must agree on: these digests may not change.
#[test]
fn weights_are_the_same_everywhere() {
    for (name, expected) in [
        ("minionn-cifar10", 2187829952526801734),
        ("squeezenet-cifar10", 5876321377840967264),
        ("resnet20-cifar10", 14222662073666667171),
        ("mobilenetv2-cifar100", 17748452540528464784),
        ("resnet20-digits", 1153423812256809872),
        ("mobilenetv2-digits", 8431386931546134970),
    ] {
        assert_eq!(digest(&zoo::build(name, 1).unwrap()), expected, "{name}");
    }
    let digests = [1, 2].map(|seed| digest(&zoo::build("resnet20-cifar10", seed).unwrap()));
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn shapes_are_those_of_the_papers() {
    let shape = |name: &str, node: &str| {
        let graph = zoo::build(name, 1).unwrap();
        graph.nodes.iter().find(|n| n.name == node).unwrap().shape.to_string()
    };
    let layers = |name: &str| {
        let graph = zoo::build(name, 1).unwrap();
        let is_layer = |node: &&copriv_ir::Node| {
            matches!(node.op, Op::Conv { .. } | Op::Linear { .. }) && !node.name.contains("downsample")
        };
        graph.nodes.iter().filter(is_layer).count()
    };
    let weights = |name: &str| {
        let graph = zoo::build(name, 1).unwrap();
        let count = |node: &copriv_ir::Node| match &node.op {
            Op::Conv { weight, .. } => weight.len(),
            Op::Linear { weight, bias, .. } => weight.len() + bias.len(),
            Op::BatchNorm { scale, shift } => scale.len() + shift.len(),
            _ => 0,
        };
        graph.nodes.iter().map(count).sum::<usize>()
    };
    assert_eq!(
        ["resnet20-cifar10", "resnet32-cifar100", "resnet18-cifar100", "resnet20-digits"].map(layers),
        [20, 32, 18, 20]
    );
    assert_eq!(shape("minionn-cifar10", "flatten"), "1024x1x1");
    assert_eq!(shape("resnet18-tinyimagenet", "layer4.1.relu2"), "512x8x8");
    assert_eq!(shape("mobilenetv2-cifar100", "features.18.2"), "1280x4x4");
    assert_eq!(shape("mobilenetv2-imagenet", "features.18.2"), "1280x7x7");
    assert_eq!(shape("squeezenet-cifar10", "fire5.concat"), "256x8x8");
    assert_eq!(shape("resnet20-digits", "layer2.0.relu2"), "16x7x7");
    assert_eq!(shape("resnet20-digits", "layer3.2.relu2"), "32x4x4");
    assert_eq!(shape("mobilenetv2-digits", "features.1.conv.0.2"), "48x14x14");
    assert_eq!(shape("mobilenetv2-digits", "features.6.conv.0.2"), "72x7x7");
    assert_eq!(shape("mobilenetv2-digits", "features.9.2"), "64x7x7");
    // torchvision's count of parameters.
    assert_eq!(weights("mobilenetv2-imagenet"), 3_504_872);
}

#[test]
fn an_unknown_name_lists_the_known() {
    let error = zoo::build("resnet50", 1).unwrap_err();
    assert!(matches!(error, Error::UnknownNetwork { .. }));
    assert!(error.to_string().contains("resnet32-cifar100"), "{error}");
    assert!(copriv_import::load("zoo:nothing").is_err());
    assert!(matches!(copriv_import::load("model.pt"), Err(Error::UnknownSpec { .. })));
    assert!(matches!(copriv_import::load("/nowhere/model.onnx"), Err(Error::Io { .. })));
}

/// The shipped network gives the logits that onnxruntime gave when it was trained, on all pictures it has not seen.
#[test]
fn digits_are_read() {
    let graph = zoo::build("digits", 0).unwrap();
    let (pictures, labels) = zoo::digits_heldout().unwrap();
    assert_eq!((pictures.len(), labels.len()), (1000, 1000));
    let shape = copriv_ir::Shape::new(10, 1, 1);
    let expected =
        copriv_import::picture::decode_batch(include_bytes!("../../assets/digits-logits.npy"), shape);
    // Logits are no picture: shape N,10 is refused, so they are read as what follows the header.
    assert!(expected.is_err());
    let file = include_bytes!("../../assets/digits-logits.npy");
    let expected: Vec<f32> = file[128..].as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    let mut right = 0;
    for (i, (picture, label)) in pictures.iter().zip(&labels).enumerate() {
        let logits = forward::logits(&graph, picture);
        forward::assert_close(&logits, &expected[10 * i..][..10], 1e-4, &format!("picture {i}"));
        let best = (0..10).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        right += usize::from(best == *label);
    }
    assert!(right >= 980, "{right} of 1000 right");
}
