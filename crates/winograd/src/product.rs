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
            ..=FEW => self.few(),
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

    /// Few columns: inner products.
    #[inline(always)]
    fn few(&mut self) {
        let mut columns = vec![D::Word::default(); self.cols * self.inner];
        for (t, column) in columns.chunks_exact_mut(self.inner).enumerate() {
            for (word, v) in column.iter_mut().zip(self.v.chunks_exact(self.cols)) {
                *word = v[t];
            }
        }
        for (u, out) in self.u.chunks_exact(self.inner).zip(self.out.chunks_exact_mut(self.cols)) {
            for (column, out) in columns.chunks_exact(self.inner).zip(out) {
                *out = self.domain.canonical(self.domain.inner_product(u, column));
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
    let mut give = |row: usize, mut sums: [D::Word; N]| {
        for x in &mut sums {
            *x = domain.canonical(*x);
        }
        store(row, &sums);
    };
    if u.len() == ROWS * inner {
        let u: [&[D::Word]; ROWS] = std::array::from_fn(|r| &u[r * inner..][..inner]);
        // One array a row, not an array of them: so they stay in registers.
        let (mut s0, mut s1) = ([D::Word::default(); N], [D::Word::default(); N]);
        let (mut s2, mut s3) = ([D::Word::default(); N], [D::Word::default(); N]);
        for (i, v) in v.take(inner).enumerate() {
            add_multiple(domain, &mut s0, u[0][i], v);
            add_multiple(domain, &mut s1, u[1][i], v);
            add_multiple(domain, &mut s2, u[2][i], v);
            add_multiple(domain, &mut s3, u[3][i], v);
        }
        give(0, s0);
        give(1, s1);
        give(2, s2);
        give(3, s3);
    } else {
        for (row, u) in u.chunks_exact(inner).enumerate() {
            let mut sums = [D::Word::default(); N];
            for (&u, v) in u.iter().zip(v.clone()) {
                add_multiple(domain, &mut sums, u, v);
            }
            give(row, sums);
        }
    }
}

/// `sums[n] += u·v[n]`.
#[inline(always)]
fn add_multiple<D: Domain, const N: usize>(
    domain: &D,
    sums: &mut [D::Word; N],
    u: D::Word,
    v: &[D::Word; N],
) {
    for n in 0..N {
        sums[n] = domain.multiply_add(sums[n], u, v[n]);
    }
}
