//! The bytes on the wire with a fixed seed. A change of them is a change of the protocol: raise the session's version, run
//! with COPRIV_BLESS=1, which writes the digests anew, and say in the change log what changed.

use copriv_bits::Block;
use copriv_linear::{Chooser, Conv2d, Direct, Kernels, LinearLayer, Multiply, Padding, Precision, Producer};
use copriv_linear::{candidates, conv2d, conv2d_prepared, prepare};
use copriv_ot::RcotBackend;
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_testkit::check_wire;
use copriv_wire::{Result, Role};
use std::sync::Arc;

type Body = fn(&mut Session) -> Result<()>;

const WIDTH: Width = Width::of(41);

/// A share of the input, and at P0 weights of seven bits.
fn operands(s: &Session, inputs: usize, weights: usize) -> (Arithmetic, Option<Vec<u64>>) {
    let mut prg = Prg::from_seed(Block::new(s.role().index() as u64, 5));
    let x = Arithmetic::new(prg.ring(WIDTH, inputs));
    let weights = RingVec::from_signed(WIDTH, &prg.ring(Width::of(7), weights).to_signed());
    (x, (s.role() == Role::P0).then(|| weights.into_words()))
}

fn convolution(s: &mut Session, chooser: Chooser) -> Result<()> {
    let conv = Conv2d {
        in_channels: 8,
        out_channels: 24,
        groups: 2,
        input: (7, 6),
        kernel: (3, 3),
        stride: (2, 1),
        padding: Padding { top: 1, left: 0, bottom: 2, right: 1 },
    };
    let (x, weights) = operands(s, conv.input_len(), conv.weights_len());
    let kernels = weights.as_deref().map(|weights| Kernels { weights, bias: None });
    conv2d(s, &Direct::new(LinearLayer::new(conv, WIDTH), chooser), kernels, &x).map(drop)
}

fn winograd() -> impl Iterator<Item = Arc<dyn Producer>> {
    let conv = Conv2d {
        in_channels: 6,
        out_channels: 8,
        groups: 2,
        input: (7, 6),
        kernel: (3, 3),
        stride: (1, 1),
        padding: Padding::even(1),
    };
    let layer = LinearLayer { conv, width: WIDTH, headroom: 2 };
    let all = candidates(&layer, &[&[2], &[4, 2]], Precision::Narrow { weight_bits: 7 }, RcotBackend::Iknp);
    all.into_iter().skip(2)
}

/// Groups of several elements, at once or in two phases.
fn products(s: &mut Session, prepared: bool) -> Result<()> {
    let multiply = Multiply { groups: 70, cols: 9, width: WIDTH };
    let (x, _) = operands(s, multiply.len(), 1);
    let y = x.slice(0..multiply.groups);
    if prepared {
        let triple = multiply.prepare(s)?;
        return multiply.run_prepared(s, triple, &x, &y).map(drop);
    }
    multiply.run(s, &x, &y).map(drop)
}

const PROTOCOLS: [(&str, Params, Body); 8] = [
    ("convolution, activations choose", Params::CRYPTFLOW2, |s| convolution(s, Chooser::Activations)),
    ("convolution, weights choose", Params::CRYPTFLOW2, |s| convolution(s, Chooser::Weights { bits: 41 })),
    ("convolution, narrow weights choose", Params::IDEAL, |s| convolution(s, Chooser::Weights { bits: 7 })),
    ("fully connected", Params::IDEAL, |s| {
        let (x, weights) = operands(s, 100, 1000);
        let kernels = weights.as_deref().map(|weights| Kernels { weights, bias: None });
        let layer = LinearLayer::new(Conv2d::fully_connected(100, 10), WIDTH);
        conv2d(s, &Direct::new(layer, Chooser::Activations), kernels, &x).map(drop)
    }),
    ("winograd convolutions", Params::CRYPTFLOW2, |s| {
        winograd().try_for_each(|producer| {
            let conv = &producer.layer().conv;
            let (x, weights) = operands(s, conv.input_len(), conv.weights_len());
            let kernels = weights.as_deref().map(|weights| Kernels { weights, bias: None });
            conv2d(s, producer.as_ref(), kernels, &x).map(drop)
        })
    }),
    ("winograd convolutions in two phases", Params::IDEAL, |s| {
        winograd().try_for_each(|producer| {
            let conv = &producer.layer().conv;
            let (x, weights) = operands(s, conv.input_len(), conv.weights_len());
            let kernels = weights.as_deref().map(|weights| Kernels { weights, bias: None });
            let prepared = prepare(s, producer.as_ref(), weights.as_deref())?;
            conv2d_prepared(s, producer.layer(), prepared, kernels, &x).map(drop)
        })
    }),
    ("products of two values", Params::CRYPTFLOW2, |s| products(s, false)),
    ("products of two values in two phases", Params::IDEAL, |s| products(s, true)),
];

#[test]
fn wire_bytes_are_as_before() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire.txt");
    check_wire(include_str!("wire.txt"), path, PROTOCOLS);
}
