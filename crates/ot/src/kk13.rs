//! 1-of-N OT extension from a code: the OT of the baseline suite, N ≤ 256.
//!
//! # Functionality
//! Receiver: index c_i < N. Sender: for every j a pad H_i(j); receiver: H_i(c_i).
//!
//! # Protocol
//! C is the Walsh-Hadamard code of length 256: bit p of C(j) is the parity of j & p. Base OTs the other way
//! round, 256 of them: the receiver holds (k⁰_r, k¹_r), the sender k_r of its bit s_r.
//!
//! | step | sender (s)                      | wire               | receiver (c)                                  |
//! |------|---------------------------------|--------------------|-----------------------------------------------|
//! | 1    |                                 | ← [`CodeColumns`]  | `t_r = G(k⁰_r), u_r = t_r ⊕ G(k¹_r) ⊕ C(c)_r` |
//! | 2    | `q_r = G(k_r) ⊕ s_r·u_r`        |                    |                                               |
//! | 3    | `x = L(q)`                      |                    | `x = L(t)`                                    |
//! | 4    | `pad[j] = H(x ⊕ L(C(j) ∧ s))`   |                    | `pad = H(x)`                                  |
//!
//! With t = q ⊕ (C(c) ∧ s), x of the receiver is the sender's x ⊕ L(C(c) ∧ s).
//!
//! # Cost
//! [`cost`]: 256 bits an OT from the receiver.
//!
//! # Security
//! Semi-honest, 128 bits. Two codewords differ in 128 places, so q ⊕ (C(j) ∧ s) for j ≠ c hides behind
//! 128 bits of s. L(a ‖ b) = a ⊕ β·b over GF(2^128) with β public and uniform, drawn after s. For (a, b) ≠ 0 at most one
//! β makes L zero, so the kernel of L on the 128 places of a codeword has at most two elements on average over β: an
//! offset L(C(j) ∧ s) is guessed with probability at most 2^-127 on average, any of the 255 differences of
//! codewords with at most 2^-119 in all. H is the hash of [`copriv_prg::hash`].
//!
//! # Reference
//! Kolesnikov, Kumaresan: Improved OT Extension for Transferring Short Secrets (CRYPTO 2013); as used in
//! CrypTFlow2 (CCS 2020).
//!
//! # Deviations
//! The compression L before the hash, so that one AES call of fixed key makes a pad where the usual
//! form keys AES-256 anew for each.

use copriv_bits::{Block, gf128_mul, gf128_mul_slice, transpose};
use copriv_channel::{Channel, Cost};
use copriv_prg::{Prg, hash, hash_many};
use copriv_wire::{Result, Role, messages};
use zeroize::Zeroize;

messages! {
    /// u: 256 bits of masked codewords an OT, two blocks each.
    CodeColumns: Blocks = 0x0250;
    /// β of the compression L.
    Compression: Blocks = 0x0251;
}

/// Base OTs needed.
pub const BASE_OTS: usize = 256;

/// The largest N.
pub const MAX_CHOICES: usize = 256;

/// OTs in one message: 128 KiB.
const CHUNK: usize = 4096;

/// The cost of the set-up message.
pub fn setup_cost(sender: Role) -> Cost {
    Cost::message(sender.peer(), 1, 128)
}

/// The cost of `count` OTs sent by `sender`, without what the pads are used for.
pub fn cost(sender: Role, count: usize) -> Cost {
    let message = |n: usize| if n == 0 { Cost::ZERO } else { Cost::message(sender.peer(), 2 * n, 128) };
    message(CHUNK).repeat(count / CHUNK) + message(count % CHUNK)
}

/// The sender: the *receiver* of the base OTs.
pub struct Kk13Sender {
    s: [Block; 2],
    seeds: Vec<Prg>,
    beta: Block,
    tweak: u64,
    buffers: Buffers,
}

/// The receiver: the *sender* of the base OTs.
pub struct Kk13Receiver {
    seeds: Vec<[Prg; 2]>,
    beta: Block,
    tweak: u64,
    buffers: Buffers,
}

/// The sender's state of a batch: what pads are made of.
pub struct SenderBatch {
    x: Vec<Block>,
    /// L(C(j) ∧ s) for every j < N.
    offsets: Vec<Block>,
    first: u64,
}

impl Drop for Kk13Sender {
    fn drop(&mut self) {
        self.s.zeroize();
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        [&mut self.rows, &mut self.columns, &mut self.stream, &mut self.wire]
            .into_iter()
            .for_each(Zeroize::zeroize);
    }
}

impl Drop for SenderBatch {
    fn drop(&mut self) {
        self.offsets.zeroize();
        self.x.zeroize();
    }
}

impl Kk13Sender {
    /// From the base OTs, received with the bits of `s` as choices.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    ///
    /// # Panics
    /// When there are not [`BASE_OTS`] keys.
    pub fn setup(channel: &mut Channel, s: [Block; 2], keys: &[Block]) -> Result<Self> {
        assert_eq!(keys.len(), BASE_OTS, "KK13 starts from 256 base OTs");
        let mut beta = [Block::ZERO];
        channel.recv_blocks::<Compression>(&mut beta)?;
        let seeds = keys.iter().map(|&k| Prg::from_seed(k)).collect();
        Ok(Self { s, seeds, beta: beta[0], tweak: 0, buffers: Buffers::new() })
    }

    /// `count` OTs on `choices` messages each.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    ///
    /// # Panics
    /// When `choices` is above [`MAX_CHOICES`].
    pub fn extend(&mut self, channel: &mut Channel, choices: usize, count: usize) -> Result<SenderBatch> {
        assert!(choices <= MAX_CHOICES, "the code has 256 words");
        let mut x = vec![Block::ZERO; count];
        let Buffers { rows, columns, stream, wire } = &mut self.buffers;
        for chunk in x.chunks_mut(CHUNK) {
            let wire = &mut wire[..2 * chunk.len()];
            channel.recv_blocks::<CodeColumns>(wire)?; // (1)
            let blocks = chunk.len().div_ceil(128);
            rows_from_wire(wire, rows, blocks, chunk.len());
            for (r, (seed, row)) in self.seeds.iter_mut().zip(rows.chunks_exact_mut(blocks)).enumerate() {
                let bit = u64::from(self.s[r / 128].bit(r % 128));
                let stream = &mut stream[..blocks];
                seed.fill(stream);
                row.iter_mut().zip(stream).for_each(|(u, g)| *u = *g ^ u.select(bit)); // (2)
            }
            compress(rows, columns, blocks, self.beta, chunk); // (3)
        }
        let offset = |j: usize| {
            let [low, high] = codeword(j as u8);
            (low & self.s[0]) ^ gf128_mul(self.beta, high & self.s[1])
        };
        let first = self.tweak;
        self.tweak += count as u64;
        Ok(SenderBatch { x, offsets: (0..choices).map(offset).collect(), first })
    }
}

impl SenderBatch {
    /// The number of OTs.
    pub fn len(&self) -> usize {
        self.x.len()
    }

    /// Whether there is no OT.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// The pads of the OTs in `range`, N for each one after the other, into `pads`.
    ///
    /// # Panics
    /// When `pads` has another length or the range is outside.
    pub fn pads(&self, range: std::ops::Range<usize>, pads: &mut [Block]) {
        hash_many(&self.x[range.clone()], &self.offsets, self.first + range.start as u64, pads); // (4)
    }
}

impl Kk13Receiver {
    /// From the base OTs it sent; `prg` draws β.
    ///
    /// # Errors
    /// When the connection fails.
    ///
    /// # Panics
    /// When there are not [`BASE_OTS`] key pairs.
    pub fn setup(channel: &mut Channel, keys: &[[Block; 2]], prg: &mut Prg) -> Result<Self> {
        assert_eq!(keys.len(), BASE_OTS, "KK13 starts from 256 base OTs");
        let beta = prg.block();
        channel.send_blocks::<Compression>(&[beta])?;
        let seeds = keys.iter().map(|k| k.map(Prg::from_seed)).collect();
        Ok(Self { seeds, beta, tweak: 0, buffers: Buffers::new() })
    }

    /// One OT for each index, all below 2^`index_bits`: its pad.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    ///
    /// # Panics
    /// When `index_bits` is above 8.
    pub fn extend(&mut self, channel: &mut Channel, index_bits: u32, choices: &[u8]) -> Result<Vec<Block>> {
        assert!(index_bits <= 8, "the code has 256 words");
        let mut x = vec![Block::ZERO; choices.len()];
        let Buffers { rows, columns, wire, .. } = &mut self.buffers;
        for (chunk, choices) in x.chunks_mut(CHUNK).zip(choices.chunks(CHUNK)) {
            let blocks = chunk.len().div_ceil(128);
            let code = code_rows(choices, index_bits, blocks);
            let streams = rows.chunks_exact_mut(blocks).zip(columns.chunks_exact_mut(blocks));
            for (r, ([k0, k1], (t, u))) in self.seeds.iter_mut().zip(streams).enumerate() {
                let code = &code[(r & ((1 << index_bits) - 1)) * blocks..][..blocks];
                k0.fill(t);
                k1.fill(u);
                u.iter_mut().zip(t).zip(code).for_each(|((u, t), c)| *u ^= *t ^ *c); // (1)
            }
            let wire = &mut wire[..2 * chunk.len()];
            rows_to_wire(columns, wire, blocks, chunk.len());
            channel.send_blocks::<CodeColumns>(wire)?; // (1)
            compress(rows, columns, blocks, self.beta, chunk); // (3)
        }
        hash(&mut x, self.tweak); // (4)
        self.tweak += choices.len() as u64;
        Ok(x)
    }
}

/// Scratch space of one chunk: 256 rows, their transposition, one row's stream, the wire form.
struct Buffers {
    rows: Vec<Block>,
    columns: Vec<Block>,
    stream: Vec<Block>,
    wire: Vec<Block>,
}

impl Buffers {
    fn new() -> Self {
        let whole = || vec![Block::ZERO; 2 * CHUNK];
        Self { rows: whole(), columns: whole(), stream: vec![Block::ZERO; CHUNK / 128], wire: whole() }
    }
}

/// Bit p of codeword j is the parity of j & p.
fn codeword(j: u8) -> [Block; 2] {
    let half = |from: u32| {
        (0..128).fold(0u128, |w, p| w | u128::from((u32::from(j) & (from + p)).count_ones() & 1) << p)
    };
    [half(0).into(), half(128).into()]
}

/// Row r < 2^`index_bits` of the codewords of `choices`, `blocks` blocks each: the parity of choice & r. Row r of the
/// code depends on the bits of r that an index can have, so these rows repeat.
fn code_rows(choices: &[u8], index_bits: u32, blocks: usize) -> Vec<Block> {
    let mut rows = vec![Block::ZERO; blocks << index_bits];
    for r in 1..1usize << index_bits {
        let (before, row) = rows.split_at_mut(r * blocks);
        let row = &mut row[..blocks];
        if r.is_power_of_two() {
            let bit = r.trailing_zeros();
            for (group, block) in choices.chunks(128).zip(row) {
                let word = |part: &[u8]| part.iter().rev().fold(0, |w, &c| w << 1 | u64::from(c >> bit & 1));
                let (low, high) = group.split_at(group.len().min(64));
                *block = Block::new(word(low), word(high));
            }
        } else {
            let (without, lowest) = (r & (r - 1), r & r.wrapping_neg());
            for (g, block) in row.iter_mut().enumerate() {
                *block = before[without * blocks + g] ^ before[lowest * blocks + g];
            }
        }
    }
    rows
}

/// L of each column of the 256 rows: low half plus β times high half.
fn compress(rows: &[Block], columns: &mut [Block], blocks: usize, beta: Block, out: &mut [Block]) {
    let half = 128 * blocks;
    let (low, high) = columns[..2 * half].split_at_mut(half);
    transpose(&rows[..half], low);
    transpose(&rows[half..2 * half], high);
    gf128_mul_slice(high, beta);
    for ((x, &low), &high) in out.iter_mut().zip(low.iter()).zip(high.iter()) {
        *x = low ^ high;
    }
}

/// The wire form of 256 rows for `count` columns: both halves' rows, whole squares only, then both halves' columns
/// of the last, incomplete square.
fn rows_to_wire(rows: &[Block], wire: &mut [Block], blocks: usize, count: usize) {
    let whole = count / 128;
    for (row, out) in rows.chunks_exact(blocks).zip(wire.chunks_mut(whole.max(1))).take(256 * whole.min(1)) {
        out.copy_from_slice(&row[..whole]);
    }
    let rest = count % 128;
    if rest > 0 {
        let (mut last, mut columns) = ([Block::ZERO; 128], [Block::ZERO; 128]);
        for half in 0..2 {
            last.iter_mut().enumerate().for_each(|(r, b)| *b = rows[(128 * half + r) * blocks + whole]);
            transpose(&last, &mut columns);
            wire[256 * whole + half * rest..][..rest].copy_from_slice(&columns[..rest]);
        }
    }
}

/// The inverse, the last square filled up with zero columns.
fn rows_from_wire(wire: &[Block], rows: &mut [Block], blocks: usize, count: usize) {
    let whole = count / 128;
    for (row, from) in rows.chunks_exact_mut(blocks).zip(wire.chunks(whole.max(1))).take(256 * whole.min(1)) {
        row[..whole].copy_from_slice(from);
    }
    let rest = count % 128;
    if rest > 0 {
        for half in 0..2 {
            let (mut columns, mut last) = ([Block::ZERO; 128], [Block::ZERO; 128]);
            columns[..rest].copy_from_slice(&wire[256 * whole + half * rest..][..rest]);
            transpose(&columns, &mut last);
            last.iter().enumerate().for_each(|(r, &b)| rows[(128 * half + r) * blocks + whole] = b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codewords_are_128_apart() {
        for (i, j) in (0..=255u8).flat_map(|i| (0..i).map(move |j| (i, j))) {
            let ([a, b], [c, d]) = (codeword(i), codeword(j));
            let weight = u128::from(a ^ c).count_ones() + u128::from(b ^ d).count_ones();
            assert_eq!(weight, 128);
        }
    }

    #[test]
    fn rows_of_codewords() {
        for index_bits in [1, 4, 8] {
            let choices: Vec<u8> = (0..300usize).map(|i| (i * 77 % (1 << index_bits)) as u8).collect();
            let rows = code_rows(&choices, index_bits, 3);
            for (i, &c) in choices.iter().enumerate() {
                let [low, high] = codeword(c);
                for p in 0..256 {
                    let row = &rows[(p & ((1 << index_bits) - 1)) * 3..][..3];
                    let bit = if p < 128 { low.bit(p) } else { high.bit(p - 128) };
                    assert_eq!(row[i / 128].bit(i % 128), bit);
                }
            }
        }
    }

    #[test]
    fn the_wire_form_is_invertible() {
        for count in [1usize, 127, 128, 129, 300] {
            let blocks = count.div_ceil(128);
            let mut prg = Prg::from_seed(Block::new(1, count as u64));
            let mut rows = vec![Block::ZERO; 256 * blocks];
            prg.fill(&mut rows);
            let mut wire = vec![Block::ZERO; 2 * count];
            rows_to_wire(&rows, &mut wire, blocks, count);
            let mut back = vec![Block::ZERO; rows.len()];
            rows_from_wire(&wire, &mut back, blocks, count);
            for (row, back) in rows.chunks(blocks).zip(back.chunks(blocks)) {
                assert!((0..count).all(|c| row[c / 128].bit(c % 128) == back[c / 128].bit(c % 128)));
            }
        }
    }
}
