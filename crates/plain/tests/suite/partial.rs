//! Activations of some elements: these as the whole activation gives them, the others as they were or truncated.

use crate::conv::one_layer;
use crate::networks::{Numbers, mask, network};
use copriv_ir::{
    Activation, GraphBuilder, LayerOp, LowerOptions, Lowered, Mask, Op, Shape, fold_affine, lower,
    merge_linear,
};
use copriv_plain::{evaluate_output, float, headroom};
use copriv_ring::{RingVec, Width};
use proptest::prelude::*;

/// A network of one activation of the elements of `keep`, or of all.
fn net(width: Width, shape: Shape, op: LayerOp, keep: Option<Mask>) -> Lowered {
    let mut net = one_layer(width, shape, op, shape, None);
    let shift = if let LayerOp::Truncate { shift } = op { shift } else { op.truncates_by() };
    net.architecture.frac_bits = shift;
    net.architecture.layers[0].frac_bits = shift;
    net.architecture.layers[1].keep = keep;
    net
}

fn shapes() -> impl Strategy<Value = Shape> {
    (1..5usize, 1..6usize, 1..6usize).prop_map(|(c, h, w)| Shape::new(c, h, w))
}

proptest! {
    /// In the ring, whatever wraps.
    #[test]
    fn each_element_is_one_or_the_other(
        shape in shapes(), seed: u64, bits in 8..=64u32, shift in 1..4u32, high in 1..4i64, low in -8..2i64, kind in 0..4u8,
    ) {
        let (width, numbers) = (Width::of(bits), &mut Numbers(seed));
        let keep = Mask::from(mask(numbers, shape));
        prop_assume!((1..keep.len()).contains(&keep.kept()));
        let op = match kind {
            0 => LayerOp::Relu,
            1 => LayerOp::ReluTruncate { shift },
            2 => LayerOp::Clip { low, high },
            // Where the ring has no room, without the truncation.
            _ if LayerOp::clip_ring(width, high << shift, shift).is_none() => LayerOp::Clip { low: 0, high },
            _ => LayerOp::ClipTruncate { high: high << shift, shift },
        };
        let words = (0..shape.len()).map(|_| width.reduce(numbers.next().wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let x = RingVec::from_words(width, words.collect());
        let partial = net(width, shape, op, Some(keep.clone()));
        let got = evaluate_output(&partial, &x)?;
        let active = evaluate_output(&net(width, shape, op, None), &x)?;
        let others = match op.truncates_by() {
            0 => x.clone(),
            shift => evaluate_output(&net(width, shape, LayerOp::Truncate { shift }, None), &x)?,
        };
        for (i, &kept) in keep.as_slice().iter().enumerate() {
            prop_assert_eq!(got.words()[i], if kept { active.words()[i] } else { others.words()[i] });
        }
        // What is between counts where the activation is alone.
        let [some, all] = [Some(keep), None].map(|keep| headroom(&net(width, shape, op, keep), &x));
        prop_assert!(some?[0] == all?[0]);
    }

    #[test]
    fn float(shape in shapes(), seed: u64, clip: bool) {
        let numbers = &mut Numbers(seed);
        let keep = mask(numbers, shape);
        let input = numbers.floats(shape.len(), 2.0);
        let activation = if clip { Activation::Clip { low: -0.5, high: 0.75 } } else { Activation::Relu };
        let of = |op: Op| {
            let mut net = GraphBuilder::new("one", shape)?;
            let x = net.push("y", op, vec![net.input()])?;
            Ok::<_, copriv_ir::Error>(float::evaluate(&net.finish(x)?, &input))
        };
        let got = of(Op::Partial { activation, keep: keep.clone().into() })??;
        let active = of(activation.into())??;
        for (i, &kept) in keep.iter().enumerate() {
            prop_assert_eq!(got[i], if kept { active[i] } else { input[i] });
        }
    }

    /// All kept is the activation, none is nothing; linear layers find each other across it.
    #[test]
    fn masks_that_are_none(seed: u64, steps in 0..14usize, all: bool) {
        let options = LowerOptions { width: Width::of(48), frac_bits: 12 };
        let mut some = network(seed, steps)?;
        let mut other = some.clone();
        for (node, other) in some.nodes.iter_mut().zip(&mut other.nodes) {
            if let Op::Partial { activation, keep } = &mut node.op {
                *keep = vec![all; keep.len()].into();
                other.op = if all { Op::from(*activation) } else { Op::Partial { activation: *activation, keep: keep.clone() } };
            }
        }
        let lowered = lower(&some, options)?;
        prop_assert_eq!(&lowered, &lower(&other, options)?);
        prop_assert!(lowered.architecture.layers.iter().all(|layer| layer.keep.is_none()));
        let folded = fold_affine(&some)?;
        let merged = merge_linear(&some, &mut |net| net.nodes.len() as u64)?;
        let partial = |net: &copriv_ir::Graph| net.nodes.iter().any(|node| node.op.kind().starts_with("partial"));
        prop_assert!(!partial(&folded) && !partial(&merged));
        let input = Numbers(!seed).floats(some.input_shape().len(), 1.0);
        let [expected, got] = [&some, &folded].map(|net| float::evaluate(net, &input));
        for (expected, got) in expected?.iter().zip(got?) {
            prop_assert!((expected - got).abs() <= 1e-4 * (1.0 + expected.abs()), "{expected} and {got}");
        }
    }
}

/// The output, and what others read too, stay what they are.
#[test]
fn an_activation_of_nothing_is_what_it_reads() -> Result<(), copriv_ir::Error> {
    let shape = Shape::vector(2);
    let nothing = || Op::Partial { activation: Activation::Relu, keep: vec![false; 2].into() };
    let mut net = GraphBuilder::new("nothing", shape)?;
    let fc = net.linear("fc", net.input(), vec![1.0, 2.0, 3.0, 4.0], vec![0.5; 2])?;
    let same = net.push("same", nothing(), vec![fc])?;
    let norm = net.batch_norm("norm", same, vec![2.0; 2], vec![1.0; 2])?;
    let sum = net.add("sum", norm, fc)?;
    let whole = net.finish(sum)?;
    let input = [1.0, -2.0];
    let value = |graph| float::evaluate(graph, &input).expect("it is valid");
    let folded = fold_affine(&whole)?;
    assert_eq!(folded.nodes.len(), 4, "the norm is not folded into what the sum reads");
    assert_eq!(value(&folded), value(&whole));
    // It alone, as the output, with others that read what it reads and lead nowhere.
    let mut dead = whole.clone();
    let same = dead.nodes.remove(2);
    dead.nodes[2].inputs[0] = fc;
    dead.nodes[3].inputs = vec![copriv_ir::NodeId(2), fc];
    dead.nodes.push(same);
    dead.validate()?;
    let folded = fold_affine(&dead)?;
    assert_eq!(folded.nodes.len(), 2);
    assert_eq!(value(&folded), value(&dead));
    // And of the input.
    let mut net = GraphBuilder::new("input", shape)?;
    let x = net.push("same", nothing(), vec![net.input()])?;
    assert_eq!(fold_affine(&net.finish(x)?)?.nodes.len(), 1);
    Ok(())
}
