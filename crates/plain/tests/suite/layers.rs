//! Layers on values worked out by hand, and what is refused.

use crate::conv::one_layer;
use copriv_ir::{Architecture, INTEGER_BITS, Layer, LayerOp, LayerWeights, Lowered, Shape, Weights};
use copriv_plain::{Error, argmax, evaluate, evaluate_output, headroom};
use copriv_ring::{RingVec, Width};

fn unary(bits: u32, op: LayerOp, x: &[i64]) -> Result<Vec<i64>, Error> {
    let width = Width::of(bits);
    let shape = Shape::vector(x.len());
    let mut net = one_layer(width, shape, op, shape, None);
    if let LayerOp::Truncate { shift }
    | LayerOp::ReluTruncate { shift }
    | LayerOp::ClipTruncate { shift, .. } = op
    {
        net.architecture.frac_bits = shift;
        net.architecture.layers[0].frac_bits = shift;
    }
    Ok(evaluate_output(&net, &RingVec::from_signed(width, x))?.to_signed())
}

#[test]
fn elementwise() -> Result<(), Error> {
    let x = [-128, -127, -17, -16, -1, 0, 1, 15, 16, 127];
    assert_eq!(unary(8, LayerOp::Truncate { shift: 4 }, &x)?, [-8, -8, -2, -1, -1, 0, 0, 0, 1, 7]);
    assert_eq!(unary(8, LayerOp::Relu, &x)?, [0, 0, 0, 0, 0, 0, 1, 15, 16, 127]);
    assert_eq!(unary(8, LayerOp::Clip { low: 0, high: 6 }, &x)?[2..], [0, 0, 0, 0, 1, 6, 6, 6]);
    // x - high overflows at -128: -1 - relu(126) is not -1. This is the ring's clip, and
    // headroom says so.
    let wrapped = unary(8, LayerOp::Clip { low: -1, high: 2 }, &[-128, -126, -5, -1, 0, 2, 5, 127])?;
    assert_eq!(wrapped, [-1 - 126, -1, -1, -1, 0, 2, 2, -1 - 125]);
    let lowest = i64::MIN;
    assert_eq!(unary(64, LayerOp::Truncate { shift: 63 }, &[lowest, -1, 0, i64::MAX])?, [-1, -1, 0, 0]);
    assert_eq!(unary(64, LayerOp::Relu, &[lowest, i64::MAX])?, [0, i64::MAX]);
    assert_eq!(unary(8, LayerOp::ReluTruncate { shift: 4 }, &x)?, [0, 0, 0, 0, 0, 0, 0, 0, 1, 7]);
    assert_eq!(unary(64, LayerOp::ReluTruncate { shift: 62 }, &[lowest, -1, i64::MAX])?, [0, 0, 1]);
    let clip = LayerOp::ClipTruncate { high: 12, shift: 1 };
    assert_eq!(unary(8, clip, &[-116, -2, -1, 0, 1, 2, 11, 12, 13, 127])?, [0, 0, 0, 0, 0, 1, 5, 6, 6, 6]);
    // x - 12 wraps to 116 and on: floor(x / 2) + 6 mod 2^5 are 6 to 11.
    assert_eq!(unary(8, clip, &[-128, -127, -126, -117])?, [6, 6, 7, 11]);
    assert_eq!(
        unary(64, LayerOp::ClipTruncate { high: 1 << 61, shift: 61 }, &[-1, 1 << 60, i64::MAX])?,
        [0, 0, 1]
    );
    assert_eq!(unary(8, LayerOp::Shift { bits: 3 }, &x)?, [0, 8, 120, -128, -8, 0, 8, 120, -128, -8]);
    assert_eq!(unary(64, LayerOp::Shift { bits: 63 }, &[lowest, -1, 0, 1])?, [0, lowest, 0, lowest]);
    Ok(())
}

#[test]
fn linear_wraps() -> Result<(), Error> {
    let width = Width::of(8);
    let weights = LayerWeights { matrix: vec![100, 2, -128, 1], bias: vec![1, 0] };
    let op = LayerOp::Linear { inputs: 2, outputs: 2, weight_bits: 8 };
    let net = one_layer(width, Shape::vector(2), op, Shape::vector(2), Some(weights));
    let y = evaluate_output(&net, &RingVec::from_signed(width, &[3, -1]))?;
    assert_eq!(y.to_signed(), [299 - 256, -385 + 512]);
    Ok(())
}

#[test]
fn add_and_concat() -> Result<(), Error> {
    let width = Width::of(8);
    let layer = |op, inputs, channels| {
        let shape = Shape::new(channels, 1, 2);
        Layer { name: String::new(), op, inputs, shape, frac_bits: 0, keep: None }
    };
    let layers = vec![
        layer(LayerOp::Input, vec![], 1),
        layer(LayerOp::Relu, vec![0], 1),
        layer(LayerOp::Add, vec![0, 1], 1),
        layer(LayerOp::Concat, vec![2, 0, 2], 3),
    ];
    let architecture =
        Architecture { name: String::new(), width, frac_bits: 0, integer_bits: INTEGER_BITS, layers };
    let net = Lowered { architecture, weights: Weights { layers: vec![None; 4] } };
    let input = RingVec::from_signed(width, &[100, -3]);
    let values = evaluate(&net, &input)?;
    assert_eq!(values[2].to_signed(), [-56, -3]);
    assert_eq!(values[3].to_signed(), [-56, -3, 100, -3, -56, -3]);
    assert_eq!(evaluate_output(&net, &input)?, values[3]);
    let report = headroom(&net, &input)?;
    assert_eq!(report.iter().map(|r| r.largest).collect::<Vec<_>>(), [100.0, 100.0, 200.0, 200.0]);
    assert_eq!(report.iter().map(|r| r.fits()).collect::<Vec<_>>(), [true, true, false, false]);
    Ok(())
}

#[test]
fn headroom_sees_what_is_between() -> Result<(), Error> {
    let width = Width::of(8);
    let input = RingVec::from_signed(width, &[-100, 100]);
    let map = Shape::new(1, 1, 2);
    let window = copriv_ir::Window { kernel: [1, 2], stride: [1, 1], padding: [0; 4] };
    let cases = [
        (LayerOp::MaxPool(window), Shape::vector(1), 200.0),
        (LayerOp::AvgPool { window, multiplier: 3, shift: 1 }, Shape::vector(1), 0.0),
        (LayerOp::Clip { low: -50, high: 60 }, map, 160.0),
        (LayerOp::Shift { bits: 2 }, map, 400.0),
    ];
    for (op, output, largest) in cases {
        let report = headroom(&one_layer(width, map, op, output, None), &input)?;
        assert_eq!(report[1].largest, largest, "{}", report[1]);
        assert_eq!(report[1].fits(), largest < 128.0);
    }
    Ok(())
}

#[test]
fn argmax_is_the_first() {
    let w = Width::of(41);
    assert_eq!(argmax(&RingVec::from_signed(w, &[-5, -1, -1, -7])), Some(1));
    assert_eq!(argmax(&RingVec::from_signed(w, &[4])), Some(0));
    assert_eq!(argmax(&RingVec::zeros(w, 0)), None);
}

#[test]
fn inputs_that_are_refused() {
    let width = Width::of(8);
    let net = one_layer(width, Shape::vector(2), LayerOp::Relu, Shape::vector(2), None);
    let short = evaluate(&net, &RingVec::zeros(width, 1));
    assert_eq!(short, Err(Error::InputLength { expected: Shape::vector(2), got: 1 }));
    let other = evaluate_output(&net, &RingVec::zeros(Width::of(9), 2));
    assert_eq!(other, Err(Error::InputWidth { expected: width, got: Width::of(9) }));
    let mut broken = net;
    broken.architecture.layers[1].inputs = vec![1];
    assert!(matches!(headroom(&broken, &RingVec::zeros(width, 2)), Err(Error::Network(_))));
}
