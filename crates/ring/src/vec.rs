use crate::Width;
use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use zeroize::Zeroize;

/// A vector over Z_{2^l}; every word is canonical. `Debug` shows the shape, never the words: it may be a share.
#[derive(Clone, PartialEq, Eq)]
pub struct RingVec {
    width: Width,
    words: Vec<u64>,
}

impl RingVec {
    /// `len` zeros.
    pub fn zeros(width: Width, len: usize) -> Self {
        Self { width, words: vec![0; len] }
    }

    /// The given words, each reduced mod 2^l.
    pub fn from_words(width: Width, mut words: Vec<u64>) -> Self {
        let mask = width.mask();
        words.iter_mut().for_each(|w| *w &= mask);
        Self { width, words }
    }

    /// The given integers in two's complement.
    pub fn from_signed(width: Width, values: &[i64]) -> Self {
        Self { width, words: values.iter().map(|&v| width.from_signed(v)).collect() }
    }

    /// The integers that the elements stand for.
    pub fn to_signed(&self) -> Vec<i64> {
        self.words.iter().map(|&w| self.width.to_signed(w)).collect()
    }

    /// l.
    pub fn width(&self) -> Width {
        self.width
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The canonical words.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The canonical words, owned.
    pub fn into_words(mut self) -> Vec<u64> {
        std::mem::take(&mut self.words)
    }

    /// Each element replaced by `f` of it, reduced; the result lies in `width`, which may differ.
    pub fn map(&self, width: Width, f: impl Fn(u64) -> u64) -> Self {
        let mask = width.mask();
        Self { width, words: self.words.iter().map(|&w| f(w) & mask).collect() }
    }

    /// The elements of `range`.
    ///
    /// # Panics
    /// When the range is outside the vector.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        Self { width: self.width, words: self.words[range].to_vec() }
    }

    /// Element i is element `index[i]` of this vector.
    ///
    /// # Panics
    /// When an index is outside the vector.
    pub fn gather(&self, index: impl IntoIterator<Item = usize>) -> Self {
        Self { width: self.width, words: index.into_iter().map(|i| self.words[i]).collect() }
    }

    /// Appends `other`.
    ///
    /// # Panics
    /// When the widths differ.
    pub fn extend(&mut self, other: &Self) {
        assert_eq!(self.width, other.width, "widths differ");
        self.words.extend_from_slice(&other.words);
    }

    /// Each element times the ring constant `factor`.
    pub fn scale(&self, factor: u64) -> Self {
        self.map(self.width, |w| w.wrapping_mul(factor))
    }

    /// Each element plus the ring constant `addend`.
    pub fn offset(&self, addend: u64) -> Self {
        self.map(self.width, |w| w.wrapping_add(addend))
    }

    /// Each element times 2^`shift` (0 when `shift` ≥ l).
    pub fn shl(&self, shift: u32) -> Self {
        self.map(self.width, |w| w.checked_shl(shift).unwrap_or(0))
    }

    /// Each word shifted right logically, into the ring of `width` bits.
    pub fn shr(&self, shift: u32, width: Width) -> Self {
        self.map(width, |w| w.checked_shr(shift).unwrap_or(0))
    }

    /// Each element reduced into the narrower ring, or its canonical word in the wider one.
    pub fn resize(&self, width: Width) -> Self {
        self.map(width, |w| w)
    }

    fn update(&mut self, other: &Self, f: impl Fn(u64, u64) -> u64) {
        assert_eq!(self.width, other.width, "widths differ");
        assert_eq!(self.len(), other.len(), "lengths differ");
        let mask = self.width.mask();
        self.words.iter_mut().zip(&other.words).for_each(|(a, &b)| *a = f(*a, b) & mask);
    }

    fn zip(&self, other: &Self, f: impl Fn(u64, u64) -> u64) -> Self {
        assert_eq!(self.width, other.width, "widths differ");
        assert_eq!(self.len(), other.len(), "lengths differ");
        let mask = self.width.mask();
        let words = self.words.iter().zip(&other.words).map(|(&a, &b)| f(a, b) & mask).collect();
        Self { width: self.width, words }
    }
}

impl fmt::Debug for RingVec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RingVec({} x {} bits)", self.len(), self.width)
    }
}

impl Drop for RingVec {
    /// Erases the words: they are mostly a share.
    fn drop(&mut self) {
        self.words.zeroize();
    }
}

impl Zeroize for RingVec {
    fn zeroize(&mut self) {
        self.words.zeroize();
    }
}

impl Add for &RingVec {
    type Output = RingVec;
    /// # Panics
    /// When widths or lengths differ.
    fn add(self, other: &RingVec) -> RingVec {
        self.zip(other, u64::wrapping_add)
    }
}

impl Sub for &RingVec {
    type Output = RingVec;
    /// # Panics
    /// When widths or lengths differ.
    fn sub(self, other: &RingVec) -> RingVec {
        self.zip(other, u64::wrapping_sub)
    }
}

impl Neg for &RingVec {
    type Output = RingVec;
    fn neg(self) -> RingVec {
        self.map(self.width, u64::wrapping_neg)
    }
}

impl AddAssign<&RingVec> for RingVec {
    fn add_assign(&mut self, other: &RingVec) {
        self.update(other, u64::wrapping_add);
    }
}

impl SubAssign<&RingVec> for RingVec {
    fn sub_assign(&mut self, other: &RingVec) {
        self.update(other, u64::wrapping_sub);
    }
}
