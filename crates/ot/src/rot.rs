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

use crate::rcot::Flips;
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

/// OTs that are hashed at a time where bits of keys alone are kept: whole messages of every backend.
const CHUNK: usize = 8192;

/// The sender, of whose keys the lowest `planes` bits alone are kept: of the keys of choice 0, and of those of choice 1, a vector for each
/// bit.
///
/// # Errors
/// As [`send`].
///
/// # Panics
/// When `planes` is more than 64.
pub fn send_planes(
    channel: &mut Channel,
    ot: &mut dyn RcotSender,
    count: usize,
    planes: u32,
) -> Result<[Vec<BitVec>; 2]> {
    if ot.chooses() {
        return sender_planes(channel, ot, count, planes, |ot, channel, q| ot.extend_chosen(channel, q)); // (1)
    }
    let [mut k0, mut k1] = random_send_planes(channel, ot, count, planes)?; // (1) (2)
    let flips = channel.recv_bits::<Flips>(count)?; // (1)
    for (k0, k1) in k0.iter_mut().zip(&mut k1) {
        let swapped = &(&*k0 ^ &*k1) & &flips;
        *k0 ^= &swapped;
        *k1 ^= &swapped;
    }
    Ok([k0, k1])
}

/// The receiver, of whose keys the lowest `planes` bits alone are kept.
///
/// # Errors
/// As [`send`].
///
/// # Panics
/// When `planes` is more than 64.
pub fn receive_planes(
    channel: &mut Channel,
    ot: &mut dyn RcotReceiver,
    choices: &BitVec,
    planes: u32,
) -> Result<Vec<BitVec>> {
    if ot.chooses() {
        let chosen = |ot: &mut dyn RcotReceiver, channel: &mut Channel, start: usize, t: &mut [Block]| {
            ot.extend_chosen(channel, &choices.slice(start..start + t.len()), t) // (1)
        };
        return receiver_planes(channel, ot, choices.len(), planes, chosen);
    }
    let (random, keys) = random_receive_planes(channel, ot, choices.len(), planes)?; // (1) (2)
    channel.send_bits::<Flips>(&(&random ^ choices))?; // (1)
    Ok(keys)
}

/// [`send_planes`] on random choices of the receiver.
///
/// # Errors
/// As [`send`].
///
/// # Panics
/// When `planes` is more than 64.
pub fn random_send_planes(
    channel: &mut Channel,
    ot: &mut dyn RcotSender,
    count: usize,
    planes: u32,
) -> Result<[Vec<BitVec>; 2]> {
    sender_planes(channel, ot, count, planes, |ot, channel, q| ot.extend(channel, q)) // (1)
}

/// [`receive_planes`] on random choices, which it returns first.
///
/// # Errors
/// As [`send`].
///
/// # Panics
/// When `planes` is more than 64.
pub fn random_receive_planes(
    channel: &mut Channel,
    ot: &mut dyn RcotReceiver,
    count: usize,
    planes: u32,
) -> Result<(BitVec, Vec<BitVec>)> {
    let mut choices = BitVec::default();
    let random = |ot: &mut dyn RcotReceiver, channel: &mut Channel, _, t: &mut [Block]| {
        choices.extend(&ot.extend(channel, t)?); // (1)
        Ok(())
    };
    let keys = receiver_planes(channel, ot, count, planes, random)?;
    Ok((choices, keys))
}

fn sender_planes(
    channel: &mut Channel,
    ot: &mut dyn RcotSender,
    count: usize,
    planes: u32,
    draw: impl Fn(&mut dyn RcotSender, &mut Channel, &mut [Block]) -> Result<()>,
) -> Result<[Vec<BitVec>; 2]> {
    let mut kept = [Planes::new(count, planes), Planes::new(count, planes)];
    let [mut q, mut k0, mut k1] = [(); 3].map(|()| vec![Block::ZERO; count.min(CHUNK)]);
    for start in (0..count).step_by(CHUNK) {
        let now = CHUNK.min(count - start);
        let (q, k0, k1) = (&mut q[..now], &mut k0[..now], &mut k1[..now]);
        draw(ot, channel, q)?;
        hash_pair(q, ot.delta(), ot.take_tweaks(now), k0, k1); // (2)
        kept[0].keep(k0);
        kept[1].keep(k1);
    }
    [&mut q, &mut k0, &mut k1].into_iter().for_each(Zeroize::zeroize);
    Ok(kept.map(Planes::finish))
}

fn receiver_planes(
    channel: &mut Channel,
    ot: &mut dyn RcotReceiver,
    count: usize,
    planes: u32,
    mut draw: impl FnMut(&mut dyn RcotReceiver, &mut Channel, usize, &mut [Block]) -> Result<()>,
) -> Result<Vec<BitVec>> {
    let mut kept = Planes::new(count, planes);
    let mut t = vec![Block::ZERO; count.min(CHUNK)];
    for start in (0..count).step_by(CHUNK) {
        let t = &mut t[..CHUNK.min(count - start)];
        draw(ot, channel, start, t)?;
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
