//! The product in the clear, of a party's own matrices.

/// `out[r] += w[r]·x` for each of the rows of `out`, mod 2^64.
pub(crate) fn add_outer(w: &[u64], x: &[u64], out: &mut [u64]) {
    for (w, out) in w.iter().zip(out.chunks_exact_mut(x.len())) {
        out.iter_mut().zip(x).for_each(|(y, x)| *y = y.wrapping_add(w.wrapping_mul(*x)));
    }
}
