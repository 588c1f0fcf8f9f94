//! The sums on VAES and AVX-512: the streams of four seeds at a time, summed up in registers.
#![expect(unsafe_code, reason = "calls behind run-time detection")]

use super::LINE;
use crate::aes128::Words;
use crate::aes128::vaes512::{LANES, Vaes512, broadcast, load, store};
use copriv_bits::Block;
use std::arch::x86_64::*;

/// Expanded seeds on a machine with VAES and AVX-512F.
pub(super) struct Vaes512Streams(Vec<Vaes512>);

impl Vaes512Streams {
    /// The streams, or `None` where the machine lacks the instructions.
    pub(super) fn new(seeds: &[Block]) -> Option<Self> {
        Vaes512::new(Block::ZERO)?;
        seeds.iter().map(|&seed| Vaes512::new(seed)).collect::<Option<_>>().map(Self)
    }

    pub(super) fn all(&self, k: usize, first: u64, mask: &[Block], sums: &mut [Block], rows: &mut [Block]) {
        let (mask, sums) = (Block::as_words(mask), Block::as_words_mut(sums));
        let out = Out { sums: Some((mask, sums)), rows: Block::as_words_mut(rows) };
        // SAFETY: `self` exists only where VAES and AVX-512F were detected.
        unsafe {
            match k {
                1 => fold::<1, 4, true>(&self.0, first, out),
                2 => fold::<2, 2, true>(&self.0, first, out),
                4 => fold::<4, 2, true>(&self.0, first, out),
                _ => fold::<8, 2, true>(&self.0, first, out),
            }
        }
    }

    pub(super) fn halves(&self, k: usize, first: u64, rows: &mut [Block]) {
        let out = Out { sums: None, rows: Block::as_words_mut(rows) };
        // SAFETY: as in `all`.
        unsafe {
            match k {
                1 => fold::<1, 8, false>(&self.0, first, out),
                2 => fold::<2, 2, false>(&self.0, first, out),
                4 => fold::<4, 2, false>(&self.0, first, out),
                _ => fold::<8, 2, false>(&self.0, first, out),
            }
        }
    }

    pub(super) fn correct(&self, k: usize, delta: Block, corrections: &[Block], rows: &mut [Block]) {
        #[target_feature(enable = "avx512f")]
        fn inner(k: usize, delta: Block, corrections: &[Block], rows: &mut [Block]) {
            super::correct(k, delta, corrections, rows);
        }
        // SAFETY: as in `all`.
        unsafe { inner(k, delta, corrections, rows) }
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
fn fold<const K: usize, const P: usize, const ALL: bool>(aes: &[Vaes512], first: u64, mut out: Out) {
    let count = (aes.len() >> K) * K;
    let lines = out.rows.len() / (LINE * count).max(1);
    let lane = _mm512_setr_epi64(0, 0, 1, 0, 2, 0, 3, 0);
    let counter =
        |line: usize| _mm512_add_epi64(broadcast([first.wrapping_add((LANES * line) as u64), 0]), lane);
    for (i, aes) in aes.chunks_exact(1 << K).enumerate() {
        let mut line = 0;
        while line + P <= lines {
            let (u, v) = instance::<K, P, ALL>(aes, counter(line));
            out.put((i, count, lines), line, u, v);
            line += P;
        }
        while line < lines {
            let (u, v) = instance::<K, 1, ALL>(aes, counter(line));
            out.put((i, count, lines), line, u, v);
            line += 1;
        }
    }
}

/// u and v of one instance, of P lines from the counters on.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn instance<const K: usize, const P: usize, const ALL: bool>(
    aes: &[Vaes512],
    counter: __m512i,
) -> ([__m512i; P], [[__m512i; P]; K]) {
    let zero = [_mm512_setzero_si512(); P];
    let (mut u, mut v) = (zero, [zero; K]);
    if K == 1 {
        let (zeroth, first) = (&aes[0], &aes[1]);
        if ALL {
            let [r0, r1] = streams([zeroth, first], counter);
            (u, v[0]) = (xor(r0, r1), r1);
        } else {
            [v[0]] = streams([first], counter);
        }
        return (u, v);
    }
    for (z, [aes0, aes1, aes2, aes3]) in aes.as_chunks::<4>().0.iter().enumerate() {
        let [r0, r1, r2, r3] = if ALL || z > 0 {
            streams([aes0, aes1, aes2, aes3], counter)
        } else {
            let [r1, r2, r3] = streams([aes1, aes2, aes3], counter);
            [zero, r1, r2, r3]
        };
        let odd = xor(r1, r3);
        let all = xor(odd, xor(r0, r2));
        v[0] = xor(v[0], odd);
        v[1] = xor(v[1], xor(r2, r3));
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

/// P registers of each stream, from the same counters on.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn streams<const L: usize, const P: usize>(aes: [&Vaes512; L], counter: __m512i) -> [[__m512i; P]; L] {
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
    for (state, key) in state.iter_mut().zip(keys) {
        let key = broadcast(key[10].words());
        state.iter_mut().for_each(|s| *s = _mm512_aesenclast_epi128(*s, key));
    }
    state
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor<const P: usize>(mut a: [__m512i; P], b: [__m512i; P]) -> [__m512i; P] {
    a.iter_mut().zip(b).for_each(|(a, b)| *a = _mm512_xor_si512(*a, b));
    a
}
