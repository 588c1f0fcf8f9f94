use copriv_bits::Block;
use copriv_prg::{Aes128, Prg};

/// Separates these generators from others with the same seed.
const DOMAIN: u64 = u64::from_be_bytes(*b"training");
/// Words drawn at a time: what the augmentation of a picture mostly takes.
const WORDS: usize = 16;

/// Uniform numbers, the same on every machine. A generator belongs to a seed and a path, such as the
/// epoch and the number of a picture, so that what is drawn for one picture does not depend on what is done
/// before it, or by which thread.
#[derive(Debug)]
pub struct Draw {
    prg: Prg,
    words: [u64; WORDS],
    used: usize,
}

impl Draw {
    /// The generator of `seed` at `path`: each step of the path is one block of AES in counter mode, which is the key
    /// of the next. Paths of which one begins with another must not be used together.
    pub fn new(seed: u64, path: &[u64]) -> Self {
        let key = path.iter().fold(Block::new(seed, DOMAIN), |key, &step| {
            let mut next = [Block::ZERO];
            Aes128::new(key).counter(step.into(), &mut next);
            next[0]
        });
        Self { prg: Prg::from_seed(key), words: [0; WORDS], used: WORDS }
    }

    fn word(&mut self) -> u64 {
        if self.used == WORDS {
            self.prg.fill_words(&mut self.words);
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// A uniform integer below `n`, without bias.
    ///
    /// # Panics
    /// When `n` is 0.
    ///
    /// # Reference
    /// Lemire: Fast random integer generation in an interval (TOMACS 2019), algorithm 5.
    pub fn below(&mut self, n: usize) -> usize {
        assert_ne!(n, 0, "no integer is below 0");
        let n = n as u64;
        let mut product = u128::from(self.word()) * u128::from(n);
        if (product as u64) < n {
            // 2^64 mod n of the low words would come once more than the others.
            let biased = n.wrapping_neg() % n;
            while (product as u64) < biased {
                product = u128::from(self.word()) * u128::from(n);
            }
        }
        (product >> 64) as usize
    }

    /// A uniform multiple of 2^-53 in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A normal number of mean 0 and variance 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        // 1 − u is not 0.
        let (radius, angle) = ((-2.0 * (1.0 - self.unit()).ln()).sqrt(), std::f64::consts::TAU * self.unit());
        radius * angle.cos()
    }

    /// A uniform permutation of `items` (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
