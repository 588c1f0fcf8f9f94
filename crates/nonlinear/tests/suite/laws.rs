//! Each protocol against its definition on integers; the cost against what was counted.

use crate::common::*;
use copriv_bits::BitVec;
use copriv_nonlinear::{
    Sign, Signedness, Windows, and, argmax, avgpool, b2a, clip, clip_truncate, drelu, extend, maxpool,
    millionaires, mux, pieces, product, relu, relu_truncate, truncate, wrap,
};
use copriv_ot::RcotBackend;
use copriv_ring::{RingVec, Width};
use copriv_session::Params;
use copriv_share::{Arithmetic, Boolean};
use proptest::prelude::*;

const IDEAL: Params = Params::IDEAL;
const IKNP: Params = Params { rcot: RcotBackend::Iknp, ..IDEAL };
const SOFTSPOKEN: Params = Params { rcot: RcotBackend::Softspoken { k: 4 }, ..IDEAL };
const STORED: Params = Params { rcot: RcotBackend::Stored, ..IDEAL };

fn widths() -> impl Strategy<Value = Width> {
    prop_oneof![prop::sample::select(&WIDTHS[..]), 2u32..=64].prop_map(Width::of)
}

/// The dealer mostly, and every kind of OTs that two parties can have.
fn suites() -> impl Strategy<Value = Params> {
    prop_oneof![
        6 => Just(IDEAL),
        1 => Just(Params::CRYPTFLOW2),
        1 => Just(IKNP),
        1 => Just(SOFTSPOKEN),
        1 => Just(STORED)
    ]
}

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0usize), Just(1), Just(64), 1usize..200]
}

/// Equal, smaller and larger pairs, and pairs that differ in one digit only.
fn pairs(bits: u32, n: usize, seed: u64) -> [Vec<u64>; 2] {
    let width = Width::of(bits);
    let a = elements(width, n, seed).into_words();
    let other = elements(width, n, seed ^ 1).into_words();
    let b = (0..n).map(|i| match i % 4 {
        0 => a[i],
        1 => a[i] ^ width.reduce(1 << (other[i] % u64::from(bits))),
        2 => width.reduce(a[i].wrapping_add(1)),
        _ => other[i],
    });
    [a.clone(), b.collect()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn millionaires_compare(params in suites(), bits in 1u32..=64, m in 1u32..=8, n in lengths(), seed: u64) {
        let [a, b] = pairs(bits, n, seed);
        let params = Params { digit_bits: m, ..params };
        let cost = millionaires::cost(&params, n, bits);
        let got = run(params, cost, [&a, &b], |s, own| millionaires::less_than(s, bits, own));
        prop_assert_eq!(got, BitVec::from_fn(n, |i| a[i] < b[i]));
    }

    #[test]
    fn millionaires_compare_the_low_part(
        params in suites(), bits in 1u32..=64, cut in 0u32..64, m in 1u32..=8, n in lengths(), seed: u64
    ) {
        let low = cut % bits + 1;
        let [a, b] = pairs(bits, n, seed);
        let (params, mask) = (Params { digit_bits: m, ..params }, Width::of(low).mask());
        let cost = millionaires::cost_low(&params, n, bits, low);
        let got = run(params, cost, [&a, &b], |s, own| millionaires::less_than_low(s, bits, low, own));
        prop_assert_eq!(got.0, BitVec::from_fn(n, |i| a[i] < b[i]));
        prop_assert_eq!(got.1, BitVec::from_fn(n, |i| a[i] & mask < b[i] & mask));
    }

    #[test]
    fn millionaires_compare_parts(
        params in suites(), bits in 2u32..=64, cuts: [u32; 2], joined: bool, copies in 1usize..4, m in 1u32..=8,
        n in lengths(), seed: u64
    ) {
        let top = cuts[0] % (bits - 1) + 1;
        let low = cuts[1] % top + 1;
        let from = if joined { 0 } else { top };
        let (params, width, mask) = (Params { digit_bits: m, ..params }, Width::of(bits), Width::of(low).mask());
        let parts = millionaires::Parts { bits, low, from, copies };
        let [a, b] = pairs(bits, n, seed);
        // Numbers with other bits above the low ones.
        let others = |x: &[u64], salt: usize| -> Vec<Vec<u64>> {
            let more = |copy: usize| match copy {
                0 => x.to_vec(),
                _ => {
                    let high = prg(seed ^ (copy + 8 * salt) as u64).words(n);
                    x.iter().zip(high).map(|(&x, high)| x & mask | width.reduce(high) & !mask).collect()
                }
            };
            (0..copies).map(more).collect()
        };
        let (a, b) = (others(&a, 0), others(&b, 1));
        let cost = millionaires::cost_parts(&params, n, parts);
        let got = run(params, cost, [&a, &b], |s, own| {
            let own: Vec<&[u64]> = own.iter().map(Vec::as_slice).collect();
            millionaires::less_than_parts(s, parts, &own)
        });
        let at = |i: usize| (i / n.max(1), i % n.max(1));
        prop_assert_eq!(got.0, BitVec::from_fn(copies * n, |i| {
            let (copy, i) = at(i);
            a[copy][i] >> from < b[copy][i] >> from
        }));
        prop_assert_eq!(got.1, BitVec::from_fn(n, |i| a[0][i] & mask < b[0][i] & mask));
    }

    #[test]
    fn products_and_ands(params in suites(), width in widths(), n in lengths(), seed: u64) {
        let [x, y] = [1, 2].map(|i| prg(seed ^ i).bits(n));
        let got = run(params, product::cost(&params, n, width), [&x, &y], |s, own| product::product(s, width, own));
        prop_assert_eq!(got.into_words(), (&x & &y).to_lsb());
        let ([x0, x1], [y0, y1]) = (bit_shares(&x, seed), bit_shares(&y, seed ^ 9));
        let got = run(params, and::cost(&params, n), [(x0, y0), (x1, y1)], |s, (x, y)| and::and(s, &x, &y));
        prop_assert_eq!(got, &x & &y);
        let z = prg(seed ^ 3).bits(n);
        let ([x0, x1], [y0, y1], [z0, z1]) = (bit_shares(&x, 1), bit_shares(&y, 2), bit_shares(&z, 3));
        let inputs = [(x0, y0, z0), (x1, y1, z1)];
        let got = run(params, and::cost_pair(&params, n), inputs, |s, (x, y, z)| and::and_pair(s, &x, &y, &z));
        prop_assert_eq!(got, [&x & &y, &x & &z]);
    }

    #[test]
    fn extensions(params in suites(), width in widths(), more in 0u32..63, n in lengths(), seed: u64) {
        let x = elements(width, n, seed);
        let out = Width::of(width.bits() + more % (65 - width.bits()));
        for (x, sign) in &cases(&x) {
            let sign = *sign;
            let [(x0, m0), (x1, m1)] = with_sign(x);
            let inputs = [(&x0, known(sign, &m0)), (&x1, known(sign, &m1))];
            let cost = extend::cost(&params, n, width, out, sign);
            let got = run(params, cost, inputs, |s, (x, sign)| extend::extend_signed(s, x, out, sign));
            prop_assert_eq!(got, RingVec::from_signed(out, &x.to_signed()));
            // Unsigned, bounded means not negative.
            let x = if sign == Sign::Bounded { &x.shl(2).shr(2, width) } else { x };
            let [(x0, m0), (x1, m1)] = with_sign(x);
            let inputs = [(&x0, known(sign, &m0)), (&x1, known(sign, &m1))];
            let got = run(params, cost, inputs, |s, (x, sign)| extend::extend_zero(s, x, out, sign));
            prop_assert_eq!(got, x.resize(out));
        }
    }

    #[test]
    fn bits_become_elements(params in suites(), width in 1u32..=64, n in lengths(), seed: u64) {
        let (width, b) = (Width::of(width), prg(seed).bits(n));
        let got = run(params, b2a::cost(&params, n, width), bit_shares(&b, seed), |s, b| b2a::b2a(s, &b, width));
        prop_assert_eq!(got.into_words(), b.to_lsb());
    }

    #[test]
    fn mux_selects(params in suites(), width in widths(), other in widths(), n in lengths(), seed: u64) {
        let (x, y, b) = (elements(width, n, seed), elements(other, n, seed ^ 1), prg(seed ^ 2).bits(n));
        let chosen = |x: &RingVec| {
            x.words().iter().enumerate().map(|(i, &x)| if b.get(i) { x } else { 0 }).collect::<Vec<_>>()
        };
        let ([x0, x1], [y0, y1], [b0, b1]) = (shares(&x, seed), shares(&y, seed), bit_shares(&b, seed));
        let inputs = [([&x0, &y0], &b0), ([&x1, &y1], &b1)];
        let got = run(params, mux::cost(&params, n, width), inputs, |s, (x, b)| mux::mux(s, x[0], b));
        prop_assert_eq!(got.into_words(), chosen(&x));
        let cost = mux::cost_pair(&params, n, [width, other]);
        let [got_x, got_y] = run(params, cost, inputs, |s, (x, b)| mux::mux_pair(s, x, b));
        prop_assert_eq!((got_x.into_words(), got_y.into_words()), (chosen(&x), chosen(&y)));
    }

    #[test]
    fn signs(params in suites(), width in widths(), n in lengths(), seed: u64) {
        let x = elements(width, n, seed);
        let cost = drelu::cost(&params, n, width);
        prop_assert_eq!(run_on(params, cost, &x, drelu::msb), negative(&x));
        prop_assert_eq!(run_on(params, cost, &x, drelu::drelu), !&negative(&x));
    }

    #[test]
    fn wraps(params in suites(), width in widths(), out in 1u32..=64, n in lengths(), seed: u64) {
        let (x, out) = (elements(width, n, seed), Width::of(out));
        let wrapped = |x: &RingVec| {
            let [x0, x1] = shares(x, 3);
            BitVec::from_fn(n, |i| u128::from(x0.own().words()[i]) + u128::from(x1.own().words()[i]) > width.mask().into())
        };
        prop_assert_eq!(run_on(params, wrap::cost(&params, n, width), &x, wrap::wrap), wrapped(&x));
        let positive = x.map(width, |x| x & width.mask() >> 1);
        let cost = wrap::cost_nonnegative(&params, n);
        prop_assert_eq!(run_on(params, cost, &positive, wrap::wrap_nonnegative), wrapped(&positive));
        for (x, sign) in &cases(&x) {
            let sign = *sign;
            for signedness in [Signedness::Unsigned, Signedness::Signed] {
                if (sign, signedness) == (Sign::Bounded, Signedness::Unsigned) {
                    continue;
                }
                let (w, m) = (wrapped(x), negative(x));
                let m = |i| m.bit(i) * u64::from(signedness == Signedness::Signed);
                let e = (0..n).map(|i| w.bit(i) + m(i)).collect();
                let cost = wrap::cost_excess(&params, n, width, sign, out);
                let [(x0, m0), (x1, m1)] = with_sign(x);
                let inputs = [(&x0, known(sign, &m0)), (&x1, known(sign, &m1))];
                let got = run(params, cost, inputs, |s, (x, sign)| wrap::excess(s, x, sign, signedness, out));
                prop_assert_eq!(got, RingVec::from_words(out, e));
            }
        }
    }

    #[test]
    fn relu_and_clip(params in suites(), width in widths(), n in lengths(), seed: u64, bounds: [i64; 2]) {
        let x = elements(width, n, seed);
        let (y, d) = run_on(params, relu::cost(&params, n, width), &x, relu::relu);
        prop_assert_eq!(y, signed_map(&x, |x| x.max(0)));
        prop_assert_eq!(d, !&negative(&x));
        // Within a quarter of the ring no difference overflows.
        let quarter = |v: i64| v >> (64 - width.bits()) >> 1;
        let [low, high] = [quarter(bounds[0].min(bounds[1])), quarter(bounds[0].max(bounds[1]))];
        let x = signed_map(&x, |x| x >> 1);
        let got = run_on(params, clip::cost(&params, n, width), &x, |s, x| clip::clip(s, x, low, high));
        prop_assert_eq!(got, signed_map(&x, |x| x.clamp(low, high)));
    }

    #[test]
    fn relus_with_truncation(params in suites(), width in widths(), cut in 0u32..64, m in 1u32..=8, n in lengths(), seed: u64) {
        let (shift, params) = (cut % width.bits(), Params { digit_bits: m, ..params });
        let x = elements(width, n, seed);
        let cost = relu_truncate::cost(&params, n, width, shift);
        let (y, d) = run_on(params, cost, &x, |s, x| relu_truncate::relu_truncate(s, x, shift));
        prop_assert_eq!(y, signed_map(&x, |x| x.max(0) >> shift));
        prop_assert_eq!(d, !&negative(&x));
    }

    #[test]
    fn relus_with_truncation_beside_others(
        params in suites(), width in widths(), cut in 0u32..64, m in 1u32..=8, n in lengths(), others in lengths(), seed: u64
    ) {
        let (shift, params) = (cut % width.bits(), Params { digit_bits: m, ..params });
        let [x, y] = [(n, 0), (others, 1)].map(|(n, more)| elements(width, n, seed ^ more));
        let cost = relu_truncate::cost_beside(&params, n, others, width, shift);
        let inputs = [shares(&x, 3), shares(&y, 5)];
        let [[x0, x1], [y0, y1]] = &inputs;
        let got = run(params, cost, [(x0, y0), (x1, y1)], |s, (x, y)| {
            let (relus, others) = relu_truncate::relu_truncate_beside(s, x, y, shift)?;
            Ok(relus.concat(&others))
        });
        let mut expected = signed_map(&x, |x| x.max(0) >> shift);
        expected.extend(&signed_map(&y, |y| y >> shift));
        prop_assert_eq!(got, expected);
    }

    /// By the definition on the shares: what is left out, and nothing else, makes the difference.
    #[test]
    fn relus_of_the_top_bits(
        params in suites(), width in 3u32..=64, cut in 0u32..64, drop in 0u32..64, m in 1u32..=8, n in lengths(), seed: u64
    ) {
        let (shift, drop_bits) = (cut % (width - 1), drop % (width - 1));
        let (width, params) = (Width::of(width), Params { digit_bits: m, ..params });
        let x = elements(width, n, seed);
        let [x0, x1] = shares(&x, 3);
        let floor = |d: u32| {
            let top = Width::of(width.bits() - d);
            (&x0.own().shr(d, top) + &x1.own().shr(d, top)).to_signed()
        };
        let (x_signed, sign) = (x.to_signed(), floor(drop_bits));
        let relu: Vec<i64> = (0..n).map(|i| if sign[i] < 0 { 0 } else { x_signed[i] }).collect();
        let near = 1i64.checked_shl(drop_bits).unwrap_or(i64::MAX);
        let least = i64::MIN >> (64 - width.bits());
        for (i, &y) in relu.iter().enumerate().filter(|&(i, _)| x_signed[i] >= least + near) {
            prop_assert!(y == x_signed[i].max(0) || (0..near).contains(&x_signed[i]), "{y}");
        }
        let cost = relu::cost_top(&params, n, width, drop_bits);
        let (y, d) = run_on(params, cost, &x, |s, x| relu::relu_top(s, x, drop_bits));
        prop_assert_eq!(y, RingVec::from_signed(width, &relu));
        prop_assert_eq!(d, BitVec::from_fn(n, |i| sign[i] >= 0));

        let cost = relu_truncate::cost_top(&params, n, width, shift, drop_bits);
        let (y, _) = run_on(params, cost, &x, |s, x| relu_truncate::relu_truncate_top(s, x, shift, drop_bits));
        let shifted = match shift == 0 || drop_bits > shift {
            // d·floor(x / 2^s) of a negative x that is taken for positive is not what is extended.
            true => RingVec::from_signed(width, &relu.iter().map(|y| y.max(&0) >> shift).collect::<Vec<_>>()),
            false => signed_map(&x, |x| x.max(0) >> shift),
        };
        for i in (0..n).filter(|&i| x_signed[i] >= least + near) {
            prop_assert_eq!(y.words()[i], shifted.words()[i]);
        }

        let cost = relu_truncate::cost_one_bit(&params, n, width, shift, drop_bits);
        let (y, d) = run_on(params, cost, &x, |s, x| relu_truncate::relu_truncate_one_bit(s, x, shift, drop_bits));
        let (t, sign) = (floor(shift), floor(shift.max(drop_bits)));
        prop_assert_eq!(d, BitVec::from_fn(n, |i| sign[i] >= 0));
        for i in 0..n {
            let below = (x_signed[i] >> shift) - t[i];
            let far = x_signed[i] < least + near.max(1 << shift);
            prop_assert!(far || (0..=1).contains(&below), "{below}");
            let want = if sign[i] < 0 { 0 } else { t[i].max(0) };
            prop_assert!(far || y.to_signed()[i] == want, "{} for {want}", y.to_signed()[i]);
        }
    }

    /// By the definition, also where x − high wraps; what is left out makes all the difference there is.
    #[test]
    fn clips_with_truncation(
        params in suites(), width in 4u32..=64, cut in 0u32..64, h in 1u64.., drop in 0u32..64, m in 1u32..=8,
        n in lengths(), seed: u64
    ) {
        let (shift, drop_bits) = (cut % (width - 3) + 1, drop % (width - 1));
        let h = (h >> (cut % 64)).clamp(1, 1 << (width - shift - 3)) as i64;
        let (width, params, high) = (Width::of(width), Params { digit_bits: m, ..params }, h << shift);
        let narrow = clip_truncate::narrow(high, shift).unwrap();
        prop_assert!(4 * h as u128 <= 1 << narrow.bits() && 4 * h as u128 > 1 << (narrow.bits() - 1));
        let mut x = elements(width, n, seed);
        if n > 12 {
            // At the bounds.
            let near = [high, high - 1, high + 1, high - (1 << shift)].map(|x| width.from_signed(x));
            let words = [&x.words()[..n - 4], &near].concat();
            x = RingVec::from_words(width, words);
        }
        let signed = x.to_signed();
        let wrapped = |x: i64| width.to_signed(width.from_signed(x.wrapping_sub(high)));
        let exact = |x: i64| {
            let (d, e) = (x >= 0, wrapped(x) >= 0);
            let value = u64::from(d ^ e).wrapping_mul((x >> shift) as u64);
            narrow.reduce(value.wrapping_add(u64::from(e) * h as u64))
        };
        let cost = clip_truncate::cost(&params, n, width, high, shift);
        let y = run_on(params, cost, &x, |s, x| clip_truncate::clip_truncate(s, x, high, shift));
        for (&x, y) in signed.iter().zip(y.to_signed()) {
            prop_assert_eq!(y, exact(x) as i64);
            prop_assert!(wrapped(x) as i128 != i128::from(x) - i128::from(high) || y == x.clamp(0, high) >> shift);
        }

        // Where nothing is near the ends of the ring.
        let least = i64::MIN >> (64 - width.bits()) >> 1;
        let [slack, near] = [1.max(drop_bits.saturating_sub(shift)), drop_bits.max(shift)].map(|bits| 1i64 << bits.min(62));
        let cost = clip_truncate::cost_top(&params, n, width, high, shift, drop_bits);
        let top = run_on(params, cost, &x, |s, x| clip_truncate::clip_truncate_top(s, x, high, shift, drop_bits));
        let cost = clip_truncate::cost_one_bit(&params, n, width, high, shift, drop_bits);
        let one_bit = run_on(params, cost, &x, |s, x| clip_truncate::clip_truncate_one_bit(s, x, high, shift, drop_bits));
        for ((&x, top), one_bit) in signed.iter().zip(top.to_signed()).zip(one_bit.to_signed()) {
            let want = x.clamp(0, high) >> shift;
            if x > least + near && drop_bits <= shift {
                prop_assert_eq!(top, want);
                prop_assert!((want - 1..=want).contains(&one_bit), "{} for {}", one_bit, want);
            } else if x > least + near && 2 * near < high && high < -least - near {
                prop_assert!((top - want).abs() < slack, "{} for {}", top, want);
                prop_assert!((one_bit - want).abs() <= slack, "{} for {}", one_bit, want);
            }
        }
    }

    #[test]
    fn clips_of_the_top_bits(params in suites(), drop_bits in 0u32..12, n in lengths(), seed: u64) {
        let (width, low, high) = (Width::of(20), -3000, 70_000);
        let x = signed_map(&elements(width, n, seed), |x| x >> 1);
        let cost = clip::cost_top(&params, n, width, drop_bits);
        let y = run_on(params, cost, &x, |s, x| clip::clip_top(s, x, low, high, drop_bits));
        for (y, x) in y.to_signed().into_iter().zip(x.to_signed()) {
            prop_assert!((y - x.clamp(low, high)).abs() < 1 << drop_bits, "{y} for {x}");
        }
    }

    #[test]
    fn sums_of_pieces(
        params in suites(), width in widths(), pairs in proptest::collection::vec(any::<[i64; 2]>(), 0..5), constant: i64,
        n in lengths(), seed: u64
    ) {
        let width = Width::of(width.bits().max(2));
        let x = elements(width, n, seed);
        let cost = pieces::cost_top(&params, n, pairs.len(), width, 0);
        let y = run_on(params, cost, &x, |s, x| pieces::sum_top(s, x, &pairs, constant, 0));
        let ring = |x: i64| width.to_signed(width.from_signed(x));
        let sum = |x: i64| {
            let add = |sum: i64, &[t, d]: &[i64; 2]| sum.wrapping_add(d.wrapping_mul(ring(x.wrapping_sub(t)).max(0)));
            ring(pairs.iter().fold(constant, add))
        };
        prop_assert_eq!(y, signed_map(&x, sum));
    }

    #[test]
    fn truncations(params in suites(), width in widths(), cut in 0u32..64, n in lengths(), seed: u64) {
        let shift = cut % width.bits();
        let x = elements(width, n, seed);
        let floor = |x: &RingVec| signed_map(x, |x| x >> shift);
        let cost = truncate::cost_faithful_sirnn(&params, n, width, shift);
        prop_assert_eq!(run_on(params, cost, &x, |s, x| truncate::trunc_faithful_sirnn(s, x, shift)), floor(&x));
        let cost = truncate::cost_reduce(&params, n, width, shift);
        let got = run_on(params, cost, &x, |s, x| truncate::trunc_reduce(s, x, shift));
        prop_assert_eq!(got, floor(&x).resize(Width::of(width.bits() - shift)));
        for (x, sign) in &cases(&x) {
            let sign = *sign;
            let [(x0, m0), (x1, m1)] = with_sign(x);
            let inputs = [(&x0, known(sign, &m0)), (&x1, known(sign, &m1))];
            let cost = truncate::cost_faithful(&params, n, width, shift, sign);
            let got = run(params, cost, inputs, |s, (x, sign)| truncate::trunc_faithful(s, x, shift, sign));
            prop_assert_eq!(&got, &floor(x));
            let cost = truncate::cost_one_bit(&params, n, width, shift, sign);
            let got = run(params, cost, inputs, |s, (x, sign)| truncate::trunc_one_bit(s, x, shift, sign));
            let low = |x: &Arithmetic, i: usize| x.own().words()[i] & ((1 << shift) - 1);
            let carry = (0..n).map(|i| u64::from((low(&x0, i) + low(&x1, i)) >> shift > 0)).collect();
            prop_assert_eq!(&got + &RingVec::from_words(width, carry), floor(x));
        }
    }

    #[test]
    fn maxima(params in suites(), width in widths(), sizes in prop::collection::vec(1usize..12, 0..20), seed: u64) {
        let windows = overlapping(&sizes, seed);
        // Halves, so that differences fit.
        let x = signed_map(&elements(width, 50, seed), |x| x >> 1);
        let (signed, index) = (x.to_signed(), argmax::index_width(&windows));
        let cost = maxpool::cost(&params, &windows, width);
        let got = run_on(params, cost, &x, |s, x| maxpool::maxpool(s, x, &windows));
        prop_assert_eq!(got, RingVec::from_signed(width, &each(&windows, &signed, largest)));
        for k in [index, Width::MAX] {
            let cost = argmax::cost(&params, &windows, width, k);
            let got = run_on(params, cost, &x, |s, x| argmax::argmax(s, x, &windows, k));
            prop_assert_eq!(got, RingVec::from_signed(k, &each(&windows, &signed, first)));
        }
    }

    #[test]
    fn averages(params in suites(), width in widths(), sizes in prop::collection::vec(1usize..12, 0..20), cut in 0u32..64,
        multiplier: i64, seed: u64
    ) {
        let (windows, shift) = (overlapping(&sizes, seed), cut % width.bits());
        let x = elements(width, 50, seed);
        let cost = avgpool::cost(&params, windows.len(), width, shift, Sign::Unknown);
        let got = run_on(params, cost, &x, |s, x| {
            avgpool::avgpool(s, x, &windows, multiplier, shift, Sign::Unknown)
        });
        let sum = |w: &[i64]| w.iter().fold(0i64, |sum, &x| sum.wrapping_add(x)).wrapping_mul(multiplier);
        let scaled = RingVec::from_signed(width, &each(&windows, &x.to_signed(), sum));
        prop_assert_eq!(got, signed_map(&scaled, |x| x >> shift));
    }
}

/// What can be known of signs, each with elements of which it is true.
fn cases(x: &RingVec) -> [(RingVec, Sign); 4] {
    let positive = x.shl(1).shr(1, x.width());
    let bounded = signed_map(x, |x| x >> 1);
    [
        (x.clone(), Sign::Unknown),
        (x.clone(), Sign::Known(())),
        (positive, Sign::NonNegative),
        (bounded, Sign::Bounded),
    ]
}

/// Shares of x and of its signs.
fn with_sign(x: &RingVec) -> [(Arithmetic, Boolean); 2] {
    let ([x0, x1], [m0, m1]) = (shares(x, 3), bit_shares(&negative(x), 4));
    [(x0, m0), (x1, m1)]
}

fn known(sign: Sign, msb: &Boolean) -> Sign<&Boolean> {
    match sign {
        Sign::Unknown => Sign::Unknown,
        Sign::Known(()) => Sign::Known(msb),
        Sign::NonNegative => Sign::NonNegative,
        Sign::Bounded => Sign::Bounded,
    }
}

fn largest(window: &[i64]) -> i64 {
    window.iter().copied().max().expect("a window has an element")
}

fn first(window: &[i64]) -> i64 {
    let at = window.iter().position(|&x| x == largest(window));
    at.expect("the largest is in the window") as i64
}

fn overlapping(sizes: &[usize], seed: u64) -> Windows {
    let index = prg(seed).words(sizes.iter().sum()).into_iter().map(|w| w as usize % 50).collect();
    Windows::new(index, sizes.to_vec())
}

fn each(windows: &Windows, x: &[i64], f: impl Fn(&[i64]) -> i64) -> Vec<i64> {
    let mut rest = windows.index();
    windows
        .sizes()
        .iter()
        .map(|&size| {
            let window: Vec<i64> = rest[..size].iter().map(|&i| x[i]).collect();
            rest = &rest[size..];
            f(&window)
        })
        .collect()
}

/// Every element of a small ring, under every sharing of it.
#[test]
fn exhaustively_in_small_rings() {
    for bits in 2..=5 {
        let width = Width::of(bits);
        let all = 1u64 << bits;
        let share = |f: fn(u64, u64) -> u64| {
            let words = (0..all * all).map(|i| f(i / all, i % all)).collect();
            Arithmetic::new(RingVec::from_words(width, words))
        };
        let inputs = [share(|x, r| x.wrapping_sub(r)), share(|_, r| r)];
        let x = Open::open(&inputs[0], &inputs[1]);
        let n = x.len();
        let (y, d) = run(IDEAL, relu::cost(&IDEAL, n, width), inputs.each_ref(), relu::relu);
        assert_eq!((y, d), (signed_map(&x, |x| x.max(0)), !&negative(&x)));
        for shift in 0..bits {
            let floor = signed_map(&x, |x| x >> shift);
            let cost = truncate::cost_faithful(&IDEAL, n, width, shift, Sign::Unknown);
            let got = run(IDEAL, cost, inputs.each_ref(), |s, x| {
                truncate::trunc_faithful(s, x, shift, Sign::Unknown)
            });
            assert_eq!(got, floor);
            let cost = truncate::cost_faithful_sirnn(&IDEAL, n, width, shift);
            let got = run(IDEAL, cost, inputs.each_ref(), |s, x| truncate::trunc_faithful_sirnn(s, x, shift));
            assert_eq!(got, floor);
            let cost = relu_truncate::cost(&IDEAL, n, width, shift);
            let (y, d) =
                run(IDEAL, cost, inputs.each_ref(), |s, x| relu_truncate::relu_truncate(s, x, shift));
            assert_eq!((y, d), (signed_map(&x, |x| x.max(0) >> shift), !&negative(&x)));
        }
    }
}

#[test]
fn relu_with_truncation_for_every_width_and_shift() {
    for width in (2..=64).map(Width::of) {
        let x = elements(width, 24, u64::from(width.bits()));
        for shift in 0..width.bits() {
            let cost = relu_truncate::cost(&IDEAL, x.len(), width, shift);
            let (y, d) = run_on(IDEAL, cost, &x, |s, x| relu_truncate::relu_truncate(s, x, shift));
            assert_eq!((y, d), (signed_map(&x, |x| x.max(0) >> shift), !&negative(&x)), "{width:?} {shift}");
        }
    }
}

#[test]
fn relu_with_truncation_on_every_backend() {
    for params in [Params::CRYPTFLOW2, IKNP, STORED] {
        for (l, shift) in [(2, 1), (2, 0), (5, 3), (32, 12), (37, 36), (41, 12), (41, 14), (64, 1), (64, 62)]
        {
            let (width, n) = (Width::of(l), 300);
            let x = elements(width, n, u64::from(l));
            let cost = relu_truncate::cost(&params, n, width, shift);
            let (y, d) = run_on(params, cost, &x, |s, x| relu_truncate::relu_truncate(s, x, shift));
            assert_eq!((y, d), (signed_map(&x, |x| x.max(0) >> shift), !&negative(&x)));
        }
    }
}

/// The cost in words: four COTs on 3·l − 2·shift − 1 bits and at most four delays after the comparison; less than one
/// protocol after the other where the shift has a whole digit.
#[test]
fn relu_with_truncation_saves_a_comparison() {
    let n = 1 << 16;
    for params in [Params::CRYPTFLOW2, IKNP, STORED] {
        let ot = if params.rcot == RcotBackend::Iknp { 128 } else { 1 };
        for (l, shift) in [(41, 12), (41, 14), (37, 12), (32, 8), (64, 1), (8, 6)] {
            let width = Width::of(l);
            let all = relu_truncate::cost(&params, n, width, shift);
            let comparison = millionaires::cost_low(&params, n, l - 1, shift);
            let bits = (all.bytes() - comparison.bytes()) * 8 / n as u64;
            assert_eq!(bits, 4 * ot + u64::from(3 * l - 2 * shift - 1));
            assert!(all.delays() <= comparison.delays() + 4);
            let truncation = truncate::cost_faithful(&params, n, width, shift, Sign::NonNegative);
            let both = relu::cost(&params, n, width) + truncation;
            assert!(shift < 4 || all.bytes() < both.bytes() && all.rounds() < both.rounds());
        }
    }
}

#[test]
fn more_than_one_batch() {
    for n in [millionaires::BATCH, millionaires::BATCH + 67] {
        let [a, b] = pairs(9, n, 1);
        let cost = millionaires::cost_low(&IDEAL, n, 9, 5);
        let got = run(IDEAL, cost, [&a, &b], |s, own| millionaires::less_than_low(s, 9, 5, own));
        assert_eq!(got.0, BitVec::from_fn(n, |i| a[i] < b[i]));
        assert_eq!(got.1, BitVec::from_fn(n, |i| a[i] & 31 < b[i] & 31));
    }
}
