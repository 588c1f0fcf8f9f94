//! Calibrated networks compute what they did, in the bits that they may.
#![allow(clippy::unwrap_used, reason = "tests")]

use copriv_calibrate::{Agreement, Bits, Error, Failure, Ranges, Room, Scaled, Suite, fit, scale};
use copriv_ir::{
    Architecture, Graph, GraphBuilder, LowerOptions, Lowered, Op, Shape, Simplify, Window, lower, simplify,
};
use copriv_plain::{bounds, float, headroom};
use copriv_ring::{RingVec, Width};
use proptest::prelude::*;

#[allow(dead_code, reason = "shared with copriv-plain")]
#[path = "../../plain/tests/suite/networks.rs"]
mod networks;

use networks::{Numbers, network};

fn inputs(seed: u64, graph: &Graph, count: usize) -> Vec<Vec<f32>> {
    let mut numbers = Numbers(!seed);
    (0..count).map(|_| numbers.floats(graph.input_shape().len(), 1.0)).collect()
}

fn bits(weights: u32, values: u32) -> Bits {
    Bits { weights, values }
}

/// What is narrower costs less; networks run as they are, or rewritten.
struct Narrow {
    rewrites: bool,
}

impl Suite for Narrow {
    fn bytes(&mut self, net: &Architecture) -> Result<u64, Failure> {
        Ok(net.width.bits().into())
    }
    fn prepare(&mut self, net: &Lowered) -> Result<Lowered, Failure> {
        let options = Simplify { integer_bits: net.architecture.integer_bits, ..Simplify::default() };
        Ok(if self.rewrites { simplify(net, &options, &mut |_, _| 0)? } else { net.clone() })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// In float, scales are exact but for rounding.
    #[test]
    fn scales_change_nothing(seed: u64, steps in 0..14usize, w in 4..16u32, v in 8..20u32) {
        let graph = network(seed, steps)?;
        let data = inputs(seed, &graph, 3);
        let ranges = Ranges::new(&graph, &data, || ()).unwrap();
        let Scaled { graph: scaled, scales, frac_bits, .. } = scale(&graph, &ranges, bits(w, v)).unwrap();
        let folded = copriv_ir::fold_affine(&graph)?;
        for input in &data {
            let (before, after) = (float::evaluate_all(&folded, input).unwrap(), float::evaluate_all(&scaled, input).unwrap());
            for ((before, after), (scales, node)) in before.iter().zip(&after).zip(scales.iter().zip(&scaled.nodes)) {
                let most = before.iter().zip(0..).fold(0.0f64, |most, (x, i)| {
                    most.max(f64::from(x.abs()) * scales[i / node.shape.area()])
                });
                for (i, (&x, &y)) in before.iter().zip(after).enumerate() {
                    let expected = f64::from(x) * scales[i / node.shape.area()];
                    prop_assert!((f64::from(y) - expected).abs() <= 1e-4 * (1.0 + most), "{}: {y} is not {expected}", node.name);
                }
                // What is made of weights has the bits that it may, unless it must stay as it is.
                if matches!(node.op, Op::Conv { .. }) {
                    for (plane, _) in after.chunks(node.shape.area()).zip(scales).filter(|&(_, &scale)| scale != 1.0) {
                        let most = plane.iter().fold(0.0f32, |most, x| most.max(x.abs()));
                        let limit = (f64::from(v) - f64::from(frac_bits)).exp2();
                        prop_assert!(f64::from(most) <= 1.01 * limit, "{}: {most}", node.name);
                    }
                }
            }
        }
    }

    /// Weights have no more bits than they may, nothing wraps, and what comes out is near.
    #[test]
    fn nothing_wraps_in_the_ring_that_is_chosen(seed: u64, steps in 0..10usize, certain: bool) {
        let graph = network(seed, steps)?;
        let data = inputs(seed, &graph, 4);
        let ranges = Ranges::new(&graph, &data, || ()).unwrap();
        let scaled = scale(&graph, &ranges, bits(10, 14)).unwrap();
        let room = if certain { Room::Certain { low: -1.0, high: 1.0 } } else { Room::Measured { margin: 1 } };
        let (ring, net) = match fit(&scaled, &mut Narrow { rewrites: true }, &data, room, 63, || ()) {
            Ok(found) => (found.width, found.net),
            // Bounds grow with each layer.
            Err(Error::TooWide { .. }) if certain => return Ok(()),
            Err(e) => return Err(TestCaseError::fail(e.to_string())),
        };
        prop_assert_eq!(net.architecture.width, ring);
        for layer in &net.architecture.layers {
            prop_assert!(layer.op.weight_bits().unwrap_or(0) <= 10, "{}", layer.name);
        }
        let unseen = inputs(seed ^ 1, &graph, 2);
        for input in data.iter().chain(unseen.iter().filter(|_| certain)) {
            let scale = f64::from(net.architecture.frac_bits).exp2();
            let words: Vec<i64> = input.iter().map(|&x| (f64::from(x) * scale).round() as i64).collect();
            let report = headroom(&net, &RingVec::from_signed(ring, &words)).unwrap();
            for layer in report {
                prop_assert!(layer.spare_bits() >= if certain { 0.0 } else { 1.0 }, "{layer}");
            }
        }
        prop_assert!(!certain || bounds(&net, [-1.0, 1.0]).unwrap().iter().all(|layer| layer.fits()));
        let agreement = Agreement::new(&net, &data, &ranges.logits, || ()).unwrap();
        prop_assert!(agreement.typical_error < 0.3 * (1.0 + agreement.typical_logit), "{agreement:?}");
    }
}

/// A network whose channels have very different sizes: what scales are for.
fn uneven() -> Graph {
    let mut numbers = Numbers(7);
    let mut net = GraphBuilder::new("uneven", Shape::new(2, 9, 9)).unwrap();
    let mut weights = |rows: usize, row: usize| -> Vec<f32> {
        let mut all = numbers.floats(rows * row, 1.0);
        for (o, row) in all.chunks_mut(row).enumerate() {
            row.iter_mut().for_each(|w| *w *= 10f32.powi(-(o as i32 % 4)));
        }
        all
    };
    let x = net.input();
    let (a, b) = (weights(8, 18), weights(8, 72));
    let x = net.conv("a", x, Window::square(3, 1, 1), 1, a, vec![0.01; 8]).unwrap();
    let x = net.relu("relu", x).unwrap();
    // What is small is multiplied by what is large.
    let b = b.iter().enumerate().map(|(i, w)| w * 10f32.powi((i % 72 / 9 % 4) as i32)).collect();
    let x = net.conv("b", x, Window::square(3, 1, 1), 1, b, vec![0.1; 8]).unwrap();
    let x = net.relu("relu2", x).unwrap();
    let x = net.global_avg_pool("mean", x).unwrap();
    let c: Vec<f32> =
        weights(5, 8).iter().enumerate().map(|(i, w)| w * 10f32.powi((i % 8 % 4) as i32)).collect();
    let c = c
        .chunks(8)
        .enumerate()
        .flat_map(|(o, row)| row.iter().map(move |w| w * 10f32.powi(o as i32 % 4)))
        .collect();
    let x = net.linear("c", x, c, vec![0.0; 5]).unwrap();
    net.finish(x).unwrap()
}

#[test]
fn scales_are_worth_bits() {
    let graph = uneven();
    let data = inputs(3, &graph, 6);
    let ranges = Ranges::new(&graph, &data, || ()).unwrap();
    let scaled = scale(&graph, &ranges, bits(8, 12)).unwrap();
    // A mean of 81 elements is one of 256 with zeros.
    assert!(scaled.graph.nodes.iter().any(|node| matches!(&node.op, Op::AvgPool(w) if w.area() == 256)));
    let error = |scaled: &Scaled| {
        let found =
            fit(scaled, &mut Narrow { rewrites: false }, &data, Room::Measured { margin: 1 }, 63, || ())
                .unwrap();
        Agreement::new(&found.net, &data, &ranges.logits, || ()).unwrap()
    };
    let good = error(&scaled);
    // The same bits, all channels as they are.
    let folded = copriv_ir::fold_affine(&graph).unwrap();
    let scales = folded.nodes.iter().map(|node| vec![1.0; node.shape.channels]).collect();
    let weight_frac_bits = folded.nodes.iter().map(|_| 7).collect();
    let plain = error(&Scaled { graph: folded, frac_bits: 11, whole_bits: 1, weight_frac_bits, scales });
    assert!(10.0 * good.typical_error < plain.typical_error, "{good:?} {plain:?}");
    assert!(good.typical_error < 0.02 * good.typical_logit, "{good:?}");
}

/// A parametric ReLU, whose parts are added to each other, after a convolution of which one channel is next to silent: its scale must not take
/// the bits of all others' weights.
#[test]
fn silent_channels_that_are_added_take_no_bits() {
    let mut numbers = Numbers(11);
    let mut net = GraphBuilder::new("prelu", Shape::new(3, 6, 6)).unwrap();
    let mut weight = numbers.floats(8 * 27, 0.4);
    // It reads an input channel that is.
    weight[9..27].fill(0.0);
    let input = net.input();
    let x = net.conv("conv", input, Window::square(3, 1, 1), 1, weight, vec![0.0; 8]).unwrap();
    let relu = net.relu("relu", x).unwrap();
    let below = net.combine("below", [1.0, -1.0], x, relu).unwrap();
    let slopes =
        net.conv("slopes", below, Window::square(1, 1, 0), 8, numbers.floats(8, 0.5), vec![0.0; 8]).unwrap();
    let x = net.add("prelu", relu, slopes).unwrap();
    let x = net.flatten("flatten", x).unwrap();
    let x = net.linear("fc", x, numbers.floats(5 * 288, 0.2), vec![0.0; 5]).unwrap();
    let graph = net.finish(x).unwrap();
    let mut data = inputs(5, &graph, 4);
    data.iter_mut().for_each(|input| input[..36].iter_mut().for_each(|x| *x *= 1e-5));
    let ranges = Ranges::new(&graph, &data, || ()).unwrap();
    for (w, v, most) in [(8, 12, 0.25), (13, 17, 0.01)] {
        let scaled = scale(&graph, &ranges, bits(w, v)).unwrap();
        let room = Room::Measured { margin: 1 };
        let found = fit(&scaled, &mut Narrow { rewrites: true }, &data, room, 63, || ()).unwrap();
        let agreement = Agreement::new(&found.net, &data, &ranges.logits, || ()).unwrap();
        assert!(agreement.relative_error() < most, "{w} and {v} bits: {agreement:?}");
    }
}

#[test]
fn agreement_is_what_it_says() {
    // A network that gives its inputs back.
    let give_back = |logits: usize| {
        let mut net = GraphBuilder::new("back", Shape::vector(logits)).unwrap();
        let weight = (0..logits * logits).map(|i| if i % (logits + 1) == 0 { 1.0 } else { 0.0 }).collect();
        let input = net.input();
        let output = net.linear("fc", input, weight, vec![0.0; logits]).unwrap();
        lower(&net.finish(output).unwrap(), LowerOptions { width: Width::of(32), frac_bits: 8 }).unwrap()
    };
    let agreement = |outputs: &[Vec<f32>], logits: &[Vec<f32>]| {
        Agreement::new(&give_back(outputs[0].len()), outputs, logits, || ()).unwrap()
    };
    let outputs = [vec![1.0, 2.0], vec![4.0, 0.0]];
    let found = agreement(&outputs, &[vec![1.0, 5.0], vec![4.0, 6.0]]);
    assert_eq!((found.inputs, found.same_label, found.share()), (2, 1, 0.5));
    assert_eq!((found.largest_error, found.typical_error), (6.0, (45.0f64 / 4.0).sqrt()));
    // 2 from the mean of the first, 1 from that of the second.
    assert_eq!(found.typical_logit, (10.0f64 / 4.0).sqrt());
    assert_eq!(found.relative_error(), (45.0f64 / 10.0).sqrt());
    assert_eq!(agreement(&outputs, &outputs).relative_error(), 0.0);
    // Of one logit, about the mean over inputs.
    let found = agreement(&[vec![1.0], vec![2.0]], &[vec![1.0], vec![3.0]]);
    assert_eq!((found.typical_logit, found.typical_error), (1.0, 0.5f64.sqrt()));
    assert_eq!(agreement(&[vec![1.0]], &[vec![2.0]]).relative_error(), f64::INFINITY);
}

#[test]
fn what_cannot_be_calibrated() {
    let graph = uneven();
    assert!(matches!(Ranges::new(&graph, &[], || ()), Err(Error::NoData)));
    assert!(matches!(Ranges::new(&graph, &[vec![0.0]], || ()), Err(Error::Plain(_))));
    let data = inputs(1, &graph, 1);
    let ranges = Ranges::new(&graph, &data, || ()).unwrap();
    for (w, v) in [(1, 10), (25, 10), (8, 5), (8, 25)] {
        assert!(matches!(scale(&graph, &ranges, bits(w, v)), Err(Error::Bits { .. })));
    }
    let scaled = scale(&graph, &ranges, bits(24, 24)).unwrap();
    let wide = fit(
        &scaled,
        &mut Narrow { rewrites: false },
        &data,
        Room::Certain { low: -1e30, high: 1e30 },
        63,
        || (),
    );
    assert!(matches!(wide, Err(Error::TooWide { .. })), "{wide:?}");
    let narrow =
        fit(&scaled, &mut Narrow { rewrites: false }, &data, Room::Measured { margin: 1 }, 30, || ());
    assert!(matches!(narrow, Err(Error::TooWide { bits: 31.., .. })), "{narrow:?}");
    struct No;
    impl Suite for No {
        fn bytes(&mut self, _: &Architecture) -> Result<u64, Failure> {
            Err("no".into())
        }
        fn prepare(&mut self, net: &Lowered) -> Result<Lowered, Failure> {
            Ok(net.clone())
        }
    }
    let refused = fit(&scaled, &mut No, &data, Room::Measured { margin: 1 }, 63, || ());
    assert_eq!(refused.unwrap_err().to_string(), "no");
    assert!(scaled.lower(Width::of(20), 8).is_err());
    // Silent inputs and dead channels are no trouble.
    let silent = vec![vec![0.0; 162]];
    let ranges = Ranges::new(&graph, &silent, || ()).unwrap();
    let scaled = scale(&graph, &ranges, bits(8, 12)).unwrap();
    fit(&scaled, &mut Narrow { rewrites: false }, &silent, Room::Measured { margin: 1 }, 63, || ()).unwrap();
}
