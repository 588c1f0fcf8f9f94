//! Convolutions and fully connected layers on shares.
//!
//! # Functionality
//! P0 holds weights and bias, both hold shares of x. The outputs are shares of 2^h·W·X(x) + bias mod 2^l, W the kernels as a
//! matrix and X(x) the matrix of the windows. [`conv2d`] does it at once; [`prepare`] does before x is there what can be done
//! then, and [`conv2d_prepared`] the rest.
//!
//! # Protocol
//! A [`Producer`] makes shares of 2^h·W·X(r) for P1's own r. At once, r is P1's share of x:
//!
//! | step | P0 (W, x0)                              | wire                      | P1 (x1)                         |
//! |------|-----------------------------------------|---------------------------|---------------------------------|
//! | 1    | `y0 = share of 2^h·W·X(x1)`             | ↔ [`Producer`]            | `y1 = share of 2^h·W·X(x1)`     |
//! | 2    | `y0 ← y0 + 2^h·W·X(x0) + bias`          |                           |                                 |
//!
//! In two phases, r is a mask, and what is opened of x1 goes to P0, which multiplies it in the clear:
//!
//! | step | P0 (W, x0)                              | wire                      | P1 (x1)                         |
//! |------|-----------------------------------------|---------------------------|---------------------------------|
//! | 3    |                                         |                           | uniform r                       |
//! | 4    | `y0 = share of 2^h·W·X(r)`              | ↔ [`Producer`]            | `y1 = share of 2^h·W·X(r)`      |
//! | 5    |                                         | ← [`MaskedInput`]         | `d = x1 − r`                    |
//! | 6    | `y0 ← y0 + 2^h·W·X(x0 + d) + bias`      |                           |                                 |
//!
//! # Cost
//! Steps 1 and 4: [`Producer::cost`]. Step 5: [`online_cost`], l bits for each element of the input.
//!
//! # Security
//! That of the producer. r is uniform and of one inference: [`Prepared`] is consumed by its use. With it used twice, P0
//! would learn the difference of two inputs.
//!
//! # Reference
//! CrypTFlow2 (CCS 2020, section 5.1) for step 1; MiniONN (CCS 2017) and Delphi (USENIX Security 2020) for the two phases.
//!
//! # Deviations
//! Neither X(x) nor X(r) is stored: rows are made where they are used.

use crate::Conv2d;
use copriv_channel::Cost;
use copriv_ot::RcotBackend;
use copriv_ring::{RingVec, Width};
use copriv_session::Session;
use copriv_share::Arithmetic;
use copriv_wire::{Error, Result, Role, messages, pack, packed_bytes, unpack};
use std::fmt;
use zeroize::Zeroizing;

messages! {
    /// x1 − r: P1's share of a layer's input under its mask.
    MaskedInput: Ring = 0x0402;
}

/// A linear layer of a network on shares (an AGREEMENT parameter).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LinearLayer {
    /// Its geometry.
    pub conv: Conv2d,
    /// l.
    pub width: Width,
    /// h < l: the result is 2^h times the convolution.
    pub headroom: u32,
}

/// What makes shares of 2^h·W·X(r), of P0's weights and P1's r. An AGREEMENT parameter: both parties have the same.
pub trait Producer: fmt::Debug + Send + Sync {
    /// The layer it is for.
    fn layer(&self) -> &LinearLayer;

    /// The part of the layer's h that is this producer's own; the rest is a shift.
    fn headroom(&self) -> u32;

    /// What it does, in a few words.
    fn describe(&self) -> String;

    /// What [`produce`](Self::produce) puts on the wire.
    fn cost(&self, rcot: RcotBackend) -> Cost;

    /// This party's share of 2^h·W·X(r). `own` is W at P0 and r at P1, canonical words.
    ///
    /// # Errors
    /// When the connection fails or the peer sends something else.
    ///
    /// # Panics
    /// When `own` has another length than the layer's, or a weight has more bits than the producer was told.
    fn produce(&self, s: &mut Session, own: &[u64]) -> Result<RingVec>;
}

/// P0's side of a layer.
#[derive(Clone, Copy)]
pub struct Kernels<'a> {
    /// Canonical words, `out_channels` x (`in_channels` / `groups`, kernel row, kernel column).
    pub weights: &'a [u64],
    /// One canonical word for each output channel or for each output, at the scale of the result; none where the layer has no bias.
    pub bias: Option<&'a [u64]>,
}

impl fmt::Debug for Kernels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernels({} weights)", self.weights.len())
    }
}

/// One party's half of what [`prepare`] made for one use of one layer. `Debug` shows shapes.
#[derive(PartialEq, Eq)]
pub struct Prepared {
    share: RingVec,
    /// r, at P1.
    mask: Option<RingVec>,
}

/// A layer on the shared `x`, at once. P0 gives the kernels.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// When the geometry is impossible ([`Conv2d::output`]), P0 gives no kernels, P1 gives some, a length is another than the
/// geometry's, or a weight has more bits than the producer was told.
pub fn conv2d(
    s: &mut Session,
    producer: &dyn Producer,
    kernels: Option<Kernels>,
    x: &Arithmetic,
) -> Result<Arithmetic> {
    let layer = producer.layer();
    layer.check(s.role(), kernels, x);
    let x = x.own();
    let share = producer.produce(s, kernels.map_or(x.words(), |k| k.weights))?; // (1)
    Ok(Arithmetic::new(match kernels {
        Some(kernels) => &share + &layer.local(kernels, x), // (2)
        None => share,
    }))
}

/// What can be done of a layer before its input is there. P0 gives the weights.
///
/// # Errors
/// As [`conv2d`].
///
/// # Panics
/// As [`conv2d`].
pub fn prepare(s: &mut Session, producer: &dyn Producer, weights: Option<&[u64]>) -> Result<Prepared> {
    let LinearLayer { conv, width, .. } = *producer.layer();
    let (own, mask) = match (s.role(), weights) {
        (Role::P0, Some(weights)) => (weights, None),
        (Role::P1, None) => (&[][..], Some(s.prg.ring(width, conv.input_len()))), // (3)
        _ => panic!("P0 gives the weights"),
    };
    let share = producer.produce(s, mask.as_ref().map_or(own, RingVec::words))?; // (4)
    Ok(Prepared { share, mask })
}

/// A layer on the shared `x`, by what was prepared for it.
///
/// # Errors
/// When the connection fails or the peer sends something else.
///
/// # Panics
/// As [`conv2d`], and when `prepared` is of another layer or of the other party.
pub fn conv2d_prepared(
    s: &mut Session,
    layer: &LinearLayer,
    prepared: Prepared,
    kernels: Option<Kernels>,
    x: &Arithmetic,
) -> Result<Arithmetic> {
    layer.check(s.role(), kernels, x);
    let Prepared { share, mask } = prepared;
    assert_eq!((share.width(), share.len()), (layer.width, layer.conv.output_len()), "of this layer");
    Ok(Arithmetic::new(match (kernels, mask) {
        (Some(kernels), None) => {
            let d = s.channel.recv_ring::<MaskedInput>(layer.width, x.len())?; // (5)
            &share + &layer.local(kernels, &(x.own() + &d)) // (6)
        }
        (None, Some(mask)) => {
            s.channel.send_ring::<MaskedInput>(&(x.own() - &mask))?; // (5)
            share
        }
        _ => panic!("prepared by this party"),
    }))
}

/// The cost of [`conv2d_prepared`].
pub fn online_cost(layer: &LinearLayer) -> Cost {
    Cost::message(Role::P1, layer.conv.input_len(), layer.width.bits())
}

impl LinearLayer {
    /// A layer without the factor 2^h.
    pub const fn new(conv: Conv2d, width: Width) -> Self {
        Self { conv, width, headroom: 0 }
    }

    fn check(&self, role: Role, kernels: Option<Kernels>, x: &Arithmetic) {
        let Self { conv, width, headroom } = self;
        assert!(*headroom < width.bits(), "the factor leaves a bit");
        assert_eq!((x.width(), x.len()), (*width, conv.input_len()), "the input is the layer's");
        assert_eq!(kernels.is_some(), role == Role::P0, "P0 gives the kernels");
        if let Some(Kernels { weights, bias }) = kernels {
            assert_eq!(weights.len(), conv.weights_len(), "the weights have the geometry's length");
            let lengths = [conv.out_channels, conv.output_len()];
            assert!(
                bias.is_none_or(|b| lengths.contains(&b.len())),
                "a bias for each output channel or output"
            );
        }
    }

    /// 2^h·W·X(x) + bias.
    fn local(&self, kernels: Kernels, x: &RingVec) -> RingVec {
        let mut y = self.conv.local(self.width, kernels.weights, x.words());
        y.iter_mut().for_each(|y| *y <<= self.headroom);
        if let Some(bias) = kernels.bias {
            let map = y.len() / bias.len().max(1);
            for (y, &bias) in y.chunks_exact_mut(map).zip(bias) {
                y.iter_mut().for_each(|y| *y = y.wrapping_add(bias));
            }
        }
        RingVec::from_words(self.width, y)
    }
}

impl Prepared {
    /// Packed to the bit, for a store: the share, then at P1 the mask.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let bits = self.share.width().bits();
        let packed = |v: &RingVec| Zeroizing::new(pack(v.words(), bits));
        let parts = [Some(&self.share), self.mask.as_ref()].map(|part| part.map(packed));
        // Of the final length at once: growing would leave copies behind.
        let length = parts.iter().flatten().map(|part| part.len()).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        parts.iter().flatten().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    /// What [`to_bytes`](Self::to_bytes) wrote, of `layer`, by `role`.
    ///
    /// # Errors
    /// When the bytes are not of such a layer.
    pub fn from_bytes(layer: &LinearLayer, role: Role, bytes: &[u8]) -> Result<Self> {
        let LinearLayer { conv, width, .. } = layer;
        let (outputs, inputs) = (conv.output_len(), conv.input_len());
        let size = |n| packed_bytes(n, width.bits());
        let expected = match role {
            Role::P0 => size(outputs),
            Role::P1 => size(outputs) + size(inputs),
        };
        if bytes.len() != expected {
            return Err(Error::peer("bytes of a prepared layer", expected, bytes.len()));
        }
        let (share, mask) = bytes.split_at(size(outputs));
        let ring = |bytes, n| Ok::<_, Error>(RingVec::from_words(*width, unpack(bytes, n, width.bits())?));
        let mask = match role {
            Role::P0 => None,
            Role::P1 => Some(ring(mask, inputs)?),
        };
        Ok(Self { share: ring(share, outputs)?, mask })
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prepared({} outputs)", self.share.len())
    }
}
