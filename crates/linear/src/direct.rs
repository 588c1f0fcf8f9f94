//! Shares of W·X(r) by one matrix product.
//!
//! # Functionality
//! That of a [`Producer`]: P0 gives W, P1 gives r, both get shares of 2^h·W·X(r) mod 2^l.
//!
//! # Protocol
//! | step | P0 (W)                                  | wire                          | P1 (r)                      |
//! |------|-----------------------------------------|-------------------------------|-----------------------------|
//! | 1    | `z0 = share of W·X(r)` mod 2^{l−h}      | ↔ [`product`](crate::product) | `z1 = share of W·X(r)`      |
//! | 2    | `2^h·z0`                                |                               | `2^h·z1`                    |
//!
//! [`Roles`] says whose bits choose in step 1: one party's, or each party's in a half of the inner dimension, one product
//! after the other.
//!
//! # Cost
//! That of the products.
//!
//! # Security
//! As [`product`](crate::product).
//!
//! # Reference
//! CrypTFlow2 (CCS 2020, section 5.1).
//!
//! # Deviations
//! The factor 2^h makes the h top bits of the product irrelevant: it is taken in the narrower ring.

use crate::layer::{LinearLayer, Producer};
use crate::product::{self, Chooser, Product};
use copriv_channel::Cost;
use copriv_ot::RcotBackend;
use copriv_ring::{RingVec, Width};
use copriv_session::Session;
use copriv_wire::{Result, Role};

/// Whose bits choose in a layer (an AGREEMENT parameter).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Roles {
    /// One party's throughout.
    Fixed(Chooser),
    /// The weights' in the first half of the inner dimension (rounded down), the activations' in the rest: what the
    /// original implementation of CrypTFlow2 does with an even number of threads.
    Halves {
        /// The weights are signed integers of this many bits.
        bits: u32,
    },
}

impl From<Chooser> for Roles {
    fn from(chooser: Chooser) -> Self {
        Self::Fixed(chooser)
    }
}

/// One matrix product, or two halves of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Direct {
    /// What is computed.
    pub layer: LinearLayer,
    /// Whose bits choose.
    pub roles: Roles,
}

impl Direct {
    /// Fixed or not, the `roles` of a layer.
    pub fn new(layer: LinearLayer, roles: impl Into<Roles>) -> Self {
        Self { layer, roles: roles.into() }
    }

    /// l − h.
    fn ring(&self) -> Width {
        Width::of(self.layer.width.bits() - self.layer.headroom)
    }

    /// The products that make the layer, each with where its part of the inner dimension starts.
    fn parts(&self) -> impl Iterator<Item = (Product, usize)> {
        let (conv, width) = (self.layer.conv, self.ring());
        let (height, columns) = conv.output();
        let (rows, inner) = (conv.out_channels / conv.groups, conv.inner());
        let weights = |bits: u32| Chooser::Weights { bits: bits.min(width.bits()) };
        let parts = match self.roles {
            Roles::Fixed(Chooser::Weights { bits }) => [(weights(bits), 0, inner), (weights(bits), 0, 0)],
            Roles::Fixed(chooser) => [(chooser, 0, inner), (chooser, 0, 0)],
            Roles::Halves { bits } => {
                let half = inner / 2;
                [(weights(bits), 0, half), (Chooser::Activations, half, inner - half)]
            }
        };
        let product = move |(chooser, start, inner)| {
            (Product { groups: conv.groups, rows, inner, cols: height * columns, width, chooser }, start)
        };
        parts.into_iter().map(product).filter(|(product, _)| product.inner > 0)
    }
}

impl Producer for Direct {
    fn layer(&self) -> &LinearLayer {
        &self.layer
    }

    fn headroom(&self) -> u32 {
        0
    }

    fn describe(&self) -> String {
        let who = match self.roles {
            Roles::Fixed(Chooser::Weights { bits }) => format!("{bits}-bit weights choose"),
            Roles::Fixed(Chooser::Activations) => "activations choose".into(),
            Roles::Halves { .. } => "each party chooses in one half".into(),
        };
        format!("OT product, {who}")
    }

    fn cost(&self, rcot: RcotBackend) -> Cost {
        self.parts().map(|(product, _)| product::cost(rcot, &[product])).sum()
    }

    fn produce(&self, s: &mut Session, own: &[u64]) -> Result<RingVec> {
        let LinearLayer { conv, width, headroom } = self.layer;
        let (role, ring) = (s.role(), self.ring());
        let mut share = RingVec::zeros(ring, conv.output_len());
        for (product, start) in self.parts() {
            let whole = |pair: usize| pair / product.inner * conv.inner() + start + pair % product.inner;
            let parts = product::outer_products(s, &[product], |_, pair, vector| {
                match role {
                    Role::P0 => conv.weight_column(own, whole(pair), vector), // (1)
                    Role::P1 => conv.window_row(own, whole(pair), vector),    // (1)
                }
                vector.iter_mut().for_each(|v| *v = ring.reduce(*v));
            })?;
            parts.iter().for_each(|part| share += part);
        }
        Ok(share.resize(width).shl(headroom)) // (2)
    }
}
