//! An architecture is what a peer sends: it is refused or it is well-formed, and nothing panics.

use copriv_ir::{Architecture, Error, Fault, LayerOp, Mask, Shape, Simplify, simplify_architecture};
use proptest::prelude::*;
use serde_json::Value;

/// As lowered, as simplified, with activations of some elements, and as imported.
fn architectures() -> [Architecture; 4] {
    use crate::common::{imported, lowered, partial, simplified};
    [lowered(), simplified(), partial(), imported()]
        .map(|net| net.expect("the network is valid").architecture)
}

fn parse(json: &str) -> Option<Architecture> {
    serde_json::from_str(json).ok()
}

/// What a user of an accepted architecture relies on.
fn is_well_formed(net: &Architecture) {
    let last = net.last_use();
    assert_eq!(last.len(), net.layers.len());
    assert_eq!(net.input_shape(), net.layers[0].shape);
    assert!(!net.output_shape().is_empty());
    for (index, layer) in net.layers.iter().enumerate() {
        assert!(last[index] >= index);
        assert!(layer.shape.check().is_ok());
        assert!(layer.frac_bits < net.width.bits());
        assert_eq!(layer.op == LayerOp::Input, index == 0);
        assert!(layer.inputs.iter().all(|&input| input < index && last[input] >= index));
        assert!(layer.op.matrix_shape().is_none_or(|[rows, cols]| rows * cols < 1 << 31));
        if let Some(keep) = &layer.keep {
            assert!(layer.op.is_activation() && keep.len() == layer.shape.len());
            assert!((1..keep.len()).contains(&layer.kept()));
        }
        if let LayerOp::Conv(g) = layer.op {
            assert!(net.layers[layer.inputs[0]].frac_bits + g.headroom <= layer.frac_bits);
        }
    }
    assert_eq!(net.nonnegative().len(), net.layers.len());
}

/// Simplifying whatever was accepted gives something well-formed with the same output.
fn simplifies(net: &Architecture, headroom: u32) {
    for (fuse, integer_bits) in [(true, 0), (false, 8), (true, u32::MAX)] {
        let [fuse_relu_truncate, fuse_clip_truncate] = [fuse; 2];
        let options = Simplify { fuse_relu_truncate, fuse_clip_truncate, integer_bits };
        let simple = simplify_architecture(net, &options, &mut |_, _| headroom).expect("it is valid");
        assert_eq!(simple.validate(), Ok(()));
        is_well_formed(&simple);
        let output = |net: &Architecture| net.layers.last().map(|layer| (layer.shape, layer.frac_bits));
        assert_eq!(output(&simple), output(net));
    }
}

#[test]
fn json_round_trip() {
    for net in architectures() {
        let json = serde_json::to_string(&net).expect("serialises");
        assert!(json.contains("\"headroom\":0"));
        let back = parse(&json).expect("parses");
        assert_eq!(back, net);
        assert_eq!(back.validate(), Ok(()));
        is_well_formed(&back);
        for headroom in [0, 3, 4_000_000_000, u32::MAX] {
            simplifies(&back, headroom);
        }
    }
}

#[test]
fn headroom_is_always_written() {
    let json = serde_json::to_string(&architectures()[0]).expect("serialises");
    assert_eq!(parse(&json.replacen(",\"headroom\":0", "", 1)), None);
}

#[test]
fn every_kind_is_there() {
    let mut kinds: Vec<_> =
        architectures().iter().flat_map(|net| &net.layers).map(|layer| layer.op.kind()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let all = [
        "add",
        "avgpool",
        "clip",
        "combine",
        "concat",
        "conv",
        "flatten",
        "gelu",
        "inner_avgpool",
        "input",
        "linear",
        "maxpool",
        "multiply",
        "relu",
        "relu6",
        "relu6_truncate",
        "relu_truncate",
        "shift",
        "truncate",
        "view",
    ];
    assert_eq!(kinds, all);
}

/// Whatever is wrong with a mask, it is said of which layer.
#[test]
fn masks_are_checked() {
    let good = &architectures()[2];
    let masked = good.layers.iter().position(|layer| layer.keep.is_some()).expect("there is one");
    let fault = |change: &dyn Fn(&mut Architecture)| {
        let mut net = good.clone();
        change(&mut net);
        match net.validate() {
            Err(Error::Node { node, fault }) => (node, fault),
            other => panic!("{other:?}"),
        }
    };
    let name = good.layers[masked].name.clone();
    let short = fault(&|net| net.layers[masked].keep = Some(vec![true, false].into()));
    assert_eq!(short, (name.clone(), Fault::Length { what: "mask", expected: 18, got: 2 }));
    let idle = fault(&|net| net.layers[masked].keep = Some(vec![true; 18].into()));
    assert_eq!(idle, (name, Fault::IdleMask));
    let conv = fault(&|net| net.layers[1].keep = net.layers[masked].keep.clone());
    assert_eq!(conv, ("first".into(), Fault::MaskPlace("conv")));
    // A digit for six elements, and nothing for layers without a mask.
    let json = serde_json::to_string(good).expect("serialises");
    assert!(json.contains(r#""keep":{"elements":18,"kept":"#));
    assert_eq!(
        json.matches("\"keep\"").count(),
        good.layers.iter().filter(|layer| layer.keep.is_some()).count()
    );
    for (from, to) in [("\"elements\":18", "\"elements\":19"), ("\"elements\":18", "\"elements\":17")] {
        assert!(
            json.contains(from)
                && parse(&json.replacen(from, to, 1)).is_none_or(|net| net.validate().is_err())
        );
    }
}

#[test]
fn widths_are_checked_on_parse() {
    let json = serde_json::to_string(&architectures()[0]).expect("serialises");
    for width in ["0", "65", "-1", "4294967296", "\"41\"", "null"] {
        assert_eq!(parse(&json.replacen("\"width\":41", &format!("\"width\":{width}"), 1)), None);
    }
}

#[test]
fn every_single_lie_is_refused() {
    architectures().iter().for_each(lies_are_refused);
}

fn lies_are_refused(good: &Architecture) {
    let refused = |what: &str, change: &dyn Fn(&mut Architecture)| {
        let mut net = good.clone();
        change(&mut net);
        assert!(net.validate().is_err(), "{what}");
    };
    refused("no layer", &|net| net.layers.clear());
    refused("no input", &|net| drop(net.layers.remove(0)));
    refused("scale beyond the ring", &|net| net.frac_bits = 41);
    refused("one bit", &|net| {
        net.layers.truncate(1);
        (net.width, net.frac_bits, net.layers[0].frac_bits) = (copriv_ring::Width::BIT, 0, 0);
    });
    refused("control characters", &|net| net.name = "\u{7}".into());
    refused("5000 layers", &|net| net.layers = vec![net.layers[0].clone(); 5000]);
    for at in 0..good.layers.len() {
        refused("shape", &|net| net.layers[at].shape = Shape::new(usize::MAX, usize::MAX, usize::MAX));
        refused("empty shape", &|net| net.layers[at].shape.width = 0);
        refused("itself", &|net| net.layers[at].inputs = vec![at]);
        refused("forward", &|net| net.layers[at].inputs = vec![at + 1]);
        refused("nowhere", &|net| net.layers[at].inputs = vec![usize::MAX]);
        refused("too many operands", &|net| net.layers[at].inputs = vec![0; 5000]);
        refused("scale", &|net| net.layers[at].frac_bits = 64);
        if at > 0 {
            refused("shape", &|net| net.layers[at].shape.channels += 1);
            refused("second input", &|net| net.layers[at].op = LayerOp::Input);
            refused("no operand", &|net| net.layers[at].inputs.clear());
        }
        let len = good.layers[at].shape.len();
        let some = |len: usize| Some(Mask::from((0..len).map(|i| i == 0).collect::<Vec<_>>()));
        for keep in [
            some(0),
            some(len + 1),
            some(len - 1),
            Some(vec![true; len].into()),
            Some(vec![false; len].into()),
        ] {
            refused("mask", &|net| net.layers[at].keep.clone_from(&keep));
        }
        if !good.layers[at].op.is_activation() {
            refused("mask of no activation", &|net| net.layers[at].keep = some(len));
        }
        refused("numbers", &|net| match &mut net.layers[at].op {
            LayerOp::Input => net.layers[at].inputs = vec![0],
            LayerOp::Conv(g) => g.in_channels = 0,
            LayerOp::Linear { weight_bits, .. } => *weight_bits = 0,
            LayerOp::Truncate { shift } | LayerOp::ReluTruncate { shift } => *shift = u32::MAX,
            LayerOp::Shift { bits } => *bits = u32::MAX,
            LayerOp::Clip { low, .. } => *low = i64::MIN,
            LayerOp::ClipTruncate { high, .. } => *high = i64::MIN,
            LayerOp::AvgPool { multiplier, .. } => *multiplier = -1,
            LayerOp::MaxPool(window) => window.padding = [usize::MAX; 4],
            LayerOp::AvgPoolInside { shift, .. } => *shift = 63,
            LayerOp::View(view) => view.axes[6].stride = u32::MAX,
            LayerOp::Combine { factors } => factors[1] = i64::MIN,
            LayerOp::Multiply => drop(net.layers[at].inputs.pop()),
            _ => net.layers[at].name = "\n".into(),
        });
        for number in [0, 40, 41, 64, 4_000_000_000] {
            let mut net = good.clone();
            match &mut net.layers[at].op {
                LayerOp::Conv(g) if number > 0 => g.headroom = number,
                LayerOp::Truncate { shift }
                | LayerOp::ReluTruncate { shift }
                | LayerOp::ClipTruncate { shift, .. } => *shift = number,
                LayerOp::Shift { bits } => *bits = number,
                _ => continue,
            }
            assert!(net.validate().is_err(), "{number} at {}", net.layers[at].name);
            let options = Simplify::default();
            assert!(simplify_architecture(&net, &options, &mut |_, _| 0).is_err());
        }
    }
}

/// Replaces the `n`-th value of the tree, counted in depth-first order; false when there are fewer.
fn replace(tree: &mut Value, n: &mut usize, new: &Value) -> bool {
    if *n == 0 {
        *tree = new.clone();
        return true;
    }
    *n -= 1;
    match tree {
        Value::Array(items) => items.iter_mut().any(|item| replace(item, n, new)),
        Value::Object(items) => items.values_mut().any(|item| replace(item, n, new)),
        _ => false,
    }
}

fn hostile_value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        (0..70u64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        Just(Value::from(u64::MAX)),
        Just(Value::from(i64::MIN)),
        (0..64u32).prop_map(|bit| Value::from(1u64 << bit)),
    ];
    prop_oneof![
        8 => number,
        1 => Just(Value::Null),
        1 => Just(Value::Array(vec![])),
        1 => prop::collection::vec(0..40u64, 0..5).prop_map(Value::from),
        1 => Just(Value::from("relu")),
        1 => Just(Value::from("add")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutated_values(
        changes in prop::collection::vec((0..500usize, hostile_value()), 1..4),
        which in 0..4usize,
        headroom in prop_oneof![0..5u32, any::<u32>()],
    ) {
        let mut tree = serde_json::to_value(&architectures()[which]).expect("serialises");
        for (mut n, value) in changes {
            replace(&mut tree, &mut n, &value);
        }
        if let Some(net) = parse(&tree.to_string()) && net.validate().is_ok() {
            is_well_formed(&net);
            simplifies(&net, headroom);
        }
    }

    #[test]
    fn mutated_bytes(
        changes in prop::collection::vec((any::<prop::sample::Index>(), b' '..b'~'), 1..4), which in 1..4usize,
    ) {
        let mut json = serde_json::to_vec(&architectures()[which]).expect("serialises");
        for (at, byte) in changes {
            let at = at.index(json.len());
            json[at] = byte;
        }
        let parsed: Result<Architecture, _> = serde_json::from_slice(&json);
        if let Ok(net) = parsed && net.validate().is_ok() {
            is_well_formed(&net);
        }
    }
}
