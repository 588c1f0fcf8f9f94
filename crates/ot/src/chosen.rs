//! OT on chosen messages of up to 64 bits.
//!
//! # Functionality
//! Sender: `m[0]`, `m[1]` for each OT. Receiver: bit c, output `m[c]`.
//!
//! # Protocol
//! | step | sender (m)               | wire            | receiver (c)            |
//! |------|--------------------------|-----------------|-------------------------|
//! | 1    | ROT: `k[0], k[1]`        | ↔               | ROT: `k[c]`             |
//! | 2    | `y[j] = m[j] ⊕ k[j]`     | [`Padded`] →    | `m[c] = y[c] ⊕ k[c]`    |
//!
//! # Cost
//! [`cost`]: 2n bits an OT on top of the RCOTs.
//!
//! # Security
//! That of [`rot`].
//!
//! # Reference
//! Ishai et al. (CRYPTO 2003).
//!
//! # Deviations
//! None.

use crate::{RcotBackend, RcotReceiver, RcotSender, rot};
use copriv_bits::BitVec;
use copriv_channel::{Channel, Cost};
use copriv_ring::{RingVec, Width};
use copriv_wire::{Result, Role, messages};

messages! {
    /// Both padded messages of every OT.
    Padded: Ring = 0x0240;
}

/// The cost of `count` OTs on messages of `width` bits.
pub fn cost(backend: RcotBackend, sender: Role, count: usize, width: Width) -> Cost {
    backend.cost_chosen(sender, count) + Cost::message(sender, 2 * count, width.bits())
}

/// The sender.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When the two messages differ in width or number.
pub fn send(channel: &mut Channel, ot: &mut dyn RcotSender, messages: [&RingVec; 2]) -> Result<()> {
    let [m0, m1] = messages;
    assert!(m0.width() == m1.width() && m0.len() == m1.len(), "two messages of one shape for each OT");
    let [k0, k1] = rot::send(channel, ot, m0.len())?; // (1)
    let pairs = m0.words().iter().zip(m1.words()).zip(k0.iter().zip(&k1));
    let padded = pairs.flat_map(|((&m0, &m1), (k0, k1))| [m0 ^ k0.low(), m1 ^ k1.low()]).collect();
    channel.send_ring::<Padded>(&RingVec::from_words(m0.width(), padded)) // (2)
}

/// The receiver.
///
/// # Errors
/// When the connection fails or the peer sends something else.
pub fn receive(
    channel: &mut Channel,
    ot: &mut dyn RcotReceiver,
    width: Width,
    choices: &BitVec,
) -> Result<RingVec> {
    let keys = rot::receive(channel, ot, choices)?; // (1)
    let padded = channel.recv_ring::<Padded>(width, 2 * choices.len())?; // (2)
    let pairs = padded.words().as_chunks::<2>().0.iter().zip(&keys).enumerate();
    let open = pairs.map(|(i, (y, k))| y[0] ^ (y[0] ^ y[1]) & 0u64.wrapping_sub(choices.bit(i)) ^ k.low());
    Ok(RingVec::from_words(width, open.collect()))
}
