use crate::Aes128;
use copriv_bits::{BitVec, Block};
use copriv_ring::{RingVec, Width};
use rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;

/// AES-128-CTR from a 128-bit seed. Not `Clone`: the same stream twice is a mistake.
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

    /// The next block.
    pub fn block(&mut self) -> Block {
        let mut out = [Block::ZERO];
        self.fill(&mut out);
        out[0]
    }

    /// `len` uniform words.
    pub fn words(&mut self, len: usize) -> Vec<u64> {
        let mut blocks = vec![Block::ZERO; len.div_ceil(2)];
        self.fill(&mut blocks);
        blocks.iter().flat_map(|b| b.words()).take(len).collect()
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
        for chunk in out.chunks_mut(Block::BYTES) {
            chunk.copy_from_slice(&self.block().to_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Prg {}

impl std::fmt::Debug for Prg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prg(..)")
    }
}
