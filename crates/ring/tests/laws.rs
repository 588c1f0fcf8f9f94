//! Vectors and matrices against integers mod 2^l.

use copriv_ring::{FixedPoint, RingMatrix, RingVec, Width};
use proptest::prelude::*;

fn pair() -> impl Strategy<Value = (Width, Vec<u64>, Vec<u64>)> {
    let words =
        |n| prop::collection::vec(prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), Just(1 << 63)], n);
    (1u32..=64, 0usize..50).prop_flat_map(move |(l, n)| (Just(Width::of(l)), words(n), words(n)))
}

/// `x` mod 2^l by the definition.
fn modulo(width: Width, x: i128) -> u64 {
    x.rem_euclid(1 << width.bits()) as u64
}

proptest! {
    #[test]
    fn vectors_are_integers_modulo((width, a, b) in pair(), factor: u64, shift in 0u32..70) {
        let (x, y) = (RingVec::from_words(width, a.clone()), RingVec::from_words(width, b.clone()));
        let each = |f: &dyn Fn(i128, i128) -> i128| -> Vec<u64> {
            a.iter().zip(&b).map(|(&a, &b)| modulo(width, f(a.into(), b.into()))).collect()
        };
        let (sum, difference) = (each(&|a, b| a + b), each(&|a, b| a - b));
        prop_assert_eq!((&x + &y).into_words(), sum.clone());
        prop_assert_eq!((&x - &y).into_words(), difference.clone());
        let (mut added, mut subtracted) = (x.clone(), x.clone());
        added += &y;
        subtracted -= &y;
        prop_assert_eq!(added.into_words(), sum.clone());
        prop_assert_eq!(subtracted.into_words(), difference.clone());
        prop_assert_eq!((-&x).into_words(), each(&|a, _| -a));
        let times = |a: i128, b: u64| ((modulo(width, a) as u128 * u128::from(b)) % (1 << width.bits())) as i128;
        prop_assert_eq!(x.scale(factor).into_words(), each(&|a, _| times(a, width.reduce(factor))));
        prop_assert_eq!(x.offset(factor).into_words(), each(&|a, _| a + i128::from(factor)));
        let power = if shift < width.bits() { 1u64 << shift } else { 0 };
        prop_assert_eq!(x.shl(shift).into_words(), each(&|a, _| times(a, power)));
        let shifted = each(&|a, _| (i128::from(modulo(width, a))) >> shift.min(64));
        prop_assert_eq!(x.shr(shift, width).into_words(), shifted);
        prop_assert_eq!(RingVec::from_signed(width, &x.to_signed()), x);
    }

    #[test]
    fn signed_values_are_two_s_complement((width, a, _) in pair()) {
        let half = 1i128 << (width.bits() - 1);
        for (x, word) in RingVec::from_words(width, a.clone()).to_signed().into_iter().zip(a) {
            let x = i128::from(x);
            prop_assert!((-half..half).contains(&x));
            prop_assert_eq!(modulo(width, x), width.reduce(word));
        }
    }

    #[test]
    fn slices_gathers_and_concatenations((width, a, b) in pair(), cut: prop::sample::Index) {
        let (x, y) = (RingVec::from_words(width, a), RingVec::from_words(width, b));
        let cut = cut.index(x.len() + 1);
        let mut whole = x.slice(0..cut);
        whole.extend(&x.slice(cut..x.len()));
        prop_assert_eq!(&whole, &x);
        prop_assert_eq!(x.gather(0..x.len()), x.clone());
        prop_assert_eq!(&x + &y, &y.gather((0..y.len()).rev()).gather((0..y.len()).rev()) + &x);
    }

    #[test]
    fn matrix_products_are_the_definition(
        (rows, inner, cols) in (0usize..5, 0usize..6, 0usize..5), l in 1u32..=64, seed: u64,
    ) {
        let width = Width::of(l);
        let word = |i: usize| seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(i as u32).wrapping_mul(i as u64 | 1);
        let matrix = |rows: usize, cols: usize, from: usize| {
            RingMatrix::new(rows, cols, RingVec::from_words(width, (from..from + rows * cols).map(word).collect()))
        };
        let (a, b) = (matrix(rows, inner, 0), matrix(inner, cols, 100));
        let product = a.product(&b);
        for r in 0..rows {
            for (c, &got) in product.row(r).iter().enumerate() {
                let term = |i: usize| u128::from(a.row(r)[i]) * u128::from(b.row(i)[c]) % (1 << l);
                let dot = (0..inner).map(term).sum::<u128>() as i128;
                prop_assert_eq!(got, modulo(width, dot));
            }
        }
        prop_assert_eq!(b.transposed().product(&a.transposed()), product.transposed());
    }

    #[test]
    fn fixed_point_is_within_half_a_unit(value in -1e6f64..1e6, frac_bits in 0u32..20) {
        let fixed = FixedPoint { width: Width::of(41), frac_bits };
        let back = fixed.decode(fixed.encode(value).expect("it fits"));
        prop_assert!((back - value).abs() <= 0.5 / f64::from(frac_bits).exp2());
    }
}
