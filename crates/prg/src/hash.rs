//! The hash H(x, t) = π(σ(x) ⊕ t) ⊕ σ(x) with π AES-128 under a fixed public key and σ(L ‖ R) = (L ⊕ R) ‖ L: the circular
//! correlation-robust hash of Guo, Katz, Wang, Weng and Yu, "Efficient and Secure Multiparty Computation from Fixed-Key
//! Block Ciphers" (ePrint 2019/074, section 7.3), with a tweak added to its input. In each function the tweak counts the x's
//! from `first`, modulo 2^64; a caller never uses a tweak twice.
//!
//! # Security
//! In the ideal-permutation model, for x that are pseudorandom and that no party can choose, and tweaks that never repeat
//! under one Δ: H(x ⊕ Δ, t) looks random but with probability about Q·T / 2^128, for Q pads under that Δ and T offline
//! evaluations of AES by the attacker. So many pads cost security: after 2^33 pads, an attack of 2^95 evaluations is not
//! excluded. It is *not* tweakable correlation robust for x of an attacker's choice; that is the two-call construction
//! of section 7.4, which a backend whose peer can bias its outputs has to use.

#[cfg(target_arch = "x86_64")]
pub(crate) mod aesni;
#[cfg(target_arch = "x86_64")]
pub(crate) mod vaes512;

use crate::Aes128;
use crate::aes128::Backend;
use copriv_bits::Block;
use std::sync::LazyLock;

/// The public key of the fixed permutation π: the first 16 bytes of SHA-256("copriv fixed-key AES").
const FIXED_KEY: Block = Block::new(0xBE64_714B_3ED5_5251, 0xF775_2021_CC69_43B3);

static FIXED: LazyLock<Hasher> = LazyLock::new(|| Hasher(Aes128::new(FIXED_KEY)));

/// Replaces `x[i]` by H(`x[i]`, `first` + i).
pub fn hash(x: &mut [Block], first: u64) {
    FIXED.hash(x, first);
}

/// `per` blocks of hash from each x: `out[i * per + j]` = H(`x[i]`, (`first` + i) ‖ j).
/// With `per` = 1 this is [`hash`].
///
/// # Panics
/// When `out` does not have `x.len() * per` blocks.
pub fn expand(x: &[Block], first: u64, per: usize, out: &mut [Block]) {
    FIXED.expand(x, first, per, out);
}

/// The pads of both messages of an OT: `out0[i]` = H(`q[i]`, `first` + i) and
/// `out1[i]` = H(`q[i]` ⊕ `delta`, `first` + i).
///
/// # Panics
/// When `out0` or `out1` is not as long as `q`.
pub fn hash_pair(q: &[Block], delta: Block, first: u64, out0: &mut [Block], out1: &mut [Block]) {
    FIXED.hash_pair(q, delta, first, out0, out1);
}

/// The pads of all messages of a 1-of-N OT: `out[i * N + j]` = H(`x[i]` ⊕ `offsets[j]`, `first` + i),
/// N = `offsets.len()`.
///
/// # Panics
/// When `out` does not have `x.len() * offsets.len()` blocks.
pub fn hash_many(x: &[Block], offsets: &[Block], first: u64, out: &mut [Block]) {
    FIXED.hash_many(x, offsets, first, out);
}

/// The hash on a backend.
#[doc(hidden)]
pub struct Hasher(Aes128);

impl Hasher {
    /// Every backend this machine has, the portable one last: for tests and benches.
    pub fn backends() -> Vec<(&'static str, Self)> {
        Aes128::backends(FIXED_KEY).into_iter().map(|(name, aes)| (name, Self(aes))).collect()
    }

    /// [`hash`].
    pub fn hash(&self, x: &mut [Block], first: u64) {
        match &self.0.0 {
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes512(aes) => aes.hash(x, first),
            #[cfg(target_arch = "x86_64")]
            Backend::AesNi(aes) => aes.hash(x, first),
            Backend::Portable(_) => {
                let mut copy = [Block::ZERO; 64];
                let mut tweak = first;
                for chunk in x.chunks_mut(copy.len()) {
                    copy[..chunk.len()].copy_from_slice(chunk);
                    self.define(chunk, |i| (copy[i], Block::new(0, tweak.wrapping_add(i as u64))));
                    tweak = tweak.wrapping_add(chunk.len() as u64);
                }
            }
        }
    }

    /// [`expand`].
    pub fn expand(&self, x: &[Block], first: u64, per: usize, out: &mut [Block]) {
        assert_eq!(out.len(), x.len() * per, "one pad of `per` blocks for each x");
        match &self.0.0 {
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes512(aes) => aes.expand(x, first, per, out),
            #[cfg(target_arch = "x86_64")]
            Backend::AesNi(aes) => aes.expand(x, first, per, out),
            Backend::Portable(_) => self.define(out, |o| {
                let (i, j) = (o / per, o % per);
                (x[i], Block::new(j as u64, first.wrapping_add(i as u64)))
            }),
        }
    }

    /// [`hash_pair`].
    pub fn hash_pair(&self, q: &[Block], delta: Block, first: u64, out0: &mut [Block], out1: &mut [Block]) {
        assert!(out0.len() == q.len() && out1.len() == q.len(), "two pads for each q");
        match &self.0.0 {
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes512(aes) => aes.hash_pair(q, delta, first, out0, out1),
            #[cfg(target_arch = "x86_64")]
            Backend::AesNi(aes) => aes.hash_pair(q, delta, first, out0, out1),
            Backend::Portable(_) => {
                for (offset, out) in [(Block::ZERO, out0), (delta, out1)] {
                    self.define(out, |i| (q[i] ^ offset, Block::new(0, first.wrapping_add(i as u64))));
                }
            }
        }
    }

    /// [`hash_many`].
    pub fn hash_many(&self, x: &[Block], offsets: &[Block], first: u64, out: &mut [Block]) {
        assert_eq!(out.len(), x.len() * offsets.len(), "one pad for each x and offset");
        match &self.0.0 {
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes512(aes) => aes.hash_many(x, offsets, first, out),
            #[cfg(target_arch = "x86_64")]
            Backend::AesNi(aes) => aes.hash_many(x, offsets, first, out),
            Backend::Portable(_) => self.define(out, |o| {
                let (i, j) = (o / offsets.len(), o % offsets.len());
                (x[i] ^ offsets[j], Block::new(0, first.wrapping_add(i as u64)))
            }),
        }
    }

    /// The definition: `out[o]` = π(σ(x) ⊕ t) ⊕ σ(x) with (x, t) = `input(o)`.
    fn define(&self, out: &mut [Block], input: impl Fn(usize) -> (Block, Block)) {
        let mut sigma = [Block::ZERO; 64];
        for (c, out) in out.chunks_mut(sigma.len()).enumerate() {
            for (i, (out, sigma)) in out.iter_mut().zip(&mut sigma).enumerate() {
                let (x, tweak) = input(64 * c + i);
                *sigma = x.sigma();
                *out = *sigma ^ tweak;
            }
            self.0.encrypt(out);
            out.iter_mut().zip(&sigma).for_each(|(out, sigma)| *out ^= *sigma);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    /// H by the formula.
    fn h(x: Block, tweak: Block) -> Block {
        let mut y = [x.sigma() ^ tweak];
        Aes128::new(FIXED_KEY).encrypt(&mut y);
        y[0] ^ x.sigma()
    }

    fn blocks(len: usize, seed: u64) -> Vec<Block> {
        let mut out = vec![Block::ZERO; len];
        Aes128::new(Block::new(seed, 7)).counter(0, &mut out);
        out
    }

    fn check(n: usize, per: usize, first: u64) {
        let (x, offsets) = (blocks(n, 1), blocks(per, 2));
        let tweak = |i: usize| Block::new(0, first.wrapping_add(i as u64));
        let all = |f: &dyn Fn(usize, usize) -> Block| -> Vec<Block> {
            (0..n * per).map(|o| f(o / per, o % per)).collect()
        };
        let hashed: Vec<Block> = (0..n).map(|i| h(x[i], tweak(i))).collect();
        let expanded = all(&|i, j| h(x[i], tweak(i) ^ Block::new(j as u64, 0)));
        let many = all(&|i, j| h(x[i] ^ offsets[j], tweak(i)));
        let delta = Block::new(0x1234_5678_9ABC_DEF0, 0x0FED_CBA9_8765_4321);
        let shifted: Vec<Block> = (0..n).map(|i| h(x[i] ^ delta, tweak(i))).collect();
        for (name, hasher) in Hasher::backends() {
            let mut out = x.clone();
            hasher.hash(&mut out, first);
            assert!(out == hashed, "{name}: hash of {n}");
            let mut out = vec![Block::ZERO; n * per];
            hasher.expand(&x, first, per, &mut out);
            assert!(out == expanded, "{name}: expand {n} by {per}");
            hasher.hash_many(&x, &offsets, first, &mut out);
            assert!(out == many, "{name}: hash_many {n} by {per}");
            let (mut out0, mut out1) = (x.clone(), x.clone());
            hasher.hash_pair(&x, delta, first, &mut out0, &mut out1);
            assert!(out0 == hashed && out1 == shifted, "{name}: hash_pair of {n}");
        }
    }

    #[test]
    fn every_small_shape() {
        for per in 0..=40 {
            for n in 0..=20 {
                check(n, per, 5);
            }
        }
        for n in 0..=140 {
            check(n, 1, u64::MAX - 60);
            check(n, 2, u64::MAX);
            check(n, 3, 0);
        }
        check(3, 600, 9);
    }

    proptest! {
        #[test]
        fn every_backend_is_the_definition(n in 0usize..40, per in 0usize..80, first: u64) {
            check(n, per, first);
        }
    }

    #[test]
    fn the_key_has_nothing_up_its_sleeve() {
        assert_eq!(Sha256::digest(b"copriv fixed-key AES")[..16], FIXED_KEY.to_bytes());
    }

    /// Computed with OpenSSL's AES.
    #[test]
    fn golden() {
        let mut x = [Block::ZERO, Block::new(1, 2)];
        hash(&mut x, 3);
        let want = [0xC909_6764_E053_652E_C325_6666_C894_AF50, 0xD98F_A44A_34EB_DAE3_BB0A_DE8E_22B9_BF23];
        assert_eq!(x.map(u128::from), want);
    }
}
