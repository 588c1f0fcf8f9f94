//! IKNP OT extension: random correlated OTs from 128 base OTs.
//!
//! # Functionality
//! Sender: Δ and q_i. Receiver: t_i = q_i ⊕ c_i·Δ for bits c_i of its choice (or random ones).
//!
//! # Protocol
//! Base OTs the other way round: the receiver holds seed pairs (k⁰_r, k¹_r), the sender k_r of its bit Δ_r,
//! r = 0..128. In chunks:
//!
//! | step | sender (Δ)                        | wire          | receiver (c)                      |
//! |------|-----------------------------------|---------------|-----------------------------------|
//! | 1    |                                   | ← [`Columns`] | `t_r = G(k⁰_r), u_r = t_r ⊕ G(k¹_r) ⊕ c` |
//! | 2    | `q_r = G(k_r) ⊕ Δ_r·u_r`          |               |                                   |
//! | 3    | `q = transpose(q_r)`              |               | `t = transpose(t_r)`              |
//!
//! # Cost
//! [`cost`]: 128 bits an OT from the receiver, no round of its own.
//!
//! # Security
//! Semi-honest, 128 bits, if AES-CTR is a PRG; outputs are to be hashed with a correlation-robust hash
//! ([`copriv_prg::hash`] states its bound).
//!
//! # Reference
//! Ishai, Kilian, Nissim, Petrank (CRYPTO 2003) in the form of Asharov, Lindell, Schneider, Zohner (CCS 2013).
//!
//! # Deviations
//! The wire form: 128-OT squares go row by row; of a last incomplete square of n OTs the n columns go
//! instead, so that n OTs cost exactly n blocks.

use crate::{RcotReceiver, RcotSender};
use copriv_bits::{BitVec, Block, transpose};
use copriv_channel::{Channel, Cost};
use copriv_prg::Prg;
use copriv_wire::{Result, Role, messages};
use zeroize::Zeroize;

messages! {
    /// u: 128 bits of masked choices an OT.
    Columns: Blocks = 0x0220;
}

/// Base OTs needed.
pub const BASE_OTS: usize = 128;

/// OTs in one message: 128 KiB, and 128 KiB of rows in cache.
const CHUNK: usize = 8192;

/// The cost of `count` OTs sent by `sender`.
pub fn cost(sender: Role, count: usize) -> Cost {
    let message = |n: usize| if n == 0 { Cost::ZERO } else { Cost::message(sender.peer(), n, 128) };
    Cost::rcots(sender, count) + message(CHUNK).repeat(count / CHUNK) + message(count % CHUNK)
}

/// The IKNP sender: the *receiver* of the base OTs.
pub struct IknpSender {
    delta: Block,
    seeds: Vec<Prg>,
    tweak: u64,
    scratch: Scratch,
}

/// The IKNP receiver: the *sender* of the base OTs.
pub struct IknpReceiver {
    seeds: Vec<[Prg; 2]>,
    random: Prg,
    tweak: u64,
    scratch: Scratch,
}

/// The buffers of one chunk, kept so that extension touches no fresh memory.
#[derive(Default)]
struct Scratch {
    rows: Vec<Block>,
    square: Vec<Block>,
    wire: Vec<Block>,
}

impl Scratch {
    /// The buffers for `count` OTs, of `count` rounded up to whole squares each, and the blocks of a row.
    fn of(&mut self, count: usize) -> ([&mut [Block]; 3], usize) {
        let padded = count.next_multiple_of(128);
        let buffers = [&mut self.rows, &mut self.square, &mut self.wire];
        let sized = buffers.map(|buffer| {
            buffer.resize(buffer.len().max(padded), Block::ZERO);
            &mut buffer[..padded]
        });
        (sized, padded / 128)
    }
}

impl IknpSender {
    /// From the base OTs, received with the bits of `delta` as choices.
    ///
    /// # Panics
    /// When there are not [`BASE_OTS`] keys.
    pub fn new(delta: Block, keys: &[Block]) -> Self {
        assert_eq!(keys.len(), BASE_OTS, "IKNP starts from 128 base OTs");
        Self {
            delta,
            seeds: keys.iter().map(|&k| Prg::from_seed(k)).collect(),
            tweak: 0,
            scratch: Scratch::default(),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        [&mut self.rows, &mut self.square, &mut self.wire].into_iter().for_each(Zeroize::zeroize);
    }
}

impl Drop for IknpSender {
    fn drop(&mut self) {
        self.delta.zeroize();
    }
}

impl IknpReceiver {
    /// From the base OTs it sent; `random` draws its random choices.
    ///
    /// # Panics
    /// When there are not [`BASE_OTS`] key pairs.
    pub fn new(keys: &[[Block; 2]], random: Prg) -> Self {
        assert_eq!(keys.len(), BASE_OTS, "IKNP starts from 128 base OTs");
        let seeds = keys.iter().map(|k| k.map(Prg::from_seed)).collect();
        Self { seeds, random, tweak: 0, scratch: Scratch::default() }
    }
}

impl RcotSender for IknpSender {
    fn delta(&self) -> Block {
        self.delta
    }

    fn extend(&mut self, channel: &mut Channel, q: &mut [Block]) -> Result<()> {
        let mut stream = [Block::ZERO; CHUNK / 128];
        for chunk in q.chunks_mut(CHUNK) {
            let ([rows, square, wire], blocks) = self.scratch.of(chunk.len());
            let wire = &mut wire[..chunk.len()];
            channel.recv_blocks::<Columns>(wire)?; // (1)
            rows_from_wire(wire, rows);
            let stream = &mut stream[..blocks];
            for (r, (seed, row)) in self.seeds.iter_mut().zip(rows.chunks_exact_mut(blocks)).enumerate() {
                let delta = u64::from(self.delta.bit(r));
                seed.fill(stream);
                row.iter_mut().zip(&*stream).for_each(|(u, g)| *u = *g ^ u.select(delta)); // (2)
            }
            transpose(rows, square); // (3)
            chunk.copy_from_slice(&square[..chunk.len()]);
        }
        Ok(())
    }

    fn extend_chosen(&mut self, channel: &mut Channel, q: &mut [Block]) -> Result<()> {
        self.extend(channel, q)
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        let first = self.tweak;
        self.tweak += count as u64;
        first
    }
}

impl RcotReceiver for IknpReceiver {
    fn extend(&mut self, channel: &mut Channel, t: &mut [Block]) -> Result<BitVec> {
        let choices = self.random.bits(t.len());
        self.extend_chosen(channel, &choices, t)?;
        Ok(choices)
    }

    fn extend_chosen(&mut self, channel: &mut Channel, choices: &BitVec, t: &mut [Block]) -> Result<()> {
        assert_eq!(choices.len(), t.len(), "one choice an OT");
        for (chunk, words) in t.chunks_mut(CHUNK).zip(choices.words().chunks(CHUNK / 64)) {
            let ([rows, square, columns], blocks) = self.scratch.of(chunk.len());
            let word = |i: usize| words.get(i).copied().unwrap_or(0);
            let choice: Vec<Block> = (0..blocks).map(|g| Block::new(word(2 * g), word(2 * g + 1))).collect();
            let masked = rows.chunks_exact_mut(blocks).zip(columns.chunks_exact_mut(blocks));
            for ([k0, k1], (t, u)) in self.seeds.iter_mut().zip(masked) {
                k0.fill(t);
                k1.fill(u);
                u.iter_mut().zip(t).zip(&choice).for_each(|((u, t), c)| *u ^= *t ^ *c); // (1)
            }
            transpose(rows, square); // (3)
            rows_to_wire(columns, chunk.len());
            channel.send_blocks::<Columns>(&columns[..chunk.len()])?; // (1)
            chunk.copy_from_slice(&square[..chunk.len()]);
        }
        Ok(())
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        let first = self.tweak;
        self.tweak += count as u64;
        first
    }
}

/// Turns 128 rows of k blocks into the wire form of `count` OTs, in place: the whole squares row by row, then
/// the columns of the last, incomplete one. Only the first `count` blocks are meaningful afterwards.
fn rows_to_wire(rows: &mut [Block], count: usize) {
    let blocks = rows.len() / 128;
    if count == rows.len() {
        return;
    }
    let mut last = [Block::ZERO; 128];
    let mut columns = [Block::ZERO; 128];
    for (r, block) in last.iter_mut().enumerate() {
        *block = rows[r * blocks + blocks - 1];
    }
    transpose(&last, &mut columns);
    for r in 0..128 {
        rows.copy_within(r * blocks..(r + 1) * blocks - 1, r * (blocks - 1));
    }
    let whole = 128 * (blocks - 1);
    rows[whole..count].copy_from_slice(&columns[..count - whole]);
}

/// The inverse: 128 rows of k blocks, the last square filled up with zero columns.
fn rows_from_wire(wire: &[Block], rows: &mut [Block]) {
    let blocks = rows.len() / 128;
    if wire.len() == rows.len() {
        rows.copy_from_slice(wire);
        return;
    }
    let whole = 128 * (blocks - 1);
    let mut columns = [Block::ZERO; 128];
    let mut last = [Block::ZERO; 128];
    columns[..wire.len() - whole].copy_from_slice(&wire[whole..]);
    transpose(&columns, &mut last);
    for (r, row) in rows.chunks_exact_mut(blocks).enumerate() {
        row[..blocks - 1].copy_from_slice(&wire[r * (blocks - 1)..][..blocks - 1]);
        row[blocks - 1] = last[r];
    }
}
