use crate::{RingVec, Width};

/// A dense row-major matrix over Z_{2^l}.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RingMatrix {
    rows: usize,
    cols: usize,
    data: RingVec,
}

impl RingMatrix {
    /// The `rows` x `cols` matrix with the given row-major elements.
    ///
    /// # Panics
    /// When the number of elements is not `rows * cols`.
    pub fn new(rows: usize, cols: usize, data: RingVec) -> Self {
        assert_eq!(data.len(), rows * cols, "a matrix has rows * cols elements");
        Self { rows, cols, data }
    }

    /// The `rows` x `cols` matrix of zeros.
    pub fn zeros(width: Width, rows: usize, cols: usize) -> Self {
        Self::new(rows, cols, RingVec::zeros(width, rows * cols))
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// l.
    pub fn width(&self) -> Width {
        self.data.width()
    }

    /// The row-major elements.
    pub fn data(&self) -> &RingVec {
        &self.data
    }

    /// The row-major elements, owned.
    pub fn into_data(self) -> RingVec {
        self.data
    }

    /// Row `r`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, r: usize) -> &[u64] {
        &self.data.words()[r * self.cols..][..self.cols]
    }

    /// The transposed matrix.
    pub fn transposed(&self) -> Self {
        let words = self.data.words();
        let index = (0..self.cols).flat_map(|c| (0..self.rows).map(move |r| r * self.cols + c));
        let data = RingVec::from_words(self.width(), index.map(|i| words[i]).collect());
        Self::new(self.cols, self.rows, data)
    }

    /// The matrix product `self * other`, mod 2^l.
    ///
    /// # Panics
    /// When the inner dimensions or the widths differ.
    pub fn product(&self, other: &Self) -> Self {
        assert_eq!(self.cols, other.rows, "inner dimensions differ");
        assert_eq!(self.width(), other.width(), "widths differ");
        let mut out = vec![0u64; self.rows * other.cols];
        // Row by row, so that the innermost loop runs along contiguous rows of both `other` and the result.
        for r in 0..self.rows {
            let out_row = &mut out[r * other.cols..][..other.cols];
            for (c, &w) in self.row(r).iter().enumerate() {
                for (o, &x) in out_row.iter_mut().zip(other.row(c)) {
                    *o = o.wrapping_add(w.wrapping_mul(x));
                }
            }
        }
        Self::new(self.rows, other.cols, RingVec::from_words(self.width(), out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_is_the_definition() {
        let w = Width::of(41);
        let a = RingMatrix::new(2, 3, RingVec::from_signed(w, &[1, -2, 3, 0, 5, -(1 << 40)]));
        let b = RingMatrix::new(3, 1, RingVec::from_signed(w, &[7, -1, 1]));
        assert_eq!(a.product(&b).into_data().to_signed(), [12, -(1 << 40) - 5 + (1 << 41)]);
        assert_eq!(b.transposed().product(&a.transposed()), a.product(&b).transposed());
    }
}
