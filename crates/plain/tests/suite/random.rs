//! Random small networks: the lowered network stays within a proven distance of the float one.

use copriv_ir::{
    Activation, Axis, Fault, Function, Graph, GraphBuilder, LowerOptions, NodeId, Op, Shape, View, Window,
    fold_affine, lower,
};
use copriv_plain::{evaluate, evaluate_output, float, headroom};
use copriv_ring::{FixedPoint, RingVec, Width};
use proptest::prelude::*;

/// Numbers in -1..=1 from a seed.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.0 >> 33
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn floats(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| (self.next() as f32 / (1u64 << 30) as f32 - 1.0) * scale).collect()
    }
}

/// Elements of a map that keep their activation: none, all, one, any, whole channels.
pub fn mask(numbers: &mut Numbers, shape: Shape) -> Vec<bool> {
    let (kind, one) = (numbers.below(6), numbers.below(shape.len()));
    let channels: Vec<bool> = (0..shape.channels).map(|_| numbers.below(2) == 0).collect();
    let kept = |i: usize| match kind {
        0 => false,
        1 => true,
        2 => i == one,
        3 => channels[i / shape.area()],
        _ => numbers.below(3) == 0,
    };
    (0..shape.len()).map(kept).collect()
}

/// A part of a map in another order, with zeros around it or repeated; few elements of many are left out.
pub fn view(numbers: &mut Numbers, Shape { channels, height, width }: Shape) -> View {
    let mut axis = |len: usize, stride: usize| {
        let whole = Axis::whole(len as u32, stride as u32);
        match numbers.below(6) {
            0 => Axis { size: whole.size + 1, start: -1, ..whole },
            1 if len > 1 => Axis { size: whole.size - 1, start: 1, ..whole },
            2 => Axis { start: len as i32 - 1, step: -1, ..whole },
            3 if len < 4 => Axis { size: 2 * whole.size, step: 1, start: -(len as i32), ..whole },
            _ => whole,
        }
    };
    let axes = [axis(channels, height * width), axis(height, width), axis(width, 1)];
    let orders = [[0, 1, 2], [0, 2, 1], [2, 0, 1], [1, 2, 0]];
    let axes = orders[numbers.below(4)].map(|k| axes[k]);
    let [c, h, w] = axes.map(|axis| axis.size as usize);
    View::new(Shape::new(c, h, w), &axes).expect("three axes")
}

/// A network of up to `steps` random layers and a linear one; steps that do not fit the shapes are left out.
pub fn network(seed: u64, steps: usize) -> Result<Graph, copriv_ir::Error> {
    let numbers = &mut Numbers(seed);
    let input = Shape::new(1 + numbers.below(3), 1 + numbers.below(8), 1 + numbers.below(8));
    let mut net = GraphBuilder::new("random", input)?;
    let mut nodes = vec![net.input()];
    for step in 0..steps {
        // Mostly the newest value, so that networks grow deep; any value for the second operand.
        let x =
            if numbers.below(4) == 0 { nodes[numbers.below(nodes.len())] } else { nodes[nodes.len() - 1] };
        let name = format!("{step}");
        let shape = net.shape(x);
        let window = Window {
            kernel: [1 + numbers.below(3), 1 + numbers.below(3)],
            stride: [1 + numbers.below(2), 1 + numbers.below(2)],
            padding: [numbers.below(2), numbers.below(2), numbers.below(2), numbers.below(2)],
        };
        let made = match numbers.below(18) {
            kind @ 0..=3 => {
                let (groups, out) = match kind {
                    0 => (shape.channels, shape.channels),
                    1 if shape.channels % 2 == 0 => (2, 4),
                    _ => (1, 1 + numbers.below(5)),
                };
                // Kernel 3x3 with padding 1 keeps the shape, so that residuals occur.
                let window = if kind == 2 { Window::square(3, 1, 1) } else { window };
                let taps = shape.channels / groups * window.area();
                let weight = numbers.floats(out * taps, 2.0 / taps as f32);
                // A bias for each channel or for each element.
                let elements = window.output_shape(shape).map_or(1, |map| map.area());
                let biases = if numbers.below(4) == 0 { out * elements } else { out };
                let bias = numbers.floats(biases, 1.0);
                net.push(name, Op::Conv { window, groups, out_channels: out, weight, bias }, vec![x])
            }
            4 => {
                let scale = numbers.floats(shape.channels, 1.5);
                net.batch_norm(name, x, scale, numbers.floats(shape.channels, 1.0))
            }
            5 => net.relu(name, x),
            6 => net.clip(name, x, -0.5 * numbers.below(2) as f32, 1.0),
            12 => net.partial_relu(name, x, mask(numbers, shape)),
            13 => {
                let activation = Activation::Clip { low: -0.5 * numbers.below(2) as f32, high: 1.0 };
                net.partial(name, x, activation, mask(numbers, shape))
            }
            14 => net.view(name, x, view(numbers, shape)),
            15 => {
                let factors = [[1.0, -1.0], [0.01, 0.99], [-0.375, 1.25]][numbers.below(3)];
                let same = nodes.iter().rev().find(|&&y| y != x && net.shape(y) == shape);
                net.combine(name, factors, x, *same.unwrap_or(&x))
            }
            16 => net.smooth(name, x, Function::ALL[numbers.below(Function::ALL.len())]),
            17 => net.push(name, Op::AvgPoolInside(window), vec![x]),
            7 => net.max_pool(name, x, window),
            8 => net.avg_pool(name, x, window),
            9 | 10 => {
                let same = nodes.iter().rev().find(|&&y| y != x && net.shape(y) == shape);
                net.add(name, x, *same.unwrap_or(&x))
            }
            _ => {
                let map = |s: Shape| (s.height, s.width);
                let same = nodes.iter().rev().find(|&&y| y != x && map(net.shape(y)) == map(shape));
                net.concat(name, vec![x, *same.unwrap_or(&x)])
            }
        };
        nodes.extend(made);
    }
    let mut x = nodes[nodes.len() - 1];
    if numbers.below(2) == 0 {
        x = net.global_avg_pool("gap", x)?;
    }
    let x = net.flatten("flatten", x)?;
    let inputs = net.shape(x).channels;
    let weight = numbers.floats(3 * inputs, 2.0 / inputs as f32);
    let y = net.linear("fc", x, weight, numbers.floats(3, 1.0))?;
    net.finish(y)
}

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
        // Nothing wrapped, and the headroom report sees the same values.
        for (report, layer) in headroom(&lowered, &input)?.iter().zip(&layers) {
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
    assert_eq!(kinds.len(), 17 + Function::ALL.len(), "{kinds:?}");
    assert!(kinds.values().all(|&count| count >= 20), "{kinds:?}");
    Ok(())
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
