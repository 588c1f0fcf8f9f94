//! Convolution and pools against their definitions.

use copriv_ir::{
    Architecture, ConvGeometry, INTEGER_BITS, Layer, LayerOp, LayerWeights, Lowered, Shape, Weights, Window,
};
use copriv_plain::evaluate_output;
use copriv_ring::{RingVec, Width};
use proptest::prelude::*;

/// A network of one layer.
pub fn one_layer(
    width: Width,
    input: Shape,
    op: LayerOp,
    output: Shape,
    weights: Option<LayerWeights>,
) -> Lowered {
    let frac_bits = match op {
        LayerOp::Conv(g) => g.headroom,
        LayerOp::Shift { bits } => bits,
        _ => 0,
    };
    let layer = |name: &str, op, inputs, shape, frac_bits| {
        let name = name.into();
        Layer { name, op, inputs, shape, frac_bits, keep: None }
    };
    let layers =
        vec![layer("input", LayerOp::Input, vec![], input, 0), layer("y", op, vec![0], output, frac_bits)];
    let architecture =
        Architecture { name: "one".into(), width, frac_bits: 0, integer_bits: INTEGER_BITS, layers };
    Lowered { architecture, weights: Weights { layers: vec![None, weights] } }
}

/// The element of the map under tap (ky, kx) of output (y, x), none in the padding.
fn under(input: Shape, window: &Window, c: usize, [y, x]: [usize; 2], [ky, kx]: [usize; 2]) -> Option<usize> {
    let row = (y * window.stride[0] + ky).checked_sub(window.padding[0]).filter(|&row| row < input.height)?;
    let col = (x * window.stride[1] + kx).checked_sub(window.padding[1]).filter(|&col| col < input.width)?;
    Some((c * input.height + row) * input.width + col)
}

fn positions(shape: Shape) -> impl Iterator<Item = [usize; 3]> {
    let Shape { channels, height, width } = shape;
    (0..channels).flat_map(move |c| (0..height).flat_map(move |y| (0..width).map(move |x| [c, y, x])))
}

/// The definition, in integers of 128 bits mod 2^l.
fn naive_conv(
    g: &ConvGeometry,
    width: Width,
    input: Shape,
    x: &[i64],
    output: Shape,
    w: &LayerWeights,
) -> Vec<i64> {
    let [kh, kw] = g.window.kernel;
    let (in_group, out_group) = (g.in_channels / g.groups, g.out_channels / g.groups);
    let at = |[o, y, x_]: [usize; 3]| {
        let mut sum = i128::from(w.bias[o]);
        for c in 0..in_group {
            for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                if let Some(i) = under(input, &g.window, o / out_group * in_group + c, [y, x_], [ky, kx]) {
                    let weight = w.matrix[((o * in_group + c) * kh + ky) * kw + kx];
                    let product = (i128::from(weight) * i128::from(x[i])) << g.headroom;
                    sum = sum.wrapping_add(product);
                }
            }
        }
        width.to_signed(width.reduce(sum as u64))
    };
    positions(output).map(at).collect()
}

fn window() -> impl Strategy<Value = Window> {
    let pair = |range: std::ops::Range<usize>| prop::array::uniform2(range);
    (pair(1..5), pair(1..4), prop::array::uniform4(0..4usize)).prop_map(|(kernel, stride, padding)| Window {
        kernel,
        stride,
        padding,
    })
}

fn width() -> impl Strategy<Value = Width> {
    prop_oneof![Just(8), Just(41), Just(64)].prop_map(Width::of)
}

/// Words from a seed, extremes among them.
fn words(width: Width, len: usize, seed: u64) -> Vec<i64> {
    let word = |i: usize| {
        let mixed = (seed ^ i as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = match mixed >> 60 {
            0 => i64::MIN >> (64 - width.bits()),
            1 => i64::MAX >> (64 - width.bits()),
            _ => mixed as i64,
        };
        width.to_signed(width.from_signed(word))
    };
    (0..len).map(word).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn conv_is_the_definition(
        width in width(),
        window in window(),
        [groups, in_group, out_group] in prop::array::uniform3(1..4usize),
        [height, columns] in prop::array::uniform2(1..8usize),
        headroom in prop_oneof![3 => Just(0u32), 1 => 0..64u32],
        seed: u64,
    ) {
        let input = Shape::new(groups * in_group, height, columns);
        let g = ConvGeometry {
            window, groups, in_channels: groups * in_group, out_channels: groups * out_group,
            weight_bits: width.bits(), headroom: headroom % width.bits(),
        };
        let output = g.output_shape(input);
        prop_assume!(output.is_ok());
        let output = output?;
        let x = words(width, input.len(), seed);
        let matrix = words(width, g.out_channels * g.taps(), !seed);
        let weights = LayerWeights { matrix, bias: words(width, g.out_channels, seed ^ 77) };
        let expected = naive_conv(&g, width, input, &x, output, &weights);
        let net = one_layer(width, input, LayerOp::Conv(g), output, Some(weights));
        let got = evaluate_output(&net, &RingVec::from_signed(width, &x))?;
        prop_assert_eq!(got.to_signed(), expected);
    }

    #[test]
    fn pools_are_the_definition(
        width in width(),
        mut window in window(),
        [channels, height, columns] in prop::array::uniform3(1..8usize),
        multiplier in 1..100i64,
        shift in 0..7u32,
        seed: u64,
    ) {
        let [kh, kw] = window.kernel;
        window.padding.iter_mut().zip([kh, kw, kh, kw]).for_each(|(padding, kernel)| *padding %= kernel);
        let input = Shape::new(channels, height, columns);
        let output = window.pool_shape(input);
        prop_assume!(output.is_ok());
        let output = output?;
        let x = words(width, input.len(), seed);
        let taps = |[c, y, x_]: [usize; 3]| {
            let taps = (0..window.kernel[0]).flat_map(|ky| (0..window.kernel[1]).map(move |kx| [ky, kx]));
            taps.filter_map(|tap| under(input, &window, c, [y, x_], tap)).map(|i| x[i]).collect::<Vec<_>>()
        };
        // Halved, so that differences fit: beyond that it is the tournament's, as the protocols' tests show.
        let largest: Vec<i64> = positions(output).filter_map(|at| taps(at).into_iter().max()).map(|x| x >> 1).collect();
        let halved: Vec<i64> = x.iter().map(|x| x >> 1).collect();
        let mean = |at| {
            let sum: i128 = taps(at).into_iter().map(i128::from).sum();
            width.to_signed(width.reduce((sum * i128::from(multiplier)) as u64)) >> shift
        };
        let means: Vec<i64> = positions(output).map(mean).collect();
        let input_words = RingVec::from_signed(width, &x);
        let net = one_layer(width, input, LayerOp::MaxPool(window), output, None);
        prop_assert_eq!(evaluate_output(&net, &RingVec::from_signed(width, &halved))?.to_signed(), largest);
        let net = one_layer(width, input, LayerOp::AvgPool { window, multiplier, shift }, output, None);
        prop_assert_eq!(evaluate_output(&net, &input_words)?.to_signed(), means);
    }
}
