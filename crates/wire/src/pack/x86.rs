//! The layout with a vector register for a row's lanes, or half of them, and code of its own for each width:
//! all shifts are constants.
#![expect(unsafe_code, reason = "vector instructions behind a token of run-time detection")]

use super::{Block, LANES, PACK_BLOCK, ROWS, packed_bytes};
use std::arch::x86_64::*;
use std::mem::{MaybeUninit, transmute};

macro_rules! for_0_to_63 {
    ($apply:ident $($args:tt)*) => {
        $apply! { $($args)*
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63
        }
    };
}

/// The table of the functions `$f::<1>` to `$f::<64>`.
macro_rules! table {
    ($f:ident $($i:literal)*) => { [$($f::<{ $i + 1 }>),*] };
}

/// Rows 0 to 63: each joins the word left open by those before it; a full word is written.
macro_rules! pack_rows {
    ($v:ident $n:literal $sll:ident $srl:ident $or:ident
     $rows:ident $words:ident $part:ident $open:ident $($i:literal)*) => {$(
        // SAFETY: words as a vector, of the same size.
        let row = unsafe { transmute::<[u64; $n], $v>($rows[$i][$part]) };
        $open = $or($open, $sll(row, _mm_cvtsi32_si128($i * W as i32 % 64)));
        if $i * W % 64 + W >= 64 {
            // SAFETY: a vector as bytes, of the same size.
            $words[$i * W / 64][$part] = unsafe { transmute::<$v, [MaybeUninit<u8>; 8 * $n]>($open) };
            $open = $srl(row, _mm_cvtsi32_si128(64 - $i * W as i32 % 64));
        }
    )*};
}

/// Rows 0 to 63: each from its one or two words.
macro_rules! unpack_rows {
    ($v:ident $n:literal $sll:ident $srl:ident $or:ident $and:ident
     $rows:ident $words:ident $part:ident $mask:ident $($i:literal)*) => {$(
        // SAFETY: bytes as a vector, of the same size.
        let word = unsafe { transmute::<[u8; 8 * $n], $v>($words[$i * W / 64][$part]) };
        let mut row = $srl(word, _mm_cvtsi32_si128($i * W as i32 % 64));
        if $i * W % 64 + W > 64 {
            // SAFETY: as above.
            let next = unsafe { transmute::<[u8; 8 * $n], $v>($words[($i * W + W - 1) / 64][$part]) };
            row = $or(row, $sll(next, _mm_cvtsi32_si128(64 - $i * W as i32 % 64)));
        }
        // SAFETY: a vector as words, of the same size.
        $rows[$i][$part] = unsafe { transmute::<$v, [u64; $n]>($and(row, $mask)) };
    )*};
}

macro_rules! backend {
    ($token:ident, $feature:tt, $v:ident, $n:literal,
     $set:ident, $sll:ident, $srl:ident, $or:ident, $and:ident) => {
        /// Proof that the processor has the instructions.
        #[derive(Clone, Copy)]
        pub struct $token(());

        impl $token {
            /// The token, where the processor has the instructions.
            pub fn detect() -> Option<Self> {
                is_x86_feature_detected!($feature).then_some(Self(()))
            }

            /// Appends packed blocks to `out`; `width` is in 1..=64.
            pub fn pack(self, blocks: &[Block], width: u32, out: &mut Vec<u8>) {
                #[target_feature(enable = $feature)]
                fn one<const W: usize>(blocks: &[Block], out: &mut [MaybeUninit<u8>]) {
                    let vectors = out.as_chunks_mut::<{ 8 * $n }>().0;
                    let words = vectors.as_chunks_mut::<{ LANES / $n }>().0;
                    for (block, words) in blocks.iter().zip(words.as_chunks_mut::<W>().0) {
                        let rows = block.as_chunks::<$n>().0.as_chunks::<{ LANES / $n }>().0;
                        let Some(rows) = rows.as_array::<ROWS>() else { return };
                        for part in 0..LANES / $n {
                            let mut open = $set(0);
                            for_0_to_63!(pack_rows $v $n $sll $srl $or rows words part open);
                            let _ = open;
                        }
                    }
                }
                let (start, bytes) = (out.len(), packed_bytes(blocks.len() * PACK_BLOCK, width));
                out.reserve(bytes);
                let spare = &mut out.spare_capacity_mut()[..bytes];
                // SAFETY: the token proves the instructions; all of `spare` is written, 8 * width words a block.
                unsafe {
                    for_0_to_63!(table one)[width as usize - 1](blocks, spare);
                    out.set_len(start + bytes);
                }
            }

            /// Fills `blocks` from their bytes; `width` is in 1..=64.
            pub fn unpack(self, bytes: &[u8], width: u32, blocks: &mut [Block]) {
                #[target_feature(enable = $feature)]
                fn one<const W: usize>(bytes: &[u8], blocks: &mut [Block]) {
                    let mask = $set((u64::MAX >> (64 - W)) as i64);
                    let words = bytes.as_chunks::<{ 8 * $n }>().0.as_chunks::<{ LANES / $n }>().0;
                    for (block, words) in blocks.iter_mut().zip(words.as_chunks::<W>().0) {
                        let rows = block.as_chunks_mut::<$n>().0.as_chunks_mut::<{ LANES / $n }>().0;
                        let Some(rows) = rows.as_mut_array::<ROWS>() else { return };
                        for part in 0..LANES / $n {
                            for_0_to_63!(unpack_rows $v $n $sll $srl $or $and rows words part mask);
                        }
                    }
                }
                // SAFETY: the token proves the instructions.
                unsafe { for_0_to_63!(table one)[width as usize - 1](bytes, blocks) }
            }
        }
    };
}

backend!(
    Avx512,
    "avx512f",
    __m512i,
    8,
    _mm512_set1_epi64,
    _mm512_sll_epi64,
    _mm512_srl_epi64,
    _mm512_or_si512,
    _mm512_and_si512
);
backend!(
    Avx2,
    "avx2",
    __m256i,
    4,
    _mm256_set1_epi64x,
    _mm256_sll_epi64,
    _mm256_srl_epi64,
    _mm256_or_si256,
    _mm256_and_si256
);
