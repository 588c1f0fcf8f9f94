//! The set-up of a session: 128 base OTs, from which everything else is bootstrapped.
//!
//! # Functionality
//! OT extension in both directions, with fresh secrets.
//!
//! # Protocol
//! | step | P0                                  | wire | P1                                  |
//! |------|-------------------------------------|------|-------------------------------------|
//! | 1    | base OTs, receiver with Δ0          | ↔    | base OTs, sender                    |
//! | 2    | extension, sender: 128 ROTs         | ↔    | extension, receiver with Δ1         |
//! | 3    | extension, receiver: 256 ROTs with s0 | ↔  | extension, sender                   |
//! | 4    | extension, sender: 256 ROTs         | ↔    | extension, receiver with s1         |
//! | 5    | KK13 of both directions             | ↔    | KK13 of both directions             |
//!
//! The extension is IKNP or SoftSpoken OT. SoftSpoken OT sets up its trees before its first ROTs in step 2, and those of the
//! other direction after them.
//!
//! # Cost
//! [`setup_cost`].
//!
//! # Security
//! Random OTs are sound seeds of another OT extension (composition of semi-honest protocols). Δ0, Δ1, s0, s1 are
//! independent and of this session alone.
//!
//! # Reference
//! Beaver: Correlated pseudorandomness and the complexity of private computations (STOC 1996).
//!
//! # Deviations
//! Steps 3 to 5 only where KK13 is used.

use crate::{Params, Session};
use copriv_bits::{BitVec, Block};
use copriv_channel::{Channel, Cost};
use copriv_ot::iknp::{BASE_OTS, IknpReceiver, IknpSender};
use copriv_ot::kk13::{self, Kk13Receiver, Kk13Sender};
use copriv_ot::one_of_n::{OneOfNBackend, OneOfNReceiver, OneOfNSender};
use copriv_ot::softspoken::{self, SoftspokenReceiver, SoftspokenSender};
use copriv_ot::{RcotBackend, RcotReceiver, RcotSender, base, rot};
use copriv_prg::Prg;
use copriv_wire::{Result, Role};
use zeroize::Zeroizing;

impl Session {
    /// Sets up the OTs that `params` names over a fresh channel.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    ///
    /// # Panics
    /// When `params` asks for the ideal dealer, which needs both parties in one process (see the test kit), or for stored
    /// RCOTs, which exist already ([`from_parts`](Self::from_parts)); when the k of SoftSpoken OT is not 2, 4 or 8.
    pub fn setup(mut channel: Channel, mut prg: Prg, params: Params) -> Result<Self> {
        let (mut rcot_sender, mut rcot_receiver) = match params.rcot {
            RcotBackend::Iknp => iknp_both(&mut channel, &mut prg)?,
            RcotBackend::Softspoken { k } => softspoken_both(&mut channel, &mut prg, k)?,
            RcotBackend::Ideal | RcotBackend::Stored => {
                panic!("only OT extensions are set up over a channel")
            }
        };
        let (one_of_n_sender, one_of_n_receiver) = match params.one_of_n {
            OneOfNBackend::Rcot => (OneOfNSender::Rcot, OneOfNReceiver::Rcot),
            OneOfNBackend::Kk13 => {
                kk13_both(&mut channel, &mut prg, rcot_sender.as_mut(), rcot_receiver.as_mut())?
            }
        };
        Ok(Self { channel, prg, rcot_sender, rcot_receiver, one_of_n_sender, one_of_n_receiver, params })
    }

    /// A session whose OTs exist already: from the ideal dealer, or stored ones
    /// ([`copriv_ot::stored`], with 1-of-N OTs from RCOTs).
    pub fn from_parts(
        channel: Channel,
        prg: Prg,
        params: Params,
        rcot: (Box<dyn RcotSender>, Box<dyn RcotReceiver>),
        one_of_n: (OneOfNSender, OneOfNReceiver),
    ) -> Self {
        let (rcot_sender, rcot_receiver) = rcot;
        let (one_of_n_sender, one_of_n_receiver) = one_of_n;
        Self { channel, prg, rcot_sender, rcot_receiver, one_of_n_sender, one_of_n_receiver, params }
    }
}

/// The cost of [`Session::setup`].
pub fn setup_cost(params: &Params) -> Cost {
    let rot = |sender, count| params.rcot.cost_chosen(sender, count);
    let trees = |sender| match params.rcot {
        RcotBackend::Softspoken { k } => softspoken::setup_cost(k, sender),
        RcotBackend::Iknp | RcotBackend::Ideal | RcotBackend::Stored => Cost::ZERO,
    };
    if matches!(params.rcot, RcotBackend::Ideal | RcotBackend::Stored) {
        return Cost::ZERO;
    }
    let both = base::cost(Role::P1, BASE_OTS) + trees(Role::P0) + rot(Role::P0, BASE_OTS) + trees(Role::P1);
    match params.one_of_n {
        OneOfNBackend::Rcot => both,
        OneOfNBackend::Kk13 => {
            both + rot(Role::P1, kk13::BASE_OTS)
                + rot(Role::P0, kk13::BASE_OTS)
                + kk13::setup_cost(Role::P0).beside(kk13::setup_cost(Role::P1))
        }
    }
}

/// Both directions of an OT extension.
type Both = (Box<dyn RcotSender>, Box<dyn RcotReceiver>);

fn iknp_both(channel: &mut Channel, prg: &mut Prg) -> Result<Both> {
    let delta = Zeroizing::new(prg.block());
    let delta_bits = BitVec::from_words(delta.words().to_vec(), 128);
    match channel.role() {
        Role::P0 => {
            let keys = Zeroizing::new(base::receive(channel, prg, &delta_bits)?); // (1)
            let mut sender = IknpSender::new(*delta, &keys);
            let pairs = pairs(rot::send(channel, &mut sender, BASE_OTS)?); // (2)
            Ok((Box::new(sender), Box::new(IknpReceiver::new(&pairs, prg.child()))))
        }
        Role::P1 => {
            let pairs = Zeroizing::new(base::send(channel, prg, BASE_OTS)?); // (1)
            let mut receiver = IknpReceiver::new(&pairs, prg.child());
            let keys = Zeroizing::new(rot::receive(channel, &mut receiver, &delta_bits)?); // (2)
            Ok((Box::new(IknpSender::new(*delta, &keys)), Box::new(receiver)))
        }
    }
}

fn softspoken_both(channel: &mut Channel, prg: &mut Prg, k: usize) -> Result<Both> {
    let delta = Zeroizing::new(prg.block());
    let delta_bits = BitVec::from_words(delta.words().to_vec(), 128);
    match channel.role() {
        Role::P0 => {
            let keys = Zeroizing::new(base::receive(channel, prg, &delta_bits)?); // (1)
            let mut sender = SoftspokenSender::setup(channel, k, *delta, &keys)?;
            let pairs = pairs(rot::send(channel, &mut sender, BASE_OTS)?); // (2)
            let receiver = SoftspokenReceiver::setup(channel, k, &pairs, prg.child())?;
            Ok((Box::new(sender), Box::new(receiver)))
        }
        Role::P1 => {
            let pairs = Zeroizing::new(base::send(channel, prg, BASE_OTS)?); // (1)
            let mut receiver = SoftspokenReceiver::setup(channel, k, &pairs, prg.child())?;
            let keys = Zeroizing::new(rot::receive(channel, &mut receiver, &delta_bits)?); // (2)
            let sender = SoftspokenSender::setup(channel, k, *delta, &keys)?;
            Ok((Box::new(sender), Box::new(receiver)))
        }
    }
}

fn kk13_both(
    channel: &mut Channel,
    prg: &mut Prg,
    sender: &mut dyn RcotSender,
    receiver: &mut dyn RcotReceiver,
) -> Result<(OneOfNSender, OneOfNReceiver)> {
    let s = Zeroizing::new([prg.block(), prg.block()]);
    let s_bits = BitVec::from_words(s.iter().flat_map(|b: &Block| b.words()).collect(), kk13::BASE_OTS);
    let (keys, pairs) = match channel.role() {
        Role::P0 => {
            let keys = Zeroizing::new(rot::receive(channel, receiver, &s_bits)?); // (3)
            (keys, pairs(rot::send(channel, sender, kk13::BASE_OTS)?)) // (4)
        }
        Role::P1 => {
            let pairs = pairs(rot::send(channel, sender, kk13::BASE_OTS)?); // (3)
            (Zeroizing::new(rot::receive(channel, receiver, &s_bits)?), pairs) // (4)
        }
    };
    let kk13_receiver = Kk13Receiver::setup(channel, &pairs, prg)?; // (5)
    let kk13_sender = Kk13Sender::setup(channel, *s, &keys)?; // (5)
    Ok((OneOfNSender::Kk13(Box::new(kk13_sender)), OneOfNReceiver::Kk13(Box::new(kk13_receiver))))
}

fn pairs(keys: [Vec<Block>; 2]) -> Zeroizing<Vec<[Block; 2]>> {
    let [k0, k1] = keys.map(Zeroizing::new);
    Zeroizing::new(k0.iter().zip(k1.iter()).map(|(&k0, &k1)| [k0, k1]).collect())
}
