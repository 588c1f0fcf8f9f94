//! Bit-matrix transposition, the step of OT extension that turns 128 columns into one row per OT.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod gfni;

use crate::Block;

/// Transposes a bit matrix of 128 rows and 128 * k columns: `rows` holds the rows one after the other
/// (k blocks each), and bit r of `out[c]` becomes bit c of row r. Fastest when k is a multiple of 4 and
/// both slices stay in cache.
///
/// # Panics
/// When `rows` and `out` differ in length or that is not a multiple of 128.
pub fn transpose(rows: &[Block], out: &mut [Block]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(token) = gfni::Gfni::detect() {
        return token.transpose(rows, out);
    } else if let Some(token) = avx2::Avx2::detect() {
        return token.transpose(rows, out);
    }
    portable(rows, out);
}

/// As [`transpose`], of rows that are stored in lines of four blocks: first line 0 of each of the 128 rows, then line 1 of
/// each, and so on.
///
/// # Panics
/// When `rows` and `out` differ in length or that is not a multiple of 512.
pub fn transpose_lines(rows: &[Block], out: &mut [Block]) {
    assert!(rows.len() == out.len() && rows.len().is_multiple_of(512), "128 rows of whole lines");
    #[cfg(target_arch = "x86_64")]
    if let Some(token) = gfni::Gfni::detect() {
        return token.transpose_lines(rows, out);
    }
    rows.chunks_exact(512).zip(out.chunks_exact_mut(512)).for_each(|(rows, out)| transpose(rows, out));
}

/// A way to transpose, and its name.
#[doc(hidden)]
pub type TransposeBackend = (&'static str, fn(&[Block], &mut [Block]));

/// Every backend this machine has, the portable one last: for tests and benches.
#[doc(hidden)]
pub fn transpose_backends() -> Vec<TransposeBackend> {
    #[cfg(target_arch = "x86_64")]
    let found: [Option<TransposeBackend>; 2] = {
        use {avx2::Avx2, gfni::Gfni};
        let gfni: TransposeBackend =
            ("gfni", |rows, out| Gfni::detect().expect("detected").transpose(rows, out));
        let avx2: TransposeBackend =
            ("avx2", |rows, out| Avx2::detect().expect("detected").transpose(rows, out));
        [Gfni::detect().map(|_| gfni), Avx2::detect().map(|_| avx2)]
    };
    #[cfg(not(target_arch = "x86_64"))]
    let found: [Option<TransposeBackend>; 0] = [];
    found.into_iter().flatten().chain([("portable", portable as _)]).collect()
}

fn check(rows: &[Block], out: &[Block]) {
    assert!(rows.len() == out.len() && rows.len().is_multiple_of(128), "128 rows of whole blocks");
}

/// The definition, square by square.
#[inline(always)]
fn portable(rows: &[Block], out: &mut [Block]) {
    check(rows, out);
    let (rows, blocks) = (Block::as_words(rows), rows.len() / 128);
    for (block, columns) in Block::as_words_mut(out).as_chunks_mut::<128>().0.iter_mut().enumerate() {
        for (r, row) in columns.iter_mut().enumerate() {
            *row = rows[r * blocks + block];
        }
        transpose_square(columns);
    }
}

/// Hacker's Delight 7-3: swap the off-diagonal quarters at each power of two.
#[inline(always)]
fn transpose_square(m: &mut [[u64; 2]; 128]) {
    let (top, bottom) = m.split_at_mut(64);
    for (t, b) in top.iter_mut().zip(bottom) {
        std::mem::swap(&mut t[1], &mut b[0]);
    }
    swap::<32>(m, 0x0000_0000_FFFF_FFFF);
    swap::<16>(m, 0x0000_FFFF_0000_FFFF);
    swap::<8>(m, 0x00FF_00FF_00FF_00FF);
    swap::<4>(m, 0x0F0F_0F0F_0F0F_0F0F);
    swap::<2>(m, 0x3333_3333_3333_3333);
    swap::<1>(m, 0x5555_5555_5555_5555);
}

/// In each square of 2 * HALF bits, swaps the upper right with the lower left quarter; `mask` is the left half.
#[inline(always)]
fn swap<const HALF: usize>(m: &mut [[u64; 2]; 128], mask: u64) {
    for rows in m.chunks_exact_mut(2 * HALF) {
        let (top, bottom) = rows.split_at_mut(HALF);
        for (t, b) in top.as_flattened_mut().iter_mut().zip(bottom.as_flattened_mut()) {
            let swap = (*t >> HALF ^ *b) & mask;
            *t ^= swap << HALF;
            *b ^= swap;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check_all(rows: &[Block]) {
        let blocks = rows.len() / 128;
        for (name, transpose) in transpose_backends() {
            let mut out = vec![Block::ZERO; rows.len()];
            transpose(rows, &mut out);
            for (c, column) in out.iter().enumerate() {
                for r in 0..128 {
                    assert_eq!(column.bit(r), rows[r * blocks + c / 128].bit(c % 128), "{name}: {r}, {c}");
                }
            }
        }
    }

    #[test]
    fn every_width_is_the_definition() {
        let mut x = 1u128;
        for blocks in 0..14 {
            let random = || {
                x = x.wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645).wrapping_add(3);
                Block::from(x ^ x >> 64)
            };
            check_all(&std::iter::repeat_with(random).take(128 * blocks).collect::<Vec<_>>());
        }
    }

    #[test]
    fn lines_are_transposed_one_after_the_other() {
        for lines in 0..4u64 {
            let word = |i: u64| (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
            let rows: Vec<Block> =
                (0..512 * lines).map(|i| Block::new(word(2 * i), word(2 * i + 1))).collect();
            let (mut out, mut want) = (rows.clone(), rows.clone());
            transpose_lines(&rows, &mut out);
            for (rows, want) in rows.chunks(512).zip(want.chunks_mut(512)) {
                portable(rows, want);
            }
            assert!(out == want, "{lines} lines");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn random_matrices(blocks in 1usize..6, bits in prop::collection::vec(any::<u128>(), 640)) {
            check_all(&bits[..128 * blocks].iter().map(|&x| x.into()).collect::<Vec<_>>());
        }

        #[test]
        fn twice_is_the_identity(bits in prop::collection::vec(any::<u128>(), 128)) {
            let rows: Vec<Block> = bits.into_iter().map(Block::from).collect();
            let (mut columns, mut back) = (rows.clone(), rows.clone());
            transpose(&rows, &mut columns);
            transpose(&columns, &mut back);
            prop_assert_eq!(back, rows);
        }
    }
}
