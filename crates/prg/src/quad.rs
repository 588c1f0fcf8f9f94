//! Four blocks side by side in a cache line.
#![expect(unsafe_code, reason = "slice casts between types of the same bits")]

use copriv_bits::Block;
use std::fmt;
use zeroize::Zeroize;

/// Four blocks side by side, one of each of four trees or codes: a cache line. `Debug` hides the value.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Quad(pub [Block; 4]);

impl Quad {
    /// All bits 0.
    pub const ZERO: Self = Self([Block::ZERO; 4]);

    /// Block j of the result is `f(j)`.
    pub fn from_fn(f: impl FnMut(usize) -> Block) -> Self {
        Self(std::array::from_fn(f))
    }

    /// The blocks, four of each quad.
    #[inline]
    pub fn as_blocks(quads: &[Self]) -> &[Block] {
        // SAFETY: `Quad` is repr(C) around `[Block; 4]`, of the same size and at least its alignment.
        unsafe { std::slice::from_raw_parts(quads.as_ptr().cast(), 4 * quads.len()) }
    }

    /// The blocks to write, four of each quad.
    #[inline]
    pub fn as_blocks_mut(quads: &mut [Self]) -> &mut [Block] {
        // SAFETY: as in `as_blocks`; every four blocks are a quad, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(quads.as_mut_ptr().cast(), 4 * quads.len()) }
    }
}

impl std::ops::BitXor for Quad {
    type Output = Self;
    #[inline]
    fn bitxor(self, other: Self) -> Self {
        Self::from_fn(|j| self.0[j] ^ other.0[j])
    }
}

impl std::ops::BitXorAssign for Quad {
    #[inline]
    fn bitxor_assign(&mut self, other: Self) {
        *self = *self ^ other;
    }
}

impl fmt::Debug for Quad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Quad(..)")
    }
}

impl Zeroize for Quad {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}
