//! The code on VAES and AVX-512: the places of 128 rows at a time, eight registers of the stream in flight; a cache line an
//! entry of a wide table.
#![expect(unsafe_code, reason = "VAES intrinsics and unchecked table look-ups")]

use super::{Table, WEIGHT};
use crate::aes128::vaes512::{LANES, Vaes512, broadcast, load_keys, permute};
use crate::aes128::{RoundKeys, Words};
use crate::ggm::Fix;
use crate::ggm::vaes512::Fixer;
use copriv_bits::Block;
use std::arch::x86_64::*;

/// Rows whose places are computed at once: whole groups of eight registers of the stream.
const ROWS: usize = 128;

/// Pairs of places, as offsets of bytes into the table.
type Places = [u64; ROWS * WEIGHT / 2];

impl Vaes512 {
    pub(super) fn encode(
        &self,
        matrix: u64,
        first: usize,
        table: Table<'_>,
        fix: Option<&Fix>,
        leaves: &mut [Block],
    ) {
        // SAFETY: `self` exists only where VAES and AVX-512F were detected.
        unsafe {
            match fix {
                None => encode(self.keys(), matrix, first, table, |_, x| clear(x), leaves),
                Some(fix) => with_fix(self.keys(), matrix, first, table, fix, leaves),
            }
        }
    }
}

#[target_feature(enable = "avx512f,vaes")]
fn with_fix(keys: &RoundKeys, matrix: u64, first: usize, table: Table<'_>, fix: &Fix, leaves: &mut [Block]) {
    let fixer = Fixer::new(fix);
    let line = |i: usize, x: __m512i| {
        let bit = broadcast([1, 0]);
        _mm512_or_si512(clear(fixer.apply(i, x)), _mm512_maskz_mov_epi64(fixer.on_path(i), bit))
    };
    encode(keys, matrix, first, table, line, leaves);
}

/// The lowest bit of each block cleared.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn clear(x: __m512i) -> __m512i {
    _mm512_andnot_si512(broadcast([1, 0]), x)
}

#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn encode(
    keys: &RoundKeys,
    matrix: u64,
    first: usize,
    table: Table<'_>,
    line: impl Fn(usize, __m512i) -> __m512i,
    leaves: &mut [Block],
) {
    let mut places: Places = [0; ROWS * WEIGHT / 2];
    let lines = Block::as_words_mut(leaves).as_chunks_mut::<LANES>().0;
    let of_a_line = table.rows_of_a_line();
    for (chunk, lines) in lines.chunks_mut(ROWS / of_a_line).enumerate() {
        let start = chunk * ROWS / of_a_line;
        find_places(keys, matrix, (first + start) * of_a_line, table, &mut places);
        match table {
            Table::Wide(quads) => {
                let base: *const u8 = quads.as_ptr().cast();
                for (l, (x, places)) in
                    lines.iter_mut().zip(places.as_chunks::<{ WEIGHT / 2 }>().0).enumerate()
                {
                    let mut sum = line(start + l, load(x));
                    for &pair in places {
                        // SAFETY: `find_places` masks both offsets to those of quads of the table.
                        let (a, b) = unsafe {
                            (
                                _mm512_load_si512(base.add(pair as u32 as usize).cast()),
                                _mm512_load_si512(base.add((pair >> 32) as usize).cast()),
                            )
                        };
                        sum = _mm512_ternarylogic_epi64::<0x96>(sum, a, b);
                    }
                    store(sum, x);
                }
            }
            Table::Narrow(quads) => {
                let base: *const u8 = quads.as_ptr().cast();
                for (l, (x, places)) in
                    lines.iter_mut().zip(places.as_chunks::<{ 2 * WEIGHT }>().0).enumerate()
                {
                    store(line(start + l, load(x)), x);
                    for (x, places) in x.iter_mut().zip(places.as_chunks::<{ WEIGHT / 2 }>().0) {
                        let mut sum = crate::aes128::aesni::load(x);
                        for &pair in places {
                            // SAFETY: `find_places` masks both offsets to those of blocks of the table.
                            let (a, b) = unsafe {
                                (
                                    _mm_load_si128(base.add(pair as u32 as usize).cast()),
                                    _mm_load_si128(base.add((pair >> 32) as usize).cast()),
                                )
                            };
                            sum = _mm_xor_si128(_mm_xor_si128(sum, a), b);
                        }
                        crate::aes128::aesni::store(sum, x);
                    }
                }
            }
        }
    }
}

/// The places of the rows from `row` on. Offsets are below the size of the table, and multiples of the size of an entry.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn find_places(keys: &RoundKeys, matrix: u64, row: usize, table: Table<'_>, places: &mut Places) {
    let keys = load_keys(keys);
    let lane = _mm512_setr_epi64(0, 0, 1, 0, 2, 0, 3, 0);
    let mask = table.entries() - 1;
    let (shift, mask) = match table {
        Table::Wide(_) => (0, mask << 6),
        Table::Narrow(_) => (2, mask << 4),
    };
    let (shift, mask) = (_mm_cvtsi32_si128(shift), _mm512_set1_epi32(mask as i32));
    // Rows come in fours at least, and so in whole blocks.
    let first = (row * WEIGHT / 4) as u64;
    for (group, places) in places.as_chunks_mut::<64>().0.iter_mut().enumerate() {
        let counter = _mm512_add_epi64(broadcast([first + 32 * group as u64, matrix]), lane);
        let mut state = [counter; 8];
        for (v, s) in state.iter_mut().enumerate() {
            *s = _mm512_add_epi64(counter, broadcast([(LANES * v) as u64, 0]));
        }
        permute(&keys, &mut state);
        for (s, places) in state.iter().zip(places.as_chunks_mut::<8>().0) {
            let offsets = _mm512_and_si512(_mm512_srl_epi32(*s, shift), mask);
            // SAFETY: 64 bytes to write.
            unsafe { _mm512_storeu_si512(places.as_mut_ptr().cast(), offsets) };
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &[Words; LANES]) -> __m512i {
    // SAFETY: 64 bytes to read.
    unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(x: __m512i, line: &mut [Words; LANES]) {
    // SAFETY: 64 bytes to write.
    unsafe { _mm512_storeu_si512(line.as_mut_ptr().cast(), x) };
}
