//! The layout in plain code: any number of lanes side by side, 64 rows each.

use super::{Block, LANES, ROWS, packed_bytes};

/// The rows' lanes packed: the first `width` words of each lane count, the rest is left over.
pub fn pack_lanes<const L: usize>(rows: &[[u64; L]], width: u32) -> [[u64; L]; ROWS] {
    let mut words = [[0; L]; ROWS];
    let (mut open, mut filled, mut k) = ([0; L], 0, 0);
    for row in rows {
        for (open, x) in open.iter_mut().zip(row) {
            *open |= x << filled;
        }
        filled += width;
        words[k] = open;
        if filled >= 64 {
            k += 1;
            filled -= 64;
            // What did not fit: the top `filled` bits, none when the word is just full.
            open = row.map(|x| (x >> 1) >> (width - filled - 1));
        }
    }
    words
}

/// The rows in the first `width` words of each lane.
pub fn unpack_lanes<const L: usize>(words: &[[u64; L]], width: u32) -> [[u64; L]; ROWS] {
    let mask = u64::MAX >> (64 - width);
    let mut rows = [[0; L]; ROWS];
    let mut bit = 0;
    for row in &mut rows {
        // The words of the row's first and last bit; where they are one, `high` adds only bits that are masked.
        let (low, high) = (&words[bit / 64], &words[(bit + width as usize - 1) / 64]);
        let shift = bit % 64;
        for j in 0..L {
            row[j] = (low[j] >> shift | (high[j] << 1) << (63 - shift)) & mask;
        }
        bit += width as usize;
    }
    rows
}

/// Appends packed blocks to `out`.
pub fn pack(blocks: &[Block], width: u32, out: &mut Vec<u8>) {
    for block in blocks {
        let words = pack_lanes::<LANES>(block.as_chunks().0, width);
        let bytes = words.map(|row| row.map(u64::to_le_bytes));
        out.extend_from_slice(&bytes.as_flattened().as_flattened()[..packed_bytes(block.len(), width)]);
    }
}

/// Fills `blocks` from their bytes.
pub fn unpack(bytes: &[u8], width: u32, blocks: &mut [Block]) {
    let mut words = [[0; LANES]; ROWS];
    for (block, bytes) in blocks.iter_mut().zip(bytes.chunks_exact(64 * width as usize)) {
        for (word, bytes) in words.as_flattened_mut().iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        block.copy_from_slice(unpack_lanes(&words, width).as_flattened());
    }
}
