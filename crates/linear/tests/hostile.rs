//! A lying, silent or vanishing peer: an error or a wrong answer, never a panic or a hang.

use copriv_bits::Block;
use copriv_linear::{Chooser, Conv2d, Padding, conv2d};
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
    let weights = (s.role() == Role::P0).then_some(&weights[..]);
    for chooser in [Chooser::Activations, Chooser::Weights { bits: 3 }] {
        conv2d(s, &conv, chooser, weights, None, &x)?;
    }
    Ok(())
}

#[test]
fn no_tampering_panics_or_hangs() {
    let iknp = Params { rcot: RcotBackend::Iknp, one_of_n: OneOfNBackend::Rcot, digit_bits: 4 };
    for params in [Params::IDEAL, iknp] {
        // Three chunks with P0 the OT sender, two with P1: a request and three messages each, six ways.
        assert!(survive_tampering(params, both_choosers) >= 6 * 5 * 4);
    }
}
