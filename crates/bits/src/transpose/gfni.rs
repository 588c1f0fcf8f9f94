//! AVX-512 with GFNI: byte transpositions by unpacking, and the 8x8 bit matrices between by an affine map.
#![expect(unsafe_code, reason = "AVX-512 intrinsics, behind run-time detection")]

use crate::Block;
use std::arch::x86_64::*;
use std::ops::Range;

/// Proof that the machine has AVX-512F, AVX-512BW and GFNI.
pub(super) struct Gfni(());

impl Gfni {
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        let detected = is_x86_feature_detected!("gfni")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw");
        detected.then_some(Self(()))
    }

    pub(super) fn transpose(self, rows: &[Block], out: &mut [Block]) {
        super::check(rows, out);
        // SAFETY: `self` exists only where the features were detected.
        unsafe { transpose(rows, out) }
    }

    pub(super) fn transpose_lines(self, rows: &[Block], out: &mut [Block]) {
        // SAFETY: as in `transpose`.
        unsafe { transpose_lines(rows, out) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn transpose_lines(rows: &[Block], out: &mut [Block]) {
    let mut scratch = [[_mm512_setzero_si512(); 16]; 8];
    for (rows, out) in rows.as_chunks::<512>().0.iter().zip(out.as_chunks_mut::<512>().0) {
        tile(rows, 4, 0..4, &mut scratch, out);
    }
}

#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn transpose(rows: &[Block], out: &mut [Block]) {
    let blocks = rows.len() / 128;
    let mut scratch = [[_mm512_setzero_si512(); 16]; 8];
    let (tiles, rest) = out.as_chunks_mut::<512>();
    for (t, out) in tiles.iter_mut().enumerate() {
        tile(rows, blocks, 4 * t..4 * t + 4, &mut scratch, out);
    }
    if !rest.is_empty() {
        tile(rows, blocks, 4 * tiles.len()..blocks, &mut scratch, rest);
    }
}

/// Up to four squares at a time, one in each lane of a register: a row of the four is a cache line.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,gfni")]
fn tile(rows: &[Block], blocks: usize, squares: Range<usize>, bytes: &mut Bytes, out: &mut [Block]) {
    for g in 0..16 {
        let mut x = [_mm512_setzero_si512(); 8];
        for (r, x) in x.iter_mut().enumerate() {
            // The affine map numbers the rows of its matrix from the last byte, so row 7 goes first.
            let row = &rows[(8 * g + 7 - r) * blocks..][..blocks];
            *x = load(&row[squares.clone()]);
        }
        for (bytes, x) in bytes.iter_mut().zip(interleave(x)) {
            bytes[g] = _mm512_gf2p8affine_epi64_epi8::<0>(_mm512_set1_epi64(DIAGONAL), x);
        }
    }
    for (m, x) in bytes.iter().enumerate() {
        for (q, columns) in columns(x).as_chunks::<4>().0.iter().enumerate() {
            for (square, columns) in out.as_chunks_mut::<128>().0.iter_mut().zip(lanes_apart(*columns)) {
                store(columns, &mut square.as_chunks_mut::<4>().0[4 * m + q]);
            }
        }
    }
}

/// In each lane, for its square: byte k of word h of `[m][g]` is rows 8g..8g + 8 of column 16m + 8h + k.
type Bytes = [[__m512i; 16]; 8];

/// Byte i is 1 << i.
const DIAGONAL: i64 = 0x8040_2010_0804_0201_u64 as i64;

/// In each lane: word h of output m is byte 2m + h of the inputs 0..8.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn interleave(x: [__m512i; 8]) -> [__m512i; 8] {
    let [x0, x1, x2, x3, x4, x5, x6, x7] = x;
    let (a0, a1) = unpack8(x0, x1);
    let (a2, a3) = unpack8(x2, x3);
    let (a4, a5) = unpack8(x4, x5);
    let (a6, a7) = unpack8(x6, x7);
    let (b0, b1) = unpack16(a0, a2);
    let (b2, b3) = unpack16(a1, a3);
    let (b4, b5) = unpack16(a4, a6);
    let (b6, b7) = unpack16(a5, a7);
    let (c0, c1) = unpack32(b0, b4);
    let (c2, c3) = unpack32(b1, b5);
    let (c4, c5) = unpack32(b2, b6);
    let (c6, c7) = unpack32(b3, b7);
    [c0, c1, c2, c3, c4, c5, c6, c7]
}

/// In each lane, the 16 x 16 transposition of bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn columns(x: &[__m512i; 16]) -> [__m512i; 16] {
    let mut out = *x;
    let low = interleave([x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]]);
    let high = interleave([x[8], x[9], x[10], x[11], x[12], x[13], x[14], x[15]]);
    for m in 0..8 {
        out[2 * m] = _mm512_unpacklo_epi64(low[m], high[m]);
        out[2 * m + 1] = _mm512_unpackhi_epi64(low[m], high[m]);
    }
    out
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn unpack8(a: __m512i, b: __m512i) -> (__m512i, __m512i) {
    (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn unpack16(a: __m512i, b: __m512i) -> (__m512i, __m512i) {
    (_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn unpack32(a: __m512i, b: __m512i) -> (__m512i, __m512i) {
    (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b))
}

/// Up to four blocks, one in each lane.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(blocks: &[Block]) -> __m512i {
    let words = (1u32 << (2 * blocks.len().min(4))) - 1;
    // SAFETY: words outside the mask, which ends with `blocks`, are not accessed.
    unsafe { _mm512_maskz_loadu_epi64(words as u8, blocks.as_ptr().cast()) }
}

/// Transposes the 4 x 4 lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn lanes_apart([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (ab01, cd01) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d));
    let (ab23, cd23) = (_mm512_shuffle_i32x4::<0xEE>(a, b), _mm512_shuffle_i32x4::<0xEE>(c, d));
    [
        _mm512_shuffle_i32x4::<0x88>(ab01, cd01),
        _mm512_shuffle_i32x4::<0xDD>(ab01, cd01),
        _mm512_shuffle_i32x4::<0x88>(ab23, cd23),
        _mm512_shuffle_i32x4::<0xDD>(ab23, cd23),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(x: __m512i, out: &mut [Block; 4]) {
    // SAFETY: 64 bytes to write.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), x) }
}
