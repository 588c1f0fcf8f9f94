//! The local linear codes of primal LPN: every output is the sum of ten entries of a table, at public random places.
//!
//! A code has 2^b entries. Row r takes the words 10·r to 10·r + 9 of a public stream, AES-128 in counter mode under a fixed key
//! with the number of the matrix in the counter's high word; word w stands for the entry (w >> 6) mod 2^b. A table is either
//! *wide*, a [`Quad`] an entry and a row for four codes at once, or *narrow*, a block an entry; a line of four
//! outputs is one wide row or four narrow ones. Wide tables fetch four outputs with each cache line.
//!
//! # Security
//! The code is public; nothing here depends on a secret but the values. Four instances of LPN with one matrix and
//! independent secrets are as hard as one but for a factor of four in the advantage (a hybrid argument).

#[cfg(target_arch = "x86_64")]
mod vaes512;

use crate::aes128::Backend;
use crate::ggm::Fix;
use crate::{Aes128, Quad};
use copriv_bits::Block;
use std::sync::LazyLock;

/// The public key of the stream of places: the first 16 bytes of SHA-256("copriv LPN code").
const CODE_KEY: Block = Block::new(0x9FD0_E7A9_BF2B_031C, 0x1CFC_F1CD_B78D_1BE7);

static ENCODER: LazyLock<Encoder> = LazyLock::new(|| Encoder(Aes128::new(CODE_KEY)));

/// Entries that a row adds up.
pub const WEIGHT: usize = 10;

/// The entries of the largest code.
pub const MAX_ENTRIES: usize = 1 << 26;

/// The table that a code adds up.
#[derive(Clone, Copy, Debug)]
pub enum Table<'a> {
    /// An entry is a quad.
    Wide(&'a [Quad]),
    /// An entry is a block, four in a quad.
    Narrow(&'a [Quad]),
}

impl Table<'_> {
    /// The number of entries.
    pub fn entries(&self) -> usize {
        match self {
            Self::Wide(quads) => quads.len(),
            Self::Narrow(quads) => 4 * quads.len(),
        }
    }

    /// Rows of a line of four outputs.
    fn rows_of_a_line(&self) -> usize {
        match self {
            Self::Wide(_) => 1,
            Self::Narrow(_) => 4,
        }
    }
}

/// Adds to the lines `leaves`, which are number `first` and on of the code number `matrix`, the entries of their rows. Before,
/// line i of `leaves` is fixed ([`Fix`]) and the lowest bit of each block set to whether the block is on the path.
///
/// # Panics
/// When `leaves` is not of whole lines or `first` is odd, or the table has not a power of two of at most [`MAX_ENTRIES`] entries.
pub fn encode(matrix: u64, first: usize, table: Table<'_>, fix: Option<&Fix>, leaves: &mut [Block]) {
    ENCODER.encode(matrix, first, table, fix, leaves);
}

/// The encoder on a backend.
#[doc(hidden)]
pub struct Encoder(Aes128);

impl Encoder {
    /// Every backend this machine has, the portable one last: for tests and benches.
    pub fn backends() -> Vec<(&'static str, Self)> {
        Aes128::backends(CODE_KEY).into_iter().map(|(name, aes)| (name, Self(aes))).collect()
    }

    /// [`encode`].
    pub fn encode(
        &self,
        matrix: u64,
        first: usize,
        table: Table<'_>,
        fix: Option<&Fix>,
        leaves: &mut [Block],
    ) {
        let entries = table.entries();
        assert!(entries.is_power_of_two() && entries <= MAX_ENTRIES, "a power of two of entries");
        assert!(
            leaves.len().is_multiple_of(4) && first.is_multiple_of(2),
            "whole lines, from an even one on"
        );
        match &self.0.0 {
            #[cfg(target_arch = "x86_64")]
            Backend::Vaes512(aes) => aes.encode(matrix, first, table, fix, leaves),
            _ => self.define(matrix, first, table, fix, leaves),
        }
    }

    /// The definition, 128 rows at a time.
    fn define(&self, matrix: u64, first: usize, table: Table<'_>, fix: Option<&Fix>, leaves: &mut [Block]) {
        const ROWS: usize = 128;
        let (of_a_line, mask) = (table.rows_of_a_line(), table.entries() as u32 - 1);
        let mut stream = [Block::ZERO; ROWS * WEIGHT / 4];
        let mut places = [[0u32; WEIGHT]; ROWS];
        let lines = leaves.as_chunks_mut::<4>().0.chunks_mut(ROWS / of_a_line);
        for (lines, start) in lines.zip((0..).step_by(ROWS / of_a_line)) {
            let blocks = &mut stream[..(lines.len() * of_a_line * WEIGHT).div_ceil(4)];
            // An even row begins with a whole block.
            let block = (first + start) * of_a_line * WEIGHT / 4;
            self.0.counter(u128::from(matrix) << 64 | block as u128, blocks);
            for (places, block) in places.as_flattened_mut().as_chunks_mut::<4>().0.iter_mut().zip(blocks) {
                let [low, high] = block.words();
                let place = |word: u64| (word as u32 >> 6) & mask;
                *places = [place(low), place(low >> 32), place(high), place(high >> 32)];
            }
            for (i, (line, rows)) in lines.iter_mut().zip(places.chunks_exact(of_a_line)).enumerate() {
                let mut sum = fixed(Quad(*line), start + i, fix);
                match table {
                    Table::Wide(quads) => rows[0].iter().for_each(|&place| sum ^= quads[place as usize]),
                    Table::Narrow(quads) => {
                        let blocks = Quad::as_blocks(quads);
                        for (sum, row) in sum.0.iter_mut().zip(rows) {
                            row.iter().for_each(|&place| *sum ^= blocks[place as usize]);
                        }
                    }
                }
                *line = sum.0;
            }
        }
    }
}

/// Line `i` of the leaves, fixed, the lowest bits set.
fn fixed(x: Quad, i: usize, fix: Option<&Fix>) -> Quad {
    let x = fix.map_or(x, |fix| x ^ fix.of(i as u64));
    Quad::from_fn(|j| {
        let on_path = fix.map_or(0, |fix| u64::from(fix.path[j] == i as u64));
        Block::new(x.0[j].low() & !1 | on_path, x.0[j].high())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    fn blocks(len: usize, seed: u64) -> Vec<Block> {
        let mut out = vec![Block::ZERO; len];
        Aes128::new(Block::new(seed, 7)).counter(0, &mut out);
        out
    }

    /// Entry i of row r, by the definition in the module's documentation.
    fn place(matrix: u64, row: usize, i: usize, entries: usize) -> usize {
        let word = WEIGHT * row + i;
        let mut block = [Block::new((word / 4) as u64, matrix)];
        Aes128::new(CODE_KEY).encrypt(&mut block);
        let bytes = block[0].to_bytes();
        let word = u32::from_le_bytes(std::array::from_fn(|b| bytes[word % 4 * 4 + b]));
        (word >> 6) as usize % entries
    }

    fn check(matrix: u64, first: usize, lines: usize, log_entries: u32, path: Option<[u64; 4]>) {
        let entries = 1 << log_entries;
        let leaves = blocks(4 * lines, 1);
        let added = blocks(2, 3);
        let fix = path.map(|path| Fix { path, point: Quad([added[0]; 4]), sibling: Quad([added[1]; 4]) });
        let table: Vec<Quad> = blocks(4 * entries, 2).as_chunks::<4>().0.iter().map(|x| Quad(*x)).collect();
        let narrow = &table[..entries.div_ceil(4)];
        let mut want = [leaves.clone(), leaves.clone()];
        for (l, j) in (0..lines).flat_map(|l| (0..4).map(move |j| (l, j))) {
            let mut x = leaves[4 * l + j];
            let mut bit = 0;
            if let Some(fix) = fix {
                bit = u64::from(fix.path[j] == l as u64);
                x ^= fix.point.0[j].select(bit)
                    ^ fix.sibling.0[j].select(u64::from(fix.path[j] ^ 1 == l as u64));
            }
            let x = Block::new(x.low() & !1 | bit, x.high());
            let sum = |row: usize, entry: &dyn Fn(usize) -> Block| {
                (0..WEIGHT).fold(x, |sum, i| sum ^ entry(place(matrix, row, i, entries)))
            };
            want[0][4 * l + j] = sum(first + l, &|i| table[i].0[j]);
            want[1][4 * l + j] = sum(4 * (first + l) + j, &|i| Quad::as_blocks(narrow)[i]);
        }
        for (name, encoder) in Encoder::backends() {
            for (table, want) in [Table::Wide(&table), Table::Narrow(narrow)].into_iter().zip(&want) {
                if table.entries() == entries {
                    let mut out = leaves.clone();
                    encoder.encode(matrix, first, table, fix.as_ref(), &mut out);
                    assert!(out == *want, "{name}: {lines} lines from {first}, 2^{log_entries} entries");
                }
            }
        }
    }

    #[test]
    fn every_small_shape() {
        for lines in 0..=40 {
            check(3, 2 * lines, lines, 5, (lines % 2 == 1).then_some([1, 0, 2 * lines as u64, 7]));
        }
        for lines in [127, 128, 129, 300] {
            check(u64::MAX, 1 << 40, lines, 12, Some([126, 0, 299, 128]));
            check(0, 0, lines, 2, None);
        }
    }

    proptest! {
        #[test]
        fn every_backend_is_the_definition(
            matrix: u64, first in 0usize..1 << 40, lines in 0usize..300, log in 0u32..14, path: Option<[u8; 4]>,
        ) {
            check(matrix, 2 * first, lines, log, path.map(|path| path.map(u64::from)));
        }
    }

    #[test]
    fn the_key_has_nothing_up_its_sleeve() {
        assert_eq!(Sha256::digest(b"copriv LPN code")[..16], CODE_KEY.to_bytes());
    }
}
