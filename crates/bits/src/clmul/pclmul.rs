//! Carry-less multiplication instructions, one product at a time and four at a time.
#![expect(unsafe_code, reason = "PCLMULQDQ intrinsics, behind run-time detection")]

use crate::Block;
use std::arch::x86_64::*;

/// Proof that the machine has PCLMULQDQ.
pub(super) struct Pclmul(());

/// Proof that the machine has VPCLMULQDQ and AVX-512F.
pub(super) struct Vpclmul512(());

impl Pclmul {
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("pclmulqdq").then_some(Self(()))
    }

    #[inline]
    pub(super) fn mul(self, a: Block, b: Block) -> Block {
        // SAFETY: `self` exists only where PCLMULQDQ was detected.
        unsafe { mul(a, b) }
    }

    pub(super) fn mul_slice(self, xs: &mut [Block], by: Block) {
        #[target_feature(enable = "pclmulqdq")]
        fn inner(xs: &mut [Block], by: Block) {
            xs.iter_mut().for_each(|x| *x = mul(*x, by));
        }
        // SAFETY: `self` exists only where PCLMULQDQ was detected.
        unsafe { inner(xs, by) }
    }
}

impl Vpclmul512 {
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        let detected = is_x86_feature_detected!("vpclmulqdq")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("pclmulqdq");
        detected.then_some(Self(()))
    }

    pub(super) fn mul_slice(self, xs: &mut [Block], by: Block) {
        // SAFETY: `self` exists only where VPCLMULQDQ and AVX-512F were detected.
        unsafe { mul_slice(xs, by) }
    }
}

/// With a = a1 y + a0 and b alike, y = x^64, the product is h y^2 + m y + l. Modulo the polynomial y^2 is
/// r = x^7 + x^2 + x + 1, so h1 y^3 + h0 y^2 is taken down one word at a time: h1 first, to m1 and below.
#[inline]
#[target_feature(enable = "pclmulqdq")]
fn mul(a: Block, b: Block) -> Block {
    let r = _mm_set_epi64x(0, 0x87);
    let [a, b] = [a, b].map(|x| _mm_set_epi64x(x.high() as i64, x.low() as i64));
    let low = _mm_clmulepi64_si128::<0x00>(a, b);
    let high = _mm_clmulepi64_si128::<0x11>(a, b);
    let middle = _mm_xor_si128(_mm_clmulepi64_si128::<0x10>(a, b), _mm_clmulepi64_si128::<0x01>(a, b));
    let middle = _mm_xor_si128(middle, _mm_clmulepi64_si128::<0x01>(high, r));
    let high = _mm_xor_si128(high, _mm_srli_si128::<8>(middle));
    let low = _mm_xor_si128(low, _mm_slli_si128::<8>(middle));
    let product = _mm_xor_si128(low, _mm_clmulepi64_si128::<0x00>(high, r));
    let mut out = Block::ZERO;
    // SAFETY: 16 bytes to write.
    unsafe { _mm_storeu_si128((&raw mut out).cast(), product) };
    out
}

/// As [`mul`], in each lane.
#[target_feature(enable = "vpclmulqdq,avx512f,pclmulqdq")]
fn mul_slice(xs: &mut [Block], by: Block) {
    let r = _mm512_set1_epi64(0x87);
    let b = _mm512_broadcast_i32x4(_mm_set_epi64x(by.high() as i64, by.low() as i64));
    let (groups, rest) = xs.as_chunks_mut::<4>();
    for xs in groups {
        // SAFETY: 64 bytes to read.
        let a = unsafe { _mm512_loadu_si512(xs.as_ptr().cast()) };
        let low = _mm512_clmulepi64_epi128::<0x00>(a, b);
        let high = _mm512_clmulepi64_epi128::<0x11>(a, b);
        let middle =
            _mm512_xor_si512(_mm512_clmulepi64_epi128::<0x10>(a, b), _mm512_clmulepi64_epi128::<0x01>(a, b));
        let middle = _mm512_xor_si512(middle, _mm512_clmulepi64_epi128::<0x01>(high, r));
        let zero = _mm512_setzero_si512();
        let high = _mm512_xor_si512(high, _mm512_unpackhi_epi64(middle, zero));
        let low = _mm512_xor_si512(low, _mm512_unpacklo_epi64(zero, middle));
        let product = _mm512_xor_si512(low, _mm512_clmulepi64_epi128::<0x00>(high, r));
        // SAFETY: 64 bytes to write.
        unsafe { _mm512_storeu_si512(xs.as_mut_ptr().cast(), product) };
    }
    rest.iter_mut().for_each(|x| *x = mul(*x, by));
}
