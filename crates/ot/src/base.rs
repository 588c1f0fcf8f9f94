//! Base OT: random OT on 128-bit keys from Diffie-Hellman.
//!
//! # Functionality
//! The receiver has bits c_i and learns key `k_i[c_i]`; the sender learns both keys of every i. A corrupt
//! party may influence the keys it knows itself ("endemic" OT), which is harmless for seeds.
//!
//! # Protocol
//! | step | sender                             | wire            | receiver (c)                            |
//! |------|------------------------------------|-----------------|-----------------------------------------|
//! | 1    | `A = a·G`                          | [`SenderPoint`] → |                                       |
//! | 2    |                                    | ← [`ChoicePoints`] | `R[1⊕c] ← G, R[c] = b·G − H(R[1⊕c])` |
//! | 3    | `k[j] = KDF(a·(R[j] + H(R[1⊕j])))` |                 | `k = KDF(b·A)`                          |
//!
//! Neither message depends on the other, so both are sent before either is received.
//!
//! # Cost
//! [`cost`]: 32 bytes one way, 64 bytes an OT the other; one exchange.
//!
//! # Security
//! 128 bits under the computational Diffie-Hellman assumption on Ristretto255 in the random oracle model.
//! Group operations are constant time in the scalars and in the choice.
//!
//! # Reference
//! Masny, Rindal: Endemic Oblivious Transfer (CCS 2019), figure 8, with one sender message for all
//! instances (section 5.2).
//!
//! # Deviations
//! The key hash includes the index and all points of its instance.

use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Cost};
use copriv_prg::Prg;
use copriv_wire::{Error, Result, Role, messages};
use curve25519_dalek::constants::RISTRETTO_BASEPOINT_TABLE;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use rand_core::Rng;
use rayon::prelude::*;
use sha2::{Digest, Sha256, Sha512};
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

messages! {
    /// A, one point for all instances.
    SenderPoint: Bytes = 0x0210;
    /// R[0], R[1] of every instance.
    ChoicePoints: Bytes = 0x0211;
}

const POINT: usize = 32;

/// The cost of `count` base OTs.
pub fn cost(sender: Role, count: usize) -> Cost {
    Cost::message(sender, POINT, 8).beside(Cost::message(sender.peer(), 2 * POINT * count, 8))
}

/// The sender: both keys of each of `count` OTs.
///
/// # Errors
/// When the connection fails or the peer's bytes are not points of the group.
pub fn send(channel: &mut Channel, prg: &mut Prg, count: usize) -> Result<Vec<[Block; 2]>> {
    let a = Zeroizing::new(random_scalar(prg));
    let sender_point = (&*a * RISTRETTO_BASEPOINT_TABLE).compress();
    channel.send_bytes::<SenderPoint>(sender_point.as_bytes())?; // (1)
    let bytes = channel.recv_bytes::<ChoicePoints>(2 * POINT * count)?; // (2)
    let (pairs, _) = bytes.as_chunks::<{ 2 * POINT }>();
    let keys = pairs.par_iter().enumerate().map(|(i, pair)| {
        let r = [decode(&pair[..POINT])?, decode(&pair[POINT..])?];
        let h = [hash_to_point(&pair[..POINT]), hash_to_point(&pair[POINT..])];
        let key = |j: usize| derive_key(i, pair, &sender_point, &(*a * (r[j] + h[1 - j]))); // (3)
        Ok([key(0), key(1)])
    });
    keys.collect()
}

/// The receiver: the key of its choice in each OT.
///
/// # Errors
/// When the connection fails or the peer's bytes are not a point of the group.
pub fn receive(channel: &mut Channel, prg: &mut Prg, choices: &BitVec) -> Result<Vec<Block>> {
    let drawn = |_| {
        let b = random_scalar(prg);
        let mut uniform = [0; 64];
        prg.fill_bytes(&mut uniform);
        (b, uniform)
    };
    let secrets: Zeroizing<Vec<(Scalar, [u8; 64])>> = Zeroizing::new((0..choices.len()).map(drawn).collect());
    let points = secrets.par_iter().enumerate().map(|(i, (b, uniform))| {
        let other = RistrettoPoint::from_uniform_bytes(uniform);
        let chosen = b * RISTRETTO_BASEPOINT_TABLE - hash_to_point(other.compress().as_bytes()); // (2)
        let choice = Choice::from(choices.bit(i) as u8);
        let select = |a, b| RistrettoPoint::conditional_select(a, b, choice).compress().to_bytes();
        [select(&chosen, &other), select(&other, &chosen)]
    });
    let points = points.collect::<Vec<_>>().into_flattened().into_flattened();
    channel.send_bytes::<ChoicePoints>(&points)?; // (2)
    let bytes = channel.recv_bytes::<SenderPoint>(POINT)?; // (1)
    let sender_point = decode(&bytes)?;
    let compressed = sender_point.compress();
    let (pairs, _) = points.as_chunks::<{ 2 * POINT }>();
    let keys = secrets.par_iter().zip(pairs).enumerate();
    Ok(keys.map(|(i, ((b, _), pair))| derive_key(i, pair, &compressed, &(b * sender_point))).collect()) // (3)
}

fn random_scalar(prg: &mut Prg) -> Scalar {
    let mut wide = Zeroizing::new([0; 64]);
    prg.fill_bytes(wide.as_mut());
    Scalar::from_bytes_mod_order_wide(&wide)
}

fn decode(bytes: &[u8]) -> Result<RistrettoPoint> {
    let point = CompressedRistretto::from_slice(bytes).ok().and_then(|p| p.decompress());
    point.ok_or_else(|| Error::peer("base OT", "a point of Ristretto255", "bytes that encode none"))
}

fn hash_to_point(point: &[u8]) -> RistrettoPoint {
    let digest = Sha512::new().chain_update(b"copriv base OT point").chain_update(point).finalize();
    RistrettoPoint::from_uniform_bytes(&digest.into())
}

fn derive_key(
    index: usize,
    pair: &[u8; 2 * POINT],
    sender: &CompressedRistretto,
    shared: &RistrettoPoint,
) -> Block {
    let digest = Sha256::new()
        .chain_update(b"copriv base OT key")
        .chain_update((index as u64).to_le_bytes())
        .chain_update(pair)
        .chain_update(sender.as_bytes())
        .chain_update(shared.compress().as_bytes())
        .finalize();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    Block::from_bytes(key)
}
