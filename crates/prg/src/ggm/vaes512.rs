//! A level of four trees on VAES and AVX-512: eight nodes, 32 blocks, at a time.
#![expect(unsafe_code, reason = "VAES intrinsics, behind run-time detection")]

use super::Fix;
use crate::Quad;
use crate::aes128::vaes512::{Keys, LANES, Vaes512, load, load_keys, permute, store};
use crate::aes128::{RoundKeys, Words};
use crate::hash::vaes512::sigma;
use copriv_bits::Block;
use std::arch::x86_64::*;

impl Vaes512 {
    pub(super) fn expand_level(&self, nodes: &mut [Block], fix: Option<&Fix>) -> [Quad; 2] {
        // SAFETY: `self` exists only where VAES and AVX-512F were detected.
        unsafe { expand_level(self.keys(), nodes, fix) }
    }
}

/// A [`Fix`] in registers, for the nodes of a group.
#[derive(Clone, Copy)]
pub(crate) struct Fixer {
    path: __m512i,
    sibling_at: __m512i,
    point: __m512i,
    sibling: __m512i,
}

impl Fixer {
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn new(fix: &Fix) -> Self {
        let [a, b, c, d] = fix.path.map(|path| path as i64);
        let path = _mm512_setr_epi64(a, a, b, b, c, c, d, d);
        Self {
            path,
            sibling_at: _mm512_xor_si512(path, _mm512_set1_epi64(1)),
            point: quad(&fix.point),
            sibling: quad(&fix.sibling),
        }
    }

    /// Which blocks of node `i` are on the path.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn on_path(&self, i: usize) -> __mmask8 {
        _mm512_cmpeq_epi64_mask(_mm512_set1_epi64(i as i64), self.path)
    }

    /// Node `i`, fixed.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(crate) fn apply(&self, i: usize, x: __m512i) -> __m512i {
        let sibling = _mm512_cmpeq_epi64_mask(_mm512_set1_epi64(i as i64), self.sibling_at);
        let x = _mm512_mask_xor_epi64(x, self.on_path(i), x, self.point);
        _mm512_mask_xor_epi64(x, sibling, x, self.sibling)
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn quad(quad: &Quad) -> __m512i {
    let [x] = load(Block::as_words(&quad.0));
    x
}

#[target_feature(enable = "avx512f,vaes")]
fn expand_level(keys: &RoundKeys, nodes: &mut [Block], fix: Option<&Fix>) -> [Quad; 2] {
    let (keys, nodes) = (load_keys(keys), Block::as_words_mut(nodes));
    let fixer = fix.map(|fix| Fixer::new(fix));
    let mut sums = [_mm512_setzero_si512(); 2];
    let parents = nodes.len() / (2 * LANES);
    match (parents, fixer) {
        (1, None) => group::<1>(&keys, nodes, 0, |_, x| x, &mut sums),
        (2, None) => group::<2>(&keys, nodes, 0, |_, x| x, &mut sums),
        (4, None) => group::<4>(&keys, nodes, 0, |_, x| x, &mut sums),
        (_, None) => {
            for first in (0..parents).step_by(8).rev() {
                group::<8>(&keys, nodes, first, |_, x| x, &mut sums);
            }
        }
        (1, Some(fix)) => group::<1>(&keys, nodes, 0, |i, x| fix.apply(i, x), &mut sums),
        (2, Some(fix)) => group::<2>(&keys, nodes, 0, |i, x| fix.apply(i, x), &mut sums),
        (4, Some(fix)) => group::<4>(&keys, nodes, 0, |i, x| fix.apply(i, x), &mut sums),
        (_, Some(fix)) => {
            for first in (0..parents).step_by(8).rev() {
                group::<8>(&keys, nodes, first, |i, x| fix.apply(i, x), &mut sums);
            }
        }
    }
    let [left, right] = sums.map(|sum| {
        let mut quad = Quad::ZERO;
        store([sum], Block::as_words_mut(&mut quad.0));
        quad
    });
    [left, right]
}

/// The children of nodes `first..first + V`.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn group<const V: usize>(
    keys: &Keys,
    nodes: &mut [Words],
    first: usize,
    fix: impl Fn(usize, __m512i) -> __m512i,
    sums: &mut [__m512i; 2],
) {
    let mut x: [_; V] = load(&nodes[LANES * first..LANES * (first + V)]);
    x.iter_mut().enumerate().for_each(|(i, x)| *x = fix(first + i, *x));
    let mut state = x;
    state.iter_mut().for_each(|s| *s = sigma(*s));
    let feed = state;
    permute(keys, &mut state);
    let children = nodes[2 * LANES * first..2 * LANES * (first + V)].as_chunks_mut::<{ 2 * LANES }>().0;
    for (v, children) in children.iter_mut().enumerate() {
        let left = _mm512_xor_si512(state[v], feed[v]);
        let right = _mm512_xor_si512(left, x[v]);
        sums[0] = _mm512_xor_si512(sums[0], left);
        sums[1] = _mm512_xor_si512(sums[1], right);
        store([left, right], children);
    }
}
