//! The hash on VAES and AVX-512: up to 32 blocks at a time, from tweak to feed-forward in registers.
#![expect(unsafe_code, reason = "VAES intrinsics, behind run-time detection")]

use crate::aes128::vaes512::{Keys, LANES, Vaes512, broadcast, groups, load, load_keys, permute, store};
use crate::aes128::{RoundKeys, Words};
use copriv_bits::Block;
use std::arch::x86_64::*;

impl Vaes512 {
    pub(super) fn hash(&self, x: &mut [Block], first: u64) {
        // SAFETY: `self` exists only where VAES and AVX-512F were detected.
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
        unsafe { hash_pair(self.keys(), q, delta, first, out0, out1) }
    }

    pub(super) fn hash_many(&self, x: &[Block], offsets: &[Block], first: u64, out: &mut [Block]) {
        // SAFETY: as in `hash`.
        unsafe { hash_many(self.keys(), x, offsets, first, out) }
    }
}

#[target_feature(enable = "avx512f,vaes")]
fn hash(keys: &RoundKeys, x: &mut [Block], first: u64) {
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn group<const V: usize>(keys: &Keys, tweak: __m512i, x: &mut [Words]) {
        store(pads::<V>(keys, load(x), tweak), x);
    }
    let (keys, x) = (load_keys(keys), Block::as_words_mut(x));
    groups!(x.len(), at => group(&keys, tweaks(first, at.start), &mut x[at]));
}

/// `out[i]` = H(`x[i]` ⊕ `offset`, `first` + i).
#[target_feature(enable = "avx512f,vaes")]
fn hash_to(keys: &RoundKeys, x: &[Block], offset: Block, first: u64, out: &mut [Block]) {
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn group<const V: usize>(keys: &Keys, tweak: __m512i, offset: __m512i, x: &[Words], out: &mut [Words]) {
        store(pads::<V>(keys, shifted(load(x), offset), tweak), out);
    }
    let (keys, offset) = (load_keys(keys), broadcast(offset.words()));
    let (x, out) = (Block::as_words(x), Block::as_words_mut(out));
    groups!(x.len(), at => group(&keys, tweaks(first, at.start), offset, &x[at.clone()], &mut out[at]));
}

#[target_feature(enable = "avx512f,vaes")]
fn hash_pair(
    keys: &RoundKeys,
    q: &[Block],
    delta: Block,
    first: u64,
    out0: &mut [Block],
    out1: &mut [Block],
) {
    type Out<'a> = &'a mut [Words];
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn group<const V: usize>(keys: &Keys, tweak: __m512i, delta: __m512i, q: &[Words], out0: Out, out1: Out) {
        store(pads::<V>(keys, load(q), tweak), out0);
        store(pads::<V>(keys, shifted(load(q), delta), tweak), out1);
    }
    let (keys, delta, q) = (load_keys(keys), broadcast(delta.words()), Block::as_words(q));
    let (out0, out1) = (Block::as_words_mut(out0), Block::as_words_mut(out1));
    let tweak = |i| tweaks(first, i);
    groups!(q.len(), at => group(
        &keys, tweak(at.start), delta, &q[at.clone()], &mut out0[at.clone()], &mut out1[at]
    ));
}

#[target_feature(enable = "avx512f,vaes")]
fn expand(keys: &RoundKeys, x: &[Block], first: u64, per: usize, out: &mut [Block]) {
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn group<const V: usize>(keys: &Keys, x: __m512i, tweak: __m512i, row: &mut [Words]) {
        let mut tweaks = [tweak; V];
        for (v, t) in tweaks.iter_mut().enumerate() {
            *t = _mm512_add_epi64(tweak, broadcast([(LANES * v) as u64, 0]));
        }
        store(feed(keys, [x; V], tweaks), row);
    }
    match per {
        0 => return,
        1 => return hash_to(keys, x, Block::ZERO, first, out),
        _ => {}
    }
    let (keys, lane) = (load_keys(keys), _mm512_setr_epi64(0, 0, 1, 0, 2, 0, 3, 0));
    for (i, (x, row)) in x.iter().zip(Block::as_words_mut(out).chunks_exact_mut(per)).enumerate() {
        let (x, count) = (broadcast(x.words()), first.wrapping_add(i as u64));
        let tweak = |j: usize| _mm512_add_epi64(broadcast([j as u64, count]), lane);
        groups!(row.len(), at => group(&keys, x, tweak(at.start), &mut row[at]));
    }
}

#[target_feature(enable = "avx512f,vaes")]
fn hash_many(keys: &RoundKeys, x: &[Block], offsets: &[Block], first: u64, out: &mut [Block]) {
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn group<const V: usize>(keys: &Keys, x: __m512i, tweak: __m512i, offsets: &[Words], row: &mut [Words]) {
        store(feed::<V>(keys, shifted(load(offsets), x), [tweak; V]), row);
    }
    match offsets {
        [] => return,
        [offset] => return hash_to(keys, x, *offset, first, out),
        _ => {}
    }
    let (keys, offsets) = (load_keys(keys), Block::as_words(offsets));
    for (i, (x, row)) in x.iter().zip(Block::as_words_mut(out).chunks_exact_mut(offsets.len())).enumerate() {
        let (x, tweak) = (broadcast(x.words()), broadcast([0, first.wrapping_add(i as u64)]));
        groups!(row.len(), at => group(&keys, x, tweak, &offsets[at.clone()], &mut row[at]));
    }
}

/// H(`x`, `tweak`), H(.., `tweak` + 4), ...
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn pads<const V: usize>(keys: &Keys, x: [__m512i; V], tweak: __m512i) -> [__m512i; V] {
    let mut each = [tweak; V];
    for (v, t) in each.iter_mut().enumerate() {
        *t = count(tweak, LANES * v);
    }
    feed(keys, x, each)
}

/// π(σ(x) ⊕ t) ⊕ σ(x).
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn feed<const V: usize>(keys: &Keys, mut x: [__m512i; V], tweak: [__m512i; V]) -> [__m512i; V] {
    x.iter_mut().for_each(|x| *x = sigma(*x));
    let mut state = x;
    state.iter_mut().zip(tweak).for_each(|(s, t)| *s = _mm512_xor_si512(*s, t));
    permute(keys, &mut state);
    state.iter_mut().zip(x).for_each(|(s, x)| *s = _mm512_xor_si512(*s, x));
    state
}

/// σ swaps the words, then adds the old high word to the new one.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn sigma(x: __m512i) -> __m512i {
    let swapped = _mm512_permutex_epi64::<0b10_11_00_01>(x);
    _mm512_mask_xor_epi64(swapped, 0b1010_1010, swapped, x)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn shifted<const V: usize>(mut x: [__m512i; V], offset: __m512i) -> [__m512i; V] {
    x.iter_mut().for_each(|x| *x = _mm512_xor_si512(*x, offset));
    x
}

/// The tweaks `first` + `i` and on of four x's, in the high words.
#[inline]
#[target_feature(enable = "avx512f")]
fn tweaks(first: u64, i: usize) -> __m512i {
    let lane = _mm512_setr_epi64(0, 0, 0, 1, 0, 2, 0, 3);
    _mm512_add_epi64(broadcast([0, first.wrapping_add(i as u64)]), lane)
}

/// All tweaks raised by `by`.
#[inline]
#[target_feature(enable = "avx512f")]
fn count(tweak: __m512i, by: usize) -> __m512i {
    _mm512_add_epi64(tweak, broadcast([0, by as u64]))
}
