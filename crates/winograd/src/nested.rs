//! `X ↦ L·X·Rᵀ` on many X at a time, one X a lane.

use crate::domain::Domain;
use crate::ratio::Ratio;

/// Lanes of one register block.
const BLOCK: usize = 16;

/// Xs that are transformed at a time: two transforms' worth of them stay in the first-level cache.
pub(crate) const LANES: usize = 2 * BLOCK;

/// One entry of each of [`LANES`] Xs.
pub(crate) type Lanes<W> = [[W; BLOCK]; LANES / BLOCK];

/// A row of a matrix by the cost of its entries: the zeros left out, and no product for 1 and −1.
struct Row<W> {
    plus: Vec<usize>,
    minus: Vec<usize>,
    times: Vec<(usize, W)>,
}

impl<W: Copy + Default> Row<W> {
    fn new<D: Domain<Word = W>>(domain: &D, row: &[Ratio]) -> Self {
        let mut sorted = Self { plus: Vec::new(), minus: Vec::new(), times: Vec::new() };
        for (j, &x) in row.iter().enumerate() {
            if x == Ratio::ONE {
                sorted.plus.push(j);
            } else if x == Ratio::from(-1) {
                sorted.minus.push(j);
            } else if x != Ratio::ZERO {
                sorted.times.push((j, domain.coefficient(x)));
            }
        }
        sorted
    }

    /// The row times the vectors `x[0], x[step], x[2·step], …`, lane by lane.
    #[inline(always)]
    fn apply<D: Domain<Word = W>>(&self, domain: &D, x: &[Lanes<W>], step: usize, out: &mut Lanes<W>) {
        for (b, out) in out.iter_mut().enumerate() {
            let mut sum = [W::default(); BLOCK];
            for &j in &self.plus {
                let x = &x[j * step][b];
                for n in 0..BLOCK {
                    sum[n] = domain.add(sum[n], x[n]);
                }
            }
            for &j in &self.minus {
                let x = &x[j * step][b];
                for n in 0..BLOCK {
                    sum[n] = domain.sub(sum[n], x[n]);
                }
            }
            for &(j, factor) in &self.times {
                let x = &x[j * step][b];
                for n in 0..BLOCK {
                    sum[n] = domain.multiply_add(sum[n], factor, x[n]);
                }
            }
            *out = sum;
        }
    }
}

/// The two matrices.
pub(crate) struct Nested<W> {
    left: Vec<Row<W>>,
    right: Vec<Row<W>>,
    right_cols: usize,
}

impl<W: Copy + Default> Nested<W> {
    pub(crate) fn new<D: Domain<Word = W>>(domain: &D, left: &[Vec<Ratio>], right: &[Vec<Ratio>]) -> Self {
        let right_cols = right.first().map_or(0, Vec::len);
        let rows = |matrix: &[Vec<Ratio>]| matrix.iter().map(|row| Row::new(domain, row)).collect();
        Self { left: rows(left), right: rows(right), right_cols }
    }

    /// Room for [`Nested::apply`].
    pub(crate) fn line(&self) -> Vec<Lanes<W>> {
        vec![Default::default(); self.right_cols]
    }

    /// Gives `each` the entries of L·X·Rᵀ row-major, canonical, with their index.
    #[inline(always)]
    pub(crate) fn apply<D: Domain<Word = W>>(
        &self,
        domain: &D,
        x: &[Lanes<W>],
        line: &mut [Lanes<W>],
        mut each: impl FnMut(usize, &[W; LANES]),
    ) {
        let mut entry = Lanes::default();
        let mut index = 0;
        for left in &self.left {
            for (j, line) in line.iter_mut().enumerate() {
                left.apply(domain, &x[j..], self.right_cols, line);
            }
            for right in &self.right {
                right.apply(domain, line, 1, &mut entry);
                for word in entry.as_flattened_mut() {
                    *word = domain.canonical(*word);
                }
                each(index, entry.as_flattened().try_into().expect("all lanes"));
                index += 1;
            }
        }
    }
}
