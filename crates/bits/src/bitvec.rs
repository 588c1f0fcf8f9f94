use std::fmt;
use std::ops::{BitAnd, BitXor, BitXorAssign, Not, Range};
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
        Self::from_plane(values, |&value| value)
    }

    /// Bit i of the vector is bit 0 of `word(&values[i])`.
    pub fn from_plane<T>(values: &[T], word: impl Fn(&T) -> u64) -> Self {
        let (chunks, rest) = values.as_chunks::<64>();
        let mut words: Vec<u64> = Vec::with_capacity(values.len().div_ceil(64));
        words.extend(chunks.iter().map(|chunk| pack(|i| word(&chunk[i]))));
        if !rest.is_empty() {
            words.push(pack(|i| rest.get(i).map_or(0, &word)));
        }
        Self { words, len: values.len() }
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
    #[inline]
    pub fn get(&self, i: usize) -> bool {
        self.bit(i) == 1
    }

    /// Bit `i` as 0 or 1, for branch-free arithmetic.
    ///
    /// # Panics
    /// When `i` is not below `len`.
    #[inline]
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

    /// Sets the bits of `range` to zero.
    ///
    /// # Panics
    /// When the range is not within the vector.
    pub fn clear(&mut self, range: Range<usize>) {
        assert!(range.start <= range.end && range.end <= self.len, "bit range out of range");
        let Range { start, end } = range;
        for w in start / 64..end.div_ceil(64) {
            let from = start.saturating_sub(64 * w);
            let to = (end - 64 * w).min(64);
            if from < to {
                self.words[w] &= !(u64::MAX >> (64 - (to - from)) << from);
            }
        }
    }

    /// The bits in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = bool> + '_ {
        (0..self.len).map(|i| self.words[i / 64] >> (i % 64) & 1 == 1)
    }

    /// The bits in order, as words 0 or 1.
    pub fn to_lsb(&self) -> Vec<u64> {
        let mut out = vec![0; self.len];
        for (chunk, &word) in out.chunks_mut(64).zip(&self.words) {
            match chunk.as_mut_array() {
                Some(chunk) => unpack(word, chunk),
                None => chunk.iter_mut().enumerate().for_each(|(i, bit)| *bit = word >> i & 1),
            }
        }
        out
    }

    /// The packed words.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Bits `range` as a vector of their own.
    ///
    /// # Panics
    /// When the range is outside the vector.
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len, "bit range out of range");
        let len = range.end - range.start;
        let (words, shift) = (&self.words[range.start / 64..range.end.div_ceil(64)], range.start % 64);
        if shift == 0 {
            return Self::from_words(words[..len.div_ceil(64)].to_vec(), len);
        }
        let mut out = Vec::with_capacity(words.len());
        out.extend(words.windows(2).map(|pair| pair[0] >> shift | pair[1] << (64 - shift)));
        out.extend(words.last().map(|last| last >> shift));
        out.truncate(len.div_ceil(64));
        Self::from_words(out, len)
    }

    /// Appends the bits of `other`.
    pub fn extend(&mut self, other: &Self) {
        let shift = self.len % 64;
        self.len += other.len;
        if shift == 0 {
            self.words.extend_from_slice(&other.words);
            return;
        }
        let (Some(last), Some(first)) = (self.words.last_mut(), other.words.first()) else { return };
        *last |= first << shift;
        self.words.extend(other.words.windows(2).map(|pair| pair[0] >> (64 - shift) | pair[1] << shift));
        self.words.extend(other.words.last().map(|last| last >> (64 - shift)));
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

/// Bit i is bit 0 of `word(i)`: halves are folded together, in steps that a compiler vectorises.
#[inline]
fn pack(word: impl Fn(usize) -> u64) -> u64 {
    let mut fold: [u64; 32] = std::array::from_fn(|i| word(i) & 1 | (word(i + 32) & 1) << 32);
    for half in [16, 8, 4, 2, 1] {
        let (low, high) = fold.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(low, high)| *low |= *high << half);
    }
    fold[0]
}

/// `bits[i]` is bit i of `word`.
fn unpack(word: u64, bits: &mut [u64; 64]) {
    for (i, bit) in bits.iter_mut().enumerate() {
        *bit = word >> i & 1;
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

impl Drop for BitVec {
    /// Erases the bits: they are mostly a share.
    fn drop(&mut self) {
        self.words.zeroize();
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
        assert_eq!(self.len, other.len, "lengths differ");
        self.words.iter_mut().zip(&other.words).for_each(|(a, b)| *a ^= b);
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
    use proptest::prelude::*;

    fn bits() -> impl Strategy<Value = Vec<bool>> {
        prop::collection::vec(any::<bool>(), 0..300)
    }

    fn from_bools(bits: &[bool]) -> BitVec {
        BitVec::from_fn(bits.len(), |i| bits[i])
    }

    fn to_bools(bits: &BitVec) -> Vec<bool> {
        assert_eq!(bits.words().len(), bits.len().div_ceil(64));
        assert!(bits.words().last().is_none_or(|last| last & !tail_mask(bits.len()) == 0));
        bits.iter().collect()
    }

    proptest! {
        #[test]
        fn is_a_vector_of_bits(a in bits(), b in bits(), cut in any::<prop::sample::Index>()) {
            let (x, y) = (from_bools(&a), from_bools(&b));
            prop_assert_eq!(to_bools(&x), &a[..]);
            let cut = cut.index(a.len() + 1);
            prop_assert_eq!(to_bools(&x.slice(cut..a.len())), &a[cut..]);
            prop_assert_eq!(to_bools(&x.slice(0..cut)), &a[..cut]);
            prop_assert_eq!(to_bools(&x.slice(cut / 2..cut)), &a[cut / 2..cut]);
            prop_assert_eq!(to_bools(&BitVec::concat([&x, &y, &x])), [&a[..], &b, &a].concat());
            let mut cleared = x.clone();
            cleared.clear(cut / 2..cut);
            prop_assert_eq!(to_bools(&cleared), [&a[..cut / 2], &vec![false; cut - cut / 2], &a[cut..]].concat());
            prop_assert_eq!(to_bools(&!&x), a.iter().map(|bit| !bit).collect::<Vec<_>>());
            prop_assert_eq!(x.to_lsb(), a.iter().map(|&bit| u64::from(bit)).collect::<Vec<_>>());
        }

        #[test]
        fn from_lsb_ignores_the_other_bits(values in prop::collection::vec(any::<u64>(), 0..300)) {
            let want: Vec<bool> = values.iter().map(|v| v & 1 == 1).collect();
            prop_assert_eq!(to_bools(&BitVec::from_lsb(&values)), want);
        }
    }

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
