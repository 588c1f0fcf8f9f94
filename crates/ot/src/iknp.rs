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
//! instead, so that n OTs cost exactly n blocks. The sender expands its seeds before it receives, and corrects afterwards.

use crate::chunk::{Buffers, CHUNK, choice_words, wire_blocks};
use crate::{RcotReceiver, RcotSender, rot};
use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Cost};
use copriv_prg::{Fold, Prg};
use copriv_wire::{Result, Role, messages};
use zeroize::{Zeroize, Zeroizing};

messages! {
    /// u: 128 bits of masked choices an OT.
    Columns: Blocks = 0x0220;
}

/// Base OTs needed.
pub const BASE_OTS: usize = 128;

/// IKNP is SoftSpoken OT over GF(2): two streams for each bit of Δ.
const K: usize = 1;

/// The cost of `count` OTs sent by `sender`.
pub fn cost(sender: Role, count: usize) -> Cost {
    let message =
        |n: usize| if n == 0 { Cost::ZERO } else { Cost::message(sender.peer(), wire_blocks(K, n), 128) };
    Cost::rcots(sender, count) + message(CHUNK).repeat(count / CHUNK) + message(count % CHUNK)
}

/// The IKNP sender: the *receiver* of the base OTs.
pub struct IknpSender {
    delta: Block,
    streams: Fold,
    tweak: u64,
    buffers: Buffers,
}

/// The IKNP receiver: the *sender* of the base OTs.
pub struct IknpReceiver {
    streams: Fold,
    random: Prg,
    tweak: u64,
    buffers: Buffers,
}

impl IknpSender {
    /// From the base OTs, received with the bits of `delta` as choices.
    ///
    /// # Panics
    /// When there are not [`BASE_OTS`] keys.
    pub fn new(delta: Block, keys: &[Block]) -> Self {
        assert_eq!(keys.len(), BASE_OTS, "IKNP starts from 128 base OTs");
        // Of each two streams it has the one that it knows last: that of number 1, relative to Δ.
        let seeds = Zeroizing::new(keys.iter().flat_map(|&k| [Block::ZERO, k]).collect::<Vec<_>>());
        Self { delta, streams: Fold::new(K, &seeds), tweak: 0, buffers: Buffers::default() }
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
        let seeds = Zeroizing::new(keys.iter().flat_map(|&[k0, k1]| [k1, k0]).collect::<Vec<_>>());
        Self { streams: Fold::new(K, &seeds), random, tweak: 0, buffers: Buffers::default() }
    }
}

impl RcotSender for IknpSender {
    fn delta(&self) -> Block {
        self.delta
    }

    fn extend(&mut self, channel: &mut Channel, q: &mut [Block]) -> Result<()> {
        for out in q.chunks_mut(CHUNK) {
            let mut chunk = self.buffers.of(K, out.len());
            self.streams.halves(chunk.blocks, chunk.rows); // (2)
            chunk.receive::<Columns>(channel, K, out.len())?; // (1)
            self.streams.correct(self.delta, chunk.columns, chunk.rows); // (2)
            chunk.transpose(out); // (3)
        }
        Ok(())
    }

    fn extend_chosen(&mut self, channel: &mut Channel, q: &mut [Block]) -> Result<()> {
        self.extend(channel, q)
    }

    fn chosen_planes(
        &mut self,
        channel: &mut Channel,
        count: usize,
        planes: u32,
    ) -> Result<[Vec<BitVec>; 2]> {
        self.random_planes(channel, count, planes)
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
        for (out, words) in t.chunks_mut(CHUNK).zip(choice_words(choices)) {
            let mut chunk = self.buffers.of(K, out.len());
            chunk.choose(words);
            self.streams.all(chunk.blocks, chunk.choices, chunk.columns, chunk.rows); // (1)
            chunk.send::<Columns>(channel, K, out.len())?; // (1)
            chunk.transpose(out); // (3)
        }
        Ok(())
    }

    fn chosen_planes(&mut self, channel: &mut Channel, choices: &BitVec, planes: u32) -> Result<Vec<BitVec>> {
        rot::receiver_planes(channel, self, choices.len(), planes, |ot, channel, start, t| {
            ot.extend_chosen(channel, &choices.slice(start..start + t.len()), t)
        })
    }

    fn take_tweaks(&mut self, count: usize) -> u64 {
        let first = self.tweak;
        self.tweak += count as u64;
        first
    }
}
