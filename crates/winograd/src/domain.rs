//! The numbers a transform works on.

use copriv_ring::Width;

use crate::ratio::Ratio;

/// Numbers that the linear maps of this crate act on. All methods compute in the domain: a sum may leave the canonical
/// range until [`Domain::canonical`] brings it back.
pub trait Domain: Sync {
    /// One number; the default is zero.
    type Word: Copy + Default + Send + Sync;

    /// The coefficient as a number of the domain. Its denominator is odd, as in every [`crate::Transform`]; a ring may
    /// panic on an even one.
    fn coefficient(&self, value: Ratio) -> Self::Word;

    /// `a + b`.
    fn add(&self, a: Self::Word, b: Self::Word) -> Self::Word;

    /// `a − b`.
    fn sub(&self, a: Self::Word, b: Self::Word) -> Self::Word;

    /// `sum + a·b`.
    fn multiply_add(&self, sum: Self::Word, a: Self::Word, b: Self::Word) -> Self::Word;

    /// `Σ u_i·v_i`, summed in any order.
    #[inline(always)]
    fn inner_product(&self, u: &[Self::Word], v: &[Self::Word]) -> Self::Word {
        let mut sum = Self::Word::default();
        for (&u, &v) in u.iter().zip(v) {
            sum = self.multiply_add(sum, u, v);
        }
        sum
    }

    /// The canonical form of a sum.
    fn canonical(&self, sum: Self::Word) -> Self::Word;
}

/// Z_{2^l}, in canonical words below 2^l. A transform acts on a share exactly as on the value.
#[derive(Clone, Copy, Debug)]
pub struct Ring(pub Width);

impl Domain for Ring {
    type Word = u64;

    fn coefficient(&self, value: Ratio) -> u64 {
        residue(value)
    }

    #[inline(always)]
    fn add(&self, a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }

    #[inline(always)]
    fn sub(&self, a: u64, b: u64) -> u64 {
        a.wrapping_sub(b)
    }

    #[inline(always)]
    fn multiply_add(&self, sum: u64, a: u64, b: u64) -> u64 {
        sum.wrapping_add(a.wrapping_mul(b))
    }

    #[inline(always)]
    fn canonical(&self, sum: u64) -> u64 {
        self.0.reduce(sum)
    }
}

/// Plain signed integers: Z_{2^64} read as signed, so a result is exact wherever it fits an `i64`, whatever the sums between.
#[derive(Clone, Copy, Debug)]
pub struct Integers;

impl Domain for Integers {
    type Word = i64;

    fn coefficient(&self, value: Ratio) -> i64 {
        residue(value) as i64
    }

    #[inline(always)]
    fn add(&self, a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    #[inline(always)]
    fn sub(&self, a: i64, b: i64) -> i64 {
        a.wrapping_sub(b)
    }

    #[inline(always)]
    fn multiply_add(&self, sum: i64, a: i64, b: i64) -> i64 {
        sum.wrapping_add(a.wrapping_mul(b))
    }

    #[inline(always)]
    fn canonical(&self, sum: i64) -> i64 {
        sum
    }
}

/// Floating point, with its rounding.
#[derive(Clone, Copy, Debug)]
pub struct Reals;

impl Domain for Reals {
    type Word = f64;

    fn coefficient(&self, value: Ratio) -> f64 {
        value.to_f64()
    }

    #[inline(always)]
    fn add(&self, a: f64, b: f64) -> f64 {
        a + b
    }

    #[inline(always)]
    fn sub(&self, a: f64, b: f64) -> f64 {
        a - b
    }

    #[inline(always)]
    fn multiply_add(&self, sum: f64, a: f64, b: f64) -> f64 {
        sum + a * b
    }

    /// By sixteen sums, as the compiler does not reorder one.
    #[inline(always)]
    fn inner_product(&self, u: &[f64], v: &[f64]) -> f64 {
        let ((u, u_end), (v, v_end)) = (u.as_chunks::<16>(), v.as_chunks::<16>());
        let mut sums = [0.0; 16];
        for (u, v) in u.iter().zip(v) {
            for n in 0..16 {
                sums[n] += u[n] * v[n];
            }
        }
        let mut sum = 0.0;
        for (&u, &v) in u_end.iter().zip(v_end) {
            sum += u * v;
        }
        for lane in sums {
            sum += lane;
        }
        sum
    }

    #[inline(always)]
    fn canonical(&self, sum: f64) -> f64 {
        sum
    }
}

fn residue(value: Ratio) -> u64 {
    value.residue().expect("coefficients of a transform have odd denominators")
}
