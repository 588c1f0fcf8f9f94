use std::fmt;

/// The bit width l of the ring Z_{2^l}, checked once: 1 ≤ l ≤ 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Width(u8);

/// A bit width outside 1..=64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidWidth(pub u32);

impl fmt::Display for InvalidWidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a ring width is 1 to 64 bits, not {}", self.0)
    }
}

impl std::error::Error for InvalidWidth {}

impl Width {
    /// One bit.
    pub const BIT: Self = Self(1);
    /// The widest ring, Z_{2^64}.
    pub const MAX: Self = Self(64);

    /// The ring of `bits` bits.
    ///
    /// # Errors
    /// [`InvalidWidth`] when `bits` is not in 1..=64.
    pub const fn new(bits: u32) -> Result<Self, InvalidWidth> {
        if bits >= 1 && bits <= 64 { Ok(Self(bits as u8)) } else { Err(InvalidWidth(bits)) }
    }

    /// The ring of `bits` bits, for a width that the caller knows to be valid.
    ///
    /// # Panics
    /// When `bits` is not in 1..=64.
    pub const fn of(bits: u32) -> Self {
        match Self::new(bits) {
            Ok(width) => width,
            Err(_) => panic!("a ring width is 1 to 64 bits"),
        }
    }

    /// l.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// 2^l - 1.
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.0)
    }

    /// `x` mod 2^l.
    pub const fn reduce(self, x: u64) -> u64 {
        x & self.mask()
    }

    /// Whether `x` is below 2^l.
    pub const fn contains(self, x: u64) -> bool {
        x & !self.mask() == 0
    }

    /// The ring element that stands for the integer `x` (two's complement, reduced mod 2^l).
    pub const fn from_signed(self, x: i64) -> u64 {
        self.reduce(x as u64)
    }

    /// The integer in -2^{l-1}..2^{l-1} that the canonical element `x` stands for.
    pub const fn to_signed(self, x: u64) -> i64 {
        let unused = 64 - self.0 as u32;
        ((x << unused) as i64) >> unused
    }

    /// The most significant bit of the canonical element `x`, 0 or 1.
    pub const fn msb(self, x: u64) -> u64 {
        x >> (self.0 - 1)
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u32> for Width {
    type Error = InvalidWidth;
    fn try_from(bits: u32) -> Result<Self, InvalidWidth> {
        Self::new(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges() {
        assert_eq!(Width::new(0), Err(InvalidWidth(0)));
        assert_eq!(Width::new(65), Err(InvalidWidth(65)));
        for bits in 1..=64 {
            let w = Width::of(bits);
            assert_eq!(w.to_signed(w.from_signed(-1)), -1);
            assert_eq!(w.to_signed(w.from_signed(0)), 0);
            let min = i64::MIN >> (64 - bits);
            assert_eq!(w.to_signed(w.from_signed(min)), min);
            assert_eq!(w.msb(w.from_signed(min)), 1);
            assert_eq!(w.mask(), w.from_signed(-1));
        }
    }
}
