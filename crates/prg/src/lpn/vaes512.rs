//! The code on VAES and AVX-512: eight to ten registers of the stream in flight, a cache line an entry of a wide table.
#![expect(unsafe_code, reason = "VAES intrinsics and unchecked table look-ups")]

use super::{Table, WEIGHT};
use crate::Quad;
use crate::aes128::vaes512::{Keys, LANES, Vaes512, broadcast, load_keys, permute};
use crate::aes128::{RoundKeys, Words, aesni};
use crate::ggm::Fix;
use crate::ggm::vaes512::Fixer;
use copriv_bits::Block;
use std::arch::x86_64::*;

/// Rows of a narrow table whose places are found at once: whole groups of eight registers of the stream.
const ROWS: usize = 128;

/// Rows of a wide table whose places are found while those before them are added up: ten registers of the stream.
const STEP: usize = 16;

/// Registers of the stream for [`STEP`] rows.
const REGISTERS: usize = STEP * WEIGHT / 16;

impl Vaes512 {
    pub(super) fn encode(
        &self,
        matrix: u64,
        first: usize,
        table: Table<'_>,
        fix: Option<&Fix>,
        leaves: &mut [Block],
    ) {
        let lines = Block::as_words_mut(leaves).as_chunks_mut::<LANES>().0;
        // SAFETY: `self` exists only where VAES and AVX-512F were detected.
        unsafe {
            match fix {
                None => encode(self.keys(), matrix, first, table, |_, x| clear(x), lines),
                Some(fix) => with_fix(self.keys(), matrix, first, table, fix, lines),
            }
        }
    }
}

type Line = [Words; LANES];

#[target_feature(enable = "avx512f,vaes")]
fn with_fix(keys: &RoundKeys, matrix: u64, first: usize, table: Table<'_>, fix: &Fix, lines: &mut [Line]) {
    let fixer = Fixer::new(fix);
    let fixed = |i: usize, x: __m512i| {
        let bit = _mm512_maskz_mov_epi64(fixer.on_path(i), broadcast([1, 0]));
        _mm512_or_si512(clear(fixer.apply(i, x)), bit)
    };
    encode(keys, matrix, first, table, fixed, lines);
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
    fixed: impl Fn(usize, __m512i) -> __m512i,
    lines: &mut [Line],
) {
    let keys = load_keys(keys);
    match table {
        Table::Wide(quads) => wide(&keys, matrix, first, quads, fixed, lines),
        Table::Narrow(quads) => narrow(&keys, matrix, first, quads, fixed, lines),
    }
}

/// A row a line; a round of the stream's cipher goes with each of the first ten rows of a step, so that it fills the time that
/// look-ups wait.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn wide(
    keys: &Keys,
    matrix: u64,
    first: usize,
    quads: &[Quad],
    fixed: impl Fn(usize, __m512i) -> __m512i,
    lines: &mut [Line],
) {
    let base: *const u8 = quads.as_ptr().cast();
    // Offsets of quads: multiples of 64 below the size of the table.
    let mask = _mm512_set1_epi32(((quads.len() - 1) << 6) as i32);
    let keys = *keys;
    let mut counter = stream(matrix, first);
    // Those of this step and of the next, in turns.
    let mut places = [[0u64; STEP * WEIGHT / 2]; 2];
    let mut state = [counter; REGISTERS];
    for (v, s) in state.iter_mut().enumerate() {
        *s = _mm512_add_epi64(counter, broadcast([(LANES * v) as u64, 0]));
    }
    permute(&keys, &mut state);
    for (s, places) in state.iter().zip(places[0].as_chunks_mut::<8>().0) {
        store_places(_mm512_and_si512(*s, mask), places);
    }
    for (step, lines) in lines.chunks_mut(STEP).enumerate() {
        counter = _mm512_add_epi64(counter, broadcast([(LANES * REGISTERS) as u64, 0]));
        let mut state = [counter; REGISTERS];
        for (v, s) in state.iter_mut().enumerate() {
            *s = _mm512_xor_si512(_mm512_add_epi64(counter, broadcast([(LANES * v) as u64, 0])), keys[0]);
        }
        let turn = step % 2;
        for (l, x) in lines.iter_mut().enumerate() {
            let mut sum = fixed(STEP * step + l, load(x));
            for i in 0..WEIGHT / 2 {
                let pair = places[turn][l * (WEIGHT / 2) + i];
                // SAFETY: both offsets are those of quads of the table: they come through `mask`.
                let (a, b) = unsafe {
                    (
                        _mm512_load_si512(base.add(pair as u32 as usize).cast()),
                        _mm512_load_si512(base.add((pair >> 32) as usize).cast()),
                    )
                };
                sum = _mm512_ternarylogic_epi64::<0x96>(sum, a, b);
            }
            store(sum, x);
            if l < 9 {
                let key = keys[l + 1];
                for s in &mut state {
                    *s = _mm512_aesenc_epi128(*s, key);
                }
            } else if l == 9 {
                for (s, places) in state.iter().zip(places[1 - turn].as_chunks_mut::<8>().0) {
                    store_places(_mm512_and_si512(_mm512_aesenclast_epi128(*s, keys[10]), mask), places);
                }
            }
        }
    }
}

/// A block of four rows a line.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn narrow(
    keys: &Keys,
    matrix: u64,
    first: usize,
    quads: &[Quad],
    fixed: impl Fn(usize, __m512i) -> __m512i,
    lines: &mut [Line],
) {
    let base: *const u8 = quads.as_ptr().cast();
    // Offsets of blocks: multiples of 16 below the size of the table.
    let mask = _mm512_set1_epi32(((4 * quads.len() - 1) << 4) as i32);
    let mut places = [0; ROWS * WEIGHT / 2];
    for (chunk, lines) in lines.chunks_mut(ROWS / 4).enumerate() {
        let start = chunk * ROWS / 4;
        let counter = stream(matrix, 4 * (first + start));
        for (group, places) in places.as_chunks_mut::<64>().0.iter_mut().enumerate() {
            let mut state = [counter; 8];
            for (v, s) in state.iter_mut().enumerate() {
                *s = _mm512_add_epi64(counter, broadcast([(LANES * (8 * group + v)) as u64, 0]));
            }
            permute(keys, &mut state);
            for (s, places) in state.iter().zip(places.as_chunks_mut::<8>().0) {
                store_places(_mm512_and_si512(_mm512_srli_epi32::<2>(*s), mask), places);
            }
        }
        for (l, (x, places)) in lines.iter_mut().zip(places.as_chunks::<{ 2 * WEIGHT }>().0).enumerate() {
            store(fixed(start + l, load(x)), x);
            for (x, places) in x.iter_mut().zip(places.as_chunks::<{ WEIGHT / 2 }>().0) {
                let mut sum = aesni::load(x);
                for &pair in places {
                    // SAFETY: both offsets came through `mask`, and so are those of blocks of the table.
                    let (a, b) = unsafe {
                        (
                            _mm_load_si128(base.add(pair as u32 as usize).cast()),
                            _mm_load_si128(base.add((pair >> 32) as usize).cast()),
                        )
                    };
                    sum = _mm_xor_si128(_mm_xor_si128(sum, a), b);
                }
                aesni::store(sum, x);
            }
        }
    }
}

/// The first four counters of row `row` and those after it, which begins with a whole block.
#[inline]
#[target_feature(enable = "avx512f")]
fn stream(matrix: u64, row: usize) -> __m512i {
    let lane = _mm512_setr_epi64(0, 0, 1, 0, 2, 0, 3, 0);
    _mm512_add_epi64(broadcast([(row * WEIGHT / 4) as u64, matrix]), lane)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_places(x: __m512i, places: &mut [u64; 8]) {
    // SAFETY: 64 bytes to write.
    unsafe { _mm512_storeu_si512(places.as_mut_ptr().cast(), x) };
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &Line) -> __m512i {
    // SAFETY: 64 bytes to read.
    unsafe { _mm512_loadu_si512(line.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(x: __m512i, line: &mut Line) {
    // SAFETY: 64 bytes to write.
    unsafe { _mm512_storeu_si512(line.as_mut_ptr().cast(), x) };
}
