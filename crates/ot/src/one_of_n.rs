//! 1-of-2^m OT on short messages, from KK13 or from m RCOTs.
//!
//! # Functionality
//! Sender: a table M of 2^m messages for each OT. Receiver: index c; output the message at c. Shared
//! ([`Part::shared`]): outputs are a uniform s for the sender and s ⊕ M\[c\] for the receiver.
//!
//! # Protocol
//! | step | sender (M)                     | wire          | receiver (c)            |
//! |------|--------------------------------|---------------|-------------------------|
//! | 1    | pads `P[j]` of every j         | ↔             | pad `P[c]`              |
//! | 2    | `Y[j] = M[j] ⊕ P[j]`           | [`Table`] →   | `M[c] = Y[c] ⊕ P[c]`    |
//!
//! Shared, `s = M[0] ⊕ P[0]` is the sender's output and `M[j] ⊕ s` takes the place of `M[j]`: then `Y[0]` is 0 and is
//! not sent.
//!
//! Pads from KK13 ([`kk13`]), or from m RCOTs with the bits of c as choices: `P[j]` = H(`S[j]`, tweak of the OT and j) for
//! `S[j]` = ⊕_b H(q_b ⊕ j_b·Δ).
//!
//! # Cost
//! [`cost`]: 2^m·n bits an OT, (2^m − 1)·n where it is shared, on top of 256 bits (KK13) or m RCOTs; one round for a batch of any shapes ([`Part`]).
//!
//! # Security
//! That of the pads; P\[0\] is uniform to the receiver who does not choose 0, and to one who does all of its output. From RCOTs: for j ≠ c at least one of the hashes in `S[j]` is unknown to the receiver. The `S[j]` of a
//! table satisfy linear relations; the second hash, of pseudorandom inputs under tweaks of their own, removes them.
//!
//! # Reference
//! CrypTFlow2 (CCS 2020), section 2.6; Naor, Pinkas (STOC 1999) for the RCOT form.
//!
//! # Deviations
//! None.

use crate::{RcotBackend, RcotReceiver, RcotSender, kk13};
use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Cost};
use copriv_prg::hash;
use copriv_ring::Width;
use copriv_wire::{Result, Role, messages};

messages! {
    /// The padded tables, 2^m messages an OT.
    Table: Ring = 0x0260;
}

/// OTs whose tables go in one message.
const CHUNK: usize = 4096;

/// The largest m.
pub const MAX_INDEX_BITS: u32 = 8;

/// What 1-of-N OTs are made of, as far as costs need to know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OneOfNBackend {
    /// [`kk13`]: 256 bits an OT.
    Kk13,
    /// m RCOTs an OT.
    Rcot,
}

/// OTs of one shape in a batch of several.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// m: an index has this many bits, a table 2^m messages.
    pub index_bits: u32,
    /// Of a message.
    pub width: Width,
    /// OTs.
    pub count: usize,
    /// Whether the chosen message is wanted as XOR shares.
    pub shared: bool,
}

impl Part {
    /// OTs whose receiver gets the chosen message.
    pub const fn chosen(index_bits: u32, width: Width, count: usize) -> Self {
        Self { index_bits, width, count, shared: false }
    }

    /// OTs whose parties get shares of the chosen message.
    pub const fn shared(index_bits: u32, width: Width, count: usize) -> Self {
        Self { index_bits, width, count, shared: true }
    }

    /// Messages of an OT on the wire.
    fn rows(&self) -> usize {
        (1 << self.index_bits) - usize::from(self.shared)
    }
}

/// The cost of the OTs of all `parts`: first the pads of all, then the tables of all.
pub fn cost(backend: OneOfNBackend, rcot: RcotBackend, sender: Role, parts: &[Part]) -> Cost {
    let pads = |part: &Part| match backend {
        OneOfNBackend::Kk13 => kk13::cost(sender, part.count),
        OneOfNBackend::Rcot if part.count == 0 => Cost::ZERO,
        OneOfNBackend::Rcot => rcot.cost_chosen(sender, part.count * part.index_bits as usize),
    };
    let tables = |part: &Part| {
        let table = |n: usize| match n {
            0 => Cost::ZERO,
            _ => Cost::message(sender, n * part.rows(), part.width.bits()),
        };
        table(CHUNK).repeat(part.count / CHUNK) + table(part.count % CHUNK)
    };
    parts.iter().map(pads).sum::<Cost>() + parts.iter().map(tables).sum()
}

/// The sender's source of pads.
pub enum OneOfNSender {
    /// KK13.
    Kk13(Box<kk13::Kk13Sender>),
    /// The RCOTs given at each call.
    Rcot,
}

/// The receiver's source of pads.
pub enum OneOfNReceiver {
    /// KK13.
    Kk13(Box<kk13::Kk13Receiver>),
    /// The RCOTs given at each call.
    Rcot,
}

impl OneOfNSender {
    /// The OTs of all `parts`; `table(part, i, messages)` writes the 2^m canonical messages of OT i of that part. Returns this
    /// party's shares, of the parts that are shared.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    ///
    /// # Panics
    /// When an `index_bits` is not in 1..=[`MAX_INDEX_BITS`].
    pub fn send(
        &mut self,
        channel: &mut Channel,
        rcot: &mut dyn RcotSender,
        parts: &[Part],
        mut table: impl FnMut(usize, usize, &mut [u64]),
    ) -> Result<Vec<Vec<u64>>> {
        let pads = parts.iter().map(|part| self.pads(channel, rcot, part)).collect::<Result<Vec<_>>>()?; // (1)
        let mut shares = Vec::with_capacity(parts.len());
        for (p, (part, pads)) in parts.iter().zip(&pads).enumerate() {
            let n = 1usize << part.index_bits;
            let mut own = Vec::with_capacity(if part.shared { part.count } else { 0 });
            let mut messages = vec![0; n * CHUNK.min(part.count)];
            let mut masks = vec![Block::ZERO; messages.len()];
            for start in (0..part.count).step_by(CHUNK) {
                let end = part.count.min(start + CHUNK);
                let messages = &mut messages[..(end - start) * n];
                messages.chunks_exact_mut(n).enumerate().for_each(|(i, m)| table(p, start + i, m));
                let masks = &mut masks[..messages.len()];
                pads.fill(start..end, masks);
                messages.iter_mut().zip(masks).for_each(|(m, pad)| *m ^= part.width.reduce(pad.low())); // (2)
                let rows = match part.shared {
                    true => without_first(messages, n, &mut own), // (2)
                    false => &*messages,
                };
                channel.send_words::<Table>(part.width, rows)?; // (2)
            }
            shares.push(own);
        }
        Ok(shares)
    }

    fn pads(&mut self, channel: &mut Channel, rcot: &mut dyn RcotSender, part: &Part) -> Result<SenderPads> {
        let Part { index_bits, count, .. } = *part;
        assert!((1..=MAX_INDEX_BITS).contains(&index_bits), "1-of-2^m OT has 1 <= m <= 8");
        match self {
            Self::Kk13(kk13) => Ok(SenderPads::Kk13(kk13.extend(channel, 1 << index_bits, count)?)),
            Self::Rcot if count == 0 => Ok(SenderPads::Rcot { keys: [vec![], vec![]], index_bits, first: 0 }),
            Self::Rcot => SenderPads::rcot(channel, rcot, index_bits, count),
        }
    }
}

impl OneOfNReceiver {
    /// The OTs of all `parts`, `choices[p]` the indices of part p: the chosen messages of each part.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    ///
    /// # Panics
    /// When an `index_bits` is not in 1..=[`MAX_INDEX_BITS`], or a part has not `count` choices.
    pub fn receive(
        &mut self,
        channel: &mut Channel,
        rcot: &mut dyn RcotReceiver,
        parts: &[Part],
        choices: &[&[u8]],
    ) -> Result<Vec<Vec<u64>>> {
        assert!(parts.iter().map(|part| part.count).eq(choices.iter().map(|c| c.len())), "one index an OT");
        let parts = || parts.iter().zip(choices);
        let pads: Vec<Vec<Block>> =
            parts().map(|(part, choices)| self.pads(channel, rcot, part, choices)).collect::<Result<_>>()?; // (1)
        parts().zip(&pads).map(|((part, choices), pads)| open(channel, part, choices, pads)).collect()
    }

    fn pads(
        &mut self,
        channel: &mut Channel,
        rcot: &mut dyn RcotReceiver,
        part: &Part,
        choices: &[u8],
    ) -> Result<Vec<Block>> {
        assert!((1..=MAX_INDEX_BITS).contains(&part.index_bits), "1-of-2^m OT has 1 <= m <= 8");
        match self {
            Self::Kk13(kk13) => kk13.extend(channel, part.index_bits, choices),
            Self::Rcot if choices.is_empty() => Ok(Vec::new()),
            Self::Rcot => receiver_rcot_pads(channel, rcot, part.index_bits, choices),
        }
    }
}

/// The tables of shared OTs from their `n` padded messages each: the first is this party's share, and what is left of the
/// others is sent.
fn without_first<'a>(messages: &'a mut [u64], n: usize, own: &mut Vec<u64>) -> &'a [u64] {
    let tables = messages.len() / n;
    for i in 0..tables {
        let share = messages[i * n];
        own.push(share);
        // Table i begins i messages further to the front: nothing that is still to be read is overwritten.
        for j in 1..n {
            messages[i * (n - 1) + j - 1] = messages[i * n + j] ^ share;
        }
    }
    &messages[..tables * (n - 1)]
}

/// Step 2 of the receiver for one part.
fn open(channel: &mut Channel, part: &Part, choices: &[u8], pads: &[Block]) -> Result<Vec<u64>> {
    let (n, first) = (part.rows(), u64::from(part.shared));
    let mut open = Vec::with_capacity(choices.len());
    let mut tables = vec![0; n * CHUNK.min(choices.len())];
    for (choices, pads) in choices.chunks(CHUNK).zip(pads.chunks(CHUNK)) {
        let tables = &mut tables[..choices.len() * n];
        channel.recv_words::<Table>(part.width, tables)?; // (2)
        for ((table, &choice), pad) in tables.chunks_exact(n).zip(choices).zip(pads) {
            // Every entry is read: the choice is secret.
            let chosen = (first..).zip(table).fold(0, |sum, (j, &y)| sum | y & equal_mask(j, choice.into()));
            open.push(chosen ^ part.width.reduce(pad.low())); // (2)
        }
    }
    Ok(open)
}

/// All ones if a = b, else zero, without a branch; for values below 2^63.
fn equal_mask(a: u64, b: u64) -> u64 {
    ((a ^ b).wrapping_sub(1) as i64 >> 63) as u64
}

enum SenderPads {
    Kk13(kk13::SenderBatch),
    /// Both hashes of each RCOT, m for each OT.
    Rcot {
        keys: [Vec<Block>; 2],
        index_bits: u32,
        first: u64,
    },
}

impl SenderPads {
    fn rcot(channel: &mut Channel, rcot: &mut dyn RcotSender, index_bits: u32, count: usize) -> Result<Self> {
        let keys = crate::rot::send(channel, rcot, count * index_bits as usize)?;
        let first = rcot.take_tweaks(count << index_bits);
        Ok(Self::Rcot { keys, index_bits, first })
    }

    /// The pads of the OTs in `range`, 2^m for each.
    fn fill(&self, range: std::ops::Range<usize>, pads: &mut [Block]) {
        match self {
            Self::Kk13(batch) => batch.pads(range, pads),
            Self::Rcot { keys: [k0, k1], index_bits, first } => {
                let m = *index_bits as usize;
                for (i, pads) in range.clone().zip(pads.chunks_exact_mut(1 << m)) {
                    pads[0] = k0[i * m..][..m].iter().fold(Block::ZERO, |sum, &key| sum ^ key);
                    for bit in 0..m {
                        let flip = k0[i * m + bit] ^ k1[i * m + bit];
                        let (low, high) = pads.split_at_mut(1 << bit);
                        high.iter_mut().zip(low).for_each(|(h, l)| *h = *l ^ flip);
                    }
                }
                hash(pads, first + ((range.start << m) as u64));
            }
        }
    }
}

fn receiver_rcot_pads(
    channel: &mut Channel,
    rcot: &mut dyn RcotReceiver,
    index_bits: u32,
    choices: &[u8],
) -> Result<Vec<Block>> {
    let m = index_bits as usize;
    let bits = BitVec::from_fn(choices.len() * m, |i| choices[i / m] >> (i % m) & 1 == 1);
    let keys = crate::rot::receive(channel, rcot, &bits)?;
    let first = rcot.take_tweaks(choices.len() << m);
    let pads = keys.chunks_exact(m).zip(choices).enumerate().map(|(i, (keys, &choice))| {
        let mut pad = [keys.iter().fold(Block::ZERO, |sum, &key| sum ^ key)];
        // The tweak of the sender's pad at this index: adding a secret takes constant time.
        hash(&mut pad, first + ((i as u64) << m) + u64::from(choice));
        pad[0]
    });
    Ok(pads.collect())
}
