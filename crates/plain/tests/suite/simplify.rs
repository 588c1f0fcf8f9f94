//! A simplified network computes what the lowered one does, up to roundings; and what is known never to be
//! negative never is.

use crate::networks::{Numbers, mask, network};
use copriv_ir::{
    Activation, Architecture, Graph, GraphBuilder, Layer, LayerOp, LowerOptions, Lowered, Shape, Simplify,
    Window, lower, simplify, simplify_architecture,
};
use copriv_plain::{bounds, evaluate, evaluate_output, headroom};
use copriv_ring::{FixedPoint, RingVec, Width};
use proptest::prelude::*;

fn options() -> impl Strategy<Value = Simplify> {
    (any::<[bool; 2]>(), prop_oneof![2..13u32, Just(64)]).prop_map(
        |([fuse_relu_truncate, fuse_clip_truncate], integer_bits)| Simplify {
            fuse_relu_truncate,
            fuse_clip_truncate,
            integer_bits,
        },
    )
}

/// By how much each layer's values may differ from what real numbers give for the same weights and input,
/// without wrapping: each truncation moves a value by less than a unit.
fn errors(net: &Lowered) -> Vec<f64> {
    let layers = &net.architecture.layers;
    let unit = |scale: u32| f64::from(scale).exp2().recip();
    let most = bounds(net, [-1.0, 1.0]).expect("a valid network");
    let mut errors: Vec<f64> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let of = |i: usize| errors[layer.inputs[i]];
        let input = layer.inputs.first().map_or(layer, |&i| &layers[i]);
        let up = unit(layer.frac_bits) / unit(input.frac_bits);
        errors.push(match layer.op {
            LayerOp::Input => 0.0,
            LayerOp::Conv(_) | LayerOp::Linear { .. } => {
                let [_, row] = layer.op.matrix_shape().expect("a product");
                let matrix = net.weights.get(index).map_or(&[][..], |weights| &weights.matrix);
                let norms = matrix.chunks(row).map(|row| row.iter().map(|&w| w.abs() as f64).sum());
                let shift = if let LayerOp::Conv(g) = layer.op { g.headroom } else { 0 };
                norms.fold(0.0, f64::max) * f64::from(shift).exp2() * up * of(0)
            }
            LayerOp::Truncate { .. } | LayerOp::ReluTruncate { .. } | LayerOp::ClipTruncate { .. } => {
                of(0) + unit(layer.frac_bits)
            }
            LayerOp::AvgPool { window, multiplier, shift } => {
                let factor = window.area() as f64 * multiplier as f64 * unit(shift) * up;
                of(0) * factor + if shift > 0 { unit(layer.frac_bits) } else { 0.0 }
            }
            LayerOp::AvgPoolInside { window, shift } => {
                of(0) * (1.0 + window.area() as f64 * unit(shift)) + unit(layer.frac_bits)
            }
            LayerOp::Add => of(0) + of(1),
            LayerOp::Combine { factors: [a, b] } => (a.abs() as f64 * of(0) + b.abs() as f64 * of(1)) * up,
            LayerOp::Multiply => {
                let [x, y] =
                    [0, 1].map(|i| most[layer.inputs[i]].largest * unit(layers[layer.inputs[i]].frac_bits));
                of(0) * (y + of(1)) + of(1) * x
            }
            LayerOp::Smooth(function) => {
                let pieces = function.pieces(net.architecture.width, layer.frac_bits).expect("pieces");
                let slopes = pieces.knots.iter().scan(0i64, |slope, [_, d]| {
                    *slope += d;
                    Some(slope.abs() as f64)
                });
                slopes.fold(0.0, f64::max) * unit(pieces.shift) * of(0) + unit(layer.frac_bits)
            }
            LayerOp::Concat => (0..layer.inputs.len()).map(of).fold(0.0, f64::max),
            LayerOp::Shift { .. }
            | LayerOp::Relu
            | LayerOp::Clip { .. }
            | LayerOp::MaxPool(_)
            | LayerOp::Flatten
            | LayerOp::View(_) => of(0),
        });
    }
    errors
}

fn picture(fixed: FixedPoint, seed: u64, len: usize) -> Result<RingVec, TestCaseError> {
    let encode = |&x: &f32| fixed.encode(x.into());
    let words: Result<Vec<u64>, _> = Numbers(seed).floats(len, 1.0).iter().map(encode).collect();
    Ok(RingVec::from_words(fixed.width, words?))
}

/// A pseudorandom headroom for each geometry.
fn promised(seed: u64) -> impl FnMut(&Layer, Shape) -> u32 {
    move |layer, input| {
        [0, 0, 1, 3, 5][Numbers(seed ^ (input.len() << 20 | layer.shape.len()) as u64).below(5)]
    }
}

fn last_scale(net: &Architecture) -> Option<(Shape, u32)> {
    net.layers.last().map(|layer| (layer.shape, layer.frac_bits))
}

/// A chain of layers that round only where they truncate.
fn chain(seed: u64, steps: usize) -> Result<Graph, copriv_ir::Error> {
    let numbers = &mut Numbers(seed);
    let mut net = GraphBuilder::new("chain", Shape::new(2, 6 + numbers.below(3), 7))?;
    let mut x = net.input();
    for step in 0..steps {
        let name = format!("{step}");
        let shape = net.shape(x);
        let stride = 1 + numbers.below(2);
        let made = match numbers.below(8) {
            6 => net.partial_relu(name, x, mask(numbers, shape)),
            7 => {
                let activation = Activation::Clip { low: -0.5 * numbers.below(2) as f32, high: 1.0 };
                net.partial(name, x, activation, mask(numbers, shape))
            }
            0 | 1 => {
                let (window, out) = (Window::square(3, stride, 1), 1 + numbers.below(4));
                let taps = shape.channels * 9;
                let weight = numbers.floats(out * taps, 3.0 / (taps as f32).sqrt());
                net.conv(name, x, window, 1, weight, numbers.floats(out, 1.0))
            }
            2 | 3 => net.relu(name, x),
            4 => net.max_pool(name, x, Window::square(1 + numbers.below(3), stride, numbers.below(2))),
            _ => net.clip(name, x, -0.5 * numbers.below(3) as f32, 1.0),
        };
        x = made.unwrap_or(x);
    }
    let x = net.flatten("flatten", x)?;
    let inputs = net.shape(x).channels;
    let y = net.linear("fc", x, numbers.floats(3 * inputs, 2.0 / inputs as f32), numbers.floats(3, 1.0))?;
    net.finish(y)
}

/// Residual blocks, fire modules and pools, as networks have them.
fn blocks(seed: u64, steps: usize) -> Result<Graph, copriv_ir::Error> {
    let numbers = &mut Numbers(seed);
    let mut net = GraphBuilder::new("blocks", Shape::new(2, 8, 8))?;
    let clips = numbers.below(3) == 0;
    let (partial, masks) = (numbers.below(2) == 0, &mut Numbers(!seed));
    let mut x = net.input();
    for step in 0..steps {
        let mut conv = |net: &mut GraphBuilder, part: &str, x, out, stride| {
            let taps = net.shape(x).channels * 9;
            let weight = numbers.floats(out * taps, 2.0 / taps as f32);
            let window = Window::square(3, stride, 1);
            net.conv(format!("{step}.{part}"), x, window, 1, weight, numbers.floats(out, 1.0))
        };
        let mut activation = |net: &mut GraphBuilder, part: &str, x| {
            let name = format!("{step}.{part}");
            if partial {
                let clip = Activation::Clip { low: 0.0, high: 1.0 };
                let keep = mask(masks, net.shape(x));
                return net.partial(name, x, if clips { clip } else { Activation::Relu }, keep);
            }
            if clips { net.clip(name, x, 0.0, 1.0) } else { net.relu(name, x) }
        };
        let Shape { channels, height, .. } = net.shape(x);
        let choice = seed.rotate_right(5 * step as u32) % 32;
        x = match choice % 8 {
            kind @ 0..4 => {
                let (out, stride) = if kind < 2 { (channels, 1) } else { (3, 2) };
                let y = conv(&mut net, "conv1", x, out, stride)?;
                let y = activation(&mut net, "relu1", y)?;
                let y = conv(&mut net, "conv2", y, out, 1)?;
                let shortcut = if kind < 2 { x } else { conv(&mut net, "down", x, out, stride)? };
                let y = net.add(format!("{step}.add"), y, shortcut)?;
                if choice < 24 { activation(&mut net, "relu2", y)? } else { y }
            }
            4 | 5 => {
                let squeezed = conv(&mut net, "squeeze", x, 1, 1)?;
                let squeezed = activation(&mut net, "relu", squeezed)?;
                let mut branches = Vec::new();
                for part in ["left", "right"] {
                    let branch = conv(&mut net, part, squeezed, 2, 1)?;
                    branches.push(activation(&mut net, &format!("{part}/relu"), branch)?);
                }
                net.concat(format!("{step}.concat"), branches)?
            }
            6 if height > 1 => net.max_pool(format!("{step}.max"), x, Window::square(2, 2, 0))?,
            _ => net.avg_pool(format!("{step}.avg"), x, Window::square(2 + step % 2, 1, 1))?,
        };
    }
    let x = net.global_avg_pool("gap", x)?;
    let inputs = net.shape(x).channels;
    let y = net.linear("fc", x, numbers.floats(3 * inputs, 2.0 / inputs as f32), numbers.floats(3, 1.0))?;
    net.finish(y)
}

/// Simplifies, and checks what does not depend on values.
fn simple(net: &Lowered, options: &Simplify, seed: u64) -> Result<Lowered, TestCaseError> {
    let simple = simplify(net, options, &mut promised(seed))?;
    let alone = simplify_architecture(&net.architecture, options, &mut promised(seed))?;
    prop_assert_eq!(&alone, &simple.architecture);
    simple.validate()?;
    checks_out(&alone, &net.architecture)?;
    Ok(simple)
}

/// The same output, nothing needless, and no more ReLUs or truncations of elements than before.
fn checks_out(simple: &Architecture, net: &Architecture) -> Result<(), TestCaseError> {
    prop_assert_eq!(last_scale(simple), last_scale(net));
    for (layer, &is_read) in simple.layers.iter().zip(&read(simple)) {
        prop_assert!(is_read, "nothing reads {}", layer.name);
    }
    let count = |net: &Architecture, counted: &dyn Fn(&LayerOp) -> bool| -> usize {
        net.layers.iter().filter(|layer| counted(&layer.op)).map(Layer::kept).sum()
    };
    let relu = |op: &LayerOp| matches!(op, LayerOp::Relu | LayerOp::ReluTruncate { .. });
    let truncation = |op: &LayerOp| match *op {
        LayerOp::Truncate { .. } | LayerOp::ReluTruncate { .. } | LayerOp::ClipTruncate { .. } => true,
        LayerOp::AvgPool { shift, .. } => shift > 0,
        _ => false,
    };
    let truncated = |net: &Architecture| -> usize {
        net.layers.iter().filter(|layer| truncation(&layer.op)).map(|layer| layer.shape.len()).sum()
    };
    prop_assert!(count(simple, &relu) <= count(net, &relu));
    prop_assert!(truncated(simple) <= truncated(net));
    Ok(())
}

/// Which layers are read, the last among them.
fn read(net: &Architecture) -> Vec<bool> {
    let last = net.layers.len() - 1;
    net.last_use().iter().enumerate().map(|(index, &reader)| reader > index || index == last).collect()
}

fn nothing_wraps(net: &Lowered, input: &RingVec) -> Result<bool, TestCaseError> {
    Ok(headroom(net, input)?.iter().all(|report| report.fits()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn simplified_is_near(
        seed: u64, steps in 0..14usize, bits in prop_oneof![Just(36), Just(41), Just(48), Just(60)], options in options()
    ) {
        let fixed = FixedPoint { width: Width::of(bits), frac_bits: 12 };
        let graph = if seed % 3 == 0 { blocks(seed, steps / 3)? } else { network(seed, steps)? };
        let net = lower(&graph, LowerOptions { width: fixed.width, frac_bits: 12 })?;
        let simple = simple(&net, &options, seed)?;
        let input = picture(fixed, !seed, net.architecture.input_shape().len())?;
        prop_assume!(nothing_wraps(&net, &input)? && nothing_wraps(&simple, &input)?);
        let last = |net: &Lowered| errors(net).last().copied().unwrap_or(0.0);
        let bound = last(&net) + last(&simple);
        let outputs = [&net, &simple].map(|net| evaluate_output(net, &input));
        let [expected, got] = outputs;
        for (expected, got) in expected?.words().iter().zip(got?.words()) {
            let error = (fixed.decode(*expected) - fixed.decode(*got)).abs();
            prop_assert!(error <= bound, "off by {error}, bound {bound}");
        }
        // Twice is once.
        let again = simplify(&simple, &options, &mut |_, _| 0)?;
        checks_out(&again.architecture, &simple.architecture)?;
    }

    #[test]
    fn chains_are_equal(
        seed: u64, steps in 0..14usize, bits in prop_oneof![Just(36), Just(41), Just(60)], options in options()
    ) {
        let fixed = FixedPoint { width: Width::of(bits), frac_bits: 12 };
        let net = lower(&chain(seed, steps)?, LowerOptions { width: fixed.width, frac_bits: 12 })?;
        let simple = simple(&net, &options, seed)?;
        let input = picture(fixed, !seed, net.architecture.input_shape().len())?;
        prop_assume!(nothing_wraps(&net, &input)? && nothing_wraps(&simple, &input)?);
        prop_assert_eq!(evaluate_output(&simple, &input)?, evaluate_output(&net, &input)?);
    }

    /// Whatever wraps: words are uniform, and the ring has little room.
    #[test]
    fn never_negative(seed: u64, steps in 0..14usize, bits in 21..30u32, options in options()) {
        let width = Width::of(bits);
        let net = lower(&network(seed, steps)?, LowerOptions { width, frac_bits: 6 })?;
        let simple = simplify(&net, &options, &mut promised(seed))?;
        let mut numbers = Numbers(!seed);
        let len = net.architecture.input_shape().len();
        let words = (0..len).map(|_| width.reduce(numbers.next().wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let input = RingVec::from_words(width, words);
        for net in [&net, &simple] {
            let known = net.architecture.nonnegative();
            for ((known, values), layer) in known.iter().zip(evaluate(net, &input)?).zip(&net.architecture.layers) {
                let negative = values.to_signed().iter().any(|&x| x < 0);
                prop_assert!(!known || !negative, "{}", layer.name);
            }
        }
    }
}

#[test]
fn random_networks_meet_every_rewrite() -> Result<(), copriv_ir::Error> {
    let mut kinds = std::collections::BTreeMap::new();
    let mut count = |kind| *kinds.entry(kind).or_insert(0) += 1;
    for seed in 0..400 {
        let mixed = Numbers(seed).next() << 31 | seed;
        let graph = if seed % 2 == 0 { blocks(mixed, 5)? } else { network(seed, 14)? };
        let net = lower(&graph, LowerOptions { width: Width::of(48), frac_bits: 12 })?.architecture;
        let simple = simplify_architecture(&net, &Simplify::default(), &mut promised(seed))?;
        for layer in &simple.layers {
            let scale = layer.inputs.first().map_or(layer.frac_bits, |&i| simple.layers[i].frac_bits);
            match layer.op {
                LayerOp::ReluTruncate { .. } if layer.keep.is_some() => count("partial relu_truncate"),
                LayerOp::ClipTruncate { .. } if layer.keep.is_some() => count("partial relu6_truncate"),
                LayerOp::Relu | LayerOp::Clip { .. } if layer.keep.is_some() => count("partial"),
                LayerOp::Shift { .. } | LayerOp::ReluTruncate { .. } | LayerOp::ClipTruncate { .. } => {
                    count(layer.op.kind());
                }
                LayerOp::Add if scale > 12 => count("long sum"),
                LayerOp::Concat if scale > 12 => count("long concatenation"),
                LayerOp::MaxPool(_) if scale > 12 => count("long maximum"),
                LayerOp::Clip { .. } if scale > 12 => count("long clip"),
                LayerOp::AvgPool { shift: 0, .. } => count("mean undivided"),
                LayerOp::Conv(g) if g.headroom > 0 => count("headroom"),
                LayerOp::Conv(_) | LayerOp::Linear { .. } if scale > 12 => {
                    count("product of a mean undivided")
                }
                _ => {}
            }
            if layer.name.ends_with("/sum") {
                count("sum before its product");
            }
        }
    }
    assert_eq!(kinds.len(), 14, "{kinds:?}");
    assert!(kinds.values().all(|&count| count >= 5), "{kinds:?}");
    Ok(())
}
