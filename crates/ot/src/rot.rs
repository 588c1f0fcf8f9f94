//! Random OT: both keys at the sender, the chosen one at the receiver, no traffic beyond the RCOTs.
//!
//! # Functionality
//! Sender: uniform blocks `k_i[0]`, `k_i[1]`. Receiver: `k_i[c_i]`.
//!
//! # Protocol
//! | step | sender (q, Δ)            | wire | receiver (c, t)   |
//! |------|--------------------------|------|-------------------|
//! | 1    | RCOT                     | ↔    | RCOT              |
//! | 2    | `k[j] = H(q ⊕ j·Δ)`      |      | `k = H(t)`        |
//!
//! # Cost
//! That of the RCOTs with chosen bits ([`RcotBackend::cost_chosen`](crate::RcotBackend::cost_chosen)).
//!
//! # Security
//! The hash breaks the correlation, for pseudorandom q and tweaks that never restart ([`copriv_prg::hash`] states the bound).
//!
//! # Reference
//! Guo, Katz, Wang, Yu: Efficient and Secure Multiparty Computation from Fixed-Key Block Ciphers (S&P 2020).
//!
//! # Deviations
//! None.

use crate::{RcotReceiver, RcotSender};
use copriv_bits::{BitVec, Block};
use copriv_channel::Channel;
use copriv_prg::{hash, hash_pair};
use copriv_wire::Result;
use zeroize::Zeroize;

/// The sender: `count` keys of choice 0, and those of choice 1.
///
/// # Errors
/// When the connection fails or the peer sends something else.
pub fn send(channel: &mut Channel, ot: &mut dyn RcotSender, count: usize) -> Result<[Vec<Block>; 2]> {
    let mut q = vec![Block::ZERO; count];
    ot.extend_chosen(channel, &mut q)?; // (1)
    let mut keys = [(); 2].map(|()| vec![Block::ZERO; count]);
    let [k0, k1] = &mut keys;
    hash_pair(&q, ot.delta(), ot.take_tweaks(count), k0, k1); // (2)
    Ok(keys)
}

/// The receiver: the key of each choice.
///
/// # Errors
/// As [`send`].
pub fn receive(channel: &mut Channel, ot: &mut dyn RcotReceiver, choices: &BitVec) -> Result<Vec<Block>> {
    let mut t = vec![Block::ZERO; choices.len()];
    ot.extend_chosen(channel, choices, &mut t)?; // (1)
    hash(&mut t, ot.take_tweaks(choices.len())); // (2)
    Ok(t)
}

/// OTs that are drawn and hashed at a time where bits of keys alone are kept: whole messages of every backend.
pub const CHUNK: usize = 1 << 14;

/// Steps 1 and 2 of the sender for whole messages of OTs, of whose keys the lowest bits alone are kept; `draw` is step 1.
pub(crate) fn sender_planes<S: RcotSender + ?Sized>(
    channel: &mut Channel,
    ot: &mut S,
    count: usize,
    planes: u32,
    draw: impl Fn(&mut S, &mut Channel, &mut [Block]) -> Result<()>,
) -> Result<[Vec<BitVec>; 2]> {
    let mut kept = [Planes::new(count, planes), Planes::new(count, planes)];
    let [mut q, mut k0, mut k1] = [(); 3].map(|()| vec![Block::ZERO; count.min(CHUNK)]);
    for start in (0..count).step_by(CHUNK) {
        let now = CHUNK.min(count - start);
        let (q, k0, k1) = (&mut q[..now], &mut k0[..now], &mut k1[..now]);
        draw(ot, channel, q)?; // (1)
        hash_pair(q, ot.delta(), ot.take_tweaks(now), k0, k1); // (2)
        kept[0].keep(k0);
        kept[1].keep(k1);
    }
    [&mut q, &mut k0, &mut k1].into_iter().for_each(Zeroize::zeroize);
    Ok(kept.map(Planes::finish))
}

/// The receiver's side of [`sender_planes`]; `draw` gets the place of its OTs too.
pub(crate) fn receiver_planes<R: RcotReceiver + ?Sized>(
    channel: &mut Channel,
    ot: &mut R,
    count: usize,
    planes: u32,
    mut draw: impl FnMut(&mut R, &mut Channel, usize, &mut [Block]) -> Result<()>,
) -> Result<Vec<BitVec>> {
    let mut kept = Planes::new(count, planes);
    let mut t = vec![Block::ZERO; count.min(CHUNK)];
    for start in (0..count).step_by(CHUNK) {
        let t = &mut t[..CHUNK.min(count - start)];
        draw(ot, channel, start, t)?; // (1)
        hash(t, ot.take_tweaks(t.len())); // (2)
        kept.keep(t);
    }
    t.zeroize();
    Ok(kept.finish())
}

/// The lowest bits of keys, a plane each.
struct Planes {
    words: Vec<Vec<u64>>,
    count: usize,
}

impl Planes {
    fn new(count: usize, planes: u32) -> Self {
        assert!(planes <= 64, "planes of a key's low word");
        Self { words: (0..planes).map(|_| Vec::with_capacity(count.div_ceil(64))).collect(), count }
    }

    /// Appends those of whole words of keys, or of the last.
    fn keep(&mut self, keys: &[Block]) {
        for (bit, words) in self.words.iter_mut().enumerate() {
            words.extend_from_slice(BitVec::from_plane(keys, |key| key.low() >> bit).words());
        }
    }

    fn finish(self) -> Vec<BitVec> {
        let Self { words, count } = self;
        words.into_iter().map(|words| BitVec::from_words(words, count)).collect()
    }
}
