//! AES-NI: one block a register, eight in flight.
#![expect(unsafe_code, reason = "AES intrinsics, behind run-time detection")]

use super::{RoundKeys, Words, counter_runs};
use copriv_bits::Block;
use std::arch::x86_64::*;

/// An expanded key on a machine with AES-NI.
#[derive(Clone)]
pub(crate) struct AesNi(RoundKeys);

impl AesNi {
    /// The key, or `None` where the machine lacks the instructions.
    pub(super) fn new(key: Block) -> Option<Self> {
        let detected = is_x86_feature_detected!("aes") && is_x86_feature_detected!("sse2");
        // SAFETY: both features were just detected.
        detected.then(|| Self(unsafe { expand_key(key) }))
    }

    pub(crate) fn keys(&self) -> &RoundKeys {
        &self.0
    }

    pub(super) fn encrypt(&self, blocks: &mut [Words]) {
        // SAFETY: `new` detected AES-NI.
        unsafe { encrypt(&self.0, blocks) }
    }

    pub(super) fn counter(&self, first: u128, out: &mut [Words]) {
        // SAFETY: `new` detected AES-NI.
        counter_runs(first, out, |low, high, out| unsafe { counter(&self.0, low, high, out) });
    }
}

/// FIPS 197, section 5.2.
#[target_feature(enable = "aes,sse2")]
pub(super) fn expand_key(key: Block) -> RoundKeys {
    #[inline]
    #[target_feature(enable = "aes,sse2")]
    fn next<const RCON: i32>(key: __m128i) -> __m128i {
        let word = _mm_shuffle_epi32::<0xFF>(_mm_aeskeygenassist_si128::<RCON>(key));
        let key = _mm_xor_si128(key, _mm_slli_si128::<4>(key));
        let key = _mm_xor_si128(key, _mm_slli_si128::<8>(key));
        _mm_xor_si128(key, word)
    }
    let k0 = from_words(key.words());
    let k1 = next::<0x01>(k0);
    let k2 = next::<0x02>(k1);
    let k3 = next::<0x04>(k2);
    let k4 = next::<0x08>(k3);
    let k5 = next::<0x10>(k4);
    let k6 = next::<0x20>(k5);
    let k7 = next::<0x40>(k6);
    let k8 = next::<0x80>(k7);
    let k9 = next::<0x1B>(k8);
    let k10 = next::<0x36>(k9);
    RoundKeys([k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10].map(|k| to_block(k)))
}

#[target_feature(enable = "aes,sse2")]
fn encrypt(keys: &RoundKeys, blocks: &mut [Words]) {
    let keys = rounds(keys);
    for group in blocks.chunks_mut(8) {
        let mut state = [_mm_setzero_si128(); 8];
        state.iter_mut().zip(group.iter()).for_each(|(s, words)| *s = load(words));
        permute(keys, &mut state);
        state.iter().zip(group).for_each(|(s, words)| store(*s, words));
    }
}

#[target_feature(enable = "aes,sse2")]
fn counter(keys: &RoundKeys, low: u64, high: u64, out: &mut [Words]) {
    let (keys, mut next) = (rounds(keys), from_words([low, high]));
    for group in out.chunks_mut(8) {
        let mut state = [_mm_setzero_si128(); 8];
        for s in &mut state {
            *s = next;
            next = _mm_add_epi64(next, from_words([1, 0]));
        }
        permute(keys, &mut state);
        state.iter().zip(group).for_each(|(s, words)| store(*s, words));
    }
}

/// The first, the middle and the last round keys, the number of rounds hidden: sixteen registers hold eight
/// states and a key, and unrolled rounds would be scheduled block by block, one latency after the other.
#[inline]
pub(crate) fn rounds(keys: &RoundKeys) -> (&Words, &[Words], &Words) {
    let [first, middle @ .., last] = Block::as_words(&keys.0) else { unreachable!() };
    (first, std::hint::black_box(middle), last)
}

/// The cipher on each register.
#[inline]
#[target_feature(enable = "aes,sse2")]
pub(crate) fn permute((first, middle, last): (&Words, &[Words], &Words), state: &mut [__m128i; 8]) {
    state.iter_mut().for_each(|s| *s = _mm_xor_si128(*s, load(first)));
    for key in middle {
        state.iter_mut().for_each(|s| *s = _mm_aesenc_si128(*s, load(key)));
    }
    state.iter_mut().for_each(|s| *s = _mm_aesenclast_si128(*s, load(last)));
}

#[inline]
#[target_feature(enable = "sse2")]
fn to_block(x: __m128i) -> Block {
    let mut words = [0; 2];
    store(x, &mut words);
    Block::new(words[0], words[1])
}

#[inline]
#[target_feature(enable = "sse2")]
pub(crate) fn from_words(words: Words) -> __m128i {
    _mm_set_epi64x(words[1] as i64, words[0] as i64)
}

#[inline]
#[target_feature(enable = "sse2")]
pub(crate) fn load(words: &Words) -> __m128i {
    // SAFETY: 16 bytes to read.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
pub(crate) fn store(x: __m128i, words: &mut Words) {
    // SAFETY: 16 bytes to write.
    unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), x) }
}
