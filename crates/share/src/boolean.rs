use copriv_bits::BitVec;
use copriv_wire::Role;
use std::ops::{BitXor, Range};

/// One party's XOR shares of bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Boolean(BitVec);

impl Boolean {
    /// This party's share.
    pub fn new(own: BitVec) -> Self {
        Self(own)
    }

    /// This party's share.
    pub fn own(&self) -> &BitVec {
        &self.0
    }

    /// The number of bits.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no bit.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Shares of the negation: P0 flips.
    pub fn not(&self, role: Role) -> Self {
        match role {
            Role::P0 => Self(!&self.0),
            Role::P1 => self.clone(),
        }
    }

    /// Shares of the bits XOR bits that this party alone knows or both know the XOR of: x0 ⊕ own.
    pub fn xor_own(&self, own: &BitVec) -> Self {
        Self(&self.0 ^ own)
    }

    /// The bits of `range`.
    ///
    /// # Panics
    /// When the range is outside.
    pub fn slice(&self, range: Range<usize>) -> Self {
        Self(self.0.slice(range))
    }

    /// The concatenation of `parts`.
    pub fn concat<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        Self(BitVec::concat(parts.into_iter().map(Self::own)))
    }
}

impl BitXor for &Boolean {
    type Output = Boolean;
    fn bitxor(self, other: &Boolean) -> Boolean {
        Boolean(&self.0 ^ &other.0)
    }
}
