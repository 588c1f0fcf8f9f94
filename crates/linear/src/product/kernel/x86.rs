//! The rows in registers of eight words, the last by masked loads and stores.
#![expect(unsafe_code, reason = "AVX-512 intrinsics, behind run-time detection")]

use super::{LANES, Mask, MaskSegment, Unmask, UnmaskSegment, mask_rows, unmask_rows};
use std::arch::x86_64::*;

/// Proof that the processor has AVX-512.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    /// The token, where the processor has the instructions.
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }

    pub(super) fn mask(self, operands: Mask) {
        // SAFETY: the token proves the instructions.
        unsafe { mask(operands) }
    }

    pub(super) fn unmask(self, operands: Unmask) {
        // SAFETY: the token proves the instructions.
        unsafe { unmask(operands) }
    }
}

#[target_feature(enable = "avx512f")]
fn mask(operands: Mask) {
    let modulus = _mm512_set1_epi64(operands.width.mask() as i64);
    mask_rows(operands, |MaskSegment { shift, p0, p1, d, masked, share }| {
        let shift = _mm_cvtsi32_si128(shift as i32);
        let lanes = |p0: &[u64], p1: &[u64], d: &[u64], masked: &mut [u64], share: &mut [u64]| {
            let (p0, p1) = (_mm512_srl_epi64(load(p0), shift), _mm512_srl_epi64(load(p1), shift));
            let m = _mm512_add_epi64(_mm512_sub_epi64(p0, p1), load(d));
            store(_mm512_and_si512(m, modulus), masked);
            let s = load(share);
            store(_mm512_sub_epi64(_mm512_add_epi64(s, s), p0), share);
        };
        let ((p0, p0_end), (p1, p1_end)) = (p0.as_chunks::<LANES>(), p1.as_chunks::<LANES>());
        let (d, d_end) = d.as_chunks::<LANES>();
        let (masked, masked_end) = masked.as_chunks_mut::<LANES>();
        let (share, share_end) = share.as_chunks_mut::<LANES>();
        for ((((p0, p1), d), m), s) in p0.iter().zip(p1).zip(d).zip(masked).zip(share) {
            lanes(p0, p1, d, m, s);
        }
        if !d_end.is_empty() {
            lanes(p0_end, p1_end, d_end, masked_end, share_end);
        }
    });
}

#[target_feature(enable = "avx512f")]
fn unmask(operands: Unmask) {
    unmask_rows(operands, |choice, UnmaskSegment { shift, p, masked, share }| {
        let shift = _mm_cvtsi32_si128(shift as i32);
        let chosen = _mm512_set1_epi64(0i64.wrapping_sub(choice as i64));
        let lanes = |p: &[u64], m: &[u64], share: &mut [u64]| {
            let r = load(share);
            let r = _mm512_add_epi64(_mm512_add_epi64(r, r), _mm512_srl_epi64(load(p), shift));
            store(_mm512_add_epi64(r, _mm512_and_si512(load(m), chosen)), share);
        };
        let ((p, p_end), (m, m_end)) = (p.as_chunks::<LANES>(), masked.as_chunks::<LANES>());
        let (share, share_end) = share.as_chunks_mut::<LANES>();
        for ((p, m), share) in p.iter().zip(m).zip(share) {
            lanes(p, m, share);
        }
        if !m_end.is_empty() {
            lanes(p_end, m_end, share_end);
        }
    });
}

/// The lanes of `len` words, at most eight.
#[inline]
fn lanes(len: usize) -> __mmask8 {
    (0xFF_u32 >> (LANES - len)) as __mmask8
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[u64]) -> __m512i {
    // SAFETY: only lanes with a word are read.
    unsafe { _mm512_maskz_loadu_epi64(lanes(words.len()), words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(x: __m512i, words: &mut [u64]) {
    // SAFETY: only lanes with a word are written.
    unsafe { _mm512_mask_storeu_epi64(words.as_mut_ptr().cast(), lanes(words.len()), x) }
}
