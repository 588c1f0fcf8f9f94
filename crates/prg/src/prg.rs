use crate::Aes128;
use copriv_bits::{BitVec, Block};
use copriv_ring::{RingVec, Width};
use rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// AES-128-CTR from a 128-bit seed. Not `Clone`: the same stream twice is a mistake. Every call starts at
/// a fresh block. Key and counter are zeroized on drop.
pub struct Prg {
    aes: Aes128,
    counter: u128,
}

impl Prg {
    /// The generator of `seed`.
    pub fn from_seed(seed: Block) -> Self {
        Self { aes: Aes128::new(seed), counter: 0 }
    }

    /// An independent generator, seeded from this one.
    pub fn child(&mut self) -> Self {
        Self::from_seed(self.block())
    }

    /// Fills `out` with the next blocks.
    pub fn fill(&mut self, out: &mut [Block]) {
        self.aes.counter(self.counter, out);
        self.counter += out.len() as u128;
    }

    /// Fills `out` with the next words; the second word of a last half block is dropped.
    pub fn fill_words(&mut self, out: &mut [u64]) {
        let (pairs, half) = out.as_chunks_mut();
        self.aes.counter_words(self.counter, pairs);
        self.counter += pairs.len() as u128;
        if let [last] = half {
            *last = self.block().low();
        }
    }

    /// The next block.
    pub fn block(&mut self) -> Block {
        let mut out = [Block::ZERO];
        self.fill(&mut out);
        out[0]
    }

    /// `len` uniform words.
    pub fn words(&mut self, len: usize) -> Vec<u64> {
        let mut words = vec![0; len];
        self.fill_words(&mut words);
        words
    }

    /// `len` uniform elements of Z_{2^l}.
    pub fn ring(&mut self, width: Width, len: usize) -> RingVec {
        RingVec::from_words(width, self.words(len))
    }

    /// `len` uniform bits.
    pub fn bits(&mut self, len: usize) -> BitVec {
        BitVec::from_words(self.words(len.div_ceil(64)), len)
    }
}

impl TryRng for Prg {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.block().low() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.block().low())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let mut buffer = [Block::ZERO; 64];
        for chunk in out.chunks_mut(size_of_val(&buffer)) {
            let blocks = &mut buffer[..chunk.len().div_ceil(Block::BYTES)];
            self.fill(blocks);
            for (bytes, block) in chunk.chunks_mut(Block::BYTES).zip(blocks) {
                bytes.copy_from_slice(&block.to_bytes()[..bytes.len()]);
            }
        }
        buffer.zeroize();
        Ok(())
    }
}

impl TryCryptoRng for Prg {}

impl Drop for Prg {
    fn drop(&mut self) {
        self.counter.zeroize();
    }
}

impl ZeroizeOnDrop for Prg {}

impl std::fmt::Debug for Prg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prg(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_core::Rng;

    proptest! {
        /// Blocks 0, 1, .. of the stream are AES(seed, 0), AES(seed, 1), ..; each call takes whole blocks.
        #[test]
        fn every_reader_reads_the_same_stream(seed: u128, lens in prop::collection::vec(0usize..150, 0..8)) {
            let (mut prg, aes, mut at) = (Prg::from_seed(seed.into()), Aes128::new(seed.into()), 0u128);
            let mut next = |blocks: usize| {
                let mut out = vec![Block::ZERO; blocks];
                aes.counter(at, &mut out);
                at += blocks as u128;
                out
            };
            for len in lens {
                let mut blocks = vec![Block::ZERO; len];
                prg.fill(&mut blocks);
                prop_assert_eq!(blocks, next(len));
                let want: Vec<u64> = next(len.div_ceil(2)).iter().flat_map(|b| b.words()).take(len).collect();
                prop_assert_eq!(prg.words(len), want);
                let width = Width::new(37).expect("a width");
                let want: Vec<u64> = next(len.div_ceil(2)).iter().flat_map(|b| b.words()).take(len).collect();
                prop_assert_eq!(prg.ring(width, len), RingVec::from_words(width, want));
                let want = next(len.div_ceil(128));
                let bits = prg.bits(len);
                prop_assert!((0..len).all(|i| bits.get(i) == want[i / 128].bit(i % 128)));
                let mut bytes = vec![0; 11 * len];
                prg.fill_bytes(&mut bytes);
                let want: Vec<u8> = next(bytes.len().div_ceil(16)).iter().flat_map(|b| b.to_bytes()).collect();
                prop_assert_eq!(&bytes[..], &want[..bytes.len()]);
                prop_assert_eq!(prg.next_u64(), next(1)[0].low());
                prop_assert_eq!(prg.next_u32(), next(1)[0].low() as u32);
                prop_assert_eq!(prg.child().block(), Prg::from_seed(next(1)[0]).block());
            }
        }
    }
}
