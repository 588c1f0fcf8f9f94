mod cast;

use std::fmt;
use std::ops::{BitAnd, BitAndAssign, BitXor, BitXorAssign};
use zeroize::Zeroize;

/// 128 bits: bit i is bit i % 64 of word i / 64. `Debug` hides the value, which is mostly a key or a pad.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct Block([u64; 2]);

impl Block {
    /// All bits 0.
    pub const ZERO: Self = Self([0; 2]);
    /// All bits 1.
    pub const ONES: Self = Self([u64::MAX; 2]);
    /// The number of bytes.
    pub const BYTES: usize = 16;

    /// The block with bits 0..64 from `low` and 64..128 from `high`.
    #[inline]
    pub const fn new(low: u64, high: u64) -> Self {
        Self([low, high])
    }

    /// Bits 0..64.
    #[inline]
    pub const fn low(self) -> u64 {
        self.0[0]
    }

    /// Bits 64..128.
    #[inline]
    pub const fn high(self) -> u64 {
        self.0[1]
    }

    /// The two words, low first.
    #[inline]
    pub const fn words(self) -> [u64; 2] {
        self.0
    }

    /// Little-endian bytes.
    #[inline]
    pub fn to_bytes(self) -> [u8; 16] {
        u128::from(self).to_le_bytes()
    }

    /// From little-endian bytes.
    #[inline]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        u128::from_le_bytes(bytes).into()
    }

    /// Appends the little-endian bytes of `blocks` to `out`.
    pub fn copy_to_bytes(blocks: &[Self], out: &mut Vec<u8>) {
        #[cfg(target_endian = "little")]
        out.extend_from_slice(cast::as_bytes(blocks));
        #[cfg(not(target_endian = "little"))]
        out.extend(blocks.iter().flat_map(|block| block.to_bytes()));
    }

    /// Fills `out` from little-endian bytes.
    ///
    /// # Panics
    /// When there are not exactly 16 bytes for each block.
    pub fn copy_from_bytes(bytes: &[u8], out: &mut [Self]) {
        assert_eq!(bytes.len(), out.len() * Self::BYTES, "16 bytes for each block");
        #[cfg(target_endian = "little")]
        Self::as_bytes_mut(out).copy_from_slice(bytes);
        #[cfg(not(target_endian = "little"))]
        for (block, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
            *block = Self::from_bytes(*bytes);
        }
    }

    /// Bit `i`.
    ///
    /// # Panics
    /// When `i` is not below 128.
    #[inline]
    pub const fn bit(self, i: usize) -> bool {
        self.0[i / 64] >> (i % 64) & 1 == 1
    }

    /// This block if `bit` is 1, zero if it is 0; without a branch.
    #[inline]
    pub const fn select(self, bit: u64) -> Self {
        let mask = 0u64.wrapping_sub(bit & 1);
        Self([self.0[0] & mask, self.0[1] & mask])
    }

    /// The linear orthomorphism σ(L ‖ R) = (L ⊕ R) ‖ L of Guo et al. 2020 (ePrint 2019/074, section 7.3).
    #[inline]
    pub const fn sigma(self) -> Self {
        Self([self.0[1], self.0[0] ^ self.0[1]])
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Block(..)")
    }
}

impl From<u128> for Block {
    #[inline]
    fn from(x: u128) -> Self {
        Self([x as u64, (x >> 64) as u64])
    }
}

impl From<Block> for u128 {
    #[inline]
    fn from(block: Block) -> u128 {
        block.0[0] as u128 | (block.0[1] as u128) << 64
    }
}

impl BitXor for Block {
    type Output = Self;
    #[inline]
    fn bitxor(self, other: Self) -> Self {
        Self([self.0[0] ^ other.0[0], self.0[1] ^ other.0[1]])
    }
}

impl BitXorAssign for Block {
    #[inline]
    fn bitxor_assign(&mut self, other: Self) {
        *self = *self ^ other;
    }
}

impl BitAnd for Block {
    type Output = Self;
    #[inline]
    fn bitand(self, other: Self) -> Self {
        Self([self.0[0] & other.0[0], self.0[1] & other.0[1]])
    }
}

impl BitAndAssign for Block {
    #[inline]
    fn bitand_assign(&mut self, other: Self) {
        *self = *self & other;
    }
}

impl Zeroize for Block {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_bytes_are_those_of_each_block() {
        let blocks: Vec<Block> = (0..9).map(|i| Block::new(i, u64::MAX - 7 * i)).collect();
        for blocks in (0..=blocks.len()).map(|len| &blocks[..len]) {
            assert!(Block::as_words(blocks).iter().eq(blocks.iter().map(|b| &b.0)));
            let mut bytes = vec![0xAA];
            Block::copy_to_bytes(blocks, &mut bytes);
            assert!(bytes[1..].iter().copied().eq(blocks.iter().flat_map(|b| b.to_bytes())));
            let mut back = vec![Block::ONES; blocks.len()];
            Block::copy_from_bytes(&bytes[1..], &mut back);
            assert_eq!(back, blocks);
            Block::as_words_mut(&mut back).iter_mut().for_each(|words| words.reverse());
            assert!(back.iter().zip(blocks).all(|(a, b)| (a.low(), a.high()) == (b.high(), b.low())));
        }
    }
}
