use std::fmt;
use std::ops::{BitAnd, BitXor, BitXorAssign, Not};
use zeroize::Zeroize;

/// A vector of bits packed into words, low bit first; the bits past `len` in the last word are zero.
/// `Debug` shows the length only: it may be a share.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BitVec {
    words: Vec<u64>,
    len: usize,
}

impl BitVec {
    /// `len` zero bits.
    pub fn zeros(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len }
    }

    /// Bit i is `f(i)`.
    pub fn from_fn(len: usize, mut f: impl FnMut(usize) -> bool) -> Self {
        let words = (0..len.div_ceil(64)).map(|w| {
            let bits = (len - 64 * w).min(64);
            (0..bits).fold(0, |word, i| word | u64::from(f(64 * w + i)) << i)
        });
        Self { words: words.collect(), len }
    }

    /// The first `len` bits of `words`; bits past `len` are cleared.
    ///
    /// # Panics
    /// When there are not exactly ceil(len / 64) words.
    pub fn from_words(mut words: Vec<u64>, len: usize) -> Self {
        assert_eq!(words.len(), len.div_ceil(64), "a bit vector has ceil(len / 64) words");
        if let Some(last) = words.last_mut() {
            *last &= tail_mask(len);
        }
        Self { words, len }
    }

    /// Bit i of the vector is bit 0 of `values[i]`.
    pub fn from_lsb(values: &[u64]) -> Self {
        let words = values.chunks(64).map(|chunk| chunk.iter().rev().fold(0, |word, v| word << 1 | (v & 1)));
        Self { words: words.collect(), len: values.len() }
    }

    /// The number of bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no bit.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bit `i`.
    ///
    /// # Panics
    /// When `i` is not below `len`.
    pub fn get(&self, i: usize) -> bool {
        self.bit(i) == 1
    }

    /// Bit `i` as 0 or 1, for branch-free arithmetic.
    ///
    /// # Panics
    /// When `i` is not below `len`.
    pub fn bit(&self, i: usize) -> u64 {
        assert!(i < self.len, "bit index out of range");
        self.words[i / 64] >> (i % 64) & 1
    }

    /// Sets bit `i`.
    ///
    /// # Panics
    /// When `i` is not below `len`.
    pub fn set(&mut self, i: usize, value: bool) {
        assert!(i < self.len, "bit index out of range");
        let word = &mut self.words[i / 64];
        *word = *word & !(1 << (i % 64)) | u64::from(value) << (i % 64);
    }

    /// The bits in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = bool> + '_ {
        (0..self.len).map(|i| self.words[i / 64] >> (i % 64) & 1 == 1)
    }

    /// The bits in order, as words 0 or 1.
    pub fn to_lsb(&self) -> Vec<u64> {
        (0..self.len).map(|i| self.words[i / 64] >> (i % 64) & 1).collect()
    }

    /// The packed words.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Bits `range` as a vector of their own.
    ///
    /// # Panics
    /// When the range is outside the vector.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len, "bit range out of range");
        let (first, shift) = (range.start / 64, range.start % 64);
        let len = range.end - range.start;
        let word = |i: usize| self.words.get(i).copied().unwrap_or(0);
        let words = (first..first + len.div_ceil(64)).map(|i| match shift {
            0 => word(i),
            _ => word(i) >> shift | word(i + 1) << (64 - shift),
        });
        Self::from_words(words.collect(), len)
    }

    /// Appends the bits of `other`.
    pub fn extend(&mut self, other: &Self) {
        let shift = self.len % 64;
        self.len += other.len;
        if shift == 0 {
            self.words.extend_from_slice(&other.words);
            return;
        }
        for &word in &other.words {
            if let Some(last) = self.words.last_mut() {
                *last |= word << shift;
            }
            self.words.push(word >> (64 - shift));
        }
        self.words.truncate(self.len.div_ceil(64));
    }

    /// The concatenation of `parts`.
    pub fn concat<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        parts.into_iter().for_each(|part| all.extend(part));
        all
    }

    fn zip(&self, other: &Self, f: impl Fn(u64, u64) -> u64) -> Self {
        assert_eq!(self.len, other.len, "lengths differ");
        Self { words: self.words.iter().zip(&other.words).map(|(&a, &b)| f(a, b)).collect(), len: self.len }
    }
}

fn tail_mask(len: usize) -> u64 {
    u64::MAX >> ((64 - len % 64) % 64)
}

impl fmt::Debug for BitVec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BitVec({} bits)", self.len)
    }
}

impl Zeroize for BitVec {
    fn zeroize(&mut self) {
        self.words.zeroize();
    }
}

impl BitXor for &BitVec {
    type Output = BitVec;
    /// # Panics
    /// When the lengths differ.
    fn bitxor(self, other: &BitVec) -> BitVec {
        self.zip(other, |a, b| a ^ b)
    }
}

impl BitAnd for &BitVec {
    type Output = BitVec;
    /// # Panics
    /// When the lengths differ.
    fn bitand(self, other: &BitVec) -> BitVec {
        self.zip(other, |a, b| a & b)
    }
}

impl BitXorAssign<&BitVec> for BitVec {
    fn bitxor_assign(&mut self, other: &BitVec) {
        *self = &*self ^ other;
    }
}

impl Not for &BitVec {
    type Output = BitVec;
    fn not(self) -> BitVec {
        BitVec::from_words(self.words.iter().map(|w| !w).collect(), self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_and_concatenations_agree_with_the_bits() {
        let bit = |i: usize| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60 & 1 == 1;
        let all = BitVec::from_fn(300, bit);
        for cut in [0, 1, 63, 64, 65, 128, 200, 299, 300] {
            let (a, b) = (all.slice(0..cut), all.slice(cut..300));
            assert!(b.iter().enumerate().all(|(i, x)| x == bit(cut + i)));
            assert_eq!(BitVec::concat([&a, &b]), all);
        }
        assert_eq!(BitVec::from_lsb(&all.to_lsb()), all);
        assert_eq!(&!&all ^ &all, BitVec::from_fn(300, |_| true));
    }
}
