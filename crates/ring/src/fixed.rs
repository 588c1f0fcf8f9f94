use crate::Width;
use std::fmt;

/// Fixed point in Z_{2^l}: the real r is the integer round(r * 2^f) in two's complement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FixedPoint {
    /// l.
    pub width: Width,
    /// f, the number of fraction bits.
    pub frac_bits: u32,
}

/// A real number that has no fixed-point representation at the given width and scale.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OutOfRange {
    /// The number.
    pub value: f64,
    /// The fixed point it does not fit.
    pub fixed: FixedPoint,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FixedPoint { width, frac_bits } = self.fixed;
        write!(f, "{} does not fit {width} bits with {frac_bits} fraction bits", self.value)
    }
}

impl std::error::Error for OutOfRange {}

impl FixedPoint {
    /// round(`value` * 2^f), ties away from zero.
    ///
    /// # Errors
    /// [`OutOfRange`] when the value is not finite or the integer is outside -2^{l-1}..2^{l-1}.
    pub fn encode(self, value: f64) -> Result<u64, OutOfRange> {
        let scaled = (value * (self.frac_bits as f64).exp2()).round();
        let limit = ((self.width.bits() - 1) as f64).exp2();
        if scaled >= -limit && scaled < limit {
            Ok(self.width.from_signed(scaled as i64))
        } else {
            Err(OutOfRange { value, fixed: self })
        }
    }

    /// The real that the canonical element `x` stands for.
    pub fn decode(self, x: u64) -> f64 {
        self.width.to_signed(x) as f64 / (self.frac_bits as f64).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_and_refuses() {
        let fp = FixedPoint { width: Width::of(8), frac_bits: 4 };
        assert_eq!(fp.encode(-8.0), Ok(0x80));
        assert_eq!(fp.decode(0x80), -8.0);
        assert_eq!(fp.encode(7.96), Ok(127));
        assert!(fp.encode(7.97).is_err());
        assert!(fp.encode(f64::NAN).is_err());
        assert!(fp.encode(f64::INFINITY).is_err());
    }
}
