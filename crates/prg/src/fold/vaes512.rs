//! The sums on VAES and AVX-512: the streams of four seeds at a time, summed up in registers.
#![expect(unsafe_code, reason = "calls behind run-time detection")]

use super::LINE;
use crate::aes128::Words;
use crate::aes128::vaes512::{LANES, Vaes512, broadcast, load, store};
use copriv_bits::Block;
use std::arch::x86_64::*;
use zeroize::Zeroize;

/// Expanded seeds on a machine with VAES and AVX-512F.
pub(super) struct Vaes512Streams {
    aes: Vec<Vaes512>,
    /// The last round keys of each instance, summed up as the streams are: u, then v.
    keys: Vec<Block>,
}

impl Vaes512Streams {
    /// The streams, or `None` where the machine lacks the instructions.
    pub(super) fn new(k: usize, seeds: &[Block]) -> Option<Self> {
        Vaes512::new(Block::ZERO)?;
        let aes: Vec<Vaes512> = seeds.iter().map(|&seed| Vaes512::new(seed)).collect::<Option<_>>()?;
        let mut keys = vec![Block::ZERO; (seeds.len() >> k) * (1 + k)];
        for (aes, keys) in aes.chunks_exact(1 << k).zip(keys.chunks_exact_mut(1 + k)) {
            for (x, aes) in aes.iter().enumerate() {
                let last = aes.keys().blocks()[10];
                keys[0] ^= last;
                (0..k).filter(|j| x >> j & 1 == 1).for_each(|j| keys[1 + j] ^= last);
            }
        }
        Some(Self { aes, keys })
    }

    pub(super) fn all(&self, k: usize, first: u64, mask: &[Block], sums: &mut [Block], rows: &mut [Block]) {
        let (mask, sums) = (Block::as_words(mask), Block::as_words_mut(sums));
        let out = Out { sums: Some((mask, sums)), rows: Block::as_words_mut(rows) };
        // SAFETY: `self` exists only where VAES and AVX-512F were detected.
        unsafe {
            match k {
                1 => fold::<1, 4, true>(self, first, out),
                2 => fold::<2, 2, true>(self, first, out),
                4 => fold::<4, 2, true>(self, first, out),
                _ => fold::<8, 2, true>(self, first, out),
            }
        }
    }

    pub(super) fn halves(&self, k: usize, first: u64, rows: &mut [Block]) {
        let out = Out { sums: None, rows: Block::as_words_mut(rows) };
        // SAFETY: as in `all`.
        unsafe {
            match k {
                1 => fold::<1, 4, false>(self, first, out),
                2 => fold::<2, 4, false>(self, first, out),
                4 => fold::<4, 2, false>(self, first, out),
                _ => fold::<8, 2, false>(self, first, out),
            }
        }
    }

    pub(super) fn correct(&self, k: usize, delta: Block, corrections: &[Block], rows: &mut [Block]) {
        // SAFETY: as in `all`.
        unsafe { correct(k, delta, Block::as_words(corrections), Block::as_words_mut(rows)) }
    }
}

impl Drop for Vaes512Streams {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

/// Where the sums go; `sums` with their mask, where they are wanted.
struct Out<'a> {
    sums: Option<(&'a [Words], &'a mut [Words])>,
    rows: &'a mut [Words],
}

impl Out<'_> {
    /// Writes u and v of instance `i` from line `line` on.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn put<const K: usize, const P: usize>(
        &mut self,
        (i, count, lines): (usize, usize, usize),
        line: usize,
        u: [__m512i; P],
        v: [[__m512i; P]; K],
    ) {
        if let Some((mask, sums)) = &mut self.sums {
            let mask: [_; P] = load(&mask[LINE * line..][..LINE * P]);
            let mut masked = u;
            masked.iter_mut().zip(mask).for_each(|(u, mask)| *u = _mm512_xor_si512(*u, mask));
            store(masked, &mut sums[LINE * (i * lines + line)..][..LINE * P]);
        }
        for p in 0..P {
            let rows = &mut self.rows[LINE * ((line + p) * count + i * K)..][..LINE * K];
            for (row, v) in rows.as_chunks_mut::<LINE>().0.iter_mut().zip(&v) {
                store([v[p]], row);
            }
        }
    }
}

/// P lines at a time, then line by line. Without `ALL`, stream 0 of each instance does not matter and u is not computed.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn fold<const K: usize, const P: usize, const ALL: bool>(streams: &Vaes512Streams, first: u64, mut out: Out) {
    let count = (streams.aes.len() >> K) * K;
    let lines = out.rows.len() / (LINE * count).max(1);
    let lane = _mm512_setr_epi64(0, 0, 1, 0, 2, 0, 3, 0);
    let counter =
        |line: usize| _mm512_add_epi64(broadcast([first.wrapping_add((LANES * line) as u64), 0]), lane);
    let instances = streams.aes.chunks_exact(1 << K).zip(streams.keys.chunks_exact(1 + K));
    for (i, (aes, keys)) in instances.enumerate() {
        let mut line = 0;
        while line + P <= lines {
            let (u, v) = instance::<K, P, ALL>(aes, keys, counter(line));
            out.put((i, count, lines), line, u, v);
            line += P;
        }
        while line < lines {
            let (u, v) = instance::<K, 1, ALL>(aes, keys, counter(line));
            out.put((i, count, lines), line, u, v);
            line += 1;
        }
    }
}

/// u and v of one instance, of P lines from the counters on. With more than two streams the last round key of none is added:
/// `keys` has the sums of these keys instead, u's and then v's.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn instance<const K: usize, const P: usize, const ALL: bool>(
    aes: &[Vaes512],
    keys: &[Block],
    counter: __m512i,
) -> ([__m512i; P], [[__m512i; P]; K]) {
    let sum_of_keys = |i: usize| [broadcast(keys[i].words()); P];
    let (mut u, mut v) = (sum_of_keys(0), [sum_of_keys(0); K]);
    for (j, v) in v.iter_mut().enumerate() {
        *v = sum_of_keys(1 + j);
    }
    if K == 1 {
        let [s1] = rounds([&aes[1]], counter);
        v[0] = last(s1, v[0]);
        if ALL {
            let [s0] = rounds([&aes[0]], counter);
            u = xor(u, last(s0, xor(v[0], sum_of_keys(1))));
        }
        return (u, v);
    }
    for (z, [aes0, aes1, aes2, aes3]) in aes.as_chunks::<4>().0.iter().enumerate() {
        let [s0, s1, s2, s3] = if ALL || z > 0 {
            rounds([aes0, aes1, aes2, aes3], counter)
        } else {
            let [s1, s2, s3] = rounds([aes1, aes2, aes3], counter);
            [s1, s1, s2, s3]
        };
        let r3 = last(s3, [_mm512_setzero_si512(); P]);
        let (odd, high) = (last(s1, r3), last(s2, r3));
        v[0] = xor(v[0], odd);
        v[1] = xor(v[1], high);
        if !ALL && (K == 2 || z == 0) {
            continue;
        }
        let all = last(s0, xor(xor(odd, high), r3));
        for (j, v) in v.iter_mut().enumerate().skip(2) {
            if z >> (j - 2) & 1 == 1 {
                *v = xor(*v, all);
            }
        }
        if ALL {
            u = xor(u, all);
        }
    }
    (u, v)
}

/// All rounds but the last, P registers of each stream from the same counters on.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn rounds<const L: usize, const P: usize>(aes: [&Vaes512; L], counter: __m512i) -> [[__m512i; P]; L] {
    let keys = aes.map(|aes| aes.keys().blocks());
    let mut state = [[counter; P]; L];
    for (state, key) in state.iter_mut().zip(keys) {
        let key = broadcast(key[0].words());
        for (p, s) in state.iter_mut().enumerate() {
            let counter = _mm512_add_epi64(counter, broadcast([(LANES * p) as u64, 0]));
            *s = _mm512_xor_si512(counter, key);
        }
    }
    for round in 1..10 {
        for (state, key) in state.iter_mut().zip(keys) {
            let key = broadcast(key[round].words());
            state.iter_mut().for_each(|s| *s = _mm512_aesenc_epi128(*s, key));
        }
    }
    state
}

/// The last round, which adds `sum` in place of its key.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn last<const P: usize>(mut state: [__m512i; P], sum: [__m512i; P]) -> [__m512i; P] {
    state.iter_mut().zip(sum).for_each(|(s, sum)| *s = _mm512_aesenclast_epi128(*s, sum));
    state
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor<const P: usize>(mut a: [__m512i; P], b: [__m512i; P]) -> [__m512i; P] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a = _mm512_xor_si512(*a, b));
    a
}

/// A row of a line is added where its bit of `delta` is 1, by a mask.
#[target_feature(enable = "avx512f")]
fn correct(k: usize, delta: Block, corrections: &[Words], rows: &mut [Words]) {
    let blocks = rows.len() / 128;
    let masks: [__mmask8; 128] = std::array::from_fn(|r| 0u8.wrapping_sub(u8::from(delta.bit(r))));
    for (line, rows) in rows.chunks_exact_mut(128 * LINE).enumerate() {
        let (rows, _) = rows.as_chunks_mut::<LINE>();
        for (i, (rows, masks)) in rows.chunks_exact_mut(k).zip(masks.chunks_exact(k)).enumerate() {
            let [d] = load(&corrections[i * blocks + line * LINE..][..LINE]);
            for (row, &mask) in rows.iter_mut().zip(masks) {
                let [old] = load(row);
                store([_mm512_mask_xor_epi64(old, mask, old, d)], row);
            }
        }
    }
}
