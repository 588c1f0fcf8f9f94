//! The bytes on the wire with a fixed seed. A change of them is a change of the protocol: raise the session's version, run
//! with COPRIV_BLESS=1, which writes the digests anew, and say in the change log what changed.

use copriv_bits::Block;
use copriv_linear::{Chooser, Conv2d, Padding, conv2d, fully_connected};
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_session::{Params, Session};
use copriv_share::Arithmetic;
use copriv_testkit::check_wire;
use copriv_wire::{Result, Role};

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
    conv2d(s, &conv, chooser, weights.as_deref(), None, &x).map(drop)
}

const PROTOCOLS: [(&str, Params, Body); 4] = [
    ("convolution, activations choose", Params::CRYPTFLOW2, |s| convolution(s, Chooser::Activations)),
    ("convolution, weights choose", Params::CRYPTFLOW2, |s| convolution(s, Chooser::Weights { bits: 41 })),
    ("convolution, narrow weights choose", Params::IDEAL, |s| convolution(s, Chooser::Weights { bits: 7 })),
    ("fully connected", Params::IDEAL, |s| {
        let (x, weights) = operands(s, 100, 1000);
        fully_connected(s, 10, Chooser::Activations, weights.as_deref(), None, &x).map(drop)
    }),
];

#[test]
fn wire_bytes_are_as_before() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wire.txt");
    check_wire(include_str!("wire.txt"), path, PROTOCOLS);
}
