use copriv_bits::BitVec;

/// Cuts `all` into vectors of the given lengths.
pub(crate) fn split<const N: usize>(all: &BitVec, lens: [usize; N]) -> [BitVec; N] {
    let mut start = 0;
    lens.map(|len| {
        start += len;
        all.slice(start - len..start)
    })
}
