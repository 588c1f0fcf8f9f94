//! A level of four trees on AES-NI: two nodes, eight blocks, at a time.
#![expect(unsafe_code, reason = "AES intrinsics, behind run-time detection")]

use super::Fix;
use crate::Quad;
use crate::aes128::RoundKeys;
use crate::aes128::aesni::{AesNi, load, permute, rounds, store};
use crate::hash::aesni::sigma;
use copriv_bits::Block;
use std::arch::x86_64::*;

impl AesNi {
    pub(super) fn expand_level(&self, nodes: &mut [Block], fix: Option<&Fix>) -> [Quad; 2] {
        if let Some(fix) = fix {
            let parents = nodes.len() / 8;
            for (i, node) in nodes.as_chunks_mut::<4>().0[..parents].iter_mut().enumerate() {
                *node = (Quad(*node) ^ fix.of(i as u64)).0;
            }
        }
        // SAFETY: `self` exists only where AES-NI was detected.
        unsafe { expand_level(self.keys(), nodes) }
    }
}

#[target_feature(enable = "aes,sse2")]
fn expand_level(keys: &RoundKeys, nodes: &mut [Block]) -> [Quad; 2] {
    let (keys, nodes) = (rounds(keys), Block::as_words_mut(nodes));
    let zero = _mm_setzero_si128();
    let mut sums = [[zero; 4]; 2];
    for first in (0..nodes.len() / 8).step_by(2).rev() {
        let both = nodes.len() >= 16;
        let mut x = [zero; 8];
        x.iter_mut()
            .zip(&nodes[4 * first..][..if both { 8 } else { 4 }])
            .for_each(|(x, node)| *x = load(node));
        let mut state = x;
        state.iter_mut().for_each(|s| *s = sigma(*s));
        let feed = state;
        permute(keys, &mut state);
        let children = nodes[8 * first..].as_chunks_mut::<8>().0.iter_mut();
        for (v, children) in children.take(if both { 2 } else { 1 }).enumerate() {
            let (left, right) = children.split_at_mut(4);
            for (j, (l, r)) in left.iter_mut().zip(right).enumerate() {
                let left = _mm_xor_si128(state[4 * v + j], feed[4 * v + j]);
                let right = _mm_xor_si128(left, x[4 * v + j]);
                sums[0][j] = _mm_xor_si128(sums[0][j], left);
                sums[1][j] = _mm_xor_si128(sums[1][j], right);
                store(left, l);
                store(right, r);
            }
        }
    }
    sums.map(|sum| {
        Quad::from_fn(|j| {
            let mut words = [0; 2];
            store(sum[j], &mut words);
            Block::new(words[0], words[1])
        })
    })
}
