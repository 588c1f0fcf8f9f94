//! Exact rationals, for the generator and for the output transform.

use std::fmt;

/// A rational in lowest terms with a positive denominator. Arithmetic is checked: `None` is an overflow of `i128`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ratio {
    numerator: i128,
    denominator: i128,
}

impl Ratio {
    /// 0.
    pub const ZERO: Self = Self { numerator: 0, denominator: 1 };
    /// 1.
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };

    /// `numerator / denominator` in lowest terms; `None` where the denominator is 0 or a value is `i128::MIN`.
    pub fn new(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 || numerator == i128::MIN || denominator == i128::MIN {
            return None;
        }
        let divisor = gcd(numerator, denominator) * denominator.signum();
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// The numerator, coprime to the denominator; it carries the sign.
    pub fn numerator(self) -> i128 {
        self.numerator
    }

    /// The denominator, at least 1.
    pub fn denominator(self) -> i128 {
        self.denominator
    }

    /// `self + other`.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        Self::new(left.checked_add(right)?, self.denominator.checked_mul(other.denominator)?)
    }

    /// `self · other`.
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        let numerator = self.numerator.checked_mul(other.numerator)?;
        Self::new(numerator, self.denominator.checked_mul(other.denominator)?)
    }

    /// As an `f64`, the nearest where numerator and denominator are at most 2^53.
    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// The residue mod 2^64 (so mod every 2^l): an odd denominator is a unit of the ring. `None` for an even one.
    pub fn residue(self) -> Option<u64> {
        if self.denominator % 2 == 0 {
            return None;
        }
        // Reduction of i128 mod 2^64 is truncation of its two's complement.
        Some((self.numerator as u64).wrapping_mul(inverse_of_odd(self.denominator as u64)))
    }
}

impl From<i64> for Ratio {
    fn from(value: i64) -> Self {
        Self { numerator: i128::from(value), denominator: 1 }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            denominator => write!(f, "{}/{denominator}", self.numerator),
        }
    }
}

/// The greatest common divisor, never negative.
pub(crate) fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The inverse of an odd `d` mod 2^64 by Newton's iteration.
fn inverse_of_odd(d: u64) -> u64 {
    // d·d = 1 mod 8, so d is its own inverse to 3 bits; each step doubles them: 3, 6, 12, 24, 48, 96.
    (0..5).fold(d, |x, _| x.wrapping_mul(2u64.wrapping_sub(d.wrapping_mul(x))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_terms_and_sign() {
        let r = Ratio::new(6, -4).unwrap();
        assert_eq!((r.numerator(), r.denominator()), (-3, 2));
        assert_eq!(r.checked_add(Ratio::new(3, 2).unwrap()), Some(Ratio::ZERO));
        assert_eq!(r.checked_mul(Ratio::new(-2, 3).unwrap()), Some(Ratio::ONE));
        assert_eq!(Ratio::new(1, 0), None);
        assert_eq!(Ratio::new(i128::MAX, 1).unwrap().checked_add(Ratio::ONE), None);
        assert_eq!(r.to_string(), "-3/2");
    }

    #[test]
    fn odd_denominators_are_units() {
        for d in (1..1000).step_by(2) {
            let residue = Ratio::new(-5, d).unwrap().residue().unwrap();
            assert_eq!(residue.wrapping_mul(d as u64), (-5i64) as u64);
        }
        assert_eq!(Ratio::new(1, 6).unwrap().residue(), None);
    }
}
