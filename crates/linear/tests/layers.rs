//! Functionality and cost of products, convolutions and fully connected layers.

use copriv_bits::Block;
use copriv_linear::product::{self, matmul, outer_products};
use copriv_linear::{
    Chooser, Conv2d, Direct, Kernels, LinearLayer, Multiply, Padding, Precision, Prepared, Product, Roles,
    Triple,
};
use copriv_linear::{Producer, candidates, conv2d, conv2d_prepared, online_cost, prepare};
use copriv_ot::RcotBackend;
use copriv_prg::Prg;
use copriv_ring::{RingVec, Width};
use copriv_session::Params;
use copriv_share::Arithmetic;
use copriv_testkit::run_pair;
use copriv_wire::Role;
use proptest::prelude::*;

fn prg(seed: u64) -> Prg {
    Prg::from_seed(Block::new(seed, 77))
}

/// Canonical words of signed integers of `bits` bits, the extremes among them.
fn signed(seed: u64, width: Width, bits: u32, len: usize) -> Vec<u64> {
    let narrow = Width::of(bits);
    let mut words = prg(seed).ring(narrow, len).into_words();
    for (w, extreme) in words.iter_mut().zip([1 << (bits - 1), narrow.mask(), (1 << (bits - 1)) - 1]) {
        *w = extreme;
    }
    words.iter().map(|&w| width.from_signed(narrow.to_signed(w))).collect()
}

/// W·X by the definition, on integers.
fn naive_product(p: &Product, w: &[u64], x: &[u64]) -> Vec<u64> {
    let mut out = Vec::new();
    for (g, r, t) in
        (0..p.groups).flat_map(|g| (0..p.rows).flat_map(move |r| (0..p.cols).map(move |t| (g, r, t))))
    {
        let term = |c: usize| {
            let w = p.width.to_signed(w[(g * p.rows + r) * p.inner + c]);
            i128::from(w) * i128::from(x[(g * p.inner + c) * p.cols + t])
        };
        let sum = (0..p.inner).fold(0i128, |sum, c| sum.wrapping_add(term(c)));
        out.push(p.width.reduce(sum as u64));
    }
    out
}

/// The convolution by the definition, on integers.
fn naive_conv(conv: &Conv2d, width: Width, weights: &[u64], bias: &[u64], x: &[u64]) -> Vec<u64> {
    let (height, columns) = conv.output();
    let (ins, outs) = (conv.in_channels / conv.groups, conv.out_channels / conv.groups);
    let pixel = |channel: usize, y: usize, x_: usize| -> i128 {
        let (y, x_) = (y as isize - conv.padding.top as isize, x_ as isize - conv.padding.left as isize);
        let inside = (0..conv.input.0 as isize).contains(&y) && (0..conv.input.1 as isize).contains(&x_);
        if !inside {
            return 0;
        }
        x[(channel * conv.input.0 + y as usize) * conv.input.1 + x_ as usize].into()
    };
    let mut out = Vec::new();
    for (k, &bias) in bias.iter().enumerate() {
        for oy in 0..height {
            for ox in 0..columns {
                let mut sum = i128::from(bias);
                for c in 0..ins {
                    for ky in 0..conv.kernel.0 {
                        for kx in 0..conv.kernel.1 {
                            let w = weights[((k * ins + c) * conv.kernel.0 + ky) * conv.kernel.1 + kx];
                            let x =
                                pixel(k / outs * ins + c, oy * conv.stride.0 + ky, ox * conv.stride.1 + kx);
                            sum = sum.wrapping_add(i128::from(width.to_signed(w)) * x);
                        }
                    }
                }
                out.push(width.reduce(sum as u64));
            }
        }
    }
    out
}

fn check_product(params: Params, p: &Product, seed: u64) {
    let bits = if let Chooser::Weights { bits } = p.chooser { bits } else { p.width.bits() };
    let w = signed(seed, p.width, bits, p.groups * p.rows * p.inner);
    let x = signed(seed ^ 1, p.width, p.width.bits(), p.groups * p.inner * p.cols);
    let out = run_pair(params, seed, |s| matmul(s, p, &w), |s| matmul(s, p, &x));
    out.assert_cost(product::cost(params.rcot, &[*p]));
    assert_eq!((&out.p0 + &out.p1).words(), naive_product(p, &w, &x));
}

fn check_conv(params: Params, conv: &Conv2d, width: Width, roles: Roles, seed: u64) {
    let bits = match roles {
        Roles::Fixed(Chooser::Weights { bits }) | Roles::Halves { bits } => bits,
        Roles::Fixed(Chooser::Activations) => width.bits(),
    };
    for headroom in [0, width.bits() - 1, width.bits() / 2] {
        check_producer(params, &Direct::new(LinearLayer { conv: *conv, width, headroom }, roles), bits, seed);
    }
}

/// At once and in two phases, through bytes: 2^h times the definition, at the predicted cost.
fn check_producer(params: Params, producer: &dyn Producer, bits: u32, seed: u64) {
    let &LinearLayer { conv, width, headroom } = producer.layer();
    let weights = signed(seed, width, bits, conv.weights_len());
    // For each output channel, or for each output.
    let biases = if seed.is_multiple_of(3) { conv.output_len() } else { conv.out_channels };
    let bias = signed(seed ^ 1, width, width.bits(), biases);
    let shares = [2, 3].map(|i| prg(seed ^ i).ring(width, conv.input_len()));
    let [x0, x1] = shares.each_ref().map(|x| Arithmetic::new(x.clone()));
    let kernels = Kernels { weights: &weights, bias: Some(&bias) };
    let x = &shares[0] + &shares[1];
    let mut want = naive_conv(&conv, width, &weights, &vec![0; conv.out_channels], x.words());
    let map = want.len() / bias.len();
    for (map, bias) in want.chunks_exact_mut(map).zip(&bias) {
        map.iter_mut().for_each(|y| *y = width.reduce((*y << headroom).wrapping_add(*bias)));
    }

    let out = run_pair(
        params,
        seed,
        |s| conv2d(s, producer, Some(kernels), &x0),
        |s| conv2d(s, producer, None, &x1),
    );
    out.assert_cost(producer.cost(params.rcot));
    assert!((&out.p0 + &out.p1).own().words() == want, "{producer:?}");

    let halves =
        run_pair(params, seed, |s| prepare(s, producer, Some(&weights)), |s| prepare(s, producer, None));
    halves.assert_cost(producer.cost(params.rcot));
    let bytes = [halves.p0.to_bytes(), halves.p1.to_bytes()];
    let prepared = |role: Role| Prepared::from_bytes(producer.layer(), role, &bytes[role.index()]);
    for role in [Role::P0, Role::P1] {
        assert!(Prepared::from_bytes(producer.layer(), role, &bytes[role.index()][1..]).is_err());
    }
    let out = run_pair(
        params,
        seed,
        |s| conv2d_prepared(s, producer.layer(), prepared(Role::P0)?, Some(kernels), &x0),
        |s| conv2d_prepared(s, producer.layer(), prepared(Role::P1)?, None, &x1),
    );
    out.assert_cost(online_cost(producer.layer()));
    assert!((&out.p0 + &out.p1).own().words() == want, "{producer:?}, prepared");
}

/// At once and in two phases, through bytes: the definition, at the predicted cost.
fn check_multiply(params: Params, multiply: &Multiply, seed: u64) {
    let &Multiply { groups, cols, width } = multiply;
    let values = |seed, len| {
        let sum = RingVec::from_words(width, signed(seed, width, width.bits(), len));
        let one = prg(!seed).ring(width, len);
        (sum.clone(), [Arithmetic::new(&sum - &one), Arithmetic::new(one)])
    };
    let ((x, [x0, x1]), (y, [y0, y1])) = (values(seed, groups * cols), values(seed ^ 1, groups));
    let product = |i: usize| width.reduce(x.words()[i].wrapping_mul(y.words()[i / cols]));
    let want: Vec<u64> = (0..groups * cols).map(product).collect();

    let out = run_pair(params, seed, |s| multiply.run(s, &x0, &y0), |s| multiply.run(s, &x1, &y1));
    out.assert_cost(multiply.cost(params.rcot));
    assert_eq!((&out.p0 + &out.p1).own().words(), want, "{multiply:?}");

    let halves = run_pair(params, seed, |s| multiply.prepare(s), |s| multiply.prepare(s));
    halves.assert_cost(multiply.cost(params.rcot));
    let bytes = [halves.p0.to_bytes(), halves.p1.to_bytes()];
    let prepared = |role: Role| Triple::from_bytes(multiply, &bytes[role.index()]);
    if groups > 0 {
        assert!(Triple::from_bytes(multiply, &bytes[0][1..]).is_err());
        assert!(Triple::from_bytes(multiply, &[&bytes[0][..], &[0]].concat()).is_err());
    }
    let out = run_pair(
        params,
        seed,
        |s| multiply.run_prepared(s, prepared(Role::P0)?, &x0, &y0),
        |s| multiply.run_prepared(s, prepared(Role::P1)?, &x1, &y1),
    );
    out.assert_cost(multiply.online_cost());
    assert_eq!((&out.p0 + &out.p1).own().words(), want, "{multiply:?}, prepared");
}

fn widths() -> impl Strategy<Value = Width> {
    prop_oneof![Just(8), Just(37), Just(41), Just(64), 2u32..=64].prop_map(Width::of)
}

fn choosers(width: Width) -> impl Strategy<Value = Chooser> {
    let weights = |bits| Chooser::Weights { bits };
    prop_oneof![
        2 => Just(Chooser::Activations),
        1 => Just(weights(width.bits())),
        2 => (1..=width.bits()).prop_map(weights),
    ]
}

fn roles(width: Width) -> impl Strategy<Value = Roles> {
    let halves = (1..=width.bits()).prop_map(|bits| Roles::Halves { bits });
    prop_oneof![3 => choosers(width).prop_map(Roles::Fixed), 2 => halves]
}

prop_compose! {
    fn convs()(
        (groups, ins, outs) in prop_oneof![
            (Just(1usize), 1usize..5, 1usize..6),
            (2usize..4, 1usize..3, 1usize..3),
            (1usize..9, Just(1), Just(1)),
        ],
        kernel in (1usize..5, 1usize..4),
        stride in (1usize..4, 1usize..3),
        padding in (0usize..3, 0usize..3, 0usize..3, 0usize..3),
        input in prop_oneof![1 => Just((1usize, 1usize)), 4 => (1usize..8, 1usize..8)],
    ) -> Conv2d {
        let (top, left, bottom, right) = padding;
        let kernel = (kernel.0.min(input.0 + top + bottom), kernel.1.min(input.1 + left + right));
        let padding = Padding { top, left, bottom, right };
        Conv2d { in_channels: groups * ins, out_channels: groups * outs, groups, input, kernel, stride, padding }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_are_the_definition(
        conv in convs(),
        (width, roles) in widths().prop_flat_map(|w| (Just(w), roles(w))),
        iknp in prop::bool::weighted(0.2),
        seed: u64,
    ) {
        let params = if iknp { Params::CRYPTFLOW2 } else { Params::IDEAL };
        check_conv(params, &conv, width, roles, seed);
    }

    #[test]
    fn products_are_the_definition(
        (groups, rows, inner, cols) in (0usize..4, 0usize..7, 0usize..7, 0usize..40),
        (width, chooser) in widths().prop_flat_map(|w| (Just(w), choosers(w))),
        iknp in prop::bool::weighted(0.2),
        seed: u64,
    ) {
        let params = if iknp { Params::CRYPTFLOW2 } else { Params::IDEAL };
        check_product(params, &Product { groups, rows, inner, cols, width, chooser }, seed);
    }

    #[test]
    fn products_of_two_values_are_the_definition(
        (groups, cols) in prop_oneof![(0usize..40, Just(1usize)), (0usize..5, 0usize..40)],
        width in widths(),
        iknp in prop::bool::weighted(0.2),
        seed: u64,
    ) {
        let params = if iknp { Params::CRYPTFLOW2 } else { Params::IDEAL };
        check_multiply(params, &Multiply { groups, cols, width }, seed);
    }

    #[test]
    fn fully_connected_layers_are_the_definition(
        (inputs, outputs) in (1usize..70, 1usize..12),
        (width, roles) in widths().prop_flat_map(|w| (Just(w), roles(w))),
        seed: u64,
    ) {
        check_conv(Params::IDEAL, &Conv2d::fully_connected(inputs, outputs), width, roles, seed);
    }

    /// Winograd = direct = the definition, whatever the shape, with weights at the extremes.
    #[test]
    fn every_candidate_is_the_definition(
        conv in convs(),
        width in widths(),
        (bits, headroom) in (1u32..=20, 0u32..8),
        full in prop::bool::weighted(0.2),
        iknp in prop::bool::weighted(0.1),
        seed: u64,
    ) {
        let params = if iknp { Params::CRYPTFLOW2 } else { Params::IDEAL };
        let bits = if full { width.bits() } else { bits.min(width.bits()) };
        let precision = if full { Precision::Full } else { Precision::Narrow { weight_bits: bits } };
        let layer = LinearLayer { conv, width, headroom: headroom.min(width.bits() - 1) };
        for producer in candidates(&layer, SIZES, precision, params.rcot) {
            check_producer(params, producer.as_ref(), bits, seed);
        }
    }
}

/// Tile sizes that a planner would try.
const SIZES: &[&[usize]] = &[&[2], &[4], &[2, 4], &[6, 3]];

#[test]
fn winograd_layers_of_real_size() {
    let conv = |channels, out_channels, size, stride| Conv2d {
        in_channels: channels,
        out_channels,
        groups: 1,
        input: (size, size),
        kernel: (3, 3),
        stride: (stride, stride),
        padding: Padding::even(1),
    };
    for (conv, headroom) in [(conv(16, 16, 32, 1), 2), (conv(3, 16, 33, 1), 6), (conv(16, 32, 16, 2), 2)] {
        let layer = LinearLayer { conv, width: Width::of(41), headroom };
        for precision in [Precision::Full, Precision::Narrow { weight_bits: 13 }] {
            let bits = if precision == Precision::Full { 41 } else { 13 };
            let all = candidates(&layer, SIZES, precision, RcotBackend::Iknp);
            let cheapest = all.iter().min_by_key(|p| p.cost(RcotBackend::Iknp).bytes());
            let cheapest = cheapest.expect("there is a way");
            assert!(cheapest.describe().starts_with("F("), "{}", cheapest.describe());
            check_producer(Params::CRYPTFLOW2, cheapest.as_ref(), bits, 9);
        }
    }
}

#[test]
fn a_tiling_with_too_large_a_factor_is_no_candidate() {
    let conv = Conv2d { kernel: (3, 3), padding: Padding::even(1), ..Conv2d::fully_connected(4, 4) };
    let count = |headroom| {
        let layer = LinearLayer { conv: Conv2d { input: (8, 8), ..conv }, width: Width::of(41), headroom };
        candidates(&layer, &[&[2], &[6]], Precision::Full, RcotBackend::Iknp).len()
    };
    assert_eq!([0, 1, 2, 5, 6].map(count), [2, 2, 3, 3, 4]);
}

#[test]
fn larger_layers_in_many_chunks() {
    let conv = |channels, groups, size, kernel, stride, padding| Conv2d {
        in_channels: channels,
        out_channels: channels,
        groups,
        input: (size, size),
        kernel: (kernel, kernel),
        stride: (stride, stride),
        padding: Padding::even(padding),
    };
    let width = Width::of(41);
    let fixed =
        [Chooser::Activations, Chooser::Weights { bits: 41 }, Chooser::Weights { bits: 7 }].map(Roles::Fixed);
    for roles in fixed.into_iter().chain([Roles::Halves { bits: 41 }]) {
        for params in [Params::IDEAL, Params::CRYPTFLOW2] {
            check_conv(params, &conv(16, 1, 8, 3, 1, 1), width, roles, 1);
            check_conv(params, &conv(32, 32, 9, 3, 2, 1), width, roles, 2);
            check_conv(params, &conv(40, 1, 5, 1, 1, 0), width, roles, 3);
        }
    }
}

#[test]
fn several_products_are_one_stream() {
    let weights = |bits| Chooser::Weights { bits };
    for choosers in [[weights(5), weights(30), weights(1)], [Chooser::Activations; 3]] {
        let shapes = [(2, 3, 4, 50), (1, 70, 8, 1), (3, 1, 1, 9)];
        let plan: Vec<Product> = shapes
            .iter()
            .zip(choosers)
            .zip([41, 30, 12])
            .map(|((&(groups, rows, inner, cols), chooser), bits)| Product {
                groups,
                rows,
                inner,
                cols,
                width: Width::of(bits),
                chooser,
            })
            .collect();
        let fill = |w: bool| {
            let plan = &plan;
            move |product: usize, pair: usize, out: &mut [u64]| {
                let p = &plan[product];
                let bits = if let (true, Chooser::Weights { bits }) = (w, p.chooser) {
                    bits
                } else {
                    p.width.bits()
                };
                let seed = (2 * product + usize::from(w)) << 20 | pair;
                out.copy_from_slice(&signed(seed as u64, p.width, bits, out.len()));
            }
        };
        for params in [Params::IDEAL, Params::CRYPTFLOW2] {
            let out = run_pair(
                params,
                4,
                |s| outer_products(s, &plan, fill(true)),
                |s| outer_products(s, &plan, fill(false)),
            );
            out.assert_cost(product::cost(params.rcot, &plan));
            assert!(out.traffic[0].rounds + out.traffic[1].rounds == 1);
            for (i, p) in plan.iter().enumerate() {
                let mut want = RingVec::zeros(p.width, p.output_len()).into_words();
                let (mut w, mut x) = (vec![0; p.rows], vec![0; p.cols]);
                for pair in 0..p.groups * p.inner {
                    fill(true)(i, pair, &mut w);
                    fill(false)(i, pair, &mut x);
                    for (r, w) in w.iter().enumerate() {
                        for (t, x) in x.iter().enumerate() {
                            let y = &mut want[(pair / p.inner * p.rows + r) * p.cols + t];
                            *y = y.wrapping_add(w.wrapping_mul(*x));
                        }
                    }
                }
                assert_eq!(&out.p0[i] + &out.p1[i], RingVec::from_words(p.width, want));
            }
        }
    }
}
