//! Blocks seen as their words and as bytes, without a copy.
#![expect(unsafe_code, reason = "slice casts between types of the same bits")]

use super::Block;

impl Block {
    /// The blocks as pairs of words, low word first.
    #[inline]
    pub fn as_words(blocks: &[Self]) -> &[[u64; 2]] {
        // SAFETY: `Block` is repr(C) around `[u64; 2]`, of the same size and at least its alignment.
        unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast(), blocks.len()) }
    }

    /// The blocks as pairs of words to write, low word first.
    #[inline]
    pub fn as_words_mut(blocks: &mut [Self]) -> &mut [[u64; 2]] {
        // SAFETY: as in `as_words`; every pair of words is a block, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast(), blocks.len()) }
    }

    /// The bytes of the blocks to write, which on this machine are little-endian.
    #[cfg(target_endian = "little")]
    #[inline]
    pub fn as_bytes_mut(blocks: &mut [Self]) -> &mut [u8] {
        // SAFETY: as in `as_bytes`; all bit patterns are blocks, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(blocks.as_mut_ptr().cast(), size_of_val(blocks)) }
    }
}

/// The little-endian bytes, which on this machine are the bytes in memory.
#[cfg(target_endian = "little")]
pub(super) fn as_bytes(blocks: &[Block]) -> &[u8] {
    // SAFETY: `Block` has no padding, so every byte is initialised; a byte has alignment 1.
    unsafe { std::slice::from_raw_parts(blocks.as_ptr().cast(), size_of_val(blocks)) }
}
