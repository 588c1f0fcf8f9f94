//! VAES on AVX-512: four blocks a register, eight registers in flight; tails by masked loads and stores.
#![expect(unsafe_code, reason = "VAES intrinsics, behind run-time detection")]

use super::{RoundKeys, Words, aesni, counter_runs};
use copriv_bits::Block;
use std::arch::x86_64::*;

/// An expanded key on a machine with VAES and AVX-512F.
#[derive(Clone)]
pub(crate) struct Vaes512(RoundKeys);

/// Round keys in registers, each in all four lanes.
pub(crate) type Keys = [__m512i; 11];

/// Blocks of a register.
pub(crate) const LANES: usize = 4;

impl Vaes512 {
    /// The key, or `None` where the machine lacks the instructions.
    pub(crate) fn new(key: Block) -> Option<Self> {
        let detected = is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("aes");
        // SAFETY: AES-NI was just detected.
        detected.then(|| Self(unsafe { aesni::expand_key(key) }))
    }

    pub(crate) fn keys(&self) -> &RoundKeys {
        &self.0
    }

    pub(super) fn encrypt(&self, blocks: &mut [Words]) {
        // SAFETY: `new` detected VAES and AVX-512F.
        unsafe { encrypt(&self.0, blocks) }
    }

    pub(super) fn counter(&self, first: u128, out: &mut [Words]) {
        // SAFETY: `new` detected VAES and AVX-512F.
        counter_runs(first, out, |low, high, out| unsafe { counter(&self.0, low, high, out) });
    }
}

/// Calls `$group::<V>` for successive ranges `$at` of `$len` blocks, each of V registers of which the last may
/// be partly filled. One call for each V, so that each is inlined and keeps its keys in registers.
macro_rules! groups {
    ($len:expr, $at:ident => $group:ident($($arg:expr),*)) => {
        let (len, mut start) = ($len, 0);
        while len - start >= 8 * LANES {
            let $at = start..start + 8 * LANES;
            start = $at.end;
            $group::<8>($($arg),*);
        }
        while len - start > 3 * LANES {
            let $at = start..len.min(start + 4 * LANES);
            start = $at.end;
            $group::<4>($($arg),*);
        }
        let $at = start..len;
        match usize::div_ceil(len - start, LANES) {
            0 => {}
            1 => $group::<1>($($arg),*),
            2 => $group::<2>($($arg),*),
            _ => $group::<3>($($arg),*),
        }
    };
}
pub(crate) use groups;

#[target_feature(enable = "avx512f,vaes")]
fn encrypt(keys: &RoundKeys, blocks: &mut [Words]) {
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn group<const V: usize>(keys: &Keys, blocks: &mut [Words]) {
        let mut state: [_; V] = load(blocks);
        permute(keys, &mut state);
        store(state, blocks);
    }
    let keys = load_keys(keys);
    groups!(blocks.len(), at => group(&keys, &mut blocks[at]));
}

#[target_feature(enable = "avx512f,vaes")]
fn counter(keys: &RoundKeys, low: u64, high: u64, out: &mut [Words]) {
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn group<const V: usize>(keys: &Keys, first: __m512i, out: &mut [Words]) {
        let mut state = [first; V];
        for (v, s) in state.iter_mut().enumerate() {
            *s = _mm512_add_epi64(first, broadcast([(LANES * v) as u64, 0]));
        }
        permute(keys, &mut state);
        store(state, out);
    }
    let (keys, lane) = (load_keys(keys), _mm512_setr_epi64(0, 0, 1, 0, 2, 0, 3, 0));
    let first = |i: usize| _mm512_add_epi64(broadcast([low.wrapping_add(i as u64), high]), lane);
    groups!(out.len(), at => group(&keys, first(at.start), &mut out[at]));
}

/// The cipher on each lane of each register.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
pub(crate) fn permute<const V: usize>(keys: &Keys, state: &mut [__m512i; V]) {
    state.iter_mut().for_each(|s| *s = _mm512_xor_si512(*s, keys[0]));
    for key in &keys[1..10] {
        state.iter_mut().for_each(|s| *s = _mm512_aesenc_epi128(*s, *key));
    }
    state.iter_mut().for_each(|s| *s = _mm512_aesenclast_epi128(*s, keys[10]));
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn load_keys(keys: &RoundKeys) -> Keys {
    keys.0.map(|key| broadcast(key.words()))
}

/// One block in all lanes.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn broadcast(words: Words) -> __m512i {
    _mm512_broadcast_i32x4(aesni::from_words(words))
}

/// The words that a register has of `len` < 4 blocks.
#[inline]
fn words(len: usize) -> __mmask8 {
    (1 << (2 * len)) - 1
}

/// A group of blocks, zero past the end.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn load<const V: usize>(blocks: &[Words]) -> [__m512i; V] {
    let mut group = [_mm512_setzero_si512(); V];
    let (full, last) = blocks.split_at(LANES * (V - 1));
    for (x, blocks) in group.iter_mut().zip(full.as_chunks::<LANES>().0) {
        // SAFETY: 64 bytes to read.
        *x = unsafe { _mm512_loadu_si512(blocks.as_ptr().cast()) };
    }
    group[V - 1] = match last.first_chunk::<LANES>() {
        // SAFETY: 64 bytes to read.
        Some(last) => unsafe { _mm512_loadu_si512(last.as_ptr().cast()) },
        // SAFETY: words outside the mask, which ends with `last`, are not accessed.
        None => unsafe { _mm512_maskz_loadu_epi64(words(last.len()), last.as_ptr().cast()) },
    };
    group
}

/// Writes a group of blocks. Whole registers are written without a mask: a masked store is not forwarded to
/// the loads after it.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn store<const V: usize>(group: [__m512i; V], out: &mut [Words]) {
    let (full, last) = out.split_at_mut(LANES * (V - 1));
    for (x, out) in group.iter().zip(full.as_chunks_mut::<LANES>().0) {
        // SAFETY: 64 bytes to write.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), *x) };
    }
    let words = words(last.len() % LANES);
    match last.first_chunk_mut::<LANES>() {
        // SAFETY: 64 bytes to write.
        Some(last) => unsafe { _mm512_storeu_si512(last.as_mut_ptr().cast(), group[V - 1]) },
        // SAFETY: words outside the mask, which ends with `last`, are not accessed.
        None => unsafe { _mm512_mask_storeu_epi64(last.as_mut_ptr().cast(), words, group[V - 1]) },
    }
}
