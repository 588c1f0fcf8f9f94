use copriv_bits::BitVec;

/// Bit 0 of `f` of each value.
pub(crate) fn plane<T>(values: &[T], f: impl Fn(&T) -> u64) -> BitVec {
    let word = |chunk: &[T]| chunk.iter().rev().fold(0, |word, x| word << 1 | f(x) & 1);
    BitVec::from_words(values.chunks(64).map(word).collect(), values.len())
}

/// Cuts `all` into vectors of the given lengths.
pub(crate) fn split<const N: usize>(all: &BitVec, lens: [usize; N]) -> [BitVec; N] {
    let mut start = 0;
    lens.map(|len| {
        start += len;
        all.slice(start - len..start)
    })
}
