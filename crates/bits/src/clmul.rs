//! Multiplication in GF(2^128) = GF(2)\[x\] / (x^128 + x^7 + x^2 + x + 1), bit i the coefficient of x^i.

#[cfg(target_arch = "x86_64")]
mod pclmul;

use crate::Block;

/// The product in GF(2^128). Constant time.
pub fn gf128_mul(a: Block, b: Block) -> Block {
    #[cfg(target_arch = "x86_64")]
    if let Some(token) = pclmul::Pclmul::detect() {
        return token.mul(a, b);
    }
    portable(a, b)
}

/// Multiplies each of `xs` by `by` in GF(2^128). Constant time.
pub fn gf128_mul_slice(xs: &mut [Block], by: Block) {
    #[cfg(target_arch = "x86_64")]
    if let Some(token) = pclmul::Vpclmul512::detect() {
        return token.mul_slice(xs, by);
    } else if let Some(token) = pclmul::Pclmul::detect() {
        return token.mul_slice(xs, by);
    }
    portable_slice(xs, by);
}

/// A way to multiply a slice, and its name.
#[doc(hidden)]
pub type Gf128Backend = (&'static str, fn(&mut [Block], Block));

/// Every backend this machine has, the portable one last: for tests and benches.
#[doc(hidden)]
pub fn gf128_backends() -> Vec<Gf128Backend> {
    #[cfg(target_arch = "x86_64")]
    let found: [Option<Gf128Backend>; 2] = {
        use pclmul::{Pclmul, Vpclmul512};
        let wide: Gf128Backend =
            ("vpclmul512", |xs, by| Vpclmul512::detect().expect("detected").mul_slice(xs, by));
        let narrow: Gf128Backend = ("pclmul", |xs, by| Pclmul::detect().expect("detected").mul_slice(xs, by));
        [Vpclmul512::detect().map(|_| wide), Pclmul::detect().map(|_| narrow)]
    };
    #[cfg(not(target_arch = "x86_64"))]
    let found: [Option<Gf128Backend>; 0] = [];
    found.into_iter().flatten().chain([("portable", portable_slice as _)]).collect()
}

fn portable_slice(xs: &mut [Block], by: Block) {
    xs.iter_mut().for_each(|x| *x = portable(*x, by));
}

/// The definition: shift, reduce and add.
fn portable(a: Block, b: Block) -> Block {
    let (b, mut acc, mut shifted) = (u128::from(b), 0u128, u128::from(a));
    for i in 0..128 {
        acc ^= shifted & 0u128.wrapping_sub(b >> i & 1);
        shifted = shifted << 1 ^ (0x87 & 0u128.wrapping_sub(shifted >> 127));
    }
    acc.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mul(a: u128, b: u128) -> u128 {
        gf128_mul(a.into(), b.into()).into()
    }

    proptest! {
        #[test]
        fn backends_are_the_definition(xs in prop::collection::vec(any::<u128>(), 0..40), by: u128) {
            let xs: Vec<Block> = xs.into_iter().map(Block::from).collect();
            let want: Vec<Block> = xs.iter().map(|&x| portable(x, by.into())).collect();
            for (name, mul_slice) in gf128_backends() {
                let mut out = xs.clone();
                mul_slice(&mut out, by.into());
                prop_assert!(out == want, "{name}");
            }
            let mut out = xs.clone();
            gf128_mul_slice(&mut out, by.into());
            prop_assert!(out == want);
            prop_assert!(xs.iter().zip(want).all(|(&x, y)| gf128_mul(x, by.into()) == y));
        }

        #[test]
        fn is_a_field(a: u128, b: u128, c: u128) {
            prop_assert_eq!(mul(a, b), mul(b, a));
            prop_assert_eq!(mul(mul(a, b), c), mul(a, mul(b, c)));
            prop_assert_eq!(mul(a, b ^ c), mul(a, b) ^ mul(a, c));
            // a^(2^128) = a.
            prop_assert_eq!((0..128).fold(a, |x, _| mul(x, x)), a);
        }
    }

    #[test]
    fn edges() {
        for i in 0..128 {
            assert_eq!(mul(1 << i, 1), 1 << i);
            assert_eq!(mul(1 << i, 0), 0);
            let times_x = if i == 127 { 0x87 } else { 2 << i };
            assert_eq!(mul(1 << i, 2), times_x);
        }
        assert_eq!(mul(1 << 127, 1 << 127), u128::from(portable((1 << 127).into(), (1 << 127).into())));
        assert_eq!(mul(u128::MAX, u128::MAX), u128::from(portable(Block::ONES, Block::ONES)));
    }

    /// GCM has the same polynomial with the bits reversed: H, C and H * C of McGrew and Viega, test case 2.
    #[test]
    fn gcm_product() {
        let reversed = |x: u128| x.reverse_bits();
        let h = 0x66e9_4bd4_ef8a_2c3b_884c_fa59_ca34_2b2e_u128;
        let cipher = 0x0388_dace_60b6_a392_f328_c2b9_71b2_fe78_u128;
        let product = 0x5e2e_c746_9170_6288_2c85_b068_5353_deb7_u128;
        assert_eq!(mul(reversed(h), reversed(cipher)), reversed(product));
    }
}
