//! One chunk of OTs of [`iknp`](crate::iknp) and [`softspoken`](crate::softspoken): the buffers, the wire form of the
//! corrections and the transposition. Of n OTs, n/128 rounded up is the number of blocks of a stream; buffers have whole
//! lines of them, as [`Fold`] writes them.

use copriv_bits::{BitVec, Block, transpose, transpose_lines};
use copriv_channel::Channel;
use copriv_prg::Fold;
use copriv_wire::{Message, Result};
use zeroize::Zeroize;

/// OTs in one message: 128 KiB of rows, in cache.
pub const CHUNK: usize = 8192;

/// OTs of a line of rows.
const LINE: usize = 128 * Fold::LINE;

/// The blocks of a message of `count` OTs: 128/k bits each, without padding between.
pub const fn wire_blocks(k: usize, count: usize) -> usize {
    count.div_ceil(k)
}

/// The buffers of one chunk, kept so that extension touches no fresh memory.
#[derive(Default)]
pub struct Buffers {
    rows: Vec<Block>,
    columns: Vec<Block>,
    choices: Vec<Block>,
}

/// The buffers of a chunk of so many OTs.
pub struct Chunk<'a> {
    /// Blocks of a stream that are used.
    pub blocks: usize,
    /// 128 rows of whole lines, line by line.
    pub rows: &'a mut [Block],
    /// 128/k columns of whole lines, one after the other.
    pub columns: &'a mut [Block],
    /// One column of choices.
    pub choices: &'a mut [Block],
}

impl Buffers {
    /// The buffers for `count` OTs.
    pub fn of(&mut self, k: usize, count: usize) -> Chunk<'_> {
        let padded = count.next_multiple_of(LINE);
        Chunk {
            blocks: count.div_ceil(128),
            rows: aligned(&mut self.rows, padded),
            columns: aligned(&mut self.columns, padded / k),
            choices: aligned(&mut self.choices, padded / 128),
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        [&mut self.rows, &mut self.columns, &mut self.choices].into_iter().for_each(Zeroize::zeroize);
    }
}

/// `len` blocks of `buffer` from the start of a cache line on.
fn aligned(buffer: &mut Vec<Block>, len: usize) -> &mut [Block] {
    const CACHE_LINE: usize = 64;
    let spare = CACHE_LINE / Block::BYTES - 1;
    if buffer.len() < len + spare {
        buffer.zeroize();
        buffer.resize(len + spare, Block::ZERO);
    }
    let start = buffer.as_ptr().align_offset(CACHE_LINE).min(spare);
    &mut buffer[start..][..len]
}

impl Chunk<'_> {
    /// Writes the choices `words` of this chunk, zero past their end.
    pub fn choose(&mut self, words: &[u64]) {
        let word = |i: usize| words.get(i).copied().unwrap_or(0);
        self.choices.iter_mut().enumerate().for_each(|(g, c)| *c = Block::new(word(2 * g), word(2 * g + 1)));
    }

    /// Sends the columns of `count` OTs as an `M`.
    pub fn send<M: Message>(&mut self, channel: &mut Channel, k: usize, count: usize) -> Result<()> {
        to_wire(self.columns, k, count);
        channel.send_blocks::<M>(&self.columns[..wire_blocks(k, count)])
    }

    /// Receives the columns of `count` OTs.
    pub fn receive<M: Message>(&mut self, channel: &mut Channel, k: usize, count: usize) -> Result<()> {
        channel.recv_blocks::<M>(&mut self.columns[..wire_blocks(k, count)])?;
        from_wire(self.columns, k, count);
        Ok(())
    }

    /// Turns the rows into one block for each OT.
    pub fn transpose(&self, out: &mut [Block]) {
        let whole = out.len() / LINE * LINE;
        let (whole, last) = out.split_at_mut(whole);
        let (rows, last_rows) = self.rows.split_at(whole.len());
        transpose_lines(rows, whole);
        if !last.is_empty() {
            let mut square = [Block::ZERO; LINE];
            transpose_lines(last_rows, &mut square);
            last.copy_from_slice(&square[..last.len()]);
            square.zeroize();
        }
    }
}

/// The choices of each chunk, in words.
pub fn choice_words(choices: &BitVec) -> impl Iterator<Item = &[u64]> {
    choices.words().chunks(CHUNK / 64)
}

/// Turns 128/k columns of whole lines into the wire form of `count` OTs, in place: the whole squares, column by column, then
/// of the last, incomplete one the 128/k bits of each OT. Only the first [`wire_blocks`] are meaningful afterwards.
fn to_wire(columns: &mut [Block], k: usize, count: usize) {
    let (squares, rest, stride) = (count / 128, count % 128, columns.len() * k / 128);
    if squares == stride {
        return;
    }
    let mut last = [Block::ZERO; 128];
    for (last, column) in last.iter_mut().zip(columns.chunks_exact(stride)) {
        *last = column.get(squares).copied().unwrap_or(Block::ZERO);
    }
    for i in 0..128 / k {
        columns.copy_within(i * stride..i * stride + squares, i * squares);
    }
    let mut bits = [Block::ZERO; 128];
    transpose(&last, &mut bits);
    for (packed, bits) in columns[128 / k * squares..].iter_mut().zip(bits[..rest].chunks(k)) {
        let packed_bits = bits.iter().rev().fold(0, |packed, &bits| shift(packed, k) | u128::from(bits));
        *packed = packed_bits.into();
    }
}

/// The inverse: what follows the last OT in the columns is zero or anything.
fn from_wire(columns: &mut [Block], k: usize, count: usize) {
    let (squares, rest, stride) = (count / 128, count % 128, columns.len() * k / 128);
    if squares == stride {
        return;
    }
    let mut bits = [Block::ZERO; 128];
    for (bits, &packed) in bits[..rest].chunks_mut(k).zip(&columns[128 / k * squares..]) {
        let mut packed = u128::from(packed);
        for bits in bits {
            *bits = (packed & u128::MAX >> (128 - 128 / k)).into();
            packed = packed.checked_shr(128 / k as u32).unwrap_or(0);
        }
    }
    let mut last = [Block::ZERO; 128];
    transpose(&bits, &mut last);
    for i in (0..128 / k).rev() {
        columns.copy_within(i * squares..(i + 1) * squares, i * stride);
    }
    for (last, column) in last.iter().zip(columns.chunks_exact_mut(stride)) {
        column[squares] = *last;
    }
}

/// `packed`, with room for the 128/k bits of one more OT below.
fn shift(packed: u128, k: usize) -> u128 {
    packed.checked_shl(128 / k as u32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use copriv_prg::Prg;

    #[test]
    fn the_wire_form_holds_every_bit_of_every_ot() {
        for k in [1, 2, 4, 8] {
            for count in [0, 1, 3, 64, 127, 128, 129, 511, 512, 513, 1000, 8064, CHUNK - 1, CHUNK] {
                let mut buffers = Buffers::default();
                let chunk = buffers.of(k, count);
                Prg::from_seed(Block::new(1, 2)).fill(chunk.columns);
                let before = chunk.columns.to_vec();
                to_wire(chunk.columns, k, count);
                chunk.columns[wire_blocks(k, count)..].fill(Block::ONES);
                from_wire(chunk.columns, k, count);
                let stride = chunk.columns.len() * k / 128;
                for i in (0..128 / k).filter(|_| count > 0) {
                    for ot in 0..count {
                        let at = i * stride + ot / 128;
                        assert_eq!(
                            chunk.columns[at].bit(ot % 128),
                            before[at].bit(ot % 128),
                            "{k}, {count}, {ot}"
                        );
                    }
                }
            }
        }
    }
}
