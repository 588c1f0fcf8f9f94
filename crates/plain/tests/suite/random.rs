//! Random small networks: the lowered network stays within a proven distance of the float one.

use crate::networks::{Numbers, network};
use copriv_ir::{
    Activation, Fault, Function, Graph, GraphBuilder, LowerOptions, NodeId, Op, Window, fold_affine, lower,
    pool_first,
};
use copriv_plain::{bounds as intervals, evaluate, evaluate_output, float, headroom};
use copriv_ring::{FixedPoint, RingVec, Width};
use proptest::prelude::*;

/// What is known of a value: |value| <= largest, |lowered - float| <= error.
#[derive(Clone, Copy)]
struct Bound {
    largest: f64,
    error: f64,
}

/// Bounds for each node, batch norms folded, on inputs in -1..=1.
fn bounds(graph: &Graph, frac_bits: u32) -> Vec<Bound> {
    let unit = f64::from(frac_bits).exp2().recip();
    let mut bounds: Vec<Bound> = Vec::new();
    for node in &graph.nodes {
        let of = |i: usize| bounds[node.inputs[i].0];
        let mean = |area: usize, x: Bound| {
            // 1/n is off by half a unit, n times; the shift by one.
            let inexact =
                if area.is_power_of_two() { 0.0 } else { area as f64 * (x.largest + x.error) * unit / 2.0 };
            Bound { error: x.error + inexact + unit, ..x }
        };
        let product = |weight: &[f32], bias: &[f32], x: Bound| {
            let row = weight.len() / node.shape.channels;
            let norms = weight.chunks(row).map(|row| row.iter().map(|&w| f64::from(w.abs())).sum());
            let norm = norms.fold(0.0, f64::max);
            let bias = bias.iter().map(|&b| f64::from(b.abs())).fold(0.0, f64::max);
            // Each weight is off by half a unit, the bias by less, the truncation by one.
            let inexact = row as f64 * unit / 2.0 * (x.largest + x.error) + 2.0 * unit;
            Bound { largest: norm * x.largest + bias, error: norm * x.error + inexact }
        };
        let bound = match &node.op {
            Op::Input => Bound { largest: 1.0, error: unit / 2.0 },
            Op::Conv { weight, bias, .. } | Op::Linear { weight, bias, .. } => product(weight, bias, of(0)),
            Op::Clip { .. } => Bound { largest: 1.0, error: of(0).error + unit },
            Op::Partial { activation: Activation::Clip { .. }, .. } => {
                Bound { largest: of(0).largest.max(1.0), error: of(0).error + unit }
            }
            Op::AvgPool(window) => mean(window.area(), of(0)),
            Op::AvgPoolInside(window) => mean(2 * window.area() + 1, of(0)),
            Op::GlobalAvgPool => mean(graph.nodes[node.inputs[0].0].shape.area(), of(0)),
            Op::Add => Bound { largest: of(0).largest + of(1).largest, error: of(0).error + of(1).error },
            Op::Concat => {
                let (a, b) = (of(0), of(1));
                Bound { largest: a.largest.max(b.largest), error: a.error.max(b.error) }
            }
            Op::Combine { factors } => {
                let [a, b] = factors.map(|factor| f64::from(factor.abs()));
                let (x, y) = (of(0), of(1));
                // The factors are off by half a unit each, the truncation by one.
                let inexact = unit / 2.0 * (x.largest + x.error + y.largest + y.error) + unit;
                Bound { largest: a * x.largest + b * y.largest, error: a * x.error + b * y.error + inexact }
            }
            Op::Multiply => {
                let (x, y) = (of(0), of(1));
                let inexact = x.error * y.largest + y.error * x.largest + x.error * y.error;
                Bound { largest: x.largest * y.largest, error: inexact + unit }
            }
            // No slope is above 1.25.
            Op::Smooth(function) => {
                Bound { largest: of(0).largest.max(1.0), error: 1.25 * of(0).error + function.error() + unit }
            }
            Op::Relu
            | Op::Partial { .. }
            | Op::MaxPool(_)
            | Op::Flatten
            | Op::View(_)
            | Op::BatchNorm { .. } => of(0),
        };
        bounds.push(bound);
    }
    bounds
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn lowered_is_near_float(seed: u64, steps in 0..14usize) {
        let graph = network(seed, steps)?;
        let fixed = FixedPoint { width: Width::of(48), frac_bits: 12 };
        let lowered = lower(&graph, LowerOptions { width: fixed.width, frac_bits: fixed.frac_bits })?;
        let picture = Numbers(!seed).floats(graph.input_shape().len(), 1.0);
        let words = picture.iter().map(|&x| fixed.encode(x.into())).collect::<Result<Vec<_>, _>>()?;
        let input = RingVec::from_words(fixed.width, words);

        let folded = fold_affine(&graph)?;
        let needless = |op: &Op| match op {
            Op::BatchNorm { .. } => true,
            Op::Partial { keep, .. } => !(1..keep.len()).contains(&keep.kept()),
            _ => false,
        };
        prop_assert!(!folded.nodes.iter().any(|node| needless(&node.op)));
        let bounds = bounds(&folded, fixed.frac_bits);
        let bound = bounds[bounds.len() - 1];
        let float = float::evaluate(&graph, &picture)?;
        let folded = float::evaluate(&folded, &picture)?;
        let layers = evaluate(&lowered, &input)?;
        let output = evaluate_output(&lowered, &input)?;
        prop_assert_eq!(&output, &layers[layers.len() - 1]);
        // Folding is exact but for the rounding of f32.
        let rounding = 1e-4 * (1.0 + bound.largest);
        for ((&float, &folded), &word) in float.iter().zip(&folded).zip(output.words()) {
            prop_assert!(f64::from((float - folded).abs()) <= rounding, "{} and {}", float, folded);
            let error = (fixed.decode(word) - f64::from(float)).abs();
            prop_assert!(error <= bound.error + rounding, "off by {}, bound {}", error, bound.error);
        }
        // Nothing wrapped, and the headroom report sees the same values; no larger ones than can be.
        let most = intervals(&lowered, [-1.0, 1.0])?;
        for ((report, layer), most) in headroom(&lowered, &input)?.iter().zip(&layers).zip(&most) {
            prop_assert!(report.largest <= most.largest * (1.0 + 1e-9), "{report}, at most {most}");
            let largest = layer.to_signed().iter().map(|x| x.abs()).max().unwrap_or(0) as f64;
            prop_assert!(report.fits() && report.largest >= largest, "{}", report);
            if !matches!(report.kind, "maxpool" | "avgpool" | "inner_avgpool" | "clip" | "relu6")
                && !Function::ALL.iter().any(|function| function.name() == report.kind)
            {
                prop_assert_eq!(report.largest, largest);
            }
        }
    }
}

#[test]
fn random_networks_have_every_kind() -> Result<(), copriv_ir::Error> {
    let mut kinds = std::collections::BTreeMap::new();
    for seed in 0..600 {
        for node in network(seed, 14)?.nodes {
            *kinds.entry(node.op.kind()).or_insert(0) += 1;
        }
    }
    assert_eq!(kinds.len(), 18 + Function::ALL.len(), "{kinds:?}");
    assert!(kinds.values().all(|&count| count >= 20), "{kinds:?}");
    Ok(())
}

proptest! {
    /// Means before 1x1 convolutions, exactly but for rounding; fewer products, or as many.
    #[test]
    fn means_come_first(seed: u64, steps in 0..14usize, at in 0..14usize) {
        let mut numbers = Numbers(seed);
        let inner = network(seed, steps)?;
        // A conv and a mean somewhere in it.
        let mut net = GraphBuilder::new("means", inner.input_shape())?;
        for (index, node) in inner.nodes.iter().enumerate().skip(1) {
            net.push(node.name.clone(), node.op.clone(), node.inputs.clone())?;
            if index == at % inner.nodes.len() {
                break;
            }
        }
        let last = NodeId(at % inner.nodes.len());
        let shape = net.shape(last);
        let conv = net.conv("conv", last, Window::square(1, 1, 0), 1, numbers.floats(3 * shape.channels, 1.0), numbers.floats(3, 1.0))?;
        let window = Window { kernel: [2, 1], stride: [1 + numbers.below(2), 1], padding: [0, numbers.below(1), 0, 0] };
        let pool = match numbers.below(2) {
            0 => net.global_avg_pool("pool", conv)?,
            _ => match net.avg_pool("pool", conv, window) {
                Ok(pool) => pool,
                Err(_) => return Ok(()),
            },
        };
        let graph = net.finish(pool)?;
        let first = pool_first(&graph)?;
        let last = &first.nodes[first.nodes.len() - 1];
        prop_assert!(matches!(last.op, Op::Conv { .. }), "{:?}", last);
        let picture = Numbers(!seed).floats(graph.input_shape().len(), 1.0);
        let (before, after) = (float::evaluate(&graph, &picture)?, float::evaluate(&first, &picture)?);
        prop_assert_eq!(before.len(), after.len());
        for (before, after) in before.iter().zip(&after) {
            prop_assert!((before - after).abs() <= 1e-4 * (1.0 + before.abs()), "{} and {}", before, after);
        }
    }
}

#[test]
fn float_refuses_other_sizes() -> Result<(), copriv_ir::Error> {
    let graph = network(1, 3)?;
    assert!(matches!(float::evaluate(&graph, &[]), Err(copriv_plain::Error::InputLength { .. })));
    let mut broken = graph;
    broken.nodes[1].inputs = vec![NodeId(1)];
    let Err(copriv_plain::Error::Network(copriv_ir::Error::Node { fault, .. })) =
        float::evaluate(&broken, &[])
    else {
        panic!("a node that reads itself")
    };
    assert_eq!(fault, Fault::Reference(1));
    Ok(())
}
