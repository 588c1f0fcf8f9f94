//! A lying, silent or vanishing peer: an error or a wrong answer, never a panic or a hang.

use copriv_bits::Block;
use copriv_linear::{Chooser, Conv2d, Direct, Kernels, LinearLayer, Multiply, Padding, Precision};
use copriv_linear::{candidates, conv2d, conv2d_prepared, prepare};
use copriv_ot::RcotBackend;
use copriv_ot::one_of_n::OneOfNBackend;
use copriv_prg::Prg;
use copriv_ring::Width;
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_testkit::survive_tampering;
use copriv_wire::{Result, Role};

/// Two convolutions, one in each direction, of several chunks.
fn both_choosers(s: &mut Session) -> Result<()> {
    let width = Width::of(3);
    let conv = Conv2d {
        in_channels: 50,
        out_channels: 100,
        groups: 1,
        input: (2, 3),
        kernel: (1, 1),
        stride: (1, 1),
        padding: Padding::even(0),
    };
    let mut prg = Prg::from_seed(Block::ONES);
    let x = Arithmetic::new(prg.ring(width, conv.input_len()));
    let weights = prg.ring(width, conv.weights_len()).into_words();
    let kernels = (s.role() == Role::P0).then_some(Kernels { weights: &weights, bias: None });
    for chooser in [Chooser::Activations, Chooser::Weights { bits: 3 }] {
        conv2d(s, &Direct::new(LinearLayer::new(conv, width), chooser), kernels, &x)?;
    }
    Ok(())
}

/// A Winograd convolution in two phases.
fn winograd_in_two_phases(s: &mut Session) -> Result<()> {
    let conv = Conv2d {
        in_channels: 1,
        out_channels: 2,
        groups: 1,
        input: (1, 2),
        kernel: (1, 3),
        stride: (1, 1),
        padding: Padding { left: 1, right: 1, ..Padding::default() },
    };
    let layer = LinearLayer { conv, width: Width::of(5), headroom: 1 };
    let mut prg = Prg::from_seed(Block::ONES);
    let x = Arithmetic::new(prg.ring(layer.width, conv.input_len()));
    let weights = vec![1; conv.weights_len()];
    let kernels = (s.role() == Role::P0).then_some(Kernels { weights: &weights, bias: None });
    // The first two are direct products, as above.
    for producer in &candidates(&layer, &[&[2]], Precision::Narrow { weight_bits: 2 }, RcotBackend::Iknp)[2..]
    {
        let prepared = prepare(s, producer.as_ref(), kernels.map(|k| k.weights))?;
        conv2d_prepared(s, &layer, prepared, kernels, &x)?;
    }
    Ok(())
}

/// Two values multiplied in two phases.
fn multiplied_in_two_phases(s: &mut Session) -> Result<()> {
    let multiply = Multiply { groups: 2, cols: 3, width: Width::of(5) };
    let x = Arithmetic::new(Prg::from_seed(Block::ONES).ring(multiply.width, multiply.len()));
    let y = x.slice(0..multiply.groups);
    let triple = multiply.prepare(s)?;
    multiply.run_prepared(s, triple, &x, &y).map(drop)
}

#[test]
fn no_tampering_panics_or_hangs() {
    let iknp = Params { rcot: RcotBackend::Iknp, one_of_n: OneOfNBackend::Rcot, digit_bits: 4 };
    for params in [Params::IDEAL, iknp] {
        // Three chunks with P0 the OT sender, two with P1: a request and three messages each, six ways.
        assert!(survive_tampering(params, both_choosers) >= 6 * 5 * 4);
        // A request and at least 5 messages of the tile positions, and the masked input, six ways.
        assert!(survive_tampering(params, winograd_in_two_phases) >= 6 * 7);
        // A request and five messages each way, and the masked factors of both, six ways.
        assert!(survive_tampering(params, multiplied_in_two_phases) >= 6 * (2 * 6 + 2));
    }
}
