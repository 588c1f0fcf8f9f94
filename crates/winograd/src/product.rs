//! Matrix products, blocked for registers and threads.

use crate::domain::Domain;
use crate::plan::run_all;
use crate::vector::{Backend, Kernel};

/// Rows of one register block.
pub(crate) const ROWS: usize = 4;

/// Columns of one register block.
const COLS: usize = 16;

/// Columns of one that has few.
const HALF: usize = COLS / 2;

/// Rows that one thread takes at a time.
const PART: usize = 64;

/// At most so many columns go by inner products.
const FEW: usize = 4;

/// A product `out = u·v`, K × T.
pub(crate) struct Matrix<'a, W> {
    pub(crate) u: &'a [W],
    pub(crate) v: &'a [W],
    pub(crate) out: &'a mut [W],
}

/// Products of K × C by C × T matrices, T as they have it.
pub(crate) fn matrices<D: Domain>(
    backend: Backend,
    domain: &D,
    (rows, inner): (usize, usize),
    matrices: Vec<Matrix<D::Word>>,
) {
    let mut parts = Vec::new();
    for Matrix { u, v, out } in matrices {
        let cols = out.len() / rows.max(1);
        if cols > 0 && inner > 0 {
            let parts_of = u.chunks(PART * inner).zip(out.chunks_mut(PART * cols));
            parts.extend(parts_of.map(|(u, out)| Part { domain, inner, cols, u, v, out }));
        }
    }
    run_all(backend, parts);
}

struct Part<'a, D: Domain> {
    domain: &'a D,
    inner: usize,
    cols: usize,
    u: &'a [D::Word],
    v: &'a [D::Word],
    out: &'a mut [D::Word],
}

impl<D: Domain> Kernel for Part<'_, D> {
    #[inline(always)]
    fn run(mut self) {
        match self.cols {
            1 => self.few::<1>(),
            2 => self.few::<2>(),
            3 => self.few::<3>(),
            FEW => self.few::<FEW>(),
            _ => {
                let mut from = 0;
                while from < self.cols {
                    match self.cols - from {
                        ..=HALF => self.panel::<HALF>(from),
                        _ => self.panel::<COLS>(from),
                    }
                    from += COLS;
                }
            }
        }
    }
}

impl<D: Domain> Part<'_, D> {
    /// At most N columns from `from` on.
    #[inline(always)]
    fn panel<const N: usize>(&mut self, from: usize) {
        let to = self.cols.min(from + N);
        let mut panel = vec![[D::Word::default(); N]; self.inner];
        for (packed, v) in panel.iter_mut().zip(self.v.chunks_exact(self.cols)) {
            match v[from..].first_chunk() {
                Some(v) => *packed = *v,
                None => packed[..to - from].copy_from_slice(&v[from..]),
            }
        }
        let outs = self.out.chunks_mut(ROWS * self.cols);
        for (u, out) in self.u.chunks(ROWS * self.inner).zip(outs) {
            let store = |row: usize, sums: &[D::Word; N]| {
                let out = &mut out[row * self.cols..][from..to];
                match out.first_chunk_mut() {
                    Some(out) => *out = *sums,
                    None => out.copy_from_slice(&sums[..out.len()]),
                }
            };
            rows(self.domain, self.inner, u, panel.iter(), store);
        }
    }

    /// N columns: inner products, the terms by lanes.
    #[inline(always)]
    fn few<const N: usize>(&mut self) {
        const LANES: usize = 8;
        let mut columns = vec![D::Word::default(); N * self.inner];
        for (t, column) in columns.chunks_exact_mut(self.inner).enumerate() {
            for (word, v) in column.iter_mut().zip(self.v.chunks_exact(N)) {
                *word = v[t];
            }
        }
        let columns: [&[D::Word]; N] = std::array::from_fn(|t| &columns[t * self.inner..][..self.inner]);
        for (u, out) in self.u.chunks_exact(self.inner).zip(self.out.chunks_exact_mut(N)) {
            let mut sums = [[D::Word::default(); LANES]; N];
            let (chunks, rest) = u.as_chunks::<LANES>();
            for (i, u) in chunks.iter().enumerate() {
                for t in 0..N {
                    let v = &columns[t].as_chunks::<LANES>().0[i];
                    for n in 0..LANES {
                        sums[t][n] = self.domain.multiply_add(sums[t][n], u[n], v[n]);
                    }
                }
            }
            for t in 0..N {
                let sum = sums[t].iter().fold(D::Word::default(), |sum, &x| self.domain.add(sum, x));
                let rest = rest.iter().zip(&columns[t][chunks.len() * LANES..]);
                let sum = rest.fold(sum, |sum, (&u, &v)| self.domain.multiply_add(sum, u, v));
                out[t] = self.domain.canonical(sum);
            }
        }
    }
}

/// At most [`ROWS`] rows of `u` times N columns, whose i-th row is the i-th of `v`; each row of the product goes to `store`,
/// canonical.
#[inline(always)]
pub(crate) fn rows<'a, D: Domain, const N: usize>(
    domain: &D,
    inner: usize,
    u: &[D::Word],
    v: impl Iterator<Item = &'a [D::Word; N]> + Clone,
    mut store: impl FnMut(usize, &[D::Word; N]),
) where
    D::Word: 'a,
{
    match u.len() / inner {
        ROWS => block::<D, N, ROWS>(domain, inner, u, v, 0, &mut store),
        few => {
            for r in 0..few {
                block::<D, N, 1>(domain, inner, &u[r * inner..], v.clone(), r, &mut store);
            }
        }
    }
}

#[inline(always)]
fn block<'a, D: Domain, const N: usize, const R: usize>(
    domain: &D,
    inner: usize,
    u: &[D::Word],
    v: impl Iterator<Item = &'a [D::Word; N]>,
    first: usize,
    store: &mut impl FnMut(usize, &[D::Word; N]),
) where
    D::Word: 'a,
{
    let u: [&[D::Word]; R] = std::array::from_fn(|r| &u[r * inner..][..inner]);
    let mut sums = [[D::Word::default(); N]; R];
    for (i, v) in v.take(inner).enumerate() {
        for r in 0..R {
            let u = u[r][i];
            for n in 0..N {
                sums[r][n] = domain.multiply_add(sums[r][n], u, v[n]);
            }
        }
    }
    for (r, sums) in sums.iter_mut().enumerate() {
        for x in sums.iter_mut() {
            *x = domain.canonical(*x);
        }
        store(first + r, sums);
    }
}
