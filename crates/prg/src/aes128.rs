//! AES-128 (FIPS 197) on the fastest instructions of the machine, found when the key is expanded.

#[cfg(target_arch = "x86_64")]
pub(crate) mod aesni;
#[cfg(target_arch = "x86_64")]
pub(crate) mod vaes512;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use copriv_bits::Block;
use zeroize::ZeroizeOnDrop;

#[cfg(target_arch = "x86_64")]
use self::{aesni::AesNi, vaes512::Vaes512};

/// A block as its two words: what the kernels write, so that a slice of words is filled in place.
pub(crate) type Words = [u64; 2];

/// AES-128 with an expanded key. Constant time; the key is zeroized on drop.
#[derive(Clone)]
pub struct Aes128(pub(crate) Backend);

/// Every variant zeroizes its own key. An x86 variant exists only on a machine with its instructions.
#[derive(Clone)]
pub(crate) enum Backend {
    #[cfg(target_arch = "x86_64")]
    Vaes512(Vaes512),
    #[cfg(target_arch = "x86_64")]
    AesNi(AesNi),
    Portable(Portable),
}

/// The crate `aes`: fixsliced in software, or the instructions it finds itself. Boxed for its size.
#[derive(Clone)]
pub(crate) struct Portable(Box<aes::Aes128>);

impl Aes128 {
    /// Expands `key`.
    pub fn new(key: Block) -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(aes) = Vaes512::new(key) {
            return Self(Backend::Vaes512(aes));
        } else if let Some(aes) = AesNi::new(key) {
            return Self(Backend::AesNi(aes));
        }
        Self(Backend::Portable(Portable::new(key)))
    }

    /// `key` on every backend this machine has, the portable one last: for tests and benches.
    #[doc(hidden)]
    pub fn backends(key: Block) -> Vec<(&'static str, Self)> {
        let portable = Backend::Portable(Portable::new(key));
        #[cfg(target_arch = "x86_64")]
        let found = [
            Vaes512::new(key).map(|aes| ("vaes512", Self(Backend::Vaes512(aes)))),
            AesNi::new(key).map(|aes| ("aesni", Self(Backend::AesNi(aes)))),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let found: [Option<(&'static str, Self)>; 0] = [];
        found.into_iter().flatten().chain([("portable", Self(portable))]).collect()
    }

    /// Encrypts every block in place.
    pub fn encrypt(&self, blocks: &mut [Block]) {
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes512(aes) => aes.encrypt(Block::as_words_mut(blocks)),
            #[cfg(target_arch = "x86_64")]
            Backend::AesNi(aes) => aes.encrypt(Block::as_words_mut(blocks)),
            Backend::Portable(aes) => aes.encrypt(blocks),
        }
    }

    /// Counter mode: `out[i]` = AES(`first` + i).
    pub fn counter(&self, first: u128, out: &mut [Block]) {
        self.counter_words(first, Block::as_words_mut(out));
    }

    /// As [`Self::counter`], into the words of the blocks.
    pub(crate) fn counter_words(&self, first: u128, out: &mut [Words]) {
        match &self.0 {
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes512(aes) => aes.counter(first, out),
            #[cfg(target_arch = "x86_64")]
            Backend::AesNi(aes) => aes.counter(first, out),
            Backend::Portable(aes) => aes.counter(first, out),
        }
    }
}

impl ZeroizeOnDrop for Aes128 {}

impl std::fmt::Debug for Aes128 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Aes128(..)")
    }
}

impl Portable {
    fn new(key: Block) -> Self {
        Self(Box::new(aes::Aes128::new(&key.to_bytes().into())))
    }

    pub(crate) fn encrypt(&self, blocks: &mut [Block]) {
        let mut buffer = [aes::Block::default(); 64];
        for chunk in blocks.chunks_mut(buffer.len()) {
            let buffer = &mut buffer[..chunk.len()];
            for (b, block) in buffer.iter_mut().zip(chunk.iter()) {
                *b = block.to_bytes().into();
            }
            self.0.encrypt_blocks(buffer);
            for (b, block) in buffer.iter().zip(chunk) {
                *block = Block::from_bytes((*b).into());
            }
        }
    }

    fn counter(&self, first: u128, out: &mut [Words]) {
        let (mut buffer, mut counter) = ([Block::ZERO; 64], first);
        for chunk in out.chunks_mut(buffer.len()) {
            let buffer = &mut buffer[..chunk.len()];
            for block in buffer.iter_mut() {
                *block = counter.into();
                counter = counter.wrapping_add(1);
            }
            self.encrypt(buffer);
            chunk.copy_from_slice(Block::as_words(buffer));
        }
    }
}

/// The eleven round keys, zeroized on drop.
#[cfg(target_arch = "x86_64")]
#[derive(Clone)]
pub(crate) struct RoundKeys([Block; 11]);

#[cfg(target_arch = "x86_64")]
impl RoundKeys {
    #[inline]
    pub(crate) fn blocks(&self) -> &[Block; 11] {
        &self.0
    }
}

#[cfg(target_arch = "x86_64")]
impl Drop for RoundKeys {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// Splits counters `first`, `first` + 1, … for `out` into runs whose low word does not wrap: calls
/// `run(low, high, part)`.
#[cfg(target_arch = "x86_64")]
#[inline]
fn counter_runs(first: u128, out: &mut [Words], mut run: impl FnMut(u64, u64, &mut [Words])) {
    let (mut counter, mut rest) = (first, out);
    while !rest.is_empty() {
        let left = (1u128 << 64) - u128::from(counter as u64);
        let (part, after) = rest.split_at_mut(left.min(rest.len() as u128) as usize);
        run(counter as u64, (counter >> 64) as u64, part);
        counter = counter.wrapping_add(left);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(hex: &str) -> Block {
        let byte = |i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hex");
        Block::from_bytes(std::array::from_fn(byte))
    }

    #[test]
    fn fips_197_and_sp_800_38a() {
        let fips = (
            "000102030405060708090a0b0c0d0e0f",
            vec![("00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a")],
        );
        // F.1.1, and the cipher calls of F.5.1.
        let sp = (
            "2b7e151628aed2a6abf7158809cf4f3c",
            vec![
                ("6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"),
                ("ae2d8a571e03ac9c9eb76fac45af8e51", "f5d3d58503b9699de785895a96fdbaaf"),
                ("30c81c46a35ce411e5fbc1191a0a52ef", "43b1cd7f598ece23881b00e3ed030688"),
                ("f69f2445df4f9b17ad2b417be66c3710", "7b0c785e27e8ad3f8223207104725dd4"),
                ("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "ec8cdf7398607cb0f2d21675ea9ea1e4"),
                ("f0f1f2f3f4f5f6f7f8f9fafbfcfdff00", "362b7c3c6773516318a077d7fc5073ae"),
            ],
        );
        for (key, cases) in [fips, sp] {
            for (name, aes) in Aes128::backends(block(key)) {
                let mut blocks: Vec<Block> = cases.iter().map(|(plain, _)| block(plain)).collect();
                aes.encrypt(&mut blocks);
                let want: Vec<Block> = cases.iter().map(|(_, cipher)| block(cipher)).collect();
                assert!(blocks == want, "{name}");
            }
        }
    }

    proptest! {
        #[test]
        fn backends_agree(key: u128, first: u128, len in 0usize..150, blocks: Vec<u128>) {
            let blocks: Vec<Block> = blocks.into_iter().map(Block::from).collect();
            let run = |aes: &Aes128| {
                let (mut cipher, mut stream) = (blocks.clone(), vec![Block::ZERO; len]);
                aes.encrypt(&mut cipher);
                aes.counter(first, &mut stream);
                (cipher, stream)
            };
            let all = Aes128::backends(key.into());
            let want = run(&all[all.len() - 1].1);
            for (name, aes) in &all {
                prop_assert!(run(aes) == want, "{name}");
            }
        }
    }

    #[test]
    fn every_length_and_every_carry_of_the_counter() {
        let firsts = [0, 1, u64::MAX as u128 - 40, u128::MAX - 70, u128::MAX, u64::MAX as u128];
        for (name, aes) in Aes128::backends(Block::new(3, 4)) {
            for first in firsts {
                let one = |i: usize| {
                    let mut x = [Block::from(first.wrapping_add(i as u128))];
                    aes.encrypt(&mut x);
                    x[0]
                };
                let want: Vec<Block> = (0..100).map(one).collect();
                for len in 0..=100 {
                    let mut out = vec![Block::ZERO; len];
                    aes.counter(first, &mut out);
                    assert!(out == want[..len], "{name}, {len} from {first}");
                }
            }
        }
    }
}
