//! Predicted bytes against those counted from the original implementation of CrypTFlow2 (SCI, IKNP, one thread: the
//! activations choose; two threads: one half of the inner dimension each way), l = 41.

use copriv_linear::{Chooser, Conv2d, Direct, LinearLayer, Padding, Producer, Roles};
use copriv_ot::RcotBackend;
use copriv_ring::Width;

/// Size of the square map, input and output channels, kernel, stride; bytes with one and with two threads.
const ROWS: [(usize, usize, usize, usize, usize, u64, u64); 10] = [
    (32, 16, 16, 3, 1, 350_650_368, 303_202_304),
    (16, 32, 32, 3, 1, 302_415_872, 281_444_352),
    (8, 64, 64, 3, 1, 278_298_624, 278_560_768),
    (32, 64, 64, 3, 1, 4_449_632_256, 4_268_490_752),
    (16, 128, 128, 3, 1, 4_256_169_984, 4_207_935_488),
    (8, 256, 256, 3, 1, 4_159_438_848, 4_304_666_624),
    (4, 512, 512, 3, 1, 4_111_204_352, 4_860_936_192),
    (32, 3, 16, 3, 1, 65_959_936, 57_309_184),
    (32, 16, 32, 3, 2, 151_339_008, 140_853_248),
    (32, 64, 128, 1, 2, 236_453_888, 234_094_592),
];

#[test]
fn bytes_are_those_of_the_original() {
    let width = Width::of(41);
    for (size, in_channels, out_channels, kernel, stride, one_thread, two_threads) in ROWS {
        let conv = Conv2d {
            in_channels,
            out_channels,
            groups: 1,
            input: (size, size),
            kernel: (kernel, kernel),
            stride: (stride, stride),
            padding: Padding::even(kernel / 2),
        };
        let layer = LinearLayer::new(conv, width);
        let bytes = |roles: Roles| Direct::new(layer, roles).cost(RcotBackend::Iknp).bytes() as f64;
        let close = |got: f64, want: u64| {
            let ratio = got / want as f64;
            assert!((ratio - 1.0).abs() < 0.005, "{conv:?}: {got} bytes, {ratio} of {want}");
        };
        close(bytes(Chooser::Activations.into()), one_thread);
        close(bytes(Roles::Halves { bits: 41 }), two_threads);
    }
}
