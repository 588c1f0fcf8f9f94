//! The hash on AES-NI: eight blocks at a time, from tweak to feed-forward in registers.
#![expect(unsafe_code, reason = "AES intrinsics, behind run-time detection")]

use crate::aes128::RoundKeys;
use crate::aes128::aesni::{AesNi, from_words, load, permute, rounds, store};
use copriv_bits::Block;
use std::arch::x86_64::*;

impl AesNi {
    pub(super) fn hash(&self, x: &mut [Block], first: u64) {
        // SAFETY: `self` exists only where AES-NI was detected.
        unsafe { hash(self.keys(), x, first) }
    }

    pub(super) fn expand(&self, x: &[Block], first: u64, per: usize, out: &mut [Block]) {
        // SAFETY: as in `hash`.
        unsafe { expand(self.keys(), x, first, per, out) }
    }

    pub(super) fn hash_pair(
        &self,
        q: &[Block],
        delta: Block,
        first: u64,
        out0: &mut [Block],
        out1: &mut [Block],
    ) {
        // SAFETY: as in `hash`.
        unsafe {
            hash_to(self.keys(), q, Block::ZERO, first, out0);
            hash_to(self.keys(), q, delta, first, out1);
        }
    }

    pub(super) fn hash_many(&self, x: &[Block], offsets: &[Block], first: u64, out: &mut [Block]) {
        // SAFETY: as in `hash`.
        unsafe { hash_many(self.keys(), x, offsets, first, out) }
    }
}

#[target_feature(enable = "aes,sse2")]
fn hash(keys: &RoundKeys, x: &mut [Block], first: u64) {
    let mut tweak = first;
    for x in x.chunks_mut(64) {
        let mut copy = [Block::ZERO; 64];
        copy[..x.len()].copy_from_slice(x);
        hash_to(keys, &copy[..x.len()], Block::ZERO, tweak, x);
        tweak = tweak.wrapping_add(x.len() as u64);
    }
}

/// `out[i]` = H(`x[i]` ⊕ `offset`, `first` + i).
#[target_feature(enable = "aes,sse2")]
fn hash_to(keys: &RoundKeys, x: &[Block], offset: Block, first: u64, out: &mut [Block]) {
    let (offset, mut tweak) = (load(&offset.words()), from_words([0, first]));
    let mut xs = Block::as_words(x).iter();
    fill(keys, out, || {
        let lane = (xs.next().map_or(offset, |x| _mm_xor_si128(load(x), offset)), tweak);
        tweak = _mm_add_epi64(tweak, from_words([0, 1]));
        lane
    });
}

#[target_feature(enable = "aes,sse2")]
fn expand(keys: &RoundKeys, x: &[Block], first: u64, per: usize, out: &mut [Block]) {
    match per {
        0 => return,
        1 => return hash_to(keys, x, Block::ZERO, first, out),
        _ => {}
    }
    rows(keys, x, first, per, out, |x, tweak, j| (x, _mm_add_epi64(tweak, from_words([j as u64, 0]))));
}

#[target_feature(enable = "aes,sse2")]
fn hash_many(keys: &RoundKeys, x: &[Block], offsets: &[Block], first: u64, out: &mut [Block]) {
    match offsets {
        [] => return,
        [offset] => return hash_to(keys, x, *offset, first, out),
        _ => {}
    }
    let words = Block::as_words(offsets);
    rows(keys, x, first, offsets.len(), out, |x, tweak, j| (_mm_xor_si128(x, load(&words[j])), tweak));
}

/// `out[i * per + j]` from `lane(x[i], first + i, j)`.
#[inline]
#[target_feature(enable = "aes,sse2")]
fn rows(
    keys: &RoundKeys,
    x: &[Block],
    first: u64,
    per: usize,
    out: &mut [Block],
    lane: impl Fn(__m128i, __m128i, usize) -> (__m128i, __m128i),
) {
    let mut xs = Block::as_words(x).iter();
    let (mut x, mut tweak, mut j) = (_mm_setzero_si128(), from_words([0, first.wrapping_sub(1)]), per);
    fill(keys, out, || {
        if j == per {
            x = xs.next().map_or(x, |x| load(x));
            tweak = _mm_add_epi64(tweak, from_words([0, 1]));
            j = 0;
        }
        j += 1;
        lane(x, tweak, j - 1)
    });
}

/// Writes π(σ(x) ⊕ t) ⊕ σ(x) for the next (x, t) of `input`, which is called up to seven times too often.
#[inline]
#[target_feature(enable = "aes,sse2")]
fn fill(keys: &RoundKeys, out: &mut [Block], mut input: impl FnMut() -> (__m128i, __m128i)) {
    let keys = rounds(keys);
    for out in Block::as_words_mut(out).chunks_mut(8) {
        let mut sigmas = [_mm_setzero_si128(); 8];
        let mut state = sigmas;
        for (s, state) in sigmas.iter_mut().zip(&mut state) {
            let (x, tweak) = input();
            *s = sigma(x);
            *state = _mm_xor_si128(*s, tweak);
        }
        permute(keys, &mut state);
        state.iter_mut().zip(sigmas).for_each(|(state, s)| *state = _mm_xor_si128(*state, s));
        state.iter().zip(out).for_each(|(state, out)| store(*state, out));
    }
}

/// σ swaps the words, then adds the old high word to the new one.
#[inline]
#[target_feature(enable = "sse2")]
pub(crate) fn sigma(x: __m128i) -> __m128i {
    let high = _mm_and_si128(x, _mm_set_epi64x(-1, 0));
    _mm_xor_si128(_mm_shuffle_epi32::<0x4E>(x), high)
}
